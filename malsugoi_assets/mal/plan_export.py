"""Titles to watch in the form of the site's own XML exports, so that its import page adds them as plans.

`list_export` reads the same form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lxml import etree  # type: ignore[import-untyped]

from malsugoi_assets.mal.list_export import without_forbidden

IMPORT_PAGE = "https://myanimelist.net/import.php"
_PLANNED = "Plan to Watch"
_NO_DATE = "0000-00-00"


@dataclass(frozen=True)
class PlannedTitle:
    """A title of the site by its id; `type` and `episodes` as the site writes them, where known."""

    anime_id: int
    title: str
    type: str | None = None
    episodes: int | None = None


def invented_titles(root: Path) -> str:
    """Why nothing is planned of a data dir of the replica."""
    return f"{root} holds the replica's invented titles: the site knows none of them"


def write_plan(titles: Iterable[PlannedTitle], username: str) -> bytes:
    """The XML file, UTF-8, of an anime list on which all `titles` are planned, in their order.

    `update_on_import` is 1, without which the site passes over what the file holds. Characters that XML forbids are
    dropped from titles. Raises `ValueError` for a title without an id of the site (not above 0).
    """
    planned = list(titles)
    root = etree.Element("myanimelist")
    _add_all(root, "myinfo", _info(username, len(planned)))
    for title in planned:
        if title.anime_id <= 0:
            raise ValueError(f"{title.title}: no id of the site")
        _add_all(root, "anime", _entry(title))
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


def _info(username: str, planned: int) -> dict[str, str]:
    return {
        "user_name": username,
        "user_export_type": "1",
        "user_total_anime": str(planned),
        "user_total_watching": "0",
        "user_total_completed": "0",
        "user_total_onhold": "0",
        "user_total_dropped": "0",
        "user_total_plantowatch": str(planned),
    }


def _entry(title: PlannedTitle) -> dict[str, str]:
    return {
        "series_animedb_id": str(title.anime_id),
        "series_title": title.title,
        "series_type": title.type or "",
        "series_episodes": str(title.episodes or 0),
        "my_id": "0",
        "my_watched_episodes": "0",
        "my_start_date": _NO_DATE,
        "my_finish_date": _NO_DATE,
        "my_score": "0",
        "my_status": _PLANNED,
        "my_times_watched": "0",
        "my_priority": "LOW",
        "my_rewatching": "0",
        "my_rewatching_ep": "0",
        "update_on_import": "1",
    }


def _add_all(root: etree._Element, name: str, values: dict[str, str]) -> None:
    element = etree.SubElement(root, name)
    for child, value in values.items():
        etree.SubElement(element, child).text = without_forbidden(value)
