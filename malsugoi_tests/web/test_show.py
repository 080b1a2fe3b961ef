"""Texts that are kept for the next page are those of the macro, escaped, one for each of what they depend on."""

from __future__ import annotations

from typing import Any

import pytest

from malsugoi_assets.web.app import _templates
from malsugoi_assets.web.records import Title
from malsugoi_assets.web.show import Once


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
