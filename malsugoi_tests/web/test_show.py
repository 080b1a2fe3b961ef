"""Texts that are kept for the next page are those of the macro, escaped, one for each of what they depend on."""

from __future__ import annotations

import re
from typing import Any

import pytest
from markupsafe import escape

from malsugoi_assets.web.app import _templates
from malsugoi_assets.web.records import Reason, Recommendation, Title
from malsugoi_assets.web.show import Cards, Once


@pytest.fixture(scope="module")
def parts() -> Any:
    return _templates().env.get_template("parts.html").module


@pytest.mark.parametrize("name", ["facts", "site_link"])
def test_a_kept_text_is_the_macros(parts: Any, name: str) -> None:
    macro, once = getattr(parts, name), Once()
    evil = Title(anime_id=1, title="<b>", type="<i>", genres=("<script>",), url="https://example.org/?a=1&b=2")
    other = evil.model_copy(update={"genres": ("Drama",), "title": "&"})
    for title in (evil, other, evil):
        assert once(macro, title) == macro(title)
        assert "<script>" not in once(macro, title)
        assert "<b>" not in once(macro, title)


def test_a_text_is_made_once() -> None:
    asked: list[int] = []

    class Counting:
        name = "counting"

        def __call__(self, value: int) -> str:
            asked.append(value)
            return str(value)

    once, macro = Once(most=2), Counting()
    said = [once(macro, value) for value in (1, 2, 1, 2, 3, 1)]  # type: ignore[arg-type]
    assert said == ["1", "2", "1", "2", "3", "1"]
    assert asked == [1, 2, 3, 1], "the third takes the place of the one not asked for longest"


def card(rank: int, reasons: tuple[int, ...], gave_way: str = "") -> Recommendation:
    """A recommendation of title 1 for these entries."""
    because = [Reason(anime_id=i, title=f"<{i}>", weight=1.0) for i in reasons]
    return Recommendation(
        rank=rank, score=1.0, anime=Title(anime_id=1, title="<b>"), because=because, gave_way=gave_way
    )


def test_a_kept_card_has_the_rank_the_reasons_and_the_address_of_the_list_it_stands_on() -> None:
    made: list[int] = []

    def macro(item: Recommendation, rank: str, back: str) -> str:
        made.append(item.rank)
        return f"{rank}:{escape(item.because[0].title)}:{rank}:{item.gave_way}:{back}#{rank}"

    cards = Cards()
    said = [cards(macro, card(*what), back) for what, back in (((1, (5,)), "?a=1&b=2"), ((3, (5,)), '"><i>'))]
    assert said == ["1:&lt;5&gt;:1::?a=1&amp;b=2#1", "3:&lt;5&gt;:3::&#34;&gt;&lt;i&gt;#3"]
    assert made == [1]
    assert cards(macro, card(3, (6, 5)), "") == "3:&lt;6&gt;:3::#3"
    assert cards(macro, card(3, (6, 5), "years"), "") == "3:&lt;6&gt;:3:years:#3"
    assert len(made) == 3, "other reasons and what gave way are another card"


def test_the_weightiest_reason_stands_first_and_like_ones_stand_together() -> None:
    """Whether it was scored or not: the season before weighs more than two favourites that got a 9."""
    macro = _templates().get_template("parts.html").module.because

    def told(*reasons: tuple[str, int | None]) -> str:
        found = [Reason(anime_id=k, title=title, weight=1, rated=score) for k, (title, score) in enumerate(reasons)]
        return " ".join(str(macro(found, lambda path: path)).split()).replace("\n", " ")

    def words(text: str) -> str:
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)).strip()

    assert words(told(("Season 3", None), ("A", 9), ("B", 9))) == "Because you know Season 3, rated A 9 and B 9."
    assert words(told(("A", 7), ("Season 3", None), ("B", 9))) == "Because you rated A 7, B 9 and know Season 3."
    assert words(told(("Season 3", None))) == "Because you know Season 3."
