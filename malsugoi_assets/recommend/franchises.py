"""Which titles belong together, and what must be seen before what.

What belongs here: prerequisites, entry points and franchises from the relations. What does not: scoring.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from malsugoi_assets.recommend.sequel_names import SequelNames, is_extra_name, share_a_series

# Seen before the title itself makes sense; and titles that only repeat or add to another one.
_COMES_AFTER = {"prequel", "parent story", "full story"}
_LEADS_TO = {"sequel"}
_IS_RECAP, _HAS_RECAP = {"full story"}, {"summary"}
_EXTRAS = {"summary", "side story", "spin-off"}
# Not "other", "character" and "alternative setting": they tie whole worlds of stories that share a name (all of Gundam).
_TIES = _COMES_AFTER | _LEADS_TO | _EXTRAS | {"alternative version"}
# What a special may be to the series that its name goes on with: "Clannad: Mou Hitotsu no Sekai" shows another turn of its end.
_OF_NAMESAKES = {"alternative version", "alternative setting", "other", "character"}
_EXTRA_TYPES = {"special", "tv special", "pv", "cm", "music"}
_FAR_FEWER = 0.25
"""Who has not seen what comes before a story and matters to it: with so small a share of its people it matters to few."""


@dataclass(frozen=True)
class Franchises:
    """What the relations say.

    `group`: title → its franchise (the lowest id in it); `needs`: title → all the titles to be seen first; `recaps`:
    titles that only repeat others.
    """

    group: dict[int, int]
    needs: dict[int, frozenset[int]]
    recaps: frozenset[int]
    aired: dict[int, date]
    """The first day of airing, where it is known."""
    extras: frozenset[int] = frozenset()
    """Specials and the like, by their type; by their name where that is not known."""

    def franchise(self, anime_id: int) -> int:
        """The title's franchise; a title without relations is its own."""
        return self.group.get(anime_id, anime_id)

    def in_watch_order(self, anime_id: int) -> tuple[bool, date, int]:
        """What sorts a franchise's titles as one would watch them: as they aired, extras after all else."""
        return anime_id in self.extras, self.aired.get(anime_id, date.max), anime_id

    def in_release_order(self) -> Franchises:
        """The same where only what aired before a title is to be seen first: a prequel made later does not bar it."""
        needs = {
            title: frozenset(
                other for other in needed if self.aired.get(other, date.min) <= self.aired.get(title, date.max)
            )
            for title, needed in self.needs.items()
        }
        return replace(self, needs=needs)

    def is_open_to(self, anime_id: int, seen: set[int]) -> bool:
        """Whether all that the title needs has been seen."""
        return self.needs.get(anime_id, frozenset()) <= seen

    def entry_point(self, anime_id: int, seen: set[int]) -> int | None:
        """The title to start with instead: the first unseen one down the chain that needs nothing unseen.

        Of several that come before a title the one that aired first is taken. Loops in the relations end the search; None where the chain has no such title.
        """
        visited: set[int] = set()
        while anime_id not in visited:
            missing = self.needs.get(anime_id, frozenset()) - seen
            if not missing:
                return anime_id
            visited.add(anime_id)
            anime_id = min(missing, key=lambda title: (self.aired.get(title, date.max), title))
        return None


def learn_franchises(features: pl.DataFrame, relations: pl.DataFrame) -> Franchises:
    """From `anime_features` and `anime_relations`; only relations between anime count, and names where there are none.

    A prequel that the catalogue does not hold is on nobody's list: it is needed and unseen all the same.
    """
    extras = _Extras(features)
    pairs = relations.filter(pl.col("related_kind") == "anime").select("anime_id", "relation", "related_id")
    with_relations = set(relations["anime_id"].to_list())
    parent: dict[int, int] = {}
    needs: dict[int, set[int]] = defaultdict(set)
    recaps: set[int] = set()
    for left, relation, right in pairs.iter_rows():
        word = relation.lower()
        if word in _OF_NAMESAKES:
            for title, other in ((left, right), (right, left)):
                if extras.goes_on_with(title, other):
                    _join(parent, title, other)
                    needs[title].add(other)
        if left == right or word not in _TIES:
            continue
        _join(parent, left, right)
        if word in _IS_RECAP:
            recaps.add(left)
        elif word in _HAS_RECAP:
            recaps.add(right)
        if word in _COMES_AFTER:
            needs[left].add(right)
        elif word in _LEADS_TO or word == "summary" or (word in _EXTRAS and extras.by_type(right)):
            needs[right].add(left)
        elif word == "side story" and right not in with_relations:
            # Its own page, which would name its parent story, was not read.
            needs[right].add(left)
    names = SequelNames(features)
    for title, before in names.of_newer(relations).items():
        _join(parent, title, before)
        needs[title].add(before)
    # A special inside the chain of sequels does not bar the way: what it needs itself is needed in its place.
    bridged = {title: _without_extras(title, needs, extras) for title in needs}
    # What only a name says counts for that title alone: by "Hellsing: The Dawn" nothing comes before "Hellsing Ultimate".
    for title, before in names.of_unread(relations).items():
        if not bridged.get(title):
            _join(parent, title, before)
            bridged[title] = frozenset({before})
    return Franchises(
        {title: _root(parent, title) for title in parent},
        bridged,
        frozenset(recaps),
        _aired(features),
        frozenset(title for title in parent if extras.by_itself(title)),
    )


def learn_families(features: pl.DataFrame, relations: pl.DataFrame, franchises: Franchises) -> dict[int, int]:
    """Title → its family, the lowest id in it, for titles of the catalogue: franchises that an "other" ties together whose
    titles are called the same. Nobody needs one of them for the other, but who knows one knows of the other.
    """
    names = dict(features.select("anime_id", "title").drop_nulls().iter_rows())
    parent: dict[int, int] = {}
    pairs = relations.filter(pl.col("related_kind") == "anime").select("anime_id", "relation", "related_id")
    for left, relation, right in pairs.iter_rows():
        if relation.lower() != "other" or left not in names or right not in names:
            continue
        if share_a_series(names[left], names[right]):
            _join(parent, franchises.franchise(left), franchises.franchise(right))
    return {title: _root(parent, franchises.franchise(title)) for title in features["anime_id"].to_list()}


def _aired(features: pl.DataFrame) -> dict[int, date]:
    if "aired_from" not in features.columns:
        return {}
    return dict(features.select("anime_id", "aired_from").drop_nulls().iter_rows())


class _Extras:
    """Which titles are no part of the story that one has to know."""

    def __init__(self, features: pl.DataFrame) -> None:
        ids = features["anime_id"].to_list()

        def of(column: str) -> dict[int, Any]:
            return dict(zip(ids, features[column].to_list(), strict=True)) if column in features.columns else {}

        self._kind, self._name, self._members = of("type"), of("title"), of("members")

    def by_type(self, title: int) -> bool:
        """Whether it is of a type of extras."""
        return (self._kind.get(title) or "").lower() in _EXTRA_TYPES

    def by_itself(self, title: int) -> bool:
        """Whether its type says so; where that is not known, its name."""
        return self.by_type(title) if self._kind.get(title) else is_extra_name(self._name.get(title) or "")

    def goes_on_with(self, title: int, other: int) -> bool:
        """Whether it is an extra that is called after the other: by its name, a mark or a space, and more."""
        name, stem = ((self._name.get(one) or "").casefold() for one in (title, other))
        rest = name.removeprefix(stem) if stem else name
        return len(rest) < len(name) and rest[:1] != "" and not rest[0].isalnum() and self.by_itself(title)

    def before(self, other: int, title: int) -> bool:
        """Whether what comes before a title is one: by its type; where that is not known, by its name, and where far fewer
        people have it than the title.
        """
        if self._kind.get(other) or self.by_itself(other):
            return self.by_itself(other)
        few, many = self._members.get(other), self._members.get(title)
        return few is not None and many is not None and few < _FAR_FEWER * many


def _without_extras(title: int, needs: dict[int, set[int]], extras: _Extras) -> frozenset[int]:
    found: set[int] = set()
    visited = {title}
    open_titles = list(needs[title])
    while open_titles:
        other = open_titles.pop()
        if other in visited:
            continue
        visited.add(other)
        if extras.before(other, title):
            open_titles.extend(needs.get(other, ()))
        else:
            found.add(other)
    return frozenset(found)


def _root(parent: dict[int, int], title: int) -> int:
    while parent.get(title, title) != title:
        parent[title] = parent.get(parent[title], parent[title])
        title = parent[title]
    return title


def _join(parent: dict[int, int], left: int, right: int) -> None:
    a, b = _root(parent, left), _root(parent, right)
    parent.setdefault(left, left)
    parent.setdefault(right, right)
    parent[max(a, b)] = parent[min(a, b)] = min(a, b)
