"""What a person sees of a table in Dagster's page: a few rows that mean something, titles by their names.

No row of a person belongs here: what is shown stays in Dagster's event log, where nobody could take it out again. So
users appear as counts.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from malsugoi_assets.assets.plots import UNFOLDED

_MOST_ROWS = 8
_CELL = 34
_PERSONAL = ("username", "user_batch")


def table(frame: pl.DataFrame) -> str:
    """The first rows as a Markdown table, as many as the page unfolds; no column that names a user."""
    frame = frame.drop(_PERSONAL, strict=False)
    if frame.is_empty():
        return "*no rows*"
    rows = [[_cell(value) for value in row] for row in frame.head(_MOST_ROWS).iter_rows()]
    lines = ["| " + " | ".join(line) + " |" for line in [frame.columns, ["---"] * frame.width, *rows]]
    while len(lines) > 3 and len("\n".join(lines)) >= UNFOLDED:
        lines.pop()
    return "\n".join(lines)


def names(titles: pl.LazyFrame | pl.DataFrame) -> pl.DataFrame:
    """One name an `anime_id` (columns anime_id, title), of features or of lists; the id where there is none."""
    return titles.lazy().group_by("anime_id").agg(pl.col("title").min()).with_columns(_named()).collect()


def names_of(batches: Iterable[pl.LazyFrame], wanted: pl.Series) -> pl.DataFrame:
    """As `names`, of rows that come in batches, of which no more are read than name the `wanted` ids."""
    found = pl.DataFrame(schema={"anime_id": pl.Int32, "title": pl.String})
    for rows in batches:
        titles = rows.select(pl.col("anime_id").cast(pl.Int32), "title").unique().collect()
        found = pl.concat([found, titles]).group_by("anime_id").agg(pl.col("title").min())
        if wanted.is_in(found["anime_id"].implode()).all():
            break
    return names(found)


class TitleCounts:
    """How often each title was rated, and its mean: summed batch by batch, so that no more than a batch is held."""

    def __init__(self) -> None:
        self._sums = pl.DataFrame(
            schema={"anime_id": pl.Int32, "title": pl.String, "ratings": pl.Int64, "points": pl.Int64}
        )

    def __len__(self) -> int:
        return self._sums.height

    @property
    def anime_ids(self) -> pl.Series:
        """The titles so far, in any order."""
        return self._sums["anime_id"]

    def add(self, rows: pl.DataFrame) -> None:
        """Count rows with anime_id, title and rating (1–10, null = not rated)."""
        new = rows.select(
            pl.col("anime_id").cast(pl.Int32),
            "title",
            ratings=pl.col("rating").is_not_null().cast(pl.Int64),
            points=pl.col("rating").cast(pl.Int64),
        )
        self._sums = (
            pl.concat([self._sums, new])
            .group_by("anime_id")
            .agg(pl.col("title").min(), pl.col("ratings", "points").sum())
        )

    def most_rated(self) -> pl.DataFrame:
        """The titles with most ratings: title, ratings, mean (1–10)."""
        return (
            self._sums.with_columns(_named())
            .sort("ratings", "anime_id", descending=[True, False])
            .head(_MOST_ROWS)
            .select(
                "title",
                "ratings",
                mean=pl.when(pl.col("ratings") > 0).then((pl.col("points") / pl.col("ratings")).round(2)),
            )
        )


class MostShown:
    """How many users have each title among their first `place` rows: summed batch by batch."""

    def __init__(self, place: int) -> None:
        self._place = place
        self._sums = pl.DataFrame(schema={"anime_id": pl.Int32, "users": pl.Int64, "points": pl.Float64})

    def add(self, rows: pl.DataFrame) -> MostShown:
        """Count rows with anime_id, rank and predicted_rating."""
        new = rows.filter(pl.col("rank") <= self._place).select(
            pl.col("anime_id").cast(pl.Int32),
            users=pl.lit(1, pl.Int64),
            points=pl.col("predicted_rating").cast(pl.Float64),
        )
        together = pl.concat([self._sums, new.select(self._sums.columns)])
        self._sums = together.group_by("anime_id").agg(pl.col("users", "points").sum())
        return self

    def shown(self, titles: pl.DataFrame) -> pl.DataFrame:
        """Those that most users have: title, users, mean predicted rating (1–10)."""
        return (
            self._sums.with_columns(rating=(pl.col("points") / pl.col("users")).round(1))
            .join(titles, on="anime_id")
            .sort("users", "rating", "anime_id", descending=[True, True, False])
            .select(
                "title",
                pl.col("users").alias(f"users (first {self._place})"),
                pl.col("rating").alias("predicted rating"),
            )
            .head(_MOST_ROWS)
        )


def neighbours(pairs: pl.DataFrame, by: str, known: pl.DataFrame, titles: pl.DataFrame) -> pl.DataFrame:
    """The three strongest neighbours (by column `by`) of the best-known titles, by name.

    `known`: how often each title was rated or listed (anime_id, len); those with most are shown.
    """
    most = known.sort("len", "anime_id", descending=[True, False])
    near = (
        pairs.join(most, on="anime_id")
        .join(titles, on="anime_id")
        .join(titles.rename({"anime_id": "neighbour_id", "title": "neighbour"}), on="neighbour_id")
        .sort("len", "anime_id", by, "neighbour_id", descending=[True, False, True, False])
        .group_by("anime_id", "title", maintain_order=True)
        .agg(pl.col("neighbour").head(3))
        .head(_MOST_ROWS)
    )
    columns = {str(i + 1): pl.col("neighbour").list.get(i, null_on_oob=True) for i in range(3)}
    return near.select(pl.col("title"), **columns)


def histogram(values: pl.Series, edges: list[float]) -> dict[str, int]:
    """How many values lie from each edge to the next: "1–2", …, and from the last one on ("9+")."""
    shown = values.drop_nulls().cast(pl.Float64)
    counts = {}
    for low, high in zip(edges, [*edges[1:], None], strict=True):
        inside = shown >= low if high is None else (shown >= low) & (shown < high)
        counts[f"{low:g}+" if high is None else f"{low:g}–{high:g}"] = int(inside.sum())
    return counts


def percent(series: pl.Series) -> float:
    """The share of values that are known, in percent with one decimal."""
    return round(100 * (1 - series.null_count() / max(len(series), 1)), 1)


def _named() -> pl.Expr:
    return pl.col("title").fill_null(pl.format("anime {}", "anime_id"))


def rounded(number: object, digits: int) -> float | None:
    """The number as a person reads it; None where there is none."""
    return round(float(number), digits) if isinstance(number, int | float) else None


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        value = ", ".join(str(v) for v in value)
    text = " ".join(str(value).split())
    text = text if len(text) <= _CELL else text[: _CELL - 1] + "…"
    for sign in "\\`*_[]|~":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;")
