"""A fetch that is killed with -9 at random moments, again and again, ends like one that was left alone.

`MALSUGOI_KILLS=50` makes it fifty kills; the suite does a few. Nothing is asked for twice but what was under way when
the process died, nothing that arrived is lost, and every record of the page store has its file.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from malsugoi_assets.mal import parse_anime_page, selectors
from malsugoi_assets.mal.client import MalClient
from malsugoi_assets.mal.replica import pages
from malsugoi_assets.mal.site import Site
from malsugoi_assets.mal.store import PageStore
from malsugoi_tests.support.shared import REPO
from malsugoi_tests.support.sites import Replica, running_replica

KILLS = int(os.environ.get("MALSUGOI_KILLS", "4"))
FETCH = """
import sys
from pathlib import Path
from malsugoi_assets.mal import selectors
from malsugoi_assets.mal.client import MalClient
from malsugoi_assets.mal.site import Site
from malsugoi_assets.mal.store import PageStore
selectors.ROWS_A_PAGE = 40
url, data_dir = sys.argv[1], Path(sys.argv[2])
site = Site(MalClient(url, requests_per_second=None, state_dir=data_dir / "state"), PageStore(data_dir))
site.refresh_catalogue()
for _ in site.fetch_lists(site.discover() if site.discovery_due() else site.discovered()):
    pass
"""


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    """Lists come 40 rows at a time, so that many of them need `load.json`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "LIST_PAGE", 40)
        patch.setattr(selectors, "ROWS_A_PAGE", 40)
        with running_replica(n_anime=100 if KILLS < 10 else 400, n_users=22 if KILLS < 10 else 60) as running:
            yield running


def fetch(replica: Replica, data_dir: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, replica.url, str(data_dir)],
        env={**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"},
    )


def contents(replica: Replica, data_dir: Path) -> dict[str, list[Any]]:
    """What the flows make of the store, without times and without a request."""
    replica.forget_log()
    site = Site(MalClient(replica.url, requests_per_second=None, state_dir=data_dir / "state"), PageStore(data_dir))
    lists = list(site.fetch_lists(site.discovered()))
    found = {
        "records": [(r["anime_id"], r["http_status"], r["sha256"], r["path"]) for r in site.page_records()],
        "titles": [parse_anime_page(body) for _, body in site.anime_pages()],
        "lists": [(listed.username, listed.list_status, listed.entries) for listed in lists],
        "due": [site.catalogue_due(), site.discovery_due(), site.lists_due(site.discovered())],
    }
    assert replica.asked() == []
    return found


def settle(replica: Replica) -> None:
    """What was on its way when the process died may reach the log a moment later."""
    before = -1
    while (now := replica.control("GET", "state")["requests"]) != before:
        before = now
        time.sleep(0.05)


def test_a_fetch_killed_at_random_moments_asks_nothing_twice_and_loses_nothing(
    replica: Replica, tmp_path: Path
) -> None:
    assert fetch(replica, tmp_path / "calm").wait(120) == 0
    calm = replica.asked()
    replica.forget_log()
    chance, under_way, kills = random.Random(KILLS), Counter[str](), 0
    for _ in range(KILLS):
        process = fetch(replica, tmp_path / "killed")
        goal = replica.control("GET", "state")["requests"] + chance.uniform(0, 1.6 * len(calm) / KILLS)
        while process.poll() is None and replica.control("GET", "state")["requests"] < goal:
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.01))
        if process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
        settle(replica)
        under_way += Counter(replica.asked()[-1:])
        if kills % 10 == 0:
            consistent(tmp_path / "killed")
    last = fetch(replica, tmp_path / "killed")
    assert last.wait(120) == 0
    asked = Counter(replica.asked())
    print(f"{kills} kills, {len(calm)} requests undisturbed, {asked.total()} with kills")
    assert kills >= KILLS / 2
    assert set(asked) == set(calm)
    again = asked - Counter(calm)
    assert not again - under_way
    consistent(tmp_path / "killed")
    assert not list((tmp_path / "killed" / "pages").glob("*/.*"))
    assert contents(replica, tmp_path / "killed") == contents(replica, tmp_path / "calm")


def consistent(data_dir: Path) -> None:
    """Every record of a body has its file, with the bytes that were stored."""
    store = PageStore(data_dir)
    with sqlite3.connect(data_dir / "pages" / "index.sqlite") as index:
        assert index.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        numbers = [row[0] for row in index.execute("SELECT id FROM pages WHERE path IS NOT NULL")]
    for number in numbers:
        page = store.get(number)
        assert page is not None
        store.body(page)
