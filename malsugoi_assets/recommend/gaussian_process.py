"""One Gaussian process over the ratings of all users: what everybody thinks, what similar users think, what one thinks.

    (r_ui - μ - m_u) / s_u = g(i) + φ_u · G(i) + f_u(i) + noise
    g ~ K_all,   cov(φ_u · G(i), φ_v · G(j)) = (φ_u · φ_v) K_cross(i, j),   f_u ~ K_user (`user_kernel`), each u its own

so that the covariance of two ratings is K_all(i, j) + (φ_u · φ_v) K_cross(i, j) + [u = v] K_user(i, j), and the noise's
variance .55 on top (Rasmussen and Williams 2006, ch. 2). φ_u are factors of the user's list: φ_u · φ_v is the mean of
two cosines of lists at low rank. m_u and s_u are the user's level and spread (`item_state`).

The posterior means of g and G are all that predicting needs of other people: given them, the posterior of f_u is that
of a process over the user's own list, exactly for whoever was learnt from, and all but exactly for anybody else.

Solved by conjugate gradients over the ratings (Hestenes and Stiefel 1952), preconditioned with each user's own inverse,
and exact in
the dense part of K_all too.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from malsugoi_assets.recommend.block_kernels import mirror
from malsugoi_assets.recommend.content import NUMBERS, Content
from malsugoi_assets.recommend.item_state import ItemState, top_right_vectors, user_levels
from malsugoi_assets.recommend.likeness import Likeness
from malsugoi_assets.recommend.process_kernels import add_by_title, add_shared, block_products
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.user_kernel import UserKernel, noisy_factor, solved_titles

Matrix = npt.NDArray[np.float32]
MEMBERS = NUMBERS.index("log_members")


class ProcessSettings(BaseModel):
    """How far ratings of different users hang together, in units of a user's own variance, and how it is solved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float = Field(0.3, ge=0, description="All users: the site's score, standardised.")
    constant: float = Field(0.12, ge=0, description="All users: the doubt in the general level.")
    title: float = Field(0.06, ge=0, description="All users: likeness of names.")
    genres: float = Field(0.05, ge=0, description="All users: shared genres.")
    studio: float = Field(0.05, ge=0, description="All users: the same first studio.")
    members: float = Field(0.05, ge=0, description="All users: log members, standardised.")
    listing: float = Field(0.04, ge=0, description="All users: standing on the same lists.")
    own: float = Field(0.03, ge=0, description="All users: what only this title has.")
    similar_relations: float = Field(0.15, ge=0, description="Similar users: relations on the site.")
    similar_listing: float = Field(0.1, ge=0, description="Similar users: standing on the same lists.")
    similar_constant: float = Field(0.05, ge=0, description="Similar users: any titles.")
    similar_genres: float = Field(0.04, ge=0, description="Similar users: shared genres.")
    similar_own: float = Field(0.03, ge=0, description="Similar users: the same title.")
    taste_size: int = Field(64, ge=1, le=512, description="Factors of a list, of each of the two cosines.")
    tolerance: float = Field(3e-3, gt=0, description="Share of the right-hand side that may be left unsolved.")
    iterations: int = Field(150, ge=1, description="Iterations at most.")


@dataclass(frozen=True)
class TitleProcess:
    """What the process knows of each title.

    `common`: g, float32 (n_items,); `others`: G, (n_items, 2·size); `loadings`: (n_items, 2·size), what a listed title
    adds to φ before each half is scaled to length √½; `unit`: float32 (1,), the middle of the users' spreads s_u.
    """

    common: FloatArray
    others: Matrix
    loadings: Matrix
    unit: FloatArray

    def taste(self, listed: IntArray) -> Matrix:
        """φ of one list, float32 (2·size,); zeros where nothing is listed."""
        return np.asarray(scaled_tastes(self.loadings[listed].sum(axis=0)[None])[0])

    def tensors(self, prefix: str = "process.") -> dict[str, npt.NDArray[np.float32]]:
        """All arrays by name, as they are written to a file."""
        return {prefix + field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, npt.NDArray[np.float32]], prefix: str = "process."
    ) -> TitleProcess | None:
        """The inverse of `tensors`; None where there are none, KeyError where some are missing."""
        if not any(name.startswith(prefix) for name in tensors):
            return None
        return cls(**{field.name: tensors[prefix + field.name] for field in fields(cls)})

    def for_catalogue(self, place: npt.NDArray[np.int64], content_effect: FloatArray) -> TitleProcess:
        """The same knowledge lined up with another catalogue.

        `place[i]`: the row here of its title i, -1 = never seen: such a title has the effect in rating points that its
        content lets expect (`content_effect`), and nothing from lists.
        """
        new = place < 0

        def move(values: Matrix) -> Matrix:
            moved = values[np.maximum(place, 0)] if len(values) else np.zeros((len(place), *values.shape[1:]))
            moved = moved.astype(np.float32)
            moved[new] = 0
            return moved

        common = move(self.common)
        common[new] = content_effect[new] / self.unit[0]
        return TitleProcess(common, move(self.others), move(self.loadings), self.unit)


@dataclass(frozen=True)
class TitleCovariance:
    """A kernel between titles as dense and sparse factors, a sparse matrix and a multiple of the identity."""

    dense: Matrix
    factor: sp.csr_matrix
    sparse: sp.csr_matrix
    own: float

    def times(self, values: Matrix) -> Matrix:
        """The kernel's product with `values`, (n_items,) or (n_items, d)."""
        product = self.dense @ (self.dense.T @ values) + self.factor @ (self.factor.T @ values)
        return np.asarray(product + self.sparse @ values + self.own * values, dtype=np.float32)


def scaled_tastes(total: Matrix) -> Matrix:
    """Rows (n, 2·size) with each half at length √½, zeros where it is nothing."""
    halves = total.reshape(len(total), 2, total.shape[1] // 2)
    length = np.linalg.norm(halves, axis=2, keepdims=True)
    return np.asarray(np.where(length > 1e-9, halves / np.maximum(length, 1e-9), 0), dtype=np.float32).reshape(
        total.shape
    ) * np.float32(0.5**0.5)


def learn_process(
    lists: Ratings,
    state: ItemState,
    content: Content,
    likeness: Likeness,
    settings: ProcessSettings | None = None,
    *,
    max_history: int = 800,
    seed: int = 0,
    threads: int = 1,
) -> TitleProcess:
    """Solve for all users of `lists`; of more than `max_history` rated titles of one user a fixed sample counts.

    `state` is what `learn_item_state` made of the same lists. The result does not depend on the order of the rows nor
    on the number of threads.
    """
    settings = settings or ProcessSettings()
    loadings = _loadings(lists, settings.taste_size, seed)
    tastes = scaled_tastes(np.asarray(lists.listed_matrix @ loadings, dtype=np.float32))
    rated = lists.rated
    rated = rated.take(np.lexsort((rated.item, rated.user)))
    offset, scale = user_levels(rated, state)
    unit = np.array([np.median(scale) if len(scale) else 1.0], dtype=np.float32)
    starts = np.searchsorted(rated.user, np.arange(rated.n_users + 1))
    kept = [
        starts[u] + solved_titles(starts[u + 1] - starts[u], max_history) for u in np.flatnonzero(np.diff(starts))
    ]
    rated = rated.take(np.concatenate([np.zeros(0, dtype=np.int64), *kept]))
    target = (rated.rating - state.mean[0] - offset[rated.user]) / scale[rated.user]
    everybody, similar = title_covariances(content, likeness, state.listing, settings)
    solver = _Solver(
        rated, tastes, everybody, similar, UserKernel(content, likeness, state.listing), settings, threads
    )
    weight = solver.solve(target.astype(np.float32))
    common = everybody.times(solver.per_title(weight))
    others = similar.times(solver.per_title_and_taste(weight))
    return TitleProcess(common, others, loadings, unit)


def title_covariances(
    content: Content, likeness: Likeness, listing: Matrix, settings: ProcessSettings
) -> tuple[TitleCovariance, TitleCovariance]:
    """K_all and K_cross over a catalogue."""
    n = len(listing)
    one = np.ones((n, 1), dtype=np.float32)
    known = np.flatnonzero(likeness.studio >= 0)
    shape = (n, int(likeness.studio.max(initial=0)) + 1)
    studio = sp.csr_matrix((np.ones(len(known), dtype=np.float32), (known, likeness.studio[known])), shape=shape)
    all_parts = (
        (content.numbers[:, :1], settings.score),
        (one, settings.constant),
        (content.genres, settings.genres),
        (content.numbers[:, MEMBERS : MEMBERS + 1], settings.members),
        (listing, settings.listing),
    )
    cross_parts = (
        (listing, settings.similar_listing),
        (one, settings.similar_constant),
        (content.genres, settings.similar_genres),
    )
    dense, cross = (
        np.concatenate([part * weight**0.5 for part, weight in parts], axis=1).astype(np.float32)
        for parts in (all_parts, cross_parts)
    )
    return (
        TitleCovariance(
            dense,
            sp.csr_matrix(studio * np.float32(settings.studio**0.5)),
            sp.csr_matrix(likeness.titles * np.float32(settings.title)),
            settings.own,
        ),
        TitleCovariance(
            cross,
            sp.csr_matrix((n, 1), dtype=np.float32),
            sp.csr_matrix(likeness.relations * np.float32(settings.similar_relations)),
            settings.similar_own,
        ),
    )


def _loadings(lists: Ratings, size: int, seed: int) -> Matrix:
    """What a listed title adds to φ: by lists scaled as for the embedding, and by idf-weighted lists of length 1."""
    listed = lists.listed_matrix
    per_user = np.diff(listed.indptr)
    per_item = np.bincount(listed.indices, minlength=lists.n_items)
    row = np.repeat(np.arange(lists.n_users), per_user)
    result = np.zeros((lists.n_items, 2 * size), dtype=np.float32)
    if not len(lists):
        return result
    idf = np.log((lists.n_users + 1) / (per_item + 1))
    length = np.sqrt(np.bincount(row, idf[listed.indices] ** 2, lists.n_users))
    for half, (column, of_row) in enumerate(
        (((per_item + 2.0) ** -0.5, (per_user + 5.0) ** -0.5), (idf, 1 / np.maximum(length, 1e-9)))
    ):
        scaled = sp.csr_matrix(
            ((column[listed.indices] * of_row[row]).astype(np.float32), listed.indices, listed.indptr),
            shape=listed.shape,
        )
        vectors, _ = top_right_vectors(scaled, size, seed + half)
        result[:, half * size : half * size + vectors.shape[1]] = vectors * column[:, None]
    return result


class _Solver:
    """The system over the ratings of `rated` (sorted by user and title), and its preconditioner."""

    def __init__(
        self,
        rated: Ratings,
        tastes: Matrix,
        everybody: TitleCovariance,
        similar: TitleCovariance,
        kernel: UserKernel,
        settings: ProcessSettings,
        threads: int,
    ) -> None:
        self._item, self._everybody, self._similar, self._settings = rated.item, everybody, similar, settings
        self._user, self._n_users, self._n_items = rated.user, rated.n_users, rated.n_items
        self._tastes = tastes
        starts = np.searchsorted(rated.user, np.arange(rated.n_users + 1))
        self._slices = [slice(starts[u], starts[u + 1]) for u in np.flatnonzero(np.diff(starts))]
        self._bounds = np.append([mine.start for mine in self._slices], len(rated.item)).astype(np.int64)
        self._inverses, self._core = self._invert(kernel, threads)
        self._rest = replace(everybody, dense=everybody.dense[:, :0])

    def per_title(self, weight: FloatArray) -> FloatArray:
        """Sum of the ratings' weights by title, float32 (n_items,)."""
        return np.bincount(self._item, weight, self._n_items).astype(np.float32)

    def per_title_and_taste(self, weight: FloatArray) -> Matrix:
        """Sum of weight · φ_u by title, float32 (n_items, size)."""
        total = np.zeros((self._n_items, self._tastes.shape[1]), dtype=np.float32)
        add_by_title(weight, self._tastes, self._item, self._user, total)
        return total

    def solve(self, target: FloatArray) -> FloatArray:
        """The weights α with (K + noise) α = target, float32 (n,)."""
        solution, left = np.zeros_like(target), target.copy()
        start = float(np.linalg.norm(target))
        if start == 0:
            return solution
        ahead = self._precondition(left)
        direction, image = ahead.copy(), left.copy()  # image = M · direction, kept up without M itself
        power = float(left @ ahead)
        for _ in range(self._settings.iterations):
            product = image + self._beyond_preconditioner(direction)
            curvature = float(direction @ product)
            if curvature <= 0:  # the kernels of names are not positive definite by themselves: as far as it goes
                break
            step = power / curvature
            solution += step * direction
            left -= step * product
            if float(np.linalg.norm(left)) < self._settings.tolerance * start:
                break
            ahead = self._precondition(left)
            power, before = float(left @ ahead), power
            direction = ahead + (power / before) * direction
            image = left + (power / before) * image
        return solution

    def _invert(self, kernel: UserKernel, threads: int) -> tuple[FloatArray, Matrix]:
        """Each user's inverse, row after row, one user after the other; and the core.

        The core is the lower Cholesky factor of 1 + Lᵀ Zᵀ B⁻¹ Z L, (d, d): B = the users' blocks, Z = which row is which
        title, L = the dense factors of K_all, nearly all of it. The preconditioner is M = B + Z L Lᵀ Zᵀ,
        M⁻¹ = B⁻¹ - B⁻¹ Z L (1 + Lᵀ Zᵀ B⁻¹ Z L)⁻¹ Lᵀ Zᵀ B⁻¹ (Woodbury).
        """
        sizes = np.diff(self._bounds)
        ends = np.cumsum(sizes**2)
        inverses = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.float32)
        dense = self._everybody.dense

        def work(first: int) -> Matrix:
            place = np.full(self._n_items, -1, dtype=np.int32)
            core = np.zeros((dense.shape[1], dense.shape[1]), dtype=np.float32)
            for number in range(first, len(self._slices), threads):
                items = self._item[self._slices[number]]
                factor = noisy_factor(kernel.among(items, place))
                half = solve_triangular(factor, dense[items], lower=True, check_finite=False)
                core += half.T @ half
                end, size = ends[number], sizes[number]
                inverse = inverses[end - size**2 : end].reshape(size, size)
                inverse[:] = lapack.spotri(factor, lower=1, overwrite_c=1)[0].T
                mirror(inverse)
            return core

        with threadpool_limits(limits=1):
            if threads == 1:
                cores = [work(0)]
            else:
                with ThreadPoolExecutor(threads) as pool:
                    cores = list(pool.map(work, range(threads)))
        core = np.eye(dense.shape[1], dtype=np.float32) + np.sum(cores, axis=0)
        return inverses, np.asarray(cholesky(core, lower=True, check_finite=False))

    def _blocks(self, values: FloatArray) -> FloatArray:
        """B⁻¹ · values."""
        result = np.empty_like(values)
        block_products(self._inverses, self._bounds, values, result)
        return result

    def _precondition(self, values: FloatArray) -> FloatArray:
        """M⁻¹ · values."""
        result, dense = self._blocks(values), self._everybody.dense
        pulled = dense @ cho_solve((self._core, True), dense.T @ self.per_title(result), check_finite=False)
        return np.asarray(result - self._blocks(pulled[self._item]), dtype=np.float32)

    def _beyond_preconditioner(self, values: FloatArray) -> FloatArray:
        """(K + noise - M) · values: what users share, less the part that M has already."""
        result = self._rest.times(self.per_title(values))[self._item]
        cross = self._similar.times(self.per_title_and_taste(values))
        add_shared(np.ascontiguousarray(cross), self._tastes, self._item, self._user, result)
        return result
