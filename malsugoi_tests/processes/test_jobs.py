"""The six jobs by `dagster job execute`, from nothing and in order, and what a wrong partition key ends in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from malsugoi_assets.mal.replica import ensure_replica, stop_replica
from malsugoi_tests.support.processes import batch, execute, pages_asked, query

pytestmark = pytest.mark.slow
MADE = {
    "catalogue": ("raw_anime_pages", "anime_features", "anime_relations"),
    "discover_users": ("users",),
    "user_batch": ("user_lists", "rating_matrix"),
    "collaborative_filtering": ("similarity_matrix", "item_weights", "cf_metrics"),
    "deep_model": ("dnn_model", "dnn_metrics"),
    "batch_predictions": ("cf_predictions", "recommendations"),
}
"""What stands in each job's tables afterwards, in the order in which a person runs them."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A data dir that nothing was done in yet, and its replica's address."""
    data_dir = tmp_path_factory.mktemp("jobs") / "data"
    (data_dir / "dagster").mkdir(parents=True)
    yield data_dir, ensure_replica(data_dir, n_anime=60, n_users=20, seed=3)
    stop_replica(data_dir)


@pytest.mark.parametrize("job", MADE)
def test_a_job_makes_its_tables(world: tuple[Path, str], job: str) -> None:
    """In this order; the one batch of the 20 users is batch-000000."""
    data_dir, _ = world
    options = batch("batch-000000") if job in ("user_batch", "batch_predictions") else ()
    done = execute(data_dir, job, *options)
    assert done.returncode == 0, done.stdout
    rows = {table: query(data_dir, f"SELECT count(*) FROM {table}")[0][0] for table in MADE[job]}
    assert all(rows.values()), rows


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
