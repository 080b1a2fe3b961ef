"""A ranking page (`topanime.php`)."""

from __future__ import annotations

import re

from bs4 import Tag
from bs4.filter import SoupStrainer

from malsugoi_assets.mal import selectors
from malsugoi_assets.mal.errors import MangaPage, TruncatedPage, UnexpectedPage
from malsugoi_assets.mal.records import TopEntry
from malsugoi_assets.mal.soup import (
    attribute,
    classes,
    decode,
    explain,
    first_document,
    linked_id,
    refuse_undecodable,
    shown_text,
    soup_of,
)

EXPECTED = "a ranking page"


def parse_top_page(page: str | bytes) -> list[TopEntry]:
    """The rows of a ranking page in its order, at least one; a rank or score that the page does not give is None.

    Raises:
        PageError: the subclass for what the page is instead; past its end the site answers with a 404 page.
    """
    text, whole = first_document(decode(page))
    soup = soup_of(text, SoupStrainer("tr"))
    rows = [row for row in soup.find_all("tr") if selectors.TOP_ROW_CLASS in classes(row)]
    if not rows:
        raise explain(text, EXPECTED)
    if not whole:
        raise TruncatedPage(EXPECTED, "no closing </html>")
    entries: dict[int, TopEntry] = {}
    for number, row in enumerate(rows, 1):
        entry = _entry(row, number)
        if entries.setdefault(entry.anime_id, entry) != entry:
            raise UnexpectedPage(EXPECTED, f"anime {entry.anime_id} stands twice, with two ranks or scores")
    return list(entries.values())


def _entry(row: Tag, number: int) -> TopEntry:
    link, rank, score = (
        row.select_one(selectors.TOP_TITLE),
        row.select_one(selectors.TOP_RANK),
        row.select_one(selectors.TOP_SCORE),
    )
    if link is None or rank is None or score is None:
        raise UnexpectedPage(EXPECTED, f"row {number} lacks its title, rank or score")
    pair, title = linked_id(attribute(link, "href")), shown_text(link)
    if pair is not None and pair[0] == "manga":
        raise MangaPage(EXPECTED, f"row {number}")
    if pair is None or not title:
        raise UnexpectedPage(EXPECTED, f"row {number} lacks its id or title")
    refuse_undecodable(title, EXPECTED)
    place = _given(shown_text(rank), r"[1-9]\d{0,5}", number)
    mean = _given(shown_text(score), r"10(?:\.00?)?|[1-9](?:\.\d{1,2})?", number)
    return TopEntry(pair[1], title, int(place) if place else None, float(mean) if mean else None)


def _given(text: str, pattern: str, row: int) -> str | None:
    if text in selectors.UNKNOWN_WORDS:
        return None
    if not re.fullmatch(pattern, text):
        raise UnexpectedPage(EXPECTED, f"row {row}: cannot read {text[:40]!r}")
    return text
