"""The replica's official API (v2): the same world in the API's JSON, with the habits that have cost others rows.

Without `nsfw=true` it leaves entries out, harmless ones too; keys without a value are missing; fields come only when
asked for; past the end of the rows it answers 400; of manga it relates none. Any client id is taken but one that
begins with `wrong`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from malsugoi_assets.mal.replica import titles as words
from malsugoi_assets.mal.replica.world import Entry, Figures, Title, World

PREFIX = "/v2"
Reply = tuple[int, str]
"""(status, JSON)"""

_STATES = {1: "watching", 2: "completed", 3: "on_hold", 4: "dropped", 6: "plan_to_watch"}
_RATINGS = dict(zip(words.AGE_RATINGS, ("g", "pg", "pg_13", "r", "r+"), strict=True))
_ANIME = re.compile(r"/anime/(\d{1,9})")
_LIST = re.compile(r"/users/([^/]+)/animelist")


def reply(world: World, target: str, client_id: str | None, host: str) -> Reply:
    """The answer to `GET target` (path with query, beginning with `PREFIX`); `host` is what links to it are made with."""
    if not client_id:
        return _error(403, "forbidden")
    if client_id.startswith("wrong"):
        return _error(401, "invalid_token")
    url = urlsplit(target.removeprefix(PREFIX))
    path = unquote(url.path)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if path == "/anime/ranking":
        return _ranking(world, query, f"http://{host}{PREFIX}{url.path}")
    if match := _ANIME.fullmatch(path):
        index = world.index.get(int(match[1]))
        return _error(404, "not_found") if index is None else (200, _json(_node(world, index, _fields(query))))
    if match := _LIST.fullmatch(path):
        return _list(world, match[1], query, f"http://{host}{PREFIX}{url.path}")
    return _error(404, "not_found")


def _error(status: int, code: str) -> Reply:
    return status, _json({"error": code, "message": ""})


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _fields(query: Mapping[str, str]) -> set[str]:
    """The fields asked for; what stands in braces behind a field is part of it."""
    return {name.strip() for name in re.sub(r"\{[^{}]*\}", "", query.get("fields", "")).split(",")}


def _hidden(title: Title, query: Mapping[str, str]) -> bool:
    """Whether the API leaves the title out: adult ones unless `nsfw` is the word true, and without it others as well."""
    return query.get("nsfw") != "true" and (_nsfw(title) != "white" or title.anime_id % 17 == 0)


def _nsfw(title: Title) -> str:
    return "gray" if title.age_rating == words.AGE_RATINGS[-1] else "white"


def _page(
    rows: list[Any], query: Mapping[str, str], url: str, default: int, most: int
) -> tuple[list[Any], Any] | None:
    """(rows of this page, paging); None past the end."""
    limit, offset = query.get("limit", str(default)), query.get("offset", "0")
    if not (limit.isdigit() and offset.isdigit() and 1 <= int(limit) <= most):
        return None
    start, end = int(offset), int(offset) + int(limit)
    if start and start >= len(rows):
        return None
    paging = {}
    if start:
        paging["previous"] = f"{url}?{urlencode({**query, 'offset': max(0, start - int(limit))})}"
    if end < len(rows):
        paging["next"] = f"{url}?{urlencode({**query, 'offset': end})}"
    return rows[start:end], paging


def _ranking(world: World, query: Mapping[str, str], url: str) -> Reply:
    shown = [index for index in world.ranking if not _hidden(world.titles[index], query)]
    page = _page(list(enumerate(shown, 1)), query, url, 100, 500)
    if page is None or query.get("ranking_type") != "all":
        return _error(400, "bad_request")
    fields = _fields(query)
    data = [{"node": _node(world, index, fields), "ranking": {"rank": place}} for place, index in page[0]]
    return 200, _json({"data": data, "paging": page[1]})


def _list(world: World, username: str, query: Mapping[str, str], url: str) -> Reply:
    user = world.user(username)
    if user is None or user.kind == "missing":
        return _error(404, "not_found")
    if user.kind == "private":
        return _error(403, "not_permitted")
    wanted = query.get("status")
    shown = [
        entry
        for entry in user.entries
        if not _hidden(world.titles[entry.index], query) and wanted in (None, _STATES[entry.status])
    ]
    if query.get("sort") == "anime_title":
        shown.sort(key=lambda entry: world.titles[entry.index].title)
    page = _page(shown, query, url, 100, 1000)
    if page is None:
        return _error(400, "bad_request")
    fields = _fields(query)
    data = []
    for entry in page[0]:
        row: dict[str, Any] = {"node": _node(world, entry.index, fields)}
        if "list_status" in fields:
            row["list_status"] = _list_status(entry)
        data.append(row)
    return 200, _json({"data": data, "paging": page[1]})


def _list_status(entry: Entry) -> dict[str, Any]:
    said: dict[str, Any] = {
        "status": _STATES[entry.status],
        "score": entry.score,
        "num_episodes_watched": entry.episodes_watched,
        "is_rewatching": False,
        "updated_at": datetime.fromtimestamp(entry.updated_at, UTC).isoformat(),
    }
    if entry.status == 2:
        said["finish_date"] = "2024-11" if entry.index % 3 else "2024"
    return said


def _node(world: World, index: int, fields: set[str]) -> dict[str, Any]:
    title = world.titles[index]
    known = {key: value for key, value in _known(world, title, world.figures[index]).items() if value is not None}
    return {"id": title.anime_id, "title": title.title} | {k: v for k, v in known.items() if k in fields}


def _known(world: World, title: Title, figures: Figures) -> dict[str, Any]:
    season = title.season.split() if title.season else None
    named = title.genres + title.themes + title.demographics
    return {
        "alternative_titles": {
            "synonyms": list(title.synonyms),
            "en": title.title_english or "",
            "ja": title.title_japanese,
        },
        "start_date": title.aired_from.isoformat() if title.aired_from else None,
        "end_date": title.aired_to.isoformat() if title.aired_to else None,
        "mean": figures.score,
        "rank": figures.ranked,
        "popularity": figures.popularity,
        "num_list_users": figures.members,
        "num_scoring_users": figures.scored_by or 0,
        "num_favorites": figures.favorites,
        "nsfw": _nsfw(title),
        "genres": [{"id": k, "name": name} for k, name in enumerate(named, 1)] or None,
        "media_type": title.type.lower(),
        "status": title.status.lower().replace(" ", "_"),
        "num_episodes": title.episodes or 0,
        "average_episode_duration": title.episode_minutes * 60,
        "start_season": {"year": int(season[1]), "season": season[0].lower()} if season else None,
        "source": title.source.lower().replace(" ", "_").replace("-", "_"),
        "rating": _RATINGS[title.age_rating] if title.age_rating else None,
        "studios": [{"id": k, "name": name} for k, name in enumerate(title.studios, 1)],
        "related_anime": [
            {
                "node": {"id": related, "title": world.titles[world.index[related]].title},
                "relation_type": relation.lower().replace(" ", "_").replace("-", "_"),
                "relation_type_formatted": relation,
            }
            for relation, kind, related in title.relations
            if kind == "anime"
        ],
        "related_manga": [],
    }
