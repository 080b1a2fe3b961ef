"""A user's own XML export, of both generations, and what other sites write in its form."""

from __future__ import annotations

import re
import zlib

from lxml import etree  # type: ignore[import-untyped]

from malsugoi_assets.mal.errors import MangaPage, NotFound, TruncatedPage, UnexpectedPage, UnknownUser
from malsugoi_assets.mal.list_json import moment_of, score_of, state_of, whole_number
from malsugoi_assets.mal.records import ListEntry, ListExport
from malsugoi_assets.mal.soup import clean, decode, explain

EXPECTED = "an anime list exported as XML"
MAX_BYTES = 256 * 2**20
MAX_ENTRIES = 200_000  # the site has some 30,000 anime

_LITERAL = re.compile(r"(<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z))", re.S)
_BARE = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9A-Fa-f]{1,6});)")
_REFERENCE = re.compile(r"&#(?:(\d{1,7})|x([0-9A-Fa-f]{1,6}));")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse_list_export(page: str | bytes, *, most_bytes: int = MAX_BYTES) -> ListExport:
    """The entries of an export, gzipped or not, of at most `most_bytes` unpacked; of an anime that stands twice, the
    last one.

    A bare `&` is escaped and a character that XML forbids is dropped; `repaired` counts both. Entities are never expanded
    and a document type is refused. An export without entries is an export; another XML file is not.

    Raises:
        MangaPage: the export of a manga list.
        TruncatedPage: the file ends in the middle.
        PageError: anything else, naming line and column where the XML is broken.
    """
    raw = decode(_unpacked(page, most_bytes), most_bytes).lstrip()
    if not raw:
        raise TruncatedPage(EXPECTED, "the file is empty")
    text, repaired = _well_formed(raw)
    if re.match(r"<(?:!doctype\s+html|html)\b", text, re.I):
        error = explain(text, EXPECTED)
        raise UnknownUser(EXPECTED) if isinstance(error, NotFound) else error
    root = _root(text)
    if root.tag != "myanimelist":
        raise UnexpectedPage(EXPECTED, f"an XML file of another kind, <{str(root.tag)[:40]}>")
    kind = (root.findtext("myinfo/user_export_type") or "").strip()
    if root.find("manga") is not None or kind == "2" or root.find("myinfo/user_total_manga") is not None:
        raise MangaPage(EXPECTED, "the export of a manga list")
    if len(root) > MAX_ENTRIES:
        raise UnexpectedPage(EXPECTED, f"more than {MAX_ENTRIES:,} entries")
    entries = [_entry(element, number) for number, element in enumerate(root.iterfind("anime"), 1)]
    name = clean(root.findtext("myinfo/user_name") or "")
    return ListExport(name or None, tuple({entry.anime_id: entry for entry in entries}.values()), repaired)


def without_forbidden(text: str) -> str:
    """The text without the characters that no XML file may hold."""
    return _FORBIDDEN.sub("", text)


def _unpacked(page: str | bytes, most: int) -> str | bytes:
    if isinstance(page, str):
        return page
    unpacked = b""
    packed = page
    while packed.startswith(b"\x1f\x8b") and len(unpacked) <= most:  # a gzip file may have several members
        unpacker = zlib.decompressobj(wbits=31)
        try:
            unpacked += unpacker.decompress(packed, most + 1 - len(unpacked))
        except zlib.error as error:
            raise UnexpectedPage(EXPECTED, "the gzip file is damaged") from error
        if not unpacker.eof and len(unpacked) <= most:
            raise TruncatedPage(EXPECTED, "the gzip file ends in the middle")
        packed = unpacker.unused_data
    if packed is not page:
        page = unpacked
    if len(page) > most:
        raise UnexpectedPage(EXPECTED, f"more than {most // 2**20} MiB")
    return page


def _well_formed(text: str) -> tuple[str, int]:
    """The text with bare ampersands escaped and forbidden characters dropped, and how many of both there were."""
    text, repaired = _FORBIDDEN.subn("", text)
    parts = _LITERAL.split(text)
    for k in range(0, len(parts), 2):
        parts[k], escaped = _BARE.subn("&amp;", parts[k])
        references = [m for m in _REFERENCE.finditer(parts[k]) if not _allowed(m)]
        parts[k] = _REFERENCE.sub(lambda m: m[0] if _allowed(m) else "", parts[k])
        repaired += escaped + len(references)
    return "".join(parts), repaired


def _allowed(reference: re.Match[str]) -> bool:
    code = int(reference[1]) if reference[1] else int(reference[2], 16)
    return code <= 0x10FFFF and not _FORBIDDEN.match(chr(code))


def _root(text: str) -> etree._Element:
    if re.search(r"<!(?:DOCTYPE|ENTITY)\b", "".join(_LITERAL.split(text)[::2]), re.I):
        raise UnexpectedPage(EXPECTED, "a document type, which an export does not have")
    # The text is decoded already, so its declaration no longer says how; its line is kept for the line numbers.
    body = re.sub(r"^<\?xml\b[^>]*\?>", "", text)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    try:
        return etree.fromstring(body.encode("utf-8"), parser)
    except etree.XMLSyntaxError as error:
        line, column = error.position
        where = f"line {line}, column {column}: {clean(error.msg or '')[:80]}"
        if text.startswith("<") and "</myanimelist>" not in text and "<myanimelist" in text[:2000]:
            raise TruncatedPage(EXPECTED, where) from error
        raise UnexpectedPage(EXPECTED, f"broken XML at {where}") from error


def _entry(element: etree._Element, number: int) -> ListEntry:
    # The first of each name, as the site writes each once.
    fields = {child.tag: child.text for child in reversed(element)}

    def text(name: str) -> str | None:
        value = fields.get(name)
        return (value and clean(value)) or None

    anime_id = whole_number(text("series_animedb_id"))
    title = text("series_title")
    where = f"entry {number}" + (f" ({title})" if title else "") + f", line {element.sourceline}"
    if not anime_id:
        raise UnexpectedPage(EXPECTED, f"{where} has no series_animedb_id")
    if title and "\ufffd" in title:
        raise UnexpectedPage(EXPECTED, f"{where}: bytes that are not text in the title")
    return ListEntry(
        anime_id=anime_id,
        title=title,
        score=score_of(text("my_score"), where, EXPECTED),
        status=state_of(text("my_status")),
        episodes_watched=whole_number(text("my_watched_episodes")),
        updated_at=moment_of(text("my_last_updated")),
    )
