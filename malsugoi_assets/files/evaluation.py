"""The files of an evaluation: every row of one ratings file, and catalogues lined up with its titles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from malsugoi_assets.files.catalogue import FEATURES, merge_catalogues, read_catalogue, read_relations
from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.folder import with_own_titles
from malsugoi_assets.files.lists import read_lists
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

    Crosswalks beside the ratings or a catalogue join titles. Raises `FilesError`.
    """
    if not ratings.is_file():
        raise FilesError(ratings, "there is no such file")
    if not anime:
        raise FilesError(ratings, "at least one catalogue is needed beside it")
    for_lists, for_catalogue = crosswalks([ratings.parent, *(path.parent for path in anime)])
    catalogues = [read_catalogue(path, for_catalogue)[0] for path in anime]
    merged = merge_catalogues(catalogues)
    rows = read_lists(ratings, with_own_titles(for_lists, merged))
    keys = rows.frame.select("key", "anime_id", "title").unique("key", keep="last").sort("key")
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
    frame = rows.frame.join(numbered, on="key", how="left", maintain_order="left")
    known, left = read_relations(relations)
    report = {
        **rows.report,
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
