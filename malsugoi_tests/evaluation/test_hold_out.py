"""The pipeline's hold-out: who is held out, for life, and what the metrics tables say of it."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.evaluation.hold_out import HoldOut, hold_out
from malsugoi_assets.evaluation.reports import metric_rows
from malsugoi_assets.files.catalogue import FEATURES, RELATIONS

LISTS = {"username": pl.String, "anime_id": pl.Int32, "score": pl.Int8}
NOTHING = pl.DataFrame(schema=FEATURES), pl.DataFrame(schema=RELATIONS)


def lists_of(rows: list[tuple[str, int, int | None]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LISTS, orient="row")


def many(n_users: int = 40, n_titles: int = 50) -> pl.DataFrame:
    return lists_of(
        [
            (f"u{u:02}", t, None if (u + t) % 7 == 0 else 1 + (u * t) % 10)
            for u in range(n_users)
            for t in range(n_titles)
        ]
    )


def held_pairs(lists: pl.DataFrame) -> set[tuple[str, int]]:
    held = hold_out(lists, *NOTHING)
    names = lists["username"].unique().sort()
    return {(names[int(u)], int(held.items.anime_id[i])) for u, i in zip(held.user, held.item, strict=True)}


def test_a_fifth_of_the_rated_rows_is_held_out_and_learnt_from_is_the_rest() -> None:
    lists = many()
    held = hold_out(lists, *NOTHING)
    rated = lists["score"].is_not_null().sum()
    assert len(held.user) / rated == pytest.approx(0.2, abs=0.03)
    assert len(held.user) + len(held.train) == len(lists)
    targets = set(zip(held.user.tolist(), held.item.tolist(), strict=True))
    assert not targets & set(zip(held.train.user.tolist(), held.train.item.tolist(), strict=True))


def test_what_is_held_out_today_stays_so_whoever_comes_and_goes() -> None:
    lists = many()
    whole = held_pairs(lists)
    assert held_pairs(lists.sample(fraction=1.0, shuffle=True, seed=4)) == whole
    fewer = lists.filter(pl.col("username") > "u20", pl.col("anime_id") % 3 > 0)
    assert held_pairs(fewer) == {(u, t) for u, t in whole if u > "u20" and t % 3}


def test_the_choice_is_the_published_hash_of_the_two_names() -> None:
    """Worked out here once more in whole numbers, so that a later change of the choice is seen."""

    def number(name: object) -> int:
        return int.from_bytes(hashlib.blake2b(f"0\0{name}".encode(), digest_size=8).digest(), "big")

    def chosen(user: str, title: int) -> bool:
        word = number(user) ^ number(title) * 0x9E3779B97F4A7C15 % 2**64
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        word = (word ^ word >> 27) * 0x94D049BB133111EB % 2**64
        return (word ^ word >> 31) < 0.2 * 2**64

    lists = many(10, 20)
    expected = {(u, t) for u, t, score in lists.iter_rows() if score is not None and chosen(u, t)}
    assert held_pairs(lists) == expected


def test_rows_of_the_table_pair_the_mse_and_nothing_else_and_hold_no_nan() -> None:
    held = hold_out(many(), *NOTHING)
    rows = metric_rows(held.judge({"six": np.full(len(held.user), 6, np.float32), "truth": held.rating}))
    assert set(rows.filter(pl.col("versus") != "")["metric"]) == {"mse"}
    assert rows.null_count().select("value").item() == 0
    assert not rows["value"].is_nan().any()
    assert not (rows["ci_low"] > rows["value"]).any()
    assert not (rows["ci_high"] < rows["value"]).any()
    whole = {
        (model, metric, versus): value
        for model, segment, metric, versus, value in rows.select(
            "model", "segment", "metric", "versus", "value"
        ).iter_rows()
        if segment == "all"
    }
    expected = float(((held.rating.astype(float) - 6) ** 2).mean())
    assert whole["six", "mse", ""] == pytest.approx(expected)
    assert whole["six", "mse", "truth"] == pytest.approx(expected)
    assert whole["truth", "mse", "six"] == pytest.approx(-expected)
    assert whole["truth", "r2", ""] == 1


@pytest.mark.parametrize(
    "rows",
    [[], [("a", 1, None)], [("a", t, 7) for t in range(40)], [(u, t, 7) for u in "ab" for t in range(40)]],
    ids=["no list", "nothing rated", "one user", "all ratings alike"],
)
def test_too_little_to_measure_gives_fewer_rows_and_never_nan(rows: list[tuple[str, int, int | None]]) -> None:
    """R² of equal ratings and the spread of a single user are not defined: no row, no interval."""
    held: HoldOut = hold_out(lists_of(rows), *NOTHING)
    table = metric_rows(held.judge({"six": np.full(len(held.user), 6, np.float32)}))
    assert "r2" not in table["metric"].to_list()
    assert table.select(pl.col(pl.Float64).is_nan().any()).transpose().to_series().sum() == 0
    if rows and rows[0][0] == "a" and len({u for u, _, _ in rows}) == 1:
        assert table["ci_low"].null_count() == len(table)
