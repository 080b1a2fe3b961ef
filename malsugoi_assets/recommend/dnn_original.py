"""The original project's network and features, kept to compare with. Nothing here is meant to be good.

Inputs are the mean over a user's history of rating × features (the target left out), then the target's own
features. That leave-one-out history leaks in the published set-up, where histories hold test rows as well: the
sum over the others plus the own rating × features is one constant a user, so the inputs of training rows give
test ratings away (`malsugoi_tests/recommend/test_dnn_original.py` recovers them). Here histories are made
of the rows that were fitted and nothing else, which closes the leak.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor, nn

from malsugoi_assets.recommend.content import genre_sets
from malsugoi_assets.recommend.devices import compute_threads
from malsugoi_assets.recommend.dnn_settings import DnnOriginalSettings
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.training import Batch, EpochLoss, Progress, TrainingError, fit_network, seeded

NUMBERS = ("score", "ranked", "popularity", "members", "favorites")
PREDICT_ROWS = 16_384

Matrix = npt.NDArray[np.float32]


class DnnOriginal:
    """512-256-128 with BatchNorm, ReLU and dropout .3, sigmoid · 9 + 1 at the end; Adam on the squared error."""

    def __init__(self, seed: int = 0, settings: DnnOriginalSettings | None = None, device: str = "cpu") -> None:
        self.seed = seed
        self.settings = settings or DnnOriginalSettings()
        self.device = device
        self.curve: tuple[EpochLoss, ...] = ()
        self._network: nn.Module | None = None

    def fit(self, ratings: Ratings, items: Items, progress: Progress | None = None) -> DnnOriginal:
        """Train on the rated rows; raises `TrainingError` where there are fewer than two."""
        rated = ratings.rated
        rated = rated.take(np.lexsort((rated.item, rated.user)))
        if len(rated) < 2:
            raise TrainingError(f"{len(rated)} rated rows are too few to train on: at least 2 are needed")
        self._features = item_features(items, np.bincount(rated.item, minlength=rated.n_items))
        self._rated = rated
        self._sum, self._count = history_sums(rated, self._features)
        target = self._features[rated.item]
        others = np.maximum(self._count[rated.user] - 1, 1)[:, None]
        history = (self._sum[rated.user] - rated.rating[:, None] * target) / others
        inputs = np.concatenate([history, target], axis=1).astype(np.float32)
        with (
            compute_threads(self.settings.threads),
            seeded(self.seed, self.device) as generator,
        ):
            self._train(inputs, rated.rating, generator, progress)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings 1-10, float32 (n,); histories are the fitted rows but for a row of the pair itself."""
        if self._network is None:
            raise ValueError("this DnnOriginal was not fitted yet")
        result = np.empty(len(user), dtype=np.float32)
        matrix = self._rated.rated_matrix
        with compute_threads(self.settings.threads), torch.no_grad():
            for start in range(0, len(user), PREDICT_ROWS):
                chunk = slice(start, start + PREDICT_ROWS)
                target = self._features[item[chunk]]
                own = np.asarray(matrix[user[chunk], item[chunk]], dtype=np.float32).ravel()
                others = np.maximum(self._count[user[chunk]] - (own > 0), 1)[:, None]
                history = (self._sum[user[chunk]] - own[:, None] * target) / others
                inputs = torch.from_numpy(np.concatenate([history, target], axis=1).astype(np.float32))
                result[chunk] = self._network(inputs.to(self.device)).squeeze(1).cpu().numpy()
        return result

    def _train(
        self, inputs: Matrix, rating: FloatArray, generator: torch.Generator, progress: Progress | None
    ) -> None:
        settings = self.settings
        network = original_network(inputs.shape[1], settings.dropout).to(self.device)
        optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
        x, y = torch.from_numpy(inputs).to(self.device), torch.from_numpy(rating).to(self.device)

        def batches(size: int) -> list[Batch]:
            order = torch.randperm(len(y), generator=generator).to(self.device)
            # BatchNorm has no variance in a batch of one.
            return [lambda rows=rows: step(rows) for rows in torch.split(order, size) if len(rows) > 1]  # type: ignore[misc]

        def step(rows: Tensor) -> tuple[Tensor, Tensor, float]:
            loss = nn.functional.mse_loss(network(x[rows]).squeeze(1), y[rows])
            return loss, loss, float(len(rows))

        fit = fit_network(
            network,
            optimizer,
            generator,
            batches=batches,
            validate=lambda: 0.0,
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            progress=progress,
        )
        self._network, self.curve = network, fit.curve


def original_network(inputs: int, dropout: float) -> nn.Module:
    """The layers as published, ratings 1-10 out, shape (rows, 1)."""
    layers: list[nn.Module] = []
    for width in (512, 256, 128):
        layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, 1), nn.Sigmoid(), _ToRating())


class _ToRating(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 9 + 1


def item_features(items: Items, rows: npt.NDArray[np.integer]) -> Matrix:
    """Score, rank, popularity, members, favourites and each genre, standardised, float32 (n_items, 5 + genres).

    `rows`: how many fitted rows each title has; mean and spread are those of the fitted rows, and genres are those
    of the fitted titles (genres, themes and demographics together), so titles that nobody rated have no say: a
    catalogue with more titles makes no other network. What is unknown is the mean (0 here).
    """
    columns = []
    for name in NUMBERS:
        values = (
            items.features[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
            if name in items.features.columns
            else np.full(len(items), np.nan)
        )
        columns.append(values)
    sets = genre_sets(items.features)
    genres = sorted(set().union(*(mine for mine, count in zip(sets, rows, strict=True) if count)))
    flags = np.array([[genre in mine for genre in genres] for mine in sets], dtype=np.float64)
    known = np.array([bool(mine) for mine in sets])
    if genres:
        flags[~known] = np.nan
        columns += list(flags.T)
    matrix = np.stack(columns, axis=1)
    finite = np.isfinite(matrix)
    weight = finite * rows[:, None]
    count = np.maximum(weight.sum(axis=0), 1)
    mean = np.where(finite, matrix, 0).T @ rows / count
    spread = np.sqrt((np.where(finite, matrix - mean, 0) ** 2).T @ rows / count)
    standard = np.where(finite, (matrix - mean) / np.where(spread > 1e-9, spread, 1), 0)
    return standard.astype(np.float32)


def history_sums(rated: Ratings, features: Matrix) -> tuple[Matrix, npt.NDArray[np.int64]]:
    """Sum over each user's rated rows of rating × features, and the number of the rows."""
    return np.asarray(rated.rated_matrix @ features), np.bincount(rated.user, minlength=rated.n_users)
