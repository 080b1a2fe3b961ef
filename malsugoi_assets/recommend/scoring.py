"""What scores the titles for a list, and says what each entry adds: the ranking weights, or the learnt order.

What belongs here: raw scores over a catalogue, and reasons that are true to them: without a named entry the list gives
the title a lower raw score. What does not: which titles may stand on a list (`filters`, `choosing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from malsugoi_assets.recommend.likeness import dense_block
from malsugoi_assets.recommend.list_scores import RELATIONS, ListScores
from malsugoi_assets.recommend.lists_without import WHOLE
from malsugoi_assets.recommend.ranking import NOTHING, LearntOrder
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, index_ratings

Reason = tuple[int, float]
"""An entry of the own list (anime_id), and by how much the title's raw score would be lower without it."""
Asked = tuple[str, Sequence[int]]
"""A user's name, and titles (places in the catalogue's sorted ids)."""
Matrix = FloatArray
LEAST_SHARE = 0.15
"""What an entry has to weigh beside the weightiest one to be named with it: a list's favourites add a little to everything."""
_RELATED = 10.0
"""How much a relation proposes beside the other weights: it also reaches the score by the place in the series."""
_LEAST = 1e-4
"""What an entry has to add to be a reason: more than rounding may."""


class Scorer(Protocol):
    """Scores lists over the titles `ids` (sorted); users are named as in the lists that it was made with."""

    def scores(self, usernames: Sequence[str]) -> Matrix:
        """Float32 (len(usernames), len(ids)), finite; higher = earlier."""

    def reasons(self, asked: Sequence[Asked], most: int) -> list[list[list[Reason]]]:
        """For each user and each of the titles asked at most `most` entries of the list, the weightiest first."""

    def objections(self, asked: Sequence[Asked], most: int) -> list[list[list[Reason]]]:
        """The same for entries without which the score would be higher; their weights are negative."""


class Ranker(Protocol):
    """What ranks, made ready once: `over` gives the scorer of some lists in milliseconds."""

    def over(self, lists: pl.DataFrame) -> Scorer:
        """The scorer of the lists; `lists`: the rows that count (username, anime_id, score)."""


class WeightRanker:
    """score(u, i) = Σ over u's list of weight(i, j): exact, and so are its reasons."""

    def __init__(self, weights: pl.DataFrame, ids: IntArray) -> None:
        """`weights`: anime_id, neighbour_id, weight of one method; `ids`: the catalogue's titles, sorted."""
        known = weights.filter(pl.col("anime_id").is_in(ids.tolist()) & pl.col("neighbour_id").is_in(ids.tolist()))
        row = np.searchsorted(ids, known["neighbour_id"].to_numpy())
        column = np.searchsorted(ids, known["anime_id"].to_numpy())
        shape = (len(ids), len(ids))
        self.ids = ids
        self.columns = sp.csc_matrix((known["weight"].to_numpy(), (row, column)), shape=shape, dtype=np.float32)
        self.rows = self.columns.tocsr()

    def over(self, lists: pl.DataFrame) -> WeightScorer:
        """As `Ranker.over`."""
        return WeightScorer(self, lists)


class _Explaining:
    """The two sides of the entries of a list: those that add to a title's score, and those that take from it."""

    def reasons(self, asked: Sequence[Asked], most: int) -> list[list[list[Reason]]]:
        """As `Scorer.reasons`."""
        return self._entries(asked, most, 1)

    def objections(self, asked: Sequence[Asked], most: int) -> list[list[list[Reason]]]:
        """As `Scorer.objections`."""
        return self._entries(asked, most, -1)

    def _entries(self, asked: Sequence[Asked], most: int, sign: int) -> list[list[list[Reason]]]:
        """Entries whose weight has this sign, for each user and title."""
        raise NotImplementedError


class WeightScorer(_Explaining):
    """The sums of weights for some lists."""

    def __init__(self, ranker: WeightRanker, lists: pl.DataFrame) -> None:
        self._ranker = ranker
        ratings, index = index_ratings(lists.select("username", "anime_id", "score"), anime_ids=ranker.ids)
        self._listed, self._names = ratings.listed_matrix, _numbered(index.usernames)

    def scores(self, usernames: Sequence[str]) -> Matrix:
        """As `Scorer.scores`; titles without weights score 0."""
        rows = _numbers(self._names, usernames)
        result = np.zeros((len(usernames), len(self._ranker.ids)), dtype=np.float32)
        result[rows >= 0] = (self._listed[rows[rows >= 0]] @ self._ranker.rows).toarray()
        return result

    def _entries(self, asked: Sequence[Asked], most: int, sign: int) -> list[list[list[Reason]]]:
        """By their stored weights; SLIM has no negative ones."""
        rows = _numbers(self._names, [name for name, _ in asked])
        return [self._of_one(int(row), places, most, sign) for row, (_, places) in zip(rows, asked, strict=True)]

    def _of_one(self, row: int, places: Sequence[int], most: int, sign: int) -> list[list[Reason]]:
        weights, ids = self._ranker.columns, self._ranker.ids
        listed = np.zeros(len(ids), dtype=np.bool_)
        if row >= 0:
            listed[self._listed[row].indices] = True
        found = []
        for place in places:
            column = slice(weights.indptr[place], weights.indptr[place + 1])
            entry, weight = weights.indices[column], weights.data[column]
            kept = listed[entry] & (sign * weight > 0)
            added = zip(ids[entry[kept]].tolist(), weight[kept].tolist(), strict=True)
            found.append(_weightiest(list(added), most))
        return found


class OrderRanker:
    """Scores by the learnt order. A reason's weight is found by scoring the list again without the entry."""

    _PROPOSING = (
        "slim, liked titles counted half more",
        "slim of liked titles",
        "co-listing cosine",
        RELATIONS,
    )

    def __init__(self, order: LearntOrder, order_ids: IntArray, ids: IntArray) -> None:
        """`order_ids`: the titles of `order`, `ids`: the catalogue's, both sorted."""
        self.order, self.order_ids, self.ids = order, order_ids, ids
        place = np.searchsorted(ids, order_ids)
        self.in_catalogue = np.flatnonzero((place < len(ids)) & (ids[np.minimum(place, len(ids) - 1)] == order_ids))
        self.place = place[self.in_catalogue]
        self._proposing = _proposals(order, self._PROPOSING)

    def proposed(self, item: npt.NDArray[np.int64], entry: IntArray) -> Matrix:
        """What the titles `entry` of a list speak for the titles `item` at first sight, float32 (len(entry), len(item))."""
        place = np.full(self._proposing.shape[0], -1, dtype=np.int32)
        place[entry] = np.arange(len(entry), dtype=np.int32)
        return dense_block(self._proposing, item, place, len(entry)).T

    def over(self, lists: pl.DataFrame) -> OrderScorer:
        """As `Ranker.over`."""
        return OrderScorer(self, lists)


class OrderScorer(_Explaining):
    """The learnt order's scores for some lists."""

    _MOST_TRIED = 60
    """With 20 of them a long list's titles were left without their own prequel: each had one entry tried."""
    _scored: type[ListScores] = ListScores

    def __init__(self, ranker: OrderRanker, lists: pl.DataFrame) -> None:
        self._ranker, self.order, self._order_ids = ranker, ranker.order, ranker.order_ids
        self._ratings, index = index_ratings(
            lists.select("username", "anime_id", "score"), anime_ids=ranker.order_ids
        )
        self._lists, self._names = self._scored(ranker.order.titles, self._ratings), _numbered(index.usernames)
        starts = np.searchsorted(self._ratings.user, np.arange(len(index.usernames) + 1))
        self._rows = [slice(int(a), int(b)) for a, b in pairwise(starts)]

    def scores(self, usernames: Sequence[str]) -> Matrix:
        """As `Scorer.scores`; titles that the order does not know come after those that it does.

        Somebody without a list has `NOTHING` everywhere.
        """
        rows, n_titles = _numbers(self._names, usernames), len(self._ranker.ids)
        known = rows >= 0
        result = np.full((len(usernames), n_titles), NOTHING, dtype=np.float32)
        scores = self.order.scores(self._lists, rows[known].astype(np.int32))
        full = np.repeat(scores.min(axis=1, keepdims=True, initial=0) - 1, n_titles, axis=1)
        full[:, self._ranker.place] = scores[:, self._ranker.in_catalogue]
        result[known] = full
        return result

    def _entries(self, asked: Sequence[Asked], most: int, sign: int) -> list[list[list[Reason]]]:
        """Of the entries that the scores propose, those that prove to add something, or to take it away."""
        from malsugoi_assets.recommend.compiled import on_threads, threads_for  # compiled code takes a moment to load

        found: list[list[list[Reason]]] = [[] for _ in asked]
        threads = threads_for(len(asked))

        def work(first: int) -> None:
            mine = range(first, len(asked), threads)
            for place, (trial, scores) in zip(mine, self.tried([asked[k] for k in mine], most), strict=True):
                found[place] = self._proven(trial, scores, most, sign)

        on_threads(work, threads)
        return found

    def tried(self, asked: Sequence[Asked], most: int) -> Iterator[tuple[Trial, Matrix | None]]:
        """What is tried for each user, with the scores that come of it; None where nothing is."""
        rows = _numbers(self._names, [name for name, _ in asked])
        trials = [self._trial(int(row), places, most) for row, (_, places) in zip(rows, asked, strict=True)]
        scored = self.scored_again([t for t in trials if len(t.tried)])
        return ((trial, next(scored) if len(trial.tried) else None) for trial in trials)

    def _trial(self, row: int, places: Sequence[int], most: int) -> Trial:
        """Which entries may be reasons for which of the titles."""
        wanted = self._ranker.ids[list(places)]
        place = np.minimum(np.searchsorted(self._order_ids, wanted), len(self._order_ids) - 1)
        known = self._order_ids[place] == wanted
        item = place[known]
        entry = self._ratings.item[self._rows[row]] if row >= 0 and most else np.empty(0, np.int32)
        proposed = self._ranker.proposed(item, entry)
        # Few titles leave room to try more entries of each: one that is asked about alone gets the reasons of its list.
        a_title = max(most + 1, self._MOST_TRIED // max(len(item), 1))
        nearest = np.argsort(-proposed, axis=0, kind="stable")[:a_title]
        worth = np.zeros(len(entry), dtype=np.float64)
        np.add.at(worth, nearest, np.take_along_axis(proposed, nearest, axis=0))
        # Before any other what is nearest to one of the titles: a list's favourites would crowd it out.
        first = nearest[:1][:, proposed.max(axis=0, initial=0) > 0]
        worth[first] += worth.sum()
        tried = np.sort(np.argsort(-worth, kind="stable")[: self._MOST_TRIED])
        return Trial(row, known, item, entry, proposed, tried[worth[tried] > 0])

    def scored_again(self, trials: list[Trial]) -> Iterator[Matrix]:
        """For each of the trials the scores of its titles by the whole list, then without each entry tried."""
        for trial in trials:
            lists = self.order.without(self._lists, trial.row)
            yield self.order.scores_without(lists, [WHOLE, *trial.tried.tolist()], trial.item)

    def _proven(self, trial: Trial, scores: Matrix | None, most: int, sign: int) -> list[list[Reason]]:
        """The entries without which a title's score is lower (higher), by how much; none where nothing was tried."""
        found: list[list[Reason]] = [[] for _ in trial.known]
        if scores is None:
            return found
        lower = scores[0] - scores[1:]
        entries = self._order_ids[trial.entry[trial.tried]].tolist()
        tried, title = np.nonzero((sign * lower > _LEAST) & (trial.proposed[trial.tried] > 0))
        places = np.flatnonzero(trial.known)[title].tolist()
        for entry, place, by in zip(tried.tolist(), places, lower[tried, title].tolist(), strict=True):
            found[place].append((entries[entry], by))
        return [_weightiest(added, most) for added in found]


@dataclass(frozen=True)
class Trial:
    """A user's titles and the entries that may be reasons for them.

    `row`: the user; `known`: mask over the titles asked, those that the order knows, which are `item` (indexes there);
    `entry`: the list; `proposed`: float32 (entries, items), what speaks for a title at first sight; `tried`: places in
    `entry`.
    """

    row: int
    known: npt.NDArray[np.bool_]
    item: npt.NDArray[np.int64]
    entry: IntArray
    proposed: Matrix
    tried: npt.NDArray[np.int64]


def _proposals(order: LearntOrder, names: Sequence[str]) -> sp.csr_matrix:
    """What speaks for a title at first sight: the positive weights of some scores, each to its own measure; row = title."""
    total = sp.csr_matrix((order.titles.n_items, order.titles.n_items), dtype=np.float32)
    for name in names:
        weights = order.titles.weights[name].maximum(0)
        measure = max(float(weights.data.mean()) if weights.nnz else 1.0, 1e-9)
        total = total + weights * ((_RELATED if name == RELATIONS else 1.0) / measure)
    return sp.csr_matrix(total.T)


def _weightiest(entries: list[Reason], most: int) -> list[Reason]:
    """The largest, all being of one sign, and no others beside which they are nothing; ties go to the lower id."""
    first = sorted(entries, key=lambda reason: (-abs(reason[1]), reason[0]))[:most]
    return [reason for reason in first if abs(reason[1]) >= LEAST_SHARE * abs(first[0][1])]


def preferred_method(methods: Sequence[str]) -> str:
    """Which of the stored ranking weights rank: SLIM's where they were learnt, which rank better, else EASE's."""
    return "slim" if "slim" in methods else "ease"


def _numbers(names: dict[str, int], wanted: Sequence[str]) -> IntArray:
    """The numbers of the users named, -1 for those that are not there."""
    return np.array([names.get(name, -1) for name in wanted], dtype=np.int32)


def _numbered(names: pl.Series) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.to_list())}
