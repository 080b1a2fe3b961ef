"""Recommendations by settings of one's own, made on the spot from what is stored; and why a title is on them or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.reports import known_user, meant_title, published_file
from malsugoi_assets.mal.records import ListEntry
from malsugoi_assets.recommend.choosing import UNSEEN_BEFORE, Catalogue, verdict
from malsugoi_assets.recommend.filters import unknown_word, words_of
from malsugoi_assets.recommend.people import Person as Listed
from malsugoi_assets.recommend.people import counting, people, with_seen
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_assets.recommend.scoring import preferred_method
from malsugoi_assets.recommend.short_lists import at_fault, without_effect
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.marks import Marks, MarksError
from malsugoi_assets.warehouse.registered import ForeignFileError, registered_file
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.people import OwnList, Person, list_frame
from malsugoi_assets.web.published import Parts, Published
from malsugoi_assets.web.ranking_tables import lists_a_title, methods_of, weights_of
from malsugoi_assets.web.recommending import expected_values, worth_objecting
from malsugoi_assets.web.sessions import Lru

_LOOKED_AT = 1_000
"""How far down the list `explain` says a title's place."""


@dataclass(frozen=True)
class _Stored:
    """What one user's recommendations are made of: the list with the marks, the models, and how they rank in words."""

    username: str
    lists: pl.DataFrame
    features: pl.DataFrame
    recommender: Recommender
    barred: frozenset[int]
    ranked_by: str


class Made(NamedTuple):
    """Recommendations in the columns of the table, with `title` and `gave_way`; and what to say of the settings."""

    rows: list[dict[str, Any]]
    told: list[str]


def make_recommendations(settings: Settings, username: str, wanted: RecommendationSettings) -> Made:
    """By `wanted`. Raises `UserError`."""
    state = Published(published_file(settings))
    stored = _read(settings, state, username)
    return _recommended(stored, _ratings(settings, state, _person(state, stored)), wanted)


def recommend_list(
    settings: Settings, username: str, entries: Iterable[ListEntry], wanted: RecommendationSettings
) -> Made:
    """As `make_recommendations`, for a list that is at hand and stored nowhere; rated by `cf`. Raises `UserError`."""
    state = Published(published_file(settings))
    rows = ((username, e.anime_id, e.title or "", e.score, e.status) for e in entries)
    stored = _with_models(settings, state, username, list_frame(rows))
    return _recommended(stored, _ratings(settings, state, _person(state, stored, is_user=False)), wanted)


def refuse_unknown_words(settings: Settings, wanted: RecommendationSettings) -> None:
    """`UserError` where a filter names what no title of the data dir is; before anything is asked of a site."""
    _refuse_unknown_words(_features(Published(published_file(settings))), wanted)


def has_marks(settings: Settings, username: str) -> bool:
    """Whether the user said anything of titles, which the published list does not know."""
    state = Published(published_file(settings))
    return bool(_marks(settings, known_user(settings, state.rows, username)))


def mark_title(settings: Settings, username: str, title: str, mark: Any) -> tuple[str, str]:
    """Set a mark (None takes it away); the user and the title by their full names. Raises `UserError`."""
    state = Published(published_file(settings))
    known = known_user(settings, state.rows, username, needs_list=False)
    anime_id, name = _meant(_features(state), title)
    try:
        Marks(settings.root).put(known, anime_id, mark)
    except (MarksError, OSError) as error:
        raise UserError(str(error)) from error
    return known, name


def explain_title(settings: Settings, username: str, title: str, wanted: RecommendationSettings) -> dict[str, Any]:
    """Why a title is, or is not, on the user's list.

    `why_not`: the first rule that keeps it off, '' where none does; `place`: where it would stand if the list were long
    enough, None where a rule keeps it off; `listed`: whether the list has it; `score`, `predicted_rating`; `because`, `though`: entries of the list that
    add to the score, and that were liked less than most and take from it. Raises `UserError`.
    """
    state = Published(published_file(settings))
    stored = _read(settings, state, username)
    _refuse_unknown_words(stored.features, wanted)
    anime_id, name = _meant(stored.features, title)
    long = wanted.model_copy(update={"length": _LOOKED_AT, "reasons": 0})
    listed = stored.recommender.recommend(
        stored.lists, lambda pairs: pl.Series([7.0] * pairs.height), long, stored.barred
    ).filter(gave_way="")
    place = listed.filter(pl.col("anime_id") == anime_id)["rank"]
    titles = stored.recommender.titles(wanted, stored.barred)
    (person,) = people(stored.lists, titles.franchises, wanted)
    scorer = stored.recommender.ranker.over(counting(stored.lists, wanted))
    at = titles.place(anime_id)
    asked = [(stored.username, [at] if at is not None else [])]
    whole = _person(state, stored)
    [adding], [taking] = scorer.reasons(asked, wanted.reasons), scorer.objections(asked, wanted.reasons)
    because = [person.worth_naming(entries) for entries in adding]
    though = [worth_objecting(whole, *sides) for sides in zip(because, taking, strict=True)]
    why_not = verdict(person, anime_id, titles, wanted)
    if why_not == UNSEEN_BEFORE:
        why_not = _what_comes_first(stored, person, titles, anime_id) or why_not
    elif not why_not and not len(place):
        why_not = _what_stands_before(stored, listed, anime_id)
    elif not why_not and place[0] > wanted.length:
        why_not = f"{place[0] - 1} titles stand before it, and the list has {wanted.length}"
    return {
        "username": stored.username,
        "anime_id": anime_id,
        "title": name,
        "why_not": why_not,
        "listed": anime_id in person.listed,
        "place": int(place[0]) if len(place) else None,
        "score": float(scorer.scores([stored.username])[0, at]) if at is not None else None,
        "predicted_rating": _ratings(settings, state, whole)([anime_id])[0],
        "ranked_by": stored.ranked_by,
        "because": _entries(stored, [because]),
        "though": _entries(stored, [though]),
    }


def _what_comes_first(stored: _Stored, person: Listed, titles: Catalogue, anime_id: int) -> str:
    """With which title to begin; '' where that has no name here."""
    first = titles.franchises.entry_point(anime_id, person.seen, person.passed)
    named = stored.features.filter(pl.col("anime_id") == first)["title"].drop_nulls()
    return f"{named[0]} comes before it and is not seen yet" if len(named) else ""


def _what_stands_before(stored: _Stored, listed: pl.DataFrame, anime_id: int) -> str:
    """Which title of its franchise takes the place of one that no rule keeps off; else that it is far down."""
    franchises = stored.recommender.franchises
    for other in listed["anime_id"]:
        if franchises.franchise(other) == franchises.franchise(anime_id):
            title = stored.features.filter(pl.col("anime_id") == other)["title"][0]
            return f"{title}, of the same franchise, stands in its place"
    return f"more than {_LOOKED_AT:,} titles stand before it"


def _recommended(stored: _Stored, rate: Callable[[Iterable[int]], pl.Series], wanted: RecommendationSettings) -> Made:
    _refuse_unknown_words(stored.features, wanted)
    made = stored.recommender.recommend(
        stored.lists, lambda pairs: rate(pairs["anime_id"].to_list()), wanted, stored.barred
    )
    titles = stored.features.select("anime_id", "title")
    found = made.join(titles, on="anime_id", how="left", maintain_order="left").to_dicts()
    told = [
        f"--{name.replace('_', '-')} changes nothing: the catalogue does not say it of any title."
        for name in without_effect(stored.features, wanted)
    ]
    return Made(found, told if found else [*told, _why_none(stored, wanted)])


def _why_none(stored: _Stored, wanted: RecommendationSettings) -> str:
    def leaves_some(settings: RecommendationSettings) -> bool:
        short = settings.model_copy(update={"length": 1, "reasons": 0})
        return next(stored.recommender.rows(stored.lists, short, stored.barred), None) is not None

    names, each = at_fault(leaves_some, wanted)
    if not names:
        return f"Nothing is left that could be recommended to {stored.username}."
    options = (" or without " if each else " and ").join(f"--{name.replace('_', '-')}" for name in names)
    return f"No title fits what you asked for; some would without {options}."


def _refuse_unknown_words(features: pl.DataFrame, wanted: RecommendationSettings) -> None:
    """`UserError` with what may have been meant, where a filter names what no title here is."""
    if (found := unknown_word(words_of(features), wanted)) is not None:
        name, word, meant = found
        raise UserError(f"--{name.replace('_', '-')}: no title here is {word}; did you mean {meant}?")


def _entries(stored: _Stored, found: list[list[list[tuple[int, float]]]]) -> list[dict[str, Any]]:
    """Entries of the list with what they add and the user's score."""
    own = {row["anime_id"]: row for row in stored.lists.iter_rows(named=True)}
    names = dict(stored.features.select("anime_id", "title").iter_rows())
    return [
        {"anime_id": i, "title": own[i]["title"] or names.get(i), "weight": weight, "score": own[i]["score"]}
        for by_title in found
        for reasons in by_title
        for i, weight in reasons
    ]


def _read(settings: Settings, state: Published, username: str) -> _Stored:
    known = known_user(settings, state.rows, username)
    columns = ("username", "anime_id", "title", "score", "status")
    return _with_models(settings, state, known, state.table("user_lists", columns, "username = ?", known))


def _with_models(settings: Settings, state: Published, known: str, lists: pl.DataFrame) -> _Stored:
    """`known`: whose list it is; `lists`: its rows under whatever name, which become the user's."""
    marks = _marks(settings, known)
    lists = lists.with_columns(username=pl.lit(known))
    features = _features(state)
    seen = [anime_id for anime_id, mark in marks.items() if mark == "seen"]
    lists = with_seen(lists, features, known, seen)
    ranking, ranked_by = _ranking(settings.root, state)
    method = ""
    if ranking is None:
        methods = methods_of(state)
        if not methods:
            raise UserError(f"nothing is learnt yet in {settings.root}: `malsugoi run` first")
        method = preferred_method(methods)
        ranked_by = f"the weights of {method}: {ranked_by}"
    relations = state.table("anime_relations", TABLES["anime_relations"].column_names)
    barred = frozenset(anime_id for anime_id, mark in marks.items() if mark == "not interested")
    recommender = Recommender(weights_of(state, method), features, relations, lists_a_title(state), ranking)
    return _Stored(known, lists, features, recommender, barred, ranked_by)


def _ranking(root: Path, state: Published) -> tuple[Any, str]:
    """The learnt order and its titles, None where it cannot be had; and what ranks in words."""
    from malsugoi_assets.recommend.ranking_file import load_order
    from malsugoi_assets.recommend.weights import WeightsError

    try:
        path = registered_file(root, state.table("ranking_model", ("path", "sha256")), "ranking_model")
        return (load_order(path), "the learnt order") if path else (None, "no learnt order is there")
    except (ForeignFileError, WeightsError) as error:
        raise UserError(str(error)) from error


def _person(state: Published, stored: _Stored, *, is_user: bool = True) -> Person:
    """The person as the page knows them; `is_user`: of the data dir."""
    batch = state.rows("SELECT user_batch FROM users WHERE username = ?", stored.username) if is_user else []
    return Person(
        stored.username,
        OwnList(stored.lists),
        stored.username,
        stored=is_user,
        batch=batch[0]["user_batch"] if batch else "",
        answers=Lru(8),
    )


def _ratings(settings: Settings, state: Published, person: Person) -> Callable[[Iterable[int]], pl.Series]:
    """What rates titles for the person, as the page does; NULL where nothing can be said."""
    knowledge = Knowledge(state, settings.root, Parts(), Lru(0), None)

    def rate(anime_ids: Iterable[int]) -> pl.Series:
        wanted = list(anime_ids)
        known = expected_values(knowledge, person, wanted)
        return pl.Series([known[i][0] if i in known else None for i in wanted], dtype=pl.Float32)

    return rate


def _features(state: Published) -> pl.DataFrame:
    return state.table("anime_features", TABLES["anime_features"].column_names).sort("anime_id")


def _meant(features: pl.DataFrame, title: str) -> tuple[int, str]:
    """The title that is meant and its name. Raises `UserError` with what may have been meant."""
    anime_id, _ = meant_title(features, title)
    return anime_id, str(features.filter(pl.col("anime_id") == anime_id)["title"][0])


def _marks(settings: Settings, username: str) -> dict[int, Any]:
    try:
        return dict(Marks(settings.root).of(username))
    except MarksError as error:
        raise UserError(str(error)) from error
