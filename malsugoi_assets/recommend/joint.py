"""Neighbours weighted jointly: a user's nearest rated titles, by likeness in name, series, lists and ratings.

    r̂(u, i) = μ + e_i + o_u + Σ_j w_j (r_uj - μ - e_j - o_u),   w = (S_NN + ν·1)⁻¹ s_Ni

over the N titles j among those u rated that are most alike to i; S is the likeness between them, s that to i, ν the
noise of one rating. It is kriging of the residuals (Rasmussen and Williams 2006, eq. 2.25) cut to the nearest: two
neighbours that say the same count once, which a weighted mean gets wrong. `deviation`² = (s_ii - sᵀw) · σ² + σ²ν.

e_i is the title's effect, drawn to what its content lets expect where it has few ratings; o_u the user's level.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.content import Content, encode, learn_code
from malsugoi_assets.recommend.item_state import learn_item_state
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.likeness import dense_block, learn_likeness
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.similarity import Neighbours, similar_titles

Matrix = npt.NDArray[np.float32]
_QUERIES_AT_A_TIME = 4096


class JointSettings(BaseModel):
    """What makes two titles alike for one user, and how far that is believed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    neighbours: int = Field(60, ge=1, le=500, description="Rated titles used a prediction, the most alike.")
    noise: float = Field(0.55, gt=0, description="ν: variance of one rating, in units of what likeness explains.")
    level: float = Field(5.0, ge=0, description="Ratings at which a user's own level counts half.")
    series: float = Field(0.35, ge=0, description="Weight of shared leading words and of relations on the site.")
    prefix: float = Field(0.3, ge=0, description="Weight of shared leading words alone.")
    title: float = Field(0.25, ge=0, description="Weight of the likeness of all names.")
    near_listing: float = Field(0.63, ge=0, description="Weight of standing on the very same lists.")
    listing: float = Field(0.1, ge=0, description="Weight of the cosine of the lists.")
    correlation: float = Field(0.1, ge=0, description="Weight of the similarity of the ratings.")
    numbers: float = Field(0.08, ge=0, description="Weight of nearness in score, audience and year.")
    genres: float = Field(0.04, ge=0, description="Weight of shared genres.")
    score: float = Field(0.03, ge=0, description="Weight of the product of the standardised scores.")
    constant: float = Field(0.05, ge=0, description="Weight of being titles at all: the doubt in the level.")
    listing_size: int = Field(64, ge=1, le=512, description="Numbers a title in the embedding of the lists.")


@dataclass(frozen=True)
class TitleKernel:
    """How alike titles are: a sparse part and the inner products that are dense.

    `named`: CSR float32 (n_items, n_items), weighted sum of the sparse parts; `listing`: (n_items, size), rows of
    length ≤ 1; `linear`: (n_items, d), weighted genres and score; `numbers`: (n_items, 4), standardised.
    """

    settings: JointSettings
    named: sp.csr_matrix
    listing: Matrix
    linear: Matrix
    numbers: Matrix

    def block(self, rows: IntArray, columns: IntArray, place: npt.NDArray[np.int32]) -> Matrix:
        """Likeness of `rows` to `columns` (unique), float32; `place` is scratch: -1 for every title, given back so."""
        settings = self.settings
        cosine = self.listing[rows] @ self.listing[columns].T
        total = settings.near_listing * np.exp(4 * (cosine - 1))
        total += settings.listing * cosine + settings.constant
        total += self.linear[rows] @ self.linear[columns].T
        one, other = self.numbers[rows], self.numbers[columns]
        exponent = one @ other.T - 0.5 * (one**2).sum(1)[:, None] - 0.5 * (other**2).sum(1)[None, :]
        total += settings.numbers * np.exp(np.minimum(exponent, 0))
        place[columns] = np.arange(len(columns), dtype=np.int32)
        total += dense_block(self.named, rows, place, len(columns))
        place[columns] = -1
        return np.asarray(total, dtype=np.float32)


@dataclass(frozen=True)
class LearntTitles:
    """What everybody's lists say of each title: all that predicting for somebody needs of other people.

    `base`: float32 (n_items,), μ + e_i, rating points; `listing`: float32 (n_items, size), where it stands among the
    lists, rows of length ≤ 1.
    """

    base: FloatArray
    listing: Matrix


def learn_titles(
    ratings: Ratings, content: Content, settings: JointSettings | None = None, seed: int = 0
) -> LearntTitles:
    """Learn from the rows of `ratings`, the unrated ones too; the seed is the embedding's."""
    size = (settings or JointSettings()).listing_size
    state = learn_item_state(ratings, content.matrix, embedding_size=size, seed=seed)
    return LearntTitles((float(state.mean[0]) + state.effect).astype(np.float32), state.listing)


def title_kernel(
    neighbours: Neighbours, items: Items, listing: Matrix, content: Content, settings: JointSettings
) -> TitleKernel:
    """The likeness of the titles by lists (`listing`), ratings (`neighbours`), names, relations and content."""
    likeness = learn_likeness(items)
    series = sp.csr_matrix(likeness.relations.maximum(likeness.prefix * np.float32(0.6)))
    named = settings.series * series + settings.prefix * likeness.prefix + settings.title * likeness.titles
    if settings.correlation > 0:
        similar = neighbours.matrix(len(items))
        own = sp.identity(len(items), dtype=np.float32, format="csr")
        named = named + settings.correlation * ((similar + similar.T) / 2 + own)
    linear = np.concatenate(
        [content.genres * settings.genres**0.5, content.numbers[:, :1] * settings.score**0.5], axis=1
    )
    # Score, members, favourites, year: the columns of `content.NUMBERS` that taste follows.
    return TitleKernel(
        settings,
        sp.csr_matrix(named).astype(np.float32),
        listing,
        linear.astype(np.float32),
        content.numbers[:, [0, 1, 2, 4]],
    )


class JointNeighbourhood:
    """Predicts ratings from jointly weighted neighbours; needs each user's own rows and no training a user."""

    def __init__(self, settings: JointSettings | None = None, seed: int = 0) -> None:
        self.settings = settings or JointSettings()
        self.seed = seed
        self._kernel: TitleKernel | None = None

    def fit(self, ratings: Ratings, items: Items, neighbours: Neighbours | None = None) -> Self:
        """Learn titles' effects and likeness from the rows of `ratings`; the seed is the embedding's.

        `neighbours`: the similarity table over the same titles, where it has been worked out already.
        """
        content = encode(items, learn_code(items))
        titles = learn_titles(ratings, content, self.settings, self.seed)
        near = similar_titles(ratings) if neighbours is None else neighbours
        return self._take(ratings, items, titles, near, content)

    def with_titles(self, history: Ratings, items: Items, titles: LearntTitles, neighbours: Neighbours) -> Self:
        """Predict for the users of `history`, some or all, with what was learnt of the titles before."""
        return self._take(history, items, titles, neighbours, encode(items, learn_code(items)))

    def for_lists(self, history: Ratings) -> JointNeighbourhood:
        """The same predictor for the users of `history` instead, with what it learnt of titles and of their spread."""
        other = JointNeighbourhood(self.settings, self.seed)
        other._kernel, other._base, other._unit = self._kernel, self._base, self._unit
        other._remember(history)
        return other

    def _take(
        self, history: Ratings, items: Items, titles: LearntTitles, neighbours: Neighbours, content: Content
    ) -> Self:
        self._kernel = title_kernel(neighbours, items, titles.listing, content, self.settings)
        self._base = titles.base
        self._remember(history)
        rated = history.rated
        above = rated.rating - self._base[rated.item]
        self._unit = float(np.mean(above**2)) if len(above) else 1.5
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
            scratch = np.full(len(self._base), -1, dtype=np.int32)
            for person, pairs in part:
                predicted[pairs], deviation[pairs] = self._for_one(person, item[pairs], scratch)

        # Each person's systems are small: threads of our own, and none inside the linear algebra.
        with threadpool_limits(limits=1):
            if threads <= 1:
                answer(questions)
            else:
                with ThreadPoolExecutor(threads) as pool:
                    list(pool.map(answer, [questions[start::threads] for start in range(threads)]))
        return np.clip(predicted, 1, 10), deviation

    def _for_one(self, person: int, asked: IntArray, scratch: npt.NDArray[np.int32]) -> tuple[FloatArray, FloatArray]:
        """One user's predictions for the titles asked; `scratch` is -1 for every title, and given back so."""
        assert self._kernel is not None
        mine = slice(self._starts[person], self._starts[person + 1])
        history, rating = self._item[mine], self._rating[mine]
        if not len(history):
            return self._base[asked], np.full(len(asked), self._unit**0.5 * 1.25, dtype=np.float32)
        among = self._kernel.block(history, history, scratch)
        parts = []
        for start in range(0, len(asked), _QUERIES_AT_A_TIME):
            some = asked[start : start + _QUERIES_AT_A_TIME]
            to = self._kernel.block(some, history, scratch)
            parts.append(self._solve(some, history, rating, among, to))
        return np.concatenate([p for p, _ in parts]), np.concatenate([d for _, d in parts])

    def _solve(
        self, asked: IntArray, history: IntArray, rating: FloatArray, among: Matrix, to: Matrix
    ) -> tuple[FloatArray, FloatArray]:
        above = rating - self._base[history]
        known = np.searchsorted(history, asked)
        own = np.append(history, -1)[known] == asked
        count, total = np.full(len(asked), len(history), dtype=np.float32), above.sum()
        total = total - np.where(own, np.append(above, 0)[known], 0)
        level = total / np.maximum(count - own + self.settings.level, 1e-9)
        if own.any():
            to = to.copy()
            to[own, known[own]] = -np.inf
        size = min(self.settings.neighbours, len(history))
        chosen = (
            np.argpartition(-to, size - 1, axis=1)[:, :size]
            if size < len(history)
            else np.tile(np.arange(size), (len(asked), 1))
        )
        chosen.sort(axis=1)
        nearness = np.take_along_axis(to, chosen, axis=1)
        absent = ~np.isfinite(nearness)
        near = np.where(absent, 0, nearness).astype(np.float64)
        system = among[chosen[:, :, None], chosen[:, None, :]].astype(np.float64)
        residual = above[chosen] - level[:, None]
        weight = np.where(absent, 0, _weights(system, near, self.settings.noise))
        predicted = self._base[asked] + level + (weight * residual).sum(axis=1)
        prior = float(np.median(np.diag(among)))
        left = np.clip(prior - (weight * near).sum(axis=1), 0.05 * prior, prior) + self.settings.noise
        deviation = np.sqrt(left * self._unit / (prior + self.settings.noise))
        return predicted.astype(np.float32), deviation.astype(np.float32)


def _weights(
    system: npt.NDArray[np.float64], nearness: npt.NDArray[np.float64], noise: float
) -> npt.NDArray[np.float64]:
    """(S + ν·1)⁻¹ s for each of n systems, (n, N); `system`: (n, N, N), `nearness`: (n, N)."""
    diagonal = np.arange(system.shape[1])
    system[:, diagonal, diagonal] += noise
    weight = np.asarray(np.linalg.solve(system, nearness[:, :, None])[:, :, 0])
    # Names and relations make no positive definite likeness by themselves. Where that shows (more explained than
    # there is, or weights that fight each other) the eigenvalues are lifted to the noise.
    explained = (weight * nearness).sum(axis=1)
    odd = (explained < 0) | (explained > nearness.max(axis=1, initial=0) + noise) | (np.abs(weight).sum(axis=1) > 2)
    if odd.any():
        values, vectors = np.linalg.eigh(system[odd])
        turned = np.einsum("nij,ni->nj", vectors, nearness[odd]) / np.maximum(values, noise)
        weight[odd] = np.einsum("nij,nj->ni", vectors, turned)
    return weight
