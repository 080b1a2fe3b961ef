"""The pace of requests, shared by all processes of a data dir: one slot after another, and a common cool-down.

Two small files under a lock (`fcntl`): when the next slot is free, and until when nobody may ask. A process takes its
slot first and then sleeps until it comes, so that the lock is never held while waiting; one that dies loses its slot
and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from malsugoi_assets.disk import file_lock

LONGEST_COOL_DOWN = 24 * 3600.0
_LONGEST_QUEUE = 3600.0


class Limiter:
    """At most `requests_per_second` over all processes that share `state_dir`; None sets no pace.

    `clock` gives seconds since the epoch (the same for all processes), `sleep` waits; tests inject both.
    """

    def __init__(
        self,
        state_dir: Path,
        requests_per_second: float | None,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if requests_per_second is not None and requests_per_second <= 0:
            raise ValueError(f"requests_per_second must be positive, not {requests_per_second}")
        state_dir.mkdir(parents=True, exist_ok=True)
        self._lock_path = state_dir / "limiter.lock"
        self._slot_path, self._cool_path = state_dir / "next_slot", state_dir / "cool_down_until"
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._clock, self._sleep = clock, sleep

    def acquire(self) -> None:
        """Wait for this request's turn: its slot, and the end of a cool-down that may have begun meanwhile."""
        if self._interval:
            with file_lock(self._lock_path, what="pacing requests"):
                now = self._clock()
                slot = _read(self._slot_path)
                if (
                    slot > now + _LONGEST_QUEUE + 1000 * self._interval
                ):  # the clock was set back, or the file is broken
                    slot = 0.0
                slot = max(slot, now)
                self._slot_path.write_text(repr(slot + self._interval))
            self._wait_until(slot)
        while (until := self.cool_until()) > self._clock():
            self._wait_until(until)

    def cool_until(self) -> float:
        """Until when nobody may ask, in seconds since the epoch; 0 where there is no cool-down."""
        until = _read(self._cool_path)
        return until if self._clock() < until <= self._clock() + LONGEST_COOL_DOWN else 0.0

    def cool_down(self, seconds: float) -> None:
        """Nobody asks for the next `seconds`; a longer cool-down that is under way already stays."""
        with file_lock(self._lock_path, what="pacing requests"):
            until = self._clock() + min(max(seconds, 0.0), LONGEST_COOL_DOWN)
            if until > self.cool_until():
                self._cool_path.write_text(repr(until))

    def _wait_until(self, moment: float) -> None:
        if (left := moment - self._clock()) > 0:
            self._sleep(left)


def _read(path: Path) -> float:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return 0.0
