"""A list's rows as JSON: the answer of `load.json`, and the rows inside a modern list page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from malsugoi_assets.mal.errors import (
    MangaPage,
    NotFound,
    PageError,
    PrivateList,
    TruncatedPage,
    UnexpectedPage,
    UnknownUser,
)
from malsugoi_assets.mal.records import ListEntry, ListState
from malsugoi_assets.mal.soup import clean, decode, explain

EXPECTED = "the rows of a list as JSON"

_NO_TEXT = re.compile("[\x00\ud800-\udfff\ufffd]")  # JSON can spell characters that no text can hold
_WHOLE = re.compile(r"(\d{1,5})\.0{1,6}")

STATES: dict[str, ListState] = {
    "1": "watching",
    "2": "completed",
    "3": "on_hold",
    "4": "dropped",
    "6": "plan_to_watch",
    "watching": "watching",
    "currentlywatching": "watching",
    "completed": "completed",
    "onhold": "on_hold",
    "dropped": "dropped",
    "plantowatch": "plan_to_watch",
    "plantoread": "plan_to_watch",
}


def parse_list_json(page: str | bytes) -> list[ListEntry]:
    """The rows of a `load.json` answer, [] at the list's end; of an anime that stands twice, the last row.

    `updated_at` comes from the seconds since 1970 alone: the answer's written dates follow each owner's own order.

    Raises:
        PrivateList: the list's owner does not share it.
        PageError: the subclass for what the answer is instead; `UnexpectedPage` names the row that cannot be read.
    """
    text = decode(page).strip()
    if text.startswith("<"):
        error = explain(text, EXPECTED)
        raise UnknownUser(EXPECTED) if isinstance(error, NotFound) else error
    value = load(text, EXPECTED)
    if isinstance(value, dict):
        raise _refusal(value)
    if not isinstance(value, list):
        raise UnexpectedPage(EXPECTED, f"it begins with {text[:40]!r}")
    return entries_of(value, EXPECTED)


def load(text: str, expected: str) -> Any:
    """The value of a JSON text; numbers with a point stay text, for a title such as 2.0 must not become 2."""
    if not text:
        raise TruncatedPage(expected, "the answer is empty")
    try:
        return json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:
        if text[0] in "[{":
            raise TruncatedPage(expected, "the JSON is broken off or damaged") from error
        raise UnexpectedPage(expected, f"it begins with {text[:40]!r}") from error


def _refusal(value: dict[str, Any]) -> PageError:
    words = json.dumps(value).lower()
    if "invalid request" in words or "not_permitted" in words or "restricted" in words:
        return PrivateList(EXPECTED)
    if "not_found" in words or "not found" in words or "invalid user" in words:
        return UnknownUser(EXPECTED)
    return UnexpectedPage(EXPECTED, f"an object: {words[:60]}")


def entries_of(rows: Iterable[Any], expected: str) -> list[ListEntry]:
    """The entries of the rows; the last one of each anime."""
    entries = [_entry(row, number, expected) for number, row in enumerate(rows, 1)]
    return list({entry.anime_id: entry for entry in entries}.values())


def _entry(row: Any, number: int, expected: str) -> ListEntry:
    if not isinstance(row, dict):
        raise UnexpectedPage(expected, f"row {number} is not an object")
    if "manga_id" in row and "anime_id" not in row:
        raise MangaPage(expected, f"row {number}")
    anime_id = whole_number(row.get("anime_id"))
    title = row.get("anime_title")
    if anime_id is None or anime_id == 0:
        raise UnexpectedPage(expected, f"row {number} has no anime_id")
    if isinstance(title, bool) or not isinstance(title, str | int) or not clean(str(title)):
        raise UnexpectedPage(expected, f"row {number} has no title")
    if _NO_TEXT.search(str(title)):
        raise UnexpectedPage(expected, f"row {number}: bytes that are not text in the title")
    return ListEntry(
        anime_id=anime_id,
        title=clean(str(title)),
        score=score_of(row.get("score"), f"row {number}", expected),
        status=state_of(row.get("status")),
        episodes_watched=count_of(row.get("num_watched_episodes"), f"row {number}", expected),
        updated_at=moment_of(row.get("updated_at")),
    )


def whole_number(value: Any) -> int | None:
    """A number from 0 on, given as a number or in digits; None from anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    return value if isinstance(value, int) and 0 <= value < 10**9 else None


def score_of(value: Any, where: str, expected: str) -> int | None:
    """A score of 1-10, also written as 7.0; None for 0, '-' or nothing, whatever the status; else an error."""
    if isinstance(value, str):
        value = _WHOLE.sub(r"\1", value.strip())
    if value is None or value in ("", "-"):
        return None
    score = whole_number(value)
    if score is None or score > 10:
        raise UnexpectedPage(expected, f"{where}: {str(value)[:20]!r} is no score from 0 to 10")
    return score or None


def count_of(value: Any, where: str, expected: str) -> int | None:
    """Watched episodes, also written as 12.0; None for '-' or nothing; else an error."""
    if isinstance(value, str):
        value = _WHOLE.sub(r"\1", value.strip())
    if value is None or value in ("", "-"):
        return None
    count = whole_number(value)
    if count is None:
        raise UnexpectedPage(expected, f"{where}: {str(value)[:20]!r} is no number of episodes")
    return count


def state_of(value: Any) -> ListState | None:
    """The status from the site's number or words; None from words that the site does not have."""
    words = "".join(c for c in str(value).lower() if c.isalnum())
    return None if isinstance(value, bool) else STATES.get(words)


def moment_of(value: Any) -> datetime | None:
    """The moment (UTC) of seconds since 1970; None from 0 and from anything written otherwise."""
    seconds = whole_number(value) if not isinstance(value, int) else value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 10:
        seconds = int(value)
    if isinstance(seconds, bool) or not seconds or not 0 < seconds < 2**33:
        return None
    return datetime.fromtimestamp(seconds, UTC)
