"""How alike two titles are by name, by leading words and by the site's relations: three sparse kernels.

What belongs here: likeness that needs no ratings and no lists. Each kernel is CSR float32 (n_items, n_items),
symmetric up to the cut of its weakest entries, 1 on the diagonal.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

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


def learn_likeness(items: Items) -> Likeness:
    """All kernels of a catalogue; of the last ones asked for they are kept: a run asks eight times about two of them."""
    digest = sha256(repr((items.anime_id.tolist(), items.names, _studios(items))).encode())
    digest.update(items.relations.hash_rows(seed=0).to_numpy().tobytes() if items.relations.height else b"")
    key = digest.hexdigest()
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
    best: dict[tuple[int, int], float] = {}
    for length, value in zip((1, 2, 3, 4, None), (*PREFIX_LIKENESS, 1.0), strict=True):
        groups: dict[tuple[str, ...], set[int]] = defaultdict(set)
        for row, sequences in enumerate(leading):
            for sequence in sequences:
                if length is None:
                    if len("".join(sequence)) >= 4:
                        groups[sequence].add(row)
                elif len(sequence) >= length and (length > 1 or len(sequence[0]) >= 4):
                    groups[sequence[:length]].add(row)
        for members in groups.values():
            if 2 <= len(members) < LARGEST_PREFIX_GROUP:
                for first in members:
                    for second in members:
                        if first != second:
                            best[first, second] = max(value, best.get((first, second), 0.0))
    return with_diagonal(_from_pairs(best, size))


def relation_kernel(anime_id: npt.NDArray[np.int32], relations: pl.DataFrame) -> sp.csr_matrix:
    """The best product of `RELATION_LIKENESS` along a path of relations, times `HOP` for each further step.

    Paths may lead through titles outside the catalogue and through manga; products below
    `FAINTEST_RELATION` count as none. Titles that mean the same anime are alike by 1.
    """
    edges: dict[tuple[int, int], dict[tuple[int, int], float]] = defaultdict(dict)
    for source, relation, kind, target in relations.select(
        "anime_id", "relation", "related_kind", "related_id"
    ).iter_rows():
        if source is None or target is None:
            continue
        value = RELATION_LIKENESS.get(str(relation).lower(), OTHER_RELATION)
        one, other = (0, int(source)), (int(kind == "manga"), int(target))
        edges[one][other] = max(value, edges[one].get(other, 0.0))
        edges[other][one] = max(value, edges[other].get(one, 0.0))
    places: dict[int, list[int]] = defaultdict(list)
    for row, identity in enumerate(anime_id.tolist()):
        places[identity].append(row)
    best: dict[tuple[int, int], float] = {}
    for identity, rows in places.items():
        for (manga, related), product in _reach((0, identity), edges).items():
            if not manga:
                for row in rows:
                    for column in places.get(related, []):
                        if row != column:
                            best[row, column] = product
    return with_diagonal(_from_pairs(best, len(anime_id)))


def _reach(
    start: tuple[int, int], edges: dict[tuple[int, int], dict[tuple[int, int], float]]
) -> dict[tuple[int, int], float]:
    """Dijkstra on products: every node reachable from `start` with its best product, `start` with 1."""
    best = {start: 1.0}
    if start not in edges:
        return best
    queue = [(-1.0, 0, start)]
    while queue:
        negative, hops, node = heapq.heappop(queue)
        if -negative < best[node]:
            continue
        for neighbour, value in edges[node].items():
            product = -negative * value * (HOP if hops else 1.0)
            if product >= FAINTEST_RELATION and product > best.get(neighbour, 0.0):
                best[neighbour] = product
                heapq.heappush(queue, (-product, hops + 1, neighbour))
    return best


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


def _from_pairs(pairs: dict[tuple[int, int], float], size: int) -> sp.csr_matrix:
    if not pairs:
        return sp.csr_matrix((size, size), dtype=np.float32)
    keys: Iterable[tuple[int, int]] = pairs.keys()
    index = np.array(list(keys), dtype=np.int64)
    values = np.fromiter(pairs.values(), dtype=np.float32, count=len(pairs))
    return sp.csr_matrix((values, (index[:, 0], index[:, 1])), shape=(size, size))
