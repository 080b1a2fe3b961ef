"""The blend: what a Gaussian process says, corrected by a network and by boosted trees that share its inputs.

    r̂ = base + w_n · s_u · network + w_t · trees,   interval [r̂ + q_low · d, r̂ + q_high · d]

base = the process' posterior mean, s_u = the user's unit of residuals, d = the deviation that the network expects. Each
member of the network, and the forest beside it, is trained without a tenth of the users: on their rows, whose inputs
are out of fold besides, the weights are fitted by least squares and the quantiles q of (r - r̂) / d are taken (split
conformal prediction: Vovk et al. 2005, Lei et al. 2018). So weights and intervals rest on rows, and users, that nothing
was fitted to; what predicts, the mean of all members, errs a little less than that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.blend_settings import KIND, BlendSettings
from malsugoi_assets.recommend.boosting import Trees, grow
from malsugoi_assets.recommend.conformal import LEAST_CALIBRATED, covering_quantile
from malsugoi_assets.recommend.devices import compute_threads
from malsugoi_assets.recommend.dnn import (
    TrainedDnn,
    TrainingRows,
    from_tensors,
    load,
    to_tensors,
    train,
    training_rows,
)
from malsugoi_assets.recommend.ensemble import validation_rows
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.training import EpochLoss, Progress
from malsugoi_assets.recommend.weights import WeightsError, kind_of, read_weights, write_weights

Floats = npt.NDArray[np.floating[Any]]
PRIOR_WEIGHTS = (0.6, 0.4)


@dataclass(frozen=True)
class Prediction:
    """Ratings with their intervals, float32 (n,) each, all in [1, 10]; `gp`, `network`, `trees`: the parts alone.

    `deviation`: the standard deviation that a bell curve with an interval of that width has, in rating points;
    `network_deviation`: that which the network states.
    """

    rating: FloatArray
    low: FloatArray
    high: FloatArray
    deviation: FloatArray
    gp: FloatArray
    network: FloatArray
    trees: FloatArray
    network_deviation: FloatArray


@dataclass(frozen=True)
class Apart:
    """Mean squared errors on the training rows of the users that the parts were trained without, `rows` of them.

    `blend`: with weights fitted to the other half of these users, so that no row has a say in what predicts it; `network`:
    the network alone. Each row is predicted by one member and the forest beside it.
    """

    rows: int
    blend: float
    network: float


@dataclass(frozen=True)
class TrainedBlend:
    """A trained blend with all that it needs to predict over one catalogue.

    `forests`: one a member of the network; `weights`: of network and trees; `quantiles`: (low, high), in units of the
    network's deviation; `calibrated_on`: rows that weights and quantiles rest on; `apart`: how blend and network alone
    compare there, which is not kept in the file.
    """

    settings: BlendSettings
    dnn: TrainedDnn
    forests: tuple[Trees, ...]
    weights: tuple[float, float]
    quantiles: tuple[float, float]
    calibrated_on: int
    train_seconds: float
    apart: Apart | None = None

    in_words = "the blend"

    @property
    def device(self) -> str:
        """Where the network runs."""
        return self.dnn.device

    @property
    def curve(self) -> tuple[EpochLoss, ...]:
        """The losses of the network's epochs."""
        return self.dnn.curve

    @property
    def parameters(self) -> int:
        """Learnable numbers: the network's, and the trees' leaves."""
        return self.dnn.parameters + sum(forest.answer.size for forest in self.forests)

    def predict(self, history: Ratings, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings, float32 (n,), as `TrainedDnn.predict`: anybody whose list is in `history`."""
        return self.predict_with_interval(history, user, item).rating

    def parts(self, history: Ratings, user: IntArray, item: IntArray) -> tuple[dict[str, FloatArray], FloatArray]:
        """What each part says by its name, the whole first, as `predict`; and the deviation of the whole."""
        said = self.predict_with_interval(history, user, item)
        return {"blend": said.rating, "dnn": said.network, "gp": said.gp}, said.deviation

    def predict_with_interval(self, history: Ratings, user: IntArray, item: IntArray) -> Prediction:
        """As `predict`, with the interval in which the rating lies with the probability `settings.cover`."""
        if not len(user):
            return Prediction(*(np.zeros(0, dtype=np.float32) for _ in range(8)))
        inputs = self.dnn.inputs(history, user, item)
        correction, deviation = self.dnn.correct(inputs)
        trees = np.mean([forest.predict(inputs.matrix) for forest in self.forests], axis=0)
        network = inputs.scale * correction
        rating = (inputs.base + self.weights[0] * network + self.weights[1] * trees).clip(1, 10)
        spread = inputs.scale * deviation

        def within(values: FloatArray) -> FloatArray:
            return np.asarray(values.clip(1, 10), dtype=np.float32)

        return Prediction(
            within(rating),
            within(rating + self.quantiles[0] * spread),
            within(rating + self.quantiles[1] * spread),
            spread
            * np.float32(
                (self.quantiles[1] - self.quantiles[0]) / 2 / NormalDist().inv_cdf((1 + self.settings.cover) / 2)
            ),
            within(inputs.base),
            within(inputs.base + network),
            within(inputs.base + trees),
            np.float32(self.dnn.widening) * spread,
        )

    def better(self) -> tuple[TrainedBlend | TrainedDnn, str]:
        """What shall predict, and why: all of it, or its network alone where that errs less on users kept apart.

        Where there is nothing to compare on it is the blend.
        """
        if self.apart is None or self.apart.rows < LEAST_CALIBRATED:
            return self, "the blend, since too few ratings are out of fold to compare"
        words = (
            f"mean squared error {self.apart.blend:.4f} on {self.apart.rows:,} ratings of users kept apart in training, "
            f"the network alone {self.apart.network:.4f}"
        )
        if self.apart.blend <= self.apart.network:
            return self, f"the blend: {words}"
        return self.dnn, f"the network alone: the blend's {words}"

    def save(self, path: Path) -> str:
        """Write the model to `path` by rename; returns the file's sha256. Same model, same bytes."""
        tensors, header = to_tensors(self.dnn)
        for number, forest in enumerate(self.forests):
            tensors |= forest.tensors(f"forest.{number}.")
        header |= {
            "blend": self.settings.model_dump(),
            "weights": list(self.weights),
            "quantiles": list(self.quantiles),
            "calibrated_on": self.calibrated_on,
        }
        return write_weights(path, tensors, header, kind=KIND)


def train_blend(
    ratings: Ratings,
    items: Items,
    settings: BlendSettings | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    *,
    seed: int = 0,
    keep: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> TrainedBlend:
    """Train on all rated rows of `ratings`; see `dnn.train`. Raises `TrainingError` where there is too little."""
    settings = settings or BlendSettings()
    start = time.monotonic()
    rows = training_rows(ratings, items, settings.network, seed)
    held = validation_rows(rows.user, settings.network.members, settings.network.valid_share, seed)
    left = rows.rating - rows.inputs.base

    def forest(member: int) -> Trees:
        learnt = ~held[member]
        return grow(rows.inputs.matrix[learnt], left[learnt], settings.trees, seed + member)

    # The network keeps one core busy; the titles are learnt and the forests grow beside it on the others, and need nothing of it.
    threads = settings.network.threads or available_threads()
    with compute_threads(1), ThreadPoolExecutor(max(1, threads - 1)) as pool:
        titles = pool.submit(rows.learn_titles) if threads > 1 else None
        growing = [pool.submit(forest, member) for member in range(len(held) if threads > 1 else 0)]
        try:
            dnn = train(
                ratings,
                items,
                settings.network,
                device,
                progress,
                seed=seed,
                keep=keep,
                tell=tell,
                rows=rows,
                catalogue=titles,
            )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        forests = tuple(future.result() for future in growing) or tuple(forest(member) for member in range(len(held)))
    apart = _said_apart(rows, held, dnn, forests)
    weights = apart.weights(settings.prior_rows)
    return TrainedBlend(
        settings,
        dnn,
        forests,
        weights,
        apart.quantiles(weights, settings.cover),
        len(apart.left),
        time.monotonic() - start,
        apart.compared(settings.prior_rows),
    )


@dataclass(frozen=True)
class _SaidApart:
    """What a member and its forest say of the users that they were trained without; float64, one entry a row.

    `left`: rating - base, which `network` and `trees` should come to; `deviation`: in rating points.
    """

    user: IntArray
    base: Floats
    left: Floats
    network: Floats
    trees: Floats
    deviation: Floats

    def weights(self, prior_rows: float, some: npt.NDArray[np.bool_] | slice = slice(None)) -> tuple[float, float]:
        """w_n and w_t fitted to `some` rows, all by default."""
        return fitted_weights(self.left[some], self.network[some], self.trees[some], prior_rows)

    def quantiles(self, weights: tuple[float, float], cover: float) -> tuple[float, float]:
        """In which multiples of the deviation the errors lie; a bell curve's where there are few rows."""
        outside = (1 - cover) / 2
        if len(self.left) < LEAST_CALIBRATED:
            return NormalDist().inv_cdf(outside), NormalDist().inv_cdf(1 - outside)
        error = self.left - weights[0] * self.network - weights[1] * self.trees
        error = error / self.deviation
        return -covering_quantile(-error, 1 - outside), covering_quantile(error, 1 - outside)

    def compared(self, prior_rows: float) -> Apart | None:
        """Blend and network alone on all rows; None where there is none."""
        if not len(self.left):
            return None
        half = np.unique(self.user, return_inverse=True)[1] % 2 == 0
        correction = np.empty_like(self.left)
        for mine in (half, ~half):
            weights = self.weights(prior_rows, ~mine)
            correction[mine] = weights[0] * self.network[mine] + weights[1] * self.trees[mine]
        return Apart(len(self.left), self._error(correction), self._error(self.network))

    def _error(self, correction: Floats) -> float:
        return float((((self.base + correction).clip(1, 10) - self.base - self.left) ** 2).mean())


def _said_apart(
    rows: TrainingRows, held: npt.NDArray[np.bool_], dnn: TrainedDnn, forests: tuple[Trees, ...]
) -> _SaidApart:
    """Ask each member and its forest about the rows of the users they did not see."""
    place = np.concatenate([np.flatnonzero(mine) for mine in held])
    correction, deviation = dnn.network.correct_apart(rows.inputs, held, dnn.device)
    base, scale = rows.inputs.base[place], rows.inputs.scale[place]
    trees = [forest.predict(rows.inputs.matrix[mine]) for forest, mine in zip(forests, held, strict=True)]
    columns = base, rows.rating[place] - base, scale * correction, np.concatenate(trees), scale * deviation
    return _SaidApart(rows.user[place], *(column.astype(np.float64) for column in columns))


def fitted_weights(left: Floats, network: Floats, trees: Floats, prior_rows: float) -> tuple[float, float]:
    """w_n, w_t ≥ 0 that minimise Σ (left - w_n network - w_t trees)², as if `prior_rows` rows had said `PRIOR_WEIGHTS`."""
    if not len(left):
        return PRIOR_WEIGHTS
    parts = np.stack([network, trees], axis=1).astype(np.float64)
    ridge = prior_rows * np.eye(2) * max(float((parts**2).mean()), 1e-9)
    gram = parts.T @ parts + ridge
    pull = parts.T @ left + ridge @ np.array(PRIOR_WEIGHTS)
    both = np.linalg.solve(gram, pull)
    if both.min() >= 0:
        return float(both[0]), float(both[1])
    alone = np.maximum(pull / np.diag(gram), 0)
    return (0.0, float(alone[1])) if both[0] < 0 else (float(alone[0]), 0.0)


def load_blend(path: Path, items: Items, device: str = "cpu") -> TrainedBlend:
    """The model of a file that `TrainedBlend.save` wrote, over the catalogue `items`; `WeightsError` names what is wrong."""
    tensors, header = read_weights(path, kind=KIND)
    dnn = from_tensors(tensors, header, items, device, path)
    try:
        settings = BlendSettings.model_validate(header["blend"])
        forests = tuple(Trees.from_tensors(tensors, f"forest.{n}.") for n in range(settings.network.members))
        columns = len(header["columns"])
        if any(forest.column.max(initial=-1) >= columns for forest in forests):
            raise ValueError("its trees look at columns that there are not")
        weights = (float(header["weights"][0]), float(header["weights"][1]))
        quantiles = (float(header["quantiles"][0]), float(header["quantiles"][1]))
        calibrated_on = int(header["calibrated_on"])
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise WeightsError(f"{path}: not a complete {KIND!r} model ({error}); train the model again") from error
    return TrainedBlend(settings, dnn, forests, weights, quantiles, calibrated_on, 0.0)


def load_predictor(path: Path, items: Items, device: str = "cpu") -> TrainedDnn | TrainedBlend:
    """The model of a file, a blend or a network alone; `WeightsError` names what is wrong."""
    return load_blend(path, items, device) if kind_of(path) == KIND else load(path, items, device)


class Blend:
    """The blend behind the models' common face: `fit(ratings, items)`, then `predict(user, item)`."""

    def __init__(self, settings: BlendSettings | None = None, seed: int = 0, device: str = "cpu") -> None:
        self.settings = settings or BlendSettings()
        self.seed = seed
        self.device = device
        self.trained: TrainedBlend | None = None
        self._ratings: Ratings | None = None

    def fit(self, ratings: Ratings, items: Items) -> Blend:
        """Train on `ratings`, which later also serve as the users' lists."""
        self.trained = train_blend(ratings, items, self.settings, self.device, seed=self.seed)
        self._ratings = ratings
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings 1-10, float32 (n,)."""
        return self.predict_with_interval(user, item).rating

    def predict_with_interval(self, user: IntArray, item: IntArray) -> Prediction:
        """Predicted ratings with their intervals."""
        if self.trained is None or self._ratings is None:
            raise ValueError("this Blend was not fitted yet")
        return self.trained.predict_with_interval(self._ratings, user, item)

    def predict_with_deviation(self, user: IntArray, item: IntArray) -> tuple[FloatArray, FloatArray]:
        """Predicted ratings and their calibrated deviations, in rating points."""
        said = self.predict_with_interval(user, item)
        return said.rating, said.deviation

    def parts_with_deviation(self, user: IntArray, item: IntArray) -> dict[str, tuple[FloatArray, FloatArray]]:
        """By the models' names the same from one training: `dnn` is its network, `gp` (which states no deviation) its base."""
        said = self.predict_with_interval(user, item)
        return {
            "blend": (said.rating, said.deviation),
            "dnn": (said.network, said.network_deviation),
            "gp": (said.gp, np.full_like(said.gp, np.nan)),
        }
