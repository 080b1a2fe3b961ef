"""What a learnt ranker looks at: many item-item scores of a list for every title, and numbers of titles and users.

What belongs here: scores that follow from lists, ratings and content with no training beyond closed forms and SLIM.
What does not: choosing among them (`ranking`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.recommend.baselines import fit_bias
from malsugoi_assets.recommend.content import encode, learn_code
from malsugoi_assets.recommend.ease import EaseSettings, ease_matrix, preferences
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.likeness import learn_likeness
from malsugoi_assets.recommend.neighbourhood import PredictionSettings, Predictor, title_baselines
from malsugoi_assets.recommend.ratings import IntArray, Ratings
from malsugoi_assets.recommend.similarity import similar_titles
from malsugoi_assets.recommend.slim import SlimSettings, slim_matrix

LIKED_FROM = 8.0
Matrix = npt.NDArray[np.float32]

SCORES = (
    "ease of what is listed",
    "ease, liked titles counted twice",
    "ease of liked titles",
    "slim of what is listed",
    "slim, liked titles counted half more",
    "slim of liked titles",
    "slim of what is listed, on rating residuals",
    "co-listing cosine",
    "co-listing cosine of liked titles",
    "random walk over lists",
    "relations to listed titles",
    "relations, on rating residuals",
    "names like listed titles'",
    "names, on rating residuals",
    "rating similarity, on rating residuals",
    "genres, on rating residuals",
    "lists of like users",
    "liked titles of like users",
    "predicted rating",
    "neighbours behind the predicted rating",
)


@dataclass(frozen=True)
class _Linear:
    """One score: the users' rows of `lists` (n_users, n_items) times `weights` (n_items, n_items) or its factors."""

    lists: sp.csr_matrix
    weights: tuple[sp.csr_matrix | Matrix, ...]

    def of(self, users: IntArray) -> Matrix:
        rows = self.lists[users]
        for factor in self.weights:
            rows = rows @ factor
        dense = rows.toarray() if sp.issparse(rows) else np.asarray(rows)
        return np.asarray(dense, dtype=np.float32)


class ListScores:
    """The scores of `SCORES` for the users of the fitted ratings, `title_numbers` and `user_numbers`."""

    def __init__(self, like_users: int = 60, neighbours: int = 200, walk_back: float = 0.6) -> None:
        """`walk_back`: how strongly the random walk shuns titles that are on many lists."""
        self.like_users, self.neighbours, self.walk_back = like_users, neighbours, walk_back

    def fit(self, ratings: Ratings, items: Items) -> Self:
        """Learn every score from the rows of `ratings`. Nothing is random."""
        self.n_items = n = ratings.n_items
        rated = ratings.rated
        liked = rated.take(rated.rating >= LIKED_FROM)
        bias = fit_bias(ratings)
        residual = rated.rating - (bias.mu + bias.user_bias[rated.user] + bias.item_bias[rated.item])
        listed = self.listed = ratings.listed_matrix
        twice, more = preferences(ratings, 1.0, LIKED_FROM), preferences(ratings, 0.5, LIKED_FROM)
        good = liked.listed_matrix
        above = sp.csr_matrix((residual.astype(np.float32), (rated.user, rated.item)), shape=listed.shape)
        similar = similar_titles(ratings)
        likeness = learn_likeness(items)
        content = encode(items, learn_code(items))
        slim = _spread(*_slim(ratings, SlimSettings()), n)
        self._linear = [
            _Linear(listed, (_dense(*ease_matrix(ratings, EaseSettings(ridge=100)), n),)),
            _Linear(twice, (_dense(*ease_matrix(ratings, EaseSettings(liked=1, ridge=200)), n),)),
            _Linear(good, (_dense(*ease_matrix(liked, EaseSettings(ridge=60)), n),)),
            _Linear(listed, (slim,)),
            _Linear(more, (_spread(*_slim(ratings, SlimSettings(liked=0.5)), n),)),
            _Linear(good, (_spread(*_slim(liked, SlimSettings(lasso=1, ridge=10)), n),)),
            _Linear(above, (slim,)),
            _Linear(listed, (self._cosine(listed),)),
            _Linear(good, (self._cosine(good),)),
            _Linear(listed, (self._walk(listed),)),
            _Linear(listed, (_off_diagonal(likeness.relations),)),
            _Linear(above, (_off_diagonal(likeness.relations),)),
            _Linear(listed, (_off_diagonal(likeness.titles),)),
            _Linear(above, (_off_diagonal(likeness.titles),)),
            _Linear(above, (similar.matrix(n).T.tocsr(),)),
            _Linear(above, (content.genres, content.genres.T)),
        ]
        self._alike = self._like_users(listed)
        self._of_alike = (listed, good)
        self._predictor = Predictor(ratings, title_baselines(ratings), similar, PredictionSettings())
        on_lists, by_fans = (np.bincount(r.item, minlength=n).astype(np.float64) for r in (ratings, liked))
        self.title_numbers: Matrix = np.column_stack(
            [
                np.log1p(on_lists),
                np.log1p(by_fans),
                (by_fans + 1) / (on_lists + 5),
                bias.item_bias,
                content.numbers,
            ]
        ).astype(np.float32)
        length, given, fond = (np.bincount(r.user, minlength=ratings.n_users) for r in (ratings, rated, liked))
        self.user_numbers: Matrix = np.column_stack(
            [np.log1p(length), np.log1p(given), fond / np.maximum(given, 1), bias.user_bias]
        ).astype(np.float32)
        return self

    def of(self, users: IntArray) -> Matrix:
        """Float32 (len(users), n_items, len(SCORES))."""
        found = [score.of(users) for score in self._linear]
        found += [(self._alike[users] @ theirs).toarray() for theirs in self._of_alike]
        blocks = list(self._predictor.blocks(users))
        found.append(np.concatenate([block.predicted for block in blocks]))
        found.append(np.log1p(np.concatenate([block.support for block in blocks])))
        return np.stack(found, axis=-1).astype(np.float32)

    def _cosine(self, lists: sp.csr_matrix) -> sp.csr_matrix:
        """Cosine of the titles' columns, shrunk as `similarity` is; the strongest neighbours of each title."""
        common = sp.csr_matrix(lists.T @ lists).tocoo()
        size = np.maximum(common.diagonal(), 1)
        value = common.data / np.sqrt(size[common.row] * size[common.col]) * common.data / (common.data + 20)
        return _strongest(sp.csr_matrix((value, (common.row, common.col)), shape=common.shape), self.neighbours)

    def _walk(self, lists: sp.csr_matrix) -> sp.csr_matrix:
        """RP³β (Christoffel et al. 2015): title → user → title at random, over the target's lists to the power β."""
        length, on_lists = (np.maximum(np.asarray(lists.sum(axis)).ravel(), 1) for axis in (1, 0))
        steps = sp.diags(1 / on_lists) @ lists.T @ sp.diags(1 / length) @ lists @ sp.diags(on_lists**-self.walk_back)
        return _strongest(sp.csr_matrix(steps), self.neighbours)

    def _like_users(self, listed: sp.csr_matrix) -> sp.csr_matrix:
        """Cosine of the users' rows, the strongest of each row."""
        length = np.sqrt(np.maximum(np.asarray(listed.sum(axis=1)).ravel(), 1))
        scaled = sp.csr_matrix(sp.diags((1 / length).astype(np.float32)) @ listed)
        return _strongest(sp.csr_matrix(scaled @ scaled.T), self.like_users).T.tocsr()


def _strongest(weights: sp.csr_matrix, most: int) -> sp.csr_matrix:
    """The `most` strongest of each column off the diagonal; ties go to the lower row."""
    coo = weights.tocoo()
    off = coo.row != coo.col
    row, column, value = coo.row[off], coo.col[off], coo.data[off]
    order = np.lexsort((row, -value, column))
    row, column, value = row[order], column[order], value[order]
    kept = np.arange(len(column)) - np.searchsorted(column, column) < most
    return sp.csr_matrix((value[kept].astype(np.float32), (row[kept], column[kept])), shape=weights.shape)


def _slim(ratings: Ratings, settings: SlimSettings) -> tuple[npt.NDArray[np.int64], sp.csr_matrix]:
    titles, weights = slim_matrix(ratings, settings)
    return titles, weights.T.tocsr()


def _dense(titles: npt.NDArray[np.int64], weights: Matrix, n_items: int) -> Matrix:
    """Weights over some titles as weights over all."""
    if len(titles) == n_items:
        return weights
    full = np.zeros((n_items, n_items), dtype=np.float32)
    full[np.ix_(titles, titles)] = weights
    return full


def _spread(titles: npt.NDArray[np.int64], weights: sp.csr_matrix, n_items: int) -> sp.csr_matrix:
    coo = weights.tocoo()
    return sp.csr_matrix((coo.data, (titles[coo.row], titles[coo.col])), shape=(n_items, n_items))


def _off_diagonal(kernel: sp.csr_matrix) -> sp.csr_matrix:
    free = sp.csr_matrix(kernel, copy=True)
    free.setdiag(0)
    free.eliminate_zeros()
    return free
