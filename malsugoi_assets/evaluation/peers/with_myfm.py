"""Peer from myFM: a Bayesian factorisation machine with the titles' features, by Gibbs sampling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import myfm
import myfm.base
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.evaluation.peers.peer import RatingPeer, Setting
from malsugoi_assets.recommend.content import encode, learn_code
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import IntArray, Ratings

# Its progress bar cannot be switched off from outside.
myfm.base.tqdm = partial(myfm.base.tqdm, disable=True)


@dataclass(frozen=True)
class _Learnt:
    model: Any
    users: sp.csr_matrix
    titles: sp.csr_matrix

    def blocks(self, user: IntArray, item: IntArray) -> list[Any]:
        """What myFM calls relation blocks: each user's and each title's features once."""
        people, person = np.unique(user, return_inverse=True)
        named, title = np.unique(item, return_inverse=True)
        return [
            myfm.RelationBlock(person.tolist(), self.users[people]),
            myfm.RelationBlock(title.tolist(), self.titles[named]),
        ]


class MyFm(RatingPeer):
    """User, title, the title's content and, by setting, the user's list (as SVD++ has it)."""

    grid: ClassVar[tuple[Setting, ...]] = (
        {"rank": 20, "lists": False},
        {"rank": 40, "lists": False},
        {"rank": 20, "lists": True},
    )
    iterations: ClassVar[int] = 300
    kept: ClassVar[int] = 250

    def learn(self, ratings: Ratings, items: Items, setting: Setting) -> _Learnt:
        """Sample on the rated rows; the lists hold the unrated ones too."""
        content = sp.csr_matrix(encode(items, learn_code(items)).matrix.astype(np.float64))
        titles = sp.hstack([sp.identity(ratings.n_items, format="csr"), content], format="csr")
        shapes = [ratings.n_users, ratings.n_items, content.shape[1]]
        users = sp.identity(ratings.n_users, format="csr")
        if setting["lists"]:
            length = np.maximum(np.diff(ratings.listed_matrix.indptr), 1)
            listed = sp.diags(length**-0.5) @ ratings.listed_matrix.astype(np.float64)
            users = sp.hstack([users, listed], format="csr")
            shapes.insert(1, ratings.n_items)
        learnt = _Learnt(myfm.MyFMRegressor(rank=setting["rank"], random_seed=self.seed), users, titles)
        rated = ratings.rated
        learnt.model.fit(
            None,
            rated.rating.astype(np.float64),
            X_rel=learnt.blocks(rated.user, rated.item),
            group_shapes=shapes,
            n_iter=self.iterations,
            n_kept_samples=self.kept,
        )
        return learnt

    def answer(self, learnt: _Learnt, user: IntArray, item: IntArray) -> npt.NDArray[np.float64]:
        """The mean over the kept samples."""
        return np.asarray(learnt.model.predict(None, learnt.blocks(user, item)))

    def memory(self, ratings: Ratings) -> float:
        """All kept samples' factors of eight bytes, at the larger rank."""
        return 8.0 * 41 * self.kept * (2 * ratings.n_items + ratings.n_users)
