"""Ratings files to list rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from malsugoi_assets.files import values
from malsugoi_assets.files.catalogue import resolve
from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.tables import read_table


@dataclass(frozen=True)
class ListRows:
    """Every data row of a ratings file, duplicates included.

    `frame`: row (0-based, Int64), username, key (title, or id as text: as the file names the anime), anime_id
    (Int32, negative = made from the title), title, score (Int8), status, episodes_watched, updated_at.
    `by_title`: whether the file names anime by title. `report`: counts.
    """

    frame: pl.DataFrame
    by_title: bool
    report: dict[str, int]


def read_lists(path: Path, crosswalk: pl.DataFrame) -> ListRows:
    """Read a ratings file; titles get the ids of `crosswalk`, else one made from the title."""
    table = read_table(path)
    user, score = table.first("username", "user_id", "user"), table.first("score", "rating")
    anime, title = table.first("anime_id"), table.first("anime", "title")
    if user is None or score is None or (anime is None and title is None):
        needs = (
            "a user (user_id or username)"
            if user is None
            else "a score (score or rating)"
            if score is None
            else "an anime (anime_id, anime or title)"
        )
        raise FilesError(path, f"has no column for {needs}; found {', '.join(table.frame.columns)}", line=1)
    height = table.frame.height
    unknown_states = 0
    columns: dict[str, pl.Series] = {
        "username": values.text(table, user),
        "score": values.scores(table, score),
        "title": values.text(table, title) if title else pl.repeat(None, height, dtype=pl.String, eager=True),
        "anime_id": values.identities(table, anime) if anime else pl.repeat(None, height, dtype=pl.Int32, eager=True),
        "status": pl.repeat(None, height, dtype=pl.String, eager=True),
        "episodes_watched": pl.repeat(None, height, dtype=pl.Int32, eager=True),
        "updated_at": pl.repeat(None, height, dtype=pl.Datetime("us", "UTC"), eager=True),
    }
    if "status" in table.frame.columns:
        columns["status"], unknown_states = values.states(table, "status")
    if watched := table.first("episodes_watched", "num_watched_episodes", "watched_episodes"):
        columns["episodes_watched"] = values.counts(table, watched)
    if "updated_at" in table.frame.columns:
        columns["updated_at"] = values.moments(table, "updated_at")
    frame = pl.DataFrame(columns)
    table.refuse_where(frame["username"].is_null(), user, "the user is missing")
    nameless = frame["anime_id"].is_null() & frame["title"].is_null()
    table.refuse_where(nameless, anime or title or "", "the anime is missing")
    by_title = anime is None
    frame, found, made = resolve(path, frame, crosswalk)
    key = pl.col("title") if by_title else pl.col("anime_id").cast(pl.String)
    report = {
        "rating_rows": height,
        "rows_by_crosswalk": found,
        "rows_of_titles_without_mal_id": made,
        "unknown_status_words": unknown_states,
    }
    return ListRows(frame.with_columns(key=key).with_row_index("row").cast({"row": pl.Int64}), by_title, report)


def fold(rows: ListRows) -> tuple[pl.DataFrame, dict[str, int]]:
    """One row a (username, anime_id), the last of the file, in the file's order; and counts of what was folded."""
    by_key = rows.frame.unique(["username", "key"], keep="last", maintain_order=True)
    by_id = by_key.unique(["username", "anime_id"], keep="last", maintain_order=True)
    counts = {
        "duplicate_rows": rows.frame.height - by_key.height,
        "rows_folded_by_id": by_key.height - by_id.height,
    }
    return by_id, counts
