"""The network: corrects what a Gaussian process over the user's own list predicts, and says how sure it is.

`train` learns from lists, `TrainedDnn.predict` answers for any user whose list is given, trained on or not,
and any title of a catalogue. `save` and `load` keep it in one file. `Dnn` is the same behind fit and predict.
docs/deep-model.md has the maths.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from malsugoi_assets.machine import available_threads, memory_bytes
from malsugoi_assets.recommend.conformal import COVER, LEAST_CALIBRATED, covering_quantile
from malsugoi_assets.recommend.content import Content, ContentCode, encode, learn_code
from malsugoi_assets.recommend.devices import compute_threads
from malsugoi_assets.recommend.dnn_settings import KIND, DnnSettings
from malsugoi_assets.recommend.ensemble import Ensemble, train_ensemble, validation_rows
from malsugoi_assets.recommend.features import Catalogue, Inputs, column_names, learn_catalogue, pair_inputs
from malsugoi_assets.recommend.gaussian_process import TitleProcess
from malsugoi_assets.recommend.item_state import ItemState
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.likeness import Likeness, learn_likeness
from malsugoi_assets.recommend.near_titles import no_titles
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.training import EpochLoss, Progress, TrainingError
from malsugoi_assets.recommend.weights import WeightsError, read_weights, write_weights

LEAST_ROWS = 2
NETWORK_THREADS = 1
"""Threads that train the layers. They are small: a second thread gains little, and on a busy machine each operation
waits for it (9,000 rows, an epoch of four members beside other work: 2.9 s with one thread, 13.3 s with two)."""


@dataclass(frozen=True)
class TrainedDnn:
    """A trained network with all that it needs to predict over one catalogue.

    `curve`: mean squared error in rating points of each epoch, on train rows (with dropout and noise on) and on
    the rows of the users that were kept for validation; `train_rows`: rows that the network learnt from; `widening`: by
    what the deviation that the network states is multiplied, so that its intervals cover what they promise.
    """

    settings: DnnSettings
    seed: int
    curve: tuple[EpochLoss, ...]
    best_epoch: int
    stopped: str
    train_rows: int
    train_seconds: float
    device: str
    notes: tuple[str, ...]
    resumed_after: int
    anime_id: IntArray
    code: ContentCode
    catalogue: Catalogue
    network: Ensemble
    widening: float

    in_words = "the network alone"

    @property
    def dnn(self) -> TrainedDnn:
        """The network, as a blend has one."""
        return self

    @property
    def parameters(self) -> int:
        """Learnable numbers in the network, all members together."""
        return sum(value.numel() for value in self.network.parameters())

    @property
    def epochs(self) -> int:
        """Epochs that ran."""
        return len(self.curve)

    def predict(self, history: Ratings, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings 1-10 of the pairs, float32 (n,).

        `history`: the lists of the users asked for, trained on or not, whose titles are indexes of this
        catalogue; `user` indexes `history`. A row for a pair itself is not used.
        """
        return self.predict_with_deviation(history, user, item)[0]

    def predict_with_deviation(
        self, history: Ratings, user: IntArray, item: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """As `predict`, with the standard deviation that the network expects of the rating around it."""
        if not len(user):
            return np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.float32)
        inputs = self.inputs(history, user, item)
        correction, deviation = self.correct(inputs)
        predicted = (inputs.base + inputs.scale * correction).clip(1, 10)
        return predicted.astype(np.float32), (self.widening * (inputs.scale * deviation)).astype(np.float32)

    def parts(self, history: Ratings, user: IntArray, item: IntArray) -> tuple[dict[str, FloatArray], FloatArray]:
        """What each part says by its name, the whole first, as `predict`; and the deviation of the whole."""
        predicted, deviation = self.predict_with_deviation(history, user, item)
        return {"dnn": predicted}, deviation

    def correct(self, inputs: Inputs) -> tuple[FloatArray, FloatArray]:
        """What the network adds to the base of the inputs, and the deviation that it expects, in the user's unit."""
        with compute_threads(self.settings.threads or available_threads()):
            return self.network.correct(inputs, self.device)

    def inputs(self, history: Ratings, user: IntArray, item: IntArray) -> Inputs:
        """The network's inputs for the pairs; see `predict`."""
        if history.n_items != len(self.anime_id):
            raise ValueError(
                f"the history has {history.n_items} titles, the model's catalogue {len(self.anime_id)}: "
                "load the model with the catalogue that the history is indexed by"
            )
        threads = self.settings.threads or available_threads()
        with compute_threads(threads):
            return pair_inputs(
                self.catalogue,
                history,
                user,
                item,
                self.settings.max_history,
                threads,
                near=self.settings.near_titles,
            )

    def save(self, path: Path) -> str:
        """Write the model to `path` by rename; returns the file's sha256. Same model, same bytes."""
        return write_weights(path, *to_tensors(self), kind=KIND)


def to_tensors(model: TrainedDnn) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """All arrays of a model by name, and its header, as they are written to a file; `from_tensors` is the way back."""
    tensors: dict[str, npt.NDArray[Any]] = dict(model.catalogue.state.tensors())
    if model.catalogue.process is not None:
        tensors |= model.catalogue.process.tensors()
    tensors["anime_id"] = model.anime_id.astype(np.int32)
    for name, value in model.network.state_dict().items():
        tensors[f"network.{name}"] = value.cpu().numpy()
    return tensors, {
        "settings": model.settings.model_dump(),
        "seed": model.seed,
        "curve": [asdict(epoch) for epoch in model.curve],
        "best_epoch": model.best_epoch,
        "stopped": model.stopped,
        "notes": list(model.notes),
        "train_rows": model.train_rows,
        "widening": model.widening,
        "columns": column_names(model.code.columns),
        "code": model.code.as_json(),
    }


@dataclass(frozen=True)
class TrainingRows:
    """What there is to learn from.

    `inputs`, `rating`, `user`: one entry a row, the inputs from rows of other folds only; `learn_titles` learns the titles
    from all rows, which predicting needs and training does not.
    """

    code: ContentCode
    inputs: Inputs
    rating: FloatArray
    user: IntArray
    learn_titles: Callable[[], Catalogue]


def training_rows(ratings: Ratings, items: Items, settings: DnnSettings, seed: int) -> TrainingRows:
    """Make the inputs of the rated rows of `ratings` out of fold.

    The order of the rows does not matter. Raises `TrainingError` where there is too little to learn from.
    """
    if len(ratings.rated) < LEAST_ROWS:
        raise TrainingError(
            f"{len(ratings.rated)} rated rows are too few to train on: at least {LEAST_ROWS} are needed"
        )
    ratings = _canonical(ratings)
    code = learn_code(items)
    content, likeness = encode(items, code), learn_likeness(items)
    # One BLAS thread around all folds: where the limit is set by the first and lifted by the last, the others would go without.
    with compute_threads(1), ThreadPoolExecutor(_folds_at_once(ratings, settings)) as pool:
        rows, inputs = out_of_fold_inputs(ratings, content, likeness, settings, seed, pool)
    learn = partial(_learn, ratings, content, likeness, settings, seed, len(ratings.rated))
    return TrainingRows(code, inputs, ratings.rating[rows], ratings.user[rows], learn)


def _folds_at_once(ratings: Ratings, settings: DnnSettings) -> int:
    """How many folds are learnt side by side: a thread each, as far as half of the memory reaches; nothing hangs on it.

    A fold holds each user's inverse (4 bytes a pair of the list's rated titles; half as much again is left for what is beside it).
    """
    lengths = np.minimum(np.bincount(ratings.rated.user), settings.max_history).astype(np.float64)
    inverses = 6 * float((lengths**2).sum()) if len(ratings.rated) <= settings.most_joint else 0.0
    one = inverses + 300 * len(ratings)
    return max(1, min(settings.threads or available_threads(), int(memory_bytes() / 2 / one)))


def train(
    ratings: Ratings,
    items: Items,
    settings: DnnSettings | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    *,
    seed: int = 0,
    keep: Path | None = None,
    tell: Callable[[str], None] | None = None,
    rows: TrainingRows | None = None,
    catalogue: Future[Catalogue] | None = None,
) -> TrainedDnn:
    """Train on all rated rows of `ratings` (unrated rows tell what is listed together).

    `progress(epoch, train_loss, valid_loss)` is called after each epoch, `tell` with what a person should know. On the
    CPU the same input, seed and number of threads give the same model, also where `keep`, a file, held the state of a
    training that was killed; who is done with the model deletes that file. `rows`: what `training_rows` made of the same
    ratings, where it is at hand; `catalogue`: its titles, where somebody learns them already. Raises `TrainingError` where there is too little to learn from.
    """
    settings = settings or DnnSettings()
    start = time.monotonic()
    rows = rows or training_rows(ratings, items, settings, seed)
    # The network needs nothing of the titles as they are learnt from all rows: that is done beside it.
    threads = settings.threads or available_threads()
    with compute_threads(NETWORK_THREADS), ThreadPoolExecutor(1) as beside:
        if catalogue is None and threads > 1:
            catalogue = beside.submit(rows.learn_titles)
        try:
            network, fit = train_ensemble(
                rows.inputs,
                rows.rating,
                rows.user,
                settings,
                seed=seed,
                device=device,
                keep=keep,
                progress=progress,
                tell=tell,
            )
        except Exception:
            if catalogue is not None and catalogue.done():
                catalogue.result()  # where it failed, it failed first
            raise
        titles = catalogue.result() if catalogue else rows.learn_titles()
    held = validation_rows(rows.user, settings.members, settings.valid_share, seed)
    with compute_threads(threads):
        widening = _widening(rows, held, network, device)
    return TrainedDnn(
        settings=settings,
        seed=seed,
        curve=fit.curve,
        best_epoch=fit.best_epoch,
        stopped=fit.stopped,
        train_rows=len(rows.rating),
        train_seconds=time.monotonic() - start,
        device=device,
        notes=fit.notes,
        resumed_after=fit.resumed_after,
        anime_id=items.anime_id,
        code=rows.code,
        catalogue=titles,
        network=network,
        widening=widening,
    )


def _widening(rows: TrainingRows, held: npt.NDArray[np.bool_], network: Ensemble, device: str) -> float:
    """By what the stated deviations are too small: the covering quantile of |error| / deviation over a bell curve's.

    On the rows of the users that each member was trained without; 1 where they are few.
    """
    if held.sum() < LEAST_CALIBRATED:
        return 1.0
    place = np.concatenate([np.flatnonzero(mine) for mine in held])
    correction, deviation = network.correct_apart(rows.inputs, held, device)
    error = (rows.rating[place] - rows.inputs.base[place]) / rows.inputs.scale[place] - correction
    return covering_quantile(np.abs(error) / deviation, COVER) / NormalDist().inv_cdf((1 + COVER) / 2)


def load(path: Path, items: Items, device: str = "cpu") -> TrainedDnn:
    """The model of a file that `TrainedDnn.save` wrote, to predict over the catalogue `items`.

    Titles are matched by `anime_id`; one that the model never saw is judged by its content alone. Raises
    `WeightsError`, which names the file and what is wrong with it.
    """
    return from_tensors(*read_weights(path, kind=KIND), items, device, path)


def from_tensors(
    tensors: dict[str, npt.NDArray[Any]], header: dict[str, Any], items: Items, device: str, path: Path
) -> TrainedDnn:
    """The model that `to_tensors` took apart, over `items`; `path` is what errors name."""
    try:
        settings = DnnSettings.model_validate(header["settings"])
        code = ContentCode.from_json(header["code"])
        columns = column_names(code.columns)
        if header["columns"] != columns:
            raise WeightsError(
                f"{path}: trained on other input columns ({len(header['columns'])}, this version makes "
                f"{len(columns)}); train the model again"
            )
        state = ItemState.from_tensors(tensors)
        trained_id = tensors["anime_id"]
        network = Ensemble(len(columns), settings)
        prefix = "network."
        network.load_state_dict(
            {
                name.removeprefix(prefix): torch.from_numpy(value.copy())
                for name, value in tensors.items()
                if name.startswith(prefix)
            }
        )
        content = encode(items, code)
        places = _places(trained_id, items.anime_id, state.listed)
        state = state.for_catalogue(places, content.matrix)
        process = TitleProcess.from_tensors(tensors)
        if process is not None:
            process = process.for_catalogue(places, state.content_effect)
        curve = tuple(EpochLoss(**epoch) for epoch in header["curve"])
        seed, best_epoch, train_rows = int(header["seed"]), int(header["best_epoch"]), int(header["train_rows"])
        stopped, widening = str(header["stopped"]), float(header["widening"])
        notes = tuple(str(note) for note in header["notes"])
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path}: not a complete {KIND!r} model ({error}); train the model again") from error
    network.to(device).eval()
    return TrainedDnn(
        settings=settings,
        seed=seed,
        curve=curve,
        best_epoch=best_epoch,
        stopped=stopped,
        train_rows=train_rows,
        train_seconds=0.0,
        device=device,
        notes=notes,
        resumed_after=0,
        anime_id=items.anime_id,
        code=code,
        catalogue=Catalogue(state, content, learn_likeness(items), process),
        network=network,
        widening=widening,
    )


class Dnn:
    """The network behind the models' common face: `fit(ratings, items)`, then `predict(user, item)`."""

    def __init__(self, settings: DnnSettings | None = None, seed: int = 0, device: str = "cpu") -> None:
        self.settings = settings or DnnSettings()
        self.seed = seed
        self.device = device
        self.trained: TrainedDnn | None = None
        self._ratings: Ratings | None = None

    def fit(self, ratings: Ratings, items: Items) -> Dnn:
        """Train on `ratings`, which later also serve as the users' lists."""
        self.trained = train(ratings, items, self.settings, self.device, seed=self.seed)
        self._ratings = ratings
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings 1-10, float32 (n,)."""
        if self._ratings is None:
            raise ValueError("this Dnn was not fitted yet")
        return self.predict_for(self._ratings, user, item)

    def predict_with_deviation(self, user: IntArray, item: IntArray) -> tuple[FloatArray, FloatArray]:
        """As `predict`, with the standard deviation that the network expects of the rating around it."""
        if self.trained is None or self._ratings is None:
            raise ValueError("this Dnn was not fitted yet")
        return self.trained.predict_with_deviation(self._ratings, user, item)

    def predict_for(self, history: Ratings, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings for the users of `history` (indexes of its own), none of whom need be known."""
        if self.trained is None:
            raise ValueError("this Dnn was not fitted yet")
        return self.trained.predict(history, user, item)


def assign_folds(user: IntArray, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """A fold for each row: each user's rows fall into the folds evenly, in an order drawn from `seed`."""
    draw = np.random.default_rng(seed).random(len(user))
    order = np.lexsort((draw, user))
    first = np.searchsorted(user[order], user[order])
    start = np.random.default_rng(seed + 1).integers(folds, size=int(user.max(initial=0)) + 1)
    fold = np.empty(len(user), dtype=np.int64)
    fold[order] = (np.arange(len(user)) - first + start[user[order]]) % folds
    return fold


def _learn(
    lists: Ratings, content: Content, likeness: Likeness, settings: DnnSettings, seed: int, rated: int
) -> Catalogue:
    """What `lists` say of the titles; `rated`: the rated rows that there are with those of the fold left out."""
    return learn_catalogue(
        lists,
        content,
        likeness,
        embedding_size=settings.embedding_size,
        max_history=settings.max_history,
        joint=rated <= settings.most_joint,
        seed=seed,
    )


def out_of_fold_inputs(
    ratings: Ratings, content: Content, likeness: Likeness, settings: DnnSettings, seed: int, pool: Executor
) -> tuple[npt.NDArray[np.int64], Inputs]:
    """Training rows (positions in `ratings`) and their inputs, each from the rows of the other folds only.

    For every fold all that is learnt of the titles is learnt anew without the fold's rows, ratings and listings alike. The
    folds are made side by side on the threads of `pool`.
    """
    rated = np.flatnonzero(ratings.is_rated)
    fold = np.full(len(ratings), -1)
    fold[rated] = assign_folds(ratings.user[rated], settings.folds, seed)
    rows = rated[sampled_rows(ratings.user[rated], fold[rated], settings.max_train_rows, seed)]
    width = len(column_names([])) + content.matrix.shape[1]
    made = Inputs(
        np.zeros((len(rows), width), dtype=np.float32),
        no_titles(len(rows), settings.near_titles),
        np.zeros(len(rows), dtype=np.float32),
        np.ones(len(rows), dtype=np.float32),
    )

    def fill(number: int) -> None:
        targets = np.flatnonzero(fold[rows] == number)
        if not len(targets):
            return
        others = ratings.take(fold != number)
        learnt = _learn(others, content, likeness, settings, seed, len(rated))
        user, item = ratings.user[rows[targets]], ratings.item[rows[targets]]
        inputs = pair_inputs(learnt, others, user, item, settings.max_history, near=settings.near_titles)
        made.matrix[targets], made.near[targets] = inputs.matrix, inputs.near
        made.base[targets], made.scale[targets] = inputs.base, inputs.scale

    list(pool.map(fill, range(settings.folds)))
    return rows, made


def sampled_rows(user: IntArray, fold: npt.NDArray[np.int64], most: int, seed: int) -> npt.NDArray[np.int64]:
    """Positions of at most `most` rows, in order: whole (user, fold) groups in an order drawn from `seed`.

    A group shares one history, so that the cost of the inputs falls with the number of groups.
    """
    if len(user) <= most:
        return np.arange(len(user))
    key = user.astype(np.int64) * (fold.max() + 1) + fold
    _, group, count = np.unique(key, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(count))
    rank = np.empty(len(count), dtype=np.int64)
    rank[order] = np.cumsum(count[order])
    return np.flatnonzero(rank[group] <= most)


def _canonical(ratings: Ratings) -> Ratings:
    """The same rows in the order of users and titles, so that the order in which they come cannot matter."""
    return ratings.take(np.lexsort((ratings.item, ratings.user)))


def _places(trained: IntArray, wanted: IntArray, listed: FloatArray) -> npt.NDArray[np.int64]:
    """Where each wanted anime_id stands in the trained catalogue, -1 = nowhere.

    Where several trained titles share an id, the one that more users listed stands for it.
    """
    if np.array_equal(trained, wanted):
        return np.arange(len(trained), dtype=np.int64)
    place = {int(trained[row]): int(row) for row in np.argsort(listed, kind="stable")}
    return np.array([place.get(int(identity), -1) for identity in wanted], dtype=np.int64)
