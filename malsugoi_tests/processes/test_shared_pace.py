"""Four processes at once under one limit, as the replica's own log saw them: pace, a common pause, and a block."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from malsugoi_assets.mal.limiter import SLACK
from malsugoi_tests.support.shared import REPO
from malsugoi_tests.support.sites import Replica, running_replica

PROCESSES = 4
RATE = float(os.environ.get("MALSUGOI_TEST_RATE", "20"))
ASK = """
import json, sys
from pathlib import Path
from malsugoi_assets.mal import client, limiter
url, state_dir, rate, first, count = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]), *map(int, sys.argv[4:])
left, acquire = [], limiter.Limiter.acquire
def noted(self, longest=0.0):
    left.append(acquire(self, longest))
    return left[-1]
limiter.Limiter.acquire = noted
asking = client.MalClient(url, requests_per_second=rate, state_dir=state_dir, jitter=lambda: 0.5, back_off=0.1,
    block_pause=1, max_wait=3)
stopped = []
sys.stdin.readline()
for number in range(first, first + count):
    try:
        asking.get(f"/anime/{number}")
    except client.Blocked as error:
        stopped.append(str(error))
print(json.dumps({"left": left, "stopped": stopped}))
"""


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with running_replica(n_anime=20, n_users=2) as running:
        yield running


def ask(replica: Replica, state_dir: Path, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(what each process says, the replica's log) of four processes that ask for `count` pages each."""
    replica.forget_log()
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, replica.url, str(state_dir), str(RATE), str(1000 * number), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"},
        )
        for number in range(PROCESSES)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = [json.loads(worker.communicate(timeout=300)[0]) for worker in workers]
    return said, replica.control("GET", "log")


def most_in_a_second(moments: list[float]) -> int:
    """The most that any second, starting whenever, holds."""
    return max(sum(start <= moment < start + 1 for moment in moments) for start in moments)


def test_four_processes_together_keep_the_limit(replica: Replica, tmp_path: Path) -> None:
    """Departures keep it exactly; for arrivals on a very busy machine one more may slip into a second."""
    replica.heal()
    said, log = ask(replica, tmp_path, 10)
    left = sorted(moment for one in said for moment in one["left"])
    assert len(log) == len(left) == PROCESSES * 10
    assert min(b - a for a, b in pairwise(left)) >= SLACK / RATE - 1e-4
    seen = most_in_a_second([entry["time"] for entry in log])
    print(f"at {RATE:g}/s: at most {seen} in a second, over {log[-1]['time'] - log[0]['time']:.1f} s")
    assert seen <= RATE + 1
    assert sum(one["left"] != [] for one in said) == PROCESSES


def test_a_429_makes_all_four_pause_as_long_as_the_site_says(replica: Replica, tmp_path: Path) -> None:
    replica.heal()
    replica.fault(kind="too_many_seconds", retry_after=1, skip=6, count=1)
    _, log = ask(replica, tmp_path, 4)
    (at,) = (number for number, entry in enumerate(log) if entry["status"] == 429)
    moments = [entry["time"] for entry in log]
    # What had left before the answer came may still arrive; then nothing for a second.
    under_way = [moment for moment in moments[at + 1 :] if moment < moments[at] + 0.9]
    assert len(under_way) < PROCESSES
    assert len(log) == PROCESSES * 4 + 1


def test_nobody_asks_past_a_block(replica: Replica, tmp_path: Path) -> None:
    """Three requests find out, a pause apart, however many processes there are; with those under way at its start."""
    replica.heal()
    replica.fault(kind="block_page", skip=8)
    said, log = ask(replica, tmp_path, 12)
    refused = [entry["time"] for entry in log if entry.get("fault") == "block_page"]
    first, *probes = [moment for moment in refused if moment == refused[0] or moment > refused[0] + 0.9]
    assert len(refused) <= 3 + PROCESSES - 1
    assert [probe > first + pause for probe, pause in zip(probes, (0.9, 2.9), strict=True)] == [True, True]
    assert all("wants a pause until" in one["stopped"][-1] for one in said)
