"""Which titles inside a chain of prequels and sequels are no part of it that one has to know."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import polars as pl

from malsugoi_assets.recommend.sequel_names import is_extra_name, share_a_series

Needs = Mapping[int, AbstractSet[int]]
_TYPES = {"special", "tv special", "pv", "cm", "music"}
_SERIES = "tv"
_EPISODES = {"tv", "ova", "ona"}
_FAR_FEWER, _FEWER_THAN_HALF = 0.25, 0.5
"""So small a share of a title's people has what comes before it: then it matters to few."""
_ENOUGH_LISTS = 10
"""That hold a title, and its people are told from them where the site's count is not known."""


class ChainExtras:
    """Made once for a catalogue; what the features do not say is no reason to call a title an extra."""

    def __init__(self, features: pl.DataFrame, listed: Mapping[int, int] | None = None) -> None:
        """`features`: anime_id; type, title, members, aired_from where there are such columns.

        `listed`: id → how many lists hold the title. With it what comes before a title is an extra where fewer than half of the
        title's people have it (by `members`, else by the lists) or it was made later; a TV series only where fewer have it, and it was
        made later or both are TV series without a common name. Without it only what is of unknown type and fewer than a quarter have.
        """
        ids = features["anime_id"].to_list()

        def of(column: str) -> dict[int, Any]:
            return dict(zip(ids, features[column].to_list(), strict=True)) if column in features.columns else {}

        self._kind, self._name, self._members = of("type"), of("title"), of("members")
        self._aired = of("aired_from")
        self._listed = listed

    def by_type(self, title: int) -> bool:
        """Whether it is of a type of extras."""
        return self._type(title) in _TYPES

    def by_itself(self, title: int) -> bool:
        """Whether its type says so; where that is not known, its name."""
        return self.by_type(title) if self._type(title) else is_extra_name(self._name.get(title) or "")

    def are_series(self, *titles: int) -> bool:
        """Whether all of them are series for television."""
        return all(self._type(title) == _SERIES for title in titles)

    def are_of_episodes(self, *titles: int) -> bool:
        """Whether all of them are series: for television, on disc or on the net."""
        return all(self._type(title) in _EPISODES for title in titles)

    def share_a_name(self, one: int, other: int) -> bool:
        """Whether their names name one series, as far as they are known."""
        names = self._name.get(one), self._name.get(other)
        return None in names or share_a_series(*map(str, names))

    def goes_on_with(self, title: int, other: int) -> bool:
        """Whether it is an extra that is called after the other: by its name, a mark or a space, and more."""
        name, stem = ((self._name.get(one) or "").casefold() for one in (title, other))
        rest = name.removeprefix(stem) if stem else name
        return len(rest) < len(name) and rest[:1] != "" and not rest[0].isalnum() and self.by_itself(title)

    def before(self, other: int, title: int) -> bool:
        """Whether what comes before a title is one: by itself, or by how it compares to the title."""
        if self.by_itself(other):
            return True
        if self._listed is None:
            return not self._type(other) and self._has_fewer(other, title, _FAR_FEWER)
        few, late = self._has_fewer(other, title, _FEWER_THAN_HALF), self._is_later(other, title)
        if not self.are_series(other):
            return few or late
        return few and (late or (self.are_series(title) and not self.share_a_name(other, title)))

    def _has_fewer(self, other: int, title: int, share: float) -> bool:
        """Whether less than this share of the title's people have it, as far as is known."""
        few, many = self._members.get(other), self._members.get(title)
        if (few is None or many is None) and self._listed and self._listed.get(title, 0) >= _ENOUGH_LISTS:
            few, many = self._listed.get(other, 0), self._listed[title]
        return few is not None and many is not None and bool(few < share * many)

    def _is_later(self, other: int, title: int) -> bool:
        """Whether it aired after the title; an unknown day is no proof."""
        its, own = self._aired.get(other), self._aired.get(title)
        return its is not None and own is not None and its > own

    def bridged(self, title: int, needs: Needs) -> frozenset[int]:
        """What the title needs, where in an extra's place stands what that needs itself."""
        found: set[int] = set()
        visited = {title}
        open_titles = list(needs[title])
        while open_titles:
            other = open_titles.pop()
            if other in visited:
                continue
            visited.add(other)
            if self.before(other, title):
                open_titles.extend(needs.get(other, ()))
            else:
                found.add(other)
        return frozenset(found)

    def _type(self, title: int) -> str:
        return (self._kind.get(title) or "").lower()
