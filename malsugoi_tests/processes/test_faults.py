"""Every fault that the replica knows, alone and all together: the tables end as if nothing had happened.

The story: a small site is read with the source that the assets use, again and again as `malsugoi run` would be, until
nothing is due. What the site refuses for good (a title deleted, a user renamed, a list closed) has a status and a
reason; everything else equals the reading of a site without faults, whatever went wrong on the way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from malsugoi_assets.mal import selectors
from malsugoi_assets.mal.replica import pages
from malsugoi_assets.mal.replica.faults import DRAWN, KINDS
from malsugoi_assets.mal.site import Site
from malsugoi_assets.mal.store import PageStore
from malsugoi_assets.resources.site_source import SiteSource
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_tests.support.sites import Clock, Replica, running_replica

Tables = dict[str, pl.DataFrame]
ROUNDS = 6
"""Runs until nothing is due, at most: a run that the site stopped goes on in the next."""
PARSED: dict[str, Any] = {}
"""Equal pages are parsed once for all tests here: what is new in each is how they came."""


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    """56 titles on two ranking pages, 26 users on two search pages, and lists that `load.json` gives 16 rows at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "LIST_PAGE", 16)
        patch.setattr(selectors, "ROWS_A_PAGE", 16)
        with running_replica(seed=4, n_anime=56, n_users=26) as running:
            yield running


@pytest.fixture(scope="module")
def calm(replica: Replica, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables of a reading without faults."""
    return read(replica, tmp_path_factory.mktemp("calm"))


def read(replica: Replica, data_dir: Path) -> Tables:
    """The tables after as many runs as it takes."""
    clock = Clock(now=time.time())
    for _ in range(ROUNDS):
        source = a_run(replica, data_dir, clock)
        try:
            tables = one_run(source)
        except dg.Failure as stopped:
            if "Run the same command again" not in str(stopped.description):
                raise
            clock.sleep(3600)
            continue
        usernames = tables["users"]["username"].to_list()
        if not (source.catalogue_is_due() or source.discovery_is_due() or source.lists_due(usernames)):
            return tables
    raise AssertionError(f"still something due after {ROUNDS} runs")


def a_run(replica: Replica, data_dir: Path, clock: Clock) -> SiteSource:
    """The source as a new process opens it, with a client whose pauses cost nothing and whose patience is short."""
    source = SiteSource(
        Settings(data_dir=data_dir, source="live", mal_url=replica.url, max_anime=None, max_users=None),
        DataDir(data_dir),
    )
    client = replica.client(
        data_dir / "state", clock=clock, sleep=clock.sleep, timeout=(2, 0.3), deadline=0.6, max_body=2_000_000
    )
    source.__dict__["_site"] = Site(client, PageStore(data_dir))
    source._parsed = PARSED
    return source


def one_run(source: SiteSource) -> Tables:
    def say(_: str) -> None: ...

    raw = source.pages(say).frame
    usernames = source.usernames(say)
    harvest = source.lists(usernames, say)
    lists = harvest.frame
    return {
        "raw_anime_pages": raw.drop("fetched_at").sort("anime_id"),
        "anime_features": source.features(raw).frame.sort("anime_id"),
        "anime_relations": source.relations(raw).frame.sort(pl.all()),
        "users": harvest.companions["list_outcomes"].drop("fetched_at").sort("username"),
        "user_lists": lists.sort("username", "anime_id"),
        "rating_matrix": lists.filter(pl.col("score").is_not_null())
        .select("username", "anime_id", "score")
        .sort("username", "anime_id"),
    }


def hold_against(found: Tables, calm: Tables, drift: dict[str, Any]) -> None:
    """The tables equal the calm ones but for what the site refused for good, which says so."""
    deleted, renamed, closed = drift["deleted_anime"], drift["renamed_user"], drift["turned_private"]
    gone = dict.fromkeys(closed, "private") | dict.fromkeys(renamed, "missing")
    new_names = set(renamed.values())
    for row in found["raw_anime_pages"].filter(pl.col("anime_id").is_in(deleted)).iter_rows(named=True):
        assert row["http_status"] == 404
    outcomes = {row["username"]: row for row in found["users"].iter_rows(named=True)}
    for username, status in gone.items():
        if username in outcomes:
            assert outcomes[username]["list_status"] == status
            assert outcomes[username]["error"]
    touched = set(gone) | new_names
    for name, frame in found.items():
        kept = frame.filter(~pl.col("username").is_in(touched)) if "username" in frame.columns else frame
        expected = calm[name]
        if "username" in expected.columns:
            expected = expected.filter(~pl.col("username").is_in(touched))
        if name in ("raw_anime_pages", "anime_features", "anime_relations"):
            kept = kept.filter(~pl.col("anime_id").is_in(deleted))
            expected = expected.filter(~pl.col("anime_id").is_in(deleted))
        assert_frame_equal(kept, expected)
    assert set(calm["raw_anime_pages"]["anime_id"]) == set(found["raw_anime_pages"]["anime_id"])
    for username in gone.keys() & set(found["user_lists"]["username"]):
        raise AssertionError(f"{username} is {gone[username]} and has rows")


@pytest.mark.parametrize("kind", DRAWN)
def test_a_fault_alone_changes_nothing_but_what_it_takes_away(
    replica: Replica, calm: Tables, tmp_path: Path, kind: str
) -> None:
    """Every fifth request that the fault can strike, every second where there are few of them."""
    replica.heal()
    chance = 0.5 if kind in ("ranking_moves", "two_spellings") else 0.2
    costly = {"count": 4, "seconds": 5} if kind in ("timeout", "drip") else {}
    replica.fault(kind=kind, seed=1, probability=chance, **costly)
    found = read(replica, tmp_path)
    assert replica.control("GET", "faults")[0]["struck"] > 0
    hold_against(found, calm, replica.control("GET", "state")["drift"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_faults_at_random_change_nothing_but_what_they_take_away(
    replica: Replica, calm: Tables, tmp_path: Path, seed: int
) -> None:
    replica.heal()
    replica.fault(kind="random", probability=0.1, seed=seed, seconds=5)
    found = read(replica, tmp_path)
    (report,) = replica.control("GET", "faults")
    assert report["struck"] > 10
    assert len(report["kinds"]) > 7
    hold_against(found, calm, replica.control("GET", "state")["drift"])


def test_the_documentation_says_what_every_fault_leads_to() -> None:
    text = (Path(__file__).parents[2] / "docs" / "fetching.md").read_text()
    table = text.partition("## What each fault leads to")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    assert [row[1].strip(" `") for row in rows] == [name for name in KINDS if name in DRAWN]
    assert all(len(cell.strip()) > 3 for row in rows for cell in row[2:-1])
