"""Lists with an obvious answer, and models that do as they are told, for the evaluation's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel

from malsugoi_assets.evaluation.data import EvaluationRows, evaluation_rows
from malsugoi_assets.evaluation.run import Progress
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings

WORDS = pl.List(pl.String)
FEATURES = {
    **dict.fromkeys(("title", "title_english", "title_japanese"), pl.String),
    "synonyms": WORDS,
    **dict.fromkeys(("type", "status", "season", "source", "age_rating"), pl.String),
    **dict.fromkeys(("aired_from", "aired_to"), pl.Date),
    "score": pl.Float64,
    **dict.fromkeys(("episodes", "scored_by", "ranked", "popularity", "members", "favorites"), pl.Int32),
    **dict.fromkeys(("genres", "themes", "demographics", "studios"), WORDS),
}
RELATIONS = {"anime_id": pl.Int32, "relation": pl.String, "related_kind": pl.String, "related_id": pl.Int32}


def rows_of(lists: list[tuple[str, str, int | None]], ids: dict[str, int] | None = None) -> EvaluationRows:
    """Rows (user, title, score) in file order; titles have the ids of `ids`, else 1, 2, … in alphabetical order."""
    titles = sorted({title for _, title, _ in lists})
    numbers = {title: (ids or {}).get(title, place + 1) for place, title in enumerate(titles)}
    rows = pl.DataFrame(
        {
            "username": [user for user, _, _ in lists],
            "item": [titles.index(title) for _, title, _ in lists],
            "anime_id": [numbers[title] for _, title, _ in lists],
            "score": [score for _, _, score in lists],
        },
        schema={"username": pl.String, "item": pl.Int32, "anime_id": pl.Int32, "score": pl.Int8},
    )
    known: dict[str, list[object]] = {name: [None] * len(titles) for name in FEATURES}
    known |= {
        "title": list(titles),
        "score": [6.0 + place % 3 for place in range(len(titles))],
        "genres": [[("Action", "Drama")[place % 2]] for place in range(len(titles))],
        **{name: [[] for _ in titles] for name in ("synonyms", "themes", "demographics", "studios")},
        "members": [1000 + 10 * place for place in range(len(titles))],
    }
    catalogue = pl.DataFrame(known, schema=FEATURES).with_columns(
        anime_id=pl.Series([numbers[t] for t in titles], dtype=pl.Int32),
        key=pl.Series(titles),
        names=pl.Series([[t] for t in titles]),
    )
    return evaluation_rows(rows, catalogue, pl.DataFrame(schema=RELATIONS))


def checkerboard(n_users: int = 24, n_titles: int = 24, seed: int = 0) -> list[tuple[str, str, int | None]]:
    """Even users love even titles and dislike odd ones, odd users the other way round; a fifth is left out.

    The last user lists one title without a score, and the last title is listed by that user alone.
    """
    random = np.random.default_rng(seed)
    lists: list[tuple[str, str, int | None]] = [
        (
            f"user{u:02}",
            f"title{t:02}",
            int(9 + random.integers(2)) if (u + t) % 2 == 0 else int(2 + random.integers(2)),
        )
        for u in range(n_users)
        for t in range(n_titles)
        if random.random() < 0.8
    ]
    return [*lists, ("user99", "title99", None)]


class Constant:
    """Says the same of everything."""

    def __init__(self, seed: int = 0, value: float = 7.0) -> None:
        self.value = value

    def fit(self, ratings: Ratings, items: Items) -> Constant:
        self.n_items = len(items)
        return self

    def predict(self, user: IntArray, item: IntArray) -> FloatArray:
        return np.full(len(user), self.value, dtype=np.float32)

    def scores(self, users: IntArray) -> FloatArray:
        return np.zeros((len(users), self.n_items), dtype=np.float32)


class Spy(Constant):
    """A constant that keeps what it was shown."""

    def __init__(self, seen: list[Ratings]) -> None:
        super().__init__()
        self.seen = seen

    def fit(self, ratings: Ratings, items: Items) -> Constant:
        self.seen.append(ratings)
        return super().fit(ratings, items)


class Lines(Progress):
    """Keeps what it is told, a line each."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    def ends(self, model: str, fold: int, folds: int, seconds: float) -> None:
        self.lines.append(f"{model} {fold}/{folds}")

    def skips(self, model: str, fold: int, folds: int, reason: str) -> None:
        self.lines.append(f"{model} skipped: {reason}")


def briefer(settings: Any, less: Mapping[str, int]) -> Any:
    """The settings with the fields of `less` that they have, also where settings stand in settings."""
    changes = {
        name: briefer(value, less) if isinstance(value, BaseModel) else less[name]
        for name, value in settings
        if isinstance(value, BaseModel) or name in less
    }
    return settings.model_copy(update=changes)
