"""Usernames from the user search, complete also where one search shows only its first pages.

A search is walked to its end. One that ends on a full page may have been capped there: then the ages are halved, down
to a single year, and that is split by gender, so that each part ends on a page that is not full. The form's bounds are
exclusive ("> 18 and < 24"); where a site reads them as inclusive, the parts overlap, which does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from malsugoi_assets.mal import parse_users_page
from malsugoi_assets.mal.client import ClientError
from malsugoi_assets.mal.errors import NotFound, PageError
from malsugoi_assets.mal.fetching import Fetcher, Progress, SiteStopped
from malsugoi_assets.mal.freshness import SiteSettings, age_days
from malsugoi_assets.mal.store import MissingBody, user_key

_LAST_PAGE = 5_000


@dataclass(frozen=True)
class Search:
    """One search: ages inclusive (None: whatever age, also unknown), gender '' = whatever, '1' male, '2' female."""

    ages: tuple[int, int] | None = None
    gender: str = ""

    def params(self, show: int) -> dict[str, str | int]:
        """The query of users.php for the page from row `show` on."""
        low, high = ("", "") if self.ages is None else (str(self.ages[0] - 1), str(self.ages[1] + 1))
        return {"cat": "user", "q": "", "loc": "", "agelow": low, "agehigh": high, "g": self.gender, "show": show}

    def key(self, show: int) -> str:
        """The store's key of that page."""
        ages = "any" if self.ages is None else f"{self.ages[0]}-{self.ages[1]}"
        return f"ages={ages}&g={self.gender}&show={show}"

    def parts(self, lowest: int, highest: int) -> list[Search]:
        """The narrower searches that cover this one; [] where it cannot be narrowed."""
        if self.ages is None:
            return [Search((lowest, highest), self.gender)]
        low, high = self.ages
        if low < high:
            middle = (low + high) // 2
            return [Search((low, middle), self.gender), Search((middle + 1, high), self.gender)]
        return [] if self.gender else [Search(self.ages, "1"), Search(self.ages, "2")]


class Discovery:
    """The flow over users.php."""

    def __init__(self, fetcher: Fetcher, settings: SiteSettings) -> None:
        self._fetcher, self._store, self._settings = fetcher, fetcher.store, settings

    def due(self, max_users: int | None) -> bool:
        """Whether the last finished walk is too old, or found fewer users than are wanted now; asks nothing."""
        walk = self._store.walk("users")
        if not walk.get("finished"):
            return True
        if age_days(datetime.fromisoformat(walk["finished"]), self._fetcher.now()) >= self._settings.discovery_days:
            return True
        return not walk["complete"] and (max_users is None or len(walk["names"]) < max_users)

    def known(self, max_users: int | None) -> list[str]:
        """The usernames of the last finished walk; asks nothing."""
        return list(self._store.walk("users").get("names", ()))[:max_users]

    def discover(self, max_users: int | None, progress: Progress) -> list[str]:
        """All usernames, at most `max_users`, in the order in which the search shows them.

        An interrupted walk goes on where it was. Raises `SiteStopped` where the site refuses, or shows something else.
        """
        now = self._fetcher.now()
        walk = self._store.walk("users")
        started, since = now, self._store.last_id()
        if walk.get("started") and not walk.get("finished"):
            before = datetime.fromisoformat(walk["started"])
            if age_days(before, now) * 24 < self._settings.resume_hours:
                started, since = before, int(walk["since"])
        begun = {"started": started.isoformat(), "since": since}
        self._store.set_walk("users", {**begun, "names": walk.get("names", []), "complete": False})
        found: dict[str, str] = {}
        searches = [Search()]
        while searches and not _enough(found, max_users):
            search = searches.pop(0)
            if self._walk(search, since, found, max_users, progress):
                searches = search.parts(self._settings.lowest_age, self._settings.highest_age) + searches
        complete = not searches and not _enough(found, max_users)
        names = list(found.values())
        finished = self._fetcher.now().isoformat()
        self._store.set_walk("users", {**begun, "finished": finished, "names": names, "complete": complete})
        return names[:max_users]

    def _walk(
        self, search: Search, since: int, found: dict[str, str], max_users: int | None, progress: Progress
    ) -> bool:
        """Walk one search into `found`; True where it may have been capped: it ended on a full page, or repeated one."""
        show, page_size = 0, 0
        last: list[str] = []
        for _ in range(_LAST_PAGE):
            if _enough(found, max_users):
                return False
            progress("users", len(found), max_users or len(found))
            names = self._page(search, show, since, len(found))
            if not names:
                break
            if names == last:
                return True
            found |= {user_key(name): name for name in names if user_key(name) not in found}
            page_size = page_size or len(names)
            show, last = show + page_size, names
            if len(names) < page_size:
                return False
        return bool(last)

    def _page(self, search: Search, show: int, since: int, done: int) -> list[str]:
        key = search.key(show)
        page = self._store.last_good("users", key)
        if page is not None and page.id > since:
            try:
                return parse_users_page(self._store.body(page))
            except (MissingBody, PageError):
                pass
        try:
            _, names = self._fetcher.fetch(
                "users", key, "/users.php", search.params(show), lambda body: (parse_users_page(body), None)
            )
        except NotFound as error:
            if show == 0:
                raise SiteStopped("user search", done, None, error) from error
            return []
        except (PageError, ClientError) as error:
            raise SiteStopped("user search", done, None, error) from error
        return names


def _enough(found: dict[str, str], max_users: int | None) -> bool:
    return max_users is not None and len(found) >= max_users
