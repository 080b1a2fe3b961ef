"""Titles are found by any name, also mistyped; what is not sure is suggested, never guessed."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from malsugoi_assets.recommend.search import Found, TitleSearch, find_title, fold

FEATURES = pl.DataFrame(
    {
        "anime_id": [1, 5114, 121, 199, 6547, 9, 10, 11],
        "title": [
            "Cowboy Bebop",
            "Fullmetal Alchemist: Brotherhood",
            "Fullmetal Alchemist",
            "Sen to Chihiro no Kamikakushi",
            "Angel Beats!",
            "Twin",
            "Twin",
            None,
        ],
        "title_english": [None, None, None, "Spirited Away", "Angel Beats!", None, None, None],
        "title_japanese": ["カウボーイビバップ", "鋼の錬金術師", None, "千と千尋の神隠し", None, None, None, None],
        "synonyms": [[], ["Hagane no Renkinjutsushi", "FMA:B"], ["FMA"], None, [], [], [], []],
        "members": [1_000, 3_000, 1_500, None, 2_000, 5, 50, 7],
    }
)
SEARCH = TitleSearch(FEATURES)


@pytest.mark.parametrize(
    ("typed", "anime_id"),
    [
        ("cowboy bebop", 1),
        ("Cowbyo Bebop", 1),
        ("カウボーイビバップ", 1),
        ("ｃｏｗｂｏｙ　ｂｅｂｏｐ", 1),
        ("spirited away", 199),
        ("spiritted awey", 199),
        ("千と千尋の神隠し", 199),
        ("Hagane no Renkinjutsushi", 5114),
        ("fma", 121),
        ("fullmetal alchemist", 121),
        ("angel beats", 6547),
        ("  5114 ", 5114),
    ],
)
def test_a_title_is_found_by(typed: str, anime_id: int) -> None:
    best = SEARCH.find(typed).best
    assert best is not None
    assert best.anime_id == anime_id


def test_what_is_unlike_every_title_finds_nothing() -> None:
    assert SEARCH.find("zzzz qqqq").best is None
    assert SEARCH.find("zzzz qqqq").suggestions == []


def test_a_part_of_a_name_is_suggested_and_not_guessed() -> None:
    answer = SEARCH.find("alchemist")
    assert answer.best is None
    assert [hit.anime_id for hit in answer.suggestions[:2]] == [121, 5114]


def test_of_two_titles_with_one_name_the_better_known_is_meant() -> None:
    answer = SEARCH.find("twin")
    assert answer.best is not None
    assert answer.best.anime_id == 10
    assert [hit.anime_id for hit in answer.suggestions] == [10, 9]


@pytest.mark.parametrize("typed", ["", "   ", "!!!"])
def test_nothing_typed_finds_nothing(typed: str) -> None:
    assert SEARCH.find(typed).best is None


def test_an_empty_catalogue_answers_too() -> None:
    assert TitleSearch(FEATURES.clear()).find("fma").suggestions == []


def test_spellings_of_long_vowels_fold_to_one() -> None:
    assert fold("Shōjo Kakumei") == fold("shoujo kakumei") == "shojo kakumei"


def test_voicing_marks_stay() -> None:
    assert fold("ガンダム") != fold("カンタム")


@given(st.text(max_size=30))
def test_any_text_gets_an_answer_within_bounds(typed: str) -> None:
    answer = SEARCH.find(typed, suggestions=3)
    assert len(answer.suggestions) <= 3
    assert all(0 < hit.likeness <= 1 for hit in answer.suggestions)


def test_the_beginning_of_a_name_means_the_best_known_title_that_begins_so() -> None:
    best = SEARCH.find("fullmetal").best
    assert best is not None
    assert best.anime_id == 5114


KNOWN = {
    1: ("Shingeki no Kyojin", "Attack on Titan", 2_000),
    2: ("Shingeki no Kyojin: Kuinaki Sentaku", None, 700),
    3: ("Sennen Kitan", None, 600),
    4: ("Snak", None, 9_000),
    5: ("Omoide no Eki", None, 50),
    6: ("One Piece", None, 900),
}


def searching(known: dict[int, tuple[str, str | None, int]]) -> TitleSearch:
    title, english, members = zip(*known.values(), strict=True)
    return TitleSearch(
        pl.DataFrame({"anime_id": list(known), "title": title, "title_english": english, "members": members})
    )


def test_initials_mean_the_best_known_title_before_any_typing_mistake() -> None:
    """`similar FMA` was answered by *Did you mean Ima, MaMa, Ozma?*"""
    search = searching(KNOWN)
    # Of a whole name, 2,000; with a letter from inside a word, half of 600; of what stands before a colon, a quarter of 700.
    answer = search.find("SnK")
    assert [hit.anime_id for hit in answer.suggestions] == [1, 3, 2, 4]
    assert answer.best == answer.suggestions[0]
    by_english = search.find("aot").best
    assert by_english is not None
    assert (by_english.anime_id, by_english.name) == (1, "Attack on Titan")


def test_a_name_that_is_typed_as_it_is_comes_before_initials() -> None:
    best = searching({**KNOWN, 7: ("SNK!", None, 1)}).find("SnK").best
    assert best is not None
    assert best.anime_id == 7


def test_the_beginning_of_a_word_of_a_better_known_title_is_no_abbreviation() -> None:
    assert searching(KNOWN).find("one").suggestions[0].anime_id == 6
    lesser = searching({5: KNOWN[5], 6: ("One Piece", None, 49)}).find("one").best
    assert lesser is not None
    assert lesser.anime_id == 5


def test_one_search_names_the_match_and_the_others() -> None:
    assert find_title("twin", FEATURES) == Found(10, ("Twin",))
    assert find_title("alchemist", FEATURES).anime_id is None
    features = pl.DataFrame(
        {"anime_id": [1, 2], "title": ["Sen to Chihiro", "Buddy Spirits"], "title_english": ["Spirited Away", None]}
    )
    assert find_title("spirited away", features) == Found(1, ()), "who typed a whole name meant nothing else"
    assert find_title("Spirits", features) == Found(None, ("Buddy Spirits", "Sen to Chihiro"))
    assert find_title("zzzz qqqq", FEATURES) == Found(None, ())


@pytest.mark.parametrize(
    "typed", ["cowboy bebop", "Twin", "angel beats!", "FMA", "5114", "12345", "Cowbyo Bebop", "zzz", ""]
)
def test_a_name_that_is_a_titles_own_means_what_a_search_finds(typed: str) -> None:
    found = SEARCH.find(typed)
    assert TitleSearch(FEATURES).named(typed) == [hit for hit in found.suggestions if hit.likeness == 1]
    assert find_title(typed, FEATURES).anime_id == (found.best.anime_id if found.best else None)
