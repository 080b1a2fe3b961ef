"""Declarations: what a frame must look like, and the rules that follow."""

from __future__ import annotations

import duckdb
import numpy as np
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


def test_what_is_sure_to_be_unique_is_and_a_repeated_key_is_found_wherever_it_stands() -> None:
    """`sure_unless` may find fault with rows that are unique, never the other way about."""
    rule = next(r for r in rules(TABLES["rating_matrix"]) if "unique" in r.name)
    rng, seen = np.random.default_rng(0), set()
    for length in [0, 1, *rng.integers(2, 7, 300)]:
        rows = [(f"user{rng.integers(3)}", int(rng.integers(1, 5))) for _ in range(length)]
        if rng.random() < 0.6:
            rows.sort()
        with duckdb.connect() as con:
            con.execute("CREATE TABLE rating_matrix (username VARCHAR, anime_id INTEGER)")
            if rows:
                con.executemany("INSERT INTO rating_matrix VALUES (?, ?)", rows)
            unique, sure = (
                con.execute(f"SELECT count(*) FROM {source}").fetchone() == (0,)
                for source in (rule.sql, rule.sure_unless)
            )
        assert unique == (len(set(rows)) == len(rows))
        assert sure == (unique and rows == sorted(rows, key=lambda r: ([r[0] for r in rows].index(r[0]), r[1])))
        seen.add((unique, sure))
    assert seen == {(True, True), (True, False), (False, False)}


def test_rows_that_stand_in_order_are_left_where_they_are_and_others_sorted() -> None:
    rng = np.random.default_rng(1)
    users, ids = rng.integers(0, 4, 50), rng.permutation(50)
    rows = [{**RATING, "username": f"u{u}", "anime_id": int(i)} for u, i in zip(users, ids, strict=True)]
    in_order = sorted(rows, key=lambda row: (row["username"], row["anime_id"]))
    for given in (rows, in_order, in_order[::-1], [*in_order[1:], in_order[0]]):
        assert conform(TABLES["rating_matrix"], frame("rating_matrix", *given)).rows(named=True) == in_order
