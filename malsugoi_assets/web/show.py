"""How numbers and reasons read on the page."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, date, datetime
from typing import Any

from jinja2.runtime import Macro
from markupsafe import Markup, escape

from malsugoi_assets.recommend.filters import GIVING_WAY
from malsugoi_assets.web.records import Reason, Recommendation
from malsugoi_assets.web.sessions import Lru

UNKNOWN = "–"


def rating(value: float | None) -> str:
    """One place behind the point."""
    return UNKNOWN if value is None else f"{value:.1f}"


def exact(value: float | None) -> str:
    """Three places behind the point."""
    return UNKNOWN if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """One place, with its sign."""
    return UNKNOWN if value is None else f"{value:+.1f}".replace("-", "−")


def whole(value: float | None) -> str:
    """A count, its thousands apart."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def figure(value: float | None) -> str:
    """A count or a number, whichever it is."""
    return UNKNOWN if value is None else f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def day(value: date | None) -> str:
    """A day."""
    return UNKNOWN if value is None else value.strftime("%Y-%m-%d")


def moment(value: datetime | None) -> str:
    """A minute, in UTC."""
    return UNKNOWN if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def spoken(status: str) -> str:
    """A list's status in words."""
    return status.replace("_", " ").capitalize()


def word(name: str) -> str:
    """A genre as people write it; some catalogues have `romantic_subtext`."""
    return name.replace("_", " ").capitalize() if "_" in name or name.islower() else name


def words(names: Iterable[str]) -> str:
    """Genres in a row."""
    return ", ".join(map(word, names))


def share(value: float, most: float) -> float:
    """How long a bar is, in hundredths of the longest."""
    return round(100 * max(0.0, min(1.0, value / most)), 1) if most > 0 else 0.0


def together(reasons: list[Reason]) -> list[Reason]:
    """The reasons in their order, but those that were scored beside each other: first whichever kind the first one is."""
    return sorted(reasons, key=lambda reason: (reason.rated is None) != (reasons[0].rated is None))


class Once:
    """In a template `once(macro, …)`: the macro's text, kept for the next page that shows the same.

    For what says nothing of anybody: a visitor's list that is thrown away must not live on here.
    """

    def __init__(self, most: int = 5_000) -> None:
        self._texts = Lru(most)

    def __call__(self, macro: Macro, *arguments: Hashable) -> str:
        """`arguments` are all that the text depends on."""
        text: str = self._texts.get((macro.name, *arguments), lambda: macro(*arguments))
        return text


class Cards:
    """In a template `cards(macro, item, rank, back)`: the text of a recommendation's card, kept for the person's next list.

    The same title with the same reasons stands on many lists of one person: what differs, the rank and the address to
    come back to, is filled in.
    """

    # Unlike anything that a title or an address may hold.
    _RANK, _BACK = (f"{secrets.token_hex(16)}-{name}" for name in ("rank", "back"))

    def __init__(self, most: int = 300) -> None:
        self._texts = Lru(most)

    def __call__(self, macro: Callable[[Recommendation, str, str], str], item: Recommendation, back: str) -> Markup:
        """`macro(item, rank, back)` makes the text; `back`: the address, as it is or escaped already."""
        key = (
            item.anime.anime_id,
            item.gave_way,
            tuple([reason.anime_id for reason in item.because]),
            tuple([reason.anime_id for reason in item.though]),
        )
        text: str = self._texts.get(key, lambda: str(macro(item, self._RANK, self._BACK)))
        return Markup(text.replace(self._RANK, str(item.rank)).replace(self._BACK, escape(back)))


def giving_way(rule: str) -> str:
    """What it means for a title that the rule gave way for it."""
    return GIVING_WAY[rule]


FILTERS: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (rating, exact, signed, whole, figure, day, moment, spoken, word, words, share, together, giving_way)
}
