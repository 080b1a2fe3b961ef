"""Find a title by any of its names, however it is typed: English, romanised, Japanese, abbreviated, with typing mistakes.

    likeness(a, b) = 2 |A ∩ B| / (|A| + |B|)   over the sets of character 2- and 3-grams of the folded names

(Dice's coefficient). Names are folded first: width and case, accents, long vowels ("ou", "ō" → "o"), punctuation.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.recommend.initials import Initials
from malsugoi_assets.recommend.ratings import IntArray

SURE = 0.72
SUGGESTIONS = 5
_MARGIN = 0.05
_FAINTEST = 0.25
_BEGINNING = 4
_ABBREVIATED = 0.995
"""The likeness of a name whose initials were typed: less than the name itself, more than one that is mistyped."""


@dataclass(frozen=True)
class Hit:
    """A title that was found: by which of its names, and how alike that is to what was typed (1 = the same)."""

    anime_id: int
    title: str
    name: str
    likeness: float


@dataclass(frozen=True)
class Answer:
    """`best`: the title that is meant, None where that is not sure; `suggestions`: the nearest, best first."""

    best: Hit | None
    suggestions: list[Hit]


@dataclass(frozen=True)
class Found:
    """`anime_id` of the match (None = no name comes close), and other titles that may have been meant."""

    anime_id: int | None
    suggestions: tuple[str, ...]


def find_title(query: str, features: pl.DataFrame) -> Found:
    """One search in `features`, a frame with the columns of `anime_features`."""
    search = TitleSearch(features)
    # Who typed a whole name meant that title, or one that is called the same.
    if named := search.named(query):
        return Found(named[0].anime_id, tuple(hit.title for hit in named[1:SUGGESTIONS]))
    answer = search.find(query)
    others = tuple(
        hit.title for hit in answer.suggestions if answer.best is None or hit.anime_id != answer.best.anime_id
    )
    return Found(answer.best.anime_id if answer.best else None, others)


class TitleSearch:
    """An index over the names of a catalogue, a frame with the columns of `anime_features`."""

    def __init__(self, features: pl.DataFrame) -> None:
        columns = [c for c in ("title", "title_english", "title_japanese", "synonyms") if c in features.columns]
        optional = [pl.col("members") if "members" in features.columns else pl.lit(None).alias("members")]
        self._titles: dict[int, str] = {}
        self._members: dict[int, int] = {}
        self._names: list[tuple[int, str]] = []
        self._same: dict[str, set[int]] = defaultdict(set)
        self._folded: list[str] = []
        for anime_id, members, *known in features.select("anime_id", *optional, *columns).iter_rows():
            names = [n for name in known for n in (name if isinstance(name, list) else [name]) if n]
            if not names:
                continue
            self._titles[anime_id] = names[0]
            self._members[anime_id] = members or 0
            for name in dict.fromkeys(names):
                folded = fold(name)
                if folded:
                    self._same[folded].add(len(self._names))
                    self._names.append((anime_id, name))
                    self._folded.append(folded)

    @cached_property
    def _grams(self) -> tuple[dict[str, IntArray], npt.NDArray[np.int64]]:
        """The names that have each gram, and how many grams each name has: most of the work, of no use to whoever types a
        name as it is.
        """
        holders: dict[str, list[int]] = defaultdict(list)
        sizes: list[int] = []
        for row, folded in enumerate(self._folded):
            found = _grams(folded)
            for gram in found:
                holders[gram].append(row)
            sizes.append(len(found))
        return {gram: np.array(rows, np.int32) for gram, rows in holders.items()}, np.array(sizes, dtype=np.int64)

    @cached_property
    def _initials(self) -> Initials:
        names = (name for _, name in self._names)
        return Initials(zip(names, self._folded, strict=True))

    def make_ready(self) -> TitleSearch:
        """Make now what the first search needs."""
        _ = self._grams, self._initials
        return self

    def named(self, typed: str) -> list[Hit]:
        """The title whose id it is, or those of which it is a name, the one with the most members first: what `find` takes
        for sure.
        """
        if re.fullmatch(r"-?\d+", typed.strip()) and int(typed) in self._titles:
            anime_id = int(typed)
            return [Hit(anime_id, self._titles[anime_id], self._titles[anime_id], 1.0)]
        found: dict[int, Hit] = {}
        for anime_id, name in (self._names[row] for row in sorted(self._same.get(fold(typed), ()))):
            found.setdefault(anime_id, Hit(anime_id, self._titles[anime_id], name, 1.0))
        return sorted(found.values(), key=lambda hit: (-self._members[hit.anime_id], hit.anime_id))

    def find(self, typed: str, *, suggestions: int = SUGGESTIONS) -> Answer:
        """The title meant by `typed` (a name, or an id in digits) and the `suggestions` nearest.

        Sure is: the id or one of the names itself; its initials; the beginning of a name; or the only name that is
        nearly the same. Of several titles that fit equally well the one with the most members is meant.
        """
        if re.fullmatch(r"-?\d+", typed.strip()) and int(typed) in self._titles:
            hits = self.named(typed)
            return Answer(hits[0], hits)
        folded = fold(typed)
        if not folded or not self._names:
            return Answer(None, [])
        likeness = self._likeness(folded)
        begun = [row for name, rows in self._same.items() if name.startswith(folded + " ") for row in rows]
        if len(folded) >= _BEGINNING:
            likeness[begun] = np.maximum(likeness[begun], SURE)
        likeness[sorted(self._same.get(folded, ()))] = 1.0
        near = np.flatnonzero(likeness >= _FAINTEST)
        nearest: dict[int, Hit] = {}
        for row in near[np.argsort(-likeness[near], kind="stable")][: 50 * max(suggestions, 1)]:
            anime_id, name = self._names[row]
            value = round(float(likeness[row]), 6)
            nearest.setdefault(anime_id, Hit(anime_id, self._titles[anime_id], name, value))
        hits = sorted(nearest.values(), key=lambda h: (-h.likeness, -self._members[h.anime_id], h.anime_id))
        if (not hits or hits[0].likeness < 1) and (short := self._abbreviated(typed, folded)):
            known = {hit.anime_id for hit in short}
            return Answer(short[0], [*short, *(hit for hit in hits if hit.anime_id not in known)][:suggestions])
        return Answer(self._meant(hits, {self._names[row][0] for row in begun}), hits[:suggestions])

    def _abbreviated(self, typed: str, folded: str) -> list[Hit]:
        """The titles of which the initials were typed, the best known first; [] where one has a word that begins so, and more
        members than count for those initials: that was meant then.
        """
        fame: dict[int, tuple[float, int]] = {}
        for row, share in self._initials.rows(typed).items():
            anime_id = self._names[row][0]
            fame[anime_id] = max(fame.get(anime_id, (0.0, row)), (share * self._members[anime_id], row))
        if not fame:
            return []
        order = sorted(fame, key=lambda anime_id: (-fame[anime_id][0], anime_id))
        most = fame[order[0]][0]
        for (anime_id, _), name in zip(self._names, self._folded, strict=True):
            if self._members[anime_id] > most and f" {folded}" in f" {name}":
                return []
        return [Hit(i, self._titles[i], self._names[fame[i][1]][1], _ABBREVIATED) for i in order]

    def _likeness(self, folded: str) -> npt.NDArray[np.float64]:
        asked = _grams(folded)
        common = np.zeros(len(self._names), dtype=np.int64)
        holders, sizes = self._grams
        for gram in asked:
            common[holders.get(gram, [])] += 1
        # Only the very same folded name is 1: repeated grams can make different names look the same.
        return np.minimum(2 * common / (sizes + len(asked)), 0.99)

    def _meant(self, hits: list[Hit], begun: set[int]) -> Hit | None:
        if not hits or hits[0].likeness < SURE:
            return None
        if hits[0].likeness == 1 or len(hits) == 1:
            return hits[0]
        if hits[0].anime_id in begun:
            return max(
                (h for h in hits if h.anime_id in begun), key=lambda h: (self._members[h.anime_id], -h.anime_id)
            )
        return hits[0] if hits[0].likeness - hits[1].likeness >= _MARGIN else None


def fold(name: str) -> str:
    """What is left of a name when spelling habits are taken out; the name itself where it is punctuation alone."""
    compatible = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    # Only accents of Latin letters go; Japanese voicing marks tell words apart.
    plain = unicodedata.normalize("NFC", re.sub(r"(?<=[a-z])[\u0300-\u036f]+", "", compatible))
    spaced = " ".join(re.findall(r"[^\W_]+", plain.replace("'", "").replace("’", "")))
    return re.sub(r"ou|oo|uu", lambda double: double.group()[0], spaced) or name.strip()


def _grams(folded: str) -> set[str]:
    text = f" {folded} "
    return {text[start : start + size] for size in (2, 3) for start in range(len(text) - size + 1)}
