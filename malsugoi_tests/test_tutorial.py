"""What the engineer's tutorial shows to copy works as it stands: the model is measured, the asset makes its table."""

from __future__ import annotations

import inspect
import re
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

import malsugoi_assets
from malsugoi_assets.evaluation.protocols import make_protocol
from malsugoi_assets.evaluation.run import evaluate
from malsugoi_assets.mal.client import MalClient
from malsugoi_assets.warehouse import tables
from malsugoi_tests.evaluation.worlds import checkerboard, world

TUTORIAL = Path(__file__).parent.parent / "docs" / "tutorial-engineer.md"
MODEL, TABLE, ASSET = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)


def names_of(code: str, known: dict[str, Any] | None = None) -> dict[str, Any]:
    names = dict(known or {})
    exec(code, names)
    return names


def test_the_refusals_that_end_a_run_are_as_many_as_the_client_asks_for_a_page() -> None:
    """The tutorial said five, of which the run met four and the next one, which was to go on, the fifth."""
    attempts = inspect.signature(MalClient).parameters["attempts"].default
    numbers = {3: "three", 4: "four", 5: "five"}
    said = f"{numbers[attempts - 1]} refusals are sat out; with {numbers[attempts]} the run ends"
    assert said in " ".join(TUTORIAL.read_text().split())


def test_the_module_that_is_to_name_new_assets_is_the_one_that_loads_them() -> None:
    """The tutorial went on to send people to `definitions.py` when the loading had moved."""
    (named,) = re.findall(r"Name the module in `(\w+\.py)`", TUTORIAL.read_text())
    assert "load_assets_from_modules(" in (Path(malsugoi_assets.__file__).parent / named).read_text()


def test_the_model_is_measured() -> None:
    rows = world(checkerboard())
    found = evaluate(rows, make_protocol("random5", rows, 0), {"median": names_of(MODEL)["Median"]})
    assert [r.value for r in found if r.metric == "mse" and r.segment == "all"]


def test_the_asset_makes_the_declared_table(monkeypatch: pytest.MonkeyPatch) -> None:
    table = names_of(TABLE, vars(tables))["GENRE_MEANS"]
    monkeypatch.setitem(tables.TABLES, "genre_means", table)
    asset = names_of(ASSET)["genre_means"]
    assert isinstance(asset, dg.AssetsDefinition)
    ratings = pl.LazyFrame({"anime_id": [1, 1, 2], "rating": [8, 6, 10], "when": [date(2026, 1, 1)] * 3})
    features = pl.LazyFrame({"anime_id": [1, 2, 3], "genres": [["Drama", "Comedy"], ["Drama"], None]})
    made = asset(rating_matrix=ratings, anime_features=features).value["genre_means"]
    assert sorted(made.rows()) == [("Comedy", 2, 7.0), ("Drama", 3, 8.0)]
