"""Declarations: what a frame must look like, and the rules that follow."""

from __future__ import annotations

import polars as pl
import pytest

from malsugoi_assets.warehouse.schema import SchemaError, conform, create_table, polars_type, rules
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import frame

RATING = {"user_batch": "batch-000000", "username": "ann", "anime_id": 1, "rating": 7}


def test_columns_come_in_the_declared_order_and_types_whatever_they_came_in() -> None:
    given = pl.DataFrame({"rating": [7.0], "anime_id": [1], "username": ["ann"], "user_batch": ["batch-000000"]})
    assert conform(TABLES["rating_matrix"], given).equals(frame("rating_matrix", RATING))


def test_rows_come_in_a_total_order_whatever_order_they_came_in() -> None:
    one, two = RATING, {**RATING, "anime_id": 2}
    assert conform(TABLES["rating_matrix"], frame("rating_matrix", two, one)).equals(frame("rating_matrix", one, two))


@pytest.mark.parametrize("drop", ["rating", "username"])
def test_a_missing_column_is_named(drop: str) -> None:
    with pytest.raises(SchemaError, match=rf"rating_matrix: columns missing: \['{drop}'\]"):
        conform(TABLES["rating_matrix"], frame("rating_matrix", RATING).drop(drop))


def test_a_column_that_nobody_declared_is_named() -> None:
    with pytest.raises(SchemaError, match=r"not declared: \['mood'\]"):
        conform(TABLES["rating_matrix"], frame("rating_matrix", RATING).with_columns(mood=1))


def test_a_value_that_does_not_fit_its_type_is_refused() -> None:
    with pytest.raises(SchemaError, match="rating_matrix"):
        conform(TABLES["rating_matrix"], frame("rating_matrix", RATING).with_columns(rating=pl.lit(1000)))


def test_nan_is_refused_since_unknown_is_null() -> None:
    row = {"anime_id": 1, "neighbour_id": 2, "rank": 1, "similarity": float("nan"), "support": 3}
    with pytest.raises(SchemaError, match="NaN"):
        conform(TABLES["similarity_matrix"], frame("similarity_matrix", row))


def test_lists_of_structs_become_polars_types() -> None:
    kind = polars_type("STRUCT(anime_id INTEGER, title VARCHAR, weight REAL)[]")
    assert kind == pl.List(pl.Struct({"anime_id": pl.Int32, "title": pl.String, "weight": pl.Float32}))


def test_catalogue_sized_tables_have_a_primary_key_and_tables_per_user_a_rule_instead() -> None:
    assert "PRIMARY KEY (anime_id, neighbour_id)" in create_table(TABLES["similarity_matrix"], "main")
    assert "PRIMARY KEY" not in create_table(TABLES["rating_matrix"], "main")
    assert "rating_matrix unique by username, anime_id" in [rule.name for rule in rules(TABLES["rating_matrix"])]


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda t: t.name)
def test_every_table_and_column_says_what_it_means(table) -> None:
    assert table.comment
    assert all(column.comment for column in table.columns)
    assert set(table.key) <= set(table.column_names)
    assert all(reference.table in TABLES for reference in table.references)
