"""List pages: modern (JSON or rendered rows), classic, and what comes instead."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections import Counter
from html import escape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.mal import (
    ListEntry,
    ListPage,
    MangaPage,
    PageError,
    PrivateList,
    TruncatedPage,
    UnexpectedPage,
    UnknownUser,
)
from malsugoi_assets.mal import parse_list_page as parse
from malsugoi_tests.support.shared import shared_path

TEMPLATE = (
    '<tr class="list-table-data"><td class="data status" :class="f(item)"></td><td class="data title"><a :href="u" '
    'class="link sort">${ item.anime_title }</a></td><td class="data score">${ item.score }</td></tr>'
)


def rows(count: int = 3) -> list[dict[str, Any]]:
    return [
        {"anime_id": k + 1, "anime_title": f'A > "{k}" & co', "score": k % 11, "status": (1, 2, 3, 4, 6)[k % 5], "num_watched_episodes": k}
        for k in range(count)
    ]  # fmt: skip


def modern(
    items: list[dict[str, Any]], query: str | None = '{"status":7}', *, body: str = "", inner: str = TEMPLATE
) -> str:
    data = f' data-query="{escape(query)}"' if query else ""
    return f"""<html><head><title>kim's Anime List - MyAnimeList.net</title></head>
<body class="ownlist halloween anime" data-work="anime"{data}{body}>
<table class="list-table" data-items="{escape(json.dumps(items)).replace("&gt;", ">")}"><tbody>{inner}</tbody></table></body></html>"""


def rendered(number: int, title: str, score: str, status: str = "dropped") -> str:
    return f"""<tr class="list-table-data"><td class="data status {status}"></td><td class="data title clearfix">
<a href="https://myanimelist.net/anime/{number}/x" class="link sort">{title}</a></td><td class="data score"><a class="link">
<span class="score-label score-4">\n {score}\n </span></a></td><td class="data progress"><a class="link">15</a> / 366</td></tr>"""


def classic(selected: int = 7) -> str:
    def entry(number: int, title: str, score: str, watched: str) -> str:
        return f"""<table><tr><td class="td1">1</td><td class="td1"><a href="/anime/{number}/x" class="animetitle">
<span>{title}</span></a> <small>Airing</small></td><td class="td1"><span class="score-label score-7">{score}</span></td>
<td class="td1"><span id="output{number}">{watched}</span>/13</td></tr></table>"""

    tabs = "".join(
        f'<td class="status_{"" if k == selected else "not_"}selected"><a href="/animelist/kim?status={k}&amp;tag=">t</a></td>'
        for k in (1, 2, 7)
    )
    return f"""<html><head><style>#list_surround {{ width: 920px; }}</style></head><body class="ownlist christmas">
<div id="list_surround"><table><tr>{tabs}</tr></table><table class="header_cw"><tr><td>Watching</td></tr></table>
{entry(7, "Arakawa", "-", "-")}<table class="header_completed"><tr><td>Completed</td></tr></table>{entry(8, "Oka &amp; co", "9", "13")}
<table><tr><td class="category_totals">Total 2</td></tr></table></div></body></html>"""


def test_a_modern_page_of_everything_is_complete() -> None:
    page = parse(modern(rows()))
    assert page.complete
    assert page.entries[1] == ListEntry(2, 'A > "1" & co', 1, "completed", 1)
    assert page.entries[0].score is None
    assert parse(modern(rows()).encode()) == page


@pytest.mark.parametrize(
    ("count", "query", "complete"),
    [
        (299, '{"status":7}', True),
        (300, '{"status":7}', False),
        (3, '{"status":2}', False),
        (3, '{"status":7,"tag":"space"}', False),
        (3, '{"status":7,"order":4}', True),
        (3, "{}", False),
        (3, None, False),
        (0, '{"status":7}', True),
    ],
)
def test_complete_means_all_statuses_and_room_left(count: int, query: str | None, complete: bool) -> None:
    page = parse(modern(rows(count), query))
    assert (len(page.entries), page.complete) == (count, complete)


def test_rendered_rows_are_read_and_the_template_row_is_not() -> None:
    inner = TEMPLATE + rendered(269, "Bleach", "4") + rendered(270, "Other", "-", "completed")
    page = modern([], inner=inner).replace('data-items="[]"', "")
    assert parse(page).entries == (
        ListEntry(269, "Bleach", 4, "dropped", 15),
        ListEntry(270, "Other", None, "completed", 15),
    )


def test_rows_loaded_by_scrolling_join_those_of_the_page() -> None:
    assert [
        e.anime_id for e in parse(modern(rows(2), inner=rendered(2, "B", "4") + rendered(9, "C", "5"))).entries
    ] == [1, 2, 9]


def test_the_template_row_alone_is_an_error() -> None:
    with pytest.raises(UnexpectedPage, match="template"):
        parse(modern([]).replace('data-items="[]"', ""))


def test_classic_lists() -> None:
    assert parse(classic()) == ListPage(
        (ListEntry(7, "Arakawa", None, "watching", 0), ListEntry(8, "Oka & co", 9, "completed", 13)), complete=True
    )
    assert not parse(classic(selected=2)).complete


@pytest.mark.parametrize(
    ("page", "error"),
    [
        ('<html><body class="ownlist"><div class="badresult">Access to this list has been restricted by the owner.</div></body></html>', PrivateList),
        ("<html><head><title>404 Not Found - MyAnimeList.net\n</title></head><body></body></html>", UnknownUser),
        ('<html><body><div class="badresult">Invalid Username Supplied</div></body></html>', UnknownUser),
        (modern(rows()).replace('data-work="anime"', 'data-work="manga"'), MangaPage),
        (modern([{"manga_id": 1, "manga_title": "x"}]), MangaPage),
        ("", TruncatedPage),
        (modern(rows())[:-8], TruncatedPage),
        ("<html><body><p>Hello</p></body></html>", UnexpectedPage),
    ],
)  # fmt: skip
def test_what_is_no_list_is_named(page: str, error: type[PageError]) -> None:
    with pytest.raises(error) as raised:
        parse(page)
    assert type(raised.value) is error


WHOLE = (modern(rows(4), inner=TEMPLATE + rendered(1, "A", "4")), classic())


@given(st.sampled_from(WHOLE), st.floats(0, 0.999))
@settings(max_examples=120, deadline=None)
def test_a_list_cut_anywhere_is_an_error(page: str, share: float) -> None:
    with pytest.raises(PageError):
        parse(page[: int(len(page) * share)])


@given(
    st.sampled_from(WHOLE),
    st.integers(0, 4000),
    st.integers(0, 60),
    st.text(alphabet="<>\"'&;/=tdr{}[]$0", max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_mangled_lists_raise_nothing_but_page_errors(page: str, at: int, gap: int, junk: str) -> None:
    with contextlib.suppress(PageError):
        assert isinstance(parse(page[:at] + junk + page[at + gap :]), ListPage)


@given(st.permutations(rows(6)))
@settings(max_examples=20, deadline=None)
def test_the_rows_keep_the_pages_order(shuffled: list[dict[str, Any]]) -> None:
    assert [e.anime_id for e in parse(modern(shuffled)).entries] == [row["anime_id"] for row in shuffled]


@pytest.mark.parametrize(
    ("name", "statuses", "rated", "complete"),
    [
        ("2019-02-05", {"watching": 300}, 0, False),
        ("32077df0", {"dropped": 13}, 12, False),
        ("6ca5d8b3", {"dropped": 20}, 19, False),
        ("2025-01-02", {"completed": 51, "watching": 11, "plan_to_watch": 6}, 55, True),
    ],
)
def test_real_lists(name: str, statuses: dict[str, int], rated: int, complete: bool) -> None:
    body = gzip.decompress(next(shared_path("pages/animelist").glob(f"*{name}*")).read_bytes())
    page = parse(body)
    assert page == parse(body.decode())
    assert page.complete is complete
    assert Counter(entry.status for entry in page.entries) == statuses
    assert sum(entry.score is not None for entry in page.entries) == rated
