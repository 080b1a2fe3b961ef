"""The device that trains and predicts: what MALSUGOI_DEVICE asks for, resolved when it is needed; one training at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from malsugoi_assets.disk import LockedError, file_lock
from malsugoi_assets.warehouse.data_dir import DataDir


class Compute(dg.ConfigurableResource):  # type: ignore[type-arg]
    """`device`: auto, cpu, cuda, cuda:1 …"""

    device: str = "auto"

    def resolve(self) -> str:
        """The device's name as torch knows it. A device that is asked for and not there ends in a `Failure`."""
        from malsugoi_assets.recommend.devices import DeviceError, resolve_device

        try:
            return resolve_device(self.device)
        except DeviceError as error:
            raise dg.Failure(str(error)) from error

    @contextmanager
    def slot(self, data_dir: DataDir, device: str, tell: Callable[[str], None]) -> Iterator[None]:
        """Hold the data dir's one slot for training on the device; waits, saying for whom, while another has it.

        The slot is a lock of the kernel's: a run that is killed lets go of it, however it dies.
        """
        path, what = data_dir.lock(f"training-{device.replace(':', '')}"), f"a training on {device}"
        held = file_lock(path, what=what, wait_seconds=0)
        try:
            held.__enter__()
        except LockedError as error:
            tell(f"{error}; waiting for its end")
            held = file_lock(path, what=what)
            held.__enter__()
        try:
            yield
        finally:
            held.__exit__(None, None, None)
