"""Faults on demand: what can go wrong between a client and the site, switched on by path, count or chance.

Pure bookkeeping; the server acts on what `Faults.next_for` returns.
"""

from __future__ import annotations

import random
import threading
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["status", "cut", "delay", "captcha", "reset", "redirect"]


class Fault(BaseModel):
    """One fault. It strikes requests whose path with query starts with `path`, after `skip` of them, `count` times."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind = Field(description="What happens instead of, or to, the answer.")
    path: str = Field(
        "/", description="Start of the path with query, e.g. `/animelist/` or `/topanime.php?limit=50`."
    )
    count: int | None = Field(
        None, ge=1, description="Strikes this many times, then never again; none: until cleared."
    )
    skip: int = Field(0, ge=0, description="Lets this many matching requests through first.")
    probability: float = Field(1.0, gt=0, le=1, description="The chance of each strike, drawn from `seed`.")
    seed: int = Field(0, description="Seed of the draws.")
    status: int = Field(500, ge=300, le=599, description="For `status`: the code, e.g. 429, 403, 500, 503.")
    retry_after: float | str | None = Field(
        None, description="For `status`: the Retry-After header, seconds or a date."
    )
    seconds: float = Field(1.0, ge=0, le=600, description="For `delay`: how long the answer waits.")
    keep: float = Field(0.5, ge=0, lt=1, description="For `cut`: the share of the body that is sent before the end.")
    location: str = Field("/", description="For `redirect`: where to, on this site or another.")


class Faults:
    """The faults in force; thread-safe. The first one that matches and strikes wins."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[tuple[Fault, random.Random, list[int]]] = []

    def add(self, *specs: dict[str, Any]) -> None:
        """Switch on the faults that `specs` describe, all or none; pydantic's ValidationError says what is wrong."""
        faults = [Fault.model_validate(spec) for spec in specs]
        with self._lock:
            self._faults += [(fault, random.Random(fault.seed), [0, 0]) for fault in faults]

    def clear(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults = []

    def next_for(self, target: str) -> Fault | None:
        """The fault that strikes the request for `target` (path with query), counted as a strike; None if none does."""
        with self._lock:
            for fault, chance, counts in self._faults:
                if not target.startswith(fault.path):
                    continue
                counts[0] += 1
                if counts[0] <= fault.skip or (fault.count is not None and counts[1] >= fault.count):
                    continue
                if fault.probability < 1 and chance.random() >= fault.probability:
                    continue
                counts[1] += 1
                return fault
        return None

    def report(self) -> list[dict[str, Any]]:
        """The faults in force with how often each was asked (`matched`) and struck (`struck`)."""
        with self._lock:
            return [
                {**fault.model_dump(), "matched": counts[0], "struck": counts[1]} for fault, _, counts in self._faults
            ]
