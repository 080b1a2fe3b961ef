"""A map of the catalogue: titles that speak for each other lie near each other.

    A = max(W, 0) + max(W, 0)ᵀ,   D = the row sums of A,   x, y = the 2nd and 3rd eigenvectors of D^-½ A D^-½, times D^-½

with W the ranking weights: Laplacian eigenmaps (Belkin and Niyogi 2003). Eigenvectors crowd most titles in one corner,
so what is drawn is each title's place in the order along each of the two: on either axis the titles are spread evenly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigsh

from malsugoi_assets.recommend.ratings import FloatArray, IntArray

_FEWEST = 8


@dataclass(frozen=True)
class CatalogueMap:
    """`anime_id`: int32 (n,), sorted; `place`: float32 (n, 2), each axis within 0 and 1. Empty where there is no map."""

    anime_id: IntArray
    place: FloatArray


def draw_map(anime_id: IntArray, neighbour_id: IntArray, weight: FloatArray, titles: IntArray) -> CatalogueMap:
    """Places of those of `titles` (sorted) that hang together by the weights, parallel arrays of one method.

    Titles apart from the largest group that hangs together have no place; nor has any, where that holds fewer than eight.
    """
    row, column = np.searchsorted(titles, anime_id), np.searchsorted(titles, neighbour_id)
    last = max(len(titles) - 1, 0)
    known = np.zeros(len(weight), dtype=np.bool_)
    if len(titles):
        known = (titles[np.minimum(row, last)] == anime_id) & (titles[np.minimum(column, last)] == neighbour_id)
    known &= weight > 0
    size = (len(titles), len(titles))
    likeness = sp.csr_matrix((weight[known].astype(np.float64), (row[known], column[known])), shape=size)
    likeness = sp.csr_matrix(likeness + likeness.T)
    _, group = connected_components(likeness, directed=False) if len(titles) else (0, np.empty(0, dtype=np.int32))
    inside = np.flatnonzero(group == np.bincount(group).argmax()) if len(group) else np.empty(0, dtype=np.int64)
    if len(inside) < _FEWEST:
        return CatalogueMap(np.empty(0, dtype=np.int32), np.empty((0, 2), dtype=np.float32))
    vectors = _second_and_third(likeness[inside][:, inside])
    return CatalogueMap(titles[inside].astype(np.int32), np.column_stack([_spread(v) for v in vectors.T]))


def _second_and_third(likeness: sp.csr_matrix) -> npt.NDArray[np.float64]:
    """The two eigenvectors (n, 2), each with its largest entry positive, so that the same weights give the same map."""
    scale = 1 / np.sqrt(np.asarray(likeness.sum(axis=1)).ravel())
    normal = sp.diags(scale) @ likeness @ sp.diags(scale)
    start = np.random.default_rng(0).standard_normal(likeness.shape[0])
    values, vectors = eigsh(normal, k=3, which="LA", v0=start)
    chosen = vectors[:, np.argsort(-values)[1:]] * scale[:, None]
    largest = chosen[np.abs(chosen).argmax(axis=0), np.arange(2)]
    return np.asarray(chosen * np.where(largest < 0, -1, 1))


def _spread(values: npt.NDArray[np.float64]) -> FloatArray:
    order = np.argsort(np.round(values, 12), kind="stable")
    place = np.empty(len(values), dtype=np.float32)
    place[order] = (np.arange(len(values)) + 0.5) / len(values)
    return place
