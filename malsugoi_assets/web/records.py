"""What the page shows and the API answers, named like the tables' columns. NULL in a table is None here."""

from __future__ import annotations

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Title(Record):
    """A title in short."""

    anime_id: int
    title: str
    type: str | None = None
    episodes: int | None = None
    season: str | None = Field(None, description="Season of the premiere, 'Fall 2023'; or the year alone.")
    score: float | None = Field(None, description="Mean score on the site, 1–10.")
    genres: tuple[str, ...] = ()
    url: str | None = Field(None, description="Its page on MyAnimeList; none for invented and unknown titles.")


class Reason(Record):
    """An entry of the user's list that adds to a title's score."""

    anime_id: int
    title: str
    weight: float
    rated: int | None = Field(None, description="The user's score of the entry.")


class Rating(Record):
    """A rating that the user would give, 1–10, and the interval that holds it four times in five, where one is known."""

    predicted_rating: float
    low: float | None = None
    high: float | None = None
    model: str = Field(description="Which model says so; see the metrics.")


class Recommendation(Record):
    """A title to watch next."""

    rank: int
    score: float
    anime: Title
    rating: Rating | None = Field(None, description="None where the user's list or the title says too little.")
    because: list[Reason]
    though: list[Reason] = Field(
        [], description="Entries that the user liked less and that speak against it; their weights are negative."
    )
    gave_way: str = Field(
        "", description="The rule that had to give way for the title, so that the list has its length."
    )


class Recommendations(Record):
    """What somebody may want to watch next."""

    username: str | None
    ranked_by: str
    items: list[Recommendation]
    notes: list[str] = Field(
        description="What is to be said of the settings: which left nothing, which change nothing."
    )


class Neighbour(Record):
    """A title for those who like another one; of another series, one of each."""

    rank: int
    anime: Title
    similarity: float = Field(description="How like it is, 0–1; the order goes by how many know it as well.")
    on_lists: float = Field(description="Cosine of the two places among everybody's lists; 0 where none are known.")
    in_common: list[str] = Field(description="Genres, themes, demographics and studios of both, the rarest first.")
    support: int = Field(description="Users who rated both.")


class Relation(Record):
    """A related title; `anime` is None where the catalogue does not hold it."""

    relation: str
    related_kind: str
    related_id: int
    anime: Title | None = None


class TitlePage(Record):
    """All that is known of a title."""

    anime: Title
    title_english: str | None
    title_japanese: str | None
    synonyms: list[str]
    status: str | None
    aired_from: date | None
    aired_to: date | None
    source: str | None
    age_rating: str | None
    scored_by: int | None
    ranked: int | None
    popularity: int | None
    members: int | None
    favorites: int | None
    themes: list[str]
    demographics: list[str]
    studios: list[str]
    ratings: int = Field(description="How many users of ours rated it.")
    mean_rating: float | None = Field(description="Their mean.")
    relations: list[Relation]
    similar: list[Neighbour]
    series: list[Title] = Field(description="The other titles of its own series, in the order of airing.")


class Found(Record):
    """`anime`: the title that is meant, None where that is not sure; `suggestions`: the nearest, best first."""

    anime: Title | None
    suggestions: list[Title]


class Share(Record):
    """A part of a list: how many titles, how many of them scored, their mean, and how far that lies from others' scores."""

    name: str
    titles: int
    rated: int
    mean: float | None
    above_others: float | None = Field(
        None, description="Mean of own score less the title's mean, shrunk; in points."
    )


class Profile(Record):
    """What a list says of its owner."""

    username: str | None
    titles: int
    rated: int
    mean: float | None
    others_mean: float | None = Field(description="What others give the same titles, on average.")
    scores: dict[int, int] = Field(description="How many titles have each score, 1–10.")
    statuses: dict[str, int]
    liked: list[Share]
    disliked: list[Share]
    genres: list[Share]
    decades: list[Share]
    types: list[Share]
    loved: list[Reason] = Field(description="Rated the furthest above others.")
    unloved: list[Reason] = Field(description="Rated the furthest below others.")


class Upcoming(Record):
    """A title that is to air, and what speaks for it."""

    rank: int
    anime: Title
    fit: float = Field(description="Points above the user's mean that its genres and relations stand for.")
    words: list[str]
    goes_on_with: Title | None = None
    waits: bool = Field(False, description="Whether something that was not seen comes before it.")
    needs: Title | None = Field(None, description="With what one has to begin then, where that has a name here.")


class NextSeason(Record):
    """What is to air; `season` is None where the catalogue knows of nothing."""

    season: str | None
    seasons: list[str]
    items: list[Upcoming]


class Spot(Record):
    """A title's place on the map, each axis within 0 and 1, and whether it is on the list."""

    anime_id: int
    title: str
    x: float
    y: float
    members: int
    mine: bool
    score: int | None = None


class Region(Record):
    """A part of the map: the genres that it holds more of than the rest, and whose titles lie there."""

    name: str
    x: float
    y: float
    titles: int
    mine: int
    genres: list[str]
    best: list[Title] = Field([], description="The titles there that most people list.")


class Map(Record):
    """The catalogue in two dimensions."""

    spots: list[Spot]
    regions: list[Region]


class Metric(Record):
    """A figure of how good a model is, with its 95 % interval."""

    table: str
    protocol: str
    model: str
    metric: str
    versus: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    computed_at: Any = None


class Status(Record):
    """The state of the pipeline."""

    source: str | None
    published_at: Any
    generation: str
    tables: dict[str, int]
    users_by_status: dict[str, int]
    headline: dict[str, float | None]
    batches: list[dict[str, Any]]
    builds: list[dict[str, Any]]
    metrics: list[Metric]


class Entry(Record):
    """An entry of a list as somebody sends it."""

    anime_id: int = Field(ge=-(2**31), lt=2**31)
    score: int | None = Field(None, ge=1, le=10)
    status: str | None = Field(None, pattern="^(watching|completed|on_hold|dropped|plan_to_watch)$")


class SentList(Record):
    """A list as somebody sends it. Nothing of it is kept."""

    entries: list[Entry] = Field(min_length=1, max_length=50_000)


class Complaint(Record):
    """Why there is no answer, and what to do."""

    error: str
    remedy: str = ""
