"""`dagster dev` at work: users appear on the site, are discovered, and everything of theirs follows by itself.

Also where everything that runs is killed with -9 in the middle of reading their lists, and started again. The sensors
look every 30 seconds, so this takes minutes; the tests poll, and sleep no longer than they must.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import RunsFilter

from malsugoi_assets.automation.jobs import JOB_ASSETS
from malsugoi_assets.automation.state import UNDER_WAY
from malsugoi_assets.mal.replica import ensure_replica, stop_replica
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_tests.support.dagster_dev import DagsterDev
from malsugoi_tests.support.processes import control, execute, pages_asked, query, run

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 420.0
NEW_USERS = 20
SETTINGS = {"MALSUGOI_BATCH_SIZE": str(NEW_USERS)}


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DagsterDev, str]]:
    """`dagster dev` on a small data dir that is finished, and the replica's address."""
    data_dir = tmp_path_factory.mktemp("dev") / "data"
    url = ensure_replica(data_dir, n_anime=60, n_users=2 * NEW_USERS, seed=3)
    running = DagsterDev(data_dir, SETTINGS)
    try:
        run(data_dir, **SETTINGS)
        running.start()
        yield running, url
    finally:
        running.kill()
        stop_replica(data_dir)
        assert running.descendants() == []


def wait_until(what: str, done: Callable[[], bool], dev: DagsterDev) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < until, f"{what}: not after {PATIENCE_SECONDS:.0f} s\n{dev.last_words()}"
        dev.check_alive()
        time.sleep(0.25)


def is_settled(data_dir: Path, batch: str) -> bool:
    """Whether the batch has its lists and all predictions are made from what there is, with nothing under way."""
    lake = DataDir(data_dir).lake
    keys = lake.partitions("rating_matrix")
    if batch not in keys or not all(lake.is_current(t, k) for k in keys for t in JOB_ASSETS["batch_predictions"]):
        return False
    with dg.DagsterInstance.from_config(str(data_dir / "dagster")) as instance:
        return not instance.get_runs(RunsFilter(statuses=UNDER_WAY))


def lists_of(data_dir: Path) -> dict[str, tuple[object, int]]:
    """Each batch's lists: what the file says of itself, and when it was written."""
    lake = DataDir(data_dir).lake
    return {
        key: (lake.provenance("user_lists", key), lake.path("user_lists", key).stat().st_mtime_ns)
        for key in lake.partitions("user_lists")
    }


def add_and_discover(data_dir: Path, url: str) -> list[str]:
    control(url, "log", method="DELETE")
    added = control(url, "users", {"add": NEW_USERS})["added"]
    discovered = execute(data_dir, "discover_users", **SETTINGS)
    assert discovered.returncode == 0, discovered.stdout
    return list(added)


def assert_complete(data_dir: Path, batch: str, users: list[str]) -> None:
    assert sorted(query(data_dir, f"SELECT username FROM users WHERE user_batch = '{batch}'")) == sorted(
        (name,) for name in users
    )
    assert query(data_dir, f"FROM users WHERE user_batch = '{batch}' AND list_status IS NULL") == []
    readers = query(data_dir, f"SELECT username FROM users WHERE user_batch = '{batch}' AND rated > 0 ORDER BY 1")
    assert len(readers) > NEW_USERS / 2
    for table in ("user_lists", "rating_matrix", "cf_predictions", "recommendations"):
        found = query(data_dir, f"SELECT DISTINCT username FROM {table} WHERE user_batch = '{batch}' ORDER BY 1")
        assert set(readers) <= set(found), table


def asked_twice(url: str) -> list[str]:
    """Detail and list pages that were asked for more than once."""
    return [
        path
        for path, times in Counter(pages_asked(url)).items()
        if times > 1 and path.startswith(("/anime/", "/animelist/"))
    ]


def test_users_who_appear_get_everything_without_another_touch(dev: tuple[DagsterDev, str]) -> None:
    running, url = dev
    before = lists_of(running.data_dir)
    added = add_and_discover(running.data_dir, url)
    wait_until("the new batch", lambda: is_settled(running.data_dir, "batch-000002"), running)
    assert_complete(running.data_dir, "batch-000002", added)
    assert {key: lists_of(running.data_dir)[key] for key in before} == before
    assert asked_twice(url) == []
    assert not [path for path in pages_asked(url) if path.startswith("/anime/")]


def test_the_same_where_all_was_killed_in_the_middle_and_started_again(dev: tuple[DagsterDev, str]) -> None:
    """The run of a killed process stays STARTED in Dagster for good: it must not stand in the way of another."""
    running, url = dev
    before = lists_of(running.data_dir)
    control(url, "faults", {"kind": "delay", "path": "/animelist/", "seconds": 0.5})
    added = add_and_discover(running.data_dir, url)

    def lists_asked() -> int:
        return sum(path.startswith("/animelist/") for path in pages_asked(url))

    wait_until("some lists", lambda: lists_asked() >= NEW_USERS / 4, running)
    running.kill()
    assert lists_asked() < NEW_USERS, "killed too late to show anything"
    assert "batch-000003" not in DataDir(running.data_dir).lake.partitions("user_lists")
    control(url, "faults", method="DELETE")
    running.start()
    wait_until("the new batch", lambda: is_settled(running.data_dir, "batch-000003"), running)
    assert_complete(running.data_dir, "batch-000003", added)
    assert {key: lists_of(running.data_dir)[key] for key in before} == before
    assert len(asked_twice(url)) <= 1, "more than the one page that was under way when all was killed"
