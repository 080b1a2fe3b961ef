"""What the parsers return: frozen records whose fields are named like the tables' columns.

A value that the page does not give is None (a list that it does not give is empty), never a word like "N/A".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

ListState = Literal["watching", "completed", "on_hold", "dropped", "plan_to_watch"]


@dataclass(frozen=True)
class Relation:
    """One related entry of an anime page, e.g. ('Sequel', 'anime', 5114)."""

    relation: str
    related_kind: Literal["anime", "manga"]
    related_id: int


@dataclass(frozen=True)
class AnimePage:
    """An anime's detail page."""

    anime_id: int
    title: str
    title_english: str | None = None
    title_japanese: str | None = None
    synonyms: tuple[str, ...] = ()
    type: str | None = None
    episodes: int | None = None
    status: str | None = None
    aired_from: date | None = None
    aired_to: date | None = None
    season: str | None = None
    source: str | None = None
    age_rating: str | None = None
    score: float | None = None
    scored_by: int | None = None
    ranked: int | None = None
    popularity: int | None = None
    members: int | None = None
    favorites: int | None = None
    genres: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    demographics: tuple[str, ...] = ()
    studios: tuple[str, ...] = ()
    relations: tuple[Relation, ...] = ()
    episode_minutes: float | None = None


@dataclass(frozen=True)
class TopEntry:
    """One row of a ranking page."""

    anime_id: int
    title: str
    ranked: int | None
    score: float | None


@dataclass(frozen=True)
class ListEntry:
    """One anime on a user's list; `score` is 1-10, or None when the user gave none.

    `title` is None only in exports of other sites, which name the id alone.
    """

    anime_id: int
    title: str | None
    score: int | None = None
    status: ListState | None = None
    episodes_watched: int | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class ListPage:
    """A list page; `complete` means that it shows all statuses and that no more rows can follow."""

    entries: tuple[ListEntry, ...]
    complete: bool


@dataclass(frozen=True)
class ListExport:
    """A user's own XML export; `username` is None where the file does not name its owner.

    `repaired` counts the characters that were escaped or dropped to make the file well-formed.
    """

    username: str | None
    entries: tuple[ListEntry, ...]
    repaired: int = 0
