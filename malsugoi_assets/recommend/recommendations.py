"""The list that a person sees: scored by a ranker (`scoring`), cleaned of what nobody wants to be told (`choosing`), with reasons.

Among titles with equal scores, those that nothing on a list speaks for among them, popularity decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from malsugoi_assets.recommend.choosing import Catalogue, Choice, Scores, choose, in_watch_order
from malsugoi_assets.recommend.filters import Masks, allowed
from malsugoi_assets.recommend.franchises import Franchises, learn_franchises
from malsugoi_assets.recommend.people import Person, counting, people
from malsugoi_assets.recommend.ranking import LearntOrder
from malsugoi_assets.recommend.ratings import IntArray
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.scoring import OrderRanker, Ranker, Reason, Scorer, WeightRanker

Predictions = Callable[[pl.DataFrame], pl.Series]
_USERS_AT_A_TIME = 64
"""As many as are scored together: their reasons begin with the same scores, which are then at hand."""
_AT_CHOICE = 400
"""Titles, the best scored, in whose spread the dial to hidden gems turns."""
_ALIKE = 1e-6
"""The range of scores within which they say nothing."""
_WIDER = 5
"""How many times the length is looked at where genres are to vary."""
_MOST_SPREADS = 3.0
"""What sharing all genres takes off at the full `diversity`."""
_SCHEMA = pl.Schema(
    {
        "username": pl.String(),
        "anime_id": pl.Int32(),
        "rank": pl.Int16(),
        "score": pl.Float32(),
        "because": pl.List(pl.Struct({"anime_id": pl.Int32(), "title": pl.String(), "weight": pl.Float32()})),
        "gave_way": pl.String(),
    }
)


class Row(NamedTuple):
    """A place on somebody's list; `because`: anime_id, title and weight each."""

    username: str
    anime_id: int
    rank: int
    score: float
    because: list[dict[str, Any]]
    gave_way: str


class Recommender:
    """What recommending needs beside the lists, made ready once: a list is then answered in milliseconds."""

    def __init__(
        self,
        weights: pl.DataFrame,
        features: pl.DataFrame,
        relations: pl.DataFrame,
        listed: pl.DataFrame,
        ranking: tuple[LearntOrder, IntArray] | None = None,
    ) -> None:
        """`weights`: anime_id, neighbour_id, weight of one method; `features`, `relations`: as the tables.

        `listed`: anime_id, lists (how many hold the title), which is its popularity where the site's is not known;
        `ranking`: the learnt order and its titles, which ranks in place of the weights.
        """
        self.ids = features["anime_id"].sort().to_numpy().astype(np.int32)
        self.franchises = learn_franchises(features, relations, dict(listed.iter_rows()))
        self.ranker: Ranker = OrderRanker(*ranking, self.ids) if ranking else WeightRanker(weights, self.ids)
        self._features = features
        self._masks = Masks(features)
        # Lists of ids alone have no titles of their own.
        self._names = dict(features.select("anime_id", "title").drop_nulls().iter_rows())
        self._by_popularity = np.lexsort((self.ids, -_popularity(features, listed)))

    def titles(self, settings: RecommendationSettings, barred: frozenset[int] = frozenset()) -> Catalogue:
        """What choosing by these settings needs to know of the titles; `barred`: titles that nobody wants."""
        return Catalogue(
            self.ids,
            self._by_popularity,
            allowed(self._masks, settings, self.franchises.recaps, barred),
            self._in_release_order if settings.release_order else self.franchises,
            self._genres if settings.diversity else np.zeros((len(self.ids), 0), dtype=np.float32),
        )

    @cached_property
    def _in_release_order(self) -> Franchises:
        return self.franchises.in_release_order()

    @cached_property
    def _genres(self) -> Scores:
        return _genres(self._features)

    def scorer(self, lists: pl.DataFrame, settings: RecommendationSettings) -> Scorer:
        """What scores the lists by these settings, and gives reasons."""
        return self.ranker.over(counting(lists, settings))

    def everybody(self, lists: pl.DataFrame, settings: RecommendationSettings) -> list[Person]:
        """What each list says about what to recommend, by name."""
        return list(people(lists, self.franchises, settings))

    def recommend(
        self,
        lists: pl.DataFrame,
        predictions: Predictions,
        settings: RecommendationSettings | None = None,
        barred: frozenset[int] = frozenset(),
    ) -> pl.DataFrame:
        """Recommendations of every user with a list row.

        `lists`: username, anime_id, title, score, status. `predictions` is called once, with the chosen
        (username, anime_id). Returns username, anime_id, rank, score, predicted_rating, because, gave_way: `score` is the
        ranker's own, of which the entries in `because` add their weights; `gave_way` names the rule that had to give way
        for the title, '' where none had to. Titles in `barred` are left out for everybody.
        """
        # BLAS on one thread: each list's matrices are small, and threads of its own would wait for each other.
        with threadpool_limits(limits=1):
            rows = list(self.rows(lists, settings or RecommendationSettings(), barred))
        made = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
        predicted = predictions(made.select("username", "anime_id")).cast(pl.Float32).clip(1, 10)
        return made.with_columns(predicted.alias("predicted_rating"))

    def rows(
        self, lists: pl.DataFrame, settings: RecommendationSettings, barred: frozenset[int] = frozenset()
    ) -> Iterator[Row]:
        """As `recommend`, without ratings."""
        titles, scorer = self.titles(settings, barred), self.scorer(lists, settings)
        everybody = self.everybody(lists, settings)
        for start in range(0, len(everybody), _USERS_AT_A_TIME):
            some = everybody[start : start + _USERS_AT_A_TIME]
            scores = scorer.scores([person.username for person in some])
            chosen = [chosen_titles(person, own, titles, settings) for person, own in zip(some, scores, strict=True)]
            asked = [(p.username, [choice.place for choice in own]) for p, own in zip(some, chosen, strict=True)]
            because = scorer.reasons(asked, settings.reasons)
            for person, score, own, reasons in zip(some, scores, chosen, because, strict=True):
                yield from _rows_of(person, score, titles, own, reasons, self._names)


def _rows_of(
    person: Person,
    score: Scores,
    titles: Catalogue,
    chosen: list[Choice],
    because: list[list[Reason]],
    names: dict[int, str],
) -> list[Row]:
    return [
        Row(
            person.username,
            int(titles.ids[choice.place]),
            rank,
            float(score[choice.place]),
            [
                {"anime_id": i, "title": person.listed[i] or names.get(i), "weight": w}
                for i, w in person.worth_naming(reasons)
            ],
            choice.gave_way,
        )
        for rank, (choice, reasons) in enumerate(zip(chosen, because, strict=True), start=1)
    ]


def chosen_titles(person: Person, score: Scores, titles: Catalogue, settings: RecommendationSettings) -> list[Choice]:
    """The person's list by the dial and the diversity of the settings."""
    if not len(titles.ids) or not (settings.gems or settings.diversity):
        return choose(person, score, titles, settings)
    place = np.empty(len(titles.ids), dtype=np.float32)
    place[titles.by_popularity] = -np.log1p(np.arange(len(titles.ids), dtype=np.float32))
    # Over the catalogue scores spread far more than among those that may come to stand on the list.
    best = np.argsort(-score, kind="stable")[:_AT_CHOICE]
    if np.ptp(score[best]) < _ALIKE:
        # Nothing on the list says anything; to turn the dial on nothing would bring up what hardly anybody knows.
        score, best = place, titles.by_popularity[:_AT_CHOICE]
    adjusted = _in_spreads(score, best)
    if settings.gems:
        # By the square: well known titles lie far from the others, so that the first step would turn the whole list over.
        adjusted = adjusted - np.float32(settings.gems * abs(settings.gems)) * _in_spreads(place, best)
    if not settings.diversity:
        return choose(person, adjusted, titles, settings)
    wide = choose(person, adjusted, titles, settings.model_copy(update={"length": _WIDER * settings.length}))
    varied = _varied(wide, adjusted, titles.genres, settings)
    if not settings.next_in_series:
        return varied
    fit = {choice.place: choice for choice in varied if not choice.gave_way}
    ordered = [fit[place] for place in in_watch_order(iter(fit), titles)]
    return ordered + [choice for choice in varied if choice.gave_way]


def _varied(wide: list[Choice], score: Scores, genres: Scores, settings: RecommendationSettings) -> list[Choice]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998): each place goes to the best score less likeness.

    Likeness is the largest cosine of the genres to a title before it. What a rule gave way for stays behind.
    """
    fit = [choice for choice in wide if not choice.gave_way]
    if not fit:
        return wide[: settings.length]
    chosen: list[Choice] = []
    likeness = np.zeros(len(fit), dtype=np.float32)
    places = np.array([choice.place for choice in fit], dtype=np.int64)
    left = np.ones(len(fit), dtype=np.bool_)
    own = _in_spreads(score, places)[places]
    while left.any() and len(chosen) < settings.length:
        worth = np.where(left, own - np.float32(_MOST_SPREADS * settings.diversity) * likeness, -np.inf)
        best = int(worth.argmax())
        left[best] = False
        chosen.append(fit[best])
        likeness = np.maximum(likeness, genres[places] @ genres[places[best]])
    return (chosen + [choice for choice in wide if choice.gave_way])[: settings.length]


def _in_spreads(values: Scores, among: npt.NDArray[np.int64]) -> Scores:
    """The values in the mean and the spread of those `among` them."""
    some = values[among]
    return np.asarray((values - some.mean()) / (some.std() + 1e-9), dtype=np.float32)


def _popularity(features: pl.DataFrame, listed: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Members on the site where known; where not, as many as the title's lists with us let expect."""
    both = features.sort("anime_id").select("anime_id", "members").join(listed, on="anime_id", how="left")
    both = both.sort("anime_id").with_columns(
        pl.col("members").cast(pl.Float64), pl.col("lists").cast(pl.Float64).fill_null(0)
    )
    known = both.drop_nulls("members").sum()
    a_list = (known["members"].item() or 0) / (known["lists"].item() or 1) or 1.0
    return (both["members"].fill_null(both["lists"] * a_list) + both["lists"] * 1e-3).to_numpy()


def _genres(features: pl.DataFrame) -> Scores:
    """Which genres a title has, rows of length 1 (0 where none is known)."""
    ordered = features.sort("anime_id")["genres"].to_list()
    names = sorted({genre for known in ordered for genre in known or ()})
    number = {name: place for place, name in enumerate(names)}
    found = np.zeros((len(ordered), len(names)), dtype=np.float32)
    for row, known in enumerate(ordered):
        found[row, [number[genre] for genre in known or ()]] = 1
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9), dtype=np.float32)
