"""Lists that people imported themselves: kept beside the source, and standing for it whenever their users are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from malsugoi_assets.disk import replace_file
from malsugoi_assets.files.folder import complete_catalogue
from malsugoi_assets.mal.records import ListEntry
from malsugoi_assets.resources.source import Harvest, Log, Source, silent
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.own_lists import FOLDER, has_own_list, own_list_file
from malsugoi_assets.warehouse.schema import polars_schema
from malsugoi_assets.warehouse.tables import TABLES

_LISTS = {name: kind for name, kind in polars_schema(TABLES["user_lists"]).items() if name != "user_batch"}
_OUTCOMES = {name: kind for name, kind in polars_schema(TABLES["list_outcomes"]).items() if name != "user_batch"}


class ImportedLists:
    """The imported lists of a data dir, two small files a user; no file carries a user's name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, username: str, entries: Iterable[ListEntry]) -> None:
        """Keep the list, in place of an earlier one."""
        rows = [{"username": username, **asdict(entry)} for entry in entries]
        outcome = {
            "username": username,
            "list_status": "ok" if rows else "empty",
            "fetched_at": datetime.now(UTC),
            "error": None,
        }
        with replace_file(self._path(username, "rows")) as draft:
            pl.DataFrame(rows, schema=_LISTS).write_parquet(draft)
        with replace_file(self._path(username, "outcome")) as draft:
            pl.DataFrame([outcome], schema=_OUTCOMES).write_parquet(draft)

    def remove(self, username: str) -> None:
        """Forget the list, where there is one."""
        for part in ("outcome", "rows"):
            self._path(username, part).unlink(missing_ok=True)

    def has(self, username: str, *, ignore_case: bool = True) -> bool:
        """Whether the user's list was imported; with `ignore_case` however the name is written."""
        return has_own_list(self._root, username, ignore_case=ignore_case)

    def read(self, usernames: Sequence[str]) -> Harvest:
        """The lists of those users who imported one, as a source gives them."""
        ours = [name for name in usernames if self.has(name)]
        rows = [pl.read_parquet(self._path(name, "rows"), memory_map=False) for name in ours]
        outcomes = [pl.read_parquet(self._path(name, "outcome"), memory_map=False) for name in ours]
        return Harvest(
            pl.concat([pl.DataFrame(schema=_LISTS), *rows]),
            {"imported_lists": len(ours)},
            {"list_outcomes": pl.concat([pl.DataFrame(schema=_OUTCOMES), *outcomes])},
        )

    def titles(self) -> pl.DataFrame:
        """anime_id and title of every row of every imported list."""
        paths = sorted((self._root / FOLDER).glob("*-rows.parquet"))
        rows = [pl.read_parquet(path, columns=["anime_id", "title"], memory_map=False) for path in paths]
        return pl.concat([pl.DataFrame(schema=_LISTS).select("anime_id", "title"), *rows]).unique()

    def _path(self, username: str, part: str) -> Path:
        return own_list_file(self._root, username, part)


def list_titles(data_dir: DataDir) -> None:
    """In a data dir of files each listed title has its row: let those that only imported lists have be just those of the
    lists that are there now.

    They make nothing of others' old: no model knows these titles before it is learnt anew.
    """
    features, claimed = TABLES["anime_features"], data_dir.claimed_by()
    if claimed is None or claimed[0] != "files" or data_dir.lake.provenance(features.name) is None:
        return
    nothing = pl.DataFrame(schema=polars_schema(features))
    data_dir.lake.add(features, complete_catalogue(nothing, ImportedLists(data_dir.root).titles()))


class WithImports(Source):
    """A source, but for the users whose lists were imported: they are never asked of it."""

    def __init__(self, source: Source, imported: ImportedLists) -> None:
        self.source = source
        self.imported = imported
        self.in_parts = source.in_parts
        self.titles_all_listed = source.titles_all_listed
        self.ignores_case = source.ignores_case

    def pages(self, log: Log) -> Harvest:
        """As the source."""
        return self.source.pages(log)

    def features(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """As the source; where each listed title has its row, those of the imported lists too."""
        found = self.source.features(pages, log)
        if not self.titles_all_listed:
            return found
        complete = complete_catalogue(found.frame, self.imported.titles())
        added = set(complete["anime_id"]) - set(found.frame["anime_id"])
        return replace(found, frame=complete, added=frozenset(added))

    def relations(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """As the source."""
        return self.source.relations(pages, log)

    def usernames(self, log: Log) -> list[str]:
        """As the source."""
        return self.source.usernames(log)

    def lists(self, usernames: Sequence[str], log: Log) -> Harvest:
        """The source's lists, and the imported ones."""
        theirs = self._not_imported(usernames)
        if len(theirs) == len(usernames):
            return self.source.lists(usernames, log)
        imported = [name for name in usernames if name not in set(theirs)]
        found, ours = self.source.lists(theirs, log) if theirs else None, self.imported.read(imported)
        if found is None:
            return ours
        outcomes = [h.companions["list_outcomes"].select(_OUTCOMES.keys()) for h in (found, ours)]
        return Harvest(
            pl.concat([found.frame.select(_LISTS.keys()), ours.frame], how="vertical_relaxed"),
            {**found.metadata, **ours.metadata},
            {"list_outcomes": pl.concat(outcomes, how="vertical_relaxed")},
        )

    def catalogue_is_due(self) -> bool:
        """As the source."""
        return self.source.catalogue_is_due()

    def discovery_is_due(self) -> bool:
        """As the source."""
        return self.source.discovery_is_due()

    def lists_due(self, usernames: Sequence[str]) -> list[str]:
        """Those of the source; an imported list is new when it is imported."""
        return self.source.lists_due(self._not_imported(usernames))

    def discovery_gaps(self) -> list[str]:
        """As the source."""
        return self.source.discovery_gaps()

    def mark_read(self) -> None:
        """As the source."""
        self.source.mark_read()

    def _not_imported(self, usernames: Sequence[str]) -> list[str]:
        """In files "ann" who imported a list and "Ann" who stands in the folder are two."""
        return [name for name in usernames if not self.imported.has(name, ignore_case=self.ignores_case)]


class NobodysSource(Source):
    """Shows nothing; with imported lists before it, only those can be read."""

    def pages(self, log: Log) -> Harvest:
        """No pages."""
        return Harvest(pl.DataFrame(schema=polars_schema(TABLES["raw_anime_pages"])))

    def features(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """No titles."""
        return Harvest(pl.DataFrame(schema=polars_schema(TABLES["anime_features"])))

    def relations(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """No relations."""
        return Harvest(pl.DataFrame(schema=polars_schema(TABLES["anime_relations"])))

    def usernames(self, log: Log) -> list[str]:
        """Nobody."""
        return []

    def lists(self, usernames: Sequence[str], log: Log) -> Harvest:
        """Nobody's."""
        return Harvest(pl.DataFrame(schema=_LISTS), {}, {"list_outcomes": pl.DataFrame(schema=_OUTCOMES)})

    def catalogue_is_due(self) -> bool:
        """Never."""
        return False

    def discovery_is_due(self) -> bool:
        """Never."""
        return False

    def lists_due(self, usernames: Sequence[str]) -> list[str]:
        """Nobody's."""
        return []
