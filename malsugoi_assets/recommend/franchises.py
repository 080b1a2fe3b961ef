"""Which titles belong together, and what must be seen before what.

What belongs here: prerequisites, entry points and franchises from the relations. What does not: scoring, and which titles
inside a chain are no part of it (`chain_extras`).

Two views of the same relations. The story's is what models learn from and what pages show as one franchise. The lists'
is what people go by: series that tell a story anew, TV series that are side stories of one another, and series that meet in a special stand on their
own (*Fullmetal Alchemist* and *Brotherhood*, the Gundam series), and what hardly anybody knows of those who know a title bars nobody from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import NamedTuple

import polars as pl

from malsugoi_assets.recommend.chain_extras import ChainExtras, Needs
from malsugoi_assets.recommend.groups import Groups
from malsugoi_assets.recommend.sequel_names import SequelNames, share_a_series
from malsugoi_assets.recommend.ties import read_ties


class Passed(NamedTuple):
    """Titles that somebody passed over: `chain` by what comes after them through prequels, `story` also through side stories."""

    chain: frozenset[int]
    story: frozenset[int]


NOTHING_PASSED = Passed(frozenset(), frozenset())


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
    """Specials and the like, by their type; where that is not known by their name, or as a side story that was not read."""
    follows: Needs = field(default_factory=dict)
    """Title → what comes directly before it, extras too; `needs` is made of it."""
    sides: Needs = field(default_factory=dict)
    """Title → those of them that it is but a side story, a recap or a special of."""

    def franchise(self, anime_id: int) -> int:
        """The title's franchise; a title without relations is its own."""
        return self.group.get(anime_id, anime_id)

    def in_watch_order(self, anime_id: int) -> tuple[bool, date, int]:
        """What sorts a franchise's titles as one would watch them: as they aired, extras after all else."""
        return anime_id in self.extras, self.aired.get(anime_id, date.max), anime_id

    def in_release_order(self) -> Franchises:
        """The same where only what aired before a title is to be seen first: a prequel made later does not bar it."""
        needs = {
            title: frozenset(other for other in needed if self._is_older(other, title))
            for title, needed in self.needs.items()
        }
        return replace(self, needs=needs)

    def _is_older(self, other: int, title: int) -> bool:
        """Whether `other` may have aired before the title, or with it: an unknown day is no proof that it did not."""
        return self.aired.get(other, date.min) <= self.aired.get(title, date.max)

    @cached_property
    def _before(self) -> dict[int, frozenset[int]]:
        """Title → all that comes before it, also through others; titles that follow nothing are left out."""
        return _closure(self.follows)

    @cached_property
    def _earlier(self) -> dict[int, frozenset[int]]:
        """The same through prequels alone."""
        return _closure({title: before - self.sides.get(title, set()) for title, before in self.follows.items()})

    def passed_over(self, seen: set[int]) -> Passed:
        """What comes before something that was seen, and was not: whoever watched on does not wait for it.

        To have seen an extra of a series is not to have watched on.
        """
        some = [title for title in seen if title in self._before and title not in self.extras]
        if not some:
            return NOTHING_PASSED
        chain = frozenset().union(*(self._earlier.get(title, frozenset()) for title in some)) - seen
        return Passed(chain, chain.union(*(self._before[title] for title in some)) - seen)

    def missing(self, anime_id: int, seen: set[int], passed: Passed = NOTHING_PASSED) -> frozenset[int]:
        """What has to be seen before the title and was neither seen nor passed over.

        A side story needs no more than any part that comes after what it belongs to, a sequel one that comes after by prequels. An
        extra needs its own story in any case. Of titles that were passed over themselves the one made first comes first.
        """
        unseen = self.needs.get(anime_id, frozenset()) - seen
        if not unseen or not passed.story or anime_id in self.extras:
            return unseen
        beside = self.sides.get(anime_id, frozenset())
        gone = {title for title in unseen if title in (passed.story if title in beside else passed.chain)}
        if anime_id in passed.story:
            gone = {title for title in gone if not self._is_older(title, anime_id)}
        return unseen - gone

    def entry_point(self, anime_id: int, seen: set[int], passed: Passed = NOTHING_PASSED) -> int | None:
        """The title to start with instead: the first unseen one down the chain that misses nothing.

        Of several that come before a title the one that aired first is taken. Loops in the relations end the search; None where the chain has no such title.
        """
        visited: set[int] = set()
        while anime_id not in visited:
            missing = self.missing(anime_id, seen, passed)
            if not missing:
                return anime_id
            visited.add(anime_id)
            anime_id = min(missing, key=lambda title: (self.aired.get(title, date.max), title))
        return None


def learn_franchises(
    features: pl.DataFrame, relations: pl.DataFrame, listed: Mapping[int, int] | None = None
) -> Franchises:
    """From `anime_features` and `anime_relations`; only relations between anime count, and names where there are none.

    A prequel that the catalogue does not hold is needed and unseen all the same, unless lists that hold the title tell that few
    know it. `listed`: id → how many lists hold the title; with it the view of those who choose what to watch (see the module),
    else the story's.
    """
    extras = ChainExtras(features, listed)
    ties = read_ties(relations, extras, apart=listed is not None)
    names = SequelNames(features)
    for title, before in names.of_newer(relations).items():
        ties.follows_in_chain(title, before)
    follows = {
        title: ties.chain.get(title, set()) | ties.sides.get(title, set()) for title in (*ties.chain, *ties.sides)
    }
    # A special inside the chain of sequels does not bar the way: what it needs itself is needed in its place.
    bridged = {title: extras.bridged(title, follows) for title in follows}
    # What only a name says counts for that title alone: by "Hellsing: The Dawn" nothing comes before "Hellsing Ultimate".
    for title, before in names.of_unread(relations).items():
        if not bridged.get(title):
            ties.groups.join(title, before)
            bridged[title] = frozenset({before})
            ties.unread.add(title)
    group = ties.groups.found()
    return Franchises(
        group,
        bridged,
        frozenset(ties.recaps),
        _aired(features),
        frozenset(title for title in group if title in ties.unread or extras.by_itself(title)),
        follows,
        {title: beside - ties.chain.get(title, set()) for title, beside in ties.sides.items()},
    )


def _closure(follows: Needs) -> dict[int, frozenset[int]]:
    """Title → all that comes before it, also through others.

    Of two that come before each other, as a special's odd relations make of all seasons of "Bakuman.", neither does.
    """
    found: dict[int, frozenset[int]] = {}
    for title in follows:
        before: set[int] = set()
        open_titles = [title]
        while open_titles:
            new = set(follows.get(open_titles.pop(), ())) - before
            before |= new
            open_titles += new
        found[title] = frozenset(before - {title})
    none: frozenset[int] = frozenset()
    return {t: frozenset(o for o in before if t not in found.get(o, none)) for t, before in found.items()}


def learn_families(features: pl.DataFrame, relations: pl.DataFrame, franchises: Franchises) -> dict[int, int]:
    """Title → its family, the lowest id in it, for titles of the catalogue: franchises that an "other" ties together whose
    titles are called the same. Nobody needs one of them for the other, but who knows one knows of the other.
    """
    names = dict(features.select("anime_id", "title").drop_nulls().iter_rows())
    groups = Groups()
    pairs = relations.filter(pl.col("related_kind") == "anime").select("anime_id", "relation", "related_id")
    for left, relation, right in pairs.iter_rows():
        if relation.lower() != "other" or left not in names or right not in names:
            continue
        if share_a_series(names[left], names[right]):
            groups.join(franchises.franchise(left), franchises.franchise(right))
    family = groups.found()
    own = ((title, franchises.franchise(title)) for title in features["anime_id"].to_list())
    return {title: family.get(franchise, franchise) for title, franchise in own}


def _aired(features: pl.DataFrame) -> dict[int, date]:
    if "aired_from" not in features.columns:
        return {}
    return dict(features.select("anime_id", "aired_from").drop_nulls().iter_rows())
