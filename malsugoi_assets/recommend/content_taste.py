"""What somebody may like among titles that nobody has rated yet, by what the titles are: the fallback without ratings.

    score(i) = Σ_w idf_w · t_w / √|words of i| + 0.5 · (points above the user's mean of the related titles that were rated)
    t_w      = Σ_j (r_j - mean) / (n_w + 5)      over the n_w rated titles with the word w (a genre, theme or studio)

in rating points above the user's own mean. A related title counts by the strongest one: what was loved may be gone on
with, what was dropped may not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import log, sqrt

import polars as pl

from malsugoi_assets.recommend.content import GENRES

_PRIOR_TITLES = 5.0
_RELATED = 0.5
_WORDS = (*GENRES, "studios")


@dataclass(frozen=True)
class Taste:
    """`mean` of the user's scores; `words`: points above it that each word stands for; `rated`: score of each title."""

    mean: float
    words: dict[str, float]
    rated: dict[int, float]


@dataclass(frozen=True)
class Fit:
    """How well a title fits: `score`, the words that speak for it (strongest first), the rated title it goes on with."""

    anime_id: int
    score: float
    words: tuple[str, ...]
    goes_on_with: int | None


class TitleWords:
    """The words of a catalogue: which titles carry which, and how rare each is."""

    def __init__(self, features: pl.DataFrame) -> None:
        present = [name for name in _WORDS if name in features.columns]
        self.of: dict[int, tuple[str, ...]] = {
            anime_id: tuple(dict.fromkeys(word for words in lists if words for word in words if word))
            for anime_id, *lists in features.select("anime_id", *present).iter_rows()
        }
        count: dict[str, int] = defaultdict(int)
        for words in self.of.values():
            for word in words:
                count[word] += 1
        self.rarity = {word: log(1 + len(self.of) / n) / log(1 + len(self.of)) for word, n in count.items()}

    def taste(self, rated: Mapping[int, float]) -> Taste:
        """What the scores of a list (anime_id → 1–10) say of words."""
        mean = sum(rated.values()) / len(rated) if rated else 0.0
        above: dict[str, float] = defaultdict(float)
        titles: dict[str, int] = defaultdict(int)
        for anime_id, score in rated.items():
            for word in self.of.get(anime_id, ()):
                above[word] += score - mean
                titles[word] += 1
        return Taste(mean, {w: above[w] / (titles[w] + _PRIOR_TITLES) for w in above}, dict(rated))

    def rank(self, taste: Taste, candidates: Collection[int], related: Mapping[int, Collection[int]]) -> list[Fit]:
        """The candidates, the best fit first; `related`: the titles of the same story of each (ids, any order)."""
        fits = [self._fit(taste, anime_id, related.get(anime_id, ())) for anime_id in candidates]
        return sorted(fits, key=lambda fit: (-round(fit.score, 9), fit.anime_id))

    def _fit(self, taste: Taste, anime_id: int, related: Collection[int]) -> Fit:
        words = self.of.get(anime_id, ())
        parts = {w: self.rarity[w] * taste.words[w] for w in words if w in taste.words}
        score = sum(parts.values()) / sqrt(max(len(words), 1))
        known = [(taste.rated[other], -other) for other in related if other in taste.rated]
        before = None
        if known:
            best, negative = max(known, key=lambda pair: (abs(pair[0] - taste.mean), pair[1]))
            score += _RELATED * (best - taste.mean)
            before = -negative if best >= taste.mean else None
        speaking = sorted((w for w in parts if parts[w] > 0), key=lambda w: (-parts[w], w))
        return Fit(anime_id, score, tuple(speaking[:3]), before)
