"""The shapes in which MyAnimeList's data is passed on, told apart by their columns.

A list file has a user, an anime and a score; a catalogue has an anime and none of the users. Under which names a dump
carries each field, and which files belong together, stands here and only here (`docs/files.md` explains it).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

LIST_FIELDS: dict[str, tuple[str, ...]] = {
    "username": ("username", "user_name", "user"),
    "user_id": ("user_id",),
    "anime_id": ("anime_id", "mal_id"),
    "title": ("anime", "title", "anime_title", "name"),
    # A dump that joins the catalogue to each row has the site's mean as `score`, the user's own as `my_score`.
    "score": ("my_score", "score", "rating"),
    "status": ("my_status", "watching_status", "status"),
    "episodes_watched": ("episodes_watched", "my_watched_episodes", "watched_episodes", "num_watched_episodes"),
    "updated_at": ("updated_at", "my_last_updated"),
}
"""Each field of a list row, and the columns that may hold it, the most telling one first."""
CATALOGUE_FIELDS: dict[str, tuple[str, ...]] = {
    "anime_id": ("anime_id", "mal_id"),
    "title": ("title", "name"),
    "title_english": ("title_english", "english_name"),
    "title_japanese": ("title_japanese", "japanese_name", "other_name"),
    "synonyms": ("synonyms", "title_synonyms"),
    "type": ("type",),
    "episodes": ("episodes",),
    "episode_minutes": ("episode_minutes", "duration_min", "duration"),
    "status": ("status",),
    "aired_from": ("aired_from",),
    "aired_to": ("aired_to",),
    "season": ("season", "premiered"),
    "source": ("source",),
    "age_rating": ("age_rating", "rating"),
    "score": ("score",),
    "scored_by": ("scored_by",),
    "ranked": ("ranked", "rank"),
    "popularity": ("popularity",),
    "members": ("members",),
    "favorites": ("favorites",),
    "genres": ("genres", "genre"),
    "themes": ("themes",),
    "demographics": ("demographics",),
    "studios": ("studios", "studio"),
}
AIRED = ("aired_string", "aired")


@dataclass(frozen=True)
class Shape:
    """Columns by which files of one origin are known. `family` is None for a shape that goes with any other."""

    name: str
    columns: frozenset[str]
    family: str | None
    without: frozenset[str] = frozenset()


def _shape(name: str, columns: str, family: str | None, without: str = "") -> Shape:
    return Shape(name, frozenset(columns.split()), family, frozenset(without.split()))


# The first that fits counts.
LIST_SHAPES = (
    _shape("2018, UserAnimeList", "username anime_id my_score my_watched_episodes", "2018"),
    _shape("2023, final_animedataset", "username anime_id my_score", "2023"),
    _shape("2020, animelist", "user_id anime_id rating watching_status", "2020"),
    _shape("2023, users-score", "user_id username anime_id anime_title rating", "2023"),
    _shape("user_id, anime_id, rating (2016, 2020, 2023)", "user_id anime_id rating", None),
    _shape("the original's anime_info", "username anime rating", "the original", "anime_id"),
    _shape("our own", "", None),
)
CATALOGUE_SHAPES = (
    _shape("2020, anime", "mal_id name", "2020"),
    _shape("2023, anime-dataset", "anime_id name english_name", "2023"),
    _shape("2016, anime", "anime_id name genre rating members", "2016"),
    _shape("2018, AnimeList", "anime_id title aired_string", "2018"),
    _shape("the original's anime_data", "title score genres ranked popularity members favorites", "the original",
           "anime_id"),
    _shape("our own", "", None),
)  # fmt: skip


def plain(name: str) -> str:
    """A column's name in lower case, blanks, hyphens and dots as underscores: 'English name' is 'english_name'."""
    return re.sub(r"[\s\-.]+", "_", name.strip().lower())


def fields_of(names: Sequence[str], fields: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """Which column (0-based) holds which field."""
    places = {plain(name): place for place, name in reversed(list(enumerate(names)))}
    found = {field: next((places[n] for n in columns if n in places), None) for field, columns in fields.items()}
    return {field: place for field, place in found.items() if place is not None}


def is_of_users(names: Sequence[str]) -> bool:
    """Whether a file with these columns names users."""
    return bool(set(fields_of(names, LIST_FIELDS)) & {"username", "user_id"})


def is_lists(names: Sequence[str]) -> bool:
    """Whether a file with these columns holds users' list rows."""
    found = set(fields_of(names, LIST_FIELDS))
    return "score" in found and is_of_users(names) and bool(found & {"anime_id", "title"})


def is_catalogue(names: Sequence[str]) -> bool:
    """Whether a file with these columns describes titles: more than an id and a name, and no user."""
    if is_of_users(names):
        return False
    found = set(fields_of(names, CATALOGUE_FIELDS))
    return bool(found & {"anime_id", "title"}) and bool(found - {"anime_id", "title", "status"})


def shape_of(names: Sequence[str], shapes: Collection[Shape]) -> Shape:
    """The first shape whose columns are all there."""
    have = {plain(name) for name in names}
    return next(shape for shape in shapes if shape.columns <= have and not shape.without & have)


def describes_itself(names: Sequence[str]) -> bool:
    """Whether a list file carries its own catalogue: each row with the title's type and genres."""
    have = {plain(name) for name in names}
    return {"anime_id", "title", "type", "genre", "my_score"} <= have
