"""Recommendations for people, spreadsheets and the site's import page: rows as `recommending` makes them, written out."""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.reports import published, rows
from malsugoi_assets.disk import replace_file
from malsugoi_assets.mal.plan_export import IMPORT_PAGE, PlannedTitle, invented_titles, write_plan
from malsugoi_assets.recommend.filters import GIVING_WAY
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir, DataDirError

_CSV = ("rank", "anime_id", "title", "score", "predicted_rating", "because", "gave_way", "url")
Row = dict[str, Any]


def print_csv(settings: Settings, found: Iterable[Row]) -> None:
    """Rows to standard output, with the reasons' titles and the address of the title's page."""
    writer = csv.DictWriter(sys.stdout, _CSV, extrasaction="ignore")
    writer.writeheader()
    real = _are_real(settings)
    writer.writerows({**row, "because": _because(row), "url": _address(row) if real else ""} for row in found)


def print_table(console: Console, settings: Settings, username: str, found: list[Row]) -> None:
    """For reading, with a line on what gave way."""
    table = Table(title=Text(f"For {username}", style="table.title"), title_justify="left")
    for column in ("#", "title", "rating", "because you know"):
        table.add_column(column, justify="right" if column in ("#", "rating") else "left")
    real = _are_real(settings)
    for row in found:
        rating = f"{row['predicted_rating']:.1f}" if row["predicted_rating"] is not None else "–"
        address = _address(row) if real else ""
        title = Text(str(row["title"]), style=f"link {address}" if address else "")
        table.add_row(f"{row['rank']}{'*' if row['gave_way'] else ''}", title, rating, Text(_because(row)))
    console.print(table)
    if gave_way := [words for rule, words in GIVING_WAY.items() if any(row["gave_way"] == rule for row in found)]:
        told = " or ".join(words.removesuffix(" than asked for") for words in gave_way)
        console.print(
            f"* Too few titles fit: these fill the list, with {told} than asked for.", markup=False, soft_wrap=True
        )


def write_plan_file(settings: Settings, path: Path, username: str, found: Iterable[Row]) -> str:
    """Write the rows as a plan-to-watch list that the site imports, gzipped where the name ends in .gz.

    Returns what to tell the user. Raises `UserError` where the titles are invented, the file is there already (it may be
    somebody's own export), or cannot be written.
    """
    if not _are_real(settings):
        raise UserError(invented_titles(settings.root))
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path}: cannot be written (there is no such folder)")
    if path.exists():
        raise UserError(f"{path} is there already: name another file")
    listed = list(found)
    known = [row for row in listed if row["anime_id"] > 0]
    facts = _facts(settings, [row["anime_id"] for row in known])
    plan = [PlannedTitle(row["anime_id"], str(row["title"]), *facts.get(row["anime_id"], ())) for row in known]
    written = write_plan(plan, username)
    try:
        with replace_file(path) as draft:
            draft.write_bytes(gzip.compress(written, mtime=0) if path.suffix == ".gz" else written)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    left = len(listed) - len(known)
    without = f" ({left} without an id of the site left out)" if left else ""
    return f"{path}: {len(plan)} titles planned{without}. Import it at {IMPORT_PAGE} as a MyAnimeList file."


def _facts(settings: Settings, anime_ids: list[int]) -> dict[int, tuple[str | None, int | None]]:
    with published(settings) as con:
        sql = "SELECT anime_id, type, episodes FROM anime_features WHERE anime_id IN (SELECT unnest(?::INTEGER[]))"
        return {row["anime_id"]: (row["type"], row["episodes"]) for row in rows(con, sql, anime_ids)}


def _because(row: Row) -> str:
    return ", ".join(entry_name(reason) for reason in row["because"] or [])


def entry_name(entry: Row) -> str:
    """What an entry of a list is called; by its id where no catalogue and no list names it."""
    return str(entry["title"] or f"#{entry['anime_id']}")


def _are_real(settings: Settings) -> bool:
    """Whether the site knows the data dir's titles. Raises `UserError`."""
    try:
        return DataDir(settings.root).source(settings) != "replica"
    except DataDirError as error:
        raise UserError(str(error)) from error


def _address(row: Row) -> str:
    """The title's page on the site; '' for titles without an id there."""
    return f"https://myanimelist.net/anime/{row['anime_id']}" if row["anime_id"] > 0 else ""
