"""What a title is in itself (score, audience, kind, genres) as numbers, by a code that is learnt once.

What belongs here: the code (vocabularies, means, spreads) and applying it to any catalogue, so that a title
that was never trained on gets its numbers too. Likeness between titles stands in `likeness`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.recommend.items import Items

NUMBERS = ("score", "log_members", "log_favourites_ratio", "log_popularity", "year", "log_episodes")
CLASSES = ("type", "source", "age_rating")
GENRES = ("genres", "themes", "demographics")

FloatMatrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ContentCode:
    """How a catalogue becomes numbers: `mean`, `spread` per entry of `NUMBERS`, and the known words.

    `idf` of each of the genres: ln(titles / titles with it) + 0.1, so that one which all titles have counts too.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    classes: tuple[tuple[str, ...], ...]
    genres: tuple[str, ...]
    idf: tuple[float, ...]

    def as_json(self) -> dict[str, Any]:
        """The code as plain JSON values."""
        return {
            "mean": list(self.mean),
            "spread": list(self.spread),
            "classes": [list(words) for words in self.classes],
            "genres": list(self.genres),
            "idf": list(self.idf),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ContentCode:
        """The inverse of `as_json`; raises KeyError or TypeError where something is missing."""
        return cls(
            tuple(map(float, data["mean"])),
            tuple(map(float, data["spread"])),
            tuple(tuple(map(str, words)) for words in data["classes"]),
            tuple(map(str, data["genres"])),
            tuple(map(float, data["idf"])),
        )

    @property
    def columns(self) -> list[str]:
        """Names of the columns of `Content.matrix`."""
        names = [*NUMBERS, *(f"no_{name}" for name in NUMBERS)]
        names += [f"{name}={word}" for name, words in zip(CLASSES, self.classes, strict=True) for word in words]
        return names + [f"genre={genre}" for genre in self.genres]


@dataclass(frozen=True)
class Content:
    """A catalogue in numbers, one row a title.

    `numbers`: float32 (n, len(NUMBERS)), standardised, 0 = unknown; `known`: bool of that shape;
    `classes`: int32 (n, len(CLASSES)), -1 = unknown; `genres`: float32 (n, genres), rows of idf scaled to
    length 1 (0 where none is known); `matrix`: float32 (n, columns of the code), all of it side by side.
    """

    numbers: FloatMatrix
    known: npt.NDArray[np.bool_]
    classes: npt.NDArray[np.int32]
    genres: FloatMatrix
    matrix: FloatMatrix


def raw_numbers(features: pl.DataFrame) -> npt.NDArray[np.float64]:
    """`NUMBERS` of a frame with the columns of `anime_features`, shape (n, 6), NaN = unknown.

    The favourites ratio is ln((favourites + 1) / (members + 100)); members, popularity, episodes are ln(1 + x).
    """

    def column(name: str) -> npt.NDArray[np.float64]:
        if name not in features.columns:
            return np.full(features.height, np.nan)
        values = features[name].cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64)
        return np.where(values >= 0, values, np.nan)

    members, favourites = column("members"), column("favorites")
    year = _years(features)
    return np.column_stack(
        [
            column("score"),
            np.log1p(members),
            np.log((favourites + 1) / (members + 100)),
            np.log1p(column("popularity")),
            year,
            np.log1p(column("episodes")),
        ]
    )


def learn_code(items: Items, *, least: int = 5) -> ContentCode:
    """The code of a catalogue; words that fewer than `least` titles carry are left out."""
    numbers = raw_numbers(items.features)
    known = np.isfinite(numbers)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, numbers, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, numbers - mean, 0) ** 2).sum(axis=0) / count)
    spread = np.where(spread > 1e-6, spread, 1.0)
    classes = []
    for name in CLASSES:
        counted = Counter(word for word in _words(items.features, name) if word)
        classes.append(tuple(sorted(word for word, times in counted.items() if times >= least)))
    counted = Counter(genre for genres in genre_sets(items.features) for genre in genres)
    genres = tuple(sorted(genre for genre, times in counted.items() if times >= least))
    idf = tuple(float(np.log(len(items) / counted[genre])) + 0.1 for genre in genres)
    return ContentCode(tuple(map(float, mean)), tuple(map(float, spread)), tuple(classes), genres, idf)


def encode(items: Items, code: ContentCode) -> Content:
    """The catalogue in numbers; unknown values are 0 with their own flag, unknown words are left out."""
    numbers = raw_numbers(items.features)
    known = np.isfinite(numbers)
    standard = np.where(known, (numbers - np.array(code.mean)) / np.array(code.spread), 0.0).clip(-4, 4)
    standard = standard.astype(np.float32)
    classes = np.full((len(items), len(CLASSES)), -1, dtype=np.int32)
    flags = []
    for column, (name, words) in enumerate(zip(CLASSES, code.classes, strict=True)):
        place = {word: number for number, word in enumerate(words)}
        classes[:, column] = [place.get(word, -1) if word else -1 for word in _words(items.features, name)]
        flags.append((classes[:, column, None] == np.arange(len(words))).astype(np.float32))
    place = {genre: number for number, genre in enumerate(code.genres)}
    has = np.zeros((len(items), len(code.genres)), dtype=np.float32)
    for row, genres in enumerate(genre_sets(items.features)):
        for genre in genres:
            if genre in place:
                has[row, place[genre]] = 1
    weighted = has * np.array(code.idf, dtype=np.float32)
    length = np.linalg.norm(weighted, axis=1, keepdims=True)
    unit = weighted / np.where(length > 0, length, 1)
    matrix = np.concatenate([standard, (~known).astype(np.float32), *flags, has], axis=1)
    return Content(standard, known, classes, unit.astype(np.float32), matrix.astype(np.float32))


def genre_sets(features: pl.DataFrame) -> list[set[str]]:
    """Genres, themes and demographics of each title as one set of words, in one spelling.

    Catalogues write the same genre as the pages do, "Slice of Life", or as the API does, "slice_of_life".
    """
    present = [name for name in GENRES if name in features.columns]
    if not present:
        return [set() for _ in range(features.height)]
    rows = list(features.select(present).iter_rows())
    written = {word for row in rows for words in row if words for word in words if word}
    spelt = {word: _one_spelling(word) for word in written}
    return [{spelt[word] for words in row if words for word in words if word} - {""} for row in rows]


def _one_spelling(word: str) -> str:
    return " ".join(re.findall(r"\w+", word.lower().replace("_", " ")))


def _words(features: pl.DataFrame, name: str) -> list[str | None]:
    if name not in features.columns:
        return [None] * features.height
    return [None if word is None else str(word) for word in features[name].to_list()]


def _years(features: pl.DataFrame) -> npt.NDArray[np.float64]:
    """The year of the first broadcast, from `aired_from` or else from `season`; NaN = unknown."""
    years = np.full(features.height, np.nan)
    if "season" in features.columns:
        text = features["season"].cast(pl.String, strict=False).str.extract(r"(\d{4})")
        years = text.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().astype(np.float64)
    if "aired_from" in features.columns and features["aired_from"].dtype in (pl.Date, pl.Datetime):
        aired = features["aired_from"].dt.year().cast(pl.Float64).fill_null(float("nan")).to_numpy()
        years = np.where(np.isfinite(aired), aired, years)
    return years
