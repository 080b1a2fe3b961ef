"""Names by their initials: worked by hand on names as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malsugoi_assets.recommend.initials import BEGINNING, WHOLE, Initials
from malsugoi_assets.recommend.search import fold

NAMES = (
    "Sword Art Online",
    "Sword Art Online: Alicization",
    "Hunter x Hunter (2011)",
    "Legend of the Galactic Heroes",
    "Fullmetal Alchemist",
    "Fullmetal Alchemist: Brotherhood",
    "Jujutsu Kaisen",
    "JoJo's Bizarre Adventure",
    "Mob Psycho 100",
    "Steins;Gate",
    "Monster",
    "鋼の 錬金術師",
    "Samurai Champloo",
)
INITIALS = Initials([(name, fold(name)) for name in NAMES])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("SAO", {"Sword Art Online": WHOLE, "Sword Art Online: Alicization": BEGINNING}),
        ("saoa", {"Sword Art Online: Alicization": WHOLE}),
        ("HxH", {"Hunter x Hunter (2011)": WHOLE}),
        ("ＬｏｔＧＨ", {"Legend of the Galactic Heroes": WHOLE}),
        # A letter more, where a syllable begins: full-Metal, ju-Jutsu, jo-Jo.
        ("FMA", {"Fullmetal Alchemist": WHOLE / 2, "Fullmetal Alchemist: Brotherhood": BEGINNING / 2}),
        ("FMA:B", {"Fullmetal Alchemist: Brotherhood": WHOLE / 2}),
        ("JJK", {"Jujutsu Kaisen": WHOLE / 2}),
        ("JJBA", {"JoJo's Bizarre Adventure": WHOLE / 2}),
        ("MP100", {"Mob Psycho 100": WHOLE}),
        ("S;G", {"Steins;Gate": WHOLE}),
        ("SAC", {}),  # S(a)murai: a vowel begins none
        ("FLA", {}),  # fu-Ll-metal: nor does a consonant before another
        ("M", {}),  # a name of one word is no abbreviation's
        ("MT", {}),
        ("s a o", {}),
        ("", {}),
    ],
)
def test_what_an_abbreviation_can_stand_for(typed: str, meant: dict[str, float]) -> None:
    assert {NAMES[row]: share for row, share in INITIALS.rows(typed).items()} == meant


@given(st.lists(st.text("abcdefg", min_size=1, max_size=8), min_size=2, max_size=6))
def test_the_first_letters_of_any_name_stand_for_it(words: list[str]) -> None:
    name = " ".join(words)
    found = Initials([(name, fold(name))]).rows("".join(word[0] for word in words))
    assert found == {0: WHOLE}


@given(st.lists(st.text(max_size=20), max_size=5), st.text(max_size=8))
def test_any_names_and_any_text_get_an_answer(names: list[str], typed: str) -> None:
    found = Initials([(name, fold(name)) for name in names]).rows(typed)
    assert all(0 <= row < len(names) and 0 < share <= 1 for row, share in found.items())
