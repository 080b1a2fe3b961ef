"""The network's inputs: what a user's own list says about a title, given what is known of all titles.

What belongs here: from (history, user, title) to a row of numbers, with one function for training and for
prediction, so that the two cannot differ. Out-of-fold training inputs come from the same function, called with
the rows of the other folds as history; a target's own rating and listing never reach its inputs.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from malsugoi_assets.recommend.content import NUMBERS, Content
from malsugoi_assets.recommend.gaussian_process import TitleProcess, learn_process
from malsugoi_assets.recommend.item_state import USER_ROWS, ItemState, learn_item_state, user_scale
from malsugoi_assets.recommend.left_out import COLUMNS as LEFT_OUT
from malsugoi_assets.recommend.left_out import LeftOut
from malsugoi_assets.recommend.likeness import Likeness
from malsugoi_assets.recommend.near_titles import Near, near_titles, nearest, no_titles
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.user_kernel import PART_WEIGHTS, PARTS, UserKernel, noisy_factor, solved_titles

Matrix = npt.NDArray[np.float32]
QUERY_CHUNK = 2048
MEANS = ("series", "title", "near_listing", "listing", "genres", "numbers", "type", "studio", "recent_year", "score")
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
NEAREST = 4


@dataclass(frozen=True)
class Catalogue:
    """All that is known of the titles: learnt from lists, from their content, and their likeness.

    `process`: what the Gaussian process over all users found; without it, the titles' effects stand for all users, and
    each user's own process is alone.
    """

    state: ItemState
    content: Content
    likeness: Likeness
    process: TitleProcess | None = None

    @cached_property
    def kernel(self) -> UserKernel:
        """How alike two titles are in what one user thinks of them."""
        return UserKernel(self.content, self.likeness, self.state.listing)


@dataclass(frozen=True)
class Inputs:
    """Rows of inputs with what the network corrects.

    `matrix`: float32 (n, len(columns)), not standardised; `near`: the nearest titles of the list, float16 (n, places,
    `near_titles.COLUMNS`); `base`: float32 (n,), the predicted rating before the
    network; `scale`: float32 (n,), the user's unit of residuals in rating points.
    """

    matrix: Matrix
    near: Near
    base: FloatArray
    scale: FloatArray

    def take(self, rows: npt.NDArray[np.integer]) -> Inputs:
        """The inputs of some rows."""
        return Inputs(self.matrix[rows], self.near[rows], self.base[rows], self.scale[rows])


def learn_catalogue(
    lists: Ratings,
    content: Content,
    likeness: Likeness,
    *,
    embedding_size: int,
    max_history: int,
    joint: bool,
    seed: int,
    threads: int = 1,
) -> Catalogue:
    """What `lists` say of the titles; `joint`: with the process over all users, which takes longer."""
    # BLAS on one thread: its matrices are small, and on a busy machine a second thread makes them three times as dear.
    with threadpool_limits(limits=1):
        state = learn_item_state(lists, content.matrix, embedding_size=embedding_size, seed=seed)
        if not joint:
            return Catalogue(state, content, likeness)
        process = learn_process(lists, state, content, likeness, max_history=max_history, seed=seed, threads=threads)
        return Catalogue(state, content, likeness, process)


def column_names(content_columns: list[str]) -> list[str]:
    """Names of the input columns, in order."""
    return [
        *("gp_mean", "gp_deviation"),
        *(f"gp_{name}" for name in PARTS),
        *("joint_mean", "joint_common", "joint_others", "joint_less_gp"),
        *(f"joint_{name}" for name in PARTS),
        *LEFT_OUT,
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


def pair_inputs(
    catalogue: Catalogue,
    history: Ratings,
    user: IntArray,
    item: IntArray,
    max_history: int,
    threads: int = 1,
    *,
    near: int = 0,
) -> Inputs:
    """Inputs of the pairs (`user`, `item`), given each user's rows in `history` (indexes of `catalogue`).

    `near`: how many of the list's titles to look at one by one.
    A row of `history` for the pair itself is not used. The result does not depend on the order of the rows of
    `history`, on which other pairs are asked for, nor on the number of threads (each takes whole users).
    """
    columns = len(column_names([])) + catalogue.content.matrix.shape[1]
    inputs = Inputs(
        np.zeros((len(user), columns), dtype=np.float32),
        no_titles(len(user), near),
        np.zeros(len(user), dtype=np.float32),
        np.zeros(len(user), dtype=np.float32),
    )
    order = np.lexsort((history.item, history.user))
    listed_item, listed_rating = history.item[order], history.rating[order]
    starts = np.searchsorted(history.user[order], np.arange(history.n_users + 1))
    by_user = np.argsort(user, kind="stable")
    bounds = np.searchsorted(user[by_user], np.arange(history.n_users + 1))

    def work(users: npt.NDArray[np.integer]) -> None:
        place = np.full(len(catalogue.state.effect), -1, dtype=np.int32)
        for number in users:
            mine = slice(starts[number], starts[number + 1])
            pairs = by_user[bounds[number] : bounds[number + 1]]
            _fill_user(catalogue, listed_item[mine], listed_rating[mine], item, pairs, max_history, place, inputs)

    users = np.unique(user)
    with threadpool_limits(limits=1):
        if threads == 1 or len(users) < threads:
            work(users)
        else:
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, [users[first::threads] for first in range(threads)]))
    inputs.matrix[:, columns - catalogue.content.matrix.shape[1] :] = catalogue.content.matrix[item]
    return inputs


def _fill_user(
    catalogue: Catalogue,
    listed_item: IntArray,
    listed_rating: FloatArray,
    item: IntArray,
    pairs: npt.NDArray[np.integer],
    max_history: int,
    place: npt.NDArray[np.int32],
    inputs: Inputs,
) -> None:
    """Write the inputs of one user's `pairs`; `listed_item` is sorted."""
    person = _Person.of(catalogue, listed_item, listed_rating, max_history, place)
    row = np.searchsorted(listed_item, item[pairs])
    own = np.append(listed_item, -1)[row] == item[pairs]
    for start in range(0, len(pairs), QUERY_CHUNK):
        chunk = slice(start, start + QUERY_CHUNK)
        _fill(catalogue, person, item, pairs[chunk][~own[chunk]], place, inputs)
    for pair, at in zip(pairs[own], row[own], strict=True):
        without = _without(catalogue, person, listed_item, listed_rating, at, max_history, place)
        _fill(catalogue, without, item, np.array([pair]), place, inputs)


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
        if catalogue.process is None:
            return replace(person, listed=len(listed_item) - 1, taste=taste)
    return _Person.of(catalogue, listed_item[others], listed_rating[others], max_history, place)


@dataclass(frozen=True)
class _Person:
    """One user's list, worked out once for all titles that are asked about.

    `items`: rated titles (n,); `residual`: (n,) in units of `scale`, offset and the titles' effects taken out; `alpha`:
    the weights (n,) of the Gaussian process over this list alone, zero for titles beyond `max_history`; `solver`: its
    lower Cholesky factor over `kept`. With a process over all users `shared` are the factors by which similar users are
    known, and `joint` its weights (n,). `left_out`: how well the process over all users, or else the one over this list,
    does on this list.
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
    solver: Matrix | None
    shared: Matrix | None
    joint: Matrix | None
    left_out: LeftOut

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
        kept = solved_titles(n, max_history)
        alpha = np.zeros(n, dtype=np.float32)
        solver = None
        if n:
            groups = catalogue.kernel.groups(items[kept], place)
            solver = noisy_factor(groups[0] + groups[1] + groups[2])
            alpha[kept] = cho_solve((solver, True), residual[kept], check_finite=False)
        shared, joint = None, None
        common, others = (state.effect[items] / scale).astype(np.float32), np.zeros(n, dtype=np.float32)
        if (process := catalogue.process) is not None:
            shared = process.taste(listed_item)
            joint = np.zeros(n, dtype=np.float32)
            if solver is not None:
                own = residual + common
                common, others = process.common[items], process.others[items] @ shared
                own = (own - common - others).astype(np.float32)
                joint[kept] = cho_solve((solver, True), own[kept], check_finite=False)
        if solver is None:
            left_out = LeftOut.of_nothing()
        else:
            weights = alpha if joint is None else joint
            left_out = LeftOut.of(groups, solver, weights[kept], common[kept], others[kept])
        return cls(
            items,
            residual,
            offset,
            scale,
            len(listed_item),
            quantiles,
            slopes,
            taste,
            kept,
            alpha,
            solver,
            shared,
            joint,
            left_out,
        )


def _fill(
    catalogue: Catalogue,
    person: _Person,
    item: IntArray,
    pairs: npt.NDArray[np.integer],
    place: npt.NDArray[np.int32],
    inputs: Inputs,
) -> None:
    """Write the inputs of `pairs`, all of one person, into their rows."""
    if not len(pairs):
        return
    state, content = catalogue.state, catalogue.content
    asked = item[pairs]
    parts = catalogue.kernel.parts(asked, person.items, place)
    weighted = (parts @ person.alpha).T * PART_WEIGHTS
    gp = weighted.sum(axis=1)
    prior = catalogue.kernel.prior(asked)
    variance = prior
    total = np.tensordot(PART_WEIGHTS, parts, axes=1)
    if person.solver is not None:
        cross = solve_triangular(person.solver, total[:, person.kept].T, lower=True, check_finite=False)
        variance = prior - (cross**2).sum(axis=0)
    constant = np.ones(len(asked), dtype=np.float32)
    alone = state.mean[0] + state.effect[asked] + person.offset + person.scale * gp
    predicted, jointly = alone, np.zeros((4 + len(PARTS), len(asked)), dtype=np.float32)
    parts_said, common, others = weighted, state.effect[asked] / person.scale, np.zeros_like(gp)
    if (process := catalogue.process) is not None and person.joint is not None:
        own = (parts @ person.joint).T * PART_WEIGHTS
        common, others = process.common[asked], process.others[asked] @ person.shared
        predicted = state.mean[0] + person.offset + person.scale * (common + others + own.sum(axis=1))
        jointly[:4] = own.sum(axis=1), common, others, (predicted - alone) / person.scale
        jointly[4:] = own.T
        parts_said = own
    rated, listed = len(person.items), person.listed
    places = inputs.near.shape[1]
    chosen = nearest(total, max(NEAREST, places))
    columns = [
        gp,
        np.sqrt(np.maximum(variance, 0.01)),
        *weighted.T,
        *jointly,
        *person.left_out.columns(parts_said, common, others, total[:, person.kept]),
        state.effect[asked],
        state.effect[asked] - state.content_effect[asked],
        person.offset * constant,
        person.scale * constant,
        alone,
        np.log1p(rated) * constant,
        np.log1p(listed) * constant,
        (rated / max(listed, 1)) * constant,
        np.log1p(state.rated[asked]),
        np.log1p(state.listed[asked]),
        state.spread[asked],
        *(quantile * constant for quantile in person.quantiles),
        *_kernel_means(catalogue, person, asked, parts),
        *_nearest(person, total, chosen),
        *(content.numbers[asked] * person.slopes).T,
        state.taste[asked] @ person.taste,
        (state.membership[asked] @ person.taste) * np.sqrt(state.listed[asked] + 2),
    ]
    inputs.matrix[pairs, : len(columns)] = np.stack(columns, axis=1)
    if places and rated:
        left_out = np.zeros(rated, dtype=np.float32)
        left_out[person.kept] = person.left_out.error
        numbers = content.numbers[asked], content.numbers[person.items]
        inputs.near[pairs] = near_titles(chosen[:, :places], places, parts, total, numbers, person.residual, left_out)
    inputs.base[pairs] = predicted
    inputs.scale[pairs] = person.scale


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


def _nearest(person: _Person, total: Matrix, chosen: npt.NDArray[np.int64]) -> list[Matrix]:
    """Residual and kernel of the nearest titles of the history, nearest first; 0 where there are fewer."""
    chosen = chosen[:, :NEAREST]
    count = chosen.shape[1]
    values = np.take_along_axis(total, chosen, axis=1)
    residuals = person.residual[chosen]
    empty = np.zeros(len(total), dtype=np.float32)
    columns: list[Matrix] = []
    for place in range(NEAREST):
        columns += [residuals[:, place], values[:, place]] if place < count else [empty, empty]
    return columns
