"""The source `files`: a folder with ratings and a catalogue, read once a change of the folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property

import polars as pl

from malsugoi_assets.disk import replace_file
from malsugoi_assets.files import read_folder
from malsugoi_assets.resources.source import Harvest, Log, Source
from malsugoi_assets.settings import Settings, SettingsError
from malsugoi_assets.warehouse.schema import polars_schema
from malsugoi_assets.warehouse.tables import TABLES


class FolderSource(Source):
    """Everything comes from the files; there are no pages, and all is due when a file changes."""

    def __init__(self, settings: Settings) -> None:
        """Read the folder. Raises `FilesError`, naming file and line, where it cannot be used."""
        if settings.files_dir is None:
            raise SettingsError("MALSUGOI_SOURCE=files needs MALSUGOI_FILES_DIR: the folder to read")
        self._path = settings.files_dir.expanduser()
        self._max_users = settings.max_users
        self._mark = settings.root / "state" / "folder.json"
        self._folder = read_folder(self._path)

    @cached_property
    def _read_at(self) -> datetime:
        newest = max((f.stat().st_mtime for f in self._path.iterdir() if f.is_file()), default=0.0)
        return datetime.fromtimestamp(newest, UTC)

    def pages(self, log: Log) -> Harvest:
        """No pages; reading the folder here stops a broken one before anything is written."""
        log(f"{self._path}: {self._folder.ratings.height} list rows, {self._folder.catalogue.height} titles")
        return Harvest(pl.DataFrame(schema=polars_schema(TABLES["raw_anime_pages"])), dict(self._folder.report))

    def features(self, pages: pl.DataFrame) -> Harvest:
        """The catalogue, with a row for each listed title."""
        return Harvest(self._folder.catalogue, dict(self._folder.report))

    def relations(self, pages: pl.DataFrame) -> Harvest:
        """The relations file's rows; none where there is no such file."""
        return Harvest(self._folder.relations)

    def usernames(self, log: Log) -> list[str]:
        """Every user of the ratings file, in the order of their first row."""
        names = self._folder.ratings["username"].unique(maintain_order=True).to_list()
        return names[: self._max_users]

    def lists(self, usernames: Sequence[str], log: Log) -> Harvest:
        """The users' rows. One who is no longer in the file is 'missing'."""
        wanted = pl.DataFrame({"username": pl.Series(list(usernames), dtype=pl.String)})
        rows = self._folder.ratings.join(wanted, on="username", how="semi")
        found = rows.select("username").unique().with_columns(list_status=pl.lit("ok"))
        outcomes = wanted.join(found, on="username", how="left").with_columns(
            pl.col("list_status").fill_null("missing"),
            fetched_at=pl.lit(self._read_at, dtype=pl.Datetime("us", "UTC")),
            error=pl.when(pl.col("list_status").is_null()).then(pl.lit("no longer in the ratings file")),
        )
        return Harvest(rows, dict(self._folder.report), {"list_outcomes": outcomes})

    def catalogue_is_due(self) -> bool:
        """Whether a file of the folder changed since all of it was read."""
        return not self._mark.exists() or self._mark.read_text() != self._fingerprint()

    def discovery_is_due(self) -> bool:
        """As for the catalogue."""
        return self.catalogue_is_due()

    def lists_due(self, usernames: Sequence[str]) -> list[str]:
        """All of them once a file changed."""
        return list(usernames) if self.catalogue_is_due() else []

    def mark_read(self) -> None:
        """Remember the folder's state."""
        with replace_file(self._mark) as draft:
            draft.write_text(self._fingerprint())

    def _fingerprint(self) -> str:
        files = sorted(f for f in self._path.iterdir() if f.is_file())
        return json.dumps([(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files])
