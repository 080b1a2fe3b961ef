"""The hold-out's segments: who counts as cold, which year a title has, levels that part all ratings."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from malsugoi_assets.evaluation.hold_out import hold_out
from malsugoi_assets.evaluation.segments import COLD, hold_out_segments, title_years
from malsugoi_assets.files.catalogue import FEATURES, RELATIONS
from malsugoi_assets.recommend.items import align_items
from malsugoi_tests.evaluation.test_hold_out import NOTHING, many


def features(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in FEATURES} for row in rows], schema=FEATURES)


def test_a_year_comes_from_the_date_else_from_the_season() -> None:
    known = features(
        {"anime_id": 1, "aired_from": date(1999, 4, 1), "season": "Fall 2003"},
        {"anime_id": 2, "season": "Winter 2021"},
        {"anime_id": 3},
    )
    items = align_items(np.array([1, 2, 3, 4], np.int32), known, pl.DataFrame(schema=RELATIONS))
    assert title_years(items).tolist() == [1999, 2021, 0, 0]


def test_years_and_levels_part_all_targets_each() -> None:
    held = hold_out(many(), features(*({"anime_id": t, "season": f"Fall {1980 + t}"} for t in range(45))), NOTHING[1])
    marks = hold_out_segments(held)
    for words in (("year ", "unknown year"), ("rating ",)):
        chosen = [mask for name, mask in marks.items() if name.startswith(words)]
        np.testing.assert_array_equal(np.sum(chosen, axis=0), 1)
    assert {int(held.items.anime_id[i]) for i in held.item[marks["year 2000-2004"]]} <= set(range(20, 25))
    assert (held.rating[marks["rating 5-6"]] // 1).min() >= 5


def test_cold_is_who_has_few_ratings_to_learn_from() -> None:
    lists = many().filter((pl.col("username") != "u03") | (pl.col("anime_id") < 4))
    held = hold_out(lists, *NOTHING)
    history = np.bincount(held.train.rated.user, minlength=held.train.n_users)[held.user]
    np.testing.assert_array_equal(hold_out_segments(held)["cold users"], history < COLD)
