"""A list in the form of the site's own XML exports: what `list_export` reads, written."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree  # type: ignore[import-untyped]

from malsugoi_assets.mal.list_export import without_forbidden
from malsugoi_assets.mal.records import ListEntry, ListState

_WORDS: dict[ListState, str] = {
    "watching": "Watching",
    "completed": "Completed",
    "on_hold": "On-Hold",
    "dropped": "Dropped",
    "plan_to_watch": "Plan to Watch",
}


def write_list(entries: Iterable[ListEntry], username: str) -> bytes:
    """The XML file, UTF-8. What is not known is left out; characters that XML forbids are dropped from titles."""
    root = etree.Element("myanimelist")
    _add(etree.SubElement(root, "myinfo"), "user_name", username)
    for entry in entries:
        element = etree.SubElement(root, "anime")
        _add(element, "series_animedb_id", str(entry.anime_id))
        if entry.title is not None:
            _add(element, "series_title", entry.title)
        if entry.episodes_watched is not None:
            _add(element, "my_watched_episodes", str(entry.episodes_watched))
        _add(element, "my_score", str(entry.score or 0))
        if entry.status is not None:
            _add(element, "my_status", _WORDS[entry.status])
        if entry.updated_at is not None:
            _add(element, "my_last_updated", str(int(entry.updated_at.timestamp())))
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


def _add(element: etree._Element, name: str, text: str) -> None:
    etree.SubElement(element, name).text = without_forbidden(text)
