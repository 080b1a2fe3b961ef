"""What all peers share: settings chosen on an inner split of what may be learnt from, then learnt from all of it.

The inner split hides a fifth of each user's ratings. Each setting of the peer's `grid` is learnt from the rest and held
against what is hidden (MSE, or nDCG@10 over titles not on the list); the best one learns from everything. The first
setting of a grid is always tried; no other one is begun once the budget is spent, or would be with one as long as the last.
"""

from __future__ import annotations

import logging
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from malsugoi_assets.evaluation import metrics
from malsugoi_assets.machine import memory_bytes
from malsugoi_assets.recommend.baselines import fit_bias
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

Setting = Mapping[str, Any]
BUDGET_SECONDS = 300.0
HIDDEN_SHARE = 0.2
LEAST_RATINGS = 5
MEMORY_SHARE = 0.7
"""A peer may need this much of the machine's memory; the rest is for the rows and our own models."""
MOST_JUDGED = 1000
"""Users on whose hidden titles a setting's ranking is judged."""


class PeerError(RuntimeError):
    """A peer cannot do its work here; the message says why, and it is left out."""


class Peer(ABC):
    """One foreign recommender. Subclasses say what to learn and how to ask; `settings` are those chosen."""

    grid: ClassVar[tuple[Setting, ...]]

    def __init__(self, seed: int = 0, budget_seconds: float = BUDGET_SECONDS) -> None:
        self.seed = seed
        self.budget_seconds = budget_seconds
        self.settings: Setting = {}
        self.tried: list[tuple[Setting, float]] = []
        self._learnt: Any = None

    @abstractmethod
    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> Any:
        """Learn from `ratings` with one setting of the grid; what it returns is handed to the questions."""

    @abstractmethod
    def loss(self, learnt: Any, ratings: Ratings, hidden: Ratings) -> float:
        """How badly `learnt` (from `ratings`) answers for the `hidden` rows: lower is better."""

    @abstractmethod
    def memory(self, ratings: Ratings) -> float:
        """Bytes that learning is expected to take, beyond the ratings themselves."""

    def fit(self, ratings: Ratings, items: Items) -> Self:
        """Choose the setting, then learn from all rows. Raises `PeerError`, also for the library's own errors."""
        need, have = self.memory(ratings), memory_bytes()
        if need > have * MEMORY_SHARE:
            raise PeerError(
                f"it needs about {need / 1e9:.1f} GB of memory for {ratings.n_users} users and "
                f"{ratings.n_items} titles; {have * MEMORY_SHARE / 1e9:.1f} GB may be used"
            )
        with _foreign():
            self.settings = self.choose(ratings, items)
            self._learnt = self.learn(ratings, items, self.settings)
        return self

    def choose(self, ratings: Ratings, items: Items) -> Setting:
        """The best setting of the grid on the inner split; keeps in `tried` what each one lost."""
        rest, hidden = inner_split(ratings, self.seed)
        self.tried = []
        if len(self.grid) == 1 or self.budget_seconds <= 0 or not len(hidden):
            return self.grid[0]
        start, took = time.monotonic(), 0.0
        for setting in self.grid:
            now = time.monotonic()
            if self.tried and now - start + took > self.budget_seconds:
                break
            self.tried.append((setting, self.loss(self.learn(rest, items, setting), rest, hidden)))
            took = time.monotonic() - now
        return min(self.tried, key=lambda pair: pair[1] if np.isfinite(pair[1]) else np.inf)[0]

    def fitted(self) -> Any:
        """What was learnt; an error before `fit`."""
        if self._learnt is None:
            raise RuntimeError("fit() comes before any question")
        return self._learnt


class RatingPeer(Peer):
    """A peer that predicts ratings. What it has no answer for (NaN) is answered by mean and offsets."""

    @abstractmethod
    def answer(self, learnt: Any, user: IntArray, item: IntArray) -> npt.NDArray[np.floating[Any]]:
        """Predicted ratings of the pairs, (n,); NaN where there is none."""

    def fit(self, ratings: Ratings, items: Items) -> Self:
        """As `Peer.fit`, with the offsets."""
        if not len(ratings.rated):
            raise PeerError("there is no rating to learn from")
        super().fit(ratings, items)
        self._offsets = fit_bias(ratings)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings, float32 in [1, 10], one a pair."""
        if not len(user):
            return np.zeros(0, dtype=np.float32)
        with _foreign():
            said = np.asarray(self.answer(self.fitted(), user, item), dtype=np.float32)
        return np.where(np.isfinite(said), said, self._offsets.predict(user, item)).clip(1, 10).astype(np.float32)

    def loss(self, learnt: Any, ratings: Ratings, hidden: Ratings) -> float:
        """Mean squared error, offsets standing in for missing answers."""
        said = np.asarray(self.answer(learnt, hidden.user, hidden.item), dtype=np.float64)
        said = np.where(np.isfinite(said), said, fit_bias(ratings).predict(hidden.user, hidden.item)).clip(1, 10)
        return float(((said - hidden.rating) ** 2).mean())


class RankingPeer(Peer):
    """A peer that scores titles for users who were learnt from."""

    @abstractmethod
    def score(self, learnt: Any, users: IntArray) -> npt.NDArray[np.floating[Any]]:
        """Higher = earlier, (len(users), n_items); NaN = lowest."""

    def scores(self, users: IntArray) -> FloatArray:
        """Scores of all titles, float32 (len(users), n_items), finite."""
        with _foreign():
            found = np.asarray(self.score(self.fitted(), users), dtype=np.float32)
        least = np.float32(np.nanmin(found, initial=0) - 1)
        return np.where(np.isnan(found), least, found)

    def loss(self, learnt: Any, ratings: Ratings, hidden: Ratings) -> float:
        """1 - mean nDCG@10 of the hidden titles rated 8 or more among those not on the user's list."""
        liked = hidden.take(hidden.rating >= metrics.RELEVANT)
        people = np.unique(liked.user)
        if len(people) > MOST_JUDGED:
            people = np.sort(np.random.default_rng(self.seed).choice(people, MOST_JUDGED, replace=False))
        listed, sought = ratings.listed_matrix, liked.listed_matrix
        total = 0.0
        for start in range(0, len(people), 256):
            some = people[start : start + 256].astype(np.int32)
            found = np.array(self.score(learnt, some), dtype=np.float32)
            for row, person in zip(found, some, strict=True):
                row[listed.indices[listed.indptr[person] : listed.indptr[person + 1]]] = np.nan
                best = metrics.top(row, -np.arange(len(row), dtype=np.float64))
                relevant = sought.indices[sought.indptr[person] : sought.indptr[person + 1]]
                total += float(metrics.ranking_metrics(np.isin(best, relevant), len(relevant))[0])
        return 1 - total / max(len(people), 1)


def inner_split(ratings: Ratings, seed: int) -> tuple[Ratings, Ratings]:
    """What is left, unrated rows included, and a fifth of the ratings of each user with at least five."""
    rated = np.flatnonzero(ratings.is_rated)
    user = ratings.user[rated]
    order = np.lexsort((np.random.default_rng(seed).random(len(rated)), user))
    count = np.bincount(user, minlength=ratings.n_users)[user]
    place = np.empty(len(rated), dtype=np.int64)
    place[order] = np.arange(len(rated)) - np.searchsorted(user[order], user[order])
    hidden = np.zeros(len(ratings), dtype=np.bool_)
    hidden[rated[(place < np.floor(count * HIDDEN_SHARE)) & (count >= LEAST_RATINGS)]] = True
    return ratings.take(~hidden), ratings.take(hidden)


@contextmanager
def _foreign() -> Iterator[None]:
    """Keeps a library's chatter away, and turns its errors into `PeerError`."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PeerError:
        raise
    except Exception as error:  # whatever a foreign library raises, the other models' figures must not be lost
        said = (str(error).splitlines() or [""])[0]
        raise PeerError(f"its library failed with {type(error).__name__}: {said}") from error
    finally:
        logging.disable(before)
