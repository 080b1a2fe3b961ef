"""The shared pace: slots in a row, over processes and crashes, and the common cool-down."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest

from malsugoi_assets.mal.limiter import Limiter
from malsugoi_tests.support.sites import Clock


def limiter(path: Path, clock: Clock, rate: float | None = 2.0) -> Limiter:
    return Limiter(path, rate, clock=clock, sleep=clock.sleep)


def test_requests_come_one_interval_apart(tmp_path: Path) -> None:
    clock = Clock()
    pace = limiter(tmp_path, clock)
    moments = []
    for _ in range(4):
        pace.acquire()
        moments.append(clock.now)
    assert [round(b - a, 6) for a, b in itertools.pairwise(moments)] == [0.5, 0.5, 0.5]


def test_two_limiters_of_one_state_dir_share_the_slots(tmp_path: Path) -> None:
    clock = Clock()
    one, two = limiter(tmp_path, clock), limiter(tmp_path, clock)
    start = clock.now
    for _ in range(3):
        one.acquire()
        two.acquire()
    assert clock.now - start == pytest.approx(2.5)


def test_without_a_rate_nobody_waits(tmp_path: Path) -> None:
    clock = Clock()
    pace = limiter(tmp_path, clock, None)
    for _ in range(100):
        pace.acquire()
    assert clock.slept == []


def test_everybody_sits_out_a_cool_down(tmp_path: Path) -> None:
    clock = Clock()
    one, two = limiter(tmp_path, clock, None), limiter(tmp_path, clock, None)
    one.cool_down(30)
    one.cool_down(5)
    two.acquire()
    assert clock.slept == [30]
    two.acquire()
    assert clock.slept == [30]


@pytest.mark.parametrize("content", ["", "soon", "nan-", "9e99"])
def test_a_broken_state_file_stops_nobody_for_ever(tmp_path: Path, content: str) -> None:
    clock = Clock()
    pace = limiter(tmp_path, clock)
    for name in ("next_slot", "cool_down_until"):
        (tmp_path / name).write_text(content)
    pace.acquire()
    assert sum(clock.slept) < 1


def test_a_clock_that_was_set_back_stops_nobody_for_ever(tmp_path: Path) -> None:
    clock = Clock()
    limiter(tmp_path, clock).acquire()
    clock.now -= 30 * 86_400
    limiter(tmp_path, clock).acquire()
    assert sum(clock.slept) < 1


def test_a_rate_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Limiter(tmp_path, 0)


def test_processes_share_the_pace_and_one_that_is_killed_holds_up_nobody(tmp_path: Path) -> None:
    """Two processes take slots at 50 a second; a third is killed with -9 while it takes them."""
    code = (
        "import sys, time; from pathlib import Path; from malsugoi_assets.mal.limiter import Limiter\n"
        "pace = Limiter(Path(sys.argv[1]), 50)\n"
        "for _ in range(int(sys.argv[2])):\n    pace.acquire(); print(time.time(), flush=True)\n"
    )

    def start(count: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(count)], stdout=subprocess.PIPE, text=True
        )

    doomed = start(100_000)
    assert doomed.stdout is not None
    doomed.stdout.readline()
    doomed.kill()
    doomed.wait()
    began = time.monotonic()
    workers = [start(15), start(15)]
    moments = sorted(float(line) for worker in workers for line in worker.communicate(timeout=20)[0].split())
    assert len(moments) == 30
    assert moments[-1] - moments[0] >= 29 / 50 - 0.03
    assert time.monotonic() - began < 10
