"""`malsugoi run` as a whole, in real processes, on a small replica: from nothing to recommendations.

The story: 120 titles and 45 users in three batches. The first run makes everything; the second asks for no page;
runs killed in the middle and run again end with the same tables; a reader never sees a broken state.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from malsugoi_assets.mal.replica import ensure_replica, stop_replica
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.support.shared import shared_path

pytestmark = pytest.mark.slow
TITLES, USERS, BATCH = 120, 45, 15


def environment(data_dir: Path) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MALSUGOI_", "DAGSTER_"))}
    return {
        **keep,
        "MALSUGOI_DATA_DIR": str(data_dir),
        "MALSUGOI_BATCH_SIZE": str(BATCH),
        "OMP_NUM_THREADS": "1",
    }


def start(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "malsugoi_assets.app", "run"],
        cwd=data_dir.parent,
        env=environment(data_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(data_dir: Path) -> str:
    process = start(data_dir)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


def log_of(url: str) -> list[dict[str, object]]:
    with urllib.request.urlopen(f"{url}/_control/log") as answer:
        found = json.load(answer)
    return list(found["requests"] if isinstance(found, dict) else found)


def pages_asked(url: str) -> int:
    return sum("_control" not in str(entry["path"]) for entry in log_of(url))


def contents(data_dir: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table without the columns that say when, and without the port that the replica happened to get."""
    path = DataDir(data_dir).publisher.current()
    assert path is not None
    with duckdb.connect(str(path), read_only=True) as con:
        chance = {
            name: (*table.volatile, *(["url"] if "url" in table.column_names else []))
            for name, table in TABLES.items()
        }
        return {
            name: con.execute(
                f"SELECT * EXCLUDE ({', '.join(chance[name])}) FROM {name} ORDER BY ALL"
                if chance[name]
                else f"FROM {name} ORDER BY ALL"
            ).fetchall()
            for name, table in TABLES.items()
            if table.published
        }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A data dir after its first run, and the replica's address."""
    data_dir = tmp_path_factory.mktemp("undisturbed") / "data"
    url = ensure_replica(data_dir, n_anime=TITLES, n_users=USERS, seed=3)
    run(data_dir)
    yield data_dir, url
    stop_replica(data_dir)


def test_everything_is_made(finished: tuple[Path, str]) -> None:
    found = contents(finished[0])
    assert [name for name, rows in found.items() if not rows] == []
    assert len(found["users"]) == USERS
    assert len({row[1] for row in found["users"]}) == USERS // BATCH


def test_the_contract_holds(finished: tuple[Path, str]) -> None:
    check = shared_path("pages").parent.parent / "checks" / "contract_check.py"
    done = subprocess.run([sys.executable, str(check), str(finished[0])], capture_output=True, text=True, check=False)
    # The only thing that may fall short is the size of this test's world.
    findings = [line for line in done.stdout.splitlines()[:-1] if not line.startswith("replica:")]
    assert findings == [], done.stdout


def test_a_second_run_asks_for_no_page_and_changes_nothing(finished: tuple[Path, str]) -> None:
    data_dir, url = finished
    before, asked = contents(data_dir), pages_asked(url)
    output = run(data_dir)
    assert pages_asked(url) == asked
    assert "✓" not in output
    assert contents(data_dir) == before


def test_runs_that_are_killed_and_run_again_end_like_an_undisturbed_one(
    finished: tuple[Path, str], tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    ensure_replica(data_dir, n_anime=TITLES, n_users=USERS, seed=3)
    moments = random.Random(5)
    try:
        for _ in range(3):
            process = start(data_dir)
            time.sleep(moments.uniform(2.5, 9))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            current = DataDir(data_dir).publisher.current()
            if current is not None:
                with duckdb.connect(str(current), read_only=True) as con:
                    assert con.execute("FROM headline").fetchall()
        run(data_dir)
        assert contents(data_dir) == contents(finished[0])
    finally:
        stop_replica(data_dir)
