"""From an answer to text and soup, and from a page that is something else to the error that names it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
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

MAX_PAGE = 64 * 2**20  # characters or bytes; the longest classic lists have some 30 MiB

MAX_TAGS = 2_000_000  # a classic list of 10,000 rows has some 400,000

_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9._-]{1,40})""", re.I
)
_SHORT = 20_000  # characters: a page of the site is longer, a notice in its place is shorter
_HEAD = 500_000  # characters in which the head of a page ends
_BODY = re.compile(r"<body\b", re.I)
_MARK = re.compile(
    r"<(?:(?P<script>script|style)\b|(?P<comment>!--)(?!-?>)|(?P<begin>html[\s>])|(?P<end>/html\s*>))", re.I
)
_CLOSING = {
    "script": re.compile(r"</script\b", re.I),
    "style": re.compile(r"</style\b", re.I),
    "!--": re.compile(r"--!?>"),
}
_XML_DECLARATION = re.compile(r"\s*<\?xml\b[^>]{0,200}\?>", re.I)
_SPOKEN = re.compile(r"<(title|h1)\b[^<>]*>", re.I)
_SPOKEN_LENGTH = 2000  # characters of a title or heading
_UNSEEN = re.compile(r"<(script|style)\b.*?(?:</\1|\Z)|<!--.*?(?:-->|\Z)|<[^<>]*>", re.I | re.S)
_ARCHIVED = re.compile(r"^(?:https?:)?(?://web\.archive\.org)?/web/\d{4,14}[a-z_]{0,4}/(?=https?:)", re.I)
_ID_PATH = re.compile(r"^/?(anime|manga)/(\d{1,9})(?:/|$)")


def decode(page: str | bytes, limit: int = MAX_PAGE) -> str:
    """The page as text, NUL and bytes that do not fit as U+FFFD.

    Bytes that are UTF-8 are read so whatever the head says (chance makes no other charset's text valid UTF-8); other bytes
    in the charset that the head declares.

    Raises:
        UnexpectedPage: more than `limit` characters or bytes.
    """
    if len(page) > limit:
        raise UnexpectedPage("a page of the site", f"more than {limit // 2**20} MiB")
    return _text(page).removeprefix("\ufeff").replace("\x00", "\ufffd")


def _text(page: str | bytes) -> str:
    if isinstance(page, str):
        return page
    if page.startswith((b"\xff\xfe", b"\xfe\xff")):
        return page.decode("utf-16", errors="replace")
    declared = _CHARSET.search(page[:4096])
    names = [declared[1].decode("ascii")] if declared is not None else []
    for name in names if page.isascii() else ["utf-8", *names]:
        try:
            return page.decode(name)
        except (LookupError, UnicodeError):
            pass
    return page.decode("utf-8", errors="replace")


def first_document(text: str) -> tuple[str, bool]:
    """The text up to its first `</html>` outside scripts and comments, and whether it is whole.

    It is not where there is no such end, or where a second document begins before it: one broke off and was sent again.
    """
    begun = 0
    mark = _MARK.search(text)
    while mark is not None:
        at = mark.end()
        if mark["end"]:
            return text[:at], begun < 2
        begun += mark["begin"] is not None
        opaque = mark["script"] or mark["comment"]
        if opaque:
            closing = _CLOSING[opaque.lower()].search(text, at)
            if closing is None:
                break
            at = closing.end()
        mark = _MARK.search(text, at)
    return text, False


def soup_of(html: str, only: SoupStrainer | None = None) -> BeautifulSoup:
    """The soup of a page or of a piece of one; `UnexpectedPage` where it has more markup than memory should hold."""
    if html.count("<") > MAX_TAGS:
        raise UnexpectedPage("a page of the site", "more markup than any page of the site has")
    declared = _XML_DECLARATION.match(html)  # a second declaration of the charset that has been read already
    return BeautifulSoup(html[declared.end() :] if declared else html, "lxml", parse_only=only)


def clean(text: str) -> str:
    """Stripped, with every run of white space as one blank."""
    return " ".join(text.split())


def shown_text(node: Tag) -> str:
    """The text that a reader sees in `node`: no footnote marks, hidden copies, explanations, scripts or comments."""
    return _shown(node.children)


def shown_after(label: Tag) -> str:
    """The text that a reader sees after `label` in the element around it, up to the next label."""
    return _shown(siblings_after(label))


def siblings_after(label: Tag) -> Iterator[PageElement]:
    """What follows `label` in the element around it, up to the next label or heading."""
    for node in label.next_siblings:
        if isinstance(node, Tag) and (
            node.name == "h2" or _is_label(node) or node.select_one(selectors.LABEL) is not None
        ):
            return
        yield node


def _shown(nodes: Iterable[PageElement]) -> str:
    texts: list[str] = []
    waiting = list(nodes)[::-1]  # no recursion: a hostile page nests deeper than Python's stack
    while waiting:
        node = waiting.pop()
        if isinstance(node, Tag):
            if not _hidden(node):
                waiting += reversed(node.contents)
        elif isinstance(node, NavigableString) and not isinstance(node, PreformattedString):
            texts.append(str(node))
    return clean("".join(texts))


def _hidden(node: Tag) -> bool:
    if node.name in ("sup", "script", "style", "template"):
        return True
    style = attribute(node, "style").replace(" ", "").lower()
    return "display:none" in style or "statistics-info" in classes(node)


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
    """('anime', 5114) from a link, absolute or relative, with or without a slug; None from any other link.

    A link that an archive has rewritten counts as the one it leads to.
    """
    found = _ID_PATH.match(link_path(href))
    if found is None or int(found[2]) == 0:
        return None
    return found[1], int(found[2])


def link_path(href: str) -> str:
    """The path of a link on the site, also of one that an archive has rewritten; '' where there is none."""
    try:
        return urlsplit(_ARCHIVED.sub("", href.strip())).path
    except ValueError:
        return ""


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
    notice = _notice_of_a_user(document, lower, expected)
    if notice is not None:
        return notice
    if not whole and "<" in document and not any(mark in lower for mark in selectors.MADE_OF_BLOCK):
        return TruncatedPage(expected, "no closing </html>")
    if any(kind == "manga" for kind, _ in page_kinds(document)):
        return MangaPage(expected)
    short = len(document) < _SHORT
    if short and any(mark in lower for mark in selectors.MADE_OF_BLOCK):
        return BlockPage(expected)
    if any(mark in lower for mark in selectors.MADE_OF_CAPTCHA) or (
        short and any(mark in lower for mark in selectors.MADE_OF_CHALLENGE)
    ):
        return Captcha(expected)
    if any(words in lower for words in selectors.SAID_NO_ID):
        return NotFound(expected)
    if short and any(words in lower for words in selectors.SAID_IN_MAINTENANCE):
        return Maintenance(expected)
    if any(mark in lower for mark in selectors.MADE_OF_LOGIN):
        return LoginWall(expected)
    return UnexpectedPage(expected, f"it begins with {clean(document[:200])[:60]!r}")


def _notice_of_a_user(document: str, lower: str, expected: str) -> PageError | None:
    """A private list or an unknown user, from words that a reader sees; a profile may use them of anything else."""
    words = (*selectors.SAID_PRIVATE, *selectors.SAID_NO_USER)
    if not any(word in lower for word in words) or any(path.startswith("/profile/") for path in page_paths(document)):
        return None
    seen = clean(_UNSEEN.sub(" ", document)).lower()
    if any(word in seen for word in selectors.SAID_PRIVATE):
        return PrivateList(expected)
    return UnknownUser(expected) if any(word in seen for word in selectors.SAID_NO_USER) else None


def _from_words(text: str, expected: str) -> PageError | None:
    for words in _spoken(text):
        words = words.removesuffix("- myanimelist.net").removeprefix("myanimelist.net").strip(" |-")
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


def _spoken(text: str) -> Iterator[str]:
    """The first titles and headings of a page, in lower case."""
    for opening in islice(_SPOKEN.finditer(text), 4):
        rest = text[opening.end() : opening.end() + _SPOKEN_LENGTH]
        closing = re.search(rf"</{opening[1]}\s*>", rest, re.I)
        if closing is not None:
            yield clean(re.sub(r"<[^<>]*>", " ", rest[: closing.start()])).lower()


def _begins(words: str, markers: tuple[str, ...]) -> bool:
    return any(
        words == marker or words.startswith((marker + " ", marker + "!", marker + ".", marker + "?", marker + ":"))
        for marker in markers
    )


def page_paths(text: str) -> list[str]:
    """Where the head says that the page stands: the paths of `og:url` and the canonical link."""
    return [path for path in map(link_path, page_links(text)) if path]


def page_kinds(text: str) -> list[tuple[str, int]]:
    """What the head says that the page is about: the ids of `og:url` and the canonical link, e.g. [('anime', 1)]."""
    return [pair for pair in map(linked_id, page_links(text)) if pair is not None]


def page_links(text: str) -> list[str]:
    """`og:url` and the canonical link, as they stand in the head."""
    end = _BODY.search(text, 0, _HEAD)
    head = soup_of(text[: end.start()] if end else text[:60000], SoupStrainer(["meta", "link"]))
    found = [attribute(tag, "content") for tag in head.select('meta[property="og:url"]')]
    return found + [attribute(tag, "href") for tag in head.select('link[rel~="canonical"]')]
