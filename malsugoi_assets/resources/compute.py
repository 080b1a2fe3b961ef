"""The device that trains and predicts: what MALSUGOI_DEVICE asks for, resolved when it is needed."""

from __future__ import annotations

import dagster as dg


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
