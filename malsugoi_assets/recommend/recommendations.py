"""The list that a person sees: scored by the ranking weights, cleaned of what nobody wants to be told, with reasons.

score(u, i) = Σ over u's list of weight(i, j). What the weights do not reach is filled up by popularity.
In this order titles drop out: those on the list; untitled and adult ones; those of a franchise that the user dropped
or scored low; what needs something unseen (the franchise's entry point is offered in its place); what exceeds the
number a franchise. Where that leaves too few, the number a franchise gives way; the other rules never do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from malsugoi_assets.recommend.franchises import Franchises, learn_franchises
from malsugoi_assets.recommend.ratings import IntArray
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings

Predictions = Callable[[pl.DataFrame], pl.Series]
_USERS_AT_A_TIME = 256
_SEEN = {"completed", "watching", "on_hold", None}
_SCHEMA = pl.Schema(
    {
        "username": pl.String(),
        "anime_id": pl.Int32(),
        "rank": pl.Int16(),
        "score": pl.Float32(),
        "because": pl.List(pl.Struct({"anime_id": pl.Int32(), "title": pl.String(), "weight": pl.Float32()})),
    }
)


@dataclass(frozen=True)
class _Person:
    """What one user's list says: the listed titles, those seen, those planned, and the franchises to leave alone."""

    username: str
    listed: dict[int, str]
    seen: set[int]
    planned: set[int]
    shunned: set[int]


class Recommender:
    """What recommending needs beside the lists, made ready once: a list is then answered in milliseconds."""

    def __init__(
        self, weights: pl.DataFrame, features: pl.DataFrame, relations: pl.DataFrame, listed: pl.DataFrame
    ) -> None:
        """`weights`: anime_id, neighbour_id, weight of one method; `features`, `relations`: as the tables.

        `listed`: anime_id, lists (how many hold the title), which is its popularity where the site's is not known.
        """
        self.ids = features["anime_id"].sort().to_numpy().astype(np.int32)
        self.franchises = learn_franchises(features, relations)
        self._columns = _weight_matrix(weights, self.ids)
        self._rows = self._columns.tocsr()
        self._features = features
        self._by_popularity = np.lexsort((self.ids, -_popularity(features, listed)))

    def recommend(
        self, lists: pl.DataFrame, predictions: Predictions, settings: RecommendationSettings | None = None
    ) -> pl.DataFrame:
        """Recommendations of every user with a list row: username, anime_id, rank, score, predicted_rating, because.

        `lists`: username, anime_id, title, score, status. `predictions` is called once, with the chosen
        (username, anime_id).
        """
        settings = settings or RecommendationSettings()
        ids, allowed = self.ids, _allowed(self._features, settings)
        rows: list[tuple[object, ...]] = []
        people = list(_people(lists, self.franchises, settings))
        for start in range(0, len(people), _USERS_AT_A_TIME):
            some = people[start : start + _USERS_AT_A_TIME]
            scores = (_membership(some, ids) @ self._rows).toarray()
            for person, score in zip(some, scores, strict=True):
                chosen = _choose(person, score, ids, allowed, self._by_popularity, self.franchises, settings)
                for rank, place in enumerate(chosen, start=1):
                    because = _reasons(person, place, ids, self._columns, settings)
                    rows.append((person.username, int(ids[place]), rank, float(score[place]), because))
        chosen_rows = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
        predicted = predictions(chosen_rows.select("username", "anime_id")).cast(pl.Float32).clip(1, 10)
        return chosen_rows.with_columns(predicted.alias("predicted_rating"))


def recommend(
    lists: pl.DataFrame,
    weights: pl.DataFrame,
    features: pl.DataFrame,
    relations: pl.DataFrame,
    predictions: Predictions,
    settings: RecommendationSettings | None = None,
) -> pl.DataFrame:
    """`Recommender.recommend` for all lists at once; their own rows are what `listed` counts."""
    listed = lists.group_by("anime_id").len("lists")
    return Recommender(weights, features, relations, listed).recommend(lists, predictions, settings)


def _people(lists: pl.DataFrame, franchises: Franchises, settings: RecommendationSettings) -> Iterator[_Person]:
    columns = lists.sort("username", "anime_id").select("username", "anime_id", "title", "score", "status")
    for (username,), rows in columns.group_by("username", maintain_order=True):
        listed, seen, planned, shunned = {}, set(), set(), set()
        for _, anime_id, title, score, status in rows.iter_rows():
            listed[anime_id] = title
            if status == "plan_to_watch" and score is None:
                planned.add(anime_id)
            elif status in _SEEN or score is not None:
                seen.add(anime_id)
            if status == "dropped" or (score is not None and score <= settings.low_score):
                shunned.add(franchises.franchise(anime_id))
        yield _Person(str(username), listed, seen, planned, shunned)


def _choose(
    person: _Person,
    score: npt.NDArray[np.float32],
    ids: IntArray,
    allowed: npt.NDArray[np.bool_],
    by_popularity: npt.NDArray[np.int64],
    franchises: Franchises,
    settings: RecommendationSettings,
) -> list[int]:
    """Places in `ids`, the best first; `by_popularity`: all places, the most popular first."""
    # Popularity decides among equals, those without weights among them.
    order = by_popularity[np.argsort(-np.round(score[by_popularity], 9), kind="stable")]
    barred = set(person.listed) - (person.planned if settings.planned else set())
    offered: set[int] = set()
    per_franchise: Counter[int] = Counter()
    chosen: list[int] = []
    spare: list[int] = []
    for place in order:
        if len(chosen) == settings.length:
            break
        title = int(ids[place])
        if not franchises.is_open_to(title, person.seen):
            entry = franchises.entry_point(title, person.seen)
            found = np.searchsorted(ids, entry) if entry is not None else len(ids)
            if entry is None or found == len(ids) or ids[found] != entry:
                continue
            title, place = entry, found
        franchise = franchises.franchise(title)
        if title in offered or title in barred or not allowed[place] or franchise in person.shunned:
            continue
        offered.add(title)
        per_franchise[franchise] += 1
        (chosen if per_franchise[franchise] <= settings.per_franchise else spare).append(int(place))
    chosen += spare[: settings.length - len(chosen)]
    chosen_places = np.array(chosen, dtype=np.int64)
    return [int(place) for place in order[np.flatnonzero(np.isin(order, chosen_places))]]


def _reasons(
    person: _Person, place: int, ids: IntArray, matrix: sp.csc_matrix, settings: RecommendationSettings
) -> list[dict[str, object]]:
    """The list's entries that added most to the title's score."""
    first, last = matrix.indptr[place], matrix.indptr[place + 1]
    added = [
        (float(weight), int(ids[row]))
        for row, weight in zip(matrix.indices[first:last], matrix.data[first:last], strict=True)
        if weight > 0 and int(ids[row]) in person.listed and int(ids[row]) not in person.planned
    ]
    strongest = sorted(added, key=lambda pair: (-pair[0], pair[1]))[: settings.reasons]
    return [{"anime_id": i, "title": person.listed[i], "weight": w} for w, i in strongest]


def _weight_matrix(weights: pl.DataFrame, ids: IntArray) -> sp.csc_matrix:
    """CSC float32 (titles, titles): row = neighbour on the list, column = scored title."""
    pairs = weights.filter(pl.col("anime_id").is_in(ids.tolist()) & pl.col("neighbour_id").is_in(ids.tolist()))
    row = np.searchsorted(ids, pairs["neighbour_id"].to_numpy())
    column = np.searchsorted(ids, pairs["anime_id"].to_numpy())
    return sp.csc_matrix((pairs["weight"].to_numpy(), (row, column)), shape=(len(ids), len(ids)), dtype=np.float32)


def _membership(people: list[_Person], ids: IntArray) -> sp.csr_matrix:
    """CSR float32 (people, titles): 1 for what is on the list and not merely planned."""
    pairs = [
        (row, title) for row, person in enumerate(people) for title in person.listed if title not in person.planned
    ]
    row = np.array([pair[0] for pair in pairs], dtype=np.int64)
    title = np.array([pair[1] for pair in pairs], dtype=np.int64)
    place = np.searchsorted(ids, title)
    known = (place < len(ids)) & (ids[np.minimum(place, len(ids) - 1)] == title)
    ones = np.ones(int(known.sum()), dtype=np.float32)
    return sp.csr_matrix((ones, (row[known], place[known])), shape=(len(people), len(ids)))


def _allowed(features: pl.DataFrame, settings: RecommendationSettings) -> npt.NDArray[np.bool_]:
    aired = pl.col("status").str.to_lowercase().str.starts_with("not yet").fill_null(False)
    adult = pl.col("age_rating").str.starts_with("Rx").fill_null(False) | pl.col("genres").list.contains(
        "Hentai"
    ).fill_null(False)
    fit = pl.col("title").is_not_null() & ~aired & (pl.lit(settings.adult) | ~adult)
    return features.sort("anime_id").select(fit.alias("fit"))["fit"].to_numpy().astype(np.bool_)


def _popularity(features: pl.DataFrame, listed: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Members on the site where known; how many lists hold the title where not. One entry a title, by id."""
    both = features.select("anime_id", "members").join(listed, on="anime_id", how="left")
    both = both.sort("anime_id").with_columns(pl.col("members", "lists").fill_null(0).cast(pl.Float64))
    return (both["members"] + both["lists"] * 1e-3).to_numpy()
