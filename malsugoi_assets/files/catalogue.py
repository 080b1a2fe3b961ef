"""Catalogue files to the columns of `anime_features`, merging several by id, and relations files."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from malsugoi_assets.files import values
from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.shapes import (
    AIRED,
    CATALOGUE_FIELDS,
    CATALOGUE_SHAPES,
    describes_itself,
    is_of_users,
    shape_of,
)
from malsugoi_assets.files.tables import Table, read_table
from malsugoi_assets.files.titles import title_ids

WORDS = pl.List(pl.String)
FEATURES: dict[str, pl.DataType | type[pl.DataType]] = {
    "anime_id": pl.Int32,
    "title": pl.String,
    "title_english": pl.String,
    "title_japanese": pl.String,
    "synonyms": WORDS,
    "type": pl.String,
    "episodes": pl.Int32,
    "episode_minutes": pl.Float64,
    "status": pl.String,
    "aired_from": pl.Date,
    "aired_to": pl.Date,
    "season": pl.String,
    "source": pl.String,
    "age_rating": pl.String,
    "score": pl.Float64,
    "scored_by": pl.Int32,
    "ranked": pl.Int32,
    "popularity": pl.Int32,
    "members": pl.Int32,
    "favorites": pl.Int32,
    "genres": WORDS,
    "themes": WORDS,
    "demographics": WORDS,
    "studios": WORDS,
}
LEAST = {"episodes": 1, "ranked": 1, "popularity": 1, "scored_by": 0, "members": 0, "favorites": 0}
RELATIONS = {"anime_id": pl.Int32, "relation": pl.String, "related_kind": pl.String, "related_id": pl.Int32}


def catalogue_table(path: Path) -> Table:
    """The file as it stands. A file of users is a `FilesError`: the ids of people would pass for those of titles."""
    table = read_table(path)
    if is_of_users(table.frame.columns) and not describes_itself(table.frame.columns):
        raise FilesError(path, "describes users, not titles; a catalogue is needed here", line=1)
    return table


def features_of(table: Table, crosswalk: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """(rows with the columns of `FEATURES`, one an anime_id, sorted; counts).

    A row without an id gets that of its title in `crosswalk`, else one made from the title. Of several rows with
    one id the last wins. Columns that the file lacks are NULL.
    """
    path = table.path
    frame = pl.DataFrame({name: _column(table, name) for name in FEATURES if name != "anime_id"})
    own_id = table.first(*CATALOGUE_FIELDS["anime_id"])
    ids = values.identities(table, own_id) if own_id else None
    if ids is None and not table.first(*CATALOGUE_FIELDS["title"]):
        raise FilesError(path, "needs a column anime_id or title", line=1)
    frame = frame.with_columns(anime_id=pl.lit(None, pl.Int32) if ids is None else ids)
    nameless = frame["anime_id"].is_null() & frame["title"].is_null()
    if nameless.any():
        raise table.error(int(nameless.arg_true()[0]), "a row needs an anime_id or a title")
    frame, found, made = resolve(path, frame, crosswalk)
    unique = frame.unique("anime_id", keep="last").sort("anime_id").select(FEATURES.keys())
    return unique, {
        "catalogue_rows": table.frame.height,
        "catalogue_duplicates": table.frame.height - unique.height,
        "catalogue_ids_by_crosswalk": found,
        "catalogue_ids_made": made,
    }


def resolve(path: Path, frame: pl.DataFrame, crosswalk: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
    """Fill missing `anime_id`s from `title`: by `crosswalk`, else by `title_id`. Also (filled so, made)."""
    missing = frame["anime_id"].is_null()
    if not missing.any():
        return frame, 0, 0
    frame = frame.join(crosswalk.rename({"anime_id": "by_crosswalk"}), on="title", how="left", maintain_order="left")
    frame = frame.with_columns(pl.coalesce("anime_id", "by_crosswalk").alias("anime_id")).drop("by_crosswalk")
    silent = frame["anime_id"].is_null()
    own = title_ids(path, frame.filter(silent)["title"].unique(maintain_order=True))
    frame = frame.join(own.rename({"anime_id": "own_id"}), on="title", how="left", maintain_order="left")
    frame = frame.with_columns(pl.coalesce("anime_id", "own_id").alias("anime_id")).drop("own_id")
    return frame, int(missing.sum()) - int(silent.sum()), int(silent.sum())


def merge_catalogues(catalogues: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """One row an anime_id, field by field from the first catalogue that knows it, and `names`: all names of all."""
    names = [
        catalogue.select(
            "anime_id",
            pl.concat_list(
                *(pl.concat_list(pl.col(c)) for c in ("title", "title_english", "title_japanese")),
                pl.col("synonyms").fill_null(pl.lit([], dtype=WORDS)),
            ).alias("names"),
        )
        for catalogue in catalogues
    ]
    fields = [
        pl.when(pl.col(name).list.len() > 0).then(pl.col(name)).drop_nulls().first().alias(name)
        if kind == WORDS
        else pl.col(name).drop_nulls().first()
        for name, kind in FEATURES.items()
        if name != "anime_id"
    ]
    merged = catalogues[0] if len(catalogues) == 1 else pl.concat(catalogues).group_by("anime_id").agg(fields)
    every = pl.concat(names).explode("names", empty_as_null=True).drop_nulls()
    every = every.group_by("anime_id", maintain_order=True).agg(pl.col("names").unique(maintain_order=True))
    return merged.join(every, on="anime_id", how="left").sort("anime_id")


def read_relations(path: Path | None) -> tuple[pl.DataFrame, int]:
    """(anime_id, relation, related_kind, related_id; how many rows of another kind than anime or manga were left)."""
    if path is None:
        return pl.DataFrame(schema=RELATIONS), 0
    table = read_table(path)
    kind = table.first("related_kind", "kind")
    absent = [c for c in ("anime_id", "relation", "related_id") if c not in table.frame.columns]
    if absent or kind is None:
        raise FilesError(path, f"needs the column {absent[0] if absent else 'related_kind'}", line=1)
    frame = pl.DataFrame(
        {
            "anime_id": values.identities(table, "anime_id"),
            "relation": values.text(table, "relation"),
            "related_kind": values.text(table, kind).str.to_lowercase(),
            "related_id": values.identities(table, "related_id"),
        }
    )
    kept = frame.drop_nulls().filter(pl.col("related_kind").is_in(["anime", "manga"]))
    return kept.unique(maintain_order=True), frame.height - kept.height


def related(table: Table) -> tuple[pl.DataFrame, int]:
    """As `read_relations`, from a catalogue whose column `related` holds them as a Python dictionary (2018)."""
    column, own_id = table.first("related"), table.first(*CATALOGUE_FIELDS["anime_id"])
    if column is None or own_id is None:
        return pl.DataFrame(schema=RELATIONS), 0
    rows, left = [], 0
    for anime_id, text in zip(values.identities(table, own_id), values.text(table, column), strict=True):
        try:
            groups: Any = ast.literal_eval(text) if text else {}
            found = [
                (anime_id, str(relation), str(entry["type"]).lower(), int(entry["mal_id"]))
                for relation, entries in (groups or {}).items()
                for entry in entries
            ]
        except (ValueError, SyntaxError, TypeError, KeyError, AttributeError, RecursionError, MemoryError):
            left += bool(text and text != "[]")
            continue
        rows += found
    frame = pl.DataFrame(rows, schema=RELATIONS, orient="row")
    kept = frame.drop_nulls().filter(pl.col("related_kind").is_in(["anime", "manga"]))
    return kept.unique(maintain_order=True), left + frame.height - kept.height


def _column(table: Table, name: str) -> pl.Series:
    """The file's column for `name` as its type in `FEATURES`; NULLs where the file has none."""
    names = CATALOGUE_FIELDS[name]
    if shape_of(table.frame.columns, CATALOGUE_SHAPES).family == "2016":
        # There `rating` is the mean score, not the age rating.
        names = {"score": ("rating",), "age_rating": ()}.get(name, names)
    column = table.first(*names)
    if name in ("aired_from", "aired_to") and column is None and (aired := table.first(*AIRED)):
        status = table.first("status")
        finished = (
            values.text(table, status).str.to_lowercase().is_in(["finished airing", "finished"])
            if status
            else pl.repeat(True, table.frame.height, dtype=pl.Boolean, eager=True)
        )
        return values.spans(table, aired, finished)[name == "aired_to"]
    if column is None:
        return pl.repeat(None, table.frame.height, dtype=FEATURES[name], eager=True)
    if FEATURES[name] == WORDS:
        return values.word_lists(table, column)
    if FEATURES[name] == pl.Date:
        return values.dates(table, column)
    if name == "score":
        return values.site_scores(table, column)
    if name == "episode_minutes":
        return values.minutes(table, column)
    if name in LEAST:
        return values.counts(table, column, LEAST[name])
    if name == "season":
        # 2023 writes 'spring 1998' where the site has 'Spring 1998'.
        return values.known_text(table, column).str.to_titlecase()
    if name in ("title", "title_english", "title_japanese"):
        return values.names(table, column, unknown=name != "title")
    return values.known_text(table, column)
