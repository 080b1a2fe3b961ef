"""A folder of files as one source: lists, catalogue and relations that fit together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from malsugoi_assets.files.catalogue import FEATURES, read_catalogue, read_relations
from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.lists import fold, read_lists
from malsugoi_assets.files.tables import find_table
from malsugoi_assets.files.titles import crosswalks

LIST_COLUMNS = ("username", "anime_id", "title", "score", "status", "episodes_watched", "updated_at")


@dataclass(frozen=True)
class Folder:
    """What a folder holds.

    `ratings`: LIST_COLUMNS, one row a (username, anime_id); `catalogue`: the columns of `anime_features`, one row
    an anime_id, sorted, a row for each listed anime included; `relations`: anime_id, relation, related_kind,
    related_id; `report`: counts for metadata.
    """

    ratings: pl.DataFrame
    catalogue: pl.DataFrame
    relations: pl.DataFrame
    report: dict[str, int]


def read_folder(folder: Path) -> Folder:
    """Read `anime` with `ratings` (Parquet or CSV), or the original pair, and `relations` where there is such a file.

    Raises `FilesError`, naming file and line, before anything is returned.
    """
    if not folder.is_dir():
        raise FilesError(folder, "there is no such folder")
    catalogue_path, ratings_path = _pair(folder)
    for_lists, for_catalogue = crosswalks([folder])
    catalogue, catalogue_report = read_catalogue(catalogue_path, for_catalogue)
    rows = read_lists(ratings_path, with_own_titles(for_lists, catalogue))
    ratings, fold_report = fold(rows)
    relations, left = read_relations(find_table(folder, "relations"))
    complete = complete_catalogue(catalogue, ratings)
    report = {
        **rows.report,
        **fold_report,
        "users": ratings["username"].n_unique(),
        "list_rows": ratings.height,
        "rated_rows": ratings["score"].count(),
        **catalogue_report,
        "listed_without_catalogue_row": complete.height - catalogue.height,
        "unknown_titles": ratings.filter(pl.col("anime_id") < 0)["anime_id"].n_unique(),
        "relations_left_out": left,
    }
    return Folder(ratings.select(LIST_COLUMNS), complete, relations, report)


def complete_catalogue(catalogue: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The catalogue with a row (id, and title where the source has one) for each listed anime that has none."""
    listed = rows.select("anime_id", "title").join(catalogue, on="anime_id", how="anti")
    own = listed.group_by("anime_id").agg(pl.col("title").drop_nulls().sort().first())
    nothing = [pl.lit(None, kind).alias(c) for c, kind in FEATURES.items() if c not in ("anime_id", "title")]
    return pl.concat([catalogue, own.with_columns(nothing).select(FEATURES.keys())]).sort("anime_id")


def with_own_titles(crosswalk: pl.DataFrame, catalogue: pl.DataFrame) -> pl.DataFrame:
    """The crosswalk and, behind it, the catalogue's own main titles of which there is one only."""
    own = catalogue.filter(pl.col("title").is_not_null() & (pl.col("anime_id") > 0)).select("title", "anime_id")
    own = own.unique("title", keep="none")
    return pl.concat([crosswalk, own]).unique("title", keep="first", maintain_order=True)


def _pair(folder: Path) -> tuple[Path, Path]:
    catalogue, ratings = find_table(folder, "anime"), find_table(folder, "ratings")
    if catalogue and ratings:
        return catalogue, ratings
    original = folder / "anime_data.csv", folder / "anime_info.csv"
    if all(path.is_file() for path in original):
        return original
    if not (catalogue or ratings or any(path.is_file() for path in original)):
        missing = (
            "anime.{parquet,csv,csv.gz} with ratings.{parquet,csv,csv.gz}, or anime_data.csv with anime_info.csv"
        )
    elif catalogue or ratings:
        missing = "ratings.{parquet,csv,csv.gz}" if catalogue else "anime.{parquet,csv,csv.gz}"
    else:
        missing = next(path.name for path in original if not path.is_file())
    raise FilesError(folder, f"has no {missing}")
