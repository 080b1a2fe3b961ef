"""The sources `replica` and `live`: the same client, the same parsers, another base URL."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cached_property
from urllib.parse import urlsplit

import dagster as dg
import polars as pl

from malsugoi_assets.mal.api import ApiClient
from malsugoi_assets.mal.browser import open_client
from malsugoi_assets.mal.records import AnimePage
from malsugoi_assets.mal.site import Progress, Site, SiteStopped
from malsugoi_assets.mal.store import PageStore
from malsugoi_assets.resources.source import Harvest, Log, Source, silent
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.schema import polars_schema
from malsugoi_assets.warehouse.tables import TABLES

_LOCAL = ("127.0.0.1", "localhost", "::1")
_LIST_SCHEMA = {k: v for k, v in polars_schema(TABLES["user_lists"]).items() if k != "user_batch"}
_OUTCOME_SCHEMA = {k: v for k, v in polars_schema(TABLES["list_outcomes"]).items() if k != "user_batch"}
_SECONDS_BETWEEN = 3.0
"""Each is a line in Dagster's log, and one at the prompt."""


def open_site(settings: Settings, data_dir: DataDir, store: PageStore) -> Site:
    """The replica under that source, else the site at `mal_url`, asked at the pace that all processes of the data dir share.

    Raises `dg.Failure` where the replica does not start.
    """
    if settings.source == "replica":
        from malsugoi_assets.mal.replica import ReplicaError, ensure_replica

        try:
            url = ensure_replica(data_dir.root)
        except ReplicaError as error:
            raise dg.Failure(str(error)) from error
    else:
        url = settings.mal_url
    client = open_client(
        settings.browser,
        url,
        requests_per_second=_pace(settings, url),
        contact=settings.contact,
        state_dir=data_dir.root / "state" / "client",
    )
    return Site(client, store, api=_api(settings, data_dir, url))


def _api(settings: Settings, data_dir: DataDir, site_url: str) -> ApiClient | None:
    """A client of the official API where there is a client id; the replica answers it at its own address."""
    client_id = settings.mal_client_id
    if client_id is None:
        return None
    url = f"{site_url}/v2" if settings.source == "replica" else settings.mal_api_url
    return ApiClient(
        url,
        client_id,
        requests_per_second=_pace(settings, url),
        contact=settings.contact,
        state_dir=data_dir.root / "state" / "client",
    )


def _pace(settings: Settings, url: str) -> float | None:
    pace = settings.requests_per_second
    return 1.0 if pace is None and urlsplit(url).hostname not in _LOCAL else pace


class SiteSource(Source):
    """Everything comes from a site's pages, which are stored as received and asked for again only when stale."""

    def __init__(self, settings: Settings, data_dir: DataDir) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._parsed: dict[str, AnimePage] = {}

    @cached_property
    def _site(self) -> Site:
        store = PageStore(self._data_dir.root, is_forgotten=self._data_dir.ledger.forgotten.has)
        return open_site(self._settings, self._data_dir, store)

    def pages(self, log: Log) -> Harvest:
        """Walk the ranking and fetch the detail pages that are due."""
        try:
            report = self._site.refresh_catalogue(self._settings.max_anime, _telling(log))
        except SiteStopped as error:
            raise dg.Failure(str(error)) from error
        frame = pl.DataFrame(self._site.page_records(), schema=polars_schema(TABLES["raw_anime_pages"]))
        counts = {
            "fetched": report.fetched,
            "fresh": report.fresh,
            "failed": len(report.failed),
            "gone_from_the_site": report.gone,
            "ranking_walked_to_its_end": report.ranking_complete,
            "ranking_moved_all_the_while": report.ranking_moved,
        }
        return Harvest(frame, {**counts, "failures": [f"{i}: {why}" for i, why in report.failed[:20]]})

    def features(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """What the stored pages say of their titles."""
        parsed, unparsed = self._parse(pages.height, log)
        columns = TABLES["anime_features"].column_names
        rows = [{c: _listed(getattr(page, c)) for c in columns} for page in parsed]
        frame = pl.DataFrame(rows, schema=polars_schema(TABLES["anime_features"]))
        return Harvest(frame, {"unparsed_pages": len(unparsed), "unparsed": unparsed[:20]})

    def relations(self, pages: pl.DataFrame, log: Log = silent) -> Harvest:
        """What the stored pages say of related titles."""
        parsed, _ = self._parse(pages.height, log)
        rows = [{"anime_id": page.anime_id, **asdict(r)} for page in parsed for r in page.relations]
        frame = pl.DataFrame(rows, schema=polars_schema(TABLES["anime_relations"]))
        return Harvest(frame.unique(maintain_order=True))

    def usernames(self, log: Log) -> list[str]:
        """Walk the user search."""
        try:
            return self._site.discover(self._settings.max_users, _telling(log))
        except SiteStopped as error:
            raise dg.Failure(str(error)) from error

    def discovery_gaps(self) -> list[str]:
        """Whom the user search may hide."""
        return self._site.discovery_gaps()

    def lists(self, usernames: Sequence[str], log: Log) -> Harvest:
        """Each user's whole list; one that cannot be had is a status, never an exception."""
        entries, outcomes, asked = [], [], 0
        try:
            for found in self._site.fetch_lists(usernames, _telling(log)):
                asked += not found.fresh
                outcomes.append(
                    {
                        "username": found.username,
                        "list_status": found.list_status,
                        "fetched_at": found.fetched_at,
                        "error": found.error,
                    }
                )
                entries += [{"username": found.username, **asdict(entry)} for entry in found.entries]
        except SiteStopped as error:
            # Events outlive the users that they speak of, so they name none.
            raise dg.Failure(_nameless(str(error))) from None
        return Harvest(
            pl.DataFrame(entries, schema=_LIST_SCHEMA),
            {"lists_asked_for": asked, "lists_still_fresh": len(outcomes) - asked},
            {"list_outcomes": pl.DataFrame(outcomes, schema=_OUTCOME_SCHEMA)},
        )

    def catalogue_is_due(self) -> bool:
        """Whether a page is no longer fresh."""
        return self._site.catalogue_due(self._settings.max_anime)

    def discovery_is_due(self) -> bool:
        """Whether the last walk of the user search is old."""
        return self._site.discovery_due(self._settings.max_users)

    def lists_due(self, usernames: Sequence[str]) -> list[str]:
        """Those whose list is no longer fresh."""
        return self._site.lists_due(usernames)

    def _parse(self, total: int, log: Log) -> tuple[list[AnimePage], list[str]]:
        """The stored pages, each parsed once a process; and what could not be read, with the reason."""
        from malsugoi_assets.mal.api_answers import read_title
        from malsugoi_assets.mal.errors import PageError

        parsed, unparsed = [], []
        tell = _telling(log)
        for number, (stored, body) in enumerate(self._site.anime_pages()):
            tell("stored pages parsed", number, max(total, number + 1))
            key = f"{stored.key}:{stored.sha256}"
            try:
                page = self._parsed.get(key) or read_title(body)
            except PageError as error:
                unparsed.append(f"{stored.url}: {error}")
                continue
            self._parsed[key] = page
            parsed.append(page)
        return parsed, unparsed


def _nameless(text: str) -> str:
    return re.sub(r"/(animelist|users|profile)/[^/?\s]+", r"/\1/…", text)


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _telling(log: Log, clock: Callable[[], float] = time.monotonic) -> Progress:
    """Say how far a flow is and how long it will take at its pace so far, not oftener than every few seconds."""
    begun: dict[str, tuple[float, int]] = {}
    said: dict[str, float] = {}

    def tell(what: str, done: int, total: int) -> None:
        now = clock()
        start, first = begun.setdefault(what, (now, done))
        if done < total and now - said.get(what, -_SECONDS_BETWEEN) < _SECONDS_BETWEEN:
            return
        said[what] = now
        pace = (done - first) / (now - start) if now > start else 0.0
        left = f", about {duration((total - done) / pace)} left" if pace and done < total else ""
        log(f"{what}: {done:,} of {total:,}{left}")

    return tell


def duration(seconds: float) -> str:
    """Seconds in words: 50 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
