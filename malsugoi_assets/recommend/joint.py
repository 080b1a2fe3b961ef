"""The model behind `cf`: titles' effects learnt from everybody, and each user's own taste over their whole list.

    r̂(u, i) = μ + m_u + s_u (e_i + Σ_j w_j y_uj),   w = (S + ν·1)⁻¹ s_i,   y_uj = (r_uj - μ - m_u) / s_u - e_j

over all titles j that u rated: two neighbours that say the same count once, which a weighted mean gets wrong. What makes
titles alike (S) stands in `title_kernel`, the solution for one list in `list_taste`, e in `title_effects`. What is learnt of
the titles is one number and one vector each: with these anybody's list is predicted, known or new, by itself.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.content import Content, encode, learn_code
from malsugoi_assets.recommend.item_state import learn_listing
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.likeness import Likeness, learn_likeness
from malsugoi_assets.recommend.list_taste import ListTaste, units
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.similarity import Neighbours, similar_titles
from malsugoi_assets.recommend.title_effects import learn_effects
from malsugoi_assets.recommend.title_kernel import KernelSettings, TitleKernel, title_kernel

Matrix = npt.NDArray[np.float32]
_QUERIES_AT_A_TIME = 4096


class JointSettings(KernelSettings):
    """What makes two titles alike for one user, and how far that is believed."""

    noise: float = Field(0.45, gt=0, description="ν: variance of one rating, in units of what likeness explains.")
    longest: int = Field(
        3000, ge=1, description="Ratings of a user that are used; of longer lists so many, spread evenly."
    )
    listing_size: int = Field(64, ge=1, le=512, description="Numbers a title in the embedding of the lists.")


@dataclass(frozen=True)
class LearntTitles:
    """What everybody's lists say of each title: all that predicting for somebody needs of other people.

    `mean`: of all ratings; `effect`: float32 (n_items,), in units of a user's spread; `listing`: float32 (n_items, size),
    where it stands among the lists, rows of length ≤ 1.
    """

    mean: float
    effect: FloatArray
    listing: Matrix


@dataclass(frozen=True)
class _Known:
    """What is known of the titles without any list."""

    content: Content
    likeness: Likeness

    @classmethod
    def of(cls, items: Items) -> _Known:
        return cls(encode(items, learn_code(items)), learn_likeness(items))


def learn_titles(
    ratings: Ratings, items: Items, settings: JointSettings | None = None, seed: int = 0
) -> LearntTitles:
    """Learn from the rows of `ratings`, the unrated ones too; the seed is the embedding's."""
    return _learn_titles(ratings, _Known.of(items), settings or JointSettings(), seed)


def _learn_titles(ratings: Ratings, known: _Known, settings: JointSettings, seed: int) -> LearntTitles:
    listing = learn_listing(ratings, settings.listing_size, seed)
    # Without the similarity of the ratings, which is made of the same ratings: what it adds is for single lists.
    kernel = title_kernel(known.likeness, listing, known.content, settings, None)
    mean, effect = learn_effects(ratings, kernel, known.content, settings.noise)
    return LearntTitles(mean, effect, listing)


@cache
def _linear_algebra() -> Any:
    """What limits the threads inside numpy; looking for its libraries takes as long as a small answer."""
    return ThreadpoolController()


class JointNeighbourhood:
    """Predicts ratings from jointly weighted neighbours; needs each user's own rows and no training a user."""

    def __init__(self, settings: JointSettings | None = None, seed: int = 0) -> None:
        self.settings = settings or JointSettings()
        self.seed = seed
        self._kernel: TitleKernel | None = None
        self._solved: dict[int, ListTaste] | None = None

    def fit(self, ratings: Ratings, items: Items, neighbours: Neighbours | None = None) -> Self:
        """Learn titles' effects and likeness from the rows of `ratings`; the seed is the embedding's.

        `neighbours`: the similarity table over the same titles, where it has been worked out already.
        """
        known = _Known.of(items)
        titles = _learn_titles(ratings, known, self.settings, self.seed)
        near = similar_titles(ratings) if neighbours is None else neighbours
        return self._take(ratings, titles, near, known)

    def with_titles(self, history: Ratings, items: Items, titles: LearntTitles, neighbours: Neighbours) -> Self:
        """Predict for the users of `history`, some or all, with what was learnt of the titles before."""
        return self._take(history, titles, neighbours, _Known.of(items))

    def for_lists(self, history: Ratings, *, remember: bool = False) -> JointNeighbourhood:
        """The same predictor for the users of `history` instead, with what it learnt of titles and of their spread.

        `remember`: keep the solution of each list (n² numbers for n ratings) for further questions.
        """
        other = JointNeighbourhood(self.settings, self.seed)
        other._solved = {} if remember else None
        other._kernel, other._titles = self._kernel, self._titles
        other._remember(history)
        return other

    def _take(self, history: Ratings, titles: LearntTitles, neighbours: Neighbours, known: _Known) -> Self:
        self._kernel = title_kernel(known.likeness, titles.listing, known.content, self.settings, neighbours)
        self._titles = titles
        self._remember(history)
        return self

    def _remember(self, history: Ratings) -> None:
        rated = history.rated
        order = np.lexsort((rated.item, rated.user))
        self._item, self._rating = rated.item[order], rated.rating[order]
        self._starts = np.searchsorted(rated.user[order], np.arange(history.n_users + 1))

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        """Predicted ratings, float32 in [1, 10], one a pair; the pair's own rating is not used if it is known."""
        return self.predict_with_deviation(user, item)[0]

    def predict_with_deviation(self, user: IntArray, item: IntArray) -> tuple[FloatArray, FloatArray]:
        """Predicted ratings and their standard deviations in rating points (a rating's own noise included)."""
        if self._kernel is None:
            raise RuntimeError("fit() comes before predict()")
        predicted = np.empty(len(user), dtype=np.float32)
        deviation = np.empty(len(user), dtype=np.float32)
        order = np.argsort(user, kind="stable")
        people, first = np.unique(user[order], return_index=True)
        questions = list(zip(people.tolist(), np.split(order, first[1:]), strict=True)) if len(people) else []
        threads = min(available_threads(), len(questions))

        def answer(part: list[tuple[int, npt.NDArray[np.intp]]]) -> None:
            scratch = np.full(len(self._titles.effect), -1, dtype=np.int32)
            for person, pairs in part:
                predicted[pairs], deviation[pairs] = self._for_one(person, item[pairs], scratch)

        # Each person's systems are small: threads of our own, and none inside the linear algebra.
        with _linear_algebra().limit(limits=1):
            if threads <= 1:
                answer(questions)
            else:
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(answer, [questions[start::threads] for start in range(threads)]))
        return np.clip(predicted, 1, 10), deviation

    def _for_one(self, person: int, asked: IntArray, scratch: npt.NDArray[np.int32]) -> tuple[FloatArray, FloatArray]:
        """One user's predictions for the titles asked; `scratch` is -1 for every title, and given back so."""
        assert self._kernel is not None
        titles, noise = self._titles, self.settings.noise
        effect = titles.effect[asked].astype(np.float64)
        mine = slice(self._starts[person], self._starts[person + 1])
        history, rating = self._item[mine], self._rating[mine]
        if len(history) > self.settings.longest:
            spread_out = np.linspace(0, len(history) - 1, self.settings.longest).astype(np.int64)
            history, rating = history[spread_out], rating[spread_out]
        if not len(history):
            spread = float(units(*np.zeros((3, 1))).spread[0])
            wide = spread * np.sqrt(self._kernel.own(asked) + 2 * noise)
            return (titles.mean + spread * effect).astype(np.float32), wide.astype(np.float32)
        taste = None if self._solved is None else self._solved.get(person)
        if taste is None:
            taste = self._solve(history, rating, scratch)
            if self._solved is not None:
                self._solved[person] = taste
        parts = []
        for start in range(0, len(asked), _QUERIES_AT_A_TIME):
            some = slice(start, start + _QUERIES_AT_A_TIME)
            to = self._kernel.block(asked[some], history, scratch).astype(np.float64)
            own = self._kernel.own(asked[some]).astype(np.float64)
            parts.append(taste.answer(asked[some], effect[some], titles.mean, to, own, noise))
        predicted, deviation = (np.concatenate(column) for column in zip(*parts, strict=True))
        return predicted.astype(np.float32), deviation.astype(np.float32)

    def _solve(self, history: IntArray, rating: FloatArray, scratch: npt.NDArray[np.int32]) -> ListTaste:
        assert self._kernel is not None
        among = self._kernel.block(history, history, scratch).astype(np.float64)
        among[np.diag_indices_from(among)] += self.settings.noise
        effect = self._titles.effect[history].astype(np.float64)
        return ListTaste.solve(history, rating.astype(np.float64), effect, self._titles.mean, among)
