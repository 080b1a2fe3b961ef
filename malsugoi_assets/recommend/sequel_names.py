"""What names say of a series where no relation does: "X 2nd Season" and "X: Y-hen" go on with "X".

Catalogues are newer than the relations that lie beside them, and some folders have no relations at all. What belongs here:
names. What follows from them stands in `franchises`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import polars as pl

_EXTRAS = frozenset(("ova", "oad", "special", "specials", "recap", "recaps", "prologue", "pilot", "pilots", "mini"))
_PARTS = (
    "movie",
    "film",
    "ona",
    "gekijouban",
    "season",
    "part",
    "cour",
    "final",
    "first",
    "second",
    "third",
    "fourth",
)
_ROMANS = ("ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")
_OF_A_PART = frozenset((*_PARTS, *_ROMANS, "fifth", "sixth", "s2", "s3", "s4", "s5", "s6"))
_LEFT_OUT = _OF_A_PART | _EXTRAS
_NUMBER = re.compile(r"0?[1-9]|0|1\d|\d+(st|nd|rd|th)")
_OF_A_FILM = re.compile(r"\b(movie|film) \d+\b")
"""A film's number may be any: with so many of them it is no name."""
_IN_FRONT = frozenset(("gekijouban", "eiga"))
_TELLS_NOTHING = frozenset(("the", "tv"))
_NEW = 0.99
"""The share of the titles with relations that are older than where relations end."""
_UNTOLD = 0.2
"""Where the type of a larger share of the titles is not known, a missing one says nothing of a title."""
_SEPARATOR = re.compile(r":| - |[!?~] ")


@dataclass(frozen=True)
class _Titled:
    anime_id: int
    name: str
    aired: date | None
    is_extra: bool
    """Whether it is more likely to stand beside the story than in it."""

    when: tuple[date, int]
    """One order of all titles, so that none comes before itself by way of others: the day, or where none is known that of
    the title whose id is the next lower (the site counts up), and the id after it."""

    def before(self, other: _Titled) -> bool:
        """Whether it came earlier."""
        return self.when < other.when


def is_extra_name(name: str) -> bool:
    """Whether a name says itself that it is no part of the story: an OVA, a special, a recap, a prologue."""
    return not _EXTRAS.isdisjoint(_words(name))


class SequelNames:
    """What the names of a catalogue say comes before a title: of the same series the last one that began to air earlier."""

    def __init__(self, features: pl.DataFrame) -> None:
        """`features`: anime_id, title, and title_english, aired_from, type where they are known."""
        self._titles = _titled(features) if "title" in features.columns else []
        self._series: dict[tuple[str, ...], list[_Titled]] = defaultdict(list)
        self._parts: dict[tuple[str, ...], list[_Titled]] = defaultdict(list)
        kinds = features["type"].to_list() if "type" in features.columns else [None] * features.height
        self._untold = {title.anime_id for title, kind in zip(self._titles, kinds, strict=False) if kind is None}
        for title, other_name in zip(self._titles, _english(features), strict=False):
            for name in {title.name, other_name} - {""}:
                if key := _series(name):
                    self._series[key].append(title)
            for key in _begins_with(title.name):
                self._parts[key].append(title)

    def of_newer(self, relations: pl.DataFrame) -> dict[int, int]:
        """Title → what comes before it, of titles without any relation to anime that are newer than all but the newest 1 %
        of the titles with one; of all, where there are no relations.
        """
        of_anime = relations.filter(pl.col("related_kind") == "anime")
        related = {*of_anime["anime_id"].to_list(), *of_anime["related_id"].to_list()}
        known = sorted(title.aired for title in self._titles if title.anime_id in related and title.aired)
        end = known[int(len(known) * _NEW)] if known else date.min
        return self._before(
            title
            for title in self._titles
            if title.anime_id not in related and not (known and (title.aired is None or title.aired <= end))
        )

    def of_unread(self, relations: pl.DataFrame) -> dict[int, int]:
        """The same of titles whose own page was never read: no relation is their own, and their type is not known, where
        those of nearly all titles are: else a missing one says nothing.
        """
        if not relations.height or len(self._untold) > _UNTOLD * len(self._titles):
            return {}
        unread = self._untold - set(relations["anime_id"].to_list())
        return self._before((title for title in self._titles if title.anime_id in unread), among_parts=False)

    def _before(self, asked: Iterable[_Titled], *, among_parts: bool = True) -> dict[int, int]:
        """`among_parts`: "X: Z" goes on with "X: Y" where that came between, else with X. Most unread ones are extras of X."""
        found = {}
        for title in asked:
            for key in _begins_with(title.name):
                if not _earlier(self._series.get(key, ()), title):
                    continue
                more = self._parts[key] if among_parts else []
                earlier = _earlier((*self._series[key], *more), title)
                found[title.anime_id] = max(earlier, key=lambda t: (not t.is_extra, t.when, t.anime_id)).anime_id
                break
        return found


def share_a_series(one: str, other: str) -> bool:
    """Whether two names name one series: "X: Y-hen" and "X Movie 1: Z", but not "X" and "X Seed"."""
    return not {_series(one), *_begins_with(one)}.isdisjoint({_series(other), *_begins_with(other)} - {()})


def _earlier(titles: Iterable[_Titled], than: _Titled) -> list[_Titled]:
    return [title for title in titles if title.anime_id != than.anime_id and title.before(than)]


def _begins_with(name: str) -> list[tuple[str, ...]]:
    """The series that a name goes on with, the nearest first: without its number, then up to each separator."""
    key = _series(name)
    whole = [key] if key and any(map(_numbers_a_part, _words(name))) else []
    parts = [_series(name[: mark.start() + 1]) for mark in _SEPARATOR.finditer(name)]
    return whole + [part for part in reversed(parts) if part and part != key]


@lru_cache(65_536)
def _series(name: str) -> tuple[str, ...]:
    """The words of a name without those that number a part of a series; the first word numbers nothing ("First Love")."""
    words = [word for word in _words(name) if word not in _TELLS_NOTHING]
    if words and words[0] in _IN_FRONT:
        del words[0]
    return tuple(word for place, word in enumerate(words) if place == 0 or not _numbers_a_part(word))


@lru_cache(65_536)
def _numbers_a_part(word: str) -> bool:
    return word in _LEFT_OUT or _NUMBER.fullmatch(word) is not None


@lru_cache(65_536)
def _words(name: str) -> tuple[str, ...]:
    plain = name if name.isascii() else unicodedata.normalize("NFKC", name)
    return tuple(re.findall(r"\w+", _OF_A_FILM.sub(r"\1 1", plain.lower()).replace("mini anime", "mini")))


def _titled(features: pl.DataFrame) -> list[_Titled]:
    rows = features.select(
        "anime_id",
        pl.col("title").fill_null(""),
        pl.col("aired_from") if "aired_from" in features.columns else pl.lit(None, pl.Date),
        (pl.col("type") if "type" in features.columns else pl.lit(None, pl.String)).fill_null("").str.to_lowercase(),
    ).rows()
    extras = {"ova", "special", "tv special", "music", "pv", "cm"}
    when, last = {}, date.min
    for i, _, aired, _ in sorted(rows):
        last = aired or last
        when[i] = (last, 0 if aired else i)
    return [
        _Titled(i, name, aired, kind in extras or not {"movie", "ona", *_EXTRAS}.isdisjoint(_words(name)), when[i])
        for i, name, aired, kind in rows
    ]


def _english(features: pl.DataFrame) -> list[str]:
    if "title_english" not in features.columns:
        return [""] * features.height
    return features["title_english"].fill_null("").to_list()
