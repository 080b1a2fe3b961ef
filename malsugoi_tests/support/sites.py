"""Sites and clocks for tests: a replica in a thread of this process, one in a process, a clock that sleeping moves."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from malsugoi_assets.mal.client import MalClient
from malsugoi_assets.mal.replica.server import Server, Site
from malsugoi_assets.mal.replica.world import World


@dataclass
class Clock:
    """Seconds since the epoch that pass only when somebody sleeps."""

    now: float = 1_750_000_000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Replica:
    """A running replica, with its control door as methods."""

    url: str
    world: World

    def control(self, method: str, door: str, payload: object = None) -> Any:
        answer = requests.request(method, f"{self.url}/_control/{door}", json=payload, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def fault(self, **spec: object) -> None:
        self.control("POST", "faults", spec)

    def heal(self) -> None:
        self.control("DELETE", "faults")

    def asked(self) -> list[str]:
        """The paths that were asked for since the log was last cleared."""
        return [entry["path"] for entry in self.control("GET", "log")]

    def forget_log(self) -> None:
        self.control("DELETE", "log")

    def client(self, state_dir: Path, **options: Any) -> MalClient:
        """A client whose sleeps cost nothing."""
        clock = Clock()
        options = {"requests_per_second": None, "clock": clock, "sleep": clock.sleep, **options}
        return MalClient(self.url, state_dir=state_dir, **options)


@contextlib.contextmanager
def running_replica(seed: int = 0, n_anime: int = 700, n_users: int = 300) -> Iterator[Replica]:
    """A replica in a thread of this process."""
    world = World(seed, n_anime, n_users)
    server = Server(Site(world, "test"))
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield Replica(server.url, world)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
