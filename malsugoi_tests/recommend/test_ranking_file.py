"""The learnt order's file: the same order comes back, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from malsugoi_assets.recommend.list_scores import ListScores
from malsugoi_assets.recommend.ranking import LearntOrder, RankingSettings, learn_order
from malsugoi_assets.recommend.ranking_file import load_order, save_order
from malsugoi_assets.recommend.weights import WeightsError, read_weights, write_weights
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

RATINGS, ITEMS = small_ratings(), small_items()
IDS = ITEMS.anime_id


@pytest.fixture(scope="module")
def order() -> LearntOrder:
    return learn_order(RATINGS, ITEMS, RankingSettings(hides=1, epochs=2, members=2, least_ratings=5))


def test_what_was_saved_orders_every_list_as_before(order: LearntOrder, tmp_path: Path) -> None:
    save_order(tmp_path / "o", order, IDS)
    loaded, ids = load_order(tmp_path / "o")
    users = np.arange(RATINGS.n_users, dtype=np.int32)
    before, after = (o.scores(ListScores(o.titles, RATINGS), users) for o in (order, loaded))
    np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(ids, IDS)


def test_the_same_lists_and_seed_give_the_same_bytes(order: LearntOrder, tmp_path: Path) -> None:
    again = learn_order(RATINGS, ITEMS, RankingSettings(hides=1, epochs=2, members=2, least_ratings=5))
    assert save_order(tmp_path / "a", order, IDS) == save_order(tmp_path / "b", again, IDS)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("another model", "holds a 'toy' model"),
        ("cut off", "not a readable safetensors file"),
        ("a part missing", "do not fit each other"),
        ("a part too short", "do not fit each other"),
        ("indices outside", "do not fit each other"),
        ("trees that ask for more", "do not fit each other"),
        ("another version", "learnt by another version"),
        ("not there", "no such weights file"),
    ],
)
def test_any_other_file_is_refused_in_a_sentence(order: LearntOrder, tmp_path: Path, damage: str, words: str) -> None:
    path = tmp_path / "o"
    save_order(path, order, IDS)
    tensors, header = read_weights(path, kind="ranking")
    kind = "ranking"
    if damage == "another model":
        kind = "toy"
    elif damage == "a part missing":
        del tensors["weights.0.data"]
    elif damage == "a part too short":
        tensors["item_bias"] = tensors["item_bias"][:-1]
    elif damage == "indices outside":
        tensors["weights.0.indices"] = tensors["weights.0.indices"] + 1_000
    elif damage == "trees that ask for more":
        tensors["trees.column"] = tensors["trees.column"] + 1_000
    elif damage == "another version":
        header["scores"] = header["scores"][1:]
    write_weights(path, tensors, header, kind=kind)
    if damage == "cut off":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "not there":
        path.unlink()
    with pytest.raises(WeightsError, match=words):
        load_order(path)
