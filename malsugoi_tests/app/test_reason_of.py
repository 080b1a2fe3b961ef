"""A run that fails says in one line what went wrong, also where it is a mistake in the code of whoever extends it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl
import pytest

from malsugoi_assets.app.errors import WorkError
from malsugoi_assets.app.pipeline import Step, execute_step
from malsugoi_assets.mal.page_index import DamagedStore


def said_of(body: Callable[[], Any]) -> str:
    """What `malsugoi run` would say where an asset does this."""

    @dg.asset
    def toy() -> None:
        body()

    definitions = dg.Definitions(assets=[toy], jobs=[dg.define_asset_job("toys", selection="*")])
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(WorkError) as raised:
        execute_step(instance, definitions, Step("toys"))
    return str(raised.value)


def test_what_an_asset_says_of_its_failure_is_said_as_it_is() -> None:
    def fails() -> None:
        raise dg.Failure("batch-000007 has no users: discover users first.")

    assert said_of(fails).startswith("toys: batch-000007 has no users: discover users first.\n")


def test_a_mistake_is_named_with_its_place() -> None:
    def fails() -> None:
        pl.DataFrame({"a": [1]}).select("b")

    first, rest = said_of(fails).split("\n")
    assert first.startswith("toys: polars.exceptions.ColumnNotFoundError: ")
    assert " (at " in first
    assert first.endswith("; the traceback stands at the run in Dagster's page)")
    assert rest == "What was finished is kept, the published database stands; run the same command again to go on."


def test_the_place_is_in_our_code_where_the_exception_came_through_it() -> None:
    from malsugoi_assets.warehouse.schema import conform
    from malsugoi_assets.warehouse.tables import TABLES

    def fails() -> None:
        conform(TABLES["users"], pl.DataFrame({"nothing": [1]}))

    assert "malsugoi_assets/warehouse/schema.py:" in said_of(fails).split("\n")[0]


def test_damaged_pages_are_no_mistake_of_the_code() -> None:
    def fails() -> None:
        raise DamagedStore("/data/pages/index.sqlite cannot be read (why): restore it")

    assert said_of(fails).startswith("toys: /data/pages/index.sqlite cannot be read (why): restore it\n")


def test_a_full_disk_is_no_mistake_of_the_code() -> None:
    def fails() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    first = said_of(fails).split("\n")[0]
    assert first == "toys: [Errno 28] No space left on device: free some space, mostly the disk is full"
