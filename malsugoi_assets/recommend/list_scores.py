"""What a learnt ranker looks at: many item-item scores of a list for every title, and numbers of titles and users.

What belongs here: what is kept of everybody's lists (`TitleScores`), and applying it to any list, known or new
(`ListScores`). Learning it stands in `ranking_scores`, choosing among the scores in `ranking`. Nothing here holds a row
of a user.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.recommend.baselines import BiasSettings, shrunk_means
from malsugoi_assets.recommend.neighbourhood import PredictionSettings, Predictor, Spread, TitleBaselines
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.series import Series
from malsugoi_assets.recommend.similarity import Neighbours

LIKED_FROM = 8.0
LIKED_COUNTS = np.float32(0.5)
"""How much more a liked title counts than a listed one, where it does."""
USER_PULL = BiasSettings().user_pull
LOWEST, HIGHEST = -5.0, 30.0
"""Where a score in units of its spread is cut."""
Matrix = npt.NDArray[np.float32]

# Each score, and what of the list it weighs: what is listed (a liked title counting half more, or not), the liked
# titles alone, or by how much each rating lies above what title and user let expect.
SCORES = {
    "slim of what is listed": "listed",
    "slim, liked titles counted half more": "more",
    "slim of liked titles": "liked",
    "slim of what is listed, on rating residuals": "above",
    "co-listing cosine": "listed",
    "co-listing cosine of liked titles": "liked",
    "random walk over lists": "listed",
    "relations to listed titles": "listed",
    "relations, on rating residuals": "above",
    "names like listed titles'": "listed",
    "names, on rating residuals": "above",
    "rating similarity, on rating residuals": "above",
    "genres, on rating residuals": "above",
    "predicted rating": "ratings",
    "neighbours behind the predicted rating": "ratings",
}
# Scores that share another one's weights.
_SHARED = {
    "slim of what is listed, on rating residuals": "slim of what is listed",
    "relations, on rating residuals": "relations to listed titles",
    "names, on rating residuals": "names like listed titles'",
}
GENRES = "genres, on rating residuals"
RELATIONS = "relations to listed titles"
_SIMILAR = "rating similarity, on rating residuals"
WEIGHTED = tuple(name for name, of in SCORES.items() if of != "ratings" and name not in (*_SHARED, GENRES, _SIMILAR))


@dataclass(frozen=True)
class TitleScores:
    """All that scoring a list needs of other people's lists.

    `weights`: for each of `WEIGHTED` CSR float32 (n, n), row = title on the list, column = scored title;
    `genres`: float32 (n, genres), whose products are the genres' weights; `mu`, `item_bias`: what a rating is expected
    to be; `baselines`, `neighbours`: of the predicted rating; `numbers`: float32 (n, …), what is known of a title;
    `series`: what comes before what.
    """

    weights: dict[str, sp.csr_matrix]
    genres: Matrix
    mu: float
    item_bias: FloatArray
    baselines: TitleBaselines
    neighbours: Neighbours
    numbers: Matrix
    series: Series

    @property
    def n_items(self) -> int:
        """How many titles are scored."""
        return len(self.item_bias)

    @cached_property
    def spread(self) -> Spread:
        """The similarity of the ratings, by the title that is rated."""
        return Spread(self.neighbours, self.n_items)

    @cached_property
    def genre_sums(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Σ g and Σ gᵀg over all titles, g being a title's row of `genres`: float64 (genres,) and (genres, genres)."""
        genres = self.genres.astype(np.float64)
        return genres.sum(axis=0), genres.T @ genres

    def weights_of(self, score: str) -> sp.csr_matrix:
        """The weights behind a score of lists, but `GENRES`."""
        return self.spread.matrix if score == _SIMILAR else self.weights[_SHARED.get(score, score)]


class ListScores:
    """The scores of `SCORES` for the users of `lists` (rows over the titles of `titles`), and numbers of each user."""

    def __init__(self, titles: TitleScores, lists: Ratings) -> None:
        self.titles, self.n_items, self.n_lists = titles, titles.n_items, lists.n_users
        self.listed = lists.listed_matrix
        self._last = (np.empty(0, dtype=np.int32), np.empty((len(SCORES), 0, self.n_items), dtype=np.float32))
        rated = lists.rated
        residual = rated.rating.astype(np.float64) - titles.mu - titles.item_bias[rated.item].astype(np.float64)
        bias = shrunk_means(rated.user, residual, lists.n_users, 0.0, USER_PULL)
        above = residual - bias[rated.user]
        liked = rated.rating >= LIKED_FROM
        is_liked = sp.csr_matrix(
            (np.ones(int(liked.sum()), np.float32), (rated.user[liked], rated.item[liked])), shape=self.listed.shape
        )
        self.lists = lists
        self.rows: dict[str, sp.csr_matrix] = {
            "listed": self.listed,
            "more": sp.csr_matrix(self.listed + is_liked * LIKED_COUNTS),
            "liked": is_liked,
            "above": sp.csr_matrix((above.astype(np.float32), (rated.user, rated.item)), shape=self.listed.shape),
        }
        self.predictor = Predictor(lists, titles.baselines, titles.spread, PredictionSettings())
        length, given = (np.bincount(r.user, minlength=lists.n_users) for r in (lists, rated))
        fond = np.diff(is_liked.indptr)
        self.user_numbers: Matrix = np.column_stack(
            [np.log1p(length), np.log1p(given), fond / np.maximum(given, 1), bias]
        ).astype(np.float32)

    def of(self, users: IntArray) -> Matrix:
        """Float32 (len(SCORES), len(users), n_items), not to be written to: those that were asked for last are kept."""
        from malsugoi_assets.recommend.dense_products import multiply_into  # compiled code takes a moment to load

        found = np.empty((len(SCORES), len(users), self.n_items), dtype=np.float32)
        for place, (name, of) in enumerate(SCORES.items()):
            if of == "ratings":
                continue
            rows = self._of(self.rows[of], users)
            if name == GENRES:
                found[place] = (rows @ self.titles.genres) @ self.titles.genres.T
            else:
                multiply_into(rows, self.titles.weights_of(name), found[place])
        start = 0
        for block in self.predictor.blocks(users):
            rows = slice(start, start + len(block.users))
            found[-2, rows], found[-1, rows] = block.predicted, np.log1p(block.support)
            start += len(block.users)
        if len(users) > 1 or self.n_lists == 1:
            self._last = (np.asarray(users), found)
        return found

    def of_one(self, user: int) -> Matrix:
        """As `of` of one user, (len(SCORES), n_items), at hand where the scores asked for last are among others this user's."""
        users, found = self._last
        [place] = np.flatnonzero(users == user)[:1].tolist() or [-1]
        if place < 0:
            return np.asarray(self.of(np.array([user], dtype=np.int32))[:, 0])
        return np.ascontiguousarray(found[:, place])

    def facts(self, users: IntArray, item: IntArray) -> Matrix:
        """Float32 (len(users), m, len(series.FACTS)) of the titles `item` (len(users), m)."""
        return self.titles.series.facts(self._of(self.listed, users), self._of(self.rows["above"], users), item)

    def _of(self, rows: sp.csr_matrix, users: IntArray) -> sp.csr_matrix:
        """The users' rows; to take them out of one takes longer than to multiply it."""
        return rows if len(users) == self.n_lists == 1 else rows[users]
