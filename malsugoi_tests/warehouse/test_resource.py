"""The database as assets, checks and strangers open it: new data after a publish, and the same instants everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import NOON, frame, write_lists

COUNT = "SELECT count(*) FROM users"


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    found = DataDir(tmp_path)
    write_lists(found, "batch-000000", {"ann": {1: 7}})
    return found


def warehouse_of(data_dir: DataDir) -> Warehouse:
    return Warehouse(database=str(data_dir.publisher.link), data_dir=str(data_dir.root))


def test_a_process_that_keeps_a_connection_sees_new_data_in_the_next_one(data_dir: DataDir) -> None:
    """DuckDB caches open files by name: by the link's name, a server showed the old data until it was restarted."""
    data_dir.publisher.publish()
    warehouse = warehouse_of(data_dir)
    with warehouse.get_connection() as old:
        write_lists(data_dir, "batch-000001", {"bob": {1: 9}})
        data_dir.publisher.publish()
        with warehouse.get_connection() as new:
            assert new.execute(COUNT).fetchall() == [(2,)]
        assert old.execute(COUNT).fetchall() == [(1,)]


def test_nothing_can_be_written_through_it(data_dir: DataDir) -> None:
    data_dir.publisher.publish()
    with warehouse_of(data_dir).get_connection() as con, pytest.raises(Exception, match="read-only"):
        con.execute("DELETE FROM users")


def test_before_the_first_publish_it_says_so(data_dir: DataDir) -> None:
    with pytest.raises(dg.Failure, match="nothing is published yet"), warehouse_of(data_dir).get_connection():
        pass


@pytest.mark.parametrize("zone", ["Europe/Madrid", "Asia/Tokyo"])
def test_a_time_is_the_same_instant_in_every_time_zone(data_dir: DataDir, zone: str) -> None:
    """A reader's own zone changes how a time is shown, never which one it is; ours always show UTC."""
    page = {"anime_id": 1, "url": "u", "fetched_at": NOON, "http_status": 200}
    data_dir.lake.write(TABLES["raw_anime_pages"], frame("raw_anime_pages", page))
    data_dir.publisher.publish()
    code = (
        "import sys, duckdb\n"
        "from pathlib import Path\n"
        "from malsugoi_assets.resources.warehouse import Warehouse\n"
        "sql = 'SELECT epoch(fetched_at)::BIGINT, fetched_at::VARCHAR FROM raw_anime_pages'\n"
        "with duckdb.connect(str(Path(sys.argv[1], 'malsugoi.duckdb').resolve()), read_only=True) as stranger:\n"
        "    print(*stranger.execute(sql).fetchall()[0], sep='|')\n"
        "with Warehouse(database='', data_dir=sys.argv[1]).get_connection() as ours:\n"
        "    print(*ours.execute(sql).fetchall()[0], sep='|')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(data_dir.root)],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    stranger, ours = (line.split("|") for line in done.stdout.splitlines())
    since_1970 = (NOON - NOON.replace(year=1970)) // timedelta(seconds=1) + 12 * 3600
    assert int(stranger[0]) == int(ours[0]) == since_1970
    assert ours[1] == "2026-01-01 12:00:00+00"
