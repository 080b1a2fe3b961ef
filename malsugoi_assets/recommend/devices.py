"""Where the network's arithmetic runs, and on how many threads. Nothing here decides what is computed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager


class DeviceError(ValueError):
    """A compute device was asked for that this machine does not have, or that is no device's name."""


def resolve_device(wanted: str) -> str:
    """The torch name of the device meant by `auto`, `cpu`, `cuda` or `cuda:N`.

    `auto` takes the first CUDA device where one is usable and the CPU otherwise; anything else that is
    asked for and not there raises `DeviceError` with one line that says what to do.
    """
    if wanted == "cpu":
        return "cpu"
    if wanted != "auto" and not re.fullmatch(r"cuda(:[0-9]+)?", wanted):
        raise DeviceError(f"device {wanted!r} is unknown: use auto, cpu, cuda or cuda:N")
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return "cuda:0" if count else "cpu"
    index = int(wanted.removeprefix("cuda").lstrip(":") or 0)
    if index >= count:
        have = "no CUDA device" if not count else f"{count} CUDA device{'s' if count > 1 else ''} (cuda:0 first)"
        raise DeviceError(f"device {wanted!r} is not there, this machine has {have}: use cpu or auto")
    return f"cuda:{index}"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch's or Python's means that the device, or the machine, has no more memory to give."""
    import torch

    words = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(word in str(error) for word in words)


def forget_memory_peak(device: str) -> None:
    """From now on `memory_peak_bytes` counts anew, where the device can do so (a process on the CPU cannot)."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def memory_peak_bytes(device: str) -> int:
    """The most memory that was in use: of the tensors on a CUDA device, of the whole process on the CPU."""
    import resource
    import sys

    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    # Linux counts in KiB, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def compute_threads(threads: int) -> Iterator[None]:
    """Within the block torch and BLAS use `threads` threads; afterwards what they used before."""
    import torch
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(limits=threads):
            yield
    finally:
        torch.set_num_threads(before)
