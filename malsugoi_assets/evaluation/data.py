"""Every row of a ratings file as arrays, with its titles: what protocols choose from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.evaluation.draws import Draws, name_draws, pair_draws
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EvaluationRows:
    """All rows in the file's order, duplicates included.

    `user`, `item`: int32 indexes into the sorted `usernames` and `keys` (titles, or ids, as the file names them);
    `anime`: int32 id of each row's title (several keys may share one); `rating`: float32, NaN = listed, not rated.
    """

    user: IntArray
    item: IntArray
    anime: IntArray
    rating: FloatArray
    usernames: pl.Series
    keys: pl.Series
    items: Items

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_users(self) -> int:
        """How many users the file has."""
        return len(self.usernames)

    @property
    def n_items(self) -> int:
        """How many titles the file has."""
        return len(self.keys)

    @cached_property
    def pair(self) -> Positions:
        """One number a (user, item)."""
        return self.user.astype(np.int64) * self.n_items + self.item

    @cached_property
    def pair_by_id(self) -> Positions:
        """One number a (user, anime)."""
        ids = np.unique(self.anime)
        return self.user.astype(np.int64) * len(ids) + np.searchsorted(ids, self.anime)

    @cached_property
    def last_of_pair(self) -> Mask:
        """Which rows are the last of their (user, item)."""
        last = np.zeros(len(self), dtype=np.bool_)
        _, place = np.unique(self.pair[::-1], return_index=True)
        last[len(self) - 1 - place] = True
        return last

    def draw(self, seed: int) -> Draws:
        """A number a row from the hash of username, key and seed: the same in every order and on every machine."""
        return pair_draws(name_draws(self.usernames, seed), self.user, name_draws(self.keys, seed), self.item)

    def user_draw(self, seed: int) -> Draws:
        """A number a user from the hash of username and seed."""
        return name_draws(self.usernames, seed)

    def repeats(self, targets: Positions) -> Mask:
        """Rows with the same user and title, also by id, as one of the targets (themselves included)."""
        return np.isin(self.pair, self.pair[targets]) | np.isin(self.pair_by_id, self.pair_by_id[targets])

    def ratings(self, chosen: Mask) -> Ratings:
        """The chosen rows as `Ratings`, one a (user, item), the last of the file, in the order of user and item."""
        rows = np.flatnonzero(chosen)
        _, place = np.unique(self.pair[rows][::-1], return_index=True)
        rows = rows[len(rows) - 1 - place]
        return Ratings(self.user[rows], self.item[rows], self.rating[rows], self.n_users, self.n_items)


def evaluation_rows(rows: pl.DataFrame, catalogue: pl.DataFrame, relations: pl.DataFrame) -> EvaluationRows:
    """From frames: `rows` (username, item, anime_id, score), `catalogue` (a row an item: anime_features, key, names)."""
    usernames = rows["username"].unique().sort()
    features = catalogue.drop("key", "names")
    items = Items(features["anime_id"].to_numpy(), features, catalogue["names"].to_list(), relations)
    return EvaluationRows(
        usernames.search_sorted(rows["username"]).to_numpy().astype(np.int32),
        rows["item"].to_numpy().astype(np.int32),
        rows["anime_id"].to_numpy().astype(np.int32),
        rows["score"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        usernames,
        catalogue["key"],
        items,
    )
