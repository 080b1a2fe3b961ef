"""Whole anime lists of users: the list page, then `load.json` to the end, and what became of each list.

A page counts as the beginning of the whole list only if it says so; one that shows a single tab is left aside and
`load.json?status=7` is asked from the start. Nobody is private or missing because the site refuses to answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from malsugoi_assets.mal import ListEntry, ListPage, parse_list_json, parse_list_page
from malsugoi_assets.mal.client import ClientError
from malsugoi_assets.mal.errors import NotFound, PageError, PrivateList
from malsugoi_assets.mal.fetching import Fetcher, Patience, Progress
from malsugoi_assets.mal.freshness import SiteSettings, age_days, list_is_due
from malsugoi_assets.mal.store import ListOutcome, ListStatus, MissingBody, PageKind, StoredPage, user_key

ALL = 7
"""The site's number for "all statuses"."""

_LAST_PAGE = 500


@dataclass(frozen=True)
class UserList:
    """A user's list: one entry an anime_id; `fresh` means that nothing had to be asked.

    `list_status` 'ok' with an `error` means that the last try failed and that the rows are those of `fetched_at`.
    """

    username: str
    list_status: ListStatus
    entries: tuple[ListEntry, ...]
    fetched_at: datetime | None
    error: str | None
    fresh: bool


class Lists:
    """The flow over list pages."""

    def __init__(self, fetcher: Fetcher, settings: SiteSettings) -> None:
        self._fetcher, self._store, self._settings = fetcher, fetcher.store, settings

    def due(self, usernames: Iterable[str]) -> list[str]:
        """Those whose list would be asked for; asks nothing itself."""
        return [name for name in usernames if self._is_due(self._store.outcome(name))]

    def fetch(self, usernames: Iterable[str], progress: Progress) -> Iterator[UserList]:
        """The lists of `usernames` in their order, each once whatever the case, asked for where that is due.

        Raises `SiteStopped` where the site refuses several in a row; what was yielded, and every page, is kept.
        """
        names = list({user_key(name): name for name in reversed(list(usernames))}.values())[::-1]
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
            problem_status: ListStatus = "private"
        except NotFound:
            problem_status = "missing"
        except (PageError, ClientError) as error:
            problem, problem_status = error, "error"
        else:
            patience.went_well()
            status: ListStatus = "ok" if entries else "empty"
            fetched_at = min(page.fetched_at for page in pages)
            self._keep(username, status, fetched_at, None, tuple(page.id for page in pages))
            return UserList(username, status, entries, fetched_at, None, fresh=False)
        if problem_status != "error":
            patience.went_well()
            now = self._fetcher.now()
            self._keep(username, problem_status, now, None, ())
            return UserList(username, problem_status, (), now, None, fresh=False)
        result = self._failed(username, outcome, str(problem))
        if isinstance(problem, ClientError):
            patience.refused(problem, done)
        else:
            patience.went_well()
        return result

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
            body = self._store.body(page)
            rows += parse_list_json(body) if page.kind == "list_json" else parse_list_page(body).entries
        return UserList(username, outcome.list_status, _one_a_title(rows), outcome.fetched_at, outcome.error, fresh)

    def _whole(self, username: str, outcome: ListOutcome | None) -> tuple[tuple[ListEntry, ...], list[StoredPage]]:
        """All entries and the pages that they stand on. Raises a PageError or ClientError where one is not to be had."""
        key, path = user_key(username), f"/animelist/{quote(username, safe='')}"

        def ask_page() -> tuple[StoredPage, ListPage]:
            page = self._resumable("list", key, outcome)
            if page is not None:
                try:
                    return page, parse_list_page(self._store.body(page))
                except (MissingBody, PageError):
                    pass
            return self._fetcher.fetch("list", key, path, {"status": ALL}, lambda body: (parse_list_page(body), None))

        def ask_json(offset: int) -> tuple[StoredPage, list[ListEntry]]:
            json_key = f"{key}?offset={offset}"
            page = self._resumable("list_json", json_key, outcome)
            if page is not None:
                try:
                    return page, parse_list_json(self._store.body(page))
                except (MissingBody, PageError):
                    pass
            params: dict[str, str | int] = {"offset": offset, "status": ALL}
            return self._fetcher.fetch(
                "list_json", json_key, f"{path}/load.json", params, lambda body: (list(parse_list_json(body)), None)
            )

        first, shown = ask_page()
        rows, pages = list(shown.entries), [first]
        if shown.complete:
            return _one_a_title(rows), pages
        if not _shows_all_statuses(shown):
            rows, pages = [], []
        for _ in range(_LAST_PAGE):
            before = {entry.anime_id for entry in rows}
            page, more = ask_json(len(rows))
            pages.append(page)
            rows += more
            if not {entry.anime_id for entry in more} - before:
                break
        return _one_a_title(rows), pages

    def _resumable(self, kind: PageKind, key: str, outcome: ListOutcome | None) -> StoredPage | None:
        """A good page of this very try, which was interrupted: newer than the last outcome, and not old."""
        page = self._store.latest(kind, key)
        if page is None or not page.good or (outcome is not None and page.fetched_at <= outcome.tried_at):
            return None
        recent = age_days(page.fetched_at, self._fetcher.now()) * 24 < self._settings.resume_hours
        return page if recent else None


def _shows_all_statuses(page: ListPage) -> bool:
    """Whether an incomplete page is the beginning of the whole list: one that shows a single tab has one status."""
    return len({entry.status for entry in page.entries}) > 1


def _one_a_title(rows: Iterable[ListEntry]) -> tuple[ListEntry, ...]:
    """One entry an anime_id: the one that came last, where the first one stood."""
    return tuple({entry.anime_id: entry for entry in rows}.values())
