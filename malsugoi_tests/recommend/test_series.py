"""What a list says of a title's series, worked out by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.series import FACTS, KINDS, Series, learn_series
from malsugoi_tests.recommend.frames import relations_frame

# 0 → 1 → 2 is a series, 2 needs a title nobody knows as well; 3 stands alone; 4 means the same anime as 0.
IDS = np.array([10, 11, 12, 20, 10], np.int32)


@pytest.fixture(scope="module")
def series() -> Series:
    features = pl.DataFrame({"anime_id": IDS, "type": ["TV", "TV", "Movie", None, "TV"]})
    relations = relations_frame(
        [(11, "Prequel", "anime", 10), (12, "Prequel", "anime", 11), (12, "Prequel", "anime", 777)]
    )
    return learn_series(Items(IDS, features, [[] for _ in IDS], relations))


def facts(series: Series, rated: dict[int, float], unrated: tuple[int, ...] = ()) -> dict[str, list[float]]:
    """Of one list (title → rating residual; titles without rating) for all titles."""

    def row(values: dict[int, float]) -> sp.csr_matrix:
        there = list(values)
        return sp.csr_matrix(
            (np.array([values[t] for t in there], np.float32), (np.zeros(len(there), int), there)),
            shape=(1, len(IDS)),
        )

    listed = row(dict.fromkeys([*rated, *unrated], 1.0))
    found = series.facts(listed, row(rated), np.arange(len(IDS), dtype=np.int32)[None])
    return {name: found[0, :, column].round(4).tolist() for column, name in enumerate(FACTS)}


def test_what_comes_before_a_title_is_counted_also_where_nobody_can_have_seen_it(series: Series) -> None:
    assert series.needed.tolist() == [0, 1, 2, 0, 0]
    assert facts(series, {})["to be seen before it"] == [0, 1, 2, 0, 0]
    assert facts(series, {0: 1.0, 1: 0.5})["to be seen before it"] == [0, 0, 1, 0, 0]


def test_two_rows_of_one_anime_are_seen_by_either(series: Series) -> None:
    assert facts(series, {4: 1.0})["to be seen before it"][1] == 0
    assert facts(series, {0: 1.0, 4: 1.0})["to be seen before it"][1] == 0


def test_residuals_of_neighbours_in_the_series_are_means_and_of_the_franchise_are_drawn_to_zero(
    series: Series,
) -> None:
    found = facts(series, {0: 1.0, 1: -0.5, 3: 2.0})
    assert found["rating residual of what comes before it"] == [0, 1.0, -0.5, 0, 0]
    assert found["listed titles that come after it"] == [1, 0, 0, 0, 1]
    assert found["their rating residual"] == [-0.5, 0, 0, 0, -0.5]
    assert found["rating residual of its franchise"] == pytest.approx([0.1667, 0.1667, 0.1667, 1.0, 0.1667], abs=1e-4)


def test_unrated_entries_count_as_listed_alone(series: Series) -> None:
    found = facts(series, {}, unrated=(0, 2))
    assert found["share of its franchise on the list"] == [0.5, 0.5, 0.5, 0, 0.5]
    assert found["rating residual of its franchise"] == [0, 0, 0, 0, 0]
    assert found["share of its kind on the list"] == [0.5, 0.5, 0.5, 0, 0.5]


def test_an_empty_list_says_nothing(series: Series) -> None:
    found = facts(series, {})
    assert all(not any(found[name]) for name in FACTS[1:])


def test_a_title_of_unknown_kind_has_the_last_column(series: Series) -> None:
    assert series.kind.argmax(axis=1).tolist() == [0, 0, 1, len(KINDS), 0]
    assert np.isfinite(series.numbers).all()
