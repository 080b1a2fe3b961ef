"""The site as the pipeline sees it: refresh the catalogue, discover users, fetch lists.

Each flow asks only for what is due, keeps every answer in the page store before it goes on, and can be killed at any
moment: run again, it asks for the rest. `due` questions never ask the site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from malsugoi_assets.mal.api import Api
from malsugoi_assets.mal.catalogue import Catalogue, CatalogueReport
from malsugoi_assets.mal.discovery import Discovery
from malsugoi_assets.mal.fetching import Client, Fetcher, Progress, SiteStopped
from malsugoi_assets.mal.freshness import SiteSettings
from malsugoi_assets.mal.lists import Lists, UserList
from malsugoi_assets.mal.store import PageStore, StoredPage

__all__ = ["CatalogueReport", "Progress", "Site", "SiteSettings", "SiteStopped", "UserList"]


def _silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Site:
    """The flows over one site and one page store; with `api`, a client of the official API, through that where it can."""

    def __init__(
        self,
        client: Client,
        store: PageStore,
        settings: SiteSettings | None = None,
        *,
        now: Callable[[], datetime] = _utc_now,
        api: Client | None = None,
    ) -> None:
        self.settings = settings or SiteSettings()
        self.store = store
        fetcher = Fetcher(client, store, now)
        official = Api(Fetcher(api, store, now)) if api is not None else None
        self._catalogue = Catalogue(fetcher, self.settings, official)
        self._discovery = Discovery(fetcher, self.settings)
        self._lists = Lists(fetcher, self.settings, official)

    def catalogue_due(self, max_anime: int | None = None) -> bool:
        """Whether `refresh_catalogue` would ask the site for anything."""
        return self._catalogue.due(max_anime)

    def refresh_catalogue(self, max_anime: int | None = None, progress: Progress = _silent) -> CatalogueReport:
        """Walk the ranking (at most `max_anime` titles) and fetch the detail pages that are due.

        Single pages that fail are recorded and reported. Raises `SiteStopped` where the site refuses.
        """
        return self._catalogue.refresh(max_anime, progress)

    def anime_pages(self) -> Iterator[tuple[StoredPage, bytes]]:
        """The newest good page of every title and its body, by anime_id."""
        return self._catalogue.pages()

    def page_records(self) -> list[dict[str, Any]]:
        """The rows of `raw_anime_pages`, by anime_id: the newest good page, else how the last request ended.

        `error` says why the last request failed; a title that the site no longer has keeps its last good page.
        """
        return [
            {
                "anime_id": int(page.key),
                "url": page.url,
                "fetched_at": page.fetched_at,
                "http_status": page.http_status,
                "sha256": page.sha256,
                "bytes": page.bytes,
                "path": page.path,
                "error": page.note,
            }
            for page in self._catalogue.records()
        ]

    def discovery_due(self, max_users: int | None = None) -> bool:
        """Whether the user search was last walked too long ago, or not far enough."""
        return self._discovery.due(max_users)

    def discover(self, max_users: int | None = None, progress: Progress = _silent) -> list[str]:
        """Walk the user search and return the usernames, each once, in the search's order.

        Always looks, since new users may have come; ask `discovery_due` first where yesterday's answer will do.
        Raises `SiteStopped` where the site refuses.
        """
        return self._discovery.discover(max_users, progress)

    def discovered(self, max_users: int | None = None) -> list[str]:
        """The usernames that the last finished walk found, without asking."""
        return self._discovery.known(max_users)

    def discovery_gaps(self) -> list[str]:
        """Whom the last finished walk may have missed, since one search shows only its first pages; asks nothing."""
        return self._discovery.gaps()

    def lists_due(self, usernames: Iterable[str]) -> list[str]:
        """Those whose list `fetch_lists` would ask for."""
        return self._lists.due(usernames)

    def fetch_lists(self, usernames: Iterable[str], progress: Progress = _silent) -> Iterator[UserList]:
        """The whole list of each user, from the store while it is fresh; one bad user never ends the rest.

        Raises `SiteStopped` where the site refuses several in a row; run again to go on.
        """
        return self._lists.fetch(usernames, progress)

    def forget_user(self, username: str) -> int:
        """Remove what the store has of a user; the number of pages removed."""
        return self.store.forget_user(username)
