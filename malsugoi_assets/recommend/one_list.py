"""Recommending for one person again and again: what was worked out of the list for one question serves the next.

Other settings ask for other titles of the same list, and their reasons for the same list without an entry: each of these
is scored once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.recommend.lists_without import WHOLE
from malsugoi_assets.recommend.people import Person, counting
from malsugoi_assets.recommend.ranking import Matrix
from malsugoi_assets.recommend.ratings import FloatArray
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_assets.recommend.scoring import Asked, OrderRanker, OrderScorer, Reason, Scorer, Trial

KEPT_LISTS = 48
_FORESEEN = 100
"""How many of a list's best titles are scored with those asked for: other settings mostly ask for some of them."""
_KEPT_SCORERS = 2
_KEPT_REASONS = 64
"""Lists of titles whose reasons are kept: most settings come to titles that others came to."""


class OneListsScorer(OrderScorer):
    """The learnt order's scores for one person's list, and for it without single entries: the last `KEPT_LISTS` of them."""

    def __init__(self, ranker: OrderRanker, lists: pl.DataFrame) -> None:
        super().__init__(ranker, lists)
        self._whole: dict[tuple[str, ...], Matrix] = {}
        self._items = np.empty(0, dtype=np.int64)
        self._lock = threading.Lock()
        self._tried: dict[Hashable, list[tuple[Trial, Matrix | None]]] = {}
        self._said: OrderedDict[Hashable, list[list[list[Reason]]]] = OrderedDict()
        self.without: OrderedDict[int, FloatArray] = OrderedDict()
        """Scores float32 (n_items,), true for the titles `_items`, by the place of the entry that is missing; `WHOLE`: of the whole list."""

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
        if not np.isin(trial.item, self._items).all():
            self._items = np.unique(np.concatenate([self._items, trial.item, *self._best()]))
            self.without.clear()
        places = [WHOLE, *trial.tried.tolist()]
        found = {place: scores for place in places if (scores := self.without.get(place)) is not None}
        new = [place for place in places if place not in found]
        if new:
            found |= dict(zip(new, self.scored_without(trial.row, new, [self._items] * len(new)), strict=True))
            self.without.update((place, found[place]) for place in new)
            while len(self.without) > KEPT_LISTS:
                self.without.popitem(last=False)
        return np.stack([found[place] for place in places])[:, trial.item]

    def _best(self) -> list[npt.NDArray[np.int64]]:
        """The titles that the whole list speaks for most, where it was scored."""
        order = self._ranker.in_catalogue
        return [order[np.argsort(-s[0, self._ranker.place], kind="stable")[:_FORESEEN]] for s in self._whole.values()]


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
