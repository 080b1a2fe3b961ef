"""What a list says of a title's series: what is still to be seen before it, how what came before was liked, its kind.

What belongs here: numbers of a (list, title) pair that hang on the order of a franchise. Which titles may stand on a
list stands in `choosing`, what relations mean in `franchises`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from malsugoi_assets.recommend.franchises import learn_franchises
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import IntArray

Matrix = npt.NDArray[np.float32]
KINDS = ("tv", "movie", "ova", "ona", "special", "tv special", "music")
FACTS = (
    "to be seen before it",
    "rating residual of what comes before it",
    "listed titles that come after it",
    "their rating residual",
    "listed titles of its franchise",
    "share of its franchise on the list",
    "rating residual of its franchise",
    "share of its kind on the list",
)
_MOST = 3.0
"""Titles to be seen before another one are counted up to here."""


@dataclass(frozen=True)
class Series:
    """`needs`: CSR float32 (n, n), 1 where the row's title is to be seen before the column's; `needed`: float32 (n,), how
    many are, unknown ones too; `franchise`: int32 (n,), 0 … below n; `kind`: float32 (n, len(KINDS) + 1), one 1 a row, the
    last for all others.
    """

    needs: sp.csr_matrix
    needed: Matrix
    franchise: IntArray
    kind: Matrix

    @property
    def numbers(self) -> Matrix:
        """What holds of a title for every list: float32 (n, 2 + kinds)."""
        size = np.bincount(self.franchise, minlength=len(self.franchise))[self.franchise]
        return np.column_stack([np.minimum(self.needed, _MOST), np.log(size), self.kind]).astype(np.float32)

    def facts(self, listed: sp.csr_matrix, above: sp.csr_matrix, item: IntArray) -> Matrix:
        """Float32 (lists, m, len(FACTS)) of the titles `item` (lists, m).

        `listed`: which titles stand on the list (lists, n); `above`: for those with a rating by how much it lies above what
        is expected. A mean of residuals counts one row at 0 more for franchises, none for neighbours.
        """
        from malsugoi_assets.recommend.series_kernels import fill_facts  # compiled code takes a moment to load

        found = np.empty((*item.shape, len(FACTS)), dtype=np.float32)
        needs, by = self.needs, self._needed_by
        fill_facts(
            listed.indptr, listed.indices, above.indptr, above.indices, above.data, item,
            needs.indptr, needs.indices, needs.data, by.indptr, by.indices, by.data,
            self.needed, self.franchise, self._size, self._kinds, np.float32(_MOST), found,
        )  # fmt: skip
        return found

    @cached_property
    def _needed_by(self) -> sp.csr_matrix:
        return sp.csr_matrix(self.needs.T)

    @cached_property
    def _size(self) -> Matrix:
        return np.bincount(self.franchise, minlength=len(self.franchise)).astype(np.float32)

    @cached_property
    def _kinds(self) -> IntArray:
        found: IntArray = self.kind.argmax(axis=1).astype(np.int32)
        return found


def learn_series(items: Items) -> Series:
    """The series of a catalogue; titles that mean the same anime are to be seen alike."""
    ids, n = items.anime_id, len(items)
    features = items.features.with_columns(pl.Series("anime_id", ids, dtype=pl.Int32)).unique(
        "anime_id", keep="first"
    )
    known = learn_franchises(features, items.relations)
    places: dict[int, list[int]] = {}
    for place, title in enumerate(ids.tolist()):
        places.setdefault(title, []).append(place)
    needs = [known.needs.get(title, frozenset()) for title in ids.tolist()]
    pairs = [(row, at) for at, those in enumerate(needs) for other in sorted(those) for row in places.get(other, ())]
    row, column = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    _, franchise = np.unique([known.franchise(title) for title in ids.tolist()], return_inverse=True)
    number = {name: place for place, name in enumerate(KINDS)}
    kind = np.zeros((n, len(KINDS) + 1), dtype=np.float32)
    names = items.features["type"].to_list() if "type" in items.features.columns else [None] * n
    kind[np.arange(n), [number.get((name or "").lower(), len(KINDS)) for name in names]] = 1
    return Series(
        sp.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(n, n)),
        np.array([len(those) for those in needs], dtype=np.float32),
        franchise.astype(np.int32),
        kind,
    )
