"""`malsugoi` with a network that no clock stops (`python -m malsugoi_tests.support.patient run`).

Training has a time budget; on a busy machine it ends early, at another epoch each time, and tables that are compared
would differ by how busy the machine was.
"""

from __future__ import annotations

from typing import Any, Self

from malsugoi_assets.app.cli import main
from malsugoi_assets.assets import deep


class _Patient(deep.DnnSettings):
    @classmethod
    def model_validate(cls, obj: Any, **more: Any) -> Self:
        return super().model_validate({**obj, "time_budget_seconds": None}, **more)


deep.DnnSettings = _Patient  # type: ignore[misc]

if __name__ == "__main__":
    main()
