"""`ranking`: the order of the recommendations, learnt from what users turned out to like.

Some of each user's ratings are hidden, every score of `list_scores` is learnt from what is left, and a small network
learns to put what was hidden and liked (rated 8 or more) before the user's other candidates (`ranking_network`), and
boosted trees how likely each of them was (`boosting`); what they say is added up. They see
the scores, standardised over the user's titles, what the list says of the title's series, and numbers of the title and
the user. For ranking the scores are learnt
again from all that is known. What is learnt (`LearntOrder`) orders any list, also one that nobody had when it was learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from malsugoi_assets.recommend.boosting import BoostingSettings, Trees, grow_likely
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.likeness import learn_likeness
from malsugoi_assets.recommend.list_scores import LIKED_FROM, SCORES, ListScores, TitleScores
from malsugoi_assets.recommend.lists_without import ListsWithout
from malsugoi_assets.recommend.ranking_network import NetworkSettings, RankingNetwork, learn_network
from malsugoi_assets.recommend.ranking_scores import ScoreSettings, learn_title_scores
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.series import FACTS, learn_series
from malsugoi_assets.recommend.slim import slim_memory_gib

_USERS_AT_A_TIME = 64
# Where the scores of titles lie that are no candidates: what picks them, cut to ± _PICKED, around _BEHIND.
_BEHIND, _PICKED = -200.0, 100.0
NOTHING = _BEHIND
"""The score of every title for a list on which nothing stands."""
# The scores whose sum picks the candidates, with their weights.
_PICKS = {
    "slim, liked titles counted half more": 1.0,
    "co-listing cosine": 0.3,
    "co-listing cosine of liked titles": 0.5,
    "random walk over lists": 0.5,
    "relations to listed titles": 0.2,
}
Matrix = npt.NDArray[np.float32]


class RankingSettings(ScoreSettings, NetworkSettings):
    """How the order is learnt."""

    hides: int = Field(
        3, ge=1, le=10, description="Times that ratings are hidden and everything is learnt from the rest."
    )
    hidden_share: float = Field(0.2, gt=0, lt=1, description="Share of a user's ratings that is hidden.")
    least_ratings: int = Field(8, ge=2, description="Ratings below which nothing of a user is hidden.")
    learners: int = Field(
        3_000, ge=1, description="Users a hide whose hidden titles are learnt from, drawn at random."
    )
    candidates: int = Field(
        400, ge=1, description="Titles a user that the network orders; the rest stays behind them."
    )
    trees: int = Field(200, ge=1, le=5000, description="Trees beside the network.")
    trees_depth: int = Field(4, ge=1, le=8, description="Levels of a tree.")
    trees_rate: float = Field(0.06, gt=0, le=1, description="Share of a tree's answer that is added.")
    trees_penalty: float = Field(20.0, ge=0, description="λ: weight of rows that draw a leaf towards zero.")
    trees_weight: float = Field(0.6, ge=0, description="What the trees' log odds count beside the network's score.")
    unliked_share: float = Field(
        0.35, gt=0, le=1, description="Share of the candidates that were not liked which the trees learn from."
    )
    most_rows: int = Field(
        10_000_000,
        ge=0,
        description="List rows of all users beyond which no order is learnt: the weights rank alone.",
    )
    memory_gib: float = Field(8.0, gt=0, description="Memory that learning may take; checked beforehand.")

    @property
    def boosting(self) -> BoostingSettings:
        """How the trees are grown."""
        return BoostingSettings(
            trees=self.trees,
            depth=self.trees_depth,
            rate=self.trees_rate,
            penalty=self.trees_penalty,
            columns=0.5,
            rows=0.7,
            least_rows=1,
        )


class BriefRankingSettings(RankingSettings):
    """What the pipeline learns by, since a run should not take longer than a person waits."""

    hides: int = Field(
        2, ge=1, le=10, description="Times that ratings are hidden and everything is learnt from the rest."
    )
    learners: int = Field(500, ge=1, description="Users a hide whose hidden titles are learnt from.")
    epochs: int = Field(8, ge=1, description="Times that the network sees every user.")
    members: int = Field(2, ge=1, le=16, description="Networks whose mean ranks.")
    trees: int = Field(120, ge=1, le=5000, description="Trees beside the network.")


class NothingToLearnError(ValueError):
    """No order can be learnt from these lists; the message says why."""


@dataclass(frozen=True)
class LearntOrder:
    """What orders any list: scores of titles, the network, the trees with their weight, and how many titles a user."""

    titles: TitleScores
    network: RankingNetwork
    trees: Trees
    trees_weight: float
    candidates: int

    def scores(self, lists: ListScores, users: IntArray) -> FloatArray:
        """Float32 (len(users), n_items): what network and trees say of the candidates; below -100 the rest, by what picks them.

        Titles on the list come last of all; every value is finite. An empty list gives `NOTHING` to all.
        """
        parts = [np.empty((0, lists.n_items), dtype=np.float32)]
        for start in range(0, len(users), _USERS_AT_A_TIME):
            block = users[start : start + _USERS_AT_A_TIME]
            inputs, item, picked = _inputs(lists, block, self.candidates)
            asked, result = item >= 0, _behind(picked)
            result[np.nonzero(asked)[0], item[asked]] = self._before(inputs[asked])
            result[np.diff(lists.listed.indptr)[block] == 0] = NOTHING
            parts.append(result.astype(np.float32))
        return np.concatenate(parts)

    def without(self, lists: ListScores, user: int) -> ListsWithout:
        """The list of one of the users without single entries, for `scores_without`."""
        return ListsWithout(lists, user, _picks(), self.candidates)

    def scores_without(self, lists: ListsWithout, missing: Sequence[int], item: npt.NDArray[np.int64]) -> FloatArray:
        """As `scores`, of the list without each of its entries in `missing`: float32 (len(missing), len(item)).

        `item`: the titles that matter, each named once.
        """
        found, numbers = lists.describe(missing, item), lists.user_numbers(missing)
        titles = np.broadcast_to(self.titles.numbers[item], (len(missing), *self.titles.numbers[item].shape))
        people = np.broadcast_to(numbers[:, None], (len(missing), len(item), numbers.shape[1]))
        inputs = np.concatenate([found.scores, titles, lists.facts(missing, item), people], axis=2)
        result = _behind(found.picked)
        result[found.is_candidate] = self._before(inputs[found.is_candidate])
        result[lists.lengths(missing) == 0] = NOTHING
        return result.astype(np.float32)

    def _before(self, inputs: Matrix) -> FloatArray:
        """What the candidates score: never less than what is none."""
        scores: FloatArray = np.maximum(self._order(inputs), _BEHIND + _PICKED)
        return scores

    def _order(self, inputs: Matrix) -> FloatArray:
        """Float32 (n,) for inputs (n, columns); higher = earlier."""
        return self.network.of(inputs) + np.float32(self.trees_weight) * self.trees.predict(inputs)


def ranking_memory_gib(n_users: int, n_titles: int, n_rows: int, settings: RankingSettings) -> float:
    """What learning takes at its largest: SLIM's matrix, or what is seen of the learners, four copies."""
    columns = len(SCORES) + len(FACTS) + 24
    shown = (
        settings.hides * min(n_users, settings.learners) * min(settings.candidates, n_titles) * columns * 4 / 2**30
    )
    kept = n_titles * min(settings.neighbours, n_titles) * 8 * len(SCORES) / 2**30
    rows = 200 * n_rows / 2**30
    return rows + 2 * kept + max(slim_memory_gib(min(n_titles, settings.max_titles)), 4 * shown)


def why_no_order(ratings: Ratings, settings: RankingSettings) -> str:
    """In words, why no order is learnt of so much; '' where it is."""
    if len(ratings) > settings.most_rows:
        return f"{len(ratings):,} list rows are more than `most_rows` ({settings.most_rows:,})"
    needed = ranking_memory_gib(ratings.n_users, ratings.n_items, len(ratings), settings)
    if needed > settings.memory_gib:
        return f"it needs {needed:.1f} GiB, `memory_gib` allows {settings.memory_gib:g}"
    return ""


def learn_order(
    ratings: Ratings, items: Items, settings: RankingSettings | None = None, seed: int = 0
) -> LearntOrder:
    """Learn from the rows of `ratings`. Raises `NothingToLearnError` where no user has a liked rating to hide."""
    settings = settings or RankingSettings()
    likeness, series = learn_likeness(items), learn_series(items)
    inputs: list[Matrix] = []
    liked: list[npt.NDArray[np.bool_]] = []
    are_titles: list[npt.NDArray[np.bool_]] = []
    for number in range(settings.hides):
        random = np.random.default_rng((seed, number))
        hidden = hide(ratings, settings, random)
        wanted = ratings.take(hidden & (np.nan_to_num(ratings.rating) >= LIKED_FROM)).listed_matrix
        users = np.flatnonzero(np.diff(wanted.indptr)).astype(np.int32)
        if len(users) > settings.learners:
            users = np.sort(random.choice(users, settings.learners, replace=False))
        if not len(users):
            continue
        left = ratings.take(~hidden)
        lists = ListScores(learn_title_scores(left, items, settings, likeness, series), left)
        for start in range(0, len(users), _USERS_AT_A_TIME):
            block = users[start : start + _USERS_AT_A_TIME]
            shown, item, _ = _inputs(lists, block, settings.candidates)
            won = np.stack([np.isin(i, wanted[u].indices) for u, i in zip(block, item, strict=True)])
            can_learn = won.any(axis=1)
            inputs.append(shown[can_learn])
            liked.append(won[can_learn])
            are_titles.append(item[can_learn] >= 0)
    if not sum(map(len, inputs)):
        raise NothingToLearnError(
            f"no order can be learnt: no user has {settings.least_ratings} ratings with a liked one to hide"
        )
    seen, wins, there = np.concatenate(inputs), np.concatenate(liked), np.concatenate(are_titles)
    some = wins | (np.random.default_rng((seed, settings.hides)).random(wins.shape) < settings.unliked_share)
    some &= there
    # Both need one thread each, and the trees' is compiled code: they grow while the network learns.
    with ThreadPoolExecutor(1) as beside:
        trees = beside.submit(grow_likely, seen[some], wins[some], settings.boosting, seed)
        network = learn_network(seen, wins, settings, seed, there)
        grown = trees.result()
    titles = learn_title_scores(ratings, items, settings, likeness, series)
    return LearntOrder(titles, network, grown, settings.trees_weight, settings.candidates)


def _picks() -> Matrix:
    """The weight of each score in what picks candidates."""
    return np.array([_PICKS.get(name, 0.0) for name in SCORES], dtype=np.float32)


def _behind(picked: Matrix) -> Matrix:
    """What titles score that are no candidates, by what picks them; listed ones (-inf) come last of all."""
    return np.where(np.isfinite(picked), _BEHIND + np.clip(picked, -_PICKED, _PICKED), 2 * _BEHIND)


def _inputs(lists: ListScores, users: IntArray, most: int) -> tuple[Matrix, IntArray, Matrix]:
    """What the network sees (users, candidates, columns), the candidates, and what picked them (users, n_items)."""
    from malsugoi_assets.recommend.candidates import find_candidates  # compiled code takes a moment to load

    free = lists.listed[users].toarray() == 0
    found = find_candidates(lists.of(users), free, _picks(), most)
    numbers = lists.user_numbers[users]
    people = np.broadcast_to(numbers[:, None], (*found.item.shape, numbers.shape[1]))
    seen = [found.scores, lists.titles.numbers[found.item], lists.facts(users, np.maximum(found.item, 0)), people]
    return np.concatenate(seen, axis=2), found.item, found.picked


class Ranking:
    """The model `ranking`: learns the order, and ranks the users of the ratings that it learnt from."""

    def __init__(self, seed: int = 0, settings: RankingSettings | None = None) -> None:
        self.settings = settings or RankingSettings()
        self.seed = seed
        self._learnt: tuple[LearntOrder, ListScores] | None = None

    def fit(self, ratings: Ratings, items: Items) -> Self:
        """As `learn_order`."""
        order = learn_order(ratings, items, self.settings, self.seed)
        self._learnt = order, ListScores(order.titles, ratings)
        return self

    def scores(self, users: IntArray) -> FloatArray:
        """As `LearntOrder.scores`."""
        if self._learnt is None:
            raise RuntimeError("fit() comes before scores()")
        order, lists = self._learnt
        return order.scores(lists, users)


class BriefRanking(Ranking):
    """The model `ranking-brief`: the order as the pipeline learns it."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed, BriefRankingSettings())


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
