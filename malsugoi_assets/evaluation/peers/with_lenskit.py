"""Peers from LensKit (Ekstrand, CIKM 2020): neighbours, factorisations, EASE and SLIM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import polars as pl
from lenskit.als import BiasedMFScorer, ImplicitMFScorer
from lenskit.data import ItemList, RecQuery, from_interactions_df
from lenskit.knn import EASEScorer, ItemKNNScorer, SLIMScorer, UserKNNScorer
from lenskit.training import TrainingOptions

from malsugoi_assets.evaluation.peers.peer import Peer, RankingPeer, RatingPeer, Setting
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import IntArray, Ratings


@dataclass(frozen=True)
class _Learnt:
    """A trained scorer, and the users' rows in the order of user and item that it is asked with."""

    scorer: Any
    item: IntArray
    rating: npt.NDArray[np.float32]
    starts: npt.NDArray[np.int64]
    n_items: int

    def scores(self, user: int, asked: IntArray) -> npt.NDArray[np.float32]:
        """What the scorer says of the titles asked about; NaN = nothing."""
        mine = slice(self.starts[user], self.starts[user + 1])
        history = ItemList(item_ids=self.item[mine], rating=self.rating[mine])
        query = RecQuery(user_id=user, history_items=history)
        return np.asarray(self.scorer(query, ItemList(item_ids=asked)).scores(), dtype=np.float32)


class _LensKit(Peer):
    """A scorer of LensKit; our indexes are its ids."""

    scorer: ClassVar[Any]

    def rows(self, ratings: Ratings) -> Ratings:
        """The rows that it learns from."""
        raise NotImplementedError

    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> _Learnt:
        """Train the scorer."""
        rows = self.rows(ratings)
        rows = rows.take(np.lexsort((rows.item, rows.user)))
        frame = pl.DataFrame({"user_id": rows.user, "item_id": rows.item, "rating": rows.rating})
        scorer = self.scorer(**setting)
        scorer.train(from_interactions_df(frame.to_pandas()), TrainingOptions(rng=self.seed))
        starts = np.searchsorted(rows.user, np.arange(ratings.n_users + 1))
        return _Learnt(scorer, rows.item, rows.rating, starts, ratings.n_items)


class _Rates(_LensKit, RatingPeer):
    """Explicit feedback: rated rows."""

    def rows(self, ratings: Ratings) -> Ratings:
        """The rated ones."""
        return ratings.rated

    def answer(self, learnt: _Learnt, user: IntArray, item: IntArray) -> npt.NDArray[np.float32]:
        """User by user."""
        said = np.empty(len(user), dtype=np.float32)
        order = np.argsort(user, kind="stable")
        people, first = np.unique(user[order], return_index=True)
        for person, pairs in zip(people.tolist(), np.split(order, first[1:]), strict=True):
            asked, place = np.unique(item[pairs], return_inverse=True)
            said[pairs] = learnt.scores(person, asked)[place]
        return said


class LensKitItemKnn(_Rates):
    """Item-based neighbours (Deshpande, Karypis 2004) on ratings."""

    scorer = ItemKNNScorer
    grid: ClassVar[tuple[Setting, ...]] = ({"max_nbrs": 20}, {"max_nbrs": 60, "min_nbrs": 2}, {"max_nbrs": 200})

    def memory(self, ratings: Ratings) -> float:
        """The pairs that anybody rated both, at worst all."""
        return 16.0 * ratings.n_items**2


class LensKitUserKnn(_Rates):
    """User-based neighbours on ratings."""

    scorer = UserKNNScorer
    grid: ClassVar[tuple[Setting, ...]] = ({"max_nbrs": 20}, {"max_nbrs": 60, "min_nbrs": 2}, {"max_nbrs": 200})

    def memory(self, ratings: Ratings) -> float:
        """Sparse rows."""
        return 100.0 * len(ratings)


class LensKitBiasedMf(_Rates):
    """Biased matrix factorisation by alternating least squares."""

    scorer = BiasedMFScorer
    grid: ClassVar[tuple[Setting, ...]] = (
        {"embedding_size": 64},
        {"embedding_size": 16, "regularization": 0.3, "epochs": 20},
        {"embedding_size": 32, "regularization": 1.0, "epochs": 20},
    )

    def memory(self, ratings: Ratings) -> float:
        """Factors."""
        return 64.0 * 16 * (ratings.n_items + ratings.n_users)


class _Ranks(_LensKit, RankingPeer):
    """Implicit feedback: everything on the list."""

    def rows(self, ratings: Ratings) -> Ratings:
        """All."""
        return ratings

    def score(self, learnt: _Learnt, users: IntArray) -> npt.NDArray[np.float32]:
        """User by user, over all titles."""
        everything = np.arange(learnt.n_items, dtype=np.int32)
        return np.stack([learnt.scores(person, everything) for person in users.tolist()])


class LensKitItemKnnRanking(_Ranks):
    """Item-based neighbours on lists."""

    scorer = ItemKNNScorer
    grid: ClassVar[tuple[Setting, ...]] = (
        {"feedback": "implicit", "max_nbrs": 20},
        {"feedback": "implicit", "max_nbrs": 100},
        {"feedback": "implicit", "max_nbrs": 5},
    )

    def memory(self, ratings: Ratings) -> float:
        """The pairs that anybody listed both, at worst all."""
        return 16.0 * ratings.n_items**2


class LensKitImplicitMf(_Ranks):
    """Factorisation of the lists (Hu, Koren, Volinsky 2008)."""

    scorer = ImplicitMFScorer
    grid: ClassVar[tuple[Setting, ...]] = (
        {"embedding_size": 64},
        {"embedding_size": 32, "weight": 10, "regularization": 1.0},
        {"embedding_size": 64, "weight": 10, "regularization": 5.0},
    )

    def memory(self, ratings: Ratings) -> float:
        """Factors."""
        return 64.0 * 16 * (ratings.n_items + ratings.n_users)


class LensKitEase(_Ranks):
    """EASE (Steck 2019)."""

    scorer = EASEScorer
    grid: ClassVar[tuple[Setting, ...]] = tuple({"regularization": r} for r in (100.0, 300.0, 1000.0))

    def memory(self, ratings: Ratings) -> float:
        """The square over all titles, four times."""
        return 16.0 * ratings.n_items**2


class LensKitSlim(_Ranks):
    """SLIM (Ning, Karypis 2011)."""

    scorer = SLIMScorer
    grid: ClassVar[tuple[Setting, ...]] = (
        {"l1_reg": 1.0, "l2_reg": 1.0},
        {"l1_reg": 2.0, "l2_reg": 20.0},
        {"l1_reg": 5.0, "l2_reg": 20.0},
    )

    def memory(self, ratings: Ratings) -> float:
        """Sparse weights, a few hundred a title."""
        return 16.0 * 1000 * ratings.n_items
