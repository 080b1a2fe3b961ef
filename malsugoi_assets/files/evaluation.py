"""The files of an evaluation: every row of one ratings file, and catalogues lined up with its titles."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from malsugoi_assets.files.catalogue import (
    FEATURES,
    catalogue_table,
    features_of,
    merge_catalogues,
    read_relations,
    related,
    resolve,
)
from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.folder import with_own_titles
from malsugoi_assets.files.list_rows import connect, write_rows
from malsugoi_assets.files.tables import Table, check_table
from malsugoi_assets.files.titles import crosswalks


@dataclass(frozen=True)
class EvaluationData:
    """Rows and titles of an evaluation.

    `rows`: every data row of the ratings file in its order, duplicates included: row (0-based), username, key
    (title, or id as text), item (Int32, index into `catalogue`), anime_id (negative = not resolved), score.
    `catalogue`: one row an item, sorted by key: the columns of `anime_features`, `key`, and `names` (all names known,
    the main title first). `relations`: as in `Folder`. `report`: counts.
    """

    rows: pl.DataFrame
    catalogue: pl.DataFrame
    relations: pl.DataFrame
    report: dict[str, int]


def load_evaluation(ratings: Path, anime: Sequence[Path], relations: Path | None = None) -> EvaluationData:
    """Read one ratings file, one or more catalogues (merged by id, the first that knows a field wins) and relations.

    Where no relations are given, those count that a catalogue holds within itself. Crosswalks beside the ratings or a catalogue join titles. Raises `FilesError`.
    """
    check_table(ratings)
    if not anime:
        raise FilesError(ratings, "at least one catalogue is needed beside it")
    for_lists, for_catalogue = crosswalks([ratings.parent, *(path.parent for path in anime)])
    catalogues = [catalogue_table(path) for path in anime]
    merged = merge_catalogues([features_of(table, for_catalogue)[0] for table in catalogues])
    listed, counts = _every_row(ratings, with_own_titles(for_lists, merged))
    keys = listed.select("key", "anime_id", "title").unique("key", keep="last").sort("key")
    items = keys.join(merged, on="anime_id", how="left", suffix="_known", maintain_order="left")
    listed_name = pl.when(pl.col("title").is_not_null()).then(pl.concat_list("title"))
    empty = pl.lit([], dtype=pl.List(pl.String))
    items = items.with_columns(
        title=pl.coalesce("title_known", "title"),
        names=pl.concat_list(pl.col("names").fill_null(empty), listed_name.fill_null(empty)).list.unique(
            maintain_order=True
        ),
    )
    numbered = keys.select("key").with_row_index("item").cast({"item": pl.Int32})
    frame = listed.join(numbered, on="key", how="left", maintain_order="left")
    known, left = read_relations(relations) if relations else _related(catalogues)
    report = {
        **counts,
        "titles": items.height,
        "titles_with_catalogue_row": keys.join(merged, on="anime_id", how="semi").height,
        "relations_left_out": left,
    }
    return EvaluationData(
        frame.select("row", "username", "key", "item", "anime_id", "score"),
        items.select(*FEATURES, "key", "names"),
        known,
        report,
    )


def _related(catalogues: Sequence[Table]) -> tuple[pl.DataFrame, int]:
    found = [related(table) for table in catalogues]
    return pl.concat([frame for frame, _ in found]).unique(maintain_order=True), sum(left for _, left in found)


def _every_row(path: Path, crosswalk: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """(row, username, key, anime_id, title, score of every data row, duplicates included, in the file's order; counts)."""
    with tempfile.TemporaryDirectory(prefix="malsugoi-") as scratch, connect(Path(scratch)) as con:
        made = write_rows(con, path, Path(scratch) / "rows.parquet", lambda _: None)
        frame = pl.read_parquet(made.path, columns=["username", "anime_id", "title", "score"])
    frame, found, own = resolve(path, frame, crosswalk)
    key = pl.col("title") if made.by_title else pl.col("anime_id").cast(pl.String)
    counts = {**made.counts, "rows_by_crosswalk": found, "rows_of_titles_without_mal_id": own}
    return frame.with_columns(key=key).with_row_index("row").cast({"row": pl.Int64}), counts
