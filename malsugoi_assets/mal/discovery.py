"""Usernames from the user search, complete also where one search shows only its first pages.

A search is walked to its end. One that ends on a full page may have been capped there: then it is split into a few
ranges of ages, these into single years, that by gender, and that by a letter of the name, where the site honours it,
so that each part ends on a page that is not full. Wide searches come before narrow ones: they show more people a page
who were not seen yet. The form's bounds are exclusive ("> 18 and < 24"); where a site reads them as
inclusive, the parts overlap, which does no harm.

Parts do not always cover the whole: who gives no age is in no search by age. What a capped search may hide after all
its parts were walked is a gap, and a walk with gaps is never called complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from malsugoi_assets.mal import parse_users_page
from malsugoi_assets.mal.client import ClientError
from malsugoi_assets.mal.errors import NotFound, PageError, UnexpectedPage
from malsugoi_assets.mal.fetching import Fetcher, Progress, SiteStopped
from malsugoi_assets.mal.freshness import SiteSettings, age_days
from malsugoi_assets.mal.redaction import is_stand_in
from malsugoi_assets.mal.store import MissingBody
from malsugoi_assets.usernames import canonical

_LAST_PAGE = 5_000
_FULL = 0.75
_YEARS = 8
"""The ages that are looked for together first: a narrower search shows fewer who were not seen yet."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"
"""What names are made of: each holds one of them."""


class _NotOffered(Exception):
    """The site does not look for a letter: its answer has names without it, or is no answer."""


@dataclass(frozen=True)
class Search:
    """One search: ages inclusive (None: whatever age, also unknown), gender '' = whatever, '1' male, '2' female,
    `letter` '' = whatever, else one that the name holds.
    """

    ages: tuple[int, int] | None = None
    gender: str = ""
    letter: str = ""

    def params(self, show: int) -> dict[str, str | int]:
        """The query of users.php for the page from row `show` on."""
        low, high = ("", "") if self.ages is None else (str(self.ages[0] - 1), str(self.ages[1] + 1))
        query: dict[str, str | int] = {"cat": "user", "q": self.letter, "loc": ""}
        return {**query, "agelow": low, "agehigh": high, "g": self.gender, "show": show}

    def key(self, show: int) -> str:
        """The store's key of that page."""
        ages = "any" if self.ages is None else f"{self.ages[0]}-{self.ages[1]}"
        letter = f"&q={self.letter}" if self.letter else ""
        return f"ages={ages}&g={self.gender}{letter}&show={show}"

    def parts(self, lowest: int, highest: int) -> list[Search]:
        """The narrower searches to try where this one is capped; [] where it cannot be narrowed."""
        if self.ages is None:
            starts = range(lowest, highest + 1, _YEARS)
            return [Search((low, min(low + _YEARS - 1, highest))) for low in starts]
        low, high = self.ages
        if low < high:
            return [Search((age, age)) for age in range(low, high + 1)]
        if not self.gender:
            return [Search(self.ages, "1"), Search(self.ages, "2")]
        return [] if self.letter else [Search(self.ages, self.gender, letter) for letter in _LETTERS]

    def gap(self, lowest: int, highest: int) -> str | None:
        """Whom a capped search may hide although its parts were walked; None where they cover it."""
        if self.ages is None:
            return f"whoever gives no age from {lowest} to {highest}"
        if self.ages[0] < self.ages[1]:
            return None
        age = f"age {self.ages[0]}"
        if not self.gender:
            return f"{age}, no gender given"
        who = f"{age}, {'male' if self.gender == '1' else 'female'}"
        return f"{who}, names with {self.letter!r}" if self.letter else None

    def whole_gap(self) -> str:
        """The gap that is left where its parts cannot be searched at all."""
        return f"age {self.ages[0] if self.ages else 'any'}, {'male' if self.gender == '1' else 'female'}"


class Discovery:
    """The flow over users.php."""

    def __init__(self, fetcher: Fetcher, settings: SiteSettings) -> None:
        self._fetcher, self._store, self._settings = fetcher, fetcher.store, settings
        self._fullest, self._told = 0, -1

    def due(self, max_users: int | None) -> bool:
        """Whether the last finished walk is too old, or found fewer users than are wanted now; asks nothing."""
        walk = self._store.walk("users")
        if not walk.get("finished"):
            return True
        if age_days(datetime.fromisoformat(walk["finished"]), self._fetcher.now()) >= self._settings.discovery_days:
            return True
        return not walk["ended"] and (max_users is None or len(walk["names"]) < max_users)

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
        self._store.set_walk("users", {**begun, "names": walk.get("names", []), "ended": False, "gaps": []})
        lowest, highest = self._settings.lowest_age, self._settings.highest_age
        self._fullest, self._told = 0, -1
        found: dict[str, str] = {}
        gaps: list[str] = []
        letters = True  # until the site shows that it does not look for them
        searches = [Search()]
        while searches and not _enough(found, max_users):
            search = searches.pop(0)
            try:
                capped = self._walk(search, since, found, max_users, progress)
            except _NotOffered:
                letters = False
                gaps += dict.fromkeys(other.whole_gap() for other in (search, *searches) if other.letter)
                searches = [other for other in searches if not other.letter]
                continue
            if capped and search.gender and not letters:
                gaps.append(search.whole_gap())
            elif capped:
                searches += search.parts(lowest, highest)
                gaps += [gap] if (gap := search.gap(lowest, highest)) else []
        if not found:
            # The search without a filter never is empty; whoever says so is not the search.
            raise SiteStopped("user search", 0, None, UnexpectedPage("users", "a search for everybody without users"))
        ended = not searches and not _enough(found, max_users)
        names = list(found.values())
        value = {**begun, "finished": self._fetcher.now().isoformat(), "names": names, "ended": ended, "gaps": gaps}
        self._store.set_walk("users", value)
        return names[:max_users]

    def gaps(self) -> list[str]:
        """Whom the last finished walk may have missed, since a search was capped; [] where it saw everybody it asked for."""
        return list(self._store.walk("users").get("gaps", ()))

    def _walk(
        self, search: Search, since: int, found: dict[str, str], max_users: int | None, progress: Progress
    ) -> bool:
        """Walk one search into `found`; True where it may have been capped: it ended on a full page, or repeated one.

        How many a full page shows is what the fullest page of the walk showed, or nearly so: some rows may be missing.

        Raises `_NotOffered` where a search for a letter shows names without it.
        """
        show, page_size = 0, 0
        last: list[str] = []
        for _ in range(_LAST_PAGE):
            if _enough(found, max_users):
                return False
            if len(found) != self._told:
                progress("users", len(found), max_users or len(found))
                self._told = len(found)
            names = self._page(search, show, since, len(found))
            if not names:
                break
            if search.letter and not all(search.letter in name.lower() or is_stand_in(name) for name in names):
                raise _NotOffered
            if names == last:
                return True
            found |= {canonical(n): n for n in names if canonical(n) not in found and not self._is_left_out(n)}
            page_size = page_size or len(names)
            self._fullest = max(self._fullest, len(names))
            show, last = show + page_size, names
            if len(names) < page_size:
                return False
        return bool(last) and len(last) >= _FULL * self._fullest

    def _is_left_out(self, name: str) -> bool:
        return is_stand_in(name) or self._store.is_forgotten(name)

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
            if search.letter and isinstance(error, UnexpectedPage):
                raise _NotOffered from error
            raise SiteStopped("user search", done, None, error) from error
        return names


def _enough(found: dict[str, str], max_users: int | None) -> bool:
    return max_users is not None and len(found) >= max_users
