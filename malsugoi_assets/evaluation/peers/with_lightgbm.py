"""Peers from LightGBM: boosted trees on the inputs that our network gets, out of fold as there.

`LightGbm` has what one would make by hand: effects, counts, quantiles, kernel-weighted means of the list's residuals, the
nearest titles, regressions on similar users, content; it corrects the offsets of user and title. What our Gaussian processes
say, over one list or all, is left out. `LightGbmOnProcess` has that too, and corrects the process.

Settings and number of trees are chosen on a fifth of the out-of-fold rows, not on a split of the lists: the inputs are what
costs the time, and every row of them was made without its own rating.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import lightgbm
import numpy as np
import numpy.typing as npt

from malsugoi_assets.evaluation.peers.peer import RatingPeer, Setting
from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.dnn import training_rows
from malsugoi_assets.recommend.dnn_settings import DnnSettings
from malsugoi_assets.recommend.features import Catalogue, Inputs, column_names, pair_inputs
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import IntArray, Ratings

MADE_BY_PROCESS = ("gp_", "joint_", "left_out_")
"""How the names of the columns begin that a Gaussian process made."""


@dataclass(frozen=True)
class _Learnt:
    catalogue: Catalogue
    history: Ratings
    trees: Any


class LightGbm(RatingPeer):
    """Trees predict what the offsets of user and title leave over, in the user's unit of residuals."""

    settings_of_inputs: ClassVar[DnnSettings] = DnnSettings(most_joint=0, near_titles=0)

    grid: ClassVar[tuple[Setting, ...]] = (
        {"num_leaves": 31, "min_child_samples": 20},
        {"num_leaves": 15, "min_child_samples": 80},
        {
            "num_leaves": 31,
            "min_child_samples": 80,
            "learning_rate": 0.03,
            "feature_fraction": 0.2,
            "lambda_l2": 50.0,
        },
    )
    common: ClassVar[Setting] = {
        "objective": "regression",
        "learning_rate": 0.05,
        "feature_fraction": 0.4,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 10.0,
        "verbosity": -1,
        "deterministic": True,
    }
    most_trees: ClassVar[int] = 1000

    def choose(self, ratings: Ratings, items: Items) -> Setting:
        """The setting and number of trees with the least error on a fifth of the out-of-fold rows."""
        rows = training_rows(ratings, items, self.settings_of_inputs, self.seed)
        catalogue = rows.learn_titles()
        inputs = self.seen(rows.inputs, float(catalogue.state.mean[0]))
        self._catalogue, self._matrix = catalogue, inputs.matrix
        # In units of the user's residuals, with weights that make it an error of rating points again.
        self._target = (rows.rating - inputs.base) / inputs.scale
        self._weight = inputs.scale**2
        self.tried = []
        if len(self._target) < 50:
            return {**self.grid[0], "trees": 10}
        held = np.random.default_rng(self.seed).random(len(self._target)) < 0.2
        for setting in self.grid:
            parts = [
                lightgbm.Dataset(self._matrix[part], self._target[part], weight=self._weight[part])
                for part in (~held, held)
            ]
            trees = lightgbm.train(
                self._parameters(setting),
                parts[0],
                self.most_trees,
                valid_sets=[parts[1]],
                callbacks=[lightgbm.early_stopping(50, verbose=False)],
            )
            loss = float(trees.best_score["valid_0"]["l2"])
            self.tried.append(({**setting, "trees": max(trees.best_iteration, 1)}, loss))
        return min(self.tried, key=lambda pair: pair[1])[0]

    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> _Learnt:
        """Trees on all out-of-fold rows; the inputs of later questions come from all of `ratings`."""
        parameters = self._parameters({name: value for name, value in setting.items() if name != "trees"})
        data = lightgbm.Dataset(self._matrix, self._target, weight=self._weight)
        trees = lightgbm.train(parameters, data, setting["trees"])
        learnt = _Learnt(self._catalogue, ratings, trees)
        del self._matrix, self._target, self._weight
        return learnt

    def answer(self, learnt: _Learnt, user: IntArray, item: IntArray) -> npt.NDArray[np.float64]:
        """The base of the inputs, corrected by the trees."""
        threads = available_threads()
        most = self.settings_of_inputs.max_history
        asked = pair_inputs(learnt.catalogue, learnt.history, user, item, most, threads)
        inputs = self.seen(asked, float(learnt.catalogue.state.mean[0]))
        return np.asarray(inputs.base + inputs.scale * learnt.trees.predict(inputs.matrix))

    def seen(self, inputs: Inputs, mean: float) -> Inputs:
        """What the trees get of the inputs: no column that a process made, and the offsets as base."""
        names = column_names([])
        column = dict(zip(names, inputs.matrix.T, strict=False))
        base = (mean + column["title_effect"] + column["user_offset"]).astype(np.float32)
        made = [place for place, name in enumerate(names) if name == "base" or name.startswith(MADE_BY_PROCESS)]
        return replace(inputs, matrix=np.delete(inputs.matrix, made, axis=1), base=base)

    def memory(self, ratings: Ratings) -> float:
        """About 200 inputs a row, and their bins."""
        return 1200.0 * min(len(ratings.rated), DnnSettings().max_train_rows)

    def _parameters(self, setting: Setting) -> dict[str, Any]:
        return {**self.common, **setting, "seed": self.seed, "num_threads": available_threads()}


class LightGbmOnProcess(LightGbm):
    """The same on all inputs: trees correct what the Gaussian process over all users predicts."""

    settings_of_inputs: ClassVar[DnnSettings] = DnnSettings(near_titles=0)

    def seen(self, inputs: Inputs, mean: float) -> Inputs:
        """All of it."""
        return inputs
