"""The catalogue: which titles the ranking shows, and their detail pages.

The ranking moves while it is walked. Each page is asked for so that it begins with the last title of the one before:
where it begins with another one, or a title is met twice, the ranking has moved (a title came, went, or changed its
place) and is walked again, a bounded number of times; what any of the walks met counts.

A title that the site no longer shows stays, with the status 404 and its last good page. One that left the ranking is
asked for once more to see whether it is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from malsugoi_assets.mal import TopEntry, parse_anime_page, parse_top_page, selectors
from malsugoi_assets.mal.api import Api
from malsugoi_assets.mal.api_answers import read_ranking
from malsugoi_assets.mal.client import ClientError
from malsugoi_assets.mal.errors import MergedTitle, NotFound, PageError
from malsugoi_assets.mal.fetching import Fetcher, Patience, Progress, SiteStopped
from malsugoi_assets.mal.freshness import AIRING, GONE, SiteSettings, age_days, title_is_due
from malsugoi_assets.mal.store import MissingBody, StoredPage

TOP_PAGE = 50
_LAST_PAGE = 2_000
_UNREADABLE_IN_A_ROW = 10
"""So many detail pages in a row that cannot be read mean that the site's pages have changed, not these titles."""


@dataclass(frozen=True)
class CatalogueReport:
    """What a refresh did: titles known, pages fetched, pages still fresh, and (anime_id, reason) of those that failed.

    `ranking_complete`: its end was reached; `ranking_moved`: no walk of it came out even, so a title may be missing
    until the next one; `gone`: titles that we know and the site no longer has.
    """

    titles: int
    fetched: int
    fresh: int
    failed: tuple[tuple[int, str], ...]
    ranking_pages: int
    ranking_complete: bool
    ranking_moved: bool
    gone: int


@dataclass(frozen=True)
class _Walk:
    started: datetime | None
    since: int
    """The store's newest record when it started: ranking pages after that belong to it."""
    finished: datetime | None
    ids: tuple[int, ...]
    complete: bool
    """The end of the ranking was reached."""
    moved: bool = False
    """None of its passes came out even."""
    met: tuple[int, ...] = ()
    """What the passes of a walk that is under way have met so far."""


@dataclass
class _Pass:
    """What one pass over the ranking met: anime_ids in its order, `moved` where the pages do not fit together."""

    order: dict[int, None] = field(default_factory=dict)
    asked: int = 0
    moved: bool = False
    complete: bool = False
    broken: PageError | None = None


class Catalogue:
    """The flow over ranking and detail pages, or over the API's answers where there is an `api`."""

    def __init__(self, fetcher: Fetcher, settings: SiteSettings, api: Api | None = None) -> None:
        self._fetcher, self._store, self._settings, self._api = fetcher, fetcher.store, settings, api

    def due(self, max_anime: int | None) -> bool:
        """Whether a refresh would ask for anything; asks nothing itself."""
        walk = self._known_walk()
        if not self._walk_is_fresh(walk, max_anime):
            return True
        newest = self._store.newest("anime")
        return any(self._title_due(newest.get(str(i)), walk) for i in self._titles(walk, max_anime, newest))

    def refresh(self, max_anime: int | None, progress: Progress) -> CatalogueReport:
        """Walk the ranking where that is due and fetch every detail page that is.

        A page that fails is recorded and tried again next time. Raises `SiteStopped` where the site refuses, or where
        page after page cannot be read.
        """
        asked = self._ranking(max_anime, progress)
        walk = self._known_walk()
        newest = self._store.newest("anime")
        ids = self._titles(walk, max_anime, newest)
        due = [i for i in ids if self._title_due(newest.get(str(i)), walk)]
        failed = self._fetch(due, len(ids) - len(due), progress)
        gone = sum(page.http_status in GONE for page in self._store.newest("anime").values())
        return CatalogueReport(
            len(ids),
            len(due) - len(failed),
            len(ids) - len(due),
            tuple(failed),
            asked,
            walk.complete,
            walk.moved,
            gone,
        )

    def _fetch(self, due: list[int], fresh: int, progress: Progress) -> list[tuple[int, str]]:
        """Ask for these titles' pages; (anime_id, reason) of those that failed."""
        total = fresh + len(due)
        patience = Patience("anime pages", total, self._settings.failures_in_a_row)
        failed: list[tuple[int, str]] = []
        unreadable = 0
        for number, anime_id in enumerate(due):
            progress("anime pages", fresh + number, total)
            try:
                self._fetch_title(anime_id)
                patience.went_well()
                unreadable = 0
            except PageError as error:
                failed.append((anime_id, str(error)))
                patience.went_well()
                unreadable = 0 if isinstance(error, NotFound) else unreadable + 1
                if unreadable >= _UNREADABLE_IN_A_ROW:
                    raise SiteStopped("anime pages", fresh + number + 1 - len(failed), total, error) from error
            except ClientError as error:
                failed.append((anime_id, str(error)))
                patience.refused(error, fresh + number + 1 - len(failed))
        progress("anime pages", total, total)
        return failed

    def _fetch_title(self, anime_id: int) -> None:
        key = str(anime_id)
        known = self._store.last_good("anime", key)
        try:
            self._ask_title(anime_id)
        except MergedTitle as error:
            if known is not None:  # we had its page: now the site answers with another title's, for good
                now = self._fetcher.now()
                self._store.add_failure("anime", key, known.url, at=now, http_status=404, note=str(error))
            raise

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
        """One record a title, by anime_id: its newest good page, else what the last request ended with.

        `note` is why the last request failed (None where it did not); a title that is gone keeps its last good page
        and has the status of the last answer.
        """
        newest, good = self._store.newest("anime"), self._store.newest("anime", good=True)
        found = []
        for key in sorted(newest, key=int):
            last, page = newest[key], good.get(key)
            if page is None or last.good:
                found.append(replace(last, note=None if last.good else last.note))
            elif last.http_status in GONE:
                found.append(replace(page, http_status=404, fetched_at=last.fetched_at, note=last.note))
            else:
                found.append(replace(page, note=last.note))
        return found

    def _titles(self, walk: _Walk, max_anime: int | None, known: dict[str, StoredPage]) -> list[int]:
        """The titles to keep fresh: the ranking's, in its order, then those that we have and it does not show."""
        shown = dict.fromkeys(walk.ids[:max_anime])
        return [*shown, *sorted(i for i in map(int, known) if i not in shown)]

    def _title_due(self, page: StoredPage | None, walk: _Walk) -> bool:
        if title_is_due(page, self._settings, self._fetcher.now()):
            return True
        if page is None or not page.good:
            return False
        if walk.complete and int(page.key) not in walk.ids:
            # It left the ranking: see soon whether it is gone.
            return age_days(page.fetched_at, self._fetcher.now()) >= self._settings.airing_title_days
        return not self._store.has_body(page)

    def _known_walk(self) -> _Walk:
        value = self._store.walk("ranking")

        def moment(name: str) -> datetime | None:
            return datetime.fromisoformat(value[name]) if value.get(name) else None

        ids, met = tuple(value.get("ids", ())), tuple(value.get("met", ()))
        return _Walk(
            moment("started"),
            int(value.get("since", 0)),
            moment("finished"),
            ids,
            bool(value.get("complete")),
            bool(value.get("moved")),
            met,
        )

    def _keep(self, walk: _Walk) -> None:
        value = {
            "started": walk.started.isoformat() if walk.started else None,
            "since": walk.since,
            "finished": walk.finished.isoformat() if walk.finished else None,
            "ids": walk.ids,
            "complete": walk.complete,
            "moved": walk.moved,
            "met": walk.met,
        }
        self._store.set_walk("ranking", value)

    def _walk_is_fresh(self, walk: _Walk, max_anime: int | None) -> bool:
        if walk.finished is None or age_days(walk.finished, self._fetcher.now()) >= self._settings.ranking_days:
            return False
        return walk.complete or (max_anime is not None and len(walk.ids) >= max_anime)

    def _ranking(self, max_anime: int | None, progress: Progress) -> int:
        """Walk the ranking where that is due, and keep what it shows; how many of its pages were asked for."""
        walk = self._known_walk()
        if self._walk_is_fresh(walk, max_anime):
            return 0
        now = self._fetcher.now()
        if walk.started is None or walk.finished or age_days(walk.started, now) * 24 >= self._settings.resume_hours:
            walk = replace(walk, started=now, since=self._store.last_id(), met=())
        walk = replace(walk, finished=None)
        asked = 0
        for _ in range(self._settings.ranking_passes):
            self._keep(walk)
            made = self._one_pass(walk.since, max_anime, progress)
            asked += made.asked
            walk = replace(walk, met=tuple(made.order | dict.fromkeys(walk.met)), moved=made.moved)
            if made.broken or not made.moved:
                break
            walk = replace(walk, since=self._store.last_id())
        # A ranking page that could not be read may have shown titles that we know from the walk before.
        ids = walk.met if made.broken is None else tuple(dict.fromkeys([*walk.met, *walk.ids]))
        finished = self._fetcher.now() if made.broken is None else None
        complete = made.complete and made.broken is None
        self._keep(replace(walk, finished=finished, ids=ids, complete=complete, met=()))
        return asked

    def _one_pass(self, since: int, max_anime: int | None, progress: Progress) -> _Pass:
        """Walk the ranking once, from its top. Raises `SiteStopped` where its pages cannot be had."""
        made = _Pass()
        overlap, start, row = 1, 0, 0
        before: list[int] = []
        for number in range(_LAST_PAGE):
            if max_anime is not None and len(made.order) >= max_anime:
                return made
            progress("ranking pages", number, number + 1)
            entries = self._kept(start, since)
            if entries is None:
                made.asked += 1
                try:
                    entries = self._ask_ranking(start)
                    row = 0
                except NotFound:
                    if number == 0:
                        found = NotFound("the ranking", "its first page")
                        raise SiteStopped("ranking pages", 0, None, found) from None
                    # With a title of overlap, a 404 means that the ranking has become shorter.
                    made.moved, made.complete = made.moved or bool(overlap and before), True
                    return made
                except PageError as error:
                    made.broken, row, before = error, row + 1, []
                    if number == 0 or row >= self._settings.failures_in_a_row:
                        raise SiteStopped("ranking pages", number, None, error) from error
                    start += TOP_PAGE - overlap
                    continue
                except ClientError as error:
                    raise SiteStopped("ranking pages", number, None, error) from error
            ids = [entry.anime_id for entry in entries]
            if overlap and ids == before and len(ids) == TOP_PAGE:
                # The site rounds the start down to a whole page: then its pages stand side by side.
                overlap, before, start = 0, [], start + 1
                continue
            new = ids
            if overlap and before:
                made.moved = made.moved or ids[0] != before[-1]
                new = ids[1:] if ids[0] == before[-1] else ids
            made.moved = made.moved or any(i in made.order for i in new)
            made.order |= dict.fromkeys(ids)
            if len(ids) < TOP_PAGE:
                made.complete = True
                return made
            before, start = ids, start + TOP_PAGE - overlap
        made.complete = True
        return made

    def _kept(self, offset: int, since: int) -> list[TopEntry] | None:
        """A page that this pass has fetched already, before it was interrupted."""
        page = self._store.last_good("top", str(offset))
        if page is None or page.id <= since:
            return None
        try:
            return read_ranking(self._store.body(page))
        except (MissingBody, PageError):
            return None

    def _ask_ranking(self, offset: int) -> list[TopEntry]:
        if self._api is not None:
            return self._api.ranking(offset)
        _, entries = self._fetcher.fetch(
            "top", str(offset), "/topanime.php", {"limit": offset}, lambda body: (parse_top_page(body), None)
        )
        return entries

    def _ask_title(self, anime_id: int) -> None:
        if self._api is not None:
            self._api.title(anime_id)
            return
        self._fetcher.fetch("anime", str(anime_id), f"/anime/{anime_id}", None, partial(_look, anime_id=anime_id))


def _look(body: bytes, anime_id: int) -> tuple[None, str | None]:
    """See that this is the title's page, whole and readable, and whether it still changes.

    Raises a PageError that says what it is instead: a page that the parser cannot read is an error of that page, with
    its reason in the store, and never takes the place of the last good one.
    """
    page = parse_anime_page(body)
    if page.anime_id != anime_id:
        raise MergedTitle(f"anime {anime_id}", f"the page of anime {page.anime_id}")
    return None, None if page.status == selectors.FINISHED else AIRING
