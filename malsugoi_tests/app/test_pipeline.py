"""`malsugoi run` as a whole, in real processes, on a small replica: from nothing to recommendations.

The story: 120 titles and 45 users in three batches. The first run makes everything while a stranger opens the database
100 times a second; the second asks for no page; runs killed in the middle and run again end with the same tables.

MALSUGOI_TEST_KILLS says how many runs are killed (3 by default; the acceptance is 20, some twenty minutes).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from malsugoi_assets.mal.replica import ensure_replica, stop_replica
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_tests.support.processes import contents, environment, pages_asked, query, run, start
from malsugoi_tests.support.shared import REPO, shared_path

pytestmark = pytest.mark.slow
TITLES, USERS, BATCH = 120, 45, 15
KILLS = int(os.environ.get("MALSUGOI_TEST_KILLS", "3"))
SETTINGS = {"MALSUGOI_BATCH_SIZE": str(BATCH)}


@dataclass(frozen=True)
class Finished:
    """A data dir after its first run, the replica's address, how long the run took, what a reader saw meanwhile."""

    data_dir: Path
    url: str
    seconds: float
    reader: dict[str, Any]


def new_world(data_dir: Path) -> str:
    return ensure_replica(data_dir, n_anime=TITLES, n_users=USERS, seed=3)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    home = tmp_path_factory.mktemp("undisturbed")
    data_dir, report = home / "data", home / "report.json"
    url = new_world(data_dir)
    reader = subprocess.Popen(
        [sys.executable, "-m", "malsugoi_tests.support.reader", str(data_dir / "malsugoi.duckdb"), str(report)],
        cwd=REPO,
        env=environment(data_dir),
        stdin=subprocess.PIPE,
    )
    try:
        begun = time.monotonic()
        run(data_dir, **SETTINGS)
        seconds = time.monotonic() - begun
        reader.communicate(timeout=60)
        yield Finished(data_dir, url, seconds, json.loads(report.read_text()))
    finally:
        reader.kill()
        stop_replica(data_dir)


def test_everything_is_made(finished: Finished) -> None:
    found = contents(finished.data_dir)
    assert [name for name, rows in found.items() if not rows] == ["title_marks"], "nobody has marked a title"
    assert len(found["users"]) == USERS
    assert len({row[1] for row in found["users"]}) == USERS // BATCH


def test_a_reader_sees_whole_states_only_and_never_fails(finished: Finished) -> None:
    """Opened 100 times a second during the whole run: no error, no broken reference, no half-read batch."""
    print(finished.reader)
    assert finished.reader["wrong"] == {}
    assert finished.reader["opens"] > 100
    assert finished.reader["states"] > 5


def test_the_contract_holds(finished: Finished) -> None:
    check = shared_path("pages").parent.parent / "checks" / "contract_check.py"
    command = [sys.executable, str(check), str(finished.data_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # The only thing that may fall short is the size of this test's world.
    findings = [line for line in done.stdout.splitlines()[:-1] if not line.startswith("replica:")]
    assert findings == [], done.stdout


def test_a_second_run_asks_for_no_page_and_changes_nothing(finished: Finished) -> None:
    before, asked = contents(finished.data_dir), pages_asked(finished.url)
    output = run(finished.data_dir, **SETTINGS)
    assert pages_asked(finished.url) == asked
    assert "✓" not in output
    assert contents(finished.data_dir) == before


def test_what_a_run_wrote_and_was_killed_before_publishing_is_published_by_the_next(finished: Finished) -> None:
    """All files were current, so the next run had nothing to do, and left the database without recommendations."""
    before = contents(finished.data_dir)
    (finished.data_dir / "malsugoi.duckdb").unlink()
    run(finished.data_dir, **SETTINGS)
    assert contents(finished.data_dir) == before


def test_runs_that_are_killed_and_run_again_end_like_an_undisturbed_one(finished: Finished, tmp_path: Path) -> None:
    """Each kill falls anywhere in what an undisturbed run takes; a run that ends before its kill is compared, and the
    next one begins from nothing.
    """
    data_dir, moments, killed, ended = tmp_path / "data", random.Random(KILLS), 0, 0
    undisturbed = contents(finished.data_dir)
    try:
        while killed < KILLS:
            new_world(data_dir)
            process = start(data_dir, **SETTINGS)
            try:
                output, _ = process.communicate(timeout=moments.uniform(0.5, finished.seconds))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                killed += 1
                print(f"{killed} killed, {ended} ended before their kill", flush=True)
                if DataDir(data_dir).publisher.current() is not None:
                    assert query(data_dir, "FROM headline")
                continue
            assert process.returncode == 0, output
            assert contents(data_dir) == undisturbed
            ended += 1
            stop_replica(data_dir)
            shutil.rmtree(data_dir)
        new_world(data_dir)
        run(data_dir, **SETTINGS)
        assert contents(data_dir) == undisturbed
        assert [path for path in data_dir.rglob("*.draft*") if path.is_relative_to(data_dir / "lake")] == []
    finally:
        stop_replica(data_dir)
