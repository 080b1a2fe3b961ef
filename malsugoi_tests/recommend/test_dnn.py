"""The network learns what is planted, leaks nothing, is the same twice, and lives in one trustworthy file."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import torch

from malsugoi_assets.recommend.dnn import Dnn, TrainedDnn, load, train, training_rows
from malsugoi_assets.recommend.dnn_settings import KIND, DnnSettings
from malsugoi_assets.recommend.ensemble import epochs_for, one_cycle, validation_rows
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.training import TrainingError
from malsugoi_assets.recommend.weights import WeightsError, read_weights, write_weights
from malsugoi_tests.recommend.deep_world import small_items, small_ratings, without_features

SETTINGS = DnnSettings(folds=3, embedding_size=8, hidden_units=16, epochs=4, members=2, batch_size=64, threads=1)
WORLD = small_ratings()
TEST = np.flatnonzero(WORLD.is_rated)[::5]
TRAIN = WORLD.take(np.setdiff1d(np.arange(len(WORLD)), TEST))


@pytest.fixture(scope="module")
def items() -> Items:
    return small_items()


@pytest.fixture(scope="module")
def trained(items: Items) -> TrainedDnn:
    return train(TRAIN, items, SETTINGS)


def pairs() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    return WORLD.user[TEST], WORLD.item[TEST]


def mse(predicted: np.ndarray) -> float:  # type: ignore[type-arg]
    return float(((predicted - WORLD.rating[TEST]) ** 2).mean())


def test_it_learns_what_is_planted_but_not_the_noise(trained: TrainedDnn) -> None:
    """The world's noise has variance .25, rounding adds 1/12; user and title means leave the series' 1.4."""
    error = mse(trained.predict(TRAIN, *pairs()))
    rows = TRAIN.rated
    mean = np.bincount(rows.user, rows.rating, 40) / np.bincount(rows.user, minlength=40)
    assert 0.3 < error < 0.6 * mse(mean[WORLD.user[TEST]])


def test_predictions_are_ratings(trained: TrainedDnn) -> None:
    predicted = trained.predict(TRAIN, np.repeat(np.arange(40, dtype=np.int32), 36), np.tile(np.arange(36), 40))
    assert predicted.dtype == np.float32
    assert predicted.min() >= 1
    assert predicted.max() <= 10


def test_scrambling_the_target_ratings_changes_no_prediction(items: Items, trained: TrainedDnn) -> None:
    """Targets are what is not learnt from: whatever their ratings, model and predictions stay as they were."""
    scrambled = WORLD.rating.copy()
    scrambled[TEST] = np.random.default_rng(3).permutation(scrambled[TEST])
    other = Ratings(WORLD.user, WORLD.item, scrambled, WORLD.n_users, WORLD.n_items)
    without = other.take(np.setdiff1d(np.arange(len(WORLD)), TEST))
    again = train(without, items, SETTINGS)
    np.testing.assert_array_equal(again.predict(without, *pairs()), trained.predict(TRAIN, *pairs()))


def test_predicting_with_the_targets_on_the_list_ignores_each_ones_own_row(trained: TrainedDnn) -> None:
    user, item = pairs()
    row = int(TEST[4])
    alone = WORLD.take(np.arange(len(WORLD)) != row)
    with_it = trained.predict(WORLD, user[4:5], item[4:5])
    np.testing.assert_allclose(with_it, trained.predict(alone, user[4:5], item[4:5]), atol=1e-5)


def test_the_same_input_and_seed_give_the_same_file_whatever_the_order_of_the_rows(
    items: Items, trained: TrainedDnn, tmp_path: Path
) -> None:
    shuffled = TRAIN.take(np.random.default_rng(0).permutation(len(TRAIN)))
    torch.rand(7)
    again = train(shuffled, items, SETTINGS)
    assert again.save(tmp_path / "a") == trained.save(tmp_path / "b")


def test_intervals_cover_nine_tenths_of_the_ratings_of_users_that_the_members_did_not_learn_from(
    items: Items, trained: TrainedDnn
) -> None:
    """By hand: of the errors over stated deviations of those rows, the widened bell curve's 90 % reach the ⌈.9 (n + 1)⌉-th."""
    rows = training_rows(TRAIN, items, SETTINGS, seed=0)
    held = validation_rows(rows.user, SETTINGS.members, SETTINGS.valid_share, seed=0)
    ratios = []
    for member, mine in enumerate(held):
        apart = rows.inputs.take(np.flatnonzero(mine))
        correction, deviation = (said[member] for said in trained.network.correct_by_member(apart, "cpu"))
        error = rows.rating[mine] - apart.base - apart.scale * correction
        ratios.append(np.abs(error) / (apart.scale * deviation))
    ratio = np.sort(np.concatenate(ratios))
    reach = trained.widening * NormalDist().inv_cdf(0.95)
    assert reach == pytest.approx(ratio[math.ceil(0.9 * (len(ratio) + 1)) - 1], rel=1e-5)
    inputs = trained.inputs(TRAIN, *pairs())
    stated = inputs.scale * trained.network.correct(inputs, "cpu")[1]
    widened = trained.predict_with_deviation(TRAIN, *pairs())[1]
    np.testing.assert_allclose(widened, trained.widening * stated, rtol=1e-5)


def test_another_seed_gives_another_network(items: Items, trained: TrainedDnn) -> None:
    other = train(TRAIN, items, SETTINGS, seed=1)
    assert not np.array_equal(other.predict(TRAIN, *pairs()), trained.predict(TRAIN, *pairs()))


def test_training_leaves_the_global_generators_and_threads_alone(items: Items) -> None:
    torch.manual_seed(3)
    before, numpy_before, threads = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()
    train(TRAIN, items, SETTINGS)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    assert torch.get_num_threads() == threads


def test_a_saved_model_predicts_the_same_and_remembers_how_it_was_made(
    items: Items, trained: TrainedDnn, tmp_path: Path
) -> None:
    trained.save(tmp_path / "m")
    loaded = load(tmp_path / "m", items)
    np.testing.assert_array_equal(loaded.predict(TRAIN, *pairs()), trained.predict(TRAIN, *pairs()))
    for name in ("settings", "seed", "curve", "best_epoch", "stopped", "notes", "train_rows", "parameters", "epochs"):
        assert getattr(loaded, name) == getattr(trained, name), name
    assert loaded.save(tmp_path / "again") == trained.save(tmp_path / "m")


def test_users_it_was_not_trained_on_are_predicted_from_their_list(items: Items, trained: TrainedDnn) -> None:
    """The first half of the users is left out of training, and their taste in series is still seen."""
    old = TRAIN.take(TRAIN.user >= 20)
    model = train(old, items, SETTINGS)
    user, item = pairs()
    new = user < 20
    predicted = model.predict(TRAIN, user[new], item[new])
    actual = WORLD.rating[TEST][new]
    assert ((predicted - actual) ** 2).mean() < 0.5 * actual.var()


def test_a_catalogue_with_new_titles_and_another_order_uses_what_is_known_by_id(
    items: Items, trained: TrainedDnn, tmp_path: Path
) -> None:
    trained.save(tmp_path / "m")
    order = np.random.default_rng(1).permutation(36)
    turned = Items(items.anime_id[order], items.features[order], [items.names[row] for row in order], items.relations)
    place = np.argsort(order).astype(np.int32)
    history = Ratings(TRAIN.user, place[TRAIN.item], TRAIN.rating, TRAIN.n_users, 36)
    user, item = pairs()
    np.testing.assert_allclose(
        load(tmp_path / "m", turned).predict(history, user, place[item]),
        trained.predict(TRAIN, user, item),
        atol=1e-3,
    )
    larger = small_items(42)
    grown = Ratings(TRAIN.user, TRAIN.item, TRAIN.rating, TRAIN.n_users, 42)
    predicted = load(tmp_path / "m", larger).predict(grown, np.arange(40, dtype=np.int32), np.full(40, 41, np.int32))
    assert np.isfinite(predicted).all()
    assert predicted.std() > 0


def test_a_history_of_another_catalogue_is_refused(trained: TrainedDnn) -> None:
    other = Ratings(TRAIN.user, TRAIN.item, TRAIN.rating, TRAIN.n_users, 99)
    with pytest.raises(ValueError, match="99 titles, the model's catalogue 36"):
        trained.predict(other, *pairs())


@pytest.mark.parametrize(
    ("rows", "ratings"),
    [([], []), ([3], [9.0]), ([3, 8], [np.nan, np.nan])],
    ids=["no rows", "one rating", "only unrated rows"],
)
def test_a_user_with_hardly_a_list_gets_a_rating(trained: TrainedDnn, rows: list[int], ratings: list[float]) -> None:
    history = Ratings(
        np.zeros(len(rows), np.int32), np.array(rows, dtype=np.int32), np.array(ratings, dtype=np.float32), 1, 36
    )
    predicted = trained.predict(history, np.zeros(36, np.int32), np.arange(36, dtype=np.int32))
    assert np.isfinite(predicted).all()
    assert predicted.std() > 0.05


def test_a_title_of_which_nothing_is_known_can_be_trained_on_and_predicted(items: Items) -> None:
    model = train(TRAIN, without_features(items, 4), SETTINGS)
    assert np.isfinite(model.predict(TRAIN, np.arange(40, dtype=np.int32), np.full(40, 4, np.int32))).all()


@pytest.mark.parametrize("rows", [2, 3, 9])
def test_a_handful_of_rows_trains_without_a_fuss(items: Items, rows: int) -> None:
    few = TRAIN.rated.take(np.arange(rows))
    assert np.isfinite(train(few, items, SETTINGS).predict(few, *pairs())).all()


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_ratings_are_an_error_that_says_so(items: Items, rows: int) -> None:
    with pytest.raises(TrainingError, match="too few to train on"):
        train(TRAIN.rated.take(np.arange(rows)), items, SETTINGS)


def test_asking_for_nothing_gives_nothing(trained: TrainedDnn) -> None:
    assert trained.predict(TRAIN, np.zeros(0, np.int32), np.zeros(0, np.int32)).shape == (0,)


def test_progress_and_curve_tell_the_same_story(items: Items) -> None:
    seen: list[tuple[int, float, float]] = []
    model = train(TRAIN, items, SETTINGS, progress=lambda *report: seen.append(report))
    assert seen == [(point.epoch, point.train_loss, point.valid_loss) for point in model.curve]
    assert 1 <= model.best_epoch <= model.epochs <= SETTINGS.epochs


@pytest.mark.parametrize(("passes", "epochs"), [(None, 12), (10**9, 12), (8_000, 8), (2_999, 3), (1, 3)])
def test_a_budget_of_rows_gives_fewer_epochs_whatever_the_clock_says(passes: int | None, epochs: int) -> None:
    assert epochs_for(500, DnnSettings(members=2, most_row_passes=passes)) == epochs


def test_a_budget_of_rows_shortens_the_training_and_its_course(items: Items) -> None:
    model = train(TRAIN, items, SETTINGS.model_copy(update={"most_row_passes": 1}))
    assert model.stopped == "all 3 epochs ran"


def test_a_training_that_was_cut_off_ends_in_the_same_file(items: Items, trained: TrainedDnn, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def kill(epoch: int, *_: float) -> None:
        if epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(TRAIN, items, SETTINGS, progress=kill, keep=tmp_path / "state")
    again = train(TRAIN, items, SETTINGS, keep=tmp_path / "state")
    assert again.resumed_after == 2
    assert again.save(tmp_path / "a") == trained.save(tmp_path / "b")


def test_other_ratings_are_not_learnt_from_where_another_training_was_cut_off(items: Items, tmp_path: Path) -> None:
    train(TRAIN, items, SETTINGS, keep=tmp_path / "state")
    said: list[str] = []
    fewer = TRAIN.take(np.arange(len(TRAIN) - 1))
    assert train(fewer, items, SETTINGS, keep=tmp_path / "state", tell=said.append).resumed_after == 0
    assert "begins anew" in said[0]


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 40])
def test_the_learning_rate_is_that_of_torchs_one_cycle(steps: int) -> None:
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=max(2, steps))
    for step in range(steps):
        group = optimizer.param_groups[0]
        assert one_cycle(step, steps, 0.01) == pytest.approx((group["lr"], group["betas"][0]), rel=1e-12)
        optimizer.step()
        if step < steps - 1:
            cycle.step()


def test_mixed_precision_learns_the_same(items: Items, trained: TrainedDnn) -> None:
    mixed = train(TRAIN, items, SETTINGS.model_copy(update={"precision": "mixed"}))
    assert mse(mixed.predict(TRAIN, *pairs())) == pytest.approx(mse(trained.predict(TRAIN, *pairs())), rel=0.05)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_learns_the_same(items: Items, trained: TrainedDnn, tmp_path: Path) -> None:
    model = train(TRAIN, items, SETTINGS, device="cuda:0", keep=tmp_path / "state")
    assert mse(model.predict(TRAIN, *pairs())) == pytest.approx(mse(trained.predict(TRAIN, *pairs())), rel=0.05)
    model.save(tmp_path / "m")
    on_cpu = load(tmp_path / "m", items).predict(TRAIN, *pairs())
    np.testing.assert_allclose(on_cpu, model.predict(TRAIN, *pairs()), atol=0.01)


def test_a_learning_rate_that_explodes_is_reported_not_saved(items: Items) -> None:
    wild = SETTINGS.model_copy(update={"learning_rate": 1e38})
    with pytest.raises(TrainingError, match="not finite in epoch 1"):
        train(TRAIN, items, wild)


def test_more_rows_than_wanted_are_sampled(items: Items) -> None:
    assert 80 < train(TRAIN, items, SETTINGS.model_copy(update={"max_train_rows": 100})).train_rows <= 100


def spoil(path: Path, case: str) -> None:
    tensors, header = read_weights(path, kind=KIND)
    if case == "other columns":
        header["columns"] = header["columns"][:-1]
    elif case == "an array is missing":
        del tensors["item.taste"]
    elif case == "a layer is missing":
        del tensors["network.head.bias"]
    elif case == "a layer of another shape":
        tensors["network.head.bias"] = tensors["network.head.bias"][:, :, :1]
    elif case == "settings of another version":
        header["settings"]["colour"] = "blue"
    elif case == "no curve":
        del header["curve"]
    elif case == "titles cut short":
        tensors["anime_id"] = tensors["anime_id"][:-2]
    write_weights(path, tensors, header, kind=KIND)


@pytest.mark.parametrize(
    "case",
    [
        "other columns",
        "an array is missing",
        "a layer is missing",
        "a layer of another shape",
        "settings of another version",
        "no curve",
        "titles cut short",
    ],
)
def test_a_model_file_that_does_not_fit_is_an_error_that_names_it(
    items: Items, trained: TrainedDnn, tmp_path: Path, case: str
) -> None:
    path = tmp_path / "m.safetensors"
    trained.save(path)
    spoil(path, case)
    with pytest.raises(WeightsError, match=r"m\.safetensors"):
        load(path, items)


def test_the_common_face_fits_and_predicts(items: Items, trained: TrainedDnn) -> None:
    model = Dnn(SETTINGS).fit(TRAIN, items)
    np.testing.assert_array_equal(model.predict(*pairs()), trained.predict(TRAIN, *pairs()))
    np.testing.assert_array_equal(model.predict_for(TRAIN, *pairs()), model.predict(*pairs()))


def test_an_unfitted_model_says_so() -> None:
    with pytest.raises(ValueError, match="not fitted"):
        Dnn().predict(*pairs())


def test_reading_the_settings_costs_no_torch() -> None:
    code = "import sys, malsugoi_assets.recommend.dnn_settings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
