"""Every query of the documentation runs as it stands, on the database of a real run."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from malsugoi_assets.mal.replica import ensure_replica, stop_replica
from malsugoi_tests.support.processes import query, run
from malsugoi_tests.support.shared import REPO

PAGES = [REPO / "README.md", *sorted((REPO / "docs").glob("*.md"))]
MAY_BE_EMPTY = ("SEMI JOIN user_lists", "error IS NOT NULL OR http_status", "NOT IN ('ok', 'empty')")


def queries(page: Path) -> list[str]:
    blocks = re.findall(r"```sql\n(.*?)```", page.read_text(), re.S)
    return [part.strip() for block in blocks for part in block.split(";\n") if part.strip()]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("cookbook") / "data"
    ensure_replica(data_dir, n_anime=120, n_users=60, seed=5)
    try:
        run(data_dir, MALSUGOI_BATCH_SIZE="30")
    finally:
        stop_replica(data_dir)
    return data_dir


def test_there_are_as_many_queries_as_a_newcomer_wants() -> None:
    assert len(queries(REPO / "docs" / "cookbook.md")) >= 15


@pytest.mark.parametrize("sql", [sql for page in PAGES for sql in queries(page)])
def test_it_runs_and_shows_something(data_dir: Path, sql: str) -> None:
    try:
        rows = query(data_dir, sql)
    except duckdb.Error as error:
        pytest.fail(f"{error}\n{sql}")
    if "SEMI JOIN user_lists" in sql:
        assert rows == []
    elif "'before its prequel'" in sql:
        assert [row[1] for row in rows] == [0, 0, 0]
    elif not any(words in sql for words in MAY_BE_EMPTY):
        assert rows
