"""A user's list as a page: modern (rows as JSON in the page, or rendered by a browser) or classic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from bs4 import Tag
from bs4.filter import SoupStrainer

from malsugoi_assets.mal import selectors
from malsugoi_assets.mal.errors import MangaPage, NeedsScripts, NotFound, TruncatedPage, UnexpectedPage, UnknownUser
from malsugoi_assets.mal.list_json import entries_of, load, score_of
from malsugoi_assets.mal.records import ListEntry, ListPage, ListState
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

EXPECTED = "a user's anime list"

_QUOTED = r"""(?:[^>"']|"[^"]*"|'[^']*')*+"""  # possessive: what does not match is not tried again
_OPENING = {name: re.compile(rf"<{name}\b", re.I) for name in ("table", "body")}
_REST = re.compile(rf"{_QUOTED}>")
_CLASSIC = re.compile(r"""<div\b[^<>]*\bid\s*=\s*["']?list_surround\b""", re.I)
_ALL = "7"
_ROW_CLASS = selectors.LIST_ROW.split(".")[1]


def parse_list_page(page: str | bytes) -> ListPage:
    """The entries of a list page, the last row of each anime.

    `complete` is True only where the page says that it shows all statuses, unfiltered, and can have no more rows: fewer
    than 300 on a modern page; a classic page is never cut. A watched count shown as '-' is 0, as the site means it.

    Raises:
        PrivateList: the list's owner does not share it.
        UnknownUser: there is no such user.
        PageError: the subclass for what the page is instead.
    """
    text, whole = first_document(decode(page))
    body = next(_openings(text, "body"), None)
    if body is not None and attribute(body, "data-work") == "manga":
        raise MangaPage(EXPECTED)
    tables = [tag for tag in _openings(text, "table", "list-table") if "list-table" in classes(tag)]
    if tables or _ROW_CLASS in text:
        found = _modern(text, body, tables)
    elif _CLASSIC.search(text):
        found = _classic(text)
    else:
        error = explain(text, EXPECTED)
        raise UnknownUser(EXPECTED) if isinstance(error, NotFound) else error
    if not whole:
        raise TruncatedPage(EXPECTED, "no closing </html>")
    return found


def _openings(text: str, name: str, word: str = "") -> Iterator[Tag]:
    """The elements of a name that have a word in their opening, without their content."""
    at = 0
    while (opening := _OPENING[name].search(text, at)) is not None:
        rest = _REST.match(text, opening.end())
        if rest is None:  # a quote or the tag is never closed: nothing after it is markup
            return
        at = rest.end()
        if word not in rest[0]:
            continue
        tag = soup_of(text[opening.start() : at]).find(name)
        if isinstance(tag, Tag):
            yield tag


def _modern(text: str, body: Tag | None, tables: list[Tag]) -> ListPage:
    holders = [table for table in tables if table.has_attr("data-items")]
    contents = {attribute(table, "data-items") for table in holders}
    if len(contents) > 1:
        raise UnexpectedPage(EXPECTED, "two tables with different rows")
    rows: list[Any] = []
    for content in contents:
        value = load(content.strip(), EXPECTED)
        if not isinstance(value, list):
            raise UnexpectedPage(EXPECTED, "the table's rows are not a list")
        rows = value
    entries = entries_of(rows, EXPECTED)
    shown = _rendered(text)
    if not holders and not shown:
        raise NeedsScripts(EXPECTED, "it holds the template of a row and no rows")
    known = {entry.anime_id for entry in entries}
    entries += [entry for entry in shown if entry.anime_id not in known]
    fits = len(rows) < selectors.ROWS_A_PAGE if holders else len(entries) < selectors.ROWS_A_PAGE
    return ListPage(tuple(entries), complete=fits and _shows_all(text, body, tables))


def _shows_all(text: str, body: Tag | None, tables: list[Tag]) -> bool:
    said = {
        attribute(tag, "data-query") for tag in [*tables, *([body] if body else [])] if tag.has_attr("data-query")
    }
    if not said:
        return bool(soup_of(text, SoupStrainer("a", class_="status-button")).select(selectors.LIST_TAB_ALL))
    for words in said:
        query = load(words, EXPECTED)
        if not isinstance(query, dict) or str(query.get("status")) != _ALL:
            return False
        if any(value for key, value in query.items() if key not in ("status", "order", "order2")):
            return False
    return True


def _rendered(text: str) -> list[ListEntry]:
    if _ROW_CLASS not in text:
        return []
    found: dict[int, ListEntry] = {}
    soup = soup_of(text, SoupStrainer("tr", class_=_ROW_CLASS))
    for number, row in enumerate(soup.select(selectors.LIST_ROW), 1):
        link = row.select_one(selectors.LIST_ROW_TITLE)
        if selectors.TEMPLATE_MARK in row.get_text() or (link is None and row.select_one("[\\:href]") is not None):
            continue
        title = shown_text(link) if link else ""
        pair = linked_id(attribute(link, "href")) if link else None
        score = row.select_one(selectors.LIST_ROW_SCORE)
        if pair is None or not title or score is None:
            raise UnexpectedPage(EXPECTED, f"row {number} lacks its id, title or score")
        if pair[0] == "manga":
            raise MangaPage(EXPECTED, f"row {number}")
        refuse_undecodable(title, EXPECTED)
        label = score.select_one(selectors.CLASSIC_SCORE) or score.select_one("a.link") or score
        status = row.select_one(selectors.LIST_ROW_STATUS)
        state = (
            next((selectors.ROW_CLASSES[name] for name in classes(status) if name in selectors.ROW_CLASSES), None)
            if status
            else None
        )
        progress = row.select_one(selectors.LIST_ROW_PROGRESS)
        found[pair[1]] = ListEntry(
            pair[1],
            title,
            score=score_of(shown_text(label), f"row {number}", EXPECTED),
            status=cast("ListState | None", state),
            episodes_watched=_watched(shown_text(progress)) if progress else None,
        )
    return list(found.values())


def _classic(text: str) -> ListPage:
    start = _CLASSIC.search(text)
    soup = soup_of(text[start.start() if start else 0 :])
    found: dict[int, ListEntry] = {}
    state: str | None = None
    columns: list[str] = []
    row: Tag | None = None
    for tag in soup.find_all(["table", "tr", "a"]):  # one pass in the page's order: such a page may have 10,000 rows
        if tag.name == "table":
            state = next(
                (selectors.CLASSIC_HEADERS[name] for name in classes(tag) if name in selectors.CLASSIC_HEADERS), state
            )
        elif tag.name == "tr":
            row = tag
            headers = row.find_all("td", class_=selectors.CLASSIC_COLUMN, recursive=False)
            columns = [shown_text(header) for header in headers] or columns
        elif selectors.CLASSIC_TITLE in classes(tag) and tag.has_attr("href"):
            entry = _classic_entry(tag, row, columns, state)
            found[entry.anime_id] = entry
    if not found and not soup.select(selectors.CLASSIC_TABS):
        raise UnexpectedPage(EXPECTED, "a classic list without rows or tabs")
    return ListPage(tuple(found.values()), complete=any(map(_all_unfiltered, soup.select(selectors.CLASSIC_TAB))))


def _all_unfiltered(tab: Tag) -> bool:
    query = parse_qs(urlsplit(attribute(tab, "href")).query)
    return query.get("status") == [_ALL] and not any(query.get("tag", ()))


def _classic_entry(link: Tag, row: Tag | None, columns: list[str], state: str | None) -> ListEntry:
    pair, title = linked_id(attribute(link, "href")), shown_text(link)
    if pair is None or not title or row is None:
        raise UnexpectedPage(EXPECTED, f"a row without its id or title: {title[:40]!r}")
    if pair[0] == "manga":
        raise MangaPage(EXPECTED, title)
    refuse_undecodable(title, EXPECTED)
    cells = row.find_all("td", recursive=False)
    shown = dict(zip(columns, cells, strict=True)) if len(columns) == len(cells) else {}
    label = row.find("span", class_="score-label") or shown.get("Score")
    if not isinstance(label, Tag):
        raise UnexpectedPage(EXPECTED, f"the row of {title[:40]!r} lacks its score")
    progress = row.find(id=f"output{pair[1]}") or shown.get("Progress")
    return ListEntry(
        pair[1],
        title,
        score=score_of(shown_text(label), f"the row of {title[:40]!r}", EXPECTED),
        status=cast("ListState | None", state),
        episodes_watched=_watched(shown_text(progress).split("/")[0].strip()) if isinstance(progress, Tag) else None,
    )


def _watched(text: str) -> int | None:
    if text == "-":
        return 0
    return int(text) if re.fullmatch(r"\d{1,6}", text) else None
