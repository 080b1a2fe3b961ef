"""A user's list as a page: modern (rows as JSON in the page, or rendered by a browser) or classic."""

from __future__ import annotations

import re
from typing import Any, cast

from bs4 import Tag
from bs4.filter import SoupStrainer

from malsugoi_assets.mal import selectors
from malsugoi_assets.mal.errors import MangaPage, NotFound, TruncatedPage, UnexpectedPage, UnknownUser
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

_QUOTED = r"""(?:[^>"']|"[^"]*"|'[^']*')*"""
_TABLE = re.compile(rf"<table\b{_QUOTED}>", re.I)
_BODY = re.compile(rf"<body\b{_QUOTED}>", re.I)
_ALL = 7


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
    body = _opening(text, _BODY)
    if body is not None and attribute(body, "data-work") == "manga":
        raise MangaPage(EXPECTED)
    tables = [tag for tag in _openings(text, _TABLE) if "list-table" in classes(tag)]
    rendered = selectors.LIST_ROW.split(".")[1] in text
    if tables or rendered:
        found = _modern(text, body, tables)
    elif re.search(r"""<div\b[^>]*\bid=["']?list_surround\b""", text, re.I):
        found = _classic(text)
    else:
        error = explain(text, EXPECTED)
        raise UnknownUser(EXPECTED) if isinstance(error, NotFound) else error
    if not whole:
        raise TruncatedPage(EXPECTED, "no closing </html>")
    return found


def _openings(text: str, pattern: re.Pattern[str]) -> list[Tag]:
    """The elements that `pattern` opens, without their content (the rows in an attribute are most of the page)."""
    found = []
    for match in pattern.finditer(text):
        tag = soup_of(match[0]).find(match[0][1:6].strip().lower() if match[0][1:6].lower() == "table" else "body")
        if isinstance(tag, Tag):
            found.append(tag)
    return found


def _opening(text: str, pattern: re.Pattern[str]) -> Tag | None:
    found = pattern.search(text)
    tag = soup_of(found[0]).find("body") if found else None
    return tag if isinstance(tag, Tag) else None


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
        raise UnexpectedPage(EXPECTED, "only the template of a row, to be filled by a browser")
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
        if not isinstance(query, dict) or str(query.get("status")) != str(_ALL):
            return False
        if any(value for key, value in query.items() if key not in ("status", "order", "order2")):
            return False
    return True


def _rendered(text: str) -> list[ListEntry]:
    if selectors.LIST_ROW.split(".")[1] not in text:
        return []
    found: dict[int, ListEntry] = {}
    soup = soup_of(text, SoupStrainer("tr", class_="list-table-data"))
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
    start = re.search(r"""<div\b[^>]*\bid=["']?list_surround\b""", text, re.I)
    soup = soup_of(text[start.start() if start else 0 :])
    found: dict[int, ListEntry] = {}
    state: str | None = None
    for tag in soup.select("table, " + selectors.CLASSIC_TITLE):
        if tag.name == "table":
            state = next(
                (selectors.CLASSIC_HEADERS[name] for name in classes(tag) if name in selectors.CLASSIC_HEADERS), state
            )
            continue
        entry = _classic_entry(tag, state)
        found[entry.anime_id] = entry
    tabs = soup.select("td.status_selected, td.status_not_selected")
    if not found and not tabs:
        raise UnexpectedPage(EXPECTED, "a classic list without rows or tabs")
    return ListPage(tuple(found.values()), complete=bool(soup.select(selectors.CLASSIC_ALL)))


def _classic_entry(link: Tag, state: str | None) -> ListEntry:
    pair, title, row = linked_id(attribute(link, "href")), shown_text(link), link.find_parent("tr")
    if pair is None or not title or row is None:
        raise UnexpectedPage(EXPECTED, f"a row without its id or title: {title[:40]!r}")
    if pair[0] == "manga":
        raise MangaPage(EXPECTED, title)
    refuse_undecodable(title, EXPECTED)
    label = row.select_one(selectors.CLASSIC_SCORE)
    if label is None:
        raise UnexpectedPage(EXPECTED, f"the row of {title[:40]!r} lacks its score")
    progress = row.select_one(f"#output{pair[1]}")
    return ListEntry(
        pair[1],
        title,
        score=score_of(shown_text(label), f"the row of {title[:40]!r}", EXPECTED),
        status=cast("ListState | None", state),
        episodes_watched=_watched(shown_text(progress)) if progress else None,
    )


def _watched(text: str) -> int | None:
    if text == "-":
        return 0
    return int(text) if re.fullmatch(r"\d{1,6}", text) else None
