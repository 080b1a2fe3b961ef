"""The recommendation list's settings. Apart from `recommendations`, so that reading them costs nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["finished", "airing", "upcoming"]
AGES = ("G", "PG", "PG-13", "R", "R+", "Rx")
"""The site's age ratings, the mildest first."""
SHORTS = ("Music", "PV", "CM")
"""Types that nobody sits down to watch: they stand on a list only where their type is asked for."""


class RecommendationSettings(BaseModel):
    """Which titles may stand on a list, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(20, ge=1, le=1_000, description="Titles a user.")
    per_franchise: int = Field(1, ge=1, description="At most so many of one franchise; the first rule to give way.")
    reasons: int = Field(3, ge=0, le=20, description="Entries of the own list named as reasons, at most.")
    adult: bool = Field(False, description="Recommend titles rated Rx too.")
    planned: bool = Field(False, description="Recommend titles that the user already plans to watch.")
    only_planned: bool = Field(False, description="Recommend only what the user plans to watch, in the best order.")
    release_order: bool = Field(
        False, description="A prequel that was made later than the title need not be seen before it."
    )
    recaps: bool = Field(False, description="Recommend recaps and summaries of what was seen.")
    next_in_series: bool = Field(
        False, description="Only what comes next in franchises that the user completed a part of and did not dislike."
    )
    low_score: int = Field(
        4,
        ge=1,
        le=10,
        description="Nothing more of a franchise with an entry that was dropped or scored this or lower.",
    )
    forgiving: bool = Field(
        False,
        description="For such an entry leave out what follows it, and the whole franchise only where most of it disappointed.",
    )
    likes_only: bool = Field(False, description="Entries that were dropped or scored below `liked_from` add nothing.")
    liked_from: int = Field(6, ge=1, le=10, description="The score from which an entry counts under `likes_only`.")
    gems: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="From the popular (-1) to hidden gems (1): what being on many lists takes off, in spreads of the score.",
    )
    diversity: float = Field(
        0.0,
        ge=0,
        le=1,
        description="What sharing all genres with a title before takes off: at 1 three spreads of the scores that are at choice.",
    )
    types: tuple[str, ...] = Field((), description=f"Only these types; none: all but {', '.join(SHORTS)}.")
    genres: tuple[str, ...] = Field((), description="Only titles with all of these genres, themes or demographics.")
    without_genres: tuple[str, ...] = Field((), description="No title with one of these.")
    states: tuple[State, ...] = Field(("finished", "airing"), description="Only titles in these states of airing.")
    ages: tuple[str, ...] = Field((), description=f"Only these age ratings ({', '.join(AGES)}); none: all but Rx.")
    first_year: int | None = Field(
        None, ge=1900, le=2200, description="Only titles that began to air in this year or later."
    )
    last_year: int | None = Field(
        None, ge=1900, le=2200, description="Only titles that began to air in this year or before."
    )
    least_score: float | None = Field(
        None, ge=1, le=10, description="Only titles with this score on the site or more."
    )
    least_members: int = Field(0, ge=0, description="Only titles on so many lists on the site, or more.")
    least_episodes: int = Field(0, ge=0, description="Only titles with so many episodes, or more.")
    most_episodes: int | None = Field(None, ge=1, description="Only titles with so many episodes, or fewer.")
    least_minutes: float = Field(
        0, ge=0, description="Only titles whose episodes (or the film) last so many minutes, or more."
    )
    most_minutes: float | None = Field(
        None, gt=0, description="Only titles whose episodes (or the film) last so many minutes, or fewer."
    )
    least_hours: float = Field(0, ge=0, description="Only titles that take so many hours in all, or more.")
    most_hours: float | None = Field(None, gt=0, description="Only titles that take so many hours in all, or fewer.")
