"""What commands say of the published tables."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

import duckdb
import polars as pl
import pytest
from rich.console import Console

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.reports import known_user, meant_title, rows, show_tables
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.schema import polars_schema
from malsugoi_assets.warehouse.tables import TABLES

NAMES = ("Amber_Turnip67", "amberjack", "Brave-Ember31", "Zed")


def found(name: str, data_dir: Path) -> str:
    with duckdb.connect() as con:
        con.execute("CREATE TABLE users (username VARCHAR, list_status VARCHAR, error VARCHAR)")
        con.executemany("INSERT INTO users VALUES (?, 'ok', NULL)", [[name] for name in NAMES])
        return known_user(Settings.load(data_dir=data_dir), partial(rows, con), name)


def test_a_name_may_be_written_in_small_letters(tmp_path: Path) -> None:
    assert found("zED", tmp_path) == "Zed"


@pytest.mark.parametrize(
    ("typed", "meant"), [("AMBER", "amberjack, Amber_Turnip67"), ("BraveEmber31", "Brave-Ember31"), ("zedd", "Zed")]
)
def test_a_beginning_or_a_typo_gets_the_names_that_may_be_meant(tmp_path: Path, typed: str, meant: str) -> None:
    with pytest.raises(UserError, match=f"{typed}: no such user .*; did you mean {meant}\\?"):
        found(typed, tmp_path)


def test_a_name_like_no_other_is_sent_to_the_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the table `users` lists who there is"):
        found("quux", tmp_path)


def test_a_name_or_title_that_is_no_utf8_is_nobodys(tmp_path: Path) -> None:
    """The shell hands such bytes on as they are, and Python as lone surrogates."""
    with pytest.raises(UserError, match=r"^\\xff\\xfe: no such user"):
        found("\udcff\udcfe", tmp_path)
    features = pl.DataFrame(schema=polars_schema(TABLES["anime_features"]))
    with pytest.raises(UserError, match=r"^\\xff: no such title"):
        meant_title(features, "\udcff")


def test_errors_are_shown_the_best_model_first_and_only_where_both_are_known() -> None:
    figures = {"mean rating": 7.7, "cf mae": 0.85, "cf mse": 1.16, "dnn mse": 0.9, "dnn mae": 0.75, "bias mse": 1.4}
    console = Console(file=io.StringIO(), width=300)
    show_tables({"tables": {"users": 3}, "headline": figures}, console)
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "dnn 0.75 (0.900) · cf 0.85 (1.160)" in said
    assert "bias" not in said
