"""Arrays in a file that is whole or counts as absent: plain numbers, a header in JSON, and a checksum of each array."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from malsugoi_assets.disk import replace_file
from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.compiled import compiled, on_threads

Arrays = Sequence[npt.NDArray[Any]]
_MOST_HEADER = 2**26


def write_arrays(path: Path, kind: str, about: dict[str, Any], arrays: Arrays) -> None:
    """Write them, whole or not at all. `kind`: what the file is, with its version; `about`: what JSON can hold."""
    header = {"kind": kind, "about": about, "check": [checksum(array) for array in arrays]}
    # Nobody waits for the disk: what a power cut leaves half-written does not pass the check.
    with replace_file(path, durable=False) as draft, draft.open("wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        for array in arrays:
            np.lib.format.write_array(file, array, allow_pickle=False)


def read_arrays(path: Path, kind: str) -> tuple[dict[str, Any], list[npt.NDArray[Any]]]:
    """What `write_arrays` wrote: `about` and the arrays. Raises ValueError where the file is not whole, or another.

    The arrays may be written to, the file stays as it is: only what is changed takes memory that others can't have.
    """
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline(_MOST_HEADER))
            if header["kind"] != kind:
                raise ValueError(f"it is {header['kind']!r}, not {kind!r}")
            arrays = [_mapped(file) for _ in header["check"]]
        if [checksum(array) for array in arrays] != header["check"]:
            raise ValueError("its numbers are not those that were written")
        return dict(header["about"]), arrays
    except (OSError, ValueError, EOFError, LookupError, TypeError) as error:
        raise ValueError(f"{path} cannot be used: {error}") from error


def _mapped(file: BinaryIO) -> npt.NDArray[Any]:
    """The array that the file goes on with, mapped into memory; the file is left behind it."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array of another version")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    start, size = file.tell(), int(np.prod(shape)) * dtype.itemsize
    if dtype.hasobject or by_columns or file.seek(0, os.SEEK_END) < start + size:
        raise ValueError("an array that is not whole, or not plain numbers")
    found = np.asarray(np.memmap(file, dtype, "c", start, shape)) if size else np.empty(shape, dtype)
    file.seek(start + size)
    return found


def checksum(array: npt.NDArray[Any]) -> str:
    """Σ x_k · (2k + 1) modulo 2⁶⁴ over the array's bytes, eight at a time, as hex: it notices every single change."""
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    whole = len(raw) // 8 * 8
    numbers = raw[:whole].view(np.uint64)
    edges = np.linspace(0, len(numbers), available_threads() + 1).astype(np.int64)
    sums = [0] * (len(edges) - 1)

    def some(t: int) -> None:
        sums[t] = int(_weighted_sum(numbers, edges[t], edges[t + 1]))

    on_threads(some, len(sums))
    rest = int.from_bytes(raw[whole:].tobytes(), "little")
    return f"{(sum(sums) + rest * (len(raw) | 1)) % 2**64:016x}-{len(raw):x}"


@compiled
def _weighted_sum(numbers, first, last):  # type: ignore[no-untyped-def]
    total = np.uint64(0)
    for k in range(first, last):
        total += numbers[k] * np.uint64(2 * k + 1)
    return total
