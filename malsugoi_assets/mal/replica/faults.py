"""Faults on demand: what can go wrong between a client and the site, switched on by path, count or chance.

`KINDS` lists them, `Faults` decides which request one strikes; `striking` acts on that. A fault either spoils one answer
or changes the site for good (`lasting`): a title that is deleted stays deleted until the faults are switched off.
"""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

ANY = re.compile(r"/")
RANKING = re.compile(r"/topanime\.php")
TITLE = re.compile(r"/anime/\d+")
SEARCH = re.compile(r"/users\.php")
LIST = re.compile(r"/animelist/[^/?]+(\?|$)")
LIST_JSON = re.compile(r"/animelist/[^/?]+/load\.json")


@dataclass(frozen=True)
class Kind:
    """What a fault does, and the paths with query that it can strike."""

    does: str
    strikes: re.Pattern[str] = ANY
    lasting: bool = False
    drawn: bool = True
    """One of those that `random` draws from."""


KINDS: dict[str, Kind] = {
    "too_many": Kind("429 without Retry-After"),
    "too_many_seconds": Kind("429 with Retry-After in seconds"),
    "too_many_date": Kind("429 with Retry-After as a date"),
    "server_error": Kind("500"),
    "bad_gateway": Kind("502"),
    "maintenance": Kind("503 with the maintenance page"),
    "reset": Kind("the connection breaks before an answer"),
    "timeout": Kind("the answer never comes"),
    "drip": Kind("the body comes byte by byte"),
    "cut": Kind("the whole length is promised, a part is sent"),
    "wrong_length": Kind("a part of the length is promised, the whole is sent"),
    "wrong_charset": Kind("the head says another charset than the bytes have"),
    "captcha": Kind("a captcha with status 200"),
    "block_page": Kind("the guard's page with status 403"),
    "block_page_200": Kind("the guard's page with status 200"),
    "login": Kind("a redirect to the login page"),
    "off_site": Kind("a redirect to another site"),
    "deleted_anime": Kind("the title is gone: 404 from now on", TITLE, lasting=True),
    "renamed_user": Kind("the user has another name from now on; the old one is a 404", LIST, lasting=True),
    "turned_private": Kind("the list is closed between its page and load.json", LIST_JSON, lasting=True),
    "list_changes": Kind("a row moves between the page that was read and the one asked for", LIST_JSON, lasting=True),
    "json_html": Kind("load.json answers a page of HTML", LIST_JSON),
    "json_broken": Kind("load.json answers JSON that ends in the middle", LIST_JSON),
    "json_type": Kind("load.json answers a value of another type", LIST_JSON),
    "huge": Kind("a body of 500 MB"),
    "gzip_bomb": Kind("half a megabyte that unpacks to 500 MB"),
    "ranking_moves": Kind("a title moves over the edge of the page asked for", RANKING, lasting=True),
    "two_spellings": Kind("the search shows one user again, in another case", SEARCH, lasting=True),
    "status": Kind("an error page with any `status`", drawn=False),
    "delay": Kind("the answer comes later", drawn=False),
    "redirect": Kind("302 to any `location`", drawn=False),
    "random": Kind("one of all above, drawn anew for each request among those that can strike it", drawn=False),
}
DRAWN = tuple(name for name, kind in KINDS.items() if kind.drawn)


class Fault(BaseModel):
    """One fault. It strikes requests whose path with query starts with `path`, after `skip` of them, `count` times."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field(description="What happens instead of, or to, the answer.")
    path: str = Field(
        "/", description="Start of the path with query, e.g. `/animelist/` or `/topanime.php?limit=50`."
    )
    count: int | None = Field(
        None, ge=1, description="Strikes this many times, then never again; none: until cleared."
    )
    skip: int = Field(0, ge=0, description="Lets this many matching requests through first.")
    probability: float = Field(1.0, gt=0, le=1, description="The chance of each strike, drawn from `seed`.")
    seed: int = Field(
        0,
        description="Seed of the draws; each depends on the path and on how often it was asked, not on other paths.",
    )
    among: tuple[str, ...] = Field(DRAWN, min_length=1, description="For `random`: the kinds to draw from.")
    status: int = Field(500, ge=300, le=599, description="For `status`: the code, e.g. 429, 403, 500, 503.")
    retry_after: float | str | None = Field(
        None, description="For `status` and `too_many_…`: the Retry-After header, seconds or a date."
    )
    seconds: float | None = Field(
        None, ge=0, le=600, description="For `delay`, `timeout` and `drip`: how long the answer, or each byte, waits."
    )
    keep: float = Field(
        0.5, ge=0, lt=1, description="For `cut` and `wrong_length`: the share that is sent, or promised."
    )
    location: str | None = Field(None, description="For `redirect` and `off_site`: where to.")
    size: int = Field(500_000_000, ge=1, description="For `huge` and `gzip_bomb`: the bytes, unpacked.")

    @field_validator("kind", "among")
    @classmethod
    def _known(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            if name not in KINDS or (name == "random" and not isinstance(value, str)):
                raise ValueError(f"no fault {name!r}: choose from {', '.join(KINDS)}")
        return value


class Faults:
    """The faults in force; thread-safe. The first one that matches and strikes wins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[_InForce] = []

    def add(self, *specs: dict[str, Any]) -> None:
        """Switch on the faults that `specs` describe, all or none; pydantic's ValidationError says what is wrong."""
        faults = [Fault.model_validate(spec) for spec in specs]
        with self._lock:
            self._faults += map(_InForce, faults)

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults = []

    def next_for(self, target: str) -> Fault | None:
        """The fault that strikes the request for `target` (path with query), counted as a strike; None if none does.

        Its `kind` is never `random`, and its `seed` is for whatever of it is left to chance.
        """
        with self._lock:
            for fault in self._faults:
                if (struck := fault.strike(target)) is not None:
                    return struck
        return None

    def report(self) -> list[dict[str, Any]]:
        """The faults in force with how often each was asked (`matched`), struck (`struck`), and as what (`kinds`)."""
        with self._lock:
            return [
                {**f.fault.model_dump(), "matched": f.matched, "struck": f.struck.total(), "kinds": dict(f.struck)}
                for f in self._faults
            ]


class _InForce:
    """A fault and what it has done so far."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self.matched = fault, 0
        self.struck: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()

    def strike(self, target: str) -> Fault | None:
        fault = self.fault
        if not target.startswith(fault.path) or not KINDS[fault.kind].strikes.match(target):
            return None
        self.matched += 1
        self._asked[target] += 1
        if self.matched <= fault.skip or (fault.count is not None and self.struck.total() >= fault.count):
            return None
        chance = random.Random(f"{fault.seed} {self._asked[target]} {target}")
        if fault.probability < 1 and chance.random() >= fault.probability:
            return None
        kind = fault.kind
        if kind == "random":
            possible = [name for name in fault.among if KINDS[name].strikes.match(target)]
            if not possible:
                return None
            kind = chance.choice(possible)
        self.struck[kind] += 1
        return fault.model_copy(update={"kind": kind, "seed": chance.getrandbits(32)})
