"""For whom an answer is: a user of the data dir, or a visitor who brought a list along."""

from __future__ import annotations

import difflib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import polars as pl

from malsugoi_assets.mal import PageError, parse_list_export
from malsugoi_assets.mal.records import ListEntry
from malsugoi_assets.recommend.people import with_seen
from malsugoi_assets.warehouse.marks import Mark, MarksError
from malsugoi_assets.warehouse.schema import polars_type
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.problems import Problem
from malsugoi_assets.web.sessions import Lru, Session

_COLUMNS = ("username", "anime_id", "title", "score", "status")
_TYPES = {c.name: c.type for c in TABLES["user_lists"].columns}
LIST = pl.Schema({name: polars_type(_TYPES[name]) for name in _COLUMNS})
NOBODY = ""


class StoredKey(NamedTuple):
    """A user of the data dir with the list as it is now: a new state may hold the same one."""

    username: str
    rows: int
    hashed: int


@dataclass(frozen=True)
class OwnList:
    """A list (columns of `LIST`) and what is read off it again and again."""

    entries: pl.DataFrame

    @cached_property
    def scores(self) -> dict[int, int]:
        """The scored titles of the list."""
        return {anime_id: score for anime_id, score in self._pairs("score") if score is not None}

    @cached_property
    def names(self) -> dict[int, str]:
        """What the list calls its titles, where it does."""
        return {anime_id: title for anime_id, title in self._pairs("title") if title}

    @cached_property
    def liked_less(self) -> frozenset[int]:
        """What was dropped without a score, or scored a point below the person's mean: what may speak against a title in
        words.
        """
        scores = self.scores
        least = sum(scores.values()) / len(scores) - 1 if scores else 0.0
        dropped = {i for i, status in self._pairs("status") if status == "dropped" and i not in scores}
        return frozenset(dropped | {i for i, score in scores.items() if score <= least})

    @cached_property
    def listed(self) -> set[int]:
        """All titles of the list."""
        return set(self.entries["anime_id"].to_list())

    def _pairs(self, column: str) -> Iterator[tuple[int, Any]]:
        """A column beside the titles' ids. Without a query, which takes longer than so few rows."""
        return zip(self.entries["anime_id"].to_list(), self.entries[column].to_list(), strict=True)


@dataclass(frozen=True)
class StoredUser:
    """A user of a published state; `status`: of the list, None where it was not read yet."""

    name: str
    batch: str
    status: str | None
    own: OwnList
    key: StoredKey


@dataclass(frozen=True)
class Person:
    """`name`: whose list it is, where that is known; `key`: whose and which list answers are kept for; `stored`: a user of
    the data dir; `marks`: what the person said of titles, of which `own` holds the seen ones.
    """

    name: str | None
    own: OwnList
    key: Hashable
    stored: bool
    batch: str = ""
    marks: Mapping[int, Mark] = field(default_factory=dict)
    answers: Lru = field(default_factory=lambda: Lru(0))

    @property
    def entries(self) -> pl.DataFrame:
        """The list."""
        return self.own.entries

    @property
    def scores(self) -> dict[int, int]:
        """As `OwnList.scores`."""
        return self.own.scores

    @property
    def names(self) -> dict[int, str]:
        """As `OwnList.names`."""
        return self.own.names

    @property
    def liked_less(self) -> frozenset[int]:
        """As `OwnList.liked_less`."""
        return self.own.liked_less

    @property
    def listed(self) -> set[int]:
        """As `OwnList.listed`."""
        return self.own.listed

    @cached_property
    def barred(self) -> frozenset[int]:
        """The titles that don't interest the person."""
        return frozenset(anime_id for anime_id, mark in self.marks.items() if mark == "not interested")


def find_user(knowledge: Knowledge, name: str, limits: Limits) -> Person:
    """The user of the data dir who is meant, however the case is written. `Problem` (404, 409) where there is no list."""
    if len(name) > limits.text:
        raise Problem(400, f"No name has more than {limits.text} characters.", "Type the name as the site shows it.")
    user: StoredUser | None = knowledge.users.get(name, lambda: _stored_user(knowledge, name))
    if user is None:
        close = similar_names(knowledge, name)
        hint = (
            f"Did you mean {', '.join(close)}?"
            if close
            else "Only people whose lists are in this database are known here."
        )
        raise Problem(404, f"Nobody is called {name} here.", f"{hint} Or bring your own list: upload an export.")
    if user.status != "ok":
        raise Problem(409, f"There is nothing to go by: the list of {user.name} is {user.status or 'not read yet'}.")
    try:
        marks = knowledge.marks.of(user.name)
    except MarksError as error:
        raise Problem(500, f"{error}.") from error
    own, key = user.own, user.key
    if "seen" in marks.values():
        own = OwnList(_with_marks(knowledge, own.entries, user.name, marks))
        key = _key_of(user.name, own.entries)
    return Person(user.name, own, key, stored=True, answers=knowledge.answers, batch=user.batch, marks=marks)


def _stored_user(knowledge: Knowledge, name: str) -> StoredUser | None:
    """The user of the published state who is called so, or so but for the case; None where nobody is."""
    known = knowledge.published.rows(
        "SELECT username, user_batch, list_status FROM users WHERE lower(username) = lower(?) ORDER BY username <> ? LIMIT 1",
        name,
        name,
    )
    if not known:
        return None
    username, batch, status = known[0].values()
    entries = knowledge.published.table("user_lists", _COLUMNS, "user_batch = ? AND username = ?", batch, username)
    return StoredUser(username, batch, status, OwnList(entries), _key_of(username, entries))


def _key_of(username: str, entries: pl.DataFrame) -> StoredKey:
    return StoredKey(username, entries.height, int(entries.hash_rows().sum()))


def similar_names(knowledge: Knowledge, name: str) -> list[str]:
    """Up to three users whose names are nearly the same; asked of the database, which is told how long they may be."""
    rows = knowledge.published.rows(
        "SELECT username FROM users WHERE list_status = 'ok' "
        "ORDER BY jaro_winkler_similarity(lower(username), lower(?)) DESC, username LIMIT 3",
        name,
    )
    return difflib.get_close_matches(name, [row["username"] for row in rows], n=3)


def visitor(knowledge: Knowledge, token: str, session: Session) -> Person:
    """The visitor who brought a list along."""
    seen = frozenset(anime_id for anime_id, mark in session.marks.items() if mark == "seen")
    own: OwnList = session.answers.get(
        ("own list", seen), lambda: OwnList(_with_marks(knowledge, session.entries, NOBODY, session.marks))
    )
    return Person(session.name, own, (token, seen), stored=False, answers=session.answers, marks=session.marks)


def _with_marks(
    knowledge: Knowledge, entries: pl.DataFrame, username: str, marks: Mapping[int, Mark]
) -> pl.DataFrame:
    seen = [anime_id for anime_id, mark in marks.items() if mark == "seen"]
    return with_seen(entries, knowledge.features, username, seen).sort("anime_id") if seen else entries


def read_export(body: bytes, limits: Limits) -> tuple[str | None, pl.DataFrame, tuple[ListEntry, ...]]:
    """Owner and entries of an export, as the models take them and as they were sent. `Problem` (413, 422) for what is none, in the words of its parser."""
    try:
        export = parse_list_export(body, most_bytes=limits.upload_bytes)
    except PageError as error:
        raise Problem(
            422,
            f"That is no list of anime as MyAnimeList exports it: {error}.",
            "On MyAnimeList: Profile, Export, anime list. The file is called animelist_….xml.gz; send it as it is.",
        ) from error
    if len(export.entries) > limits.entries:
        raise Problem(413, f"The list has more than {limits.entries:,} entries, and the site has fewer anime.")
    if not export.entries:
        raise Problem(422, "The list is empty: there is nothing to go by.")
    rows = [(NOBODY, e.anime_id, (e.title or "")[: limits.text], e.score, e.status) for e in export.entries]
    sent = tuple(
        replace(entry, title=entry.title[: limits.text]) if entry.title and len(entry.title) > limits.text else entry
        for entry in export.entries
    )
    return (export.username or "")[: limits.text] or None, list_frame(rows), sent


def refuse_unknown_titles(knowledge: Knowledge, entries: pl.DataFrame) -> None:
    """`Problem` (422) for a list of which the catalogue has no title."""
    if not set(entries["anime_id"].to_list()) & knowledge.titles.keys():
        raise Problem(422, "None of the list's titles is in this catalogue, so there is nothing to go by.")


def list_frame(rows: Iterable[tuple[str, int, str, int | None, str | None]]) -> pl.DataFrame:
    """A list as the models take it: username, anime_id, title, score, status, by title."""
    frame = pl.DataFrame(list(rows), schema=dict.fromkeys(LIST, None) | {"score": pl.Int64()}, orient="row")
    fits = frame.filter(pl.col("anime_id").is_between(-(2**31), 2**31 - 1))
    return fits.cast(dict(LIST)).unique("anime_id", keep="last", maintain_order=True).sort("anime_id")  # type: ignore[arg-type]
