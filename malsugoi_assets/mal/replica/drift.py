"""What has changed on the site since the world was made: titles deleted, users renamed, lists closed or reordered.

The world itself never changes; `Drift` is what the pages show in its place. Nothing of it outlives the process.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from malsugoi_assets.mal.replica.faults import Fault
from malsugoi_assets.mal.replica.world import Entry, User, World

T = TypeVar("T")


class Drift:
    """The lasting faults that struck; thread-safe."""

    def __init__(self, world: World) -> None:
        self._world, self._lock = world, threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self.deleted: set[int] = set()
        self._names: dict[str, str] = {}
        self._closed: set[str] = set()
        self._orders: dict[str, tuple[Entry, ...]] = {}
        self._spellings: dict[str, User] = {}
        self._ranking: tuple[int, ...] | None = None

    def clear(self) -> None:
        """The site is as it was made again."""
        with self._lock:
            self._clear()

    def report(self) -> dict[str, Any]:
        """What has changed, as `GET /_control/state` shows it."""
        with self._lock:
            return {
                "deleted_anime": sorted(self.deleted),
                "renamed_user": dict(self._names),
                "turned_private": sorted(self._closed),
                "list_changes": sorted(self._orders),
                "two_spellings": [user.username for user in self._spellings.values()],
                "ranking_moves": self._ranking is not None,
            }

    def strike(self, fault: Fault, target: str) -> None:
        """Change what the lasting `fault` changes when `target` (path with query) is asked for."""
        chance, url = random.Random(fault.seed), urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        name = unquote(url.path).split("/")[2] if url.path.startswith("/animelist/") else ""
        with self._lock:
            match fault.kind:
                case "deleted_anime":
                    self.deleted |= {int(found[1]) for found in [re.match(r"/anime/(\d+)", url.path)] if found}
                case "renamed_user":
                    self._rename(name)
                case "turned_private":
                    if (user := self.user(name)) is not None:
                        self._closed.add(user.username)
                case "list_changes":
                    user = self.user(name)
                    if user is not None:
                        offset = int(query.get("offset") or 0)
                        self._orders[user.username] = _moved(user.entries, offset, chance)
                case "ranking_moves":
                    self._ranking = _moved(self.ranking, int(query.get("limit") or 0), chance)
                case "two_spellings":
                    shown = [user for user in self._world.users if user.username.swapcase() != user.username]
                    if shown:
                        user = chance.choice(shown)
                        self._spellings[user.username] = replace(user, username=user.username.swapcase())

    @property
    def ranking(self) -> tuple[int, ...]:
        """Title indexes as the ranking shows them now."""
        return self._world.ranking if self._ranking is None else self._ranking

    def users(self) -> list[User]:
        """Whom the search shows now, each with the present name; second spellings come last."""
        if not self._names and not self._spellings:
            return self._world.users
        known = [replace(u, username=self._names.get(u.username, u.username)) for u in self._world.users]
        return known + list(self._spellings.values())

    def user(self, username: str) -> User | None:
        """Whose list that name opens now."""
        if not self._names and not self._closed and not self._orders:
            return self._world.user(username)
        before = {new.casefold(): old for old, new in self._names.items()}
        user = self._world.user(before.get(username.casefold(), username))
        if user is None or (user.username in self._names and username.casefold() not in before):
            return None
        user = replace(user, username=self._names.get(user.username, user.username))
        if user.username in self._closed:
            user = replace(user, kind="private")
        return replace(user, entries=self._orders.get(user.username, user.entries))

    def _rename(self, username: str) -> None:
        user = self._world.user(username)
        if user is not None and user.kind != "missing" and user.username not in self._names:
            self._names[user.username] = f"{user.username[:13]}_ii"


def _moved(order: Sequence[T], edge: int, chance: random.Random) -> tuple[T, ...]:
    """The same things with one moved over `edge`: from behind it to the front, or from before it to the end."""
    moved = list(order)
    if 0 < edge < len(moved):
        if chance.random() < 0.5:
            moved.insert(0, moved.pop(chance.randrange(edge, len(moved))))
        else:
            moved.append(moved.pop(chance.randrange(edge)))
    return tuple(moved)
