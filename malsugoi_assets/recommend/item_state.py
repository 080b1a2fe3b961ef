"""What is learnt about each title from lists: its effect on ratings, where it stands among lists, who likes it.

What belongs here: everything a prediction needs that is one row a title. What is one row a user is worked out
from the user's own list at prediction time (`features`), so that new users need no training.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.recommend.content import FloatMatrix
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

USER_ROWS = 5.0
ITEM_ROWS = 8.0
CONTENT_ROWS = 60.0
TASTE_ROWS = 30.0
TASTE_SIZE = 24
NO_RATINGS_MEAN = 7.0


@dataclass(frozen=True)
class ItemState:
    """One row a title, learnt from one set of list rows.

    `mean`: the grand mean of ratings; `content_weights` (columns of the content matrix + 1, the last the
    intercept); `effect`, `content_effect`: float32 (n_items,), rating points, the first with the title's own
    residual; `rated`, `listed`: how many users; `spread`: standard deviation of the title's residuals, shrunk;
    `listing`: (n_items, size) co-listing embedding, rows of length √(n/(n+1)), n = listed;
    `membership`: (n_items, TASTE_SIZE), what a listed title adds to a user's taste vector;
    `taste`: (n_items, TASTE_SIZE), how a title's residuals (in units of the user's spread) depend on that vector.
    """

    mean: FloatArray
    content_weights: FloatArray
    effect: FloatArray
    content_effect: FloatArray
    rated: FloatArray
    listed: FloatArray
    spread: FloatArray
    listing: FloatMatrix
    membership: FloatMatrix
    taste: FloatMatrix

    def tensors(self, prefix: str = "item.") -> dict[str, npt.NDArray[np.float32]]:
        """All arrays by name, as they are written to a file."""
        return {prefix + field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, npt.NDArray[np.float32]], prefix: str = "item.") -> ItemState:
        """The inverse of `tensors`; KeyError names what is missing."""
        return cls(**{field.name: tensors[prefix + field.name] for field in fields(cls)})

    def for_catalogue(self, place: npt.NDArray[np.int64], content: FloatMatrix) -> ItemState:
        """The same knowledge lined up with another catalogue.

        `place[i]`: the row here of the other catalogue's title i, -1 = never seen: such a title has the effect
        that its content (rows of `content`) lets expect, and nothing from lists.
        """
        new = place < 0
        expected = content @ self.content_weights[:-1] + self.content_weights[-1]

        def move(values: npt.NDArray[np.float32], unknown: float = 0.0) -> npt.NDArray[np.float32]:
            moved = values[np.maximum(place, 0)] if len(values) else np.zeros((len(place), *values.shape[1:]))
            moved = moved.astype(np.float32)
            moved[new] = unknown
            return moved

        effect, content_effect = move(self.effect), move(self.content_effect)
        effect[new] = expected[new]
        content_effect[new] = expected[new]
        return ItemState(
            mean=self.mean,
            content_weights=self.content_weights,
            effect=effect,
            content_effect=content_effect,
            rated=move(self.rated),
            listed=move(self.listed),
            spread=move(self.spread, 1.2),
            listing=move(self.listing),
            membership=move(self.membership),
            taste=move(self.taste),
        )


def learn_item_state(lists: Ratings, content: FloatMatrix, *, embedding_size: int, seed: int) -> ItemState:
    """Learn all that is one row a title from `lists` (rated and unrated rows) and the content matrix."""
    rated = lists.rated
    mean, weights, effect, content_effect = _effects(rated, content)
    residual = rated.rating - mean - effect[rated.item]
    offset, scale = _levels(rated.user, residual, rated.n_users)
    residual = residual - offset[rated.user]
    count = np.bincount(rated.item, minlength=rated.n_items)
    typical = float((residual**2).mean()) if len(residual) else 1.5
    spread = np.sqrt((np.bincount(rated.item, residual**2, rated.n_items) + 10 * typical) / (count + 10))
    listing, membership = _listing(lists, embedding_size, seed)
    tastes = user_tastes(lists, membership)
    return ItemState(
        mean=np.array([mean], dtype=np.float32),
        content_weights=weights.astype(np.float32),
        effect=effect.astype(np.float32),
        content_effect=content_effect.astype(np.float32),
        rated=count.astype(np.float32),
        listed=np.bincount(lists.item, minlength=lists.n_items).astype(np.float32),
        spread=spread.astype(np.float32),
        listing=listing,
        membership=membership,
        taste=_taste(rated, residual / scale[rated.user], tastes),
    )


def learn_listing(lists: Ratings, size: int, seed: int) -> FloatMatrix:
    """Where each title stands among the lists, float32 (n_items, size), rows of length ≤ 1."""
    return _listing(lists, size, seed)[0]


def user_scale(sum_of_squares: npt.NDArray[np.float64], count: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How widely a user rates: (variance shrunk towards 1.4 with 23 rows)^.3, the unit of residuals."""
    return np.asarray(((sum_of_squares + 23 * 1.4) / (count + 23)) ** 0.3)


def user_levels(rated: Ratings, state: ItemState) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Each user's level and unit of residuals, (n_users,) each, in rating points: m_u and s_u.

    m_u is the mean of what the titles' effects leave, shrunk with `USER_ROWS` ratings; s_u see `user_scale`.
    """
    return _levels(rated.user, rated.rating - state.mean[0] - state.effect[rated.item], rated.n_users)


def _levels(
    user: IntArray, residual: npt.NDArray[np.floating], n_users: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    count = np.bincount(user, minlength=n_users).astype(np.float64)
    offset = np.bincount(user, residual, n_users) / (count + USER_ROWS)
    squares = np.bincount(user, (residual - offset[user]) ** 2, n_users).astype(np.float64)
    return offset, user_scale(squares, count)


def user_tastes(lists: Ratings, membership: FloatMatrix) -> FloatMatrix:
    """Taste vectors, float32 (n_users, TASTE_SIZE): the sum of what each user's titles add, at length 1."""
    total = np.asarray(lists.listed_matrix @ membership)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.where(length > 1e-9, length, 1), dtype=np.float32)


def _effects(
    rated: Ratings, content: FloatMatrix, rounds: int = 8
) -> tuple[float, npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Grand mean, weights of the content, title effects, their content part: r ≈ mean + user + x·w + own.

    Alternating ridge regressions: user offsets shrunk with `USER_ROWS`, own effects with `ITEM_ROWS` rows, the
    content weights by `CONTENT_ROWS` (a title weighs n / (n + ITEM_ROWS), the inverse variance of its mean).
    """
    design = np.concatenate([content, np.ones((len(content), 1), np.float32)], axis=1).astype(np.float64)
    weights = np.zeros(design.shape[1])
    effect = np.zeros(rated.n_items)
    if not len(rated):
        return NO_RATINGS_MEAN, weights, effect, effect
    mean = float(rated.rating.astype(np.float64).mean())
    value = rated.rating.astype(np.float64) - mean
    per_user = np.bincount(rated.user, minlength=rated.n_users)
    per_item = np.bincount(rated.item, minlength=rated.n_items)
    seen = per_item > 0
    importance = per_item[seen] / (per_item[seen] + ITEM_ROWS) * ITEM_ROWS
    weighted = design[seen] * importance[:, None]
    ridge = np.full(design.shape[1], CONTENT_ROWS)
    ridge[-1] = 1e-3
    normal = np.linalg.inv(design[seen].T @ weighted + np.diag(ridge))
    content_effect = effect
    for _ in range(rounds):
        offset = np.bincount(rated.user, value - effect[rated.item], rated.n_users) / (per_user + USER_ROWS)
        left = np.bincount(rated.item, value - offset[rated.user], rated.n_items)
        weights = normal @ (weighted.T @ (left[seen] / per_item[seen]))
        content_effect = design @ weights
        effect = content_effect + (left - per_item * content_effect) / (per_item + ITEM_ROWS)
    return mean, weights, effect, content_effect


def _listing(lists: Ratings, size: int, seed: int) -> tuple[FloatMatrix, FloatMatrix]:
    """Co-listing embedding of the titles and their memberships, by a truncated SVD of the list matrix.

    The matrix is scaled by (n_user + 5)^-½ and (n_item + 2)^-½; item vectors × singular values.
    """
    matrix = lists.listed_matrix.astype(np.float32)
    per_user = np.bincount(lists.user, minlength=lists.n_users)
    per_item = np.bincount(lists.item, minlength=lists.n_items)
    column_scale = ((per_item + 2) ** -0.5).astype(np.float32)
    scaled = matrix.copy()
    scaled.data = scaled.data * ((per_user + 5) ** -0.5)[lists_rows(matrix)].astype(np.float32)
    scaled.data *= column_scale[matrix.indices]
    rank = min(size, lists.n_users, lists.n_items)
    listing = np.zeros((lists.n_items, size), dtype=np.float32)
    membership = np.zeros((lists.n_items, TASTE_SIZE), dtype=np.float32)
    if rank == 0 or not len(lists):
        return listing, membership
    right, values = top_right_vectors(scaled, rank, seed)
    vectors = right * values
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.where(length > 1e-9, length, 1) * np.sqrt(per_item / (per_item + 1))[:, None]
    listing[:, :rank] = np.where(length > 1e-9, vectors, 0)
    kept = min(rank, TASTE_SIZE)
    membership[:, :kept] = right[:, :kept] * column_scale[:, None]
    return listing, membership


def top_right_vectors(matrix: sp.csr_matrix, rank: int, seed: int) -> tuple[FloatMatrix, FloatArray]:
    """The first `rank` right singular vectors as columns, float32 (columns, ≤ rank), and the singular values.

    Randomised range finder with 4 power iterations (Halko, Martinsson and Tropp 2011, algorithm 4.4).
    """
    rank = min(rank, *matrix.shape)
    width = min(rank + 16, *matrix.shape)
    start = np.random.default_rng(seed).standard_normal((matrix.shape[1], width)).astype(np.float32)
    basis, _ = np.linalg.qr(matrix @ start)
    transposed = matrix.T.tocsr()
    for _ in range(4):
        basis, _ = np.linalg.qr(transposed @ basis)
        basis, _ = np.linalg.qr(matrix @ basis)
    _, values, right = np.linalg.svd((transposed @ basis).T, full_matrices=False)
    return right[:rank].T, values[:rank]


def lists_rows(matrix: object) -> npt.NDArray[np.int64]:
    """The row number of every stored entry of a CSR matrix."""
    indptr = matrix.indptr  # type: ignore[attr-defined]
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def _taste(rated: Ratings, residual: npt.NDArray[np.floating], tastes: FloatMatrix) -> FloatMatrix:
    """A ridge regression a title of its residuals on the taste vectors of those who rated it."""
    result = np.zeros((rated.n_items, tastes.shape[1]), dtype=np.float32)
    if not len(rated):
        return result
    order = np.argsort(rated.item, kind="stable")
    item, user = rated.item[order], rated.user[order]
    value = residual[order].astype(np.float32)
    present, starts = np.unique(item, return_index=True)
    bounds = np.append(starts, len(item))
    eye = np.eye(tastes.shape[1], dtype=np.float32) * TASTE_ROWS / tastes.shape[1]
    for number, title in enumerate(present):
        chosen = slice(bounds[number], bounds[number + 1])
        vectors = tastes[user[chosen]]
        result[title] = np.linalg.solve(vectors.T @ vectors + eye, vectors.T @ value[chosen])
    return result
