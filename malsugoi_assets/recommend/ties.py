"""What each relation of the catalogue says of two titles: that they belong together, and which is to be seen first.

What belongs here: the meaning of the site's words, relation by relation. What follows from many of them is the business of
`franchises`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import polars as pl

from malsugoi_assets.recommend.chain_extras import ChainExtras
from malsugoi_assets.recommend.groups import Groups

# Seen before the title itself makes sense; and titles that only repeat or add to another one.
_CHAIN = {"prequel", "sequel"}
_BELONGS_TO = {"parent story", "full story"}
_IS_RECAP, _HAS_RECAP = {"full story"}, {"summary"}
_RETOLD = "alternative version"
_EXTRAS = {"summary", "side story", "spin-off"}
# Not "other", "character" and "alternative setting": they tie whole worlds of stories that share a name (all of Gundam).
_TIES = _CHAIN | _BELONGS_TO | _EXTRAS | {_RETOLD}
_LOOSE = {"parent story", "side story", "spin-off"}
"""Between two TV series these tie no more than a world or a cast."""
# What a special may be to the series that its name goes on with: "Clannad: Mou Hitotsu no Sekai" shows another turn of its end.
_OF_NAMESAKES = {_RETOLD, "alternative setting", "other", "character"}


def _sets() -> defaultdict[int, set[int]]:
    return defaultdict(set)


@dataclass
class Ties:
    """`groups`: titles that belong together; `chain`: title → those that it is a sequel of; `sides`: title → those that it is
    a side story, a recap or a special of; `recaps`: titles that only repeat others; `unread`: side stories whose own page,
    which would name their parent story, was not read.
    """

    groups: Groups = field(default_factory=Groups)
    chain: defaultdict[int, set[int]] = field(default_factory=_sets)
    sides: defaultdict[int, set[int]] = field(default_factory=_sets)
    recaps: set[int] = field(default_factory=set)
    unread: set[int] = field(default_factory=set)

    def follows_in_chain(self, title: int, before: int) -> None:
        """The title is a sequel."""
        self.groups.join(title, before)
        self.chain[title].add(before)


def read_ties(relations: pl.DataFrame, extras: ChainExtras, *, apart: bool) -> Ties:
    """From `anime_relations`, those between anime.

    `apart`: series that may be watched one without the other stand on their own, and what leans on two stories does not make
    them one; else whatever is tied is one.
    """
    ties = Ties()
    with_relations = set(relations["anime_id"].to_list())
    pairs = relations.filter(pl.col("related_kind") == "anime").select("anime_id", "relation", "related_id")
    rows = [(left, relation.lower(), right) for left, relation, right in pairs.iter_rows()]
    summaries = {(left, right) for left, word, right in rows if word in _HAS_RECAP}
    for left, word, right in rows:
        if word in _HAS_RECAP and (right, left) in summaries and extras.are_series(right):
            # Each calls the other one so, as "Bakuman." and one of its specials do: the series is none.
            if extras.are_series(left):
                ties.groups.join(left, right)
            continue
        if word in _OF_NAMESAKES:
            _tie_namesakes(ties, left, right, extras)
        if left == right or word not in _TIES or (apart and _stand_apart(word, left, right, extras)):
            continue
        if apart and word not in _CHAIN:
            ties.groups.lean(*_leaning(word, left, right))
        else:
            ties.groups.join(left, right)
        if word in _IS_RECAP:
            ties.recaps.add(left)
        elif word in _HAS_RECAP:
            ties.recaps.add(right)
        if word == "prequel":
            ties.chain[left].add(right)
        elif word == "sequel":
            ties.chain[right].add(left)
        elif word in _BELONGS_TO:
            ties.sides[left].add(right)
        elif word == "summary" or (word in _EXTRAS and extras.by_type(right)):
            ties.sides[right].add(left)
        elif word == "side story" and right not in with_relations:
            ties.sides[right].add(left)
            ties.unread.add(right)
    return ties


def _tie_namesakes(ties: Ties, left: int, right: int, extras: ChainExtras) -> None:
    """Tie a special to the series that its name goes on with."""
    for title, other in ((left, right), (right, left)):
        if extras.goes_on_with(title, other):
            ties.groups.join(title, other)
            ties.sides[title].add(other)


def _leaning(relation: str, left: int, right: int) -> tuple[int, int, int]:
    """Which of two titles leans on the other's story, and the rank of the tie: retellings, of which the later one does, come last."""
    if relation == _RETOLD:
        return max(left, right), min(left, right), 1
    return (right, left, 0) if relation in _EXTRAS else (left, right, 0)


def _stand_apart(relation: str, left: int, right: int, extras: ChainExtras) -> bool:
    """Whether two titles are two series all the same: one may watch either without the other."""
    if relation == _RETOLD:
        return extras.are_of_episodes(left, right) or not extras.share_a_name(left, right)
    return relation in _LOOSE and extras.are_series(left, right)
