"""Lists that visitors bring along: in memory, for an hour, under a random token in a cookie; on no disk."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from malsugoi_assets.mal.records import ListEntry
from malsugoi_assets.warehouse.marks import Mark
from malsugoi_assets.web.limits import Limits

COOKIE = "malsugoi_list"
_ANSWERS = 32


class Lru:
    """The last answers, so that nobody waits twice for the same."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def kept(self, key: Hashable) -> Any:
        """What is kept under the key, None where there is nothing."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def known(self) -> list[Any]:
        """Under what something is kept."""
        with self._lock:
            return list(self._kept)

    def keep(self, wanted: Callable[[Any], bool]) -> None:
        """Throw away what is kept under other keys."""
        with self._lock:
            self._kept = OrderedDict((key, value) for key, value in self._kept.items() if wanted(key))

    def get(self, key: Hashable, make: Callable[[], Any], may_keep: Callable[[], bool] = lambda: True) -> Any:
        """What is kept under the key, made where there is nothing; what is made is kept if it still may be by then."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            if not may_keep():
                return made
            self._kept[key] = made
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made


class Answers(Lru):
    """What one published state remembers in what all states share: after `close` nothing more.

    A request that began on a state may end after the next one is in use, and be about somebody who is forgotten by then.
    """

    def __init__(self, shared: Lru) -> None:
        """`shared`: where all is kept."""
        self._shared = shared
        self._closed = False

    def kept(self, key: Hashable) -> Any:
        """As `Lru.kept`."""
        return self._shared.kept(key)

    def get(self, key: Hashable, make: Callable[[], Any], may_keep: Callable[[], bool] = lambda: True) -> Any:
        """As `Lru.get`."""
        return self._shared.get(key, make, lambda: not self._closed and may_keep())

    def known(self) -> list[Any]:
        """As `Lru.known`."""
        return self._shared.known()

    def keep(self, wanted: Callable[[Any], bool]) -> None:
        """As `Lru.keep`."""
        self._shared.keep(wanted)

    def close(self) -> None:
        """Remember nothing from now on."""
        self._closed = True


@dataclass
class Session:
    """One visitor's list (username, anime_id, title, score, status), what the visitor said of titles, the entries of the
    export as they were `sent`, and the answers.
    """

    name: str | None
    entries: pl.DataFrame
    marks: dict[int, Mark] = field(default_factory=dict)
    sent: tuple[ListEntry, ...] = ()
    used: float = 0.0
    answers: Lru = field(default_factory=lambda: Lru(_ANSWERS))


class Sessions:
    """All of them, bounded in number, in size and in time."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._held: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def open(self, session: Session) -> str:
        """Hold a list and return its token; those not used for longest make room."""
        token = secrets.token_urlsafe(32)
        session.used = self._clock()
        with self._lock:
            self._held[token] = session
            self._throw_away()
        return token

    def get(self, token: str | None) -> Session | None:
        """The list of a token, None for one that is unknown or too old."""
        if token is None:
            return None
        with self._lock:
            self._throw_away()
            session = self._held.get(token)
            if session is not None:
                session.used = self._clock()
                self._held.move_to_end(token)
            return session

    def mark(self, token: str, anime_id: int, mark: Mark | None) -> bool:
        """Note what the visitor says of a title, or that it was taken back (None); whether the list was there still."""
        with self._lock:
            session = self._held.get(token)
            if session is None:
                return False
            others = {i: m for i, m in session.marks.items() if i != anime_id}
            if "seen" in (mark, session.marks.get(anime_id)):
                # Another list, of which nothing is known yet; what is remembered of the last one is large.
                session.answers = Lru(_ANSWERS)
            session.marks = others if mark is None else {**others, anime_id: mark}
            return True

    def forget(self, token: str | None) -> None:
        """Throw a list away at once."""
        if token is not None:
            with self._lock:
                self._held.pop(token, None)

    def _throw_away(self) -> None:
        oldest = self._clock() - self._limits.session_seconds
        while self._held:
            first = next(iter(self._held.values()))
            entries = sum(session.entries.height for session in self._held.values())
            too_many = len(self._held) > self._limits.sessions or entries > self._limits.session_entries
            if first.used >= oldest and not (too_many and len(self._held) > 1):
                return
            self._held.popitem(last=False)
