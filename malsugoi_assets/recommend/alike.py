"""Titles that are alike in themselves: the fallback where too few people rated a title to say what is rated like it.

    likeness(i, j) = Σ_w rarity_w² over common words / √(Σ_w rarity_w² of i · Σ_w rarity_w² of j)

The words are genres, themes, demographics and studios (`content_taste.TitleWords`), and the type.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import polars as pl

from malsugoi_assets.recommend.content_taste import TitleWords

_TYPE_RARITY = 0.05


@dataclass(frozen=True)
class Alike:
    """A title and how alike it is, 0–1."""

    anime_id: int
    likeness: float


def alike(features: pl.DataFrame, anime_id: int, most: int, without: frozenset[int] = frozenset()) -> list[Alike]:
    """The titles most alike to `anime_id`, the best first; of equals the one with more members, then the lower id.

    Untitled ones and those in `without` are left out; none where nothing is known of the title.
    """
    words = TitleWords(features)
    kinds = dict(features.select("anime_id", "type").iter_rows())
    mine = set(words.of.get(anime_id, ()))
    size = {word: words.rarity[word] ** 2 for word in words.rarity}
    own = sum(size[word] for word in mine)
    if not own:
        return []
    found = []
    for other, members, title in features.select("anime_id", "members", "title").iter_rows():
        theirs = words.of[other]
        if other == anime_id or other in without or title is None or not theirs:
            continue
        common = sum(size[word] for word in theirs if word in mine)
        if not common:
            continue
        same = _TYPE_RARITY if kinds[other] is not None and kinds[other] == kinds.get(anime_id) else 0.0
        length = sqrt((own + _TYPE_RARITY) * (sum(size[word] for word in theirs) + _TYPE_RARITY))
        found.append((-(common + same) / length, -(members or 0), other))
    return [Alike(other, -likeness) for likeness, _, other in sorted(found)[:most]]
