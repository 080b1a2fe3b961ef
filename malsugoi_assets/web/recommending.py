"""Recommendations and predicted ratings for one person: the one place where the page asks the models."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from malsugoi_assets.recommend.joint import JointNeighbourhood
from malsugoi_assets.recommend.neighbourhood import PredictionSettings
from malsugoi_assets.recommend.one_list import OneListsRecommender, for_one_list
from malsugoi_assets.recommend.ratings import index_ratings
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.scoring import LEAST_SHARE
from malsugoi_assets.recommend.scoring import Reason as Entry
from malsugoi_assets.recommend.short_lists import GOES_BY_NOTHING, at_fault, goes_by_nothing, without_effect
from malsugoi_assets.web.forms import label_of
from malsugoi_assets.web.knowledge import Knowledge, Rater
from malsugoi_assets.web.people import Person
from malsugoi_assets.web.problems import Problem
from malsugoi_assets.web.records import Rating, Reason, Recommendation, Recommendations, Title

# Half the width of an interval that holds four values in five of a normal distribution, in standard deviations.
_FOUR_IN_FIVE = 1.2816
_REMEMBERED_SCORES = 500
_MOST_OBJECTIONS = 1
_KEPT_REASONS = 2_000
Saying = Callable[[Entry], Reason]


def recommendations(knowledge: Knowledge, person: Person, settings: RecommendationSettings) -> Recommendations:
    """What to watch next. A user's list without settings of their own is the published one."""
    key = (*answer_key(knowledge, person), "list", settings)
    made: Recommendations = person.answers.get(key, lambda: _make(knowledge, person, settings))
    return made


def answer_key(knowledge: Knowledge, person: Person) -> tuple[Hashable, ...]:
    """What an answer for the person depends on, beside the settings: the models, and for a stored user what is published."""
    published = knowledge.published.path if person.stored else None
    return *_models_key(knowledge, person), published, frozenset(person.marks.items())


def _models_key(knowledge: Knowledge, person: Person) -> tuple[Hashable, ...]:
    """What the models say of the list depends on."""
    return person.key, knowledge.key


def _make(knowledge: Knowledge, person: Person, settings: RecommendationSettings) -> Recommendations:
    usual = settings == RecommendationSettings(length=settings.length) and not person.marks
    rows = _published(knowledge, person, settings.length) if person.stored and usual else []
    notes: list[str] = []
    ranked_by = "the last run, which stored this list"
    recommender = _recommender(knowledge, person)
    if not rows:
        if recommender is None or knowledge.ranker is None:
            raise Problem(
                503, "No weights are published yet, so nothing can be ranked.", "Let `malsugoi run` finish first."
            )
        rows = [row._asdict() for row in recommender.rows(person.entries, settings, person.barred)]
        notes = _notes(knowledge, person, recommender, settings, found_any=bool(rows))
        ranked_by = knowledge.ranker.ranked_by
    if goes_by_nothing(rows):
        notes.append(GOES_BY_NOTHING)
    chosen = [row["anime_id"] for row in rows]
    rated = expected(knowledge, person, chosen)
    against = recommender.objections(person.entries, chosen, settings) if recommender else {}
    say = _saying(knowledge, person)
    return Recommendations(
        username=person.name,
        ranked_by=ranked_by,
        items=[
            _item(knowledge, person, say, row, rated.get(row["anime_id"]), against.get(row["anime_id"], []))
            for row in rows
        ],
        notes=notes,
    )


def _notes(
    knowledge: Knowledge,
    person: Person,
    recommender: OneListsRecommender,
    settings: RecommendationSettings,
    *,
    found_any: bool,
) -> list[str]:
    """What the settings' labels make of `recommend.short_lists`."""

    def leaves_some(other: RecommendationSettings) -> bool:
        short = other.model_copy(update={"length": 1, "reasons": 0})
        return next(recommender.rows(person.entries, short, person.barred), None) is not None

    def label(name: str) -> str:
        return f"“{label_of(RecommendationSettings, name)}”"

    notes = [
        f"{label(name)} changes nothing: the catalogue does not say it of any title."
        for name in without_effect(knowledge.features, settings)
    ]
    if found_any:
        return notes
    names, each = at_fault(leaves_some, settings)
    if not names:
        return [*notes, "No title is left that could be recommended."]
    return [
        *notes,
        f"No title fits all of this. Some would without {(' or without ' if each else ' and ').join(map(label, names))}.",
    ]


def _recommender(knowledge: Knowledge, person: Person) -> OneListsRecommender | None:
    """The recommender for the person's list, with what it remembers; None before there are weights."""
    ranker = knowledge.ranker
    if ranker is None:
        return None
    key = (*_models_key(knowledge, person), "recommender")
    found: OneListsRecommender = person.answers.get(key, lambda: for_one_list(ranker.recommender))
    return found


def _published(knowledge: Knowledge, person: Person, length: int) -> list[dict[str, Any]]:
    """The rows of the table, none where they are fewer than are asked for and than were made."""
    rows = knowledge.published.rows(
        "SELECT anime_id, rank, score, predicted_rating, because FROM recommendations "
        "WHERE user_batch = ? AND username = ? ORDER BY rank",
        person.batch,
        person.name,
    )
    return [] if length > max(len(rows), RecommendationSettings().length) else rows[:length]


def expected(knowledge: Knowledge, person: Person, anime_ids: Sequence[int]) -> dict[int, Rating]:
    """The ratings that the person would give: the one rule, on whatever list or page a title stands.

    What is published for a stored user; else `cf`, or the offsets of title and person where there are too many ratings
    for it. The doubt around each is that of `cf`, which errs no less than what made the published ones. Nothing for titles
    that nobody rated, and for somebody without any score.
    """
    kept: dict[int, Rating | None] = person.answers.get((*answer_key(knowledge, person), "expected"), dict)
    if new := [anime_id for anime_id in anime_ids if anime_id not in kept]:
        doubts, values = _predicted(knowledge, person, new), expected_values(knowledge, person, new)
        kept |= dict.fromkeys(new) | {
            anime_id: _rating(value, doubts[anime_id][1] if anime_id in doubts else None, model)
            for anime_id, (value, model) in values.items()
        }
    return {anime_id: known for anime_id in anime_ids if (known := kept[anime_id]) is not None}


def expected_values(knowledge: Knowledge, person: Person, anime_ids: Sequence[int]) -> dict[int, tuple[float, str]]:
    """As `expected` without doubts: ratings, and which model says so. `cf` is made ready only where it is needed."""
    stored: dict[int, tuple[float, str]] = {}
    if person.stored:
        key = (*answer_key(knowledge, person), "stored ratings")
        stored = person.answers.get(key, lambda: _stored_ratings(knowledge, person))
    found = {anime_id: stored[anime_id] for anime_id in anime_ids if anime_id in stored}
    if left := [anime_id for anime_id in anime_ids if anime_id not in found]:
        if knowledge.rater is not None:
            found |= {i: (value, "cf") for i, (value, _) in _predicted(knowledge, person, left).items()}
        else:
            found |= {i: (value, "bias") for i, value in _offsets(knowledge, person, left).items()}
    return found


def _stored_ratings(knowledge: Knowledge, person: Person) -> dict[int, tuple[float, str]]:
    """What is published for the user; `cf_predictions` hold what `cf` would say now: it goes by scored entries alone."""
    rows = knowledge.published.rows(
        """
        WITH r AS (FROM recommendations WHERE user_batch = $1 AND username = $2),
             c AS (FROM cf_predictions WHERE user_batch = $1 AND username = $2)
        SELECT anime_id, coalesce(r.predicted_rating, c.predicted_rating) AS rating,
               if(r.predicted_rating IS NULL, 'cf', 'published') AS model
        FROM r FULL JOIN c USING (anime_id) WHERE rating IS NOT NULL
        """,
        person.batch,
        person.name,
    )
    return {row["anime_id"]: (row["rating"], row["model"]) for row in rows}


def _offsets(knowledge: Knowledge, person: Person, anime_ids: Sequence[int]) -> dict[int, float]:
    """r̂ = μ + b_i + b_u, b_u = Σ (r_uj − μ − b_j) / (n + `user_shrinkage`); nothing for titles that nobody rated."""
    offsets = knowledge.offsets
    above = [score - offsets[i] for i, score in person.scores.items() if i in offsets]
    own = sum(above) / (len(above) + PredictionSettings().user_shrinkage)
    return {i: min(max(offsets[i] + own, 1.0), 10.0) for i in anime_ids if i in offsets} if above else {}


def _item(
    knowledge: Knowledge,
    person: Person,
    say: Saying,
    row: dict[str, Any],
    rating: Rating | None,
    against: list[Entry],
) -> Recommendation:
    reasons = [(reason["anime_id"], reason["weight"]) for reason in row["because"] or []]
    return Recommendation(
        rank=row["rank"],
        score=row["score"],
        anime=knowledge.titles[row["anime_id"]],
        rating=rating,
        because=list(map(say, reasons)),
        though=_objections(person, say, reasons, against),
        gave_way=row.get("gave_way") or "",
    )


def worth_objecting(person: Person, adding: list[Entry], taking: list[Entry]) -> list[Entry]:
    """Of the entries that take from a title's score those that a person would name against it: liked less than most, and
    not next to nothing beside the weightiest that adds to it.
    """
    least = LEAST_SHARE * max((weight for _, weight in adding), default=0.0)
    return [(i, weight) for i, weight in taking if i in person.liked_less and -weight >= least]


def _objections(person: Person, say: Saying, adding: list[Entry], taking: list[Entry]) -> list[Reason]:
    return list(map(say, worth_objecting(person, adding, taking)[:_MOST_OBJECTIONS]))


def speaks(knowledge: Knowledge, person: Person, anime_id: int) -> tuple[list[Reason], list[Reason]]:
    """The entries of the person's list that speak for a title, and against it; by the settings of a new visitor."""
    recommender = _recommender(knowledge, person)
    found = recommender.reasons(person.entries, [anime_id], RecommendationSettings()) if recommender else {}
    adding, taking = found.get(anime_id, ([], []))
    say = _saying(knowledge, person)
    return list(map(say, adding)), _objections(person, say, adding, taking)


def _saying(knowledge: Knowledge, person: Person) -> Saying:
    """What makes an entry of the person's list a reason; each is made once, since a list's favourites speak for much."""
    # No state itself: what is kept here outlives it.
    titles, names, scores = knowledge.titles, person.names, person.scores

    def make(entry: Entry) -> Reason:
        anime_id, weight = entry
        title = _title_of(titles, anime_id, names.get(anime_id))
        return Reason(anime_id=anime_id, title=title, weight=weight, rated=scores.get(anime_id))

    say: Saying = person.answers.get(
        (*_models_key(knowledge, person), "reasons"), lambda: lru_cache(_KEPT_REASONS)(make)
    )
    return say


def title_of(knowledge: Knowledge, anime_id: int, listed: str | None) -> str:
    """What a title is called: as the catalogue says, else as the list does."""
    return _title_of(knowledge.titles, anime_id, listed)


def _title_of(titles: dict[int, Title], anime_id: int, listed: str | None) -> str:
    known = titles.get(anime_id)
    return known.title if known else listed or f"#{anime_id}"


def _for(rater: Rater, person: Person) -> JointNeighbourhood:
    """The predictor for one list; the solution of a long one takes more memory than it saves time."""
    history, _ = index_ratings(person.entries, anime_ids=rater.anime_ids)
    return rater.model.for_lists(history, remember=len(person.scores) <= _REMEMBERED_SCORES)


def _rating(value: float, deviation: float | None, model: str) -> Rating:
    """A rating with the interval that holds it four times in five, if errors are normal and `deviation` theirs."""
    if deviation is None:
        return Rating(predicted_rating=round(value, 3), model=model)
    low, high = max(1.0, value - _FOUR_IN_FIVE * deviation), min(10.0, value + _FOUR_IN_FIVE * deviation)
    return Rating(predicted_rating=round(value, 3), low=round(low, 3), high=round(high, 3), model=model)


def _predicted(knowledge: Knowledge, person: Person, anime_ids: Sequence[int]) -> dict[int, tuple[float, float]]:
    """By `cf` the ratings and their standard deviations; each title's is worked out once."""
    rater = knowledge.rater
    if rater is None or not person.scores:
        return {}
    kept: dict[int, tuple[float, float] | None] = person.answers.get(
        (*_models_key(knowledge, person), "ratings"), dict
    )
    if new := [anime_id for anime_id in anime_ids if anime_id not in kept]:
        kept.update(_ask(knowledge, person, rater, new))
    return {anime_id: known for anime_id in anime_ids if (known := kept[anime_id]) is not None}


def _ask(
    knowledge: Knowledge, person: Person, rater: Rater, anime_ids: list[int]
) -> dict[int, tuple[float, float] | None]:
    """As `_predicted`, None for titles that nobody rated."""
    found: dict[int, tuple[float, float] | None] = dict.fromkeys(anime_ids)
    wanted = np.asarray(anime_ids, dtype=np.int32)
    place = np.minimum(np.searchsorted(rater.anime_ids, wanted), len(rater.anime_ids) - 1)
    items = place[rater.anime_ids[place] == wanted].astype(np.int32)
    if len(items):
        model = person.answers.get((*_models_key(knowledge, person), "rater"), lambda: _for(rater, person))
        predicted, deviation = model.predict_with_deviation(np.zeros_like(items), items)
        found |= {
            int(rater.anime_ids[item]): (float(value), float(spread))
            for item, value, spread in zip(items, predicted, deviation, strict=True)
        }
    return found
