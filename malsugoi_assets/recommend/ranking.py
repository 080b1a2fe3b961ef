"""`ranking`: the order of the recommendations, learnt from what users turned out to like.

Some of each user's ratings are hidden, every score of `ranking_scores` is learnt from what is left, and a small network
learns to put what was hidden and liked (rated 8 or more) before the user's other candidates:

    minimise  - Σ_u Σ_{i hidden and liked} log softmax_i(f(x_u·)) / √n_u

(the listwise loss of Cao et al. 2007, "ListNet", n_u = a user's hidden liked titles; the root keeps long lists from
drowning the others). x_ui holds the scores, standardised over the user's titles, each score's place among the
candidates, and numbers of the title and the user. For ranking the scores are learnt again from all that is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ranking_scores import LIKED_FROM, SCORES, ListScores
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

_USERS_AT_A_TIME = 64
# The scores whose sum picks the candidates, with their weights.
_PICKS = {
    "ease, liked titles counted twice": 1.0,
    "slim, liked titles counted half more": 1.0,
    "co-listing cosine": 0.3,
}
Matrix = npt.NDArray[np.float32]


class RankingSettings(BaseModel):
    """How the order is learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hides: int = Field(
        2, ge=1, le=10, description="Times that ratings are hidden and everything is learnt from the rest."
    )
    hidden_share: float = Field(0.2, gt=0, lt=1, description="Share of a user's ratings that is hidden.")
    least_ratings: int = Field(8, ge=2, description="Ratings below which nothing of a user is hidden.")
    candidates: int = Field(
        400, ge=1, description="Titles a user that the network orders; the rest stays behind them."
    )
    width: int = Field(64, ge=2, description="Width of the network's first layer; the second has half of it.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Share of the network's inner values left out in training.")
    decay: float = Field(0.1, ge=0, description="Weight decay.")
    rate: float = Field(3e-3, gt=0, description="Largest learning rate of the one-cycle schedule.")
    epochs: int = Field(12, ge=1, description="Times that the network sees every user.")
    members: int = Field(3, ge=1, le=16, description="Networks whose mean ranks.")
    users_a_batch: int = Field(16, ge=1, description="Users a step of training.")


@dataclass(frozen=True)
class _Candidates:
    """`item`: int64 (users, candidates), -1 where there are fewer; `inputs`: float32 (users, candidates, columns)."""

    item: npt.NDArray[np.int64]
    inputs: Matrix


class Ranking:
    """The model `ranking`: fits scores and network; ranks users of the fitted ratings."""

    def __init__(self, seed: int = 0, settings: RankingSettings | None = None) -> None:
        self.settings = settings or RankingSettings()
        self.seed = seed
        self._known: ListScores | None = None

    def fit(self, ratings: Ratings, items: Items) -> Self:
        """Learn from the rows of `ratings`. Raises ValueError where no user has enough liked ratings to hide one."""
        inputs: list[Matrix] = []
        liked: list[npt.NDArray[np.bool_]] = []
        for number in range(self.settings.hides):
            hidden = hide(ratings, self.settings, np.random.default_rng((self.seed, number)))
            wanted = ratings.take(hidden & (np.nan_to_num(ratings.rating) >= LIKED_FROM)).listed_matrix
            users = np.flatnonzero(np.diff(wanted.indptr)).astype(np.int32)
            if not len(users):
                continue
            scores = ListScores().fit(ratings.take(~hidden), items)
            for block in _blocks(users):
                found = _candidates(scores, block, self.settings.candidates)
                wins = np.stack([np.isin(i, wanted[u].indices) for u, i in zip(block, found.item, strict=True)])
                can_learn = wins.any(axis=1)
                inputs.append(found.inputs[can_learn])
                liked.append(wins[can_learn])
        if not sum(map(len, inputs)):
            raise ValueError(
                f"no order can be learnt: no user has {self.settings.least_ratings} ratings with a liked one to hide"
            )
        self._learn(np.concatenate(inputs), np.concatenate(liked))
        self._known = ListScores().fit(ratings, items)
        return self

    def scores(self, users: IntArray) -> FloatArray:
        """Float32 (len(users), n_items): the candidates by the network, before the rest by the scores that pick them."""
        if self._known is None:
            raise RuntimeError("fit() comes before scores()")
        empty = np.empty((0, self._known.n_items), dtype=np.float32)
        return np.concatenate([empty, *(self._scores_of(self._known, some) for some in _blocks(users))])

    def _scores_of(self, known: ListScores, users: IntArray) -> FloatArray:
        standard = _standardised(known.of(users), known.listed[users].toarray() == 0)
        picked = _picks(standard)
        result = picked - picked.max(axis=1, keepdims=True) - 1
        found = _candidates(known, users, self.settings.candidates, standard)
        order = self._predict(found.inputs)
        there = found.item >= 0
        order -= np.where(there, order, np.inf).min(axis=1, keepdims=True)
        result[np.repeat(np.arange(len(users)), there.sum(axis=1)), found.item[there]] = order[there]
        return np.asarray(result, dtype=np.float32)

    def _learn(self, inputs: Matrix, liked: npt.NDArray[np.bool_]) -> None:
        import torch

        from malsugoi_assets.recommend.training import seeded

        settings = self.settings
        flat = inputs.reshape(-1, inputs.shape[-1])
        self._mean, self._spread = flat.mean(axis=0), flat.std(axis=0) + np.float32(1e-6)
        x = torch.from_numpy((inputs - self._mean) / self._spread)
        y = torch.from_numpy(liked.astype(np.float32))
        steps = settings.epochs * -(-len(x) // settings.users_a_batch)
        self._networks: list[Any] = []
        for member in range(settings.members):
            with seeded(self.seed * 1_000 + member, "cpu") as generator:
                network = _network(inputs.shape[-1], settings)
                optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
                schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=max(steps, 2))
                for _ in range(settings.epochs):
                    for rows in torch.split(torch.randperm(len(x), generator=generator), settings.users_a_batch):
                        likely = torch.log_softmax(network(x[rows])[..., 0], dim=1)
                        loss = -((likely * y[rows]).sum(1) / y[rows].sum(1).sqrt()).mean()
                        optimizer.zero_grad(set_to_none=True)
                        loss.backward()  # type: ignore[no-untyped-call]
                        optimizer.step()
                        schedule.step()
            self._networks.append(network.eval())

    def _predict(self, inputs: Matrix) -> Matrix:
        import torch

        x = torch.from_numpy((inputs - self._mean) / self._spread)
        with torch.no_grad():
            found = torch.stack([network(x)[..., 0] for network in self._networks]).mean(0)
        return np.asarray(found.numpy(), dtype=np.float32)


def hide(ratings: Ratings, settings: RankingSettings, random: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Mask over the rows: the share (rounded down) of each user's rated rows that is hidden."""
    rated = np.flatnonzero(ratings.is_rated)
    user = ratings.user[rated]
    count = np.bincount(user, minlength=ratings.n_users)
    order = np.lexsort((random.random(len(rated)), user))
    place = np.empty(len(rated), dtype=np.int64)
    place[order] = np.arange(len(rated)) - np.searchsorted(user[order], user[order])
    chosen = (place < np.floor(count[user] * settings.hidden_share)) & (count[user] >= settings.least_ratings)
    hidden = np.zeros(len(ratings), dtype=np.bool_)
    hidden[rated[chosen]] = True
    return hidden


def _blocks(users: IntArray) -> list[IntArray]:
    return [users[start : start + _USERS_AT_A_TIME] for start in range(0, len(users), _USERS_AT_A_TIME)]


def _standardised(scores: Matrix, free: npt.NDArray[np.bool_]) -> Matrix:
    """Each score with mean 0 and spread 1 over the user's free titles, cut to -5 … 30; -inf for the others."""
    count = np.maximum(free.sum(axis=1), 1)[:, None, None]
    mask = free[:, :, None]
    mean = np.where(mask, scores, 0).sum(axis=1, keepdims=True) / count
    spread = np.sqrt(np.where(mask, (scores - mean) ** 2, 0).sum(axis=1, keepdims=True) / count) + 1e-6
    return np.where(mask, np.clip((scores - mean) / spread, -5, 30), -np.inf).astype(np.float32)


def _picks(standard: Matrix) -> Matrix:
    """What picks the candidates: (users, n_items)."""
    finite = np.where(np.isfinite(standard), standard, -5)
    picked = sum(weight * finite[:, :, SCORES.index(score)] for score, weight in _PICKS.items())
    return np.asarray(picked, dtype=np.float32)


def _candidates(scores: ListScores, users: IntArray, most: int, standard: Matrix | None = None) -> _Candidates:
    """The candidates of some users, and what the network sees of them."""
    if standard is None:
        standard = _standardised(scores.of(users), scores.listed[users].toarray() == 0)
    free = np.isfinite(standard[:, :, 0])
    picked = np.where(free, _picks(standard), -np.inf)
    most = min(most, scores.n_items)
    item = np.sort(np.argsort(-picked, axis=1, kind="stable")[:, :most], axis=1)
    there = np.take_along_axis(free, item, axis=1)
    chosen = np.take_along_axis(standard, item[:, :, None], axis=1)
    chosen[~there] = -5
    place = np.argsort(np.argsort(-chosen, axis=1, kind="stable"), axis=1).astype(np.float32) / most
    people = np.broadcast_to(scores.user_numbers[users][:, None], (*item.shape, scores.user_numbers.shape[1]))
    inputs = np.concatenate([chosen, place, scores.title_numbers[item], people], axis=2)
    return _Candidates(np.where(there, item, -1), inputs.astype(np.float32))


def _network(columns: int, settings: RankingSettings) -> Any:
    from torch import nn

    half = settings.width // 2
    return nn.Sequential(
        nn.Linear(columns, settings.width),
        nn.SiLU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.width, half),
        nn.SiLU(),
        nn.Dropout(settings.dropout),
        nn.Linear(half, 1),
    )
