"""The ranking weights as an asset: both methods' rows, over what people watch and not what they merely plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from malsugoi_assets.assets import ranking as assets
from malsugoi_assets.resources.warehouse import Warehouse
from malsugoi_tests.assets.test_collaborative import FEATURES, RELATIONS, made
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


QUICK = {"hides": 1, "epochs": 2, "members": 1, "least_ratings": 5}


def learnt(root: Path, **settings: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
    lists = user_lists()
    return made(
        assets.ranking_model,
        "ranking_model",
        assets.RankingConfig(**{**QUICK, **settings}),
        Warehouse(database="", data_dir=str(root)),  # type: ignore[arg-type]
        rating_matrix=lists,
        user_lists=lists,
        anime_features=FEATURES,
        anime_relations=RELATIONS,
    )


def test_the_learnt_order_is_a_registered_file_that_loads(tmp_path: Path) -> None:
    builds, metadata = learnt(tmp_path)
    assert metadata["learnt"] == "yes"
    assert builds["titles"].to_list() == [36]
    found = assets.load_ranking(tmp_path, builds)
    assert not isinstance(found, str)
    assert found[1].tolist() == sorted(FEATURES["anime_id"])


def test_the_build_before_stays_and_older_ones_go(tmp_path: Path) -> None:
    for seed in (1, 2, 3):
        builds, _ = learnt(tmp_path, seed=seed)
    files = sorted(path.name for path in (tmp_path / "models").iterdir())
    assert len(files) == 2
    assert builds["path"][0].removeprefix("models/") in files


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"memory_gib": 1e-6}, "no, the weights rank: it needs 0.0 GiB"),
        ({"most_rows": 10}, "are more than `most_rows` (10)"),
        ({"least_ratings": 1_000}, "no order can be learnt"),
    ],
)
def test_what_is_too_large_or_too_little_is_not_learnt_and_it_says_why(
    tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    builds, metadata = learnt(tmp_path, **settings)
    assert builds.is_empty()
    assert words in metadata["learnt"]
    assert assets.load_ranking(tmp_path, builds) == "no order was learnt"


def test_a_missing_file_is_said_and_a_foreign_one_refused(tmp_path: Path) -> None:
    builds, _ = learnt(tmp_path)
    path = tmp_path / builds["path"][0]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(dg.Failure, match="not the file that was registered: `malsugoi run` makes it anew"):
        assets.load_ranking(tmp_path, builds)
    path.unlink()
    assert str(assets.load_ranking(tmp_path, builds)).endswith("is not there")
