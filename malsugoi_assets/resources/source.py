"""Where titles and lists come from: a site (the replica or the live one), or a folder. One interface for both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl
from pydantic import PrivateAttr

from malsugoi_assets.files import FilesError
from malsugoi_assets.settings import Settings, SettingsError, secrets_of_the_environment
from malsugoi_assets.warehouse.data_dir import DataDir, DataDirError

Metadata = dict[str, Any]
Log = Callable[[str], None]


def silent(_: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Harvest:
    """Rows of a table, what a person may want to know about them, and rows of companion tables.

    `added`: the keys of rows that are not the source's own and make nothing old.
    """

    frame: pl.DataFrame
    metadata: Metadata = field(default_factory=dict)
    companions: dict[str, pl.DataFrame] = field(default_factory=dict)
    added: frozenset[int] = frozenset()


class Source(ABC):
    """What the assets ask for. Rows come with the declared columns, but for `user_batch`, which is not theirs."""

    @abstractmethod
    def pages(self, log: Log) -> Harvest:
        """Fetch what is not fresh; rows of `raw_anime_pages`."""

    @abstractmethod
    def features(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """Rows of `anime_features`, from the stored pages."""

    @abstractmethod
    def relations(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """Rows of `anime_relations`, from the stored pages."""

    @abstractmethod
    def usernames(self, log: Log) -> list[str]:
        """The users that the source shows now."""

    @abstractmethod
    def lists(self, usernames: Sequence[str], log: Log) -> Harvest:
        """Rows of `user_lists`, with the companion `list_outcomes`, both without `user_batch`."""

    @abstractmethod
    def catalogue_is_due(self) -> bool:
        """Whether fetching the catalogue would ask the source for anything."""

    @abstractmethod
    def discovery_is_due(self) -> bool:
        """Whether the last discovery is so old that another is called for."""

    @abstractmethod
    def lists_due(self, usernames: Sequence[str]) -> list[str]:
        """Those users whose list was never read, or so long ago that another visit is called for."""

    def discovery_gaps(self) -> list[str]:
        """Whom the last discovery may have missed, in words; [] where the source showed everybody."""
        return []

    ignores_case: bool = True
    """Whether two names that differ in case only are one user, as on the site."""

    titles_all_listed: bool = False
    """Whether each listed title has its row in the features, be it with a name alone. A site's pages are another matter:
    there a row says that the page was read.
    """

    in_parts: str = ""
    """Where lists lie at hand, and may be more than memory holds: a name for the state of all of them. They are then
    asked for one batch at a time. Empty where asking costs, and one call should see all users."""

    def mark_read(self) -> None:  # noqa: B027 - most sources have nothing to note
        """Note that everything the source shows now was read."""


class SourceResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Opens the source that the settings name, and binds the data dir to it."""

    settings: dict[str, Any]
    _opened: Source | None = PrivateAttr(default=None)

    def load_settings(self) -> Settings:
        """The settings as the rest of the package knows them."""
        return Settings.model_validate(self.settings | secrets_of_the_environment())

    def open(self) -> Source:
        """The source. A data dir of another source, or a source that cannot be used, ends in a `Failure`."""
        if self._opened is None:
            try:
                self._opened = open_source(self.load_settings())
            except (DataDirError, FilesError, SettingsError) as error:
                raise dg.Failure(str(error)) from error
        return self._opened


def open_source(settings: Settings, say: Log = lambda _: None) -> Source:
    """The settings' source; `say` hears of the progress where a folder is read. Raises, and leaves nothing written,
    `FilesError` where the folder cannot be used, and `DataDirError` where the data dir belongs to another source.
    """
    from malsugoi_assets.resources.imported import ImportedLists, WithImports

    data_dir = DataDir(settings.root)
    data_dir.check(settings)
    if settings.source == "files":
        from malsugoi_assets.resources.folder_source import FolderSource

        folder = FolderSource(settings, say)
        data_dir.claim(settings)
        return WithImports(folder, ImportedLists(settings.root))
    from malsugoi_assets.mal.browser import MISSING, installed
    from malsugoi_assets.resources.site_source import SiteSource

    if settings.browser == "always" and installed() is None:
        raise SettingsError(f"MALSUGOI_BROWSER=always: {MISSING}")
    data_dir.claim(settings)
    return WithImports(SiteSource(settings, data_dir), ImportedLists(settings.root))
