"""Whole anime lists of users: the list page, then `load.json` to the end, and what became of each list.

A page counts as the beginning of the whole list only if it says so; one that shows a single tab, or has a layout that
cannot be read, is left aside and `load.json?status=7` is asked from the start. Each answer is asked for so that it
begins with the last row of the one before; where it begins with another, the owner has changed the list meanwhile, and
it is read again, a bounded number of times: then what the readings have together counts, by title. Nobody is private
or missing because the site refuses to answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote, unquote, urlsplit

from malsugoi_assets.mal import ListEntry, ListPage, parse_list_json, parse_list_page
from malsugoi_assets.mal.api import Api
from malsugoi_assets.mal.api_answers import read_rows
from malsugoi_assets.mal.client import ClientError
from malsugoi_assets.mal.errors import NotFound, PageError, PrivateList, RenamedUser, UnexpectedPage
from malsugoi_assets.mal.fetching import Fetcher, Patience, Progress
from malsugoi_assets.mal.freshness import SiteSettings, age_days, list_is_due
from malsugoi_assets.mal.store import ListOutcome, ListStatus, MissingBody, PageKind, StoredPage
from malsugoi_assets.usernames import canonical

ALL = 7
"""The site's number for "all statuses"."""

EMPTY = "the list has no titles"
_LAST_PAGE = 500
_READINGS = 3
"""A list that changes while it is read is read so often, at most."""


@dataclass(frozen=True)
class UserList:
    """A user's list: one entry an anime_id; `fresh` means that nothing had to be asked.

    `list_status` 'ok' with an `error` means that the last try failed and that the rows are those of `fetched_at`; for
    the others `error` is why there are no rows.
    """

    username: str
    list_status: ListStatus
    entries: tuple[ListEntry, ...]
    fetched_at: datetime | None
    error: str | None
    fresh: bool


class Lists:
    """The flow over list pages, or over the API's answers where there is an `api`."""

    def __init__(self, fetcher: Fetcher, settings: SiteSettings, api: Api | None = None) -> None:
        self._fetcher, self._store, self._settings, self._api = fetcher, fetcher.store, settings, api

    def due(self, usernames: Iterable[str]) -> list[str]:
        """Those whose list would be asked for; asks nothing itself."""
        return [name for name in usernames if self._is_due(self._store.outcome(name))]

    def fetch(self, usernames: Iterable[str], progress: Progress) -> Iterator[UserList]:
        """The lists of `usernames` in their order, each once whatever the case, asked for where that is due.

        Raises `SiteStopped` where the site refuses several in a row; what was yielded, and every page, is kept.
        """
        names = list({canonical(name): name for name in reversed(list(usernames))}.values())[::-1]
        patience = Patience("lists", len(names), self._settings.failures_in_a_row)
        for number, name in enumerate(names):
            progress("lists", number, len(names))
            yield self._list(name, patience, number)
        progress("lists", len(names), len(names))

    def _is_due(self, outcome: ListOutcome | None) -> bool:
        if outcome is None or list_is_due(outcome, self._settings, self._fetcher.now()):
            return True
        pages = [self._store.get(number) for number in outcome.pages]
        return any(page is None or not self._store.has_body(page) for page in pages)

    def _list(self, username: str, patience: Patience, done: int) -> UserList:
        outcome = self._store.outcome(username)
        if outcome is not None and not self._is_due(outcome):
            try:
                return self._stored(username, outcome, fresh=True)
            except (MissingBody, PageError):
                pass  # broken on disk, or a parser that knows better now: fetch it again
        problem: PageError | ClientError
        try:
            entries, pages = self._whole(username, outcome)
        except PrivateList:
            return self._closed(username, "private", "the owner does not share the list", patience)
        except RenamedUser as error:
            return self._closed(username, "missing", f"renamed: {error.detail}", patience)
        except NotFound as error:
            return self._closed(username, "missing", f"no such user: found {error.found}", patience)
        except PageError as error:
            problem = error
            patience.went_well()
        except ClientError as error:
            result = self._failed(username, outcome, str(error))
            patience.refused(error, done)
            return result
        else:
            patience.went_well()
            status: ListStatus = "ok" if entries else "empty"
            fetched_at = min(page.fetched_at for page in pages)
            self._keep(username, status, fetched_at, None, tuple(page.id for page in pages))
            return UserList(username, status, entries, fetched_at, None if entries else EMPTY, fresh=False)
        return self._failed(username, outcome, str(problem))

    def _closed(self, username: str, status: ListStatus, reason: str, patience: Patience) -> UserList:
        """The site says that there is no list to see: rows that we had are no longer ours to keep."""
        patience.went_well()
        now = self._fetcher.now()
        self._store.set_outcome(ListOutcome(username, status, now, now, reason, ()))
        return UserList(username, status, (), now, reason, fresh=False)

    def _failed(self, username: str, outcome: ListOutcome | None, reason: str) -> UserList:
        """Keep the last good rows with the reason; without any, or closed before, it is an error or stays closed."""
        if outcome is not None and outcome.list_status != "error":
            try:
                kept = self._stored(username, outcome, fresh=False)
            except (MissingBody, PageError):
                pass
            else:
                self._keep(username, outcome.list_status, outcome.fetched_at, reason, outcome.pages)
                return replace(kept, error=reason)
        self._keep(username, "error", None, reason, ())
        return UserList(username, "error", (), None, reason, fresh=False)

    def _keep(
        self,
        username: str,
        status: ListStatus,
        fetched_at: datetime | None,
        error: str | None,
        pages: tuple[int, ...],
    ) -> None:
        self._store.set_outcome(ListOutcome(username, status, fetched_at, self._fetcher.now(), error, pages))

    def _stored(self, username: str, outcome: ListOutcome, *, fresh: bool) -> UserList:
        """A list from its stored pages. Raises `MissingBody` or a PageError where they can't be read."""
        rows: list[ListEntry] = []
        for number in outcome.pages:
            page = self._store.get(number)
            if page is None:
                raise MissingBody(f"a page of {username}'s list is not in the store")
            rows += self._rows(page)
        reason = outcome.error or (EMPTY if outcome.list_status == "empty" else None)
        return UserList(username, outcome.list_status, _one_a_title(rows), outcome.fetched_at, reason, fresh)

    def _whole(self, username: str, outcome: ListOutcome | None) -> tuple[tuple[ListEntry, ...], list[StoredPage]]:
        """All entries and the pages that they stand on. Raises a PageError or ClientError where one is not to be had."""
        if self._api is not None:
            return self._api.whole_list(username, lambda kind, key: self._resumable(kind, key, outcome))
        after = 0  # pages of this very try, which was interrupted, are used again; those of a reading that failed not
        before: list[StoredPage] = []
        for number in range(_READINGS):
            rows, pages, changed = self._reading(username, outcome, after, to_the_end=number > 0)
            if not changed:
                return _one_a_title(rows), pages
            after = self._store.last_id()
            if number == _READINGS - 1:
                break
            before += pages
        # It never holds still: every title that any reading met, as the last one that met it has it.
        pages = [*before, *pages]
        return _one_a_title(row for page in pages for row in self._rows(page)), pages

    def _reading(
        self, username: str, outcome: ListOutcome | None, after: int, *, to_the_end: bool
    ) -> tuple[list[ListEntry], list[StoredPage], bool]:
        """One reading of a list: its rows, the pages they stand on, and whether it changed meanwhile.

        It stops at a change, or goes on `to_the_end` so that what follows is read all the same.
        """
        shown, first = self._list_page(username, outcome, after)
        if shown is not None and shown.complete:
            return list(shown.entries), [first], False
        rows: list[ListEntry] = []
        pages: list[StoredPage] = []
        if shown is not None and _shows_all_statuses(shown):
            rows, pages = list(shown.entries), [first]
        known = {entry.anime_id for entry in rows}
        changed = False
        for _ in range(_LAST_PAGE):
            page, more = self._list_json(username, max(len(rows) - 1, 0), outcome, after)
            pages.append(page)
            new = more[1:] if rows else more
            meets = not rows or (bool(more) and more[0].anime_id == rows[-1].anime_id)
            if not meets or any(entry.anime_id in known for entry in new):
                changed = True
                if not to_the_end:
                    return rows + more, pages, True
            if not new:
                break
            rows += new
            known |= {entry.anime_id for entry in new}
        if shown is None and not rows:
            # A page that cannot be read and an answer without rows: nobody said that the list is empty.
            raise UnexpectedPage("a user's anime list", f"{first.note}; and load.json has no rows")
        return rows, pages, changed

    def _list_page(
        self, username: str, outcome: ListOutcome | None, after: int
    ) -> tuple[ListPage | None, StoredPage]:
        """The list's page; None with it where its layout cannot be read. Raises what else it turns out to be."""
        key, path = canonical(username), f"/animelist/{quote(username, safe='')}"
        page = self._resumable("list", key, outcome, after)
        if page is not None:
            try:
                return parse_list_page(self._store.body(page)), page
            except (MissingBody, PageError):
                pass
        try:
            page, shown = self._fetcher.fetch(
                "list", key, path, {"status": ALL}, lambda body: (parse_list_page(body), None)
            )
        except UnexpectedPage:
            page = self._store.latest("list", key)
            if page is None:
                raise
            return None, page
        other = _owner(page.url)
        if other is not None and canonical(other) != key:
            self._store.reject(page, "a list under another name")
            raise RenamedUser("a user's anime list", "the site answers with another user's list")
        return shown, page

    def _list_json(
        self, username: str, offset: int, outcome: ListOutcome | None, after: int
    ) -> tuple[StoredPage, list[ListEntry]]:
        key, path = canonical(username), f"/animelist/{quote(username, safe='')}/load.json"
        json_key = f"{key}?offset={offset}"
        page = self._resumable("list_json", json_key, outcome, after)
        if page is not None:
            try:
                return page, parse_list_json(self._store.body(page))
            except (MissingBody, PageError):
                pass
        return self._fetcher.fetch(
            "list_json",
            json_key,
            path,
            {"offset": offset, "status": ALL},
            lambda body: (list(parse_list_json(body)), None),
        )

    def _resumable(self, kind: PageKind, key: str, outcome: ListOutcome | None, after: int = 0) -> StoredPage | None:
        """A good page of this very try, which was interrupted: newer than the last outcome, and not old."""
        page = self._store.latest(kind, key)
        if page is None or not page.good or page.id <= after:
            return None
        if outcome is not None and page.fetched_at <= outcome.tried_at:
            return None
        recent = age_days(page.fetched_at, self._fetcher.now()) * 24 < self._settings.resume_hours
        return page if recent else None

    def _rows(self, page: StoredPage) -> Iterable[ListEntry]:
        body = self._store.body(page)
        return read_rows(body) if page.kind == "list_json" else parse_list_page(body).entries


def _owner(url: str) -> str | None:
    """Whose list the address is."""
    parts = urlsplit(url).path.split("/animelist/")
    return unquote(parts[1].split("/")[0]) if len(parts) == 2 else None


def _shows_all_statuses(page: ListPage) -> bool:
    """Whether an incomplete page is the beginning of the whole list: one that shows a single tab has one status."""
    return len({entry.status for entry in page.entries}) > 1


def _one_a_title(rows: Iterable[ListEntry]) -> tuple[ListEntry, ...]:
    """One entry an anime_id: the one that came last, where the first one stood."""
    return tuple({entry.anime_id: entry for entry in rows}.values())
