"""The pace of requests, shared by all processes of a data dir, and what a refusal of the site means for all of them.

A small file holds what all have to know (`_State`). A request leaves while its process holds the lock of the queue, so
that two never leave closer together than the pace allows, however late one of them woke up; the kernel frees the lock
of a process that dies. The site counts arrivals, and a request may be long on its way: the next one leaves an interval
after the answer to the last has begun, or, where that takes longer, a quarter later than an interval. After a refusal
everybody pauses; then one request at a time finds out whether the site answers again.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from malsugoi_assets.disk import file_lock

LONGEST_COOL_DOWN = 24 * 3600.0
SLACK = 1.01
"""Requests leave so much further apart than the limit asks, for clocks that differ."""

_ON_ITS_WAY = 0.25
_LONGEST_QUEUE = 3600.0
_LONGEST_PROBE = 90.0
_LOOK_AGAIN = 0.1
_NEVER = 1e11


class CoolDown(Exception):
    """Nobody may ask before `until`, in seconds since the epoch, which is longer than the caller wants to wait."""

    def __init__(self, until: float) -> None:
        super().__init__(f"nobody may ask before {until}")
        self.until = until


@dataclass(frozen=True)
class _State:
    """Moments in seconds since the epoch, 0 = none.

    When the next request may leave at the earliest, until when nobody may ask, when the site last refused and how often
    in a row, until when one of us finds out whether it still does, and until when the last request may be on its way.
    """

    next_slot: float = 0.0
    cool_until: float = 0.0
    refused_at: float = 0.0
    refusals: int = 0
    probe_until: float = 0.0
    under_way_until: float = 0.0


class Limiter:
    """At most `requests_per_second` over all processes that share `state_dir`; None sets no pace.

    After `most_refusals` in a row the site is closed: whoever has asked before gives up, who is new waits and asks once.
    `clock` gives seconds since the epoch (the same for all processes), `sleep` waits; tests inject both.
    """

    def __init__(
        self,
        state_dir: Path,
        requests_per_second: float | None,
        *,
        most_refusals: int = 6,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if requests_per_second is not None and requests_per_second <= 0:
            raise ValueError(f"requests_per_second must be positive, not {requests_per_second}")
        state_dir.mkdir(parents=True, exist_ok=True)
        self._queue, self._lock, self._path = (
            state_dir / "queue.lock",
            state_dir / "limiter.lock",
            state_dir / "limiter",
        )
        self._interval = SLACK / requests_per_second if requests_per_second else 0.0
        self._most_refusals = most_refusals
        self._clock, self._sleep = clock, sleep
        self._has_asked = False

    def acquire(self, longest: float = math.inf) -> float:
        """Wait for this request's turn and the end of any cool-down; the moment at which it may leave.

        Raises: `CoolDown` where that would take longer than `longest` seconds because the site wants a pause, or where
        the site is closed.
        """
        if not self._interval and not (state := self._read()).refusals and not self._cools(state):
            self._has_asked = True
            return self._clock()
        with file_lock(self._queue, what="pacing requests"):
            while True:
                with self._change() as change:
                    now, state = self._clock(), self._read()
                    cool_until = state.cool_until if self._cools(state) else 0.0
                    probing = state.refusals > 0 and now < state.probe_until <= now + _LONGEST_PROBE
                    closed = state.refusals >= self._most_refusals and self._has_asked
                    if cool_until and (closed or cool_until - now > longest):
                        raise CoolDown(cool_until)
                    if closed and probing:
                        raise CoolDown(state.probe_until)
                    slot = state.next_slot if self._interval else 0.0
                    if slot > now + _LONGEST_QUEUE + 1000 * self._interval:  # the clock was set back
                        slot = 0.0
                    wait = max(cool_until, slot) - now
                    if wait <= 0 and probing:
                        wait = _LOOK_AGAIN
                    if wait <= 0 and self._interval and now < state.under_way_until <= now + self._interval:
                        wait = min(self._interval / 50, state.under_way_until - now)
                    if wait <= 0:
                        # While the site refuses, whoever asks next makes the others wait for the answer.
                        probe = now + _LONGEST_PROBE if state.refusals else 0.0
                        change(
                            replace(
                                state,
                                next_slot=now + self._interval,
                                probe_until=probe,
                                under_way_until=now + (1 + _ON_ITS_WAY) * self._interval,
                            )
                        )
                        self._has_asked = True
                        return now
                self._sleep(wait)

    def arrived(self, left_at: float) -> None:
        """The answer to the request that left at `left_at` has begun, or never will: it is no longer on its way."""
        if not self._interval:
            return
        with self._change() as change:
            state = self._read()
            if state.next_slot == round(left_at + self._interval, 6):
                arrived_at = min(self._clock(), left_at + _ON_ITS_WAY * self._interval)
                change(replace(state, next_slot=max(arrived_at, left_at) + self._interval, under_way_until=0.0))

    def cool_until(self) -> float:
        """Until when nobody may ask, in seconds since the epoch; 0 where there is no cool-down."""
        state = self._read()
        return state.cool_until if self._cools(state) else 0.0

    def cool_down(self, seconds: float) -> None:
        """Nobody asks for the next `seconds`; a longer cool-down that is under way already stays."""
        with self._change() as change:
            state, until = self._read(), self._clock() + min(max(seconds, 0.0), LONGEST_COOL_DOWN)
            if until > state.cool_until or not self._cools(state):
                change(replace(state, cool_until=until))

    def refused(self, left_at: float, pause: Callable[[int], float]) -> int:
        """The site refused the request that left at `left_at`: everybody pauses for `pause(refusals in a row)` seconds.

        Requests that were under way together count as one refusal. Returns the refusals in a row, over all processes.
        """
        with self._change() as change:
            state, now = self._read(), self._clock()
            if left_at < state.refused_at <= now:
                return state.refusals
            refusals = state.refusals + 1
            until = now + min(max(pause(refusals), 0.0), LONGEST_COOL_DOWN)
            change(replace(state, cool_until=until, refused_at=now, refusals=refusals, probe_until=0.0))
            return refusals

    def answered(self, left_at: float) -> None:
        """The site answered the request that left at `left_at`: what it refused before is over."""
        if not self._read().refusals:
            return
        with self._change() as change:
            state = self._read()
            if left_at >= state.refused_at or state.refused_at > self._clock():
                change(_State(state.next_slot, under_way_until=state.under_way_until))

    def unanswered(self, left_at: float) -> None:
        """The request that left at `left_at` brought neither answer nor refusal: the next one may find out."""
        if not self._read().refusals:
            return
        with self._change() as change:
            state = self._read()
            if left_at >= state.refused_at:
                change(replace(state, probe_until=0.0))

    def _cools(self, state: _State) -> bool:
        now = self._clock()
        return now < state.cool_until <= now + LONGEST_COOL_DOWN

    @contextlib.contextmanager
    def _change(self) -> Iterator[Callable[[_State], None]]:
        with file_lock(self._lock, what="pacing requests"):
            yield self._write

    def _write(self, state: _State) -> None:
        """In one write of one length, so that a process that dies leaves the old numbers or the new ones."""
        moments = (state.next_slot, state.cool_until, state.refused_at, state.probe_until, state.under_way_until)
        line = " ".join(f"{moment:020.6f}" for moment in moments) + f" {state.refusals:08d}\n"
        number = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(number, line.encode(), 0)
        finally:
            os.close(number)

    def _read(self) -> _State:
        try:
            *moments, refusals = self._path.read_text().split("\n")[0].split()
            slot, cool, refused, probe, under_way = map(float, moments)
            sound = all(0 <= value < _NEVER for value in (slot, cool, refused, probe, under_way, int(refusals)))
            return _State(slot, cool, refused, int(refusals), probe, under_way) if sound else _State()
        except (OSError, ValueError):
            return _State()
