"""Ranking and users pages, pages that are something else, and the replica's pages read back."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from html import escape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import malsugoi_assets.mal as mal
from malsugoi_assets.mal import (
    BlockPage,
    Captcha,
    LoginWall,
    Maintenance,
    MangaPage,
    NotFound,
    PageError,
    TopEntry,
    TruncatedPage,
    UnexpectedPage,
    parse_anime_page,
    parse_list_export,
    parse_list_json,
    parse_list_page,
    parse_top_page,
    parse_users_page,
)
from malsugoi_tests.support.shared import shared_path

PARSERS: list[Callable[[str | bytes], Any]] = [
    parse_anime_page,
    parse_top_page,
    parse_users_page,
    parse_list_page,
    parse_list_json,
    parse_list_export,
]


def document(title: str, content: str = "") -> str:
    return f"<!DOCTYPE html><html><head><title>\n{title}\n</title></head><body>{content}</body></html>"


OTHERS: list[tuple[str, type[PageError]]] = [
    (document("404 Not Found - MyAnimeList.net", '<h1 class="h1">404 Not Found</h1>'), NotFound),
    (document("MyAnimeList.net", '<div class="badresult">Invalid ID provided</div>'), NotFound),
    (document("403 Forbidden", "<h1>403 Forbidden</h1>"), BlockPage),
    (document("405 Not Allowed"), BlockPage),
    (document("Access Denied", "You don't have permission"), BlockPage),
    (document("Attention Required! | Cloudflare", "<h1>Sorry, you have been blocked</h1>"), BlockPage),
    (document("ERROR: The request could not be satisfied", "<h1>403 ERROR</h1>"), BlockPage),
    (document("429 Too Many Requests"), BlockPage),
    (document("Just a moment..."), Captcha),
    (document("Human Verification", "<div id='captcha-container'></div>"), Captcha),
    (document("MyAnimeList.net", '<h1>Are you human?</h1><form><div class="g-recaptcha"></div></form>'), Captcha),
    (document("MyAnimeList.net", '<table><tr><td><div class="g-recaptcha"></div></td></tr></table>'), Captcha),
    (document("Login - MyAnimeList.net", '<form name="loginForm"></form>'), LoginWall),
    (document("MyAnimeList.net", '<form name="loginForm" action="/login.php"></form>'), LoginWall),
    (document("MyAnimeList.net", "<h1>We are under maintenance</h1>"), Maintenance),
    (document("MyAnimeList.net", "<p>MyAnimeList is down for maintenance.</p>"), Maintenance),
    (document("503 Service Temporarily Unavailable"), Maintenance),
    (document("Something", "<p>else</p>"), UnexpectedPage),
    ("", TruncatedPage),
    ("<html><head><title>Top Anime - MyAnimeList.net</title></head><body><div", TruncatedPage),
]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda p: p.__name__)
@pytest.mark.parametrize(("page", "error"), OTHERS, ids=lambda v: v[55:95] if isinstance(v, str) else v.__name__)
def test_every_parser_names_what_it_found(
    parse: Callable[[str | bytes], Any], page: str, error: type[PageError]
) -> None:
    for form in (page, page.encode()):
        with pytest.raises(error) as raised:
            parse(form)
        assert isinstance(raised.value, ValueError)
        assert raised.value.found in str(raised.value)


@pytest.mark.parametrize("parse", PARSERS, ids=lambda p: p.__name__)
@given(page=st.text(max_size=60) | st.binary(max_size=60))
@settings(max_examples=40, deadline=None)
def test_any_text_or_bytes_give_a_page_error(parse: Callable[[str | bytes], Any], page: str | bytes) -> None:
    try:
        assert parse(page) == []
        assert parse is parse_list_json
    except PageError:
        pass


def test_all_that_is_exported_is_there() -> None:
    assert all(hasattr(mal, name) for name in mal.__all__)
    errors = {
        name
        for name in mal.__all__
        if isinstance(getattr(mal, name), type) and issubclass(getattr(mal, name), PageError)
    }
    assert len(errors) == 13


# Ranking pages


def top_row(number: int, title: str = "Oka", rank: str = "1", score: str = "9.17") -> str:
    return f"""<tr class="ranking-list"><td class="rank"><span class="lightLink top-anime-rank-text">{rank}</span></td>
<td class="title"><a class="hoverinfo_trigger" href="/anime/{number}/x"><img></a><h3 class="anime_ranking_h3">
<a href="/anime/{number}/x">{escape(title)}</a></h3></td><td class="score"><span class="text on">{score}</span></td>
<td class="your-score"><span class="text">N/A</span></td></tr>"""


def top(*rows: str) -> str:
    return document("Top Anime - MyAnimeList.net", f"<table>{''.join(rows)}</table>")


def test_ranking_rows_ignore_the_visitors_own_score() -> None:
    page = top(top_row(1, "A & B"), top_row(2, rank="-", score="N/A"))
    assert parse_top_page(page) == [TopEntry(1, "A & B", 1, 9.17), TopEntry(2, "Oka", None, None)]


def test_the_title_of_2018_and_a_raw_greek_slug() -> None:
    old = top_row(1).replace('<h3 class="anime_ranking_h3">', "").replace("</h3>", "")
    old = old.replace(
        '<a href="/anime/1/x">', '<a class="hoverinfo_trigger fl-l fw-b" href="https://myanimelist.net/anime/1/α★">'
    )
    assert parse_top_page(top(old)) == [TopEntry(1, "Oka", 1, 9.17)]


@pytest.mark.parametrize("broken", [
    top_row(1, score="good"), top_row(1, rank="first"), top_row(1, title=""), top_row(1).replace("top-anime-rank-text", "x"),
    top_row(1).replace('class="score"', 'class="x"'), top_row(0), top_row(1, score="0.00"), top_row(1) + top_row(1, rank="2"),
])  # fmt: skip
def test_a_ranking_row_that_cannot_be_read_is_an_error(broken: str) -> None:
    with pytest.raises(UnexpectedPage):
        parse_top_page(top(broken))


def test_a_manga_ranking_is_named_and_a_doubled_page_counts_once() -> None:
    with pytest.raises(MangaPage):
        parse_top_page(top(top_row(1).replace("/anime/", "/manga/")))
    assert parse_top_page(top(top_row(1), top_row(1)) * 2) == [TopEntry(1, "Oka", 1, 9.17)]


@given(st.floats(0, 0.999))
@settings(max_examples=60, deadline=None)
def test_a_ranking_cut_anywhere_is_an_error(share: float) -> None:
    page = top(top_row(1), top_row(2, rank="2"))
    with pytest.raises(PageError):
        parse_top_page(page[: int(len(page) * share)])


@pytest.mark.parametrize(
    ("name", "first", "last_rank"),
    [("2018", TopEntry(5114, "Fullmetal Alchemist: Brotherhood", 1, 9.25), 50), ("2025", TopEntry(52991, "Sousou no Frieren", 1, 9.31), 50)],
)  # fmt: skip
def test_real_rankings(name: str, first: TopEntry, last_rank: int) -> None:
    body = gzip.decompress(next(shared_path("pages/topanime").glob(f"{name}*")).read_bytes())
    rows = parse_top_page(body)
    assert (len(rows), rows[0], rows[-1].ranked) == (50, first, last_rank)
    assert rows == parse_top_page(body.decode())


# Users pages


def user(name: str, link: str = "/profile/") -> str:
    return f"""<td align="center" class="borderClass"><div><a href="{link}{name}">{name}</a></div>
<div class="picSurround"><a href="{link}{name}"><img></a></div></td>"""


def users(*cells: str) -> str:
    return document(
        "Users - MyAnimeList.net", f'<a href="/profile/me">me</a><table><tr>{"".join(cells)}</tr></table>'
    )


def test_usernames_from_absolute_and_relative_links_each_once_and_not_the_visitors() -> None:
    page = users(user("kim_1"), user("Al-2", "https://myanimelist.net/profile/"), user("kim_1"))
    assert parse_users_page(page) == ["kim_1", "Al-2"]


def test_no_users_only_where_the_page_says_so() -> None:
    assert parse_users_page(users('<td><div class="badresult">No users found</div></td>')) == []
    with pytest.raises(UnexpectedPage):
        parse_users_page(users())


def test_a_link_that_says_another_name_is_an_error() -> None:
    with pytest.raises(UnexpectedPage, match="kim"):
        parse_users_page(users(user("kim").replace(">kim<", ">mik<")))


@pytest.mark.parametrize(("name", "count"), [("2012", 25), ("2016", 20)])
def test_real_users_pages(name: str, count: int) -> None:
    body = gzip.decompress(next(shared_path("pages/users").glob(f"{name}*")).read_bytes())
    names = parse_users_page(body)
    assert len(names) == len(set(names)) == count
    assert names == parse_users_page(body.decode())


@pytest.mark.parametrize("parse", PARSERS, ids=lambda p: p.__name__)
def test_the_real_404_page(parse: Callable[[str | bytes], Any]) -> None:
    with pytest.raises(NotFound):
        parse(gzip.decompress(next(shared_path("pages/errors").glob("*not_exist*")).read_bytes()))
