"""The network's inputs: what a user's own list says about a title, given what is known of all titles.

What belongs here: from (history, user, title) to a row of numbers, with one function for training and for
prediction, so that the two cannot differ. Out-of-fold training inputs come from the same function, called with
the rows of the other folds as history; a target's own rating and listing never reach its inputs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from malsugoi_assets.recommend.content import NUMBERS, Content
from malsugoi_assets.recommend.item_state import USER_ROWS, ItemState, user_scale
from malsugoi_assets.recommend.likeness import Likeness, dense_block
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

Matrix = npt.NDArray[np.float32]
NOISE = 0.55
JITTER = 0.4
QUERY_CHUNK = 2048
PARTS = ("prefix", "near_listing", "title", "relations", "listing", "numbers", "constant", "genres", "score")
PART_WEIGHTS = np.array([0.63, 0.63, 0.25, 0.2, 0.1, 0.08, 0.05, 0.04, 0.03], dtype=np.float32)
MEANS = ("series", "title", "near_listing", "listing", "genres", "numbers", "type", "studio", "recent_year", "score")
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
NEAREST = 4


@dataclass(frozen=True)
class Catalogue:
    """All that is known of the titles: learnt from lists, from their content, and their likeness."""

    state: ItemState
    content: Content
    likeness: Likeness


@dataclass(frozen=True)
class Inputs:
    """Rows of inputs with what the network corrects.

    `matrix`: float32 (n, len(columns)), not standardised; `base`: float32 (n,), the predicted rating before the
    network; `scale`: float32 (n,), the user's unit of residuals in rating points.
    """

    matrix: Matrix
    base: FloatArray
    scale: FloatArray


def column_names(content_columns: list[str]) -> list[str]:
    """Names of the input columns, in order."""
    return [
        *("gp_mean", "gp_deviation"),
        *(f"gp_{name}" for name in PARTS),
        *("title_effect", "title_own_effect", "user_offset", "user_scale", "base"),
        *("log_user_rated", "log_user_listed", "user_rated_share", "log_title_rated", "log_title_listed"),
        "title_spread",
        *(f"user_quantile_{q:g}" for q in QUANTILES),
        *(f"{stem}_{name}" for name in MEANS for stem in ("mean", "weight")),
        *(f"{stem}_{place}" for place in range(NEAREST) for stem in ("near_residual", "near_kernel")),
        *(f"slope_{name}" for name in NUMBERS),
        *("taste", "taste_listing"),
        *content_columns,
    ]


def pair_inputs(catalogue: Catalogue, history: Ratings, user: IntArray, item: IntArray, max_history: int) -> Inputs:
    """Inputs of the pairs (`user`, `item`), given each user's rows in `history` (indexes of `catalogue`).

    A row of `history` for the pair itself is not used. The result does not depend on the order of the rows of
    `history` nor on which other pairs are asked for.
    """
    width = len(column_names([])) + catalogue.content.matrix.shape[1]
    matrix = np.zeros((len(user), width), dtype=np.float32)
    base = np.zeros(len(user), dtype=np.float32)
    scale = np.zeros(len(user), dtype=np.float32)
    order = np.lexsort((history.item, history.user))
    listed_item, listed_rating = history.item[order], history.rating[order]
    starts = np.searchsorted(history.user[order], np.arange(history.n_users + 1))
    place = np.full(catalogue.state.effect.shape[0], -1, dtype=np.int32)
    by_user = np.argsort(user, kind="stable")
    bounds = np.searchsorted(user[by_user], np.arange(history.n_users + 1))
    for number in np.unique(user):
        mine = slice(starts[number], starts[number + 1])
        pairs = by_user[bounds[number] : bounds[number + 1]]
        person = _Person.of(catalogue, listed_item[mine], listed_rating[mine], max_history, place)
        row = np.searchsorted(listed_item[mine], item[pairs])
        own = np.append(listed_item[mine], -1)[row] == item[pairs]
        for start in range(0, len(pairs), QUERY_CHUNK):
            chunk = slice(start, start + QUERY_CHUNK)
            _fill(catalogue, person, item, pairs[chunk][~own[chunk]], place, matrix, base, scale)
        for pair, at in zip(pairs[own], row[own], strict=True):
            without = _without(catalogue, person, listed_item[mine], listed_rating[mine], at, max_history, place)
            _fill(catalogue, without, item, np.array([pair]), place, matrix, base, scale)
    matrix[:, -catalogue.content.matrix.shape[1] :] = catalogue.content.matrix[item]
    return Inputs(matrix, base, scale)


def _without(
    catalogue: Catalogue,
    person: _Person,
    listed_item: IntArray,
    listed_rating: FloatArray,
    at: int,
    max_history: int,
    place: npt.NDArray[np.int32],
) -> _Person:
    """The same person without row `at` of the list; only a rated row costs a new solution."""
    others = np.arange(len(listed_item)) != at
    if np.isnan(listed_rating[at]):
        taste = catalogue.state.membership[listed_item[others]].sum(axis=0)
        taste = taste / max(float(np.linalg.norm(taste)), 1e-9)
        return replace(person, listed=len(listed_item) - 1, taste=taste)
    return _Person.of(catalogue, listed_item[others], listed_rating[others], max_history, place)


@dataclass(frozen=True)
class _Person:
    """One user's list, worked out once for all titles that are asked about.

    `items`: rated titles (n,); `residual`: (n,) in units of `scale`, offset taken out; `alpha`: the Gaussian
    process' weights (n,), zero for titles beyond `max_history`; `solver`: its Cholesky factor over `kept`.
    """

    items: IntArray
    residual: Matrix
    offset: float
    scale: float
    listed: int
    quantiles: Matrix
    slopes: Matrix
    taste: Matrix
    kept: npt.NDArray[np.int64]
    alpha: Matrix
    solver: tuple[npt.NDArray[np.float32], bool] | None

    @classmethod
    def of(
        cls,
        catalogue: Catalogue,
        listed_item: IntArray,
        listed_rating: FloatArray,
        max_history: int,
        place: npt.NDArray[np.int32],
    ) -> _Person:
        state = catalogue.state
        rated = ~np.isnan(listed_rating)
        items = listed_item[rated]
        left = listed_rating[rated] - state.mean[0] - state.effect[items]
        n = len(items)
        offset = float(left.sum() / (n + USER_ROWS))
        left = left - offset
        scale = float(user_scale(np.array([(left**2).sum()], dtype=np.float64), np.array([n], dtype=np.float64))[0])
        residual = (left / scale).astype(np.float32)
        quantiles = np.zeros(len(QUANTILES), dtype=np.float32)
        slopes = np.zeros(len(NUMBERS), dtype=np.float32)
        if n:
            quantiles = np.quantile(listed_rating[rated], QUANTILES).astype(np.float32) - state.mean[0]
            numbers = catalogue.content.numbers[items]
            gram = numbers.T @ numbers + 15 * np.eye(len(NUMBERS), dtype=np.float32)
            slopes = np.linalg.solve(gram, numbers.T @ residual).astype(np.float32)
        taste = state.membership[listed_item].sum(axis=0)
        taste = taste / max(float(np.linalg.norm(taste)), 1e-9)
        kept = np.arange(n)
        if n > max_history:
            kept = np.sort(np.random.default_rng(n).permutation(n)[:max_history])
        alpha = np.zeros(n, dtype=np.float32)
        solver = None
        if n:
            kernel = np.tensordot(PART_WEIGHTS, _parts(catalogue, items[kept], items[kept], place), axes=1)
            kernel[np.diag_indices_from(kernel)] += NOISE
            solver = _factor(kernel)
            alpha[kept] = cho_solve(solver, residual[kept], check_finite=False)
        return cls(items, residual, offset, scale, len(listed_item), quantiles, slopes, taste, kept, alpha, solver)


def _factor(kernel: Matrix) -> tuple[npt.NDArray[np.float32], bool]:
    """Cholesky factor; the prefix and relation kernels are not positive definite, so jitter is added as needed."""
    while True:
        try:
            return cho_factor(kernel, lower=True, check_finite=False)  # type: ignore[no-any-return]
        except LinAlgError:
            kernel[np.diag_indices_from(kernel)] += JITTER


def _parts(
    catalogue: Catalogue, rows: IntArray, columns: IntArray, place: npt.NDArray[np.int32]
) -> npt.NDArray[np.float32]:
    """The parts of the same-user kernel, float32 (len(PARTS), rows, columns), each about 1 for the same title."""
    content, likeness, state = catalogue.content, catalogue.likeness, catalogue.state
    parts = np.empty((len(PARTS), len(rows), len(columns)), dtype=np.float32)
    place[columns] = np.arange(len(columns))
    parts[0] = dense_block(likeness.prefix, rows, place, len(columns))
    parts[2] = dense_block(likeness.titles, rows, place, len(columns))
    parts[3] = dense_block(likeness.relations, rows, place, len(columns))
    place[columns] = -1
    np.matmul(state.listing[rows], state.listing[columns].T, out=parts[4])
    np.exp(4 * (parts[4] - 1), out=parts[1])
    near = content.numbers[rows][:, [0, 1, 2, 4]], content.numbers[columns][:, [0, 1, 2, 4]]
    distance = (near[0] ** 2).sum(1)[:, None] + (near[1] ** 2).sum(1)[None, :] - 2 * near[0] @ near[1].T
    np.exp(-0.5 * np.maximum(distance, 0), out=parts[5])
    parts[6] = 1
    np.matmul(content.genres[rows], content.genres[columns].T, out=parts[7])
    np.multiply(content.numbers[rows, 0][:, None], content.numbers[columns, 0][None, :], out=parts[8])
    return parts


def _fill(
    catalogue: Catalogue,
    person: _Person,
    item: IntArray,
    pairs: npt.NDArray[np.integer],
    place: npt.NDArray[np.int32],
    matrix: Matrix,
    base: FloatArray,
    scale: FloatArray,
) -> None:
    """Write the inputs of `pairs`, all of one person, into their rows."""
    if not len(pairs):
        return
    state, content = catalogue.state, catalogue.content
    asked = item[pairs]
    parts = _parts(catalogue, asked, person.items, place)
    weighted = (parts @ person.alpha).T * PART_WEIGHTS
    gp = weighted.sum(axis=1)
    prior = float(PART_WEIGHTS[:8].sum()) + PART_WEIGHTS[8] * content.numbers[asked, 0] ** 2
    variance = prior
    total = np.tensordot(PART_WEIGHTS, parts, axes=1)
    if person.solver is not None:
        cross = total[:, person.kept]
        variance = prior - (cross * cho_solve(person.solver, cross.T, check_finite=False).T).sum(axis=1)
    predicted = state.mean[0] + state.effect[asked] + person.offset + person.scale * gp
    rated, listed = len(person.items), person.listed
    constant = np.ones(len(asked), dtype=np.float32)
    columns = [
        gp,
        np.sqrt(np.maximum(variance, 0.01)),
        *weighted.T,
        state.effect[asked],
        state.effect[asked] - state.content_effect[asked],
        person.offset * constant,
        person.scale * constant,
        predicted,
        np.log1p(rated) * constant,
        np.log1p(listed) * constant,
        (rated / max(listed, 1)) * constant,
        np.log1p(state.rated[asked]),
        np.log1p(state.listed[asked]),
        state.spread[asked],
        *(quantile * constant for quantile in person.quantiles),
        *_kernel_means(catalogue, person, asked, parts),
        *_nearest(person, total),
        *(content.numbers[asked] * person.slopes).T,
        state.taste[asked] @ person.taste,
        (state.membership[asked] @ person.taste) * np.sqrt(state.listed[asked] + 2),
    ]
    matrix[pairs, : len(columns)] = np.stack(columns, axis=1)
    base[pairs] = predicted
    scale[pairs] = person.scale


def _kernel_means(
    catalogue: Catalogue, person: _Person, asked: IntArray, parts: npt.NDArray[np.float32]
) -> list[Matrix]:
    """Kernel-weighted means of the history's residuals, Σ k r / (Σ k + 1), each with ln(1 + Σ k)."""
    content, studio = catalogue.content, catalogue.likeness.studio
    kind = content.classes[:, 0]
    year = content.numbers[:, 4]
    same_year = np.exp(-2 * (year[asked][:, None] - year[person.items][None, :]) ** 2)
    near_score = np.exp(-2 * (content.numbers[asked, 0][:, None] - content.numbers[person.items, 0][None, :]) ** 2)
    kernels = (
        np.maximum(parts[0], parts[3]),
        parts[2] ** 2,
        parts[1] ** 2,
        np.maximum(parts[4], 0) ** 2,
        parts[7] ** 2,
        parts[5],
        (kind[asked][:, None] == kind[person.items][None, :]) & (kind[asked] >= 0)[:, None],
        (studio[asked][:, None] == studio[person.items][None, :]) & (studio[asked] >= 0)[:, None],
        same_year,
        near_score,
    )
    result: list[Matrix] = []
    for kernel in kernels:
        weight = kernel.sum(axis=1, dtype=np.float32)
        result += [(kernel @ person.residual) / (weight + 1), np.log1p(weight)]
    return result


def _nearest(person: _Person, total: Matrix) -> list[Matrix]:
    """Residual and kernel of the nearest titles of the history, nearest first; 0 where there are fewer."""
    count = min(NEAREST, total.shape[1])
    chosen = np.argsort(-total, axis=1, kind="stable")[:, :count]
    values = np.take_along_axis(total, chosen, axis=1)
    residuals = person.residual[chosen]
    empty = np.zeros(len(total), dtype=np.float32)
    columns: list[Matrix] = []
    for place in range(NEAREST):
        columns += [residuals[:, place], values[:, place]] if place < count else [empty, empty]
    return columns
