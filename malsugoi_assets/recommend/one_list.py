"""Recommending for one person again and again: what was worked out of the list for one question serves the next.

Other settings ask for other titles of the same list, and their reasons for the same list without an entry: each of these
is scored once.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from malsugoi_assets.recommend.list_scores import ListScores
from malsugoi_assets.recommend.ranking import LearntOrder
from malsugoi_assets.recommend.ratings import FloatArray, IntArray
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_assets.recommend.scoring import OrderRanker

KEPT_LISTS = 48


@dataclass(frozen=True)
class OneListsOrder(LearntOrder):
    """The learnt order for one person's list, and for the same list without some entries.

    `kept`: scores, float32 (n_items,), by the titles listed (the ratings of a person are what they are); `KEPT_LISTS` of them.
    """

    kept: OrderedDict[bytes, FloatArray] = field(default_factory=OrderedDict, compare=False)

    def scores(self, lists: ListScores, users: IntArray) -> FloatArray:
        """As `LearntOrder.scores`."""
        starts, listed = lists.listed.indptr, lists.listed.indices
        keys = [np.sort(listed[starts[user] : starts[user + 1]]).tobytes() for user in users]
        found = {key: scores for key in keys if (scores := self.kept.get(key)) is not None}
        new = [n for n, key in enumerate(keys) if key not in found]
        if new:
            found |= dict(zip((keys[n] for n in new), super().scores(lists, users[new]), strict=True))
            self.kept.update((keys[n], found[keys[n]]) for n in new)
            while len(self.kept) > KEPT_LISTS:
                self.kept.popitem(last=False)
        return np.stack([found[key] for key in keys]) if keys else super().scores(lists, users)


def for_one_list(recommender: Recommender) -> Recommender:
    """The same recommender, to be asked about one person's list only; what it remembers goes with it."""
    own = copy.copy(recommender)
    if isinstance(recommender.ranker, OrderRanker):
        ranker = copy.copy(recommender.ranker)
        order = ranker.order
        ranker.order = OneListsOrder(order.titles, order.network, order.candidates)
        own.ranker = ranker
    return own
