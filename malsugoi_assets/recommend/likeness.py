"""How alike two titles are by name, by leading words and by the site's relations: three sparse kernels.

What belongs here: likeness that needs no ratings and no lists. Each kernel is CSR float32 (n_items, n_items),
symmetric up to the cut of its weakest entries, 1 on the diagonal.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.name_kernel import title_kernel, with_diagonal, words

PREFIX_LIKENESS = (0.4, 0.75, 0.9, 1.0)
RELATION_LIKENESS = {
    "sequel": 1.0,
    "prequel": 1.0,
    "side story": 0.8,
    "parent story": 0.8,
    "full story": 0.8,
    "summary": 0.8,
    "spin-off": 0.8,
    "alternative version": 0.8,
    "alternative setting": 0.8,
    "adaptation": 0.8,
    "character": 0.15,
}
OTHER_RELATION = 0.4
HOP = 0.85
FAINTEST_RELATION = 0.1
LARGEST_PREFIX_GROUP = 150
STOP_WORDS = frozenset(
    (
        "the",
        "a",
        "an",
        "no",
        "of",
        "to",
        "in",
        "wa",
        "ga",
        "ni",
        "movie",
        "film",
        "ova",
        "ona",
        "tv",
        "special",
        "specials",
        "season",
        "part",
        "cour",
        "series",
        "episode",
        "recap",
        "first",
        "second",
        "third",
        "fourth",
        "fifth",
        "final",
        "1st",
        "2nd",
        "3rd",
        "4th",
        "5th",
        "6th",
        "i",
        "ii",
        "iii",
        "iv",
        "v",
        "vi",
        "gekijouban",
    )
)


@dataclass(frozen=True)
class Likeness:
    """The three kernels over one catalogue, and the numbers of the titles' first studios (-1 = unknown)."""

    titles: sp.csr_matrix
    prefix: sp.csr_matrix
    relations: sp.csr_matrix
    studio: npt.NDArray[np.int32]


_KEPT = 3
_kept: OrderedDict[str, Likeness] = OrderedDict()
_asked = Lock()
"""Whoever asks while another one learns waits for that, and has it."""


def learn_likeness(items: Items) -> Likeness:
    """All kernels of a catalogue; of the last ones asked for they are kept: a run asks eight times about two of them."""
    digest = sha256(repr((items.anime_id.tolist(), items.names, _studios(items))).encode())
    digest.update(items.relations.hash_rows(seed=0).to_numpy().tobytes() if items.relations.height else b"")
    key = digest.hexdigest()
    with _asked:
        found = _kept.pop(key, None) or _learn(items)
        _kept[key] = found
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return found


def _studios(items: Items) -> list[list[str] | None]:
    return items.features["studios"].to_list() if "studios" in items.features.columns else [None] * len(items)


def _learn(items: Items) -> Likeness:
    first = [names[0] if names else None for names in _studios(items)]
    number = {name: place for place, name in enumerate(sorted({name for name in first if name}))}
    return Likeness(
        title_kernel(items.names),
        prefix_kernel(items.names),
        relation_kernel(items.anime_id, items.relations),
        np.array([number.get(name, -1) if name else -1 for name in first], dtype=np.int32),
    )


def prefix_kernel(names: list[list[str]]) -> sp.csr_matrix:
    """Likeness by shared leading words, without season and stop words: 1 word .4, 2 .75, 3 .9, 4 or all 1.

    One word counts from four letters on; groups of `LARGEST_PREFIX_GROUP` titles or more mean nothing.
    """
    leading = [{tuple(kept) for name in known if (kept := prefix_words(name))} for known in names]
    size = len(names)
    best = sp.csr_matrix((size, size), dtype=np.float32)
    for length, value in zip((1, 2, 3, 4, None), (*PREFIX_LIKENESS, 1.0), strict=True):
        groups: dict[tuple[str, ...], set[int]] = defaultdict(set)
        for row, sequences in enumerate(leading):
            for sequence in sequences:
                if length is None:
                    if len("".join(sequence)) >= 4:
                        groups[sequence].add(row)
                elif len(sequence) >= length and (length > 1 or len(sequence[0]) >= 4):
                    groups[sequence[:length]].add(row)
        alike = [sorted(members) for members in groups.values() if 2 <= len(members) < LARGEST_PREFIX_GROUP]
        member = np.array([row for members in alike for row in members], dtype=np.int32)
        group = np.repeat(np.arange(len(alike)), [len(members) for members in alike])
        is_in = sp.csr_matrix((np.ones(len(member), np.float32), (member, group)), shape=(size, len(alike)))
        shared = sp.csr_matrix(is_in @ is_in.T)
        shared.data[:] = value
        best = best.maximum(shared)
    return with_diagonal(sp.csr_matrix(best))


def relation_kernel(anime_id: npt.NDArray[np.int32], relations: pl.DataFrame) -> sp.csr_matrix:
    """The best product of `RELATION_LIKENESS` along a path of relations, times `HOP` for each further step.

    Paths may lead through titles outside the catalogue and through manga; products below
    `FAINTEST_RELATION` count as none. Titles that mean the same anime are alike by 1.
    """
    from malsugoi_assets.recommend.path_kernels import best_products  # compiled code takes a moment to load

    size = len(anime_id)
    known = relations.select("anime_id", "relation", "related_kind", "related_id").drop_nulls(
        ["anime_id", "related_id"]
    )
    likeness = [RELATION_LIKENESS.get(str(name).lower(), OTHER_RELATION) for name in known["relation"]]
    value = np.array(likeness, dtype=np.float64)
    one = 2 * known["anime_id"].to_numpy().astype(np.int64)
    other = (
        2 * known["related_id"].to_numpy().astype(np.int64)
        + (known["related_kind"] == "manga").fill_null(False).to_numpy()
    )
    # Every node of the graph, the catalogue's titles first of all: a title's is twice its id, a manga's one more.
    own, place = np.unique(2 * anime_id.astype(np.int64), return_inverse=True)
    nodes = np.concatenate([own, np.setdiff1d(np.concatenate([one, other]), own)])
    order = np.argsort(nodes)
    ends = [order[np.searchsorted(nodes, side, sorter=order)] for side in (one, other)]
    source, target = np.concatenate(ends), np.concatenate(ends[::-1])
    by_source = np.lexsort((target, source))
    starts = np.searchsorted(source[by_source], np.arange(len(nodes) + 1))
    row, column, product = best_products(
        len(own), starts, target[by_source], np.concatenate([value, value])[by_source], HOP, FAINTEST_RELATION
    )
    between = sp.csr_matrix((product.astype(np.float32), (row, column)), shape=(len(own), len(own)))
    means = sp.csr_matrix((np.ones(size, np.float32), (np.arange(size), place)), shape=(size, len(own)))
    return with_diagonal(sp.csr_matrix(means @ between @ means.T))


def prefix_words(name: str) -> list[str]:
    """The words that can name a series: no stop words, no season words, no bare numbers."""
    return [word for word in words(name) if word not in STOP_WORDS and not word.isdigit()]


def dense_block(
    matrix: sp.csr_matrix, rows: npt.NDArray[np.integer], place: npt.NDArray[np.int32], width: int
) -> npt.NDArray[np.float32]:
    """`matrix[rows][:, columns]` as a dense float32 block; `place[item]` = its column in the block, -1 = none."""
    from malsugoi_assets.recommend.block_kernels import fill_block  # compiled code takes a moment to load

    block = np.zeros((len(rows), width), dtype=np.float32)
    fill_block(matrix.indptr, matrix.indices, matrix.data, rows.astype(np.int32, copy=False), place, block)
    return block
