"""Learning the scores that the learnt ranker looks at (`list_scores`), from lists, ratings and content.

What belongs here: closed forms and SLIM, nothing random. What does not: choosing among the scores (`ranking`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.recommend.baselines import fit_bias
from malsugoi_assets.recommend.content import encode, learn_code
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.likeness import Likeness, learn_likeness
from malsugoi_assets.recommend.list_scores import LIKED_FROM, Matrix, TitleScores
from malsugoi_assets.recommend.neighbourhood import title_baselines
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.series import Series, learn_series
from malsugoi_assets.recommend.similarity import similar_titles
from malsugoi_assets.recommend.slim import SlimSettings, slim_matrix

_TITLES_AT_A_TIME = 512


class ScoreSettings(BaseModel):
    """How the scores are learnt and how much of them is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    neighbours: int = Field(200, ge=1, description="Weights kept a title and score, the strongest.")
    alike: int = Field(50, ge=1, description="Titles of a like name kept a title.")
    walk_back: float = Field(0.6, ge=0, description="How strongly the random walk shuns titles on many lists.")
    max_titles: int = Field(8_000, ge=2, description="Titles with weights of SLIM, the most listed.")


def learn_title_scores(
    ratings: Ratings,
    items: Items,
    settings: ScoreSettings | None = None,
    likeness: Likeness | None = None,
    series: Series | None = None,
) -> TitleScores:
    """Learn every score from the rows of `ratings`; `likeness`, `series`: those of `items` where they are known already."""
    settings = settings or ScoreSettings()
    n = ratings.n_items
    rated = ratings.rated
    liked = rated.take(rated.rating >= LIKED_FROM)
    bias = fit_bias(ratings)
    listed, good = ratings.listed_matrix, liked.listed_matrix
    likeness = likeness or learn_likeness(items)
    series = series or learn_series(items)
    content = encode(items, learn_code(items))
    most, most_titles = settings.neighbours, settings.max_titles

    def slim(rows: Ratings, **more: float) -> sp.csr_matrix:
        titles, weights = slim_matrix(rows, SlimSettings(max_titles=most_titles, **more))
        return _over_all(titles, sp.coo_matrix(weights.T), n)

    on_lists, by_fans = (np.bincount(r.item, minlength=n).astype(np.float64) for r in (ratings, liked))
    return TitleScores(
        weights={
            "slim of what is listed": slim(ratings),
            "slim, liked titles counted half more": slim(ratings, liked=0.5),
            "slim of liked titles": slim(liked, lasso=1, ridge=10),
            "co-listing cosine": cosines(listed, most),
            "co-listing cosine of liked titles": cosines(good, most),
            "random walk over lists": random_walk(listed, settings.walk_back, most),
            "relations to listed titles": _strongest(likeness.relations, most),
            "names like listed titles'": _strongest(likeness.titles, settings.alike),
        },
        genres=content.genres,
        mu=bias.mu,
        item_bias=bias.item_bias.astype(np.float32),
        baselines=title_baselines(ratings),
        neighbours=similar_titles(ratings),
        numbers=np.column_stack(
            [
                np.log1p(on_lists),
                np.log1p(by_fans),
                (by_fans + 1) / (on_lists + 5),
                bias.item_bias,
                content.numbers,
                series.numbers,
            ]
        ).astype(np.float32),
        series=series,
    )


def cosines(lists: sp.csr_matrix, most: int) -> sp.csr_matrix:
    """Cosine of the titles' columns, shrunk as `similarity` is; the strongest neighbours of each title."""
    size = np.maximum(np.asarray(lists.multiply(lists).sum(axis=0)).ravel(), 1)

    def weigh(common: Matrix, titles: npt.NDArray[np.int64]) -> Matrix:
        cosine: Matrix = common / np.sqrt(size * size[titles][:, None]) * common / (common + 20)
        return cosine

    return _strongest_products(lists, lists, weigh, most)


def random_walk(lists: sp.csr_matrix, walk_back: float, most: int) -> sp.csr_matrix:
    """RP³β (Christoffel et al. 2015): title → user → title at random, over the target's lists to the power β."""
    length, on_lists = (np.maximum(np.asarray(lists.sum(axis)).ravel(), 1) for axis in (1, 0))
    evenly = sp.csr_matrix(sp.diags(1 / length) @ lists)

    def weigh(reached: Matrix, titles: npt.NDArray[np.int64]) -> Matrix:
        step: Matrix = reached / on_lists * (on_lists[titles] ** -walk_back)[:, None]
        return step

    return _strongest_products(lists, evenly, weigh, most)


def _strongest_products(
    left: sp.csr_matrix, right: sp.csr_matrix, weigh: Callable[[Matrix, npt.NDArray[np.int64]], Matrix], most: int
) -> sp.csr_matrix:
    """The `most` strongest of each column of leftᵀ · right as `weigh` sees it, off the diagonal; of equals the lower rows.

    `weigh(rows, titles)`: float32 (len(titles), n), for each of the `titles` its column. No more than `_TITLES_AT_A_TIME`
    are ever dense.
    """
    from malsugoi_assets.recommend.compiled import on_threads, threads_for  # compiled code takes a moment to load
    from malsugoi_assets.recommend.dense_products import multiply_into
    from malsugoi_assets.recommend.row_kernels import strongest_of_rows

    n = left.shape[1]
    columns = sp.csr_matrix(right.T)
    size = np.zeros(n, dtype=np.int32)
    place, value = np.zeros((n, min(most, n)), dtype=np.int32), np.zeros((n, min(most, n)), dtype=np.float32)
    for start in range(0, n, _TITLES_AT_A_TIME):
        titles = np.arange(start, min(start + _TITLES_AT_A_TIME, n))
        product = np.empty((len(titles), n), dtype=np.float32)
        multiply_into(columns[titles], left, product)
        block = weigh(product, titles).astype(np.float32)
        block[titles - start, titles] = 0
        some, threads = slice(start, start + len(titles)), threads_for(len(titles))
        found = (block, size[some], place[some], value[some])
        on_threads(lambda t: strongest_of_rows(np.arange(t, len(found[0]), threads), *found), threads)  # noqa: B023
    kept = np.arange(place.shape[1]) < size[:, None]
    starts = np.concatenate([[0], np.cumsum(size)])
    return sp.csr_matrix(sp.csr_matrix((value[kept], place[kept], starts), shape=(n, n)).T)


def _over_all(titles: npt.NDArray[np.int64], weights: sp.coo_matrix, n_items: int) -> sp.csr_matrix:
    return sp.csr_matrix((weights.data, (titles[weights.row], titles[weights.col])), shape=(n_items, n_items))


def _strongest(kernel: sp.csr_matrix, most: int) -> sp.csr_matrix:
    """The `most` strongest of each column off the diagonal; ties go to the lower row."""
    coo = kernel.tocoo()
    off = coo.row != coo.col
    row, column, value = coo.row[off], coo.col[off], coo.data[off]
    order = np.lexsort((row, -value, column))
    row, column, value = row[order], column[order], value[order]
    kept = np.arange(len(column)) - np.searchsorted(column, column) < most
    return sp.csr_matrix((value[kept].astype(np.float32), (row[kept], column[kept])), shape=kernel.shape)
