"""XML exports: both generations, other sites' look-alikes, broken and hostile files."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.mal import ListEntry, MangaPage, PageError, TruncatedPage, UnexpectedPage
from malsugoi_assets.mal import parse_list_export as parse
from malsugoi_tests.support.shared import shared_path


def anime(
    number: int = 5, title: str = "<![CDATA[Oka]]>", score: str = "7", status: str = "Completed", more: str = ""
) -> str:
    return f"""<anime><series_animedb_id>{number}</series_animedb_id><series_title>{title}</series_title>
<my_watched_episodes>12</my_watched_episodes><my_start_date>0000-00-00</my_start_date><my_score>{score}</my_score>
<my_status>{status}</my_status>{more}</anime>"""


def export(
    *entries: str, info: str = "<myinfo><user_name>kim</user_name><user_export_type>1</user_export_type></myinfo>"
) -> str:
    return f'<?xml version="1.0" encoding="UTF-8" ?>\n<!-- Export & all -->\n<myanimelist>{info}{"".join(entries)}</myanimelist>\n'


def test_an_entry_and_the_owner_plain_gzipped_and_as_text() -> None:
    text = export(anime())
    found = parse(text)
    assert (found.username, found.entries, found.repaired) == ("kim", (ListEntry(5, "Oka", 7, "completed", 12),), 0)
    assert parse(text.encode()) == parse(gzip.compress(text.encode())) == found


def test_an_export_without_owner_and_one_without_entries() -> None:
    assert parse(export(anime(), info="")).username is None
    assert parse(export()).entries == ()


@pytest.mark.parametrize(
    ("status", "wanted"),
    [("On-Hold", "on_hold"), ("On Hold", "on_hold"), ("Plan to Watch", "plan_to_watch"), ("Plan to Read", "plan_to_watch"),
     ("6", "plan_to_watch"), ("Watching", "watching"), ("Dropped", "dropped"), ("Considering", None), ("", None)],
)  # fmt: skip
def test_status_words(status: str, wanted: str | None) -> None:
    entry = parse(export(anime(status=status, score="0"))).entries[0]
    assert (entry.status, entry.score) == (wanted, None)


def test_rewatching_is_one_completed_row() -> None:
    more = "<my_times_watched>2</my_times_watched><my_rewatching>1</my_rewatching>"
    assert [e.status for e in parse(export(anime(more=more))).entries] == ["completed"]


def test_the_older_generations_moment() -> None:
    entry = parse(export(anime(more="<my_last_updated>1614167527</my_last_updated>"))).entries[0]
    assert entry.updated_at == datetime(2021, 2, 24, 11, 52, 7, tzinfo=UTC)


def test_a_bare_ampersand_is_escaped_and_counted_and_entities_stay() -> None:
    found = parse(export(anime(title="Salt & Pepper &amp; <![CDATA[Oil & co]]> &#233;")))
    assert (found.entries[0].title, found.repaired) == ("Salt & Pepper & Oil & co é", 1)


def test_forbidden_characters_are_dropped_and_counted() -> None:
    found = parse(export(anime(title="<![CDATA[O\x0bka]]>"), anime(6, title="A&#8;b\ufffe")))
    assert ([e.title for e in found.entries], found.repaired) == (["Oka", "Ab"], 3)


@pytest.mark.parametrize("score", ["11", "-3", "7.5", "great"])
def test_a_score_out_of_range_names_entry_and_line(score: str) -> None:
    with pytest.raises(UnexpectedPage, match=r"entry 2 \(Oka\), line \d"):
        parse(export(anime(4), anime(5, score=score)))


def test_an_entry_without_id_is_an_error() -> None:
    with pytest.raises(UnexpectedPage, match="series_animedb_id"):
        parse(export(anime().replace("<series_animedb_id>5</series_animedb_id>", "")))


def test_the_last_of_two_entries_wins() -> None:
    assert [e.score for e in parse(export(anime(score="3"), anime(score="9"))).entries] == [9]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", TruncatedPage),
        ("<rss version='2.0'><channel/></rss>", UnexpectedPage),
        ("not xml at all", UnexpectedPage),
        (export("<manga><manga_mangadb_id>1</manga_mangadb_id></manga>"), MangaPage),
        (export(info="<myinfo><user_export_type>2</user_export_type></myinfo>"), MangaPage),
        (export("<anime><series_title>x</anime>"), UnexpectedPage),
        (export(anime())[:-20], TruncatedPage),
    ],
)
def test_what_is_no_export_is_named(text: str, error: type[PageError]) -> None:
    with pytest.raises(error) as raised:
        parse(text)
    assert type(raised.value) is error


def test_broken_xml_names_line_and_column() -> None:
    with pytest.raises(UnexpectedPage, match="line 3, column"):
        parse(export("<anime><b></anime>"))


def test_document_types_and_their_entities_are_refused() -> None:
    laughs = '<!DOCTYPE myanimelist [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><myanimelist><anime>&b;</anime></myanimelist>'
    with pytest.raises(UnexpectedPage, match="document type"):
        parse(laughs)
    with pytest.raises(UnexpectedPage, match="document type"):
        parse('<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><myanimelist/>')


def test_an_unknown_entity_is_text_and_nothing_is_looked_up() -> None:
    assert parse(export(anime(title="&nbsp;Oka"))).entries[0].title == "&nbsp;Oka"


def test_a_gzip_file_that_is_cut_or_damaged() -> None:
    packed = gzip.compress(export(anime()).encode())
    with pytest.raises(TruncatedPage):
        parse(packed[:-12])
    with pytest.raises(PageError):
        parse(packed[:12] + b"\x00\xff\x13" + packed[15:])


def test_a_gzip_file_that_unpacks_without_end_is_refused() -> None:
    with pytest.raises(UnexpectedPage, match="more than 2 MiB"):
        parse(gzip.compress(b" " * 3_000_000), most_bytes=2 * 2**20)


TEXT = export(*(anime(k) for k in range(1, 6)))


@given(st.integers(0, len(TEXT.rstrip()) - 1))
@settings(max_examples=100, deadline=None)
def test_an_export_cut_anywhere_is_an_error(at: int) -> None:
    with pytest.raises(PageError):
        parse(TEXT[:at])


@given(st.integers(0, len(TEXT)), st.integers(0, 30), st.binary(max_size=10))
@settings(max_examples=150, deadline=None)
def test_mangled_exports_raise_nothing_but_page_errors(at: int, gap: int, junk: bytes) -> None:
    try:
        found = parse(TEXT.encode()[:at] + junk + TEXT.encode()[at + gap :])
        assert all(entry.anime_id > 0 for entry in found.entries)
    except PageError:
        pass


@pytest.mark.parametrize(
    ("name", "username", "entries", "first"),
    [
        ("fbe28b", "member_export", 577, ListEntry(35248, "18if", 8, "completed", 13)),
        ("kitsu", None, 800, ListEntry(41467, None, None, "watching", 3)),
        ("2c85b0", "member_export", 176, ListEntry(41457, "86", 8, "completed", 11)),
        ("b4b00f", "member_export", 51, ListEntry(11111, "Another", 4, "completed", 12)),
    ],
)
def test_real_exports(name: str, username: str | None, entries: int, first: ListEntry) -> None:
    packed = next(shared_path("exports").glob(f"*{name}*")).read_bytes()
    found = parse(packed)
    assert (found.username, len(found.entries), found.entries[0], found.repaired) == (username, entries, first, 0)
    assert parse(gzip.decompress(packed).decode()) == found


def test_the_real_manga_export_is_named() -> None:
    with pytest.raises(MangaPage):
        parse(next(shared_path("exports").glob("*9b57b7*")).read_bytes())
