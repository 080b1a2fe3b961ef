"""The six jobs by `dagster job execute`, from nothing and in order, and what a wrong partition key ends in."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from malsugoi_assets.mal.replica import ensure_replica, stop_replica
from malsugoi_tests.support.processes import DAGSTER, batch, control, environment, execute, pages_asked, query

pytestmark = pytest.mark.slow
MADE = {
    "catalogue": ("raw_anime_pages", "anime_features", "anime_relations"),
    "discover_users": ("users",),
    "user_batch": ("user_lists", "rating_matrix"),
    "collaborative_filtering": ("similarity_matrix", "item_weights", "cf_metrics"),
    "deep_model": ("dnn_model", "dnn_metrics"),
    "batch_predictions": ("cf_predictions", "title_marks", "recommendations"),
}
"""What stands in each job's tables afterwards, in the order in which a person runs them."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A data dir that nothing was done in yet, and its replica's address."""
    data_dir = tmp_path_factory.mktemp("jobs") / "data"
    (data_dir / "dagster").mkdir(parents=True)
    yield data_dir, ensure_replica(data_dir, n_anime=60, n_users=20, seed=3)
    stop_replica(data_dir)


def run_job(data_dir: Path, job: str) -> None:
    """Run it (on the one batch of the 20 users, batch-000000) and see that its tables have rows."""
    done = execute(data_dir, job, *(batch("batch-000000") if job in ("user_batch", "batch_predictions") else ()))
    assert done.returncode == 0, done.stdout
    rows = {table: query(data_dir, f"SELECT count(*) FROM {table}")[0][0] for table in MADE[job]}
    assert [table for table, count in rows.items() if not count] in ([], ["title_marks"]), rows  # nobody marks here


@pytest.mark.parametrize("job", ["catalogue", "discover_users"])
def test_the_first_jobs_make_their_tables(world: tuple[Path, str], job: str) -> None:
    run_job(world[0], job)


def test_a_run_that_is_terminated_ends_within_seconds_and_is_not_retried(world: tuple[Path, str]) -> None:
    """Under the in-process executor a retry policy took the signal for a failure, and began the step anew."""
    data_dir, url = world
    control(url, "faults", {"kind": "delay", "path": "/animelist/", "seconds": 1})
    process = subprocess.Popen(
        [*DAGSTER, "job", "execute", "-m", "malsugoi_assets.definitions", "-j", "user_batch", *batch("batch-000000")],
        cwd=data_dir.parent,
        env=environment(data_dir, DAGSTER_HOME=str(data_dir / "dagster")),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 120
        while not any(path.startswith("/animelist/") for path in pages_asked(url)) and time.monotonic() < until:
            assert process.poll() is None
            time.sleep(0.1)
        process.terminate()
        process.wait(timeout=120)
    finally:
        process.kill()
        process.wait()
        control(url, "faults", method="DELETE")
    asked = [path for path in pages_asked(url) if path.startswith("/animelist/")]
    assert len(asked) < 20
    with dg.DagsterInstance.from_config(str(data_dir / "dagster")) as instance:
        newest = instance.get_runs(limit=1)[0]
    assert (newest.job_name, newest.status) in [
        ("user_batch", dg.DagsterRunStatus.CANCELED),
        ("user_batch", dg.DagsterRunStatus.FAILURE),
    ]


@pytest.mark.parametrize("job", ["user_batch", "collaborative_filtering", "deep_model", "batch_predictions"])
def test_the_other_jobs_make_their_tables(world: tuple[Path, str], job: str) -> None:
    run_job(world[0], job)


def test_no_page_was_asked_for_twice(world: tuple[Path, str]) -> None:
    """But the list that was under way when a run was terminated."""
    asked = Counter(path for path in pages_asked(world[1]) if path.startswith(("/anime/", "/animelist/")))
    assert sum(times > 1 for times in asked.values()) <= 1


@pytest.mark.parametrize(
    ("job", "options", "sentence"),
    [
        ("user_batch", (), "This works on batches of users: name one partition, e.g. batch-000000."),
        ("user_batch", batch("../../x"), "'../../x' is not a batch of users: a key looks like batch-000000."),
        (
            "batch_predictions",
            batch("batch-000007"),
            "'batch-000007' is not registered: discover users first, or choose one of user_batches.",
        ),
    ],
    ids=["missing", "malformed", "unregistered"],
)
def test_a_wrong_partition_key_ends_in_one_sentence_before_any_request(
    world: tuple[Path, str], job: str, options: tuple[str, ...], sentence: str
) -> None:
    """Dagster itself runs the body first, and fails afterwards with an error about ranges."""
    data_dir, url = world
    before = pages_asked(url)
    done = execute(data_dir, job, *options)
    assert done.returncode == 1
    last_block = done.stdout[done.stdout.rindex("RUN_FAILURE") :]
    assert f"Failure: {sentence}\n" in last_block
    assert "caused by" not in last_block
    assert pages_asked(url) == before
