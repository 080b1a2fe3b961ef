"""The gate: refused is what is worse beyond the tolerance and not by chance, and the words say so."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.evaluation.gate import compare, uncontested
from malsugoi_assets.evaluation.hold_out import HoldOut, hold_out
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, Ratings
from malsugoi_tests.evaluation.test_hold_out import NOTHING, lists_of, many


def held(errors_by_user: list[list[float]]) -> tuple[HoldOut, FloatArray, FloatArray]:
    """Targets that are all 7; the new build errs as given, the current one by 1 each time."""
    user = np.repeat(np.arange(len(errors_by_user), dtype=np.int32), [len(e) for e in errors_by_user])
    error = np.array([e for mine in errors_by_user for e in mine], dtype=np.float32)
    rating = np.full(len(user), 7, dtype=np.float32)
    none = np.zeros(0, np.int32)
    items = Items(np.arange(9, dtype=np.int32), *NOTHING[:1], [], NOTHING[1])
    train = Ratings(none, none, none.astype(np.float32), len(errors_by_user), 9)
    return HoldOut(train, items, user, np.zeros_like(user), rating), rating + error, rating + 1


def test_a_build_that_is_clearly_worse_is_refused_in_words_with_its_figures() -> None:
    """Squared errors 1.44 against 1 for everybody: the difference is .44 whichever users are drawn."""
    found = compare(*held([[1.2, 1.2], [1.2], [1.2, 1.2]]), "dnn-a", tolerance=0.01)
    assert not found.accepted
    assert (found.n, found.versus) == (5, "dnn-a")
    assert found.mse == pytest.approx(1.44)
    assert [found.difference, found.ci_low, found.ci_high] == pytest.approx([0.44] * 3, abs=1e-6)
    assert found.words == (
        "refused: its mean squared error differs by +0.4400 [+0.4400, +0.4400] from that of dnn-a on 5 held-out "
        "ratings, worse by more than 0.01; dnn-a goes on predicting"
    )


def test_a_build_that_is_worse_within_the_tolerance_is_accepted() -> None:
    assert compare(*held([[1.2, 1.2], [1.2], [1.2, 1.2]]), "dnn-a", tolerance=0.5).accepted


def test_a_better_build_is_accepted() -> None:
    found = compare(*held([[0.5], [0.5], [0.5]]), "dnn-a", tolerance=0)
    assert found.accepted
    assert "differs by -0.7500" in found.words


def test_a_difference_that_may_be_chance_is_let_pass_and_that_is_said() -> None:
    """One of two users is far worse, the other better: drawn by users, the interval holds zero."""
    found = compare(*held([[3.0], [0.1]]), "dnn-a", tolerance=0.01)
    assert (found.difference or 0) > 0.01
    assert found.accepted
    assert found.words.endswith("more than 0.01, but that may be chance")


def test_of_a_single_user_the_difference_alone_decides() -> None:
    found = compare(*held([[3.0, 3.0]]), "dnn-a", tolerance=0.01)
    assert (found.accepted, found.ci_low) == (False, None)


def test_without_held_out_ratings_there_is_nothing_to_compare() -> None:
    empty = hold_out(lists_of([("a", 1, None)]), *NOTHING)
    none = np.zeros(0, np.float32)
    found = compare(empty, none, none, "dnn-a", tolerance=0)
    assert (found.accepted, found.n, found.mse) == (True, 0, None)


def test_a_build_without_a_rival_still_has_its_error() -> None:
    made, predicted, _ = held([[1.0], [2.0]])
    assert uncontested(made, predicted, "accepted: first").mse == pytest.approx(2.5)


def test_what_an_old_build_learnt_from_is_never_a_target_of_a_later_comparison() -> None:
    """Lists grow, people leave and rate anew: still no pair that was once learnt with its rating is held out later."""
    random = np.random.default_rng(2)

    def pairs(lists: pl.DataFrame) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
        made, names = hold_out(lists, *NOTHING), lists["username"].unique().sort()
        learnt = made.train.rated
        return (
            {(names[int(u)], int(made.items.anime_id[i])) for u, i in zip(learnt.user, learnt.item, strict=True)},
            {(names[int(u)], int(made.items.anime_id[i])) for u, i in zip(made.user, made.item, strict=True)},
        )

    everything = many(60, 60)
    learnt_once: set[tuple[str, int]] = set()
    for _ in range(6):
        lists = everything.filter(pl.Series(random.random(len(everything)) < random.uniform(0.2, 1)))
        scores = random.permutation(lists["score"].to_numpy())
        lists = lists.with_columns(score=pl.Series(scores, strict=False).cast(pl.Int8, strict=False))
        learnt, targets = pairs(lists)
        assert not targets & learnt_once
        learnt_once |= learnt
