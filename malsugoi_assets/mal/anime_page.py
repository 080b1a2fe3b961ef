"""An anime's detail page, as the site has shown it since 2012.

Only two pieces of the page are parsed: from the heading to the last label, and the related entries; the rest (reviews,
characters, advertisements) is most of the page and holds nothing of the record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import cast

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString

from malsugoi_assets.mal import selectors
from malsugoi_assets.mal.durations import minutes_of
from malsugoi_assets.mal.errors import MangaPage, PhoneLayout, TruncatedPage, UnexpectedPage
from malsugoi_assets.mal.records import AnimePage, Relation
from malsugoi_assets.mal.soup import (
    attribute,
    clean,
    decode,
    explain,
    first_document,
    link_path,
    linked_id,
    page_kinds,
    page_links,
    refuse_undecodable,
    self_description,
    shown_after,
    shown_text,
    siblings_after,
    soup_of,
)

EXPECTED = "an anime's page"

_SITES_NAME = 20_000  # characters in which a page of the site names itself
_AFTER_LAST_LABEL = 6000  # characters in which its value ends
MAX_PIECE = 2_000_000  # characters of the parts that are parsed; some 20,000 on the longest known page
MAX_TAGS = 20_000  # in each of them; some 2,000 on the longest known page

# [^<>] rather than [^>]: a tag that is never closed must not be searched to the end of the page, again and again.
_LABEL = re.compile(r"<span\b[^<>]*\bdark_text\b", re.I)
_HEADING = re.compile(r"""<h1\b|<(?:div|span)\b[^<>]*class=["'][^"'<>]*\bh1\b""", re.I)
_TAB = re.compile(rf"<a\b[^<>]*\b{selectors.ACTIVE_TAB}\b[^<>]*>([^<>]*)</a", re.I)
_PART_OF_ANIME = re.compile(r"/?anime/\d+/[^/]*/([^/]+)")
_RELATED = re.compile(r"<(?:table|div)\b[^<>]*\b(?:anime_detail_related_anime|related-entries)\b", re.I)
_RELATED_HEADING = re.compile(r">\s*Related (?:Anime|Entries)\s*</h2>", re.I)
_CELL_END = re.compile(r"</td\s*>", re.I)
_FOOTNOTE, _FOOTNOTE_END = re.compile(r"<sup\b", re.I), re.compile(r"</sup\b", re.I)
_H2 = re.compile(r"<h2\b", re.I)
_ID_INPUT = re.compile(r"<input\b[^<>]*\bmyinfo_anime_id\b[^<>]*>", re.I)
_COUNT = re.compile(r"#?(\d{1,3}(?:,\d{3})+|\d{1,9})")
_SCORED_BY = re.compile(r"scored by ([\d,]+)", re.I)
_SEASON = re.compile(r"(?:Winter|Spring|Summer|Fall) \d{4}")
_DAY = re.compile(r"([A-Z][a-z]{2})[a-z]* (\d{1,2}), (\d{4})")
_PARTIAL_DAY = re.compile(r"(?:[A-Z][a-z]{2}[a-z]*,? )?\d{4}")
_LABEL_WORDS = re.compile(r"^\s*(?:" + "|".join(selectors.KNOWN_LABELS) + r"):")
_TITLE_WORDS = re.compile(r"^\s*(?:English|Japanese|Synonyms):")
_BRACKETS = re.compile(r"\([^()]*\)")  # the kind beside a related entry: (TV)
_LINE_LABEL = re.compile(r"[A-Z][A-Za-z -]{3,25}:")
_MONTHS = {
    name: k
    for k, name in enumerate(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1)
}


def parse_anime_page(page: str | bytes) -> AnimePage:
    """The record of a detail page.

    A single date of something finished is both its start and its end; an incomplete date ("Apr 2009") is None. Synonyms
    are split at ", ", since the page gives them as one text: a synonym with a comma of its own comes out in parts.
    An unreadable score or duration is None; any other label whose value cannot be read is an error.

    Raises:
        PageError: the subclass for what the page is instead; `UnexpectedPage` names the label that cannot be read.
    """
    text, whole = first_document(decode(page))
    labels_at = [found.start() for found in _LABEL.finditer(text)]
    kinds = _refuse_others(text, whole, len(labels_at))
    soup = _soup(_details(text, labels_at))
    labels = _labels_of(soup, whole)
    status = labels.text("Status")
    if status not in selectors.STATUSES:
        raise UnexpectedPage(EXPECTED, f"unknown status {status!r}")
    aired_from, aired_to = _aired(labels.text("Aired"), status)
    season = labels.word("Premiered")
    if season is not None and not _SEASON.fullmatch(season):
        raise UnexpectedPage(EXPECTED, f"cannot read the season {season!r}")
    score, scored_by = _score(labels)
    english = labels.word("English") or next((shown_text(tag) for tag in soup.select(selectors.TITLE_ENGLISH)), None)
    synonyms = labels.word("Synonyms")
    return AnimePage(
        anime_id=_anime_id(text, kinds),
        title=_title(soup),
        title_english=english or None,
        title_japanese=labels.word("Japanese"),
        synonyms=tuple(part for part in re.split(r",\s+", synonyms) if part) if synonyms else (),
        type=labels.word("Type"),
        episodes=labels.count("Episodes") or None,
        episode_minutes=minutes_of(labels.word("Duration") or ""),
        status=status,
        aired_from=aired_from,
        aired_to=aired_to,
        season=season,
        source=labels.word("Source"),
        age_rating=labels.word("Rating"),
        score=score,
        scored_by=scored_by,
        ranked=labels.count("Ranked") or None,
        popularity=labels.count("Popularity") or None,
        members=labels.count("Members"),
        favorites=labels.count("Favorites"),
        genres=labels.links(selectors.GENRE_LABELS, selectors.GENRE_LINK),
        themes=labels.links(selectors.THEME_LABELS, selectors.GENRE_LINK),
        demographics=labels.links(selectors.DEMOGRAPHIC_LABELS, selectors.GENRE_LINK),
        studios=labels.links(selectors.STUDIO_LABELS, selectors.STUDIO_LINK),
        relations=_relations(text),
    )


def _refuse_others(text: str, whole: bool, labels: int) -> list[tuple[str, int]]:
    """What the page's links lead to, as `linked_id` says it. Raises `PageError` where they, or the number of its labels,
    show that it is another page.
    """
    if not labels:
        if (
            whole
            and self_description(text) is None
            and any(kind == "anime" for kind, _ in page_kinds(text))
            and "myanimelist" in text[:_SITES_NAME].lower()
        ):
            raise PhoneLayout(EXPECTED)
        raise explain(text, EXPECTED)
    said = self_description(text) if labels < len(selectors.REQUIRED_LABELS) else None
    if said is not None:
        raise type(said)(EXPECTED, said.detail)
    links = page_links(text)
    kinds = [pair for pair in map(linked_id, links) if pair is not None]
    if any(kind == "manga" for kind, _ in kinds):
        raise MangaPage(EXPECTED)
    _refuse_other_tabs(text, links)
    return kinds


def _details(text: str, labels_at: Sequence[int]) -> str:
    """The piece from the heading to the end of the last label's value. Raises `UnexpectedPage`."""
    heading = _HEADING.search(text)
    start = min(heading.start() if heading else labels_at[0], labels_at[0])
    end = _CELL_END.search(text, labels_at[-1], labels_at[-1] + _AFTER_LAST_LABEL)
    piece = text[start : end.start() if end else labels_at[-1] + _AFTER_LAST_LABEL]
    if len(_FOOTNOTE.findall(piece)) != len(_FOOTNOTE_END.findall(piece)):
        raise UnexpectedPage(EXPECTED, "a footnote mark without its markup, which would pass for a digit")
    return piece


def _labels_of(soup: BeautifulSoup, whole: bool) -> _Labels:
    """The labels of the piece, all that each page has. Raises `PageError` where one is missing, or some are a manga's."""
    tags = soup.select(selectors.LABEL)
    labels = _Labels(tags)
    if any(name in labels for name in selectors.MANGA_LABELS) and "Episodes" not in labels:
        raise MangaPage(EXPECTED)
    if not whole:
        raise TruncatedPage(EXPECTED, "no closing </html>")
    _refuse_lost_labels(tags)
    missing = [name for name in selectors.REQUIRED_LABELS if name not in labels]
    if missing:
        raise UnexpectedPage(EXPECTED, f"the label {missing[0]} is missing")
    return labels


def _soup(piece: str) -> BeautifulSoup:
    refuse_undecodable(piece, EXPECTED)
    if len(piece) > MAX_PIECE or piece.count("<") > MAX_TAGS:
        raise UnexpectedPage(EXPECTED, "more markup than any page of the site has")
    return soup_of(piece)


def _refuse_other_tabs(text: str, links: Iterable[str]) -> None:
    """Raise for the other pages of an anime (characters, reviews, statistics): same labels, but no related entries."""
    tabs = [clean(found[1]) for found in _TAB.finditer(text)]
    parts = [found[1] for found in map(_PART_OF_ANIME.match, map(link_path, links)) if found]
    for part in [*(tab for tab in tabs if tab and tab != selectors.DETAILS_TAB), *parts]:
        raise UnexpectedPage(EXPECTED, f"another page of the anime: {part[:40]}")


class _Labels:
    """The labels of a page with what stands beside them."""

    def __init__(self, spans: Sequence[Tag]) -> None:
        self._spans: dict[str, Tag] = {}
        for span in spans:
            words = clean(span.get_text())
            name = words.removesuffix(":").strip()
            if name == words or ":" in name:
                raise UnexpectedPage(EXPECTED, f"a label that reads {words[:40]!r}")
            first = self._spans.setdefault(name, span)
            # The same language may name two titles; everything else stands once, and two values cannot both be right.
            if first is not span and name in selectors.REQUIRED_LABELS and shown_after(first) != shown_after(span):
                raise UnexpectedPage(EXPECTED, f"the label {name} stands twice, with two values")

    def __contains__(self, name: str) -> bool:
        return name in self._spans

    def span(self, name: str) -> Tag:
        return self._spans[name]

    def text(self, name: str) -> str:
        """The text beside a label that is there; an error where it is empty."""
        text = shown_after(self._spans[name])
        if not text:
            raise UnexpectedPage(EXPECTED, f"nothing stands beside the label {name}")
        return text

    def word(self, name: str) -> str | None:
        """The text beside a label; None without the label, or where the page says that it is unknown."""
        if name not in self._spans:
            return None
        text = self.text(name)
        return None if text in selectors.UNKNOWN_WORDS else text

    def count(self, name: str) -> int | None:
        """The number beside a label; None where the page says that it is unknown."""
        word = self.word(name)
        if word is None:
            return None
        found = _COUNT.fullmatch(word)
        if found is None:
            raise UnexpectedPage(EXPECTED, f"cannot read the number {word[:40]!r} beside the label {name}")
        return int(found[1].replace(",", ""))

    def links(self, names: Iterable[str], selector: str) -> tuple[str, ...]:
        """The texts of the links beside the first of the labels that is there; () where the page says that there are none."""
        found: list[str] = []
        for name in names:
            if name not in self._spans:
                continue
            links = self._links_after(self._spans[name], selector)
            texts = [clean(link.get_text()) for link in links]
            if any(not text or text.endswith(",") for text in texts) or any(link.find(True) for link in links):
                raise UnexpectedPage(EXPECTED, f"a link that cannot be read beside the label {name}")
            said = shown_after(self._spans[name])
            if (
                not texts
                and said not in selectors.UNKNOWN_WORDS
                and not any(w in said.lower() for w in selectors.NOTHING_YET)
            ):
                raise UnexpectedPage(EXPECTED, f"nothing that can be read stands beside the label {name}")
            if texts and _letters(said) != _letters("".join(texts)):
                raise UnexpectedPage(EXPECTED, f"text that is no link beside the label {name}")
            found += texts
        return _unique(found)

    @staticmethod
    def _links_after(label: Tag, selector: str) -> list[Tag]:
        found: list[Tag] = []
        for node in siblings_after(label):
            if isinstance(node, Tag):
                found += [node] if node.css.match(selector) else node.select(selector)
        return found


def _refuse_lost_labels(spans: Sequence[Tag]) -> None:
    """Raise where a label's words stand without their markup: its value would pass for one that the page does not give."""
    if not spans:
        return
    # Before the first label stands a form with words of its own (Status, Episodes), so there only titles are looked for.
    for text in [*spans[0].find_all_previous(string=_TITLE_WORDS), *spans[0].find_all_next(string=_LABEL_WORDS)]:
        parent = text.parent
        if (
            parent is not None
            and parent not in spans
            and parent.find("span", class_="dark_text", recursive=False) is None
        ):
            raise UnexpectedPage(EXPECTED, f"a label without its markup: {clean(text)[:40]!r}")


def _letters(text: str) -> str:
    return re.sub(r"[\s,]", "", text)


def _text_outside_links(cell: Tag) -> str:
    return "".join(str(text) for text in cell.find_all(string=True) if text.find_parent("a") is None)


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _anime_id(text: str, kinds: list[tuple[str, int]]) -> int:
    ids = {number for _, number in kinds}
    hidden = _ID_INPUT.search(text)
    if hidden is not None:
        value = next((attribute(tag, "value") for tag in soup_of(hidden[0]).select(selectors.ANIME_ID_INPUT)), "")
        if value.isascii() and value.isdigit() and int(value):
            ids.add(int(value))
    if len(ids) != 1:
        raise UnexpectedPage(EXPECTED, f"it names {len(ids)} ids" if ids else "it names no id")
    return ids.pop()


def _title(soup: Tag) -> str:
    for selector in selectors.TITLE:
        for tag in soup.select(selector):
            # The English title may stand inside the same element, after a line break.
            for other in tag.select(selectors.TITLE_BESIDE):
                other.extract()
            title = shown_text(tag)
            if title:
                return title
    raise UnexpectedPage(EXPECTED, "it has no title")


def _score(labels: _Labels) -> tuple[float | None, int | None]:
    """The score (1-10) and the number of votes: by markup, then by the score's own class, then by the text beside the label."""
    span = labels.span("Score")
    parent = cast(Tag, span.parent)
    said = shown_after(span)
    score = None
    for selector in (selectors.RATING_VALUE, selectors.SCORE_LABEL):
        tag = parent.select_one(selector)
        if tag is not None:
            score = _decimal(shown_text(tag))
            break
    else:
        score = _decimal(said.split(" ")[0] if said else "")
    counted = parent.select_one(selectors.RATING_COUNT)
    votes = clean(counted.get_text()) if counted is not None else ""
    if not votes:
        found = _SCORED_BY.search(said)
        votes = found[1] if found else ""
    number = _COUNT.fullmatch(votes)
    return score, (int(number[1].replace(",", "")) or None) if number else None


def _decimal(text: str) -> float | None:
    if not re.fullmatch(r"\d{1,2}(?:\.\d{1,2})?", text):
        return None
    value = float(text)
    return value if 1 <= value <= 10 else None


def _aired(text: str, status: str) -> tuple[date | None, date | None]:
    parts = [part.strip() for part in text.split(" to ")]
    if len(parts) > 2:
        raise UnexpectedPage(EXPECTED, f"cannot read the dates {text[:60]!r}")
    days = [_day(part) for part in parts]
    if len(days) == 2:
        return days[0], days[1]
    return days[0], days[0] if status == selectors.FINISHED else None


def _day(text: str) -> date | None:
    if text in selectors.UNKNOWN_WORDS or _PARTIAL_DAY.fullmatch(text):
        return None
    found = _DAY.fullmatch(text)
    if found is not None and found[1] in _MONTHS:
        try:
            return date(int(found[3]), _MONTHS[found[1]], int(found[2]))
        except ValueError:
            pass
    raise UnexpectedPage(EXPECTED, f"cannot read the date {text[:40]!r}")


def _relations(text: str) -> tuple[Relation, ...]:
    found = _relations_shown(text)
    heading = _RELATED_HEADING.search(text)
    if not found and heading is not None:
        said = clean(_soup(_up_to_heading(text, heading.end())).get_text())
        if not said:
            raise UnexpectedPage(EXPECTED, "a heading of related entries with nothing under it")
    return found


def _relations_shown(text: str) -> tuple[Relation, ...]:
    start = _RELATED.search(text)
    heading = _RELATED_HEADING.search(text) if start is None else None
    if heading is not None:
        return _related_lines(_up_to_heading(text, heading.end()))
    if start is None:
        return ()
    soup = _soup(_up_to_heading(text, start.start()))
    found: list[Relation] = []
    for tile in soup.select(selectors.RELATION_TILE):
        if tile.find(True) is None and not shown_text(tile):  # fills the last line of tiles
            continue
        if tile.select_one(selectors.RELATION_TILE) is not None:
            raise UnexpectedPage(EXPECTED, "a related entry inside another")
        name = tile.select_one(selectors.RELATION_TILE_NAME)
        if name is not None and name.find("a") is not None:
            raise UnexpectedPage(EXPECTED, "a related entry inside its relation")
        found += _related(shown_text(name) if name else "", tile.select(selectors.RELATION_TILE_LINK))
    for label in soup.select(selectors.RELATION_LABEL):
        cell = label.find_next_sibling("td")
        if cell is not None and cell.select_one(selectors.RELATION_LABEL) is not None:
            raise UnexpectedPage(EXPECTED, "a related entry inside another")
        if cell is not None and _letters(_BRACKETS.sub("", _text_outside_links(cell))):
            raise UnexpectedPage(EXPECTED, "a related entry without its link")
        found += _related(shown_text(label), cell.select("a[href]") if cell else [])
    linked = {linked_id(attribute(link, "href")) for link in soup.select(selectors.RELATION_LINK)} - {None}
    if linked - {(relation.related_kind, relation.related_id) for relation in found}:
        raise UnexpectedPage(EXPECTED, "a related entry without its relation")
    return tuple(dict.fromkeys(found))


def _up_to_heading(text: str, start: int) -> str:
    end = _H2.search(text, start)
    return text[start : end.start() if end else None]


def _related_lines(piece: str) -> tuple[Relation, ...]:
    """The relations of pages without a table of them: 'Sequel: ' and its links, up to a line break, and so on."""
    soup = _soup(piece)
    found: list[Relation] = []
    label, links, beside = "", list[Tag](), ""
    for node in [*(soup.body or soup).descendants, None]:
        if node is None or (isinstance(node, Tag) and node.name == "br"):
            if links or ":" in label:
                if _letters(beside) or not _LINE_LABEL.fullmatch(label):
                    raise UnexpectedPage(EXPECTED, "related entries without their table")
                found += _related(label, links)
            label, links, beside = "", [], ""
        elif isinstance(node, Tag) and node.name == "a" and linked_id(attribute(node, "href")) is not None:
            if node.parent is None or node.parent.name not in ("body", "p"):
                raise UnexpectedPage(EXPECTED, "related entries without their table")
            links.append(node)
        elif type(node) is NavigableString and node.find_parent("a") is None:
            label, beside = (label, beside + node) if links else (clean(label + node), beside)
    return tuple(dict.fromkeys(found))


def _related(label: str, links: Sequence[Tag]) -> list[Relation]:
    relation = re.sub(r"\s*\([^()]*\)$", "", label).rstrip(":").strip()
    if not relation or not links:
        raise UnexpectedPage(EXPECTED, "cannot read a related entry")
    # A related entry that the site has deleted keeps a link without an id, which relates to nothing.
    pairs = [pair for pair in (linked_id(attribute(link, "href")) for link in links) if pair is not None]
    return [Relation(relation, "anime" if kind == "anime" else "manga", number) for kind, number in pairs]
