"""Every page written otherwise, mangled or hostile: read right or refused, never a wrong value, never another exception."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gzip
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.mal import (
    AnimePage,
    PageError,
    parse_anime_page,
    parse_list_json,
    parse_list_page,
    parse_top_page,
    parse_users_page,
)
from malsugoi_assets.mal.replica import pages
from malsugoi_assets.mal.replica.world import World
from malsugoi_tests.support.page_variants import VARIANTS
from malsugoi_tests.support.shared import shared_path

Parser = Callable[[str | bytes], Any]


@functools.cache
def replica_pages() -> dict[str, tuple[Parser, str]]:
    world = World(seed=5, n_anime=30, n_users=12)
    titles = sorted(world.titles, key=lambda title: (-len(title.relations), title.anime_id))
    users = sorted(world.users, key=lambda user: -len(user.entries))
    return {
        "detail": (parse_anime_page, pages.anime_page(world, titles[0])),
        "detail without relations": (parse_anime_page, pages.anime_page(world, titles[-1])),
        "ranking": (parse_top_page, pages.top_page(world, 0) or ""),
        "users": (parse_users_page, pages.users_page(world.users, 0, "")),
        "modern list": (parse_list_page, pages.modern_list(world, users[-1], users[-1].entries, 7)),
        "classic list": (parse_list_page, pages.classic_list(world, users[len(users) // 2])),
    }


REPLICA_PAGES = (
    "detail", "detail without relations", "ranking", "users", "modern list", "classic list",
)  # fmt: skip
REAL_PAGES = {
    "anime/2016-05-28*": parse_anime_page,
    "anime/2021-05-20_31964*": parse_anime_page,
    "anime/2021-10_chainsaw*": parse_anime_page,
    "anime/2025-01-17_gintama*": parse_anime_page,
    "topanime/2018*": parse_top_page,
    "users/2012*": parse_users_page,
    "animelist/*32077df0*": parse_list_page,
    "animelist/*6ca5d8b3*": parse_list_page,
}


def real_page(name: str) -> str:
    folder, pattern = name.split("/")
    return gzip.decompress(next(shared_path(f"pages/{folder}").glob(pattern)).read_bytes()).decode()


@pytest.mark.parametrize("kind", REPLICA_PAGES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_page_of_the_replica_written_otherwise_says_the_same(kind: str, variant: str) -> None:
    parse, page = replica_pages()[kind]
    assert parse(VARIANTS[variant](page)) == parse(page)


@pytest.mark.parametrize("name", REAL_PAGES)
def test_a_real_page_written_otherwise_says_the_same(name: str) -> None:
    parse, page = REAL_PAGES[name], real_page(name)
    wanted = parse(page)
    for variant, rewrite in VARIANTS.items():
        assert parse(rewrite(page)) == wanted, variant


# Mangled


@given(st.sampled_from(REPLICA_PAGES), st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_a_page_cut_at_any_byte_is_refused_or_whole(kind: str, share: float) -> None:
    parse, page = replica_pages()[kind]
    body = page.encode()
    cut = body[: int(len(body) * share)]
    try:
        assert parse(cut) == whole(kind)
        assert b"</html>" in cut
    except PageError:
        assert b"</html>" not in cut


@given(st.sampled_from(REPLICA_PAGES), st.data())
@settings(max_examples=40, deadline=None)
def test_a_cut_page_that_goes_on_with_another_is_refused(kind: str, data: st.DataObject) -> None:
    """A body that breaks off and is sent again on the same connection."""
    parse, page = replica_pages()[kind]
    at = data.draw(st.integers(1, page.index("</html>")))
    with contextlib.suppress(PageError):
        assert parse(page[:at] + page) == whole(kind)


BLOCK = re.compile(r"<div\b[^<>]*>\s*<span class=\"dark_text\">[^<]*</span>.*?</div>\s*(?=<div|<br|<h2|</td)", re.S)


@given(st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_label_blocks_in_any_order_and_twice_say_the_same(random: Any) -> None:
    parse, page = replica_pages()["detail"]
    blocks = list(BLOCK.finditer(page))
    assert len(blocks) > 15
    order = random.sample(blocks, len(blocks))
    parts, at = [], 0
    for here, block in zip(blocks, order, strict=True):
        parts += [page[at : here.start()], block[0] * random.choice((1, 1, 2))]
        at = here.end()
    assert parse("".join(parts) + page[at:]) == parse(page)


@functools.cache
def tags(kind: str) -> list[re.Match[str]]:
    return list(re.finditer(r"</?[a-z][^<>]*>", replica_pages()[kind][1]))


KINDS_AND_TAGS = st.sampled_from(("ranking", "users", "classic list")).flatmap(
    lambda kind: st.tuples(st.just(kind), st.integers(0, len(tags(kind)) - 1))
)


@functools.cache
def whole(kind: str) -> Any:
    parse, page = replica_pages()[kind]
    return parse(page)


def rows(found: Any) -> set[Any]:
    return {getattr(row, "anime_id", row) for row in getattr(found, "entries", found)}


def same_or_unknown(found: AnimePage, wanted: AnimePage) -> list[str]:
    """The fields whose value is another than on the whole page, and not unknown."""
    return [
        field.name
        for field in dataclasses.fields(AnimePage)
        if getattr(found, field.name) not in (getattr(wanted, field.name), None, ())
    ]


def test_a_detail_page_that_lost_any_one_tag_has_no_wrong_value() -> None:
    """Tiles of related entries without their end once gave the next entries the first one's relation, a relation without
    its end took in the title, and a footnote mark without its start made rank 14 rank 142."""
    _, page = replica_pages()["detail"]
    wrong = {}
    for lost in tags("detail"):
        with contextlib.suppress(PageError):
            found = parse_anime_page(page[: lost.start()] + page[lost.end() :])
            wrong[lost[0], lost.start()] = same_or_unknown(found, whole("detail"))
    assert {lost: fields for lost, fields in wrong.items() if fields} == {}


@given(KINDS_AND_TAGS)
@settings(max_examples=40, deadline=None)
def test_rows_of_a_page_that_lost_a_tag_are_rows_of_the_whole_page(drawn: tuple[str, int]) -> None:
    parse, page = replica_pages()[drawn[0]]
    lost = tags(drawn[0])[drawn[1]]
    with contextlib.suppress(PageError):
        assert rows(parse(page[: lost.start()] + page[lost.end() :])) <= rows(whole(drawn[0]))


@given(
    st.sampled_from(REPLICA_PAGES),
    st.floats(0, 1),
    st.integers(0, 300),
    st.binary(max_size=12)
    | st.sampled_from([b"<!--", b"-->", b"<script>", b"</html>", b'"', b"\x00", b"<td", b"&#0;"]),
)
@settings(max_examples=80, deadline=None)
def test_mangled_pages_raise_nothing_but_page_errors(kind: str, at: float, gap: int, junk: bytes) -> None:
    parse, page = replica_pages()[kind]
    body = page.encode()
    start = int(len(body) * at)
    with contextlib.suppress(PageError):
        parse(body[:start] + junk + body[start + gap :])


# Hostile. Each of these once took minutes or Python's whole stack; here they end, in whatever way the site's pages end.


DEEP = 8_000


@pytest.mark.parametrize("kind", REPLICA_PAGES)
@pytest.mark.parametrize(
    "junk",
    ["<b>" * DEEP, "<div " * DEEP, "<h1 " * DEEP, '<table "' * DEEP, "<!--" * DEEP, "</html" * DEEP, '<a href="' * DEEP,
     "<span class=dark_text " * DEEP, "<title>" * DEEP],
    ids=lambda junk: junk[:8],
)  # fmt: skip
def test_pages_without_end_in_their_markup_end(kind: str, junk: str) -> None:
    parse, page = replica_pages()[kind]
    at = page.index("<body")
    with contextlib.suppress(PageError):
        parse(page[:at] + junk + page[at:])


@pytest.mark.parametrize("kind", REPLICA_PAGES)
def test_a_page_larger_than_any_is_refused(kind: str) -> None:
    parse, page = replica_pages()[kind]
    with pytest.raises(PageError, match="MiB"):
        parse(page + " " * (64 * 2**20))


def test_a_nul_in_a_value_is_refused_and_elsewhere_does_no_harm() -> None:
    _, page = replica_pages()["detail"]
    with pytest.raises(PageError, match="not text"):
        parse_anime_page(page.replace("</h1>", "\x00</h1>"))
    assert parse_anime_page(page.replace("<body", "\x00<body", 1)) == parse_anime_page(page)


def test_a_script_in_a_title_is_text_and_nothing_else() -> None:
    row = '[{"anime_id": 5, "anime_title": "<script>alert(1)</script>", "score": 1, "status": 2}]'
    assert parse_list_json(row)[0].title == "<script>alert(1)</script>"
    page = f"""<html><body data-query='{{"status":7}}'><table class="list-table" data-items='{row}'></table></body></html>"""
    assert parse_list_page(page).entries[0].title == "<script>alert(1)</script>"


@pytest.mark.parametrize("title", ["a\\u0000b", "\\ud800"])
def test_characters_that_no_text_can_hold_are_refused_in_json(title: str) -> None:
    with pytest.raises(PageError, match="not text"):
        parse_list_json(f'[{{"anime_id": 5, "anime_title": "{title}"}}]')
