"""The official API's answers as the records that pages give: pure functions, as for pages.

What asks for them: `api`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from malsugoi_assets.mal.anime_page import parse_anime_page
from malsugoi_assets.mal.errors import NotFound, PrivateList, UnexpectedPage
from malsugoi_assets.mal.genre_groups import grouped
from malsugoi_assets.mal.list_json import count_of, load, parse_list_json, score_of, state_of, whole_number
from malsugoi_assets.mal.records import AnimePage, ListEntry, Relation, TopEntry
from malsugoi_assets.mal.soup import clean, decode, explain, refuse_undecodable
from malsugoi_assets.mal.top_page import parse_top_page

EXPECTED = "an answer of the API"

_TYPES = {"tv": "TV", "ova": "OVA", "ona": "ONA", "cm": "CM", "pv": "PV", "tv_special": "TV Special"}
_STATUSES = {
    "finished_airing": "Finished Airing",
    "currently_airing": "Currently Airing",
    "not_yet_aired": "Not yet aired",
}
_RATINGS = {
    "g": "G - All Ages",
    "pg": "PG - Children",
    "pg_13": "PG-13 - Teens 13 or older",
    "r": "R - 17+ (violence & profanity)",
    "r+": "R+ - Mild Nudity",
    "rx": "Rx - Hentai",
}


class PastTheEnd(NotFound):
    """Status 400 for rows behind the last one."""

    found = "the end of the rows"


@dataclass(frozen=True)
class ApiListPage:
    """Rows of a list, one an anime; `next_offset` is where the following ones begin, None after the last."""

    entries: tuple[ListEntry, ...]
    next_offset: int | None


def is_api_answer(body: bytes) -> bool:
    """Whether a stored answer came from the API: pages are HTML and `load.json` is an array, only the API has objects."""
    return body.lstrip()[:1] == b"{"


def read_title(body: bytes) -> AnimePage:
    """A title's record from its page or from the API's answer. Raises `PageError`."""
    return parse_api_title(body) if is_api_answer(body) else parse_anime_page(body)


def read_ranking(body: bytes) -> list[TopEntry]:
    """The rows of a ranking page or of the API's answer. Raises `PageError`."""
    return parse_api_ranking(body) if is_api_answer(body) else parse_top_page(body)


def read_rows(body: bytes) -> list[ListEntry]:
    """A list's rows from `load.json` or from the API's answer. Raises `PageError`."""
    return list(parse_api_list(body).entries) if is_api_answer(body) else parse_list_json(body)


def parse_api_title(body: str | bytes) -> AnimePage:
    """The record of `anime/{id}?fields=…`. A key that is missing, or a date that is not a whole day, is None.

    The season is that of series on television, as on the pages, which name no other. Raises: `PageError`.
    """
    node = _object(body)
    anime_id = whole_number(node.get("id"))
    if not anime_id:
        raise UnexpectedPage(EXPECTED, "no id")
    title = _text(node.get("title"))
    if title is None:
        raise UnexpectedPage(EXPECTED, f"anime {anime_id} has no title")
    names = _mapping(node.get("alternative_titles"))
    kind = _word(node.get("media_type"), _TYPES)
    genres, themes, demographics = grouped(_names(node.get("genres")))
    return AnimePage(
        anime_id=anime_id,
        title=title,
        title_english=_text(names.get("en")),
        title_japanese=_text(names.get("ja")),
        synonyms=tuple(dict.fromkeys(filter(None, map(_text, _rows(names.get("synonyms")))))),
        type=kind,
        episodes=whole_number(node.get("num_episodes")) or None,
        episode_minutes=_minutes(node.get("average_episode_duration")),
        status=_STATUSES.get(str(node.get("status"))),
        aired_from=_day(node.get("start_date")),
        aired_to=_day(node.get("end_date")),
        season=_season(node.get("start_season")) if kind == "TV" else None,
        source=_word(node.get("source"), {"4_koma_manga": "4-koma manga"}),
        age_rating=_RATINGS.get(str(node.get("rating"))),
        score=_mean(node.get("mean")),
        scored_by=whole_number(node.get("num_scoring_users")) or None,
        ranked=whole_number(node.get("rank")) or None,
        popularity=whole_number(node.get("popularity")) or None,
        members=whole_number(node.get("num_list_users")),
        favorites=whole_number(node.get("num_favorites")),
        genres=genres,
        themes=themes,
        demographics=demographics,
        studios=tuple(dict.fromkeys(_names(node.get("studios")))),
        relations=tuple(dict.fromkeys([*_relations(node, "anime"), *_relations(node, "manga")])),
    )


def parse_api_ranking(body: str | bytes) -> list[TopEntry]:
    """The rows of `anime/ranking`; [] past the end. Raises: `PageError`."""
    found: dict[int, TopEntry] = {}
    for number, row in enumerate(_data(_object(body)), 1):
        node = _mapping(row.get("node"))
        anime_id, title = whole_number(node.get("id")), _text(node.get("title"))
        if not anime_id or title is None:
            raise UnexpectedPage(EXPECTED, f"row {number} lacks its id or title")
        rank = whole_number(_mapping(row.get("ranking")).get("rank")) or None
        found[anime_id] = TopEntry(anime_id, title, rank, _mean(node.get("mean")))
    return list(found.values())


def parse_api_list(body: str | bytes) -> ApiListPage:
    """The rows of `users/{name}/animelist`; of an anime that stands twice, the last row.

    A row without a status, a score or the whole `list_status` is kept with what it has. Raises `PrivateList` where the
    owner does not share the list, else the `PageError` for what the answer is instead.
    """
    value = _object(body)
    found: dict[int, ListEntry] = {}
    for number, row in enumerate(_data(value), 1):
        node, said = _mapping(row.get("node")), _mapping(row.get("list_status"))
        anime_id = whole_number(node.get("id"))
        if not anime_id:
            raise UnexpectedPage(EXPECTED, f"row {number} has no id")
        found[anime_id] = ListEntry(
            anime_id,
            _text(node.get("title")),
            score=score_of(said.get("score"), f"row {number}", EXPECTED),
            status=state_of(said.get("status")),
            episodes_watched=count_of(said.get("num_episodes_watched"), f"row {number}", EXPECTED),
            updated_at=_moment(said.get("updated_at")),
        )
    return ApiListPage(tuple(found.values()), _next_offset(value))


def raise_past_the_end(body: bytes) -> None:
    """Raise `PastTheEnd` where the answer says that no row begins there."""
    if _object(body, refusals=False).get("error") == "bad_request":
        raise PastTheEnd(EXPECTED)


def _object(body: str | bytes, *, refusals: bool = True) -> dict[str, Any]:
    text = decode(body).strip()
    if text.startswith("<"):
        raise explain(text, EXPECTED)
    value = load(text, EXPECTED)
    if not isinstance(value, dict):
        raise UnexpectedPage(EXPECTED, f"it begins with {text[:40]!r}")
    said = value.get("error")
    if refusals and said is not None:
        if said == "not_permitted":
            raise PrivateList(EXPECTED)
        if said == "not_found":
            raise NotFound(EXPECTED)
        raise UnexpectedPage(EXPECTED, f"the error {str(said)[:40]!r}")
    return value


def _data(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = value.get("data")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnexpectedPage(EXPECTED, "no list of rows under 'data'")
    return rows


def _next_offset(value: Mapping[str, Any]) -> int | None:
    link = _mapping(value.get("paging")).get("next")
    if not link:
        return None
    try:
        offset = parse_qs(urlsplit(str(link)).query).get("offset", [""])[-1]
    except ValueError:
        offset = ""
    number = whole_number(offset)
    if number is None:
        raise UnexpectedPage(EXPECTED, "a link to the next rows that says not where they begin")
    return number


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _rows(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(value: Any) -> Iterable[str]:
    return filter(None, (_text(_mapping(row).get("name")) for row in _rows(value)))


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = clean(str(value))
    refuse_undecodable(text, EXPECTED)
    return text or None


def _word(value: Any, known: Mapping[str, str]) -> str | None:
    """The site's word for the API's: 'light_novel' is 'Light novel'. None for 'unknown' and for what is no text."""
    if not isinstance(value, str) or value in ("", "unknown"):
        return None
    words = clean(value.replace("_", " "))
    return known.get(value) or words[:1].upper() + words[1:] or None


def _minutes(seconds: Any) -> float | None:
    """Minutes of what the API gives in seconds, 0 = not known."""
    known = whole_number(seconds)
    return round(known / 60, 2) if known else None


def _mean(value: Any) -> float | None:
    """A mean from 1 to 10 (a number with a point arrives as text, see `load`); None from anything else."""
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,2}(?:\.\d{1,4})?", str(value)):
        return None
    return number if 1 <= (number := float(value)) <= 10 else None


def _day(value: Any) -> date | None:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _season(value: Any) -> str | None:
    said = _mapping(value)
    name, year = str(said.get("season")), whole_number(said.get("year"))
    return f"{name.capitalize()} {year}" if name in ("winter", "spring", "summer", "fall") and year else None


def _moment(value: Any) -> datetime | None:
    """The moment (UTC) of an ISO text with its zone; None from anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _relations(node: Mapping[str, Any], kind: str) -> Iterable[Relation]:
    for number, row in enumerate(_rows(node.get(f"related_{kind}")), 1):
        said = _mapping(row)
        related = whole_number(_mapping(said.get("node")).get("id"))
        relation = _text(said.get("relation_type_formatted")) or _word(said.get("relation_type"), {})
        if not related or relation is None:
            raise UnexpectedPage(EXPECTED, f"related {kind} {number} lacks its id or relation")
        yield Relation(relation, "anime" if kind == "anime" else "manga", related)
