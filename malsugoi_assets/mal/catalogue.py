"""The catalogue: which titles the ranking shows, and their detail pages.

The ranking moves while it is walked. A title that moves up across a page's edge pushes another one down, which then
is met twice; so a walk that met a title twice is walked again, until one comes out even, and what any of them met
counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from malsugoi_assets.mal import TopEntry, parse_anime_page, parse_top_page
from malsugoi_assets.mal.client import ClientError
from malsugoi_assets.mal.errors import NotFound, PageError, UnexpectedPage
from malsugoi_assets.mal.fetching import Fetcher, Patience, Progress, SiteStopped
from malsugoi_assets.mal.freshness import AIRING, SiteSettings, age_days, title_is_due
from malsugoi_assets.mal.store import MissingBody, StoredPage

TOP_PAGE = 50
_LAST_PAGE = 2_000
_STILL_CHANGES = re.compile(rb'class="dark_text">\s*Status:\s*</span>\s*(?:Currently Airing|Not yet aired)')


@dataclass(frozen=True)
class CatalogueReport:
    """What a refresh did: titles known, pages fetched, pages still fresh, and (anime_id, reason) of those that failed."""

    titles: int
    fetched: int
    fresh: int
    failed: tuple[tuple[int, str], ...]
    ranking_pages: int
    ranking_complete: bool


@dataclass(frozen=True)
class _Walk:
    started: datetime | None
    since: int
    """The store's newest record when it started: ranking pages after that belong to it."""
    finished: datetime | None
    ids: tuple[int, ...]
    complete: bool
    """The end of the ranking was reached."""


class Catalogue:
    """The flow over ranking and detail pages."""

    def __init__(self, fetcher: Fetcher, settings: SiteSettings) -> None:
        self._fetcher, self._store, self._settings = fetcher, fetcher.store, settings

    def due(self, max_anime: int | None) -> bool:
        """Whether a refresh would ask for anything; asks nothing itself."""
        walk = self._known_walk()
        if not self._walk_is_fresh(walk, max_anime):
            return True
        newest = self._store.newest("anime")
        return any(self._title_due(newest.get(str(i))) for i in walk.ids[:max_anime])

    def refresh(self, max_anime: int | None, progress: Progress) -> CatalogueReport:
        """Walk the ranking where that is due and fetch every detail page that is.

        A page that fails is recorded and tried again next time. Raises `SiteStopped` where the site refuses.
        """
        ids, pages, complete = self._ranking(max_anime, progress)
        newest = self._store.newest("anime")
        due = [i for i in ids if self._title_due(newest.get(str(i)))]
        patience = Patience("anime pages", len(ids), self._settings.failures_in_a_row)
        failed: list[tuple[int, str]] = []
        done = len(ids) - len(due)
        fetched = 0
        for anime_id in due:
            progress("anime pages", done + fetched + len(failed), len(ids))
            try:
                self._fetcher.fetch(
                    "anime", str(anime_id), f"/anime/{anime_id}", None, partial(_look, anime_id=anime_id)
                )
                fetched += 1
                patience.went_well()
            except PageError as error:
                failed.append((anime_id, str(error)))
                patience.went_well()
            except ClientError as error:
                failed.append((anime_id, str(error)))
                patience.refused(error, done + fetched)
        progress("anime pages", len(ids), len(ids))
        return CatalogueReport(len(ids), fetched, done, tuple(failed), pages, complete)

    def pages(self) -> Iterator[tuple[StoredPage, bytes]]:
        """The newest good page of every title with its body, by anime_id; a broken file is left out and due again."""
        good = self._store.newest("anime", good=True)
        for key in sorted(good, key=int):
            page: StoredPage | None = good[key]
            while page is not None:
                try:
                    body = self._store.body(page)
                except MissingBody as error:
                    self._store.reject(page, str(error))
                    page = self._store.last_good("anime", key)
                else:
                    yield page, body
                    break

    def records(self) -> list[StoredPage]:
        """One record a title, by anime_id: its newest good page, else what the last request ended with."""
        found = self._store.newest("anime") | self._store.newest("anime", good=True)
        return [found[key] for key in sorted(found, key=int)]

    def _title_due(self, page: StoredPage | None) -> bool:
        if title_is_due(page, self._settings, self._fetcher.now()):
            return True
        return page is not None and page.good and not self._store.has_body(page)

    def _known_walk(self) -> _Walk:
        value = self._store.walk("ranking")

        def moment(name: str) -> datetime | None:
            return datetime.fromisoformat(value[name]) if value.get(name) else None

        ids, complete = tuple(value.get("ids", ())), bool(value.get("complete"))
        return _Walk(moment("started"), int(value.get("since", 0)), moment("finished"), ids, complete)

    def _keep(self, walk: _Walk) -> None:
        moments = {
            "started": walk.started.isoformat() if walk.started else None,
            "finished": walk.finished.isoformat() if walk.finished else None,
        }
        self._store.set_walk("ranking", {**moments, "since": walk.since, "ids": walk.ids, "complete": walk.complete})

    def _walk_is_fresh(self, walk: _Walk, max_anime: int | None) -> bool:
        if walk.finished is None or age_days(walk.finished, self._fetcher.now()) >= self._settings.ranking_days:
            return False
        return walk.complete or (max_anime is not None and len(walk.ids) >= max_anime)

    def _ranking(self, max_anime: int | None, progress: Progress) -> tuple[list[int], int, bool]:
        """(anime_ids in the ranking's order, ranking pages asked for, whether its end was reached)."""
        walk = self._known_walk()
        if self._walk_is_fresh(walk, max_anime):
            return list(walk.ids[:max_anime]), 0, walk.complete
        now = self._fetcher.now()
        started, since = walk.started, walk.since
        if started is None or walk.finished or age_days(started, now) * 24 >= self._settings.resume_hours:
            started, since = now, self._store.last_id()
        met: dict[int, None] = {}
        asked = 0
        for _ in range(self._settings.ranking_passes):
            self._keep(_Walk(started, since, None, walk.ids, walk.complete))
            order, pages, complete, broken = self._one_pass(since, max_anime, progress)
            asked += pages
            shown = dict.fromkeys(order)
            met = shown | met
            if broken or len(shown) == len(order):
                break
            since = self._store.last_id()
        ids = list(met) if broken is None else list(met | dict.fromkeys(walk.ids))
        finished = self._fetcher.now() if broken is None else None
        self._keep(_Walk(started, since, finished, tuple(ids), complete))
        return ids[:max_anime], asked, complete

    def _one_pass(
        self, since: int, max_anime: int | None, progress: Progress
    ) -> tuple[list[int], int, bool, PageError | None]:
        """(anime_ids with repetitions, pages asked for, whether the end was reached, what broke it if anything)."""
        order: list[int] = []
        asked, row = 0, 0
        broken: PageError | None = None
        for number in range(_LAST_PAGE):
            if max_anime is not None and len(set(order)) >= max_anime:
                return order, asked, False, broken
            progress("ranking pages", number, number + 1)
            offset = number * TOP_PAGE
            entries = self._kept(offset, since)
            if entries is None:
                asked += 1
                try:
                    _, fetched = self._fetcher.fetch(
                        "top",
                        str(offset),
                        "/topanime.php",
                        {"limit": offset},
                        lambda body: (parse_top_page(body), None),
                    )
                    entries = fetched
                    row = 0
                except NotFound:
                    if number == 0:
                        raise SiteStopped(
                            "ranking pages", 0, None, NotFound("the ranking", "its first page")
                        ) from None
                    return order, asked, True, broken
                except PageError as error:
                    broken, row = error, row + 1
                    if number == 0 or row >= self._settings.failures_in_a_row:
                        raise SiteStopped("ranking pages", number, None, error) from error
                    continue
                except ClientError as error:
                    raise SiteStopped("ranking pages", number, None, error) from error
            order += [entry.anime_id for entry in entries]
            if len(entries) < TOP_PAGE:
                return order, asked, True, broken
        return order, asked, True, broken

    def _kept(self, offset: int, since: int) -> list[TopEntry] | None:
        """A page that this pass has fetched already, before it was interrupted."""
        page = self._store.last_good("top", str(offset))
        if page is None or page.id <= since:
            return None
        try:
            return list(parse_top_page(self._store.body(page)))
        except (MissingBody, PageError):
            return None


def _look(body: bytes, anime_id: int) -> tuple[None, str | None]:
    """See quickly that this is the title's page, and whether it still changes; parse it where it looks odd.

    Raises a PageError that says what it is instead.
    """
    whole = body.rstrip().endswith(b"</html>") and b'class="dark_text"' in body
    if not whole or f"/anime/{anime_id}".encode() not in body:
        page = parse_anime_page(body)
        if page.anime_id != anime_id:
            raise UnexpectedPage(f"anime {anime_id}", f"the page of anime {page.anime_id}")
    return None, AIRING if _STILL_CHANGES.search(body) else None
