"""Rows as JSON: what the site sends, what it sends instead of them, and its odd values."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.mal import (
    BlockPage,
    ListEntry,
    MangaPage,
    PageError,
    PrivateList,
    TruncatedPage,
    UnexpectedPage,
    UnknownUser,
)
from malsugoi_assets.mal import parse_list_json as parse
from malsugoi_tests.support.shared import shared_path


def row(**values: Any) -> dict[str, Any]:
    return {"anime_id": 5, "anime_title": "Oka", "score": 7, "status": 2, "num_watched_episodes": 12, **values}


def one(**values: Any) -> ListEntry:
    return parse(json.dumps([row(**values)]))[0]


def test_a_row() -> None:
    assert one(updated_at=1614167527) == ListEntry(
        5, "Oka", 7, "completed", 12, datetime(2021, 2, 24, 11, 52, 7, tzinfo=UTC)
    )


def test_an_empty_array_ends_the_list() -> None:
    assert parse("[]") == parse(b" []\n") == []


@pytest.mark.parametrize("score", [0, "0", "-", None, ""])
@pytest.mark.parametrize("status", [1, 2, 3, 4, 6])
def test_unrated_is_none_whatever_the_status(score: Any, status: int) -> None:
    entry = one(score=score, status=status)
    assert entry.score is None
    assert entry.status is not None


@pytest.mark.parametrize("score", [11, -1, 7.5, "good", True, [7]])
def test_a_score_out_of_range_is_an_error_that_names_the_row(score: Any) -> None:
    with pytest.raises(UnexpectedPage, match="row 1"):
        one(score=score)


@pytest.mark.parametrize(
    ("value", "status"),
    [(1, "watching"), ("3", "on_hold"), ("On-Hold", "on_hold"), ("Plan to Read", "plan_to_watch"), (6, "plan_to_watch"),
     (5, None), (0, None), ("Paused", None), (None, None), (True, None), ("", None)],
)  # fmt: skip
def test_a_status_that_the_site_does_not_have_is_none_and_the_row_stays(value: Any, status: str | None) -> None:
    assert one(status=value).status == status


def test_titles_that_look_like_numbers_are_text() -> None:
    assert [one(anime_title=t).title for t in (86, "86", 2.5)] == ["86", "86", "2.5"]
    assert parse('[{"anime_id": 1, "anime_title": 2.0}]')[0].title == "2.0"


def test_missing_keys_are_none_and_the_row_stays() -> None:
    assert parse('[{"anime_id": 1, "anime_title": "A"}]') == [ListEntry(1, "A")]


@pytest.mark.parametrize(
    "broken", [{"anime_id": None}, {"anime_id": 0}, {"anime_id": "x"}, {"anime_title": None}, {"anime_title": " "}]
)
def test_a_row_without_id_or_title_is_an_error(broken: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedPage, match="row 1"):
        one(**broken)


def test_rewatching_and_more_episodes_than_there_are_stay_as_the_site_says() -> None:
    assert one(is_rewatching=1, num_watched_episodes=3).status == "completed"
    assert one(num_watched_episodes=38, anime_num_episodes=24).episodes_watched == 38


@pytest.mark.parametrize(("written", "count"), [("12", 12), ("1120.0", 1120), ("-", None), ("", None), (None, None)])
def test_watched_episodes_as_they_are_written(written: Any, count: int | None) -> None:
    assert one(num_watched_episodes=written).episodes_watched == count


@pytest.mark.parametrize("odd", [-1, "many", "1.5", True, [], {"of": 3}, 10**12])
def test_watched_episodes_that_are_no_number_are_an_error(odd: Any) -> None:
    with pytest.raises(UnexpectedPage, match=r"row 1: .* is no number of episodes"):
        one(num_watched_episodes=odd)


@pytest.mark.parametrize("moment", ["Today, 4:12 AM", "Yesterday", "01-00-17", 0, None, -5, "2024-11", 10**12, True])
def test_moments_written_for_a_visitor_are_not_converted(moment: Any) -> None:
    assert one(updated_at=moment).updated_at is None


def test_the_last_row_of_an_anime_wins() -> None:
    assert [e.score for e in parse(json.dumps([row(score=3), row(anime_id=6), row(score=9)]))] == [9, 7]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ('{"errors":[{"message":"invalid request"}]}', PrivateList),
        ('{"error":"not_permitted","message":""}', PrivateList),
        ('{"error":"not_found","message":""}', UnknownUser),
        ('{"rows":[]}', UnexpectedPage),
        ('[{"manga_id": 3, "manga_title": "x"}]', MangaPage),
        ("", TruncatedPage),
        ('[{"anime_id": 3,', TruncatedPage),
        ("[3]", UnexpectedPage),
        ("null", UnexpectedPage),
        ("Too many requests", UnexpectedPage),
        ("<html><head><title>403 Forbidden</title></head></html>", BlockPage),
        ("<html><head><title>404 Not Found - MyAnimeList.net</title></head></html>", UnknownUser),
        ("[" * 100_000, TruncatedPage),
    ],
)
def test_what_is_no_list_is_named(answer: str, error: type[PageError]) -> None:
    with pytest.raises(error) as raised:
        parse(answer)
    assert type(raised.value) is error


ROWS = json.dumps([row(anime_id=k + 1, anime_title=f"Oka {k}", score=k) for k in range(5)])


@given(st.integers(0, len(ROWS) - 1))
@settings(max_examples=80, deadline=None)
def test_rows_cut_anywhere_are_cut_off(at: int) -> None:
    with pytest.raises(TruncatedPage):
        parse(ROWS[:at])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(row())), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys((*row(), "updated_at"), JSON)), max_size=3) | JSON)
@settings(max_examples=200, deadline=None)
def test_any_json_gives_rows_or_a_page_error(value: Any) -> None:
    try:
        for entry in parse(json.dumps(value)):
            assert entry.anime_id > 0
            assert entry.title
            assert entry.score is None or 1 <= entry.score <= 10
    except PageError:
        pass


@pytest.mark.parametrize(
    ("name", "rows", "rated"),
    [("list_small", 158, 93), ("tags_e63", 263, 93), ("tags_end", 0, 0), ("morethan300", 300, 0), ("firstjson300", 300, 0)],
)  # fmt: skip
def test_real_answers(name: str, rows: int, rated: int) -> None:
    body = gzip.decompress(next(shared_path("pages/load_json").glob(f"*{name}*")).read_bytes())
    entries = parse(body)
    assert len(entries) == rows
    assert entries == parse(body.decode())
    assert sum(entry.score is not None for entry in entries) == rated


def test_the_real_private_answer() -> None:
    with pytest.raises(PrivateList):
        parse(gzip.decompress(next(shared_path("pages/errors").glob("*forbidden*")).read_bytes()))
