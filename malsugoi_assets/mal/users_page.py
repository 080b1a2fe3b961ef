"""A page of users (`users.php`): recently online ones, or the results of a search."""

from __future__ import annotations

import re
from urllib.parse import unquote

from bs4.filter import SoupStrainer

from malsugoi_assets.mal import selectors
from malsugoi_assets.mal.errors import TruncatedPage, UnexpectedPage
from malsugoi_assets.mal.soup import (
    attribute,
    decode,
    explain,
    first_document,
    link_path,
    page_paths,
    shown_text,
    soup_of,
)

EXPECTED = "a page of users"

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


def parse_users_page(page: str | bytes) -> list[str]:
    """The usernames in the page's order, each once; [] only where the page itself says that there are none.

    Raises:
        PageError: the subclass for what the page is instead.
    """
    text, whole = first_document(decode(page))
    soup = soup_of(text, SoupStrainer(["td", "div"]))
    names: dict[str, None] = {}
    for link in soup.select(selectors.USER_LINK):
        said = shown_text(link)
        if not said:  # the picture's link
            continue
        name = unquote(link_path(attribute(link, "href")).rstrip("/").rsplit("/profile/")[-1])
        if name.casefold() != said.casefold() or not _NAME.fullmatch(name):
            raise UnexpectedPage(EXPECTED, f"a link to {name[:40]!r} that says {said[:40]!r}")
        names[name] = None
    nobody = any(
        words in shown_text(tag).lower() for tag in soup.select(selectors.NOTICE) for words in selectors.SAID_NO_USERS
    )
    if not names and not nobody:
        raise explain(text, EXPECTED)
    paths = [path for path in page_paths(text) if path.strip("/")]
    if paths and not any("users" in path for path in paths):  # a club's members stand in the same table
        raise UnexpectedPage(EXPECTED, f"users on another page: {paths[0][:60]}")
    if not whole:
        raise TruncatedPage(EXPECTED, "no closing </html>")
    return list(names)
