"""What can be found where a page was expected: one class per finding, all of them `PageError`.

PageError
├── NotFound          404 page, unknown anime, unknown user
│   └── MergedTitle   the page of another anime: the site has merged the two
├── LoginWall         the site asks to log in
├── BlockPage         403/405 page of the site or its guard
├── Captcha           a page that wants proof of a person, often with status 200
├── Maintenance       the site is down for maintenance
├── PhoneLayout       the layout for phones, which lacks the labels
├── MangaPage         a manga where an anime was expected (page or export)
├── PrivateList       the list's owner does not share it
├── TruncatedPage     the answer ends in the middle
├── UnknownUser       a list or profile of a user that does not exist
│   └── RenamedUser   the site shows the list under another name
└── UnexpectedPage    none of the above, and not the page that was asked for
    └── NeedsScripts  the page, but only its scripts fill it
"""

from __future__ import annotations


class PageError(ValueError):
    """The answer is not the page that was asked for; `found` says what it is, in words for a person."""

    found: str = "something else"

    def __init__(self, expected: str, detail: str = "") -> None:
        self.expected = expected
        self.detail = detail
        super().__init__(f"expected {expected}, found {self.found}" + (f" ({detail})" if detail else ""))


class NotFound(PageError):
    """A 404 page, or the page of an anime that does not exist."""

    found = "a 404 page"


class UnknownUser(NotFound):
    """The site says that this user does not exist."""

    found = "a notice that the user does not exist"


class MergedTitle(NotFound):
    """The site answers with another title's page: this one's entry was merged into it."""

    found = "another title's page"


class RenamedUser(UnknownUser):
    """The site answers under another name."""

    found = "a list under another name"


class LoginWall(PageError):
    """The site asks to log in."""

    found = "a login page"


class BlockPage(PageError):
    """The site, or the guard in front of it, refuses us."""

    found = "a block page"


class Captcha(PageError):
    """The site wants proof of a person; often served with status 200."""

    found = "a captcha page"


class Maintenance(PageError):
    """The site is down for maintenance."""

    found = "a maintenance notice"


class PhoneLayout(PageError):
    """The layout for phones, which lacks the labels that the parsers read."""

    found = "the phone layout"


class MangaPage(PageError):
    """A manga where an anime was expected."""

    found = "a manga page"


class PrivateList(PageError):
    """The list's owner does not share it."""

    found = "a private list"


class TruncatedPage(PageError):
    """The answer ends in the middle."""

    found = "a page that is cut off"


class UnexpectedPage(PageError):
    """None of the known kinds, and not the page that was asked for."""

    found = "an unknown kind of page"


class NeedsScripts(UnexpectedPage):
    """The page's content comes by scripts, which only a browser runs."""

    found = "a page that only a browser can fill (see MALSUGOI_BROWSER)"
