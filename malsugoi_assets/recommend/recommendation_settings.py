"""The recommendation list's settings. Apart from `recommendations`, so that reading them costs nothing.

Each field's title and description are what the page's form and the commands' help say of it: words of a person who watches
anime, not of the code. `ends`: what the two ends of a dial mean.
"""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

State = Literal["finished", "airing", "upcoming"]
AGES = ("G", "PG", "PG-13", "R", "R+", "Rx")
"""The site's age ratings, the mildest first."""
ADULT = "hentai"
"""The genre of titles for adults, in its spelling."""
SHORTS = ("Music", "PV", "CM")
"""Types that nobody sits down to watch: they stand on a list only where their type is asked for."""
BETWEEN_WORDS = r"[\s_-]+"
"""What stands between a genre's words, as Python's and Polars' expressions both write it."""


class RecommendationSettings(BaseModel):
    """Which titles may stand on a list, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(20, ge=1, le=1_000, title="How many titles", description="The length of the list.")
    per_franchise: int = Field(
        1,
        ge=1,
        le=1_000,
        title="Titles of one series",
        description="At most so many of a series with all its seasons, films and specials; the first rule to give way.",
    )
    reasons: int = Field(
        3, ge=0, le=20, title="Reasons", description="How many titles of the list are named as reasons, at most."
    )
    adult: bool = Field(False, title="Hentai too", description="Recommend titles rated Rx as well.")
    planned: bool = Field(
        False, title="What is planned too", description="Recommend titles that stand in plan to watch as well."
    )
    only_planned: bool = Field(
        False,
        title="Only what is planned",
        description="Sort plan to watch: which of it to begin with. Only titles that stand there.",
    )
    release_order: bool = Field(
        False,
        title="Watch in the order of release",
        description="A prequel that came out later may be skipped: Fate/stay night before Fate/Zero.",
    )
    recaps: bool = Field(False, title="Recaps too", description="Recommend recaps and summaries of what was seen.")
    next_in_series: bool = Field(
        False,
        title="Only what comes next",
        description="Only the next season, film or special of series of which a part was finished and not disliked.",
    )
    low_score: int = Field(
        4,
        ge=1,
        le=10,
        title="Disliked means",
        description="Nothing more of a series of which something was dropped or got this score or less.",
    )
    forgiving: bool = Field(
        False,
        title="Give series a second chance",
        description="A disliked season rules out only what follows it; the whole series only where most of it was disliked.",
    )
    likes_only: bool = Field(
        False,
        title="Go by favourites only",
        description="What was dropped or scored below `liked_from` doesn't count.",
    )
    liked_from: int = Field(
        6, ge=1, le=10, title="Liked means", description="The score from which a title counts under `likes_only`."
    )
    gems: float = Field(
        0.0,
        ge=-1,
        le=1,
        title="Well known or hidden gems",
        description="From -1 to 1: below 0 titles that everybody has seen come first, above 0 those that few have.",
        json_schema_extra={"ends": ["well known", "hidden gems"]},
    )
    diversity: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Variety of genres",
        description="From 0 to 1: the higher, the less alike the titles of the list. Up to 0.3 it costs hardly anything.",
        json_schema_extra={"ends": ["what fits best", "something of everything"]},
    )
    types: tuple[str, ...] = Field(
        (),
        title="Types",
        description=f"Only these types (TV, Movie, OVA …). Without a choice all but {', '.join(SHORTS)}.",
    )
    genres: tuple[str, ...] = Field(
        (), title="Genres", description="Only titles that have all of these genres, themes or demographics."
    )
    without_genres: tuple[str, ...] = Field(
        (), title="Genres to avoid", description="No title that has one of these."
    )
    states: tuple[State, ...] = Field(
        ("finished", "airing"),
        title="Airing",
        description="Only titles that have finished, are airing, or are to come.",
    )
    ages: tuple[str, ...] = Field(
        (),
        title="Age ratings",
        description=f"Only these age ratings: {', '.join(AGES)}. Without a choice all but Rx.",
    )
    first_year: int | None = Field(
        None,
        ge=1900,
        le=2200,
        title="From the year",
        description="Only titles that began to air in this year or later.",
    )
    last_year: int | None = Field(
        None,
        ge=1900,
        le=2200,
        title="Up to the year",
        description="Only titles that began to air in this year or before.",
    )
    least_score: float | None = Field(
        None,
        ge=1,
        le=10,
        title="Score on MyAnimeList, from",
        description="Only titles that have this score on MyAnimeList or more.",
    )
    least_members: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        title="Members, from",
        description="Only titles on the lists of so many people on MyAnimeList, or more.",
    )
    least_episodes: int = Field(
        0, ge=0, le=100_000, title="Episodes, from", description="Only titles with so many episodes or more."
    )
    most_episodes: int | None = Field(
        None, ge=1, le=100_000, title="Episodes, up to", description="Only titles with so many episodes or fewer."
    )
    least_minutes: float = Field(
        0,
        ge=0,
        le=100_000,
        title="Minutes an episode, from",
        description="Only titles whose episodes (or the film) last so many minutes or longer.",
    )
    most_minutes: float | None = Field(
        None,
        gt=0,
        le=100_000,
        title="Minutes an episode, up to",
        description="Only titles whose episodes (or the film) last so many minutes at most.",
    )
    least_hours: float = Field(
        0,
        ge=0,
        le=100_000,
        title="Hours in all, from",
        description="Only titles that take so many hours to watch or longer.",
    )
    most_hours: float | None = Field(
        None,
        gt=0,
        le=100_000,
        title="Hours in all, up to",
        description="Only titles that take so many hours to watch at most.",
    )

    @model_validator(mode="after")
    def _contradicts_nothing(self) -> Self:
        """Raise a `ValueError`, in words for people, where no title can fit what is asked for."""
        for least, most, words in (
            (self.first_year, self.last_year, "the first year ({:g}) is after the last ({:g})"),
            (self.least_episodes, self.most_episodes, "the fewest episodes ({:g}) are more than the most ({:g})"),
            (self.least_minutes, self.most_minutes, "the fewest minutes ({:g}) are more than the most ({:g})"),
            (self.least_hours, self.most_hours, "the fewest hours ({:g}) are more than the most ({:g})"),
        ):
            if least is not None and most is not None and least > most:
                raise ValueError(words.format(least, most))
        avoided = {spelling(genre) for genre in self.without_genres}
        if both := [genre for genre in self.genres if spelling(genre) in avoided]:
            raise ValueError(f"{both[0]} is asked for and to be avoided")
        if ADULT in map(spelling, self.genres) and not (self.adult or "Rx" in self.ages):
            raise ValueError("hentai is asked for as a genre, and titles for adults are not (adult)")
        return self


def spelling(genre: str) -> str:
    """The same for all spellings of a genre: "Sci-Fi", "sci_fi"."""
    return re.sub(BETWEEN_WORDS, " ", genre.lower())
