"""Inputs that broke other readers of the site: one test for each kind, for the parsers' part of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from malsugoi_assets.mal import (
    BlockPage,
    Captcha,
    ListEntry,
    LoginWall,
    Maintenance,
    MangaPage,
    NotFound,
    PageError,
    PhoneLayout,
    PrivateList,
    Relation,
    TruncatedPage,
    UnexpectedPage,
    UnknownUser,
    parse_anime_page,
    parse_list_export,
    parse_list_json,
    parse_list_page,
    parse_top_page,
    parse_users_page,
)
from malsugoi_tests.mal.test_anime_page import RELATED, VALUES, WANTED, block, html
from malsugoi_tests.mal.test_list_export import anime, export
from malsugoi_tests.mal.test_list_page import classic, modern
from malsugoi_tests.mal.test_other_pages import document, top, top_row, user, users

Parser = Callable[[str | bytes], Any]
PAGES: list[Parser] = [parse_anime_page, parse_top_page, parse_users_page, parse_list_page, parse_list_json]

# What stands in front of the site or in its place.

GUARDS: list[tuple[str, type[PageError]]] = [
    (document("Access denied | myanimelist.net used Cloudflare to restrict access", "<h1>Error 1020</h1>"), BlockPage),
    (document("myanimelist.net", "<h1>Sorry, you have been blocked</h1>"), BlockPage),
    (document("Sucuri WebSite Firewall - Access Denied"), BlockPage),
    ('<html style="height:100%"><head><meta name="robots" content="noindex"></head><body>'
     '<iframe src="/_Incapsula_Resource?x=1">Request unsuccessful. Incapsula incident ID: 1-2</iframe></body></html>', BlockPage),
    ('<html><head></head><body><iframe src="/_Incapsula_Resource?x=1"></iframe></body>', BlockPage),
    ("<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\nReference&#32;&#35;18.1\n</BODY>\n</HTML>\n", BlockPage),
    (document("myanimelist.net", "<script>window.awsWafCookieDomainList = [];window.gokuProps = {};</script>"
              "<noscript><h1>JavaScript is disabled</h1></noscript>"), Captcha),
    (document("myanimelist.net", '<script src="https://ct.captcha-delivery.com/c.js"></script>'), Captcha),
    (document("Access to this page has been denied", '<div id="px-captcha"></div>'), Captcha),
    (document("Pardon Our Interruption"), Captcha),
    (document("DDOS-GUARD"), Captcha),
    (document("Please Wait... | Cloudflare"), Captcha),
    (document("myanimelist.net | 522: Connection timed out"), Maintenance),
    (document("myanimelist.net | 502: Bad gateway"), Maintenance),
    ("<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body></body>\r\n</html>", Maintenance),
    (document("MyAnimeList.net - Maintenance"), Maintenance),
    (document("MyAnimeList.net - Login"), LoginWall),
    (document("Page Not Found"), NotFound),
    (document("Cowboy Bebop · AniList", '<div class="data-set"><div class="type">Format</div></div>'), UnexpectedPage),
    (document("Cowboy Bebop | Anime-Planet", '<h1 itemprop="name">Cowboy Bebop</h1><section class="pure-g entryBar">'
              '<div class="pure-1 md-1-5">TV (26 eps)</div></section>'), UnexpectedPage),
    (document("kim's Profile - MyAnimeList.net", '<meta property="og:url" content="https://myanimelist.net/profile/kim">'
              "<p>My list is private, and access to this list is mine.</p>").replace("<body>", "").replace("</head>", "", 1),
     UnexpectedPage),
]  # fmt: skip


@pytest.mark.parametrize("parse", PAGES, ids=lambda p: p.__name__)
@pytest.mark.parametrize(("page", "error"), GUARDS, ids=lambda v: v.__name__ if isinstance(v, type) else "")
def test_guards_and_other_sites_are_named_by_every_parser(parse: Parser, page: str, error: type[PageError]) -> None:
    with pytest.raises(error) as raised:
        parse(page.encode())
    assert type(raised.value) in (error, UnknownUser if error is NotFound else error)


def test_a_bot_wall_in_place_of_users_is_never_no_users() -> None:
    with pytest.raises(Captcha):
        parse_users_page(document("MyAnimeList.net", '<div class="g-recaptcha" data-sitekey="x"></div>'))
    with pytest.raises(UnexpectedPage):
        parse_users_page(document("Users - MyAnimeList.net", "<table></table>"))


def test_an_unknown_user_a_private_list_and_an_empty_one_are_three_things() -> None:
    with pytest.raises(UnknownUser):
        parse_list_page(document("MyAnimeList.net", '<div class="badresult">Invalid Username Supplied</div>'))
    with pytest.raises(UnknownUser):
        parse_list_json(document("404 Not Found - MyAnimeList.net"))
    for words in ("Access to this list has been restricted by the owner.", "This list is private."):
        with pytest.raises(PrivateList):
            parse_list_page(document("MyAnimeList.net", f'<div class="badresult-text">{words}</div>'))
    with pytest.raises(PrivateList):
        parse_list_json('{"errors":[{"message":"invalid request"}]}')
    assert parse_list_page(modern([])).complete
    assert parse_list_json("[]") == []


def test_a_bare_403_says_nothing_about_the_user() -> None:
    for answer in (document("403 Forbidden"), document("405 Not Allowed", "<center>nginx</center>")):
        with pytest.raises(BlockPage):
            parse_list_page(answer)
        with pytest.raises(BlockPage):
            parse_list_json(answer)


def test_slugs_with_raw_letters_of_any_script_are_links() -> None:
    assert parse_top_page(top(top_row(32281).replace("/x", "/Κimi★no_Na_wa%E2%98%86")))[0].anime_id == 32281
    related = RELATED.replace("/anime/78/Oka_2", "/anime/78/Δ★ (2)")
    assert parse_anime_page(html(related=related)).relations == WANTED.relations
    assert parse_list_page(classic().replace("/anime/8/x", "/anime/8/Δ★")).entries[1].anime_id == 8


def test_a_guessed_charset_never_garbles_a_japanese_title() -> None:
    page = html().encode()
    for wrong in (b"<head>", b'<head><meta charset="x-mac-japanese">', b'<head><meta charset="iso-8859-1">'):
        assert parse_anime_page(page.replace(b"<head>", wrong, 1)).title_japanese == "丘の町"


def test_latin_letters_are_read_by_the_charset_that_the_head_declares_and_refused_without() -> None:
    page = html(Japanese=None, English="Café Olé", Synonyms=None)
    declared = page.replace(
        "<head>", '<head><meta http-equiv="Content-Type" content="text/html; charset=windows-1252">'
    )
    assert parse_anime_page(declared.encode("cp1252")).title_english == "Café Olé"
    with pytest.raises(UnexpectedPage, match="not text"):
        parse_anime_page(page.encode("cp1252"))


def test_synonyms_joined_again_are_the_text_of_the_page() -> None:
    text = "Listen to Me, Girls, I'm Your Father!, Listen to Me, Girls. I Am Your Father!"
    assert ", ".join(parse_anime_page(html(Synonyms=text)).synonyms) == text


@pytest.mark.parametrize(
    ("status", "aired", "wanted"),
    [
        ("Finished Airing", "Sep 1, 2001", (date(2001, 9, 1), date(2001, 9, 1))),
        ("Finished Airing", "Oct 2014 to ?", (None, None)),
        ("Finished Airing", "Not available", (None, None)),
        ("Not yet aired", "Jan 7, 2026", (date(2026, 1, 7), None)),
        ("Currently Airing", "Oct 20, 1999 to ?", (date(1999, 10, 20), None)),
    ],
)
def test_the_status_comes_from_its_own_label_whatever_the_dates_are(status: str, aired: str, wanted: Any) -> None:
    page = parse_anime_page(html(Status=status, Aired=aired))
    assert (page.status, (page.aired_from, page.aired_to)) == (status, wanted)


def test_an_adult_title_without_rank_and_a_music_video_without_season_are_read() -> None:
    page = parse_anime_page(
        html(Ranked="N/A<sup>2</sup>", Type="Music", Premiered=None, Broadcast=None, Studios="Unknown")
    )
    assert (page.ranked, page.type, page.season, page.studios, page.score) == (None, "Music", None, (), 7.17)


def test_all_of_a_list_stays_whatever_its_odd_row_says() -> None:
    rows = [
        {"anime_id": 1, "anime_title": "A", "status": 2, "is_rewatching": 1, "num_watched_episodes": 3, "anime_num_episodes": 13},
        {"anime_id": 2, "anime_title": "B", "status": 1, "num_watched_episodes": 38, "anime_num_episodes": 24},
        {"anime_id": 3, "anime_title": "C", "status": 5, "score": 0, "updated_at": "Today, 4:12 AM"},
    ]  # fmt: skip
    assert parse_list_json(json.dumps(rows)) == [
        ListEntry(1, "A", None, "completed", 3), ListEntry(2, "B", None, "watching", 38), ListEntry(3, "C"),
    ]  # fmt: skip


def test_an_export_survives_bare_ampersands_and_one_control_byte_in_a_long_line() -> None:
    text = export(
        anime(5, "Salt & Pepper"), *(anime(k, "Oka") for k in range(6, 300)), anime(400, "O\x0bka")
    ).replace("\n", "")
    found = parse_list_export(text)
    assert (len(found.entries), found.repaired) == (296, 2)
    assert (found.entries[0].title, found.entries[-1].title) == ("Salt & Pepper", "Oka")


def test_an_empty_export_is_one_and_a_foreign_file_is_not() -> None:
    assert parse_list_export(export()).entries == ()
    for foreign in (
        "<plist><dict/></plist>",
        "<?xml version='1.0'?><opml version='2.0'/>",
        '{"data": []}',
        "PK\x03\x04",
    ):
        with pytest.raises(UnexpectedPage):
            parse_list_export(foreign)
    with pytest.raises(MangaPage):
        parse_list_export(export(info="<myinfo><user_total_manga>0</user_total_manga></myinfo>"))


def test_an_export_in_two_gzip_members_is_one_file_and_an_export_without_end_is_refused(monkeypatch: Any) -> None:
    import gzip

    text = export(anime(4), anime(5)).encode()
    assert len(parse_list_export(gzip.compress(text[:150]) + gzip.compress(text[150:])).entries) == 2
    monkeypatch.setattr("malsugoi_assets.mal.list_export.MAX_ENTRIES", 10)
    with pytest.raises(UnexpectedPage, match="more than 10 entries"):
        parse_list_export(export(*(anime(k) for k in range(1, 12))))


@pytest.mark.parametrize(
    "text",
    ["<myanimelist>" + "<a>" * 100_000, export("<a>" * 100_000 + "</a>" * 100_000), "<myanimelist>" + "<![CDATA[" * 50_000,
     '<!DOCTYPE a [<!ENTITY a "&b;&b;"><!ENTITY b "ha">]><myanimelist>&a;</myanimelist>', export("<anime/>" * 100_000)],
    ids=["deep", "deep and closed", "open text", "entities", "many"],
)  # fmt: skip
def test_hostile_exports_are_refused(text: str) -> None:
    with pytest.raises(PageError):
        parse_list_export(text)


@pytest.mark.parametrize(("score", "wanted"), [("7.0", 7), ("10.00", 10), ("0.0", None)])
def test_a_score_written_with_a_point_is_a_whole_number(score: str, wanted: int | None) -> None:
    assert parse_list_export(export(anime(score=score))).entries[0].score == wanted


# Pages of the site that look like the one that was asked for.


def test_the_other_pages_of_an_anime_are_not_its_page() -> None:
    """They carry all the labels but no related entries: read as details they would empty the relations."""
    with pytest.raises(UnexpectedPage, match="another page of the anime: stats"):
        parse_anime_page(html(url="https://myanimelist.net/anime/77/Oka/stats"))
    tab = '<li><a href="/anime/77/Oka/characters" class="horiznav_active">Characters &amp; Staff</a></li>'
    with pytest.raises(UnexpectedPage, match="another page of the anime"):
        parse_anime_page(html(related=tab))
    assert parse_anime_page(html(related=tab.replace("Characters &amp; Staff", "\n Details ") + RELATED)) == WANTED


def test_the_layout_for_phones_is_named_and_another_sites_page_is_not_called_so() -> None:
    page = html(["<dl><dt>Type</dt><dd>TV</dd></dl>"])
    with pytest.raises(PhoneLayout):
        parse_anime_page(page)
    with pytest.raises(UnexpectedPage):
        parse_anime_page(page.replace("MyAnimeList.net", "AniList").replace("myanimelist.net", "anilist.co"))


def test_the_members_of_a_club_are_not_a_page_of_users() -> None:
    page = users(user("kim_1"), user("Al-2"))
    club = '<meta property="og:url" content="https://myanimelist.net/clubs.php?action=view&amp;t=members&amp;id=1">'
    with pytest.raises(UnexpectedPage, match=r"clubs\.php"):
        parse_users_page(page.replace("</head>", club + "</head>"))
    assert parse_users_page(page.replace("</head>", club.replace("clubs", "users") + "</head>")) == ["kim_1", "Al-2"]


def test_a_body_that_broke_off_and_was_sent_again_is_refused() -> None:
    page = html()
    for at in (page.index("<p>Synopsis"), page.index("Drama"), page.index("<title>")):
        with pytest.raises(PageError):
            parse_anime_page(page[:at] + page)


# Detail pages of 2012 to 2015, and lists of before the score had its class.

OLD_RELATED = """<h2>Related Anime</h2>Adaptation: <a href="http://myanimelist.net/manga/500/Oka">Oka</a><br>Sequel:
<a href="/anime/78/Oka_2">Oka 2</a>, <a href="/anime/79/Oka_3">Oka 3</a> <br><br>"""


def old_page(related: str = OLD_RELATED) -> str:
    values = {**VALUES, "Type": "TV", "Genres": '<a href="http://myanimelist.net/anime.php?genre[]=8">Drama</a>, '
              '<a href="http://myanimelist.net/anime.php?genre[]=7">Mystery</a>',
              "Studios": '<a href="http://myanimelist.net/anime.php?p=14">Kumo</a>',
              "Premiered": None, "Source": None, "Theme": None, "Demographic": None,
              "Score": "7.17<sup><small>1</small></sup> <small>(scored by 12345 users)</small>",
              "Ranked": "#1<sup><small>2</small></sup>"}  # fmt: skip
    blocks = [block(name, value) for name, value in values.items() if value is not None]
    heading = '<h1><div style="float: right; font-size: 13px;">Ranked #1</div>Oka no Machi, Haru</h1>'
    return html(blocks, heading=heading, related=related).replace('<div class="h1 edit-info">', "<div>")


def test_a_page_of_before_2016_is_read() -> None:
    page = parse_anime_page(old_page())
    assert (page.title, page.score, page.scored_by, page.ranked) == ("Oka no Machi, Haru", 7.17, 12345, 1)
    assert (page.genres, page.studios, page.season, page.source) == (("Drama", "Mystery"), ("Kumo",), None, None)
    assert page.relations == (
        Relation("Adaptation", "manga", 500), Relation("Sequel", "anime", 78), Relation("Sequel", "anime", 79),
    )  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [("Sequel:", "Sequel"), ("Sequel:\n", ""), ("<br>Sequel", "Sequel"),
                                          ('<a href="/anime/79/Oka_3">', ""), ("Sequel:", "<ul><li>Sequel:")])  # fmt: skip
def test_related_lines_that_cannot_be_read_are_an_error(old: str, new: str) -> None:
    assert old in OLD_RELATED
    with pytest.raises(PageError, match="related"):
        parse_anime_page(old_page(OLD_RELATED.replace(old, new)))


HEADER = """<table><tr><td class="table_header">#</td><td class="table_header">Anime Title</td><td class="table_header">
<a rel="#infoscore">Score</a><div style="display: none;">10 - Masterpiece</div></td><td class="table_header">Progress</td></tr></table>"""


def test_a_classic_list_of_before_the_scores_class_is_read_by_its_columns() -> None:
    page = classic().replace('<span class="score-label score-7">', "").replace("9</span></td>", "9</td>")
    page = page.replace("-</span></td>\n<td", "-</td>\n<td").replace('<span id="output8">13</span>/13', "13")
    with_header = page.replace('<table class="header_cw">', HEADER + '<table class="header_cw">')
    assert [(e.score, e.episodes_watched) for e in parse_list_page(with_header).entries] == [(None, 0), (9, 13)]
    with pytest.raises(UnexpectedPage, match="lacks its score"):
        parse_list_page(page)


def test_a_classic_list_filtered_by_a_tag_is_not_complete() -> None:
    assert parse_list_page(classic()).complete
    assert not parse_list_page(classic().replace("status=7&amp;tag=", "status=7&amp;tag=space")).complete


def test_an_answer_that_is_cut_off_before_its_end_is_named() -> None:
    for parse in PAGES:
        with pytest.raises(TruncatedPage):
            parse("<html><head><title>Cowboy Bebop - MyAnimeList.net</title></head><body><div>")
