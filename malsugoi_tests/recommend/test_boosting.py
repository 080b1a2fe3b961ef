"""Trees that are grown by hand are grown by the code, and what can be learnt is learnt."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend.boosting import BoostingSettings, Trees, grow, grow_likely

WHOLE = BoostingSettings(trees=1, depth=1, rate=1, penalty=0, least_rows=1, columns=1, rows=1)


def test_one_split_by_hand() -> None:
    """Targets 1, 1, 5, 5 over a column 0, 1, 2, 3 (and one that says nothing): cut between 1 and 2, answers 1 and 5."""
    matrix = np.array([[7, 0], [7, 1], [7, 2], [7, 3]], dtype=np.float32)
    trees = grow(matrix, np.array([1, 1, 5, 5], dtype=np.float32), WHOLE, seed=0)
    assert trees.column.tolist() == [[1]]
    assert trees.threshold.tolist() == [[1.0]]
    assert trees.answer.tolist() == [[1.0, 5.0]]
    asked = np.array([[0, 1.0], [0, 1.5], [9, -3], [9, 99]], dtype=np.float32)
    assert trees.predict(asked).tolist() == [1, 5, 1, 5]


def test_the_penalty_draws_leaves_to_zero_by_hand() -> None:
    """Two rows a leaf, sums 2 and 10: with a penalty of 2 rows the leaves say 2 / 4 and 10 / 4."""
    matrix = np.array([[0], [1], [2], [3]], dtype=np.float32)
    settings = WHOLE.model_copy(update={"penalty": 2.0})
    trees = grow(matrix, np.array([1, 1, 5, 5], dtype=np.float32), settings, seed=0)
    assert trees.answer.tolist() == [[0.5, 2.5]]


def test_no_leaf_has_fewer_rows_than_asked_for() -> None:
    """One row of ten is far off; with three rows a leaf at least it takes two neighbours along."""
    matrix = np.arange(10, dtype=np.float32)[:, None]
    target = np.array([100, *[0.0] * 9], dtype=np.float32)
    trees = grow(matrix, target, WHOLE.model_copy(update={"least_rows": 3}), seed=0)
    assert trees.threshold.tolist() == [[2.0]]
    assert trees.answer[0] == pytest.approx([100 / 3, 0])


def test_an_interaction_is_learnt_and_new_rows_are_answered() -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(4000, 6)).astype(np.float32)
    truth = np.where(matrix[:, 0] > 0, matrix[:, 1], -matrix[:, 1]) + 0.5 * matrix[:, 2]
    target = (truth + random.normal(0, 0.3, 4000)).astype(np.float32)
    settings = BoostingSettings(trees=200, depth=4, penalty=5, columns=0.7)
    said = grow(matrix[:3000], target[:3000], settings, seed=0).predict(matrix[3000:])
    assert ((said - truth[3000:]) ** 2).mean() < 0.2 * truth.var()


def test_one_newton_step_by_hand() -> None:
    """Half are wanted: p = ½, a row counts ¼. Four rows' residuals of ±½ over their weight 1 (+ λ = 1) say ±2, or ±1."""
    matrix, wanted = np.arange(8, dtype=np.float32)[:, None], np.arange(8) >= 4
    trees = grow_likely(matrix, wanted, WHOLE, seed=0)
    assert trees.threshold.tolist() == [[3.0]]
    assert trees.answer.tolist() == [[-2.0, 2.0]]
    drawn = WHOLE.model_copy(update={"penalty": 1.0})
    assert grow_likely(matrix, wanted, drawn, seed=0).answer.tolist() == [[-1.0, 1.0]]


def test_the_sum_of_many_trees_is_the_log_odds_less_those_of_all() -> None:
    """Of 100 rows of each kind 10 and 60 are wanted, of all 35 %: log odds of .1, .6 and .35."""
    matrix = np.repeat([0.0, 1.0], 100).astype(np.float32)[:, None]
    wanted = np.concatenate([np.arange(100) < 10, np.arange(100) < 60])
    trees = grow_likely(matrix, wanted, WHOLE.model_copy(update={"trees": 30}), seed=0)
    odds = np.log(np.array([0.1 / 0.9, 0.6 / 0.4])) - np.log(0.35 / 0.65)
    assert trees.predict(np.array([[0.0], [1.0]], np.float32)) == pytest.approx(odds, abs=1e-3)


def test_noise_teaches_little() -> None:
    random = np.random.default_rng(1)
    matrix, target = random.normal(size=(3000, 5)).astype(np.float32), random.normal(size=3000).astype(np.float32)
    said = grow(matrix, target, BoostingSettings(trees=30), seed=0).predict(random.normal(size=(500, 5)).astype("f4"))
    assert said.std() < 0.3


def test_the_same_input_gives_the_same_trees_and_another_seed_others() -> None:
    random = np.random.default_rng(2)
    matrix, target = random.normal(size=(500, 9)).astype(np.float32), random.normal(size=500).astype(np.float32)
    one, same, other = (grow(matrix, target, BoostingSettings(trees=5), seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.predict(matrix), same.predict(matrix))
    assert not np.array_equal(one.predict(matrix), other.predict(matrix))


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_few_rows_and_columns_that_say_nothing_are_no_trouble(rows: int) -> None:
    matrix = np.full((rows, 3), 4.0, dtype=np.float32)
    trees = grow(matrix, np.ones(rows, dtype=np.float32), BoostingSettings(trees=3), seed=0)
    assert np.isfinite(trees.predict(matrix)).all()
    assert (trees.column == -1).all()


def test_training_rows_are_answered_as_they_were_sorted() -> None:
    """Rounding to bins and comparing with thresholds must send every row the same way."""
    random = np.random.default_rng(3)
    matrix = np.round(random.normal(size=(800, 4)), 1).astype(np.float32)
    target = (matrix[:, 0] > 0.1).astype(np.float32)
    said = grow(matrix, target, WHOLE.model_copy(update={"bins": 200}), seed=0).predict(matrix)
    np.testing.assert_allclose(said, target)


def test_they_are_written_and_read() -> None:
    matrix = np.arange(20, dtype=np.float32)[:, None]
    trees = grow(matrix, matrix[:, 0], BoostingSettings(trees=4, least_rows=1), seed=0)
    again = Trees.from_tensors(trees.tensors("t."), "t.")
    np.testing.assert_array_equal(again.predict(matrix), trees.predict(matrix))
    broken = trees.tensors("t.") | {"t.answer": trees.answer[:, :-1]}
    with pytest.raises(ValueError, match="do not fit together"):
        Trees.from_tensors(broken, "t.")
