"""Reasons are true: without a named entry the list gives the title a lower raw score, by the weight that is named."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.recommend.ranking import LearntOrder, RankingSettings, learn_order
from malsugoi_assets.recommend.scoring import OrderRanker, Scorer, WeightRanker
from malsugoi_assets.recommend.slim import slim_top_weights
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

RATINGS, ITEMS = small_ratings(), small_items()
IDS = ITEMS.anime_id
LISTS = pl.DataFrame(
    {
        "username": [f"user{u:02}" for u in RATINGS.user],
        "anime_id": IDS[RATINGS.item],
        "score": pl.Series(RATINGS.rating, nan_to_null=True).cast(pl.Int8),
    }
)


@pytest.fixture(scope="module")
def order() -> LearntOrder:
    return learn_order(RATINGS, ITEMS, RankingSettings(hides=1, epochs=10, members=2, least_ratings=5))


def scorer(kind: str, order: LearntOrder, lists: pl.DataFrame, ids: np.ndarray = IDS) -> Scorer:
    if kind == "order":
        return OrderRanker(order, IDS, ids).over(lists)
    found = slim_top_weights(RATINGS)
    weights = pl.DataFrame(
        {"anime_id": IDS[found.item], "neighbour_id": IDS[found.neighbour], "weight": found.weight}
    )
    return WeightRanker(weights, ids).over(lists)


@pytest.mark.parametrize("kind", ["order", "weights"])
def test_without_a_named_entry_the_titles_raw_score_is_lower_by_the_named_weight(
    kind: str, order: LearntOrder
) -> None:
    own, checked = scorer(kind, order, LISTS), 0
    for name in ("user00", "user07", "user19"):
        listed = LISTS.filter(username=name)["anime_id"].to_numpy()
        places = np.flatnonzero(~np.isin(IDS, listed))
        (before,) = own.scores([name])
        for place, reasons in zip(places, own.reasons([(name, places.tolist())], 3)[0], strict=True):
            assert len(reasons) <= 3
            for entry, weight in reasons:
                left = LISTS.filter(~((pl.col("username") == name) & (pl.col("anime_id") == entry)))
                (after,) = scorer(kind, order, left).scores([name])
                assert weight > 0
                assert before[place] - after[place] == pytest.approx(weight, abs=1e-4)
                checked += 1
    assert checked > 20


@pytest.mark.parametrize("kind", ["order", "weights"])
def test_a_list_is_scored_alike_alone_and_in_company(kind: str, order: LearntOrder) -> None:
    among = scorer(kind, order, LISTS).scores(["user03"])
    alone = scorer(kind, order, LISTS.filter(username="user03")).scores(["user03"])
    np.testing.assert_allclose(among, alone, atol=1e-4)


@pytest.mark.parametrize("kind", ["order", "weights"])
def test_titles_that_nothing_is_known_of_come_last_and_have_no_reasons(kind: str, order: LearntOrder) -> None:
    wider = np.concatenate([[1], IDS, [9_999]]).astype(np.int32)
    own = scorer(kind, order, LISTS, wider)
    (found,) = own.scores(["user03"])
    assert np.isfinite(found).all()
    assert (found[[0, -1]] <= found[1:-1].min()).all()
    assert own.reasons([("user03", [0, len(wider) - 1])], 3) == [[[], []]]


@pytest.mark.parametrize("kind", ["order", "weights"])
def test_somebody_with_nothing_that_counts_is_scored_alike_everywhere(kind: str, order: LearntOrder) -> None:
    """A list that holds only plans: popularity decides, and nothing is a reason."""
    own = scorer(kind, order, LISTS)
    (found,) = own.scores(["nobody"])
    assert len(set(found.tolist())) == 1
    assert own.reasons([("nobody", [0, 1])], 3) == [[[], []]]
