"""The source `files`: a folder with lists and a catalogue, read once a change of the folder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import polars as pl

from malsugoi_assets.disk import replace_file
from malsugoi_assets.files import fingerprint, read_folder
from malsugoi_assets.resources.source import Harvest, Log, Source, silent
from malsugoi_assets.settings import Settings, SettingsError
from malsugoi_assets.warehouse.ledger import UserLedger
from malsugoi_assets.warehouse.schema import polars_schema
from malsugoi_assets.warehouse.tables import TABLES

FOLDER = "folder"
"""Where in the data dir lies what was made ready of the files."""
READ = Path("state", "folder.json")
"""Where in the data dir stands which state of the files was read; without it all is due."""


class FolderSource(Source):
    """Everything comes from the files; there are no pages, and all is due when a file changes."""

    ignores_case = False
    titles_all_listed = True

    def __init__(self, settings: Settings, say: Log = lambda _: None) -> None:
        """Read the folder, or find it read. Raises `FilesError`, naming file and line, where it cannot be used."""
        if settings.files_dir is None:
            raise SettingsError("MALSUGOI_SOURCE=files needs MALSUGOI_FILES_DIR: the folder to read")
        self._path = settings.files_dir.expanduser()
        self._max_users = settings.max_users
        self._mark = settings.root / READ
        ledger = UserLedger(settings.root)
        known = ledger.users()["username"].to_list()
        self._folder = read_folder(self._path, settings.root / FOLDER, known, say, ledger.forgotten.has)
        self._state = fingerprint(self._path)
        self.in_parts = self._state

    @cached_property
    def _read_at(self) -> datetime:
        newest = max((f.stat().st_mtime for f in self._path.iterdir() if f.is_file()), default=0.0)
        return datetime.fromtimestamp(newest, UTC)

    def pages(self, log: Log) -> Harvest:
        """No pages."""
        report = self._folder.report
        log(f"{self._path}: {report['rating_rows']} list rows, {self._folder.catalogue.height} titles")
        return Harvest(pl.DataFrame(schema=polars_schema(TABLES["raw_anime_pages"])), dict(report))

    def features(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """The catalogue, with a row for each listed title."""
        return Harvest(self._folder.catalogue, dict(self._folder.report))

    def relations(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """The relations file's rows; none where there is no such file."""
        return Harvest(self._folder.relations)

    def usernames(self, log: Log) -> list[str]:
        """Every user of the list file, in the order of their first row."""
        return self._folder.lists.usernames[: self._max_users]

    def lists(self, usernames: Sequence[str], log: Log) -> Harvest:
        """The users' rows, and counts of what came in and what was folded. Who is no longer there is 'missing'."""
        rows, counts = self._folder.lists.read(usernames)
        wanted = pl.DataFrame({"username": pl.Series(list(usernames), dtype=pl.String)})
        found = rows.select("username").unique().with_columns(list_status=pl.lit("ok"))
        outcomes = wanted.join(found, on="username", how="left").with_columns(
            pl.col("list_status").fill_null("missing"),
            fetched_at=pl.lit(self._read_at, dtype=pl.Datetime("us", "UTC")),
            error=pl.when(pl.col("list_status").is_null()).then(pl.lit("no longer in the list file")),
        )
        return Harvest(rows, dict(counts), {"list_outcomes": outcomes})

    def catalogue_is_due(self) -> bool:
        """Whether a file of the folder changed since all of it was read."""
        return not self._mark.exists() or self._mark.read_text() != self._state

    def discovery_is_due(self) -> bool:
        """As for the catalogue."""
        return self.catalogue_is_due()

    def lists_due(self, usernames: Sequence[str]) -> list[str]:
        """All of them once a file changed."""
        return list(usernames) if self.catalogue_is_due() else []

    def mark_read(self) -> None:
        """Remember the state of the folder that was read."""
        with replace_file(self._mark) as draft:
            draft.write_text(self._state)
