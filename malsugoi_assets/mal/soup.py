"""From an answer to text and soup, and from a page that is something else to the error that names it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PageElement, PreformattedString
from bs4.filter import SoupStrainer

from malsugoi_assets.mal import selectors
from malsugoi_assets.mal.errors import (
    BlockPage,
    Captcha,
    LoginWall,
    Maintenance,
    MangaPage,
    NotFound,
    PageError,
    PrivateList,
    TruncatedPage,
    UnexpectedPage,
    UnknownUser,
)

_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9._-]{1,40})""", re.I
)
_SHORT = 20_000  # characters: a page of the site is longer, a notice in its place is shorter
_END = re.compile(r"</html\s*>", re.I)
_SPOKEN = re.compile(r"<(title|h1)\b[^>]*>(.{0,2000}?)</\1\s*>", re.I | re.S)
_ID_PATH = re.compile(r"^/?(anime|manga)/(\d{1,9})(?:/|$)")


def decode(page: str | bytes) -> str:
    """The page as text: bytes are UTF-8 unless the head declares another charset. A byte that fits neither becomes U+FFFD."""
    if isinstance(page, str):
        return page.removeprefix("\ufeff")
    if page.startswith((b"\xff\xfe", b"\xfe\xff")):
        return page.decode("utf-16", errors="replace")
    declared = _CHARSET.search(page[:4096])
    if declared is not None:
        try:
            return page.decode(declared[1].decode("ascii")).removeprefix("\ufeff")
        except (LookupError, UnicodeError):
            pass
    return page.decode("utf-8-sig", errors="replace")


def first_document(text: str) -> tuple[str, bool]:
    """The text up to its first `</html>`, and whether there is one."""
    end = _END.search(text)
    return (text, False) if end is None else (text[: end.end()], True)


def soup_of(html: str, only: SoupStrainer | None = None) -> BeautifulSoup:
    """The soup of a page or of a piece of one."""
    return BeautifulSoup(html, "lxml", parse_only=only)


def clean(text: str) -> str:
    """Stripped, with every run of white space as one blank."""
    return " ".join(text.split())


def shown_text(node: Tag) -> str:
    """The text that a reader sees in `node`: no footnote marks, hidden copies, explanations, scripts or comments."""
    return clean("".join(_shown(child) for child in node.children))


def shown_after(label: Tag) -> str:
    """The text that a reader sees after `label` in the element around it, up to the next label."""
    return clean("".join(_shown(node) for node in siblings_after(label)))


def siblings_after(label: Tag) -> Iterator[PageElement]:
    """What follows `label` in the element around it, up to the next label or heading."""
    for node in label.next_siblings:
        if isinstance(node, Tag) and (
            node.name == "h2" or _is_label(node) or node.select_one(selectors.LABEL) is not None
        ):
            return
        yield node


def _shown(node: object) -> str:
    if isinstance(node, PreformattedString):
        return ""
    if isinstance(node, NavigableString):
        return str(node)
    if not isinstance(node, Tag) or node.name in ("sup", "script", "style", "template"):
        return ""
    style = str(node.get("style") or "").replace(" ", "").lower()
    if "display:none" in style or "statistics-info" in classes(node):
        return ""
    return "".join(_shown(child) for child in node.children)


def _is_label(node: Tag) -> bool:
    return node.name == "span" and "dark_text" in classes(node)


def classes(node: Tag) -> list[str]:
    """The classes of an element."""
    value = node.get("class")
    return value.split() if isinstance(value, str) else list(value or ())


def attribute(node: Tag, name: str) -> str:
    """An attribute's text, '' where there is none."""
    value = node.get(name)
    return value if isinstance(value, str) else " ".join(value or ())


def linked_id(href: str) -> tuple[str, int] | None:
    """('anime', 5114) from a link, absolute or relative, with or without a slug; None from any other link."""
    try:
        path = urlsplit(href.strip()).path
    except ValueError:
        return None
    found = _ID_PATH.match(path)
    if found is None or int(found[2]) == 0:
        return None
    return found[1], int(found[2])


def refuse_undecodable(piece: str, expected: str) -> None:
    """Raise `UnexpectedPage` where the piece holds a character that could not be decoded."""
    if "\ufffd" in piece:
        raise UnexpectedPage(expected, "bytes that are not text in the charset of the page")


def self_description(text: str) -> PageError | None:
    """The error for a page whose own title or first headings name another kind of page."""
    return _from_words(text, "a page of the site")


def explain(text: str, expected: str) -> PageError:
    """The error that names what `text` is, for a text in which the expected content is missing."""
    document, whole = first_document(text)
    if not document.strip():
        return TruncatedPage(expected, "the answer is empty")
    lower = document.lower()
    said = _from_words(document, expected)
    if said is not None:
        return said
    if any(words in lower for words in selectors.SAID_PRIVATE):
        return PrivateList(expected)
    if any(words in lower for words in selectors.SAID_NO_USER):
        return UnknownUser(expected)
    if not whole and "<" in document:
        return TruncatedPage(expected, "no closing </html>")
    if any(kind == "manga" for kind, _ in page_kinds(document)):
        return MangaPage(expected)
    if any(mark in lower for mark in selectors.MADE_OF_CAPTCHA):
        return Captcha(expected)
    if any(words in lower for words in selectors.SAID_NO_ID):
        return NotFound(expected)
    if "maintenance" in lower and len(document) < _SHORT:
        return Maintenance(expected)
    if any(mark in lower for mark in selectors.MADE_OF_LOGIN):
        return LoginWall(expected)
    return UnexpectedPage(expected, f"it begins with {clean(document[:200])[:60]!r}")


def _from_words(text: str, expected: str) -> PageError | None:
    spoken = [clean(re.sub(r"<[^>]*>", " ", found[2])).lower() for found in _SPOKEN.finditer(text)][:4]
    for words in spoken:
        words = words.removesuffix("- myanimelist.net").strip(" |-")
        if _begins(words, selectors.SAID_NOT_FOUND):
            return NotFound(expected)
        if _begins(words, selectors.SAID_CAPTCHA):
            return Captcha(expected)
        if _begins(words, selectors.SAID_BLOCK) or words.startswith("error: the request could not be satisfied"):
            return BlockPage(expected, words[:60])
        if _begins(words, selectors.SAID_MAINTENANCE) or "maintenance" in words:
            return Maintenance(expected)
        if words in selectors.SAID_LOGIN:
            return LoginWall(expected)
    return None


def _begins(words: str, markers: tuple[str, ...]) -> bool:
    return any(
        words == marker or words.startswith((marker + " ", marker + "!", marker + ".", marker + "?"))
        for marker in markers
    )


def page_kinds(text: str) -> list[tuple[str, int]]:
    """What the head says the page is about: the ids of `og:url` and the canonical link, e.g. [('anime', 1)]."""
    end = re.search(r"<body\b", text, re.I)
    head = soup_of(text[: end.start()] if end else text[:60000], SoupStrainer(["meta", "link"]))
    found = [attribute(tag, "content") for tag in head.select('meta[property="og:url"]')]
    found += [attribute(tag, "href") for tag in head.select('link[rel~="canonical"]')]
    return [pair for pair in map(linked_id, found) if pair is not None]
