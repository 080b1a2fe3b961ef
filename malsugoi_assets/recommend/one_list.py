"""Recommending for one person again and again: what was worked out of the list for one question serves the next.

Other settings ask for other titles of the same list, and their reasons for the same list without an entry: each of these
is scored once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import polars as pl

from malsugoi_assets.recommend.list_scores import ListScores
from malsugoi_assets.recommend.lists_without import WHOLE, ListsWithout
from malsugoi_assets.recommend.people import Person, counting
from malsugoi_assets.recommend.ranking import Matrix
from malsugoi_assets.recommend.ratings import FloatArray, IntArray
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_assets.recommend.scoring import Asked, OrderRanker, OrderScorer, Reason, Scorer, Trial

KEPT_LISTS = 96
_KEPT_SCORERS = 2
_KEPT_REASONS = 64
"""Lists of titles whose reasons are kept: most settings come to titles that others came to."""


class _OnceScored(ListScores):
    """The scores of one list, worked out once: to rank by, and to take entries out of."""

    _found: Matrix | None = None

    def of(self, users: IntArray) -> Matrix:
        """As `ListScores.of`; never to be changed by those who get it."""
        if self.n_lists != 1 or len(users) != 1:
            return super().of(users)
        if self._found is None:
            self._found = super().of(users)
        return self._found


class OneListsScorer(OrderScorer):
    """The learnt order's scores for one person's list, and for it without single entries: the last `KEPT_LISTS` of them."""

    _scored = _OnceScored

    def __init__(self, ranker: OrderRanker, lists: pl.DataFrame) -> None:
        super().__init__(ranker, lists)
        self._whole: dict[tuple[str, ...], Matrix] = {}
        self._list: ListsWithout | None = None
        self._unknown = np.full(ranker.order.titles.n_items, np.nan, dtype=np.float32)
        self._lock = threading.Lock()
        self._tried: dict[Hashable, list[tuple[Trial, Matrix | None]]] = {}
        self._said: OrderedDict[Hashable, list[list[list[Reason]]]] = OrderedDict()
        self.without: OrderedDict[int, FloatArray] = OrderedDict()
        """Scores float32 (n_items,), NaN for titles not asked for yet, by the place of the entry that is missing; `WHOLE`: none is."""

    def scores(self, usernames: Sequence[str]) -> Matrix:
        """As `Scorer.scores`."""
        key = tuple(usernames)
        if key not in self._whole:
            self._whole = {key: super().scores(usernames)}
        return self._whole[key]

    def _entries(self, asked: Sequence[Asked], most: int, sign: int) -> list[list[list[Reason]]]:
        """As the scorer of many lists."""
        key = (_key_of(asked), most, sign)
        if (found := self._said.get(key)) is None:
            found = self._said[key] = super()._entries(asked, most, sign)
            while len(self._said) > _KEPT_REASONS:
                self._said.popitem(last=False)
        return found

    def tried(self, asked: Sequence[Asked], most: int) -> Iterator[tuple[Trial, Matrix | None]]:
        """As the scorer of many lists; the last is kept, since reasons and objections come of the same."""
        key = (_key_of(asked), most)
        if (found := self._tried.get(key)) is None:
            found = list(super().tried(asked, most))
            self._tried = {key: found}
        return iter(found)

    def scored_again(self, trials: list[Trial]) -> Iterator[Matrix]:
        """As the scorer of many lists."""
        for trial in trials:
            with self._lock:
                scores = self._again(trial)
            yield scores

    def _again(self, trial: Trial) -> Matrix:
        places = [WHOLE, *trial.tried.tolist()]
        found: Matrix = np.stack([self.without.get(place, self._unknown)[trial.item] for place in places])
        unknown = np.isnan(found)
        if unknown.any():
            rows, columns = np.flatnonzero(unknown.any(axis=1)), np.flatnonzero(unknown.any(axis=0))
            missing, item = [places[row] for row in rows], trial.item[columns]
            if self._list is None:
                self._list = self.order.without(self._lists, trial.row)
            scores = self.order.scores_without(self._list, missing, item)
            found[np.ix_(rows, columns)] = scores
            for place, own in zip(missing, scores, strict=True):
                self.without.setdefault(place, self._unknown.copy())[item] = own
            while len(self.without) > KEPT_LISTS:
                self.without.popitem(last=False)
        return found


def _key_of(asked: Sequence[Asked]) -> Hashable:
    return tuple((name, tuple(places)) for name, places in asked)


class OneListsRecommender(Recommender):
    """Recommends for one person's list, the same in every call; what is remembered of it goes with this object."""

    def __init__(self, recommender: Recommender) -> None:
        # What is ready for everybody is shared, not made again.
        vars(self).update(vars(recommender))
        self._scorers: OrderedDict[int | None, Scorer] = OrderedDict()
        self._people: dict[tuple[int, bool], list[Person]] = {}

    def scorer(self, lists: pl.DataFrame, settings: RecommendationSettings) -> Scorer:
        """As the recommender; the last ones are kept, by the floor under what counts."""
        floor = settings.liked_from if settings.likes_only else None
        found = self._scorers.get(floor)
        if found is None:
            ranker, rows = self.ranker, counting(lists, settings)
            found = OneListsScorer(ranker, rows) if isinstance(ranker, OrderRanker) else ranker.over(rows)
            self._scorers[floor] = found
            while len(self._scorers) > _KEPT_SCORERS:
                self._scorers.popitem(last=False)
        return found

    def everybody(self, lists: pl.DataFrame, settings: RecommendationSettings) -> list[Person]:
        """As the recommender; the person is kept for each way of being disappointed."""
        disappointed = (settings.low_score, settings.forgiving)
        if disappointed not in self._people:
            self._people[disappointed] = super().everybody(lists, settings)
        return self._people[disappointed]

    def reasons(
        self, lists: pl.DataFrame, anime_ids: Sequence[int], settings: RecommendationSettings
    ) -> dict[int, tuple[list[Reason], list[Reason]]]:
        """For each title of the catalogue the entries that add to its score, and those without which it would be higher
        (looked for among the same entries); the weightiest first, of each at most as many as the settings say.
        """
        if not lists.height or not anime_ids:
            return {}
        scorer, asked = self.scorer(lists, settings), self._asked(lists, anime_ids)
        [adding], taking = scorer.reasons(asked, settings.reasons), self.objections(lists, anime_ids, settings)
        (person,) = self.everybody(lists, settings)
        return {i: (person.worth_naming(for_it), taking[i]) for i, for_it in zip(anime_ids, adding, strict=True)}

    def objections(
        self, lists: pl.DataFrame, anime_ids: Sequence[int], settings: RecommendationSettings
    ) -> dict[int, list[Reason]]:
        """The second half of `reasons`."""
        if not lists.height or not anime_ids:
            return {}
        [taking] = self.scorer(lists, settings).objections(self._asked(lists, anime_ids), settings.reasons)
        return dict(zip(anime_ids, taking, strict=True))

    def _asked(self, lists: pl.DataFrame, anime_ids: Sequence[int]) -> list[Asked]:
        return [(lists["username"][0], np.searchsorted(self.ids, np.asarray(anime_ids, dtype=np.int32)).tolist())]


def for_one_list(recommender: Recommender) -> OneListsRecommender:
    """The same recommender, to be asked about one person's list only."""
    return OneListsRecommender(recommender)
