"""Whatever settings declare is asked for: controls, bounds and parameters come from the declaration."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.web.forms import Form, as_pairs, read
from malsugoi_assets.web.problems import Problem


class Wishes(BaseModel):
    """One field of each kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(20, ge=1, le=100, description="Titles.")
    adult: bool = Field(False)
    year: int | None = Field(None, ge=1900)
    dial: float = Field(0.0, ge=-1, le=1)
    genres: tuple[str, ...] = ()
    kinds: frozenset[Literal["TV", "Movie"]] = frozenset()
    order: Literal["best", "newest"] = "best"


def test_each_kind_of_field_gets_its_control() -> None:
    made = Form(Wishes).controls(Wishes(year=2001, genres=("Drama", "Sci-Fi")))
    assert {name: c.kind for name, c in made.items()} == {
        "length": "number",
        "adult": "check",
        "year": "number",
        "dial": "number",
        "genres": "words",
        "kinds": "some",
        "order": "choice",
    }
    assert (made["length"].low, made["length"].high, made["length"].step) == (1, 100, "1")
    assert (made["year"].value, made["genres"].value) == ("2001", "Drama, Sci-Fi")
    assert made["order"].options == ("best", "newest")
    assert made["kinds"].options == ("TV", "Movie")


def test_a_few_known_words_are_boxes_and_many_are_named() -> None:
    few = Form(Wishes, {"genres": ["Action", "Drama"]}).controls(Wishes(genres=("Drama",)))["genres"]
    assert (few.kind, few.options, few.chosen, few.usual) == ("some", ("Action", "Drama"), ("Drama",), False)
    many = Form(Wishes, {"genres": [f"Genre {n}" for n in range(40)]}).controls(Wishes())["genres"]
    assert (many.kind, len(many.options), many.usual) == ("words", 40, True)


def test_every_setting_of_the_recommendations_has_a_control() -> None:
    made = Form(RecommendationSettings).controls(RecommendationSettings())
    assert list(made) == [c.name for c in made.values()] == list(RecommendationSettings.model_fields)


def test_what_has_its_default_is_the_same_control_for_everybody_and_what_has_not_says_so() -> None:
    form = Form(Wishes)
    usual, other = form.controls(Wishes()), form.controls(Wishes(length=3))
    assert {name for name in usual if usual[name] is not other[name]} == {"length"}
    assert (other["length"].value, other["length"].usual, usual["length"].usual) == ("3", False, True)
    assert {name: c.value for name, c in form.controls(Wishes()).items()} == {n: c.value for n, c in usual.items()}


@pytest.mark.parametrize(
    "wishes",
    [
        Wishes(),
        Wishes(length=3, adult=True, year=1999, dial=-0.5),
        Wishes(genres=("a b", "c"), kinds=frozenset({"TV"}), order="newest"),
    ],
)
def test_an_address_leads_back_to_the_settings(wishes: Wishes) -> None:
    assert read(Wishes, as_pairs(wishes)) == wishes


def test_a_checkbox_that_was_taken_off_is_off_and_what_is_left_empty_is_usual() -> None:
    assert read(Wishes, [("adult", "false")]) == Wishes()
    assert read(Wishes, [("adult", "false"), ("adult", "true")]) == Wishes(adult=True)
    assert read(Wishes, [("year", ""), ("genres", " "), ("length", "")]) == Wishes()


def test_an_option_is_chosen_however_an_address_spells_it() -> None:
    """`types=tv` did what it says, and left the box for TV empty."""
    found = Form(Wishes, {"genres": ["Drama", "Comedy"]}).controls(Wishes(genres=("DRAMA", "else"))).values()
    [shown] = [control for control in found if control.name == "genres"]
    assert shown.chosen == ("Drama", "else")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "first_year",
            "1800",
            "From the year (first_year) can't be “1800”: it takes a whole number from 1900 to 2200.",
        ),
        ("first_year", "99999999999999999999", "it takes a whole number from 1900 to 2200."),
        ("gems", "nan", "Well known or hidden gems (gems) can't be “nan”: it takes a number from -1 to 1."),
        ("most_hours", "-inf", "it takes a number above 0 to 100000."),
        ("adult", "perhaps", "Hentai too (adult) can't be “perhaps”: it takes true or false."),
        ("states", "airing,gone", "Airing (states) can't be “gone”: it takes finished, airing or upcoming."),
    ],
)
def test_what_a_setting_takes_is_told_in_a_sentence_for_people(name: str, value: str, sentence: str) -> None:
    """Pydantic's own words stood there: "Input should be a finite number"."""
    with pytest.raises(Problem) as told:
        read(RecommendationSettings, [(name, value)])
    assert told.value.sentence.endswith(sentence)


@pytest.mark.parametrize(
    "pairs",
    [[("length", "0")], [("length", "x")], [("order", "worst")], [("nonsense", "1")], [("genres", "x" * 101)]],
)
def test_what_cannot_be_set_is_told(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(Problem) as told:
        read(Wishes, pairs)
    assert told.value.status == 400
    assert told.value.sentence
