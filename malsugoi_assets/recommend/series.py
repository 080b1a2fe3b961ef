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

    def facts(self, listed: sp.csr_matrix, above: sp.csr_matrix, rated: sp.csr_matrix, item: IntArray) -> Matrix:
        """Float32 (lists, m, len(FACTS)) of the titles `item` (lists, m).

        `listed`, `rated`: 1 where a title stands on the list, has a rating (lists, n); `above`: by how much that rating
        lies above what is expected. A mean of residuals counts one row at 0 more for franchises, none for neighbours.
        """
        rows = np.arange(len(item))[:, None]

        def of(left: sp.csr_matrix, right: sp.csr_matrix) -> Matrix:
            found: Matrix = (left @ right).toarray()[rows, item]
            return found

        member = self._members
        own = self.franchise[item]
        count, total, known = ((lists @ member).toarray()[rows, own] for lists in (listed, above, rated))
        size = np.bincount(self.franchise, minlength=len(self.franchise))
        of_kind = np.asarray(listed @ self.kind) / np.maximum(np.diff(listed.indptr), 1)[:, None]
        found = (
            np.clip(self.needed[item] - of(listed, self.needs), 0, _MOST),
            of(above, self.needs) / np.maximum(of(rated, self.needs), 1),
            np.minimum(of(listed, self._needed_by), _MOST),
            of(above, self._needed_by) / np.maximum(of(rated, self._needed_by), 1),
            np.log1p(count),
            count / size[own],
            total / (known + 1),
            np.take_along_axis(of_kind, self.kind.argmax(axis=1)[item], axis=1),
        )
        return np.stack(found, axis=2).astype(np.float32)

    @cached_property
    def _needed_by(self) -> sp.csr_matrix:
        return sp.csr_matrix(self.needs.T)

    @cached_property
    def _members(self) -> sp.csr_matrix:
        n = len(self.franchise)
        return sp.csr_matrix((np.ones(n, np.float32), (np.arange(n), self.franchise)), shape=(n, n))


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
