"""The blend weighs its parts on users it was not fitted to, promises intervals that hold, and survives its file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from malsugoi_assets.recommend import blend, dnn
from malsugoi_assets.recommend.blend import (
    PRIOR_WEIGHTS,
    Apart,
    Blend,
    TrainedBlend,
    _SaidApart,
    fitted_weights,
    load_blend,
    train_blend,
)
from malsugoi_assets.recommend.blend_settings import KIND, BlendSettings
from malsugoi_assets.recommend.boosting import BoostingSettings
from malsugoi_assets.recommend.dnn import Dnn, train
from malsugoi_assets.recommend.dnn_settings import DnnSettings
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.process_model import GaussianProcess, ProcessModelSettings
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.training import TrainingError
from malsugoi_assets.recommend.weights import WeightsError, read_weights, write_weights
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

NETWORK = DnnSettings(folds=4, embedding_size=8, hidden_units=16, epochs=3, members=4, batch_size=64, threads=1)
SETTINGS = BlendSettings(network=NETWORK, trees=BoostingSettings(trees=20, depth=3))
WORLD = small_ratings(n_users=120)
TEST = WORLD.is_rated & (np.random.default_rng(5).random(len(WORLD)) < 0.2)
TRAIN = WORLD.take(~TEST)


@pytest.fixture(scope="module")
def items() -> Items:
    return small_items()


@pytest.fixture(scope="module")
def trained(items: Items) -> TrainedBlend:
    return train_blend(TRAIN, items, SETTINGS)


def test_intervals_hold_as_often_as_promised_on_ratings_not_seen(trained: TrainedBlend) -> None:
    """90 % of about 500 ratings of 120 users: three standard errors are 4 points."""
    said = trained.predict_with_interval(TRAIN, WORLD.user[TEST], WORLD.item[TEST])
    truth = WORLD.rating[TEST]
    assert ((truth >= said.low) & (truth <= said.high)).mean() == pytest.approx(0.9, abs=0.04)
    assert (said.low <= said.rating).all()
    assert (said.rating <= said.high).all()


def test_it_is_no_worse_than_its_parts(trained: TrainedBlend) -> None:
    said = trained.predict_with_interval(TRAIN, WORLD.user[TEST], WORLD.item[TEST])
    truth = WORLD.rating[TEST]
    error = {name: ((getattr(said, name) - truth) ** 2).mean() for name in ("rating", "gp", "network", "trees")}
    assert error["rating"] < 1.02 * min(error.values())


def test_weights_are_those_of_least_squares_by_hand() -> None:
    """left = 2 · network + 1 · trees, orthogonal parts."""
    network, trees = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1])
    assert fitted_weights(2 * network + trees, network, trees, prior_rows=0) == pytest.approx((2, 1))
    assert fitted_weights(2 * network - trees, network, trees, prior_rows=0) == pytest.approx((2, 0))
    assert fitted_weights(network, network, trees, prior_rows=1e9) == pytest.approx(PRIOR_WEIGHTS)
    assert fitted_weights(network[:0], network[:0], network[:0], prior_rows=1) == PRIOR_WEIGHTS


def test_the_network_alone_predicts_where_it_errs_less_on_users_kept_apart(trained: TrainedBlend) -> None:
    assert trained.apart is not None
    assert trained.apart.rows == trained.calibrated_on
    whole, why = trained.better()
    assert (whole is trained) == (trained.apart.blend <= trained.apart.network)
    assert f"on {trained.apart.rows:,} ratings of users kept apart" in why
    assert replace(trained, apart=Apart(99, 1.0, 1.1)).better()[0].in_words == "the blend"
    assert replace(trained, apart=Apart(99, 1.1, 1.0)).better()[0] is trained.dnn
    for too_few in (None, Apart(3, 2.0, 1.0)):
        assert replace(trained, apart=too_few).better()[0].in_words == "the blend"


def test_the_comparison_by_hand_no_row_has_a_say_in_what_predicts_it() -> None:
    """Users 0 and 1: left = network for the one, trees for the other; each is predicted by what the other one's rows say."""
    said = _SaidApart(
        user=np.array([0, 0, 1, 1], dtype=np.int32),
        base=np.full(4, 5.0),
        left=np.array([1.0, -1, 1, -1]),
        network=np.array([1.0, -1, 1, 1]),
        trees=np.array([1.0, 1, 1, -1]),
        deviation=np.ones(4),
    )
    compared = said.compared(prior_rows=0)
    # User 0's rows weigh (1, 0): user 1 is told 6 and 6 instead of 6 and 4. User 1's weigh (0, 1), and so is user 0.
    assert compared == Apart(4, blend=2.0, network=1.0)


def test_a_saved_blend_predicts_the_same(items: Items, trained: TrainedBlend, tmp_path: Path) -> None:
    trained.save(tmp_path / "b")
    loaded = load_blend(tmp_path / "b", items)
    for name in ("rating", "low", "high"):
        one, other = (
            getattr(model.predict_with_interval(TRAIN, TRAIN.user[:50], TRAIN.item[:50]), name)
            for model in (trained, loaded)
        )
        np.testing.assert_array_equal(one, other)
    assert loaded.save(tmp_path / "again") == trained.save(tmp_path / "b")


@pytest.mark.parametrize("case", ["a tree is missing", "no weights", "a column that is not there", "another kind"])
def test_a_file_that_does_not_fit_is_an_error_that_names_it(
    items: Items, trained: TrainedBlend, tmp_path: Path, case: str
) -> None:
    path, kind = tmp_path / "b.safetensors", KIND
    trained.save(path)
    tensors, header = read_weights(path, kind=KIND)
    if case == "a tree is missing":
        del tensors["forest.3.column"]
    elif case == "no weights":
        del header["weights"]
    elif case == "a column that is not there":
        tensors["forest.0.column"][0, 0] = 10_000
    else:
        kind = "dnn-0"
    write_weights(path, tensors, header, kind=kind)
    with pytest.raises(WeightsError, match=r"b\.safetensors"):
        load_blend(path, items)


def test_its_parts_are_what_network_and_process_say_when_they_are_trained_alone(items: Items) -> None:
    user, item = WORLD.user[TEST], WORLD.item[TEST]
    parts = Blend(SETTINGS).fit(TRAIN, items).parts_with_deviation(user, item)
    network = Dnn(SETTINGS.network).fit(TRAIN, items)
    np.testing.assert_array_equal(parts["dnn"], network.predict_with_deviation(user, item))
    process = GaussianProcess(ProcessModelSettings(embedding_size=8)).fit(TRAIN, items)
    np.testing.assert_allclose(parts["gp"][0], process.predict(user, item), atol=1e-4)
    assert np.isnan(parts["gp"][1]).all()


@pytest.mark.parametrize("rows", [2, 3, 9])
def test_a_handful_of_rows_trains_without_a_fuss(items: Items, rows: int) -> None:
    few = TRAIN.rated.take(np.arange(rows))
    said = train_blend(few, items, SETTINGS).predict_with_interval(
        few, np.zeros(3, np.int32), np.arange(3, dtype="i4")
    )
    assert np.isfinite([said.rating, said.low, said.high]).all()


def test_too_few_ratings_are_an_error_that_says_so(items: Items) -> None:
    with pytest.raises(TrainingError, match="too few to train on"):
        train_blend(TRAIN.rated.take(np.arange(1)), items, SETTINGS)


@pytest.mark.parametrize("learn", [train, train_blend])
@pytest.mark.parametrize("first", ["the network", "the titles"])
def test_of_two_errors_the_first_is_told(
    items: Items, monkeypatch: pytest.MonkeyPatch, learn: Callable[..., object], first: str
) -> None:
    """Network and titles are learnt side by side; the second may be nothing but what the first one left behind."""
    failed = threading.Event()
    made = dnn.training_rows(TRAIN, items, NETWORK, 0)

    def fails(who: str) -> Any:
        if who != first:
            assert failed.wait(60)
            time.sleep(0.1)
        failed.set()
        raise TrainingError(who)

    rows = replace(made, learn_titles=lambda: fails("the titles"))
    monkeypatch.setattr(dnn, "training_rows", lambda *_: rows)
    monkeypatch.setattr(blend, "training_rows", lambda *_: rows)
    monkeypatch.setattr(dnn, "train_ensemble", lambda *_, **__: fails("the network"))
    network = NETWORK.model_copy(update={"threads": 2})
    with pytest.raises(TrainingError, match=f"^{first}$"):
        learn(TRAIN, items, network if learn is train else SETTINGS.model_copy(update={"network": network}))


def test_the_common_face_answers_for_nothing_and_for_the_unlisted(items: Items, trained: TrainedBlend) -> None:
    empty = trained.predict(TRAIN, np.zeros(0, np.int32), np.zeros(0, np.int32))
    assert empty.shape == (0,)
    nobody = Ratings(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32), 1, 36)
    said = trained.predict_with_interval(nobody, np.zeros(36, np.int32), np.arange(36, dtype=np.int32))
    assert np.isfinite(said.rating).all()
    with pytest.raises(ValueError, match="not fitted"):
        Blend().predict(np.zeros(1, np.int32), np.zeros(1, np.int32))
