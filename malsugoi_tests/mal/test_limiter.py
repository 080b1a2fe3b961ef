"""The shared pace: slots in a row, over processes and crashes, and the common cool-down."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from malsugoi_assets.mal.limiter import SLACK, CoolDown, Limiter
from malsugoi_tests.support.sites import Clock


def limiter(path: Path, clock: Clock, rate: float | None = 2.0, **options: int) -> Limiter:
    return Limiter(path, rate, clock=clock, sleep=clock.sleep, **options)


def test_requests_come_one_interval_apart(tmp_path: Path) -> None:
    clock = Clock()
    pace = limiter(tmp_path, clock)
    moments = []
    for _ in range(4):
        moments.append(pace.acquire())
        pace.arrived(moments[-1])
    assert [round(b - a, 6) for a, b in itertools.pairwise(moments)] == [0.505] * 3


def test_two_limiters_of_one_state_dir_share_the_slots(tmp_path: Path) -> None:
    clock = Clock()
    one, two = limiter(tmp_path, clock), limiter(tmp_path, clock)
    start = clock.now
    for _ in range(3):
        one.arrived(one.acquire())
        two.arrived(two.acquire())
    assert clock.now - start == pytest.approx(5 * 0.5 * SLACK)


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


def test_an_interval_begins_when_the_answer_does_and_a_quarter_late_at_most(tmp_path: Path) -> None:
    """Under load a request reached the site 100 ms after it left, the next at once: two within a second at 1/s."""
    clock = Clock()
    one, two = limiter(tmp_path, clock), limiter(tmp_path, clock)
    first = one.acquire()
    clock.now += 0.1
    one.arrived(first)
    second = two.acquire()
    assert second - first == pytest.approx(0.1 + 0.5 * SLACK, abs=1e-5)
    third = one.acquire()
    assert third - second == pytest.approx(1.25 * 0.5 * SLACK, abs=0.02)
    two.arrived(second)
    one.arrived(third)
    assert two.acquire() - third == pytest.approx(0.5 * SLACK, abs=1e-5)


def test_a_request_that_leaves_late_moves_the_next_one_too(tmp_path: Path) -> None:
    """Slots that were handed out ahead came closer together than allowed when a process woke up late for its own."""
    clock = Clock()
    slow, quick = limiter(tmp_path, clock), limiter(tmp_path, clock)
    late = Limiter(tmp_path, 2.0, clock=clock, sleep=lambda seconds: clock.sleep(seconds + 0.4))
    slow.acquire()
    moments = [late.acquire(), quick.acquire()]
    assert moments[1] - moments[0] >= 0.5


@pytest.mark.parametrize(
    "content", ["", "soon", "1 2", "nan nan nan nan nan 0", "9e99 9e99 9e99 9e99 9e99 9", "inf 0 0 0 0 0", "x" * 999]
)
def test_a_broken_state_file_stops_nobody_for_ever(tmp_path: Path, content: str) -> None:
    clock = Clock()
    pace = limiter(tmp_path, clock)
    (tmp_path / "limiter").write_text(content)
    for _ in range(3):
        pace.acquire()
    assert sum(clock.slept) < 2


def test_a_state_file_that_cannot_be_half_written_is_one_line_of_one_length(tmp_path: Path) -> None:
    clock = Clock()
    pace = limiter(tmp_path, clock)
    pace.acquire()
    before = os.stat(tmp_path / "limiter").st_size
    pace.refused(pace.acquire(), lambda _: 86_400.0)
    assert (
        os.stat(tmp_path / "limiter").st_size == before == len((tmp_path / "limiter").read_text().splitlines()[0]) + 1
    )


def test_after_a_refusal_everybody_pauses_and_then_one_finds_out(tmp_path: Path) -> None:
    """The second one waits until the first has its answer, or is known to be dead."""
    clock = Clock()
    one, two = limiter(tmp_path, clock, None), limiter(tmp_path, clock, None)
    assert one.refused(one.acquire(), lambda refusals: 10.0 * refusals) == 1
    left_at = one.acquire()
    assert clock.slept == [10]
    waits = Limiter(tmp_path, None, clock=clock, sleep=lambda _: one.answered(left_at))
    assert waits.acquire() == left_at
    one.refused(one.acquire(), lambda _: 1.0)
    one.acquire()
    before = clock.now
    assert two.acquire() > before + 60


def test_requests_that_were_under_way_together_are_refused_together(tmp_path: Path) -> None:
    clock = Clock()
    one, two = limiter(tmp_path, clock, None), limiter(tmp_path, clock, None)
    both = one.acquire(), two.acquire()
    clock.now += 1
    assert one.refused(both[0], lambda _: 5.0) == 1
    assert two.refused(both[1], lambda _: 500.0) == 1
    assert one.cool_until() == clock.now + 5
    two.answered(both[1])
    assert one.cool_until() == clock.now + 5


def test_a_request_that_fails_otherwise_lets_the_next_one_find_out(tmp_path: Path) -> None:
    clock = Clock()
    one, two = limiter(tmp_path, clock, None), limiter(tmp_path, clock, None)
    one.refused(one.acquire(), lambda _: 5.0)
    one.unanswered(one.acquire())
    two.acquire(longest=0)
    assert clock.slept == [5]


def test_a_site_that_is_closed_is_asked_by_newcomers_only_and_after_the_pause(tmp_path: Path) -> None:
    clock = Clock()
    old = limiter(tmp_path, clock, None, most_refusals=2)
    for _ in range(2):
        old.refused(old.acquire(), lambda _: 60.0)
    with pytest.raises(CoolDown):
        old.acquire()
    new = limiter(tmp_path, clock, None, most_refusals=2)
    left_at = new.acquire(longest=100)
    assert clock.slept == [60, 60]
    new.answered(left_at)
    old.acquire(longest=0)


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
        "for _ in range(int(sys.argv[2])):\n    pace.arrived(pace.acquire()); print(time.time(), flush=True)\n"
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
    assert moments[-1] - moments[0] >= 29 * SLACK / 50 - 0.02
    assert all(later - earlier > 0 for earlier, later in itertools.pairwise(moments))
    assert time.monotonic() - began < 10
