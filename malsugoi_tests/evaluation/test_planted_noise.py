"""No model beats the noise that the replica's world plants: one that does has seen what it predicts.

Of each rating the world knows the variance, so (prediction - rating)² less that variance is, on average over a row's
possible ratings, (prediction - expected rating)² ≥ 0, unless the prediction knows this very rating.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.evaluation.data import EvaluationRows, evaluation_rows
from malsugoi_assets.evaluation.protocols import Protocol, make_protocol
from malsugoi_assets.evaluation.registry import MODELS, available
from malsugoi_assets.evaluation.run import predict
from malsugoi_assets.files.catalogue import FEATURES, RELATIONS
from malsugoi_assets.mal.replica.world import World
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_tests.evaluation.small_lists import briefer

PREDICTING = [name for name in available() if hasattr(MODELS[name].make(0), "predict")]
# A network that is trained for less long can only be further from the answers.
LESS = {
    "dnn": {"epochs": 3, "members": 1, "threads": 1},
    "dnn-original": {"epochs": 5, "threads": 1},
    "blend": {"epochs": 3, "members": 2, "threads": 1},
}


@cache
def lists() -> tuple[World, EvaluationRows, Protocol]:
    """The lists of a small world as an evaluation sees them, and a fifth of their ratings as targets."""
    world = World(seed=4, n_anime=150, n_users=90)
    rows = [
        (user.username, entry.index, world.titles[entry.index].anime_id, entry.score or None)
        for user in world.users
        if user.kind == "ok"
        for entry in user.entries
    ]
    schema = {"username": pl.String, "item": pl.Int32, "anime_id": pl.Int32, "score": pl.Int8}
    catalogue = pl.DataFrame(
        [
            {
                **{name: getattr(title, name, None) for name in FEATURES},
                **{name: getattr(figures, name) for name in ("score", "scored_by", "ranked", "members", "favorites")},
                "popularity": figures.popularity,
                "synonyms": list(title.synonyms),
                "key": f"{number:04}",
                "names": [title.title],
            }
            for number, (title, figures) in enumerate(zip(world.titles, world.figures, strict=True))
        ],
        schema={**FEATURES, "key": pl.String, "names": pl.List(pl.String)},
    )
    relations = [(t.anime_id, *relation) for t in world.titles for relation in t.relations]
    found = evaluation_rows(
        pl.DataFrame(rows, schema=schema, orient="row"),
        catalogue,
        pl.DataFrame(relations, schema=RELATIONS, orient="row"),
    )
    protocol = make_protocol("random5", found, 0)
    return world, found, replace(protocol, folds=protocol.folds[:1])


def excess(make: Any) -> tuple[float, float]:
    """Mean squared error above the planted noise on the very rows that are evaluated, and its standard error by users."""
    world, rows, protocol = lists()
    said = predict(rows, protocol, {"model": make})
    names = rows.usernames.to_list()
    noise = [world.noise_variance(names[rows.user[t]], int(rows.anime[t])) for t in said.targets]
    above = (said.by_model["model"] - rows.rating[said.targets]) ** 2 - np.array(noise)
    mean = float(above.mean())
    by_user = np.bincount(rows.user[said.targets], weights=above - mean)
    return mean, float(np.sqrt((by_user**2).sum())) / len(above)


@pytest.mark.parametrize("name", PREDICTING)
def test_no_model_beats_the_planted_noise(name: str) -> None:
    def brief(seed: int) -> Any:
        model = MODELS[name].make(seed)
        if name in LESS:
            model.settings = briefer(model.settings, LESS[name])
        return model

    above, error = excess(brief)
    assert above > -2 * error, f"{name}: {above:+.3f} ± {error:.3f} above the noise"


class Knowing:
    """Predicts the mean of the ratings that the user would give, drawn to the rating that was given by `peeking`."""

    def __init__(self, peeking: float) -> None:
        self.peeking = peeking

    def fit(self, ratings: Ratings, items: Items) -> Knowing:
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        world, rows, _ = lists()
        names = rows.usernames.to_list()
        best = [world.expected(names[u], int(rows.items.anime_id[i])) for u, i in zip(user, item, strict=True)]
        given = {(u, i): r for u, i, r in zip(rows.user, rows.item, rows.rating, strict=True)}
        truth = np.array([given[u, i] for u, i in zip(user, item, strict=True)])
        return np.asarray((1 - self.peeking) * np.array(best) + self.peeking * truth, dtype=np.float32)


def test_the_best_that_can_be_known_lies_at_the_noise() -> None:
    above, error = excess(lambda seed: Knowing(0))
    assert abs(above) < 2 * error


def test_a_model_that_peeks_a_little_is_found_out() -> None:
    """A tenth of the way to the answers is enough to be seen: the check has teeth."""
    above, error = excess(lambda seed: Knowing(0.1))
    assert above < -2 * error
