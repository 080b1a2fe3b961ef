"""The pipeline's own hold-out: a fifth of each user's ratings, chosen by a hash of user and title, fixed for life.

A rating that is held out today is held out in every later build, so that builds can be compared on rows that none
of them ever saw. The choice depends on the two names alone: not on order, platform or what else there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.recommend.items import Items, align_items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings, index_ratings

SHARE = 0.2
PROTOCOL = "hold-out"
_DRAWS = 1_000
Predict = Callable[[IntArray, IntArray], FloatArray]


@dataclass(frozen=True)
class HoldOut:
    """`train`: every list row but the targets; `user`, `item`, `rating`: the targets, in the same indexes."""

    train: Ratings
    items: Items
    user: IntArray
    item: IntArray
    rating: FloatArray


def is_held_out(username: str, anime_id: int, share: float = SHARE) -> bool:
    """Whether this pair's rating is held out."""
    digest = hashlib.blake2b(f"{username}\0{anime_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def hold_out(lists: pl.DataFrame, features: pl.DataFrame, relations: pl.DataFrame) -> HoldOut:
    """Split list rows (`username`, `anime_id`, `score`); a target's own listing is not learnt from."""
    ratings, index = index_ratings(lists)
    names = index.usernames.to_list()
    target = np.fromiter(
        (
            rated and is_held_out(names[user], int(index.anime_ids[item]))
            for user, item, rated in zip(ratings.user, ratings.item, ratings.is_rated, strict=True)
        ),
        dtype=np.bool_,
        count=len(ratings),
    )
    held = ratings.take(target)
    items = align_items(index.anime_ids, features, relations)
    return HoldOut(ratings.take(~target), items, held.user, held.item, held.rating)


def compare(
    predictions: Mapping[str, FloatArray],
    truth: FloatArray,
    user: IntArray,
    segments: Mapping[str, npt.NDArray[np.bool_]],
    seed: int = 0,
) -> pl.DataFrame:
    """Errors of each model in each segment, and paired differences of the MSE to every other model.

    Columns model, segment, metric ('mse', 'rmse', 'mae', 'r2'), versus, value, ci_low, ci_high, n; 95 % intervals by
    bootstrap over users: the same draws for every model.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[object, ...]] = []
    for segment, mask in segments.items():
        n = int(mask.sum())
        if not n:
            continue
        people, place = np.unique(user[mask], return_inverse=True)
        weights = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), size=_DRAWS).astype(np.float64)
        real = truth[mask].astype(np.float64)

        def per_user(values: npt.NDArray[np.float64], place: npt.NDArray[np.intp] = place) -> npt.NDArray[np.float64]:
            return np.bincount(place, weights=values).astype(np.float64)

        def mean(
            values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64] = weights
        ) -> tuple[float, npt.NDArray[np.float64]]:
            total, count = per_user(values), per_user(np.ones(len(values)))
            return float(total.sum() / count.sum()), (weights @ total) / (weights @ count)

        spread, spread_draws = mean((real - real.mean()) ** 2)
        squared = {name: (predicted[mask].astype(np.float64) - real) ** 2 for name, predicted in predictions.items()}
        for name, errors in squared.items():
            mse, mse_draws = mean(errors)
            mae, mae_draws = mean(np.sqrt(errors))
            figures = [("mse", mse, mse_draws), ("rmse", mse**0.5, np.sqrt(mse_draws)), ("mae", mae, mae_draws)]
            if spread > 0:
                figures.append(
                    ("r2", 1 - mse / spread, 1 - mse_draws / np.where(spread_draws > 0, spread_draws, np.nan))
                )
            rows += [(name, segment, metric, "", value, *_ends(value, draws), n) for metric, value, draws in figures]
            for other, their_errors in squared.items():
                if other != name:
                    value, draws = mean(errors - their_errors)
                    rows.append((name, segment, "mse", other, value, *_ends(value, draws), n))
    schema = dict.fromkeys(("model", "segment", "metric", "versus"), pl.String)
    return pl.DataFrame(
        rows,
        schema={**schema, "value": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64, "n": pl.Int32},
        orient="row",
    )


def segments_of(held: HoldOut) -> dict[str, npt.NDArray[np.bool_]]:
    """All targets; those by how much of their user's history, and of their title, was left to learn from."""
    rated = held.train.rated
    history = np.bincount(rated.user, minlength=held.train.n_users)[held.user]
    support = np.bincount(rated.item, minlength=held.train.n_items)[held.item]
    found = {"all": np.ones(len(held.user), dtype=np.bool_)}
    for name, count in (("history", history), ("title", support)):
        for low, high in ((0, 9), (10, 49), (50, 199), (200, None)):
            found[f"{name} {low}-{'…' if high is None else high}"] = (count >= low) & (high is None or count <= high)
    return found


def _ends(value: float, draws: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return min(float(low), value), max(float(high), value)
