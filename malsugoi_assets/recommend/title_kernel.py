"""How alike two titles are for one user's taste: names, series, relations, lists, ratings, audience, genres.

What belongs here: the likeness of titles as a sum of parts with set weights. What is made of it stands in `list_taste`
(one user's ratings) and `title_effects` (everybody's).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.recommend.content import Content
from malsugoi_assets.recommend.likeness import Likeness, dense_block
from malsugoi_assets.recommend.ratings import IntArray
from malsugoi_assets.recommend.similarity import Neighbours

Matrix = npt.NDArray[np.float32]


class KernelSettings(BaseModel):
    """What makes two titles alike for one user. The weights add up to what a title shares with itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    series: float = Field(0.35, ge=0, description="Weight of shared leading words and of relations on the site.")
    prefix: float = Field(0.3, ge=0, description="Weight of shared leading words alone.")
    title: float = Field(0.25, ge=0, description="Weight of the likeness of all names.")
    near_listing: float = Field(0.45, ge=0, description="Weight of standing on the very same lists.")
    listing: float = Field(0.1, ge=0, description="Weight of the cosine of the lists.")
    correlation: float = Field(0.1, ge=0, description="Weight of the similarity of the ratings.")
    numbers: float = Field(0.14, ge=0, description="Weight of nearness in score, audience and year.")
    genres: float = Field(0.04, ge=0, description="Weight of shared genres.")
    score: float = Field(0.03, ge=0, description="Weight of the product of the standardised scores.")
    constant: float = Field(0.2, ge=0, description="Weight of being titles at all: the doubt in the level.")


@dataclass(frozen=True)
class TitleKernel:
    """How alike titles are: a sparse part and the inner products that are dense.

    `named`: CSR float32 (n_items, n_items), weighted sum of the sparse parts; `listing`: (n_items, size), rows of
    length ≤ 1; `linear`: (n_items, d), weighted genres and score; `numbers`: (n_items, 4), standardised.
    """

    settings: KernelSettings
    named: sp.csr_matrix
    listing: Matrix
    linear: Matrix
    numbers: Matrix

    @cached_property
    def _named_own(self) -> Matrix:
        """The sparse part's diagonal, which is looked for in all of it."""
        return np.asarray(self.named.diagonal())

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

    def own(self, rows: IntArray) -> Matrix:
        """Likeness of each of `rows` to itself, float32 (n,): the diagonal of `block`."""
        settings = self.settings
        cosine = (self.listing[rows] ** 2).sum(axis=1)
        total = settings.near_listing * np.exp(4 * (cosine - 1)) + settings.listing * cosine + settings.constant
        total += (self.linear[rows] ** 2).sum(axis=1) + settings.numbers
        return np.asarray(total + self._named_own[rows], dtype=np.float32)


def title_kernel(
    likeness: Likeness, listing: Matrix, content: Content, settings: KernelSettings, neighbours: Neighbours | None
) -> TitleKernel:
    """The likeness of the titles by names and relations, lists (`listing`), content and ratings (`neighbours`, if any)."""
    size = len(listing)
    series = sp.csr_matrix(likeness.relations.maximum(likeness.prefix * np.float32(0.6)))
    named = settings.series * series + settings.prefix * likeness.prefix + settings.title * likeness.titles
    if neighbours is not None and settings.correlation > 0:
        similar = neighbours.matrix(size)
        own = sp.identity(size, dtype=np.float32, format="csr")
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
