"""The ranking weights as an asset: both methods' rows, over what people watch and not what they merely plan."""

from __future__ import annotations

import polars as pl
import pytest

from malsugoi_assets.assets import ranking as assets
from malsugoi_tests.assets.test_collaborative import made
from malsugoi_tests.assets.test_collaborative import user_lists as lists_without_titles


def user_lists() -> pl.DataFrame:
    return lists_without_titles().with_columns(title=pl.col("anime_id").cast(pl.String))


def test_both_methods_are_stored_and_a_score_is_the_sum_over_the_list() -> None:
    lists = user_lists()
    stored, metadata = made(
        assets.item_weights, "item_weights", assets.ItemWeightsConfig(), rating_matrix=lists, user_lists=lists
    )
    assert set(stored["method"]) == {"ease", "slim"}
    assert metadata["methods"] == "ease, slim"
    assert metadata["left_out"] == "nothing"
    assert stored.filter(pl.col("anime_id") == pl.col("neighbour_id")).is_empty()


@pytest.mark.parametrize("method", ["ease", "slim"])
def test_titles_that_are_merely_planned_teach_nothing(method: str) -> None:
    lists = user_lists()
    plans = lists.with_columns(
        username=pl.lit("planner"), status=pl.lit("plan_to_watch"), score=pl.lit(None, dtype=pl.Int8)
    ).unique("anime_id", maintain_order=True)
    both = pl.concat([lists, plans])
    args = {"rating_matrix": lists}
    of_lists, _ = made(assets.item_weights, "item_weights", assets.ItemWeightsConfig(), user_lists=lists, **args)
    of_both, _ = made(assets.item_weights, "item_weights", assets.ItemWeightsConfig(), user_lists=both, **args)
    assert of_lists.filter(method=method).equals(of_both.filter(method=method))
