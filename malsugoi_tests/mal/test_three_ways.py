"""The same lists through pages, a rendered browser and the API: equal, row for row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from malsugoi_assets.mal import browser
from malsugoi_assets.resources.site_source import SiteSource
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_tests.support.browsers import needs_chromium
from malsugoi_tests.support.sites import Replica, running_replica

WAYS: dict[str, dict[str, str]] = {
    "pages": {"MALSUGOI_BROWSER": "off"},
    "browser": {"MALSUGOI_BROWSER": "always"},
    "api": {"MALSUGOI_MAL_CLIENT_ID": "some-id"},
}


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with running_replica(n_anime=420, n_users=14) as running:
        world = running.world
        scripted = replace(world.users[2], style="scripted")
        world._by_name[scripted.username.casefold()] = scripted
        yield running
    browser.close_browser()


def read(replica: Replica, data_dir: Path, environ: dict[str, str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(rows of `user_lists`, outcomes) of all users, as the assets get them."""
    site = {
        "MALSUGOI_SOURCE": "live",
        "MALSUGOI_MAL_URL": replica.url,
        "MALSUGOI_MAL_API_URL": f"{replica.url}/v2",
        "MALSUGOI_DATA_DIR": str(data_dir),
    }
    source = SiteSource(Settings.load(site | environ), DataDir(data_dir))
    harvest = source.lists([user.username for user in replica.world.users], lambda text: None)
    outcomes = harvest.companions["list_outcomes"].drop("fetched_at")
    return harvest.frame.sort("username", "anime_id"), outcomes.sort("username")


def same_rows(one: pl.DataFrame, other: pl.DataFrame) -> None:
    """Equal in all columns; where one way does not know when a row was changed, the other's word stands."""
    assert one.drop("updated_at").equals(other.drop("updated_at"))
    both = one["updated_at"].is_not_null() & other["updated_at"].is_not_null()
    assert one.filter(both)["updated_at"].equals(other.filter(both)["updated_at"])
    assert both.any()


@needs_chromium
@pytest.mark.browser
def test_pages_browser_and_api_give_the_same_rows_and_outcomes(replica: Replica, tmp_path: Path) -> None:
    users = replica.world.users
    assert {user.kind for user in users} == {"ok", "private", "missing", "empty"}
    assert {replica.world.user(u.username).style for u in users} == {"modern", "classic", "one_tab", "scripted"}  # type: ignore[union-attr]
    assert any(len(user.entries) > 300 for user in users)
    found: dict[str, Any] = {way: read(replica, tmp_path / way, environ) for way, environ in WAYS.items()}
    rows, outcomes = found["pages"]
    assert rows.height == sum(len(user.entries) for user in users if user.kind == "ok")
    for way in ("browser", "api"):
        same_rows(rows, found[way][0])
        assert outcomes.drop("error").equals(found[way][1].drop("error"))
    assert found["api"][0]["updated_at"].null_count() == 0
