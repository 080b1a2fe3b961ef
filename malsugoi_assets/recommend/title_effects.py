"""Titles' effects learnt from everybody, together with what each user's own taste explains already.

In the user's units (`list_taste`) the ratings of user u are t = e + f_u + noise, where f_u is u's taste over the titles with
the likeness S and the noise ν, and e the titles' effects, the same for all: e = Fw + h, w ~ N(0, 1), h ~ N(0, own·1), F what
is known of the titles (score, audience, genres, place among the lists). With P_u picking u's titles and
K_u = S_u + ν·1 the effects expected given all ratings solve (Rasmussen and Williams 2006, section 2.7)

    (G + prior⁻¹) e = b,   G = Σ_u P_uᵀ K_u⁻¹ P_u,   b = Σ_u P_uᵀ K_u⁻¹ t_u

exactly, by elimination of h: one positive definite system over the rated titles and a small one over the columns of F. So a
user who loves the whole series says less of each of its titles than as many users who like one each.

The memory for G grows with the square of the titles, the time with Σ n_u² of the lists: above `MOST_PAIRS` long lists are cut into
pieces that are taken for independent, above `MOST_TITLES` only the most rated titles have an h.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import cho_factor, cho_solve
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from malsugoi_assets.machine import available_threads
from malsugoi_assets.recommend.content import Content
from malsugoi_assets.recommend.list_taste import inverted, units
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.title_kernel import TitleKernel

Numbers = npt.NDArray[np.float64]
MOST_PAIRS = 300_000_000
MOST_TITLES = 10_000
LONGEST_PIECE, SHORTEST_PIECE = 1500, 32
_PIECES_AT_A_TIME = 64


class EffectSettings(BaseModel):
    """Prior variances of the parts of a title's effect, in the user's units squared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float = Field(0.3, ge=0, description="Along the site's score.")
    constant: float = Field(0.12, ge=0, description="The same for all titles.")
    genres: float = Field(0.05, ge=0, description="Along the genres.")
    members: float = Field(0.05, ge=0, description="Along the audience.")
    listing: float = Field(0.04, ge=0, description="Along the place among the lists.")
    own: float = Field(0.05, gt=0, description="Of the title alone.")


def learn_effects(
    ratings: Ratings, kernel: TitleKernel, content: Content, noise: float, settings: EffectSettings | None = None
) -> tuple[float, npt.NDArray[np.float32]]:
    """The mean of all ratings, and float32 (n_items,): each title's effect, in the user's units. Unrated rows don't count."""
    settings = settings or EffectSettings()
    columns = [
        content.numbers[:, :1] * settings.score**0.5,
        np.full((ratings.n_items, 1), settings.constant**0.5),
        content.genres * settings.genres**0.5,
        content.numbers[:, 1:2] * settings.members**0.5,
        kernel.listing * settings.listing**0.5,
    ]
    known = np.concatenate(columns, axis=1).astype(np.float64)
    rated = ratings.rated
    if not len(rated):
        return 5.5, np.zeros(ratings.n_items, dtype=np.float32)
    rated = rated.take(np.lexsort((rated.item, rated.user)))
    mean = float(rated.rating.astype(np.float64).mean())
    count = np.bincount(rated.item, minlength=ratings.n_items)
    titles = np.sort(np.argsort(-count, kind="stable")[: min(MOST_TITLES, int((count > 0).sum()))])
    with threadpool_limits(limits=1):  # more threads would add up in another order
        return mean, _solved(known, titles, *_gathered(rated, mean, kernel, noise, titles), settings.own)


def _solved(
    known: Numbers, titles: npt.NDArray[np.int64], system: Numbers, right: Numbers, own: float
) -> npt.NDArray[np.float32]:
    """e = Fw + h, float32 (n_items,); `known`: F, `system`: G over `titles` (is overwritten), `right`: b."""
    design = known[titles]
    # h is eliminated: (G + 1/own) h = b - G F w, and then (1 + Fᵀ(G - G (G + 1/own)⁻¹ G)F) w = Fᵀ(b - G (G + 1/own)⁻¹ b).
    along = system @ design
    small = np.eye(design.shape[1]) + design.T @ along
    system[np.diag_indices_from(system)] += 1 / own
    factor = cho_factor(system, lower=True, overwrite_a=True, check_finite=False)
    solved = cho_solve(factor, np.concatenate([along, right[:, None]], axis=1), check_finite=False)
    weights = np.linalg.solve(small - along.T @ solved[:, :-1], design.T @ right - along.T @ solved[:, -1])
    effect = known @ weights
    effect[titles] += solved[:, -1] - solved[:, :-1] @ weights
    return effect.astype(np.float32)


def _gathered(
    rated: Ratings, mean: float, kernel: TitleKernel, noise: float, titles: npt.NDArray[np.int64]
) -> tuple[Numbers, Numbers]:
    """G and b over `titles`, from rows sorted by user and title; the order of the sums is that of the users."""
    system = np.zeros((len(titles), len(titles)))
    right = np.zeros(len(titles))
    where = np.full(rated.n_items, -1)
    where[titles] = np.arange(len(titles))
    x = rated.rating.astype(np.float64) - mean
    n = np.bincount(rated.user, minlength=rated.n_users).astype(np.float64)
    total, squares = (np.bincount(rated.user, w, rated.n_users).astype(np.float64) for w in (x, x**2))
    own = units(n, total, squares)
    target = (x - own.level[rated.user]) / own.spread[rated.user]

    from malsugoi_assets.recommend.block_kernels import add_block  # compiled code takes a moment to load

    def solved(piece: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Numbers, Numbers]:
        items = rated.item[piece]
        among = kernel.block(items, items, np.full(rated.n_items, -1, dtype=np.int32)).astype(np.float64)
        among[np.diag_indices_from(among)] += noise
        inverse = inverted(among)
        return where[items], inverse, inverse @ target[piece]

    with ThreadPoolExecutor(available_threads()) as pool:
        for some in _batches(_pieces(rated)):
            for place, inverse, weighted in pool.map(solved, some):
                add_block(system, place, inverse)
                right[place[place >= 0]] += weighted[place >= 0]
    return system, right


def _pieces(rated: Ratings) -> Iterator[npt.NDArray[np.int64]]:
    """Each user's rows, long lists in several pieces of nearly equal size, every so-manieth row in each."""
    longest = int(np.clip(MOST_PAIRS / max(len(rated), 1), SHORTEST_PIECE, LONGEST_PIECE))
    starts = np.flatnonzero(np.diff(rated.user, prepend=-1))
    for rows in np.split(np.arange(len(rated)), starts[1:]):
        parts = -(-len(rows) // longest)
        yield from (rows[part::parts] for part in range(parts))


def _batches(pieces: Iterator[npt.NDArray[np.int64]]) -> Iterator[list[npt.NDArray[np.int64]]]:
    batch: list[npt.NDArray[np.int64]] = []
    for piece in pieces:
        batch.append(piece)
        if len(batch) == _PIECES_AT_A_TIME:
            yield batch
            batch = []
    if batch:
        yield batch
