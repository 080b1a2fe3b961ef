"""Detail pages: each trap of the site as an invented snippet, mangled pages, and the real pages of 2016 to 2025."""

from __future__ import annotations

import contextlib
import gzip
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.mal import AnimePage, MangaPage, PageError, PhoneLayout, Relation, TruncatedPage, UnexpectedPage
from malsugoi_assets.mal import parse_anime_page as parse
from malsugoi_assets.mal.durations import minutes_of
from malsugoi_tests.support.shared import shared_path

VALUES = {
    "Synonyms": "Hill Town, Oka no Machi",
    "Japanese": "丘の町",
    "English": "The Town on the Hill",
    "Type": '<a href="/topanime.php?type=tv">TV</a>',
    "Episodes": "12",
    "Status": "Finished Airing",
    "Aired": "Oct 3, 2019 to Dec 19, 2019",
    "Premiered": '<a href="/anime/season/2019/fall">Fall 2019</a>',
    "Broadcast": "Thursdays at 01:30 (JST)",
    "Producers": 'None found, <a href="/dbchanges.php?aid=77&amp;t=producers">add some</a>',
    "Studios": '<a href="/anime/producer/14/Kumo" title="Kumo">Kumo</a>',
    "Source": "Original",
    "Genres": '<span itemprop="genre" style="display: none">Drama</span><a href="/anime/genre/8/Drama">Drama</a>, '
    '<span itemprop="genre" style="display: none">Mystery</span><a href="/anime/genre/7/Mystery">Mystery</a>',
    "Theme": '<a href="/anime/genre/23/School">School</a>',
    "Demographic": '<a href="/anime/genre/42/Seinen">Seinen</a>',
    "Duration": "24 min. per ep.",
    "Rating": "PG-13 - Teens 13 or older",
    "Score": '<span itemprop="ratingValue" class="score-label score-7">7.17</span><sup>1</sup> (scored by '
    '<span itemprop="ratingCount" style="display: none">12345</span>12,345 users)'
    '<div class="statistics-info"><small><sup>1</sup> indicates a weighted score.</small></div>',
    "Ranked": '#1<sup>2</sup><div class="statistics-info"><small><sup>2</sup> based on the top 50.</small></div>',
    "Popularity": "#321",
    "Members": "  45,678",
    "Favorites": "90",
}
RELATED = """<h2>Related Anime</h2><table class="anime_detail_related_anime"><tr><td class="ar fw-n">Adaptation:</td>
<td><a href="/manga/500/Oka">Oka</a></td><tr><td class="ar fw-n">Sequel:</td><td><a href="/anime/78/Oka_2">Oka 2</a>,
<a href="https://myanimelist.net/anime/79/Oka_3">Oka 3</a></td></table><br>"""
WANTED = AnimePage(
    77, "Oka no Machi, Haru", "The Town on the Hill", "丘の町", ("Hill Town", "Oka no Machi"), "TV", 12,
    "Finished Airing", date(2019, 10, 3), date(2019, 12, 19), "Fall 2019", "Original", "PG-13 - Teens 13 or older", 7.17,
    12345, 1, 321, 45678, 90, ("Drama", "Mystery"), ("School",), ("Seinen",), ("Kumo",),
    (Relation("Adaptation", "manga", 500), Relation("Sequel", "anime", 78), Relation("Sequel", "anime", 79)),
    24,
)  # fmt: skip


def block(name: str, value: str) -> str:
    return f'<div class="spaceit_pad">\n  <span class="dark_text">{name}:</span>\n  {value}\n  </div>\n'


def html(
    blocks: list[str] | None = None,
    /,
    *,
    heading: str = '<h1 class="title-name h1_bold_none"><strong>Oka no Machi, Haru</strong></h1>',
    related: str = RELATED,
    url: str = "https://myanimelist.net/anime/77/Oka",
    **values: str | None,
) -> str:
    given_values = {**VALUES, **{k.replace("__", " "): v for k, v in values.items()}}
    blocks = blocks or [block(k, v) for k, v in given_values.items() if v is not None]
    return f"""<!DOCTYPE html><html><head><title>Oka - MyAnimeList.net</title><meta property="og:url" content="{url}">
<script>var recaptcha = "x", login = "/login.php";</script></head><body class="page-common halloween">
<div class="h1 edit-info">{heading}</div><table><tr><td class="borderClass">
<input type="hidden" id="myinfo_anime_id" value="77">{"".join(blocks)}</td><td><p>Synopsis with Type: and 404.</p>
{related}<h2>Reviews</h2><p>A captcha &amp; a maintenance crew.</p></td></tr></table></body></html>
"""


def test_every_field_is_read() -> None:
    assert parse(html()) == WANTED


def test_text_and_bytes_give_equal_records_with_and_without_a_charset_in_the_head() -> None:
    text = html()
    assert parse(text.encode()) == WANTED
    assert parse(b"\xef\xbb\xbf" + text.encode()) == WANTED
    declared = text.replace("<head>", '<head><meta charset="shift_jis">')
    assert parse(declared.encode("shift_jis")) == WANTED == parse(declared)


def test_bytes_that_are_no_text_in_a_title_are_an_error_and_elsewhere_do_no_harm() -> None:
    assert parse(html().encode().replace(b"captcha &amp;", b"captcha \xff")) == WANTED
    with pytest.raises(UnexpectedPage, match="not text"):
        parse(html().encode().replace("丘".encode(), b"\xe4\xb8"))


def test_footnote_marks_hidden_copies_and_explanations_are_not_read() -> None:
    page = parse(html())
    assert (page.score, page.ranked, page.scored_by) == (7.17, 1, 12345)
    assert page.genres == ("Drama", "Mystery")


def test_labels_of_one_and_of_many_are_lists() -> None:
    many = '<a href="/anime/genre/23/School">School</a>, <a href="/anime/genre/29/Space">Space</a>'
    one = '<a href="/anime/genre/1/Action">Action</a>'
    page = parse(html(Theme=None, Themes=many, Genres=None, Genre=one, Demographic=None, Demographics=one))
    assert (page.genres, page.themes, page.demographics) == (("Action",), ("School", "Space"), ("Action",))


def test_undivided_genres_of_old_pages_stay_genres() -> None:
    old = '<a href="/anime/genre/1/A">Action</a>, <a href="/anime/genre/27/S">Shounen</a>'
    page = parse(html(Genres=old, Theme=None, Demographic=None))
    assert (page.genres, page.themes, page.demographics) == (("Action", "Shounen"), (), ())


def test_link_text_is_stripped_and_its_inner_space_collapsed() -> None:
    page = parse(html(Genres='<a href="/anime/genre/62/x">\n                Slice   of\n Life\n</a>'))
    assert page.genres == ("Slice of Life",)


def test_several_studios_come_from_links_only_and_none_found_is_empty() -> None:
    two = '<a href="/anime/producer/1/A">A</a>,       <a href="/anime/producer/2/B" title="B">B</a>'
    assert parse(html(Studios=two)).studios == ("A", "B")
    assert parse(html(Studios=VALUES["Producers"])).studios == ()
    assert parse(html(Genres="No genres have been added yet.")).genres == ()


@pytest.mark.parametrize("name", ["Genres", "Theme", "Studios", "Japanese", "Members", "Episodes", "Rating", "Type"])
def test_a_label_with_nothing_beside_it_is_an_error(name: str) -> None:
    with pytest.raises(UnexpectedPage, match=name):
        parse(html(**{name: ""}))


@pytest.mark.parametrize("name", ["Genres", "Studios"])
def test_a_list_that_cannot_be_read_is_an_error_and_not_empty(name: str) -> None:
    with pytest.raises(UnexpectedPage, match=name):
        parse(html(**{name: "<b>Drama</b>"}))


@pytest.mark.parametrize("name", ["Episodes", "Ranked", "Popularity", "Members", "Favorites"])
@pytest.mark.parametrize("value", ["12 of 13", "1,2", "-5", "1.5", "many"])
def test_a_number_that_cannot_be_read_is_an_error(name: str, value: str) -> None:
    with pytest.raises(UnexpectedPage, match=name):
        parse(html(**{name: value}))


def test_a_title_without_rank_keeps_its_score() -> None:
    page = parse(html(Ranked="N/A<sup>2</sup>"))
    assert (page.ranked, page.score) == (None, 7.17)


@pytest.mark.parametrize(
    ("markup", "score", "votes"),
    [
        ('<span class="score-label score-na">N/A</span><sup>1</sup> (scored by - users)', None, None),
        ("8.10<sup>1</sup> (scored by 1,234 users)", 8.1, 1234),
        ('<span class="score-label">8.10</span> (scored by 77 users)', 8.1, 77),
        ('<span itemprop="ratingValue">0.00</span>', None, None),
        ('<span itemprop="ratingValue">ten</span>', None, None),
        ("N/A", None, None),
        ("10.00", 10.0, None),
    ],
)
def test_the_score_has_two_fall_backs_and_is_never_0(markup: str, score: float | None, votes: int | None) -> None:
    page = parse(html(Score=markup))
    assert (page.score, page.scored_by) == (score, votes)


@pytest.mark.parametrize(
    ("status", "aired", "days"),
    [
        ("Finished Airing", "Sep 1, 2001", (date(2001, 9, 1), date(2001, 9, 1))),
        ("Currently Airing", "Sep 1, 2001", (date(2001, 9, 1), None)),
        ("Finished Airing", "Oct 4, 2014 to ?", (date(2014, 10, 4), None)),
        ("Finished Airing", "Oct, 2014 to ?", (None, None)),
        ("Finished Airing", "Oct 2014 to Nov 2, 2014", (None, date(2014, 11, 2))),
        ("Finished Airing", "2003", (None, None)),
        ("Finished Airing", "Not available", (None, None)),
        ("Not yet aired", "2026 to ?", (None, None)),
        ("Finished Airing", "Feb 29, 2004", (date(2004, 2, 29), date(2004, 2, 29))),
    ],
)
def test_dates(status: str, aired: str, days: tuple[date | None, date | None]) -> None:
    page = parse(html(Status=status, Aired=aired))
    assert (page.aired_from, page.aired_to) == days
    assert page.status == status


@pytest.mark.parametrize("aired", ["Feb 30, 2004", "soon", "1 Apr 2004", "Foo 1, 2004", "a to b to c", "04-01-2004"])
def test_a_date_that_cannot_be_read_is_an_error(aired: str) -> None:
    with pytest.raises(UnexpectedPage, match="date"):
        parse(html(Aired=aired))


def test_a_music_video_lacks_labels_without_harm() -> None:
    page = parse(
        html(Type="Music", Episodes="1", Premiered=None, Broadcast=None, Synonyms=None, English=None, related="")
    )
    assert (page.type, page.season, page.synonyms, page.title_english, page.relations) == (
        "Music",
        None,
        (),
        None,
        (),
    )


@pytest.mark.parametrize(
    ("name", "field"),
    [("Episodes", "episodes"), ("Type", "type"), ("Source", "source"), ("Rating", "age_rating")],
)
def test_the_words_for_unknown_are_none(name: str, field: str) -> None:
    assert getattr(parse(html(**{name: "Unknown"})), field) is None
    assert getattr(parse(html(**{name: "None"})), field) is None


@pytest.mark.parametrize(
    ("words", "minutes"), [("24 min. per ep.", 24), ("1 hr. 55 min.", 115), ("Unknown", None), ("a while", None)]
)
def test_the_length_of_an_episode_in_minutes(words: str, minutes: float | None) -> None:
    assert parse(html(Duration=words)).episode_minutes == minutes


def test_zero_episodes_are_unknown() -> None:
    assert parse(html(Episodes="0")).episodes is None


def test_more_languages_and_the_english_heading() -> None:
    page = parse(html(German="Die Stadt", French="La ville"))
    assert page.title_english == "The Town on the Hill"
    heading = '<h1 class="title-name"><strong>Oka</strong></h1><p class="title-english">Hill</p>'
    assert parse(html(English=None, heading=heading)).title_english == "Hill"


@pytest.mark.parametrize(
    "heading",
    [
        '<h1 class="h1"><span itemprop="name">Oka no Machi, Haru</span></h1>',
        '<h1 class="h1"><span class="h1-title"><span itemprop="name">Oka no Machi, Haru<br>'
        '<span class="title-english">Hill</span></span></span></h1>',
        "<h1 class='title-name'><strong>\n Oka no\n Machi, Haru\n</strong></h1>",
    ],
)
def test_headings_of_all_years(heading: str) -> None:
    assert parse(html(heading=heading)).title == "Oka no Machi, Haru"


def test_relations_as_tiles_and_table_once_each() -> None:
    tile = """<div class="entry borderClass"><div class="image"><a href="/anime/78/Oka_2"><img></a></div>
<div class="content"><div class="relation">Sequel\n (TV)</div><div class="title"><a href="/anime/78/Oka_2">Oka 2</a></div>
</div></div>"""
    related = f"""<h2 id="related_entries">Related Entries</h2><div class="related-entries"><div class="entries-tile">
{tile}{tile}<div class="entry borderClass ">&nbsp;</div></div><table class="entries-table"><tr>
<td class="ar fw-n">Side Story:</td><td><ul class="entries"><li><a href="/anime/80/x">x</a> (OVA)</li>
<li class="hide-entry"><a href="/manga/9/%CE%B1">α</a> (Manga)</li></ul></td></tr></table></div>"""
    assert parse(html(related=related)).relations == (
        Relation("Sequel", "anime", 78),
        Relation("Side Story", "anime", 80),
        Relation("Side Story", "manga", 9),
    )


def test_a_relation_to_a_deleted_entry_relates_to_nothing() -> None:
    assert parse(html(related=RELATED.replace("/anime/78/Oka_2", "/anime/0/"))).relations == (
        WANTED.relations[0],
        WANTED.relations[2],
    )


def test_a_related_entry_without_link_is_an_error() -> None:
    with pytest.raises(UnexpectedPage, match="related"):
        parse(html(related=RELATED.replace('<a href="/manga/500/Oka">Oka</a>', "Oka")))


def test_two_ids_or_none_are_an_error() -> None:
    with pytest.raises(UnexpectedPage, match="2 ids"):
        parse(html(url="https://myanimelist.net/anime/88/Other"))
    with pytest.raises(UnexpectedPage, match="no id"):
        parse(html(url="https://myanimelist.net/").replace('value="77"', 'value=""'))


def test_a_manga_page_is_named() -> None:
    with pytest.raises(MangaPage):
        parse(html(url="https://myanimelist.net/manga/77/Oka"))
    with pytest.raises(MangaPage):
        parse(html([block("Type", "Manga"), block("Volumes", "3"), block("Chapters", "20")], url="/"))


def test_the_layout_for_phones_is_named() -> None:
    with pytest.raises(PhoneLayout):
        parse(html(["<dl><dt>Type</dt><dd>TV</dd></dl>"]))


def test_a_label_that_stands_twice_with_two_values_is_an_error() -> None:
    with pytest.raises(UnexpectedPage, match="twice"):
        parse(html([block(k, v) for k, v in VALUES.items()] + [block("Members", "1")]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<span class="dark_text">Synonyms:', "Synonyms:"),
        ('<span class="dark_text">Genres:', "Genres:"),
        ("Premiered:</span>", "Premiered:"),
        ("Drama</a>,", "Drama,"),
        ('<td class="ar fw-n">Adaptation:</td>', "<td>Adaptation:</td>"),
        ('<table class="anime_detail_related_anime">', "<table>"),
        ('<a href="/anime/genre/8/Drama">', ""),
        ('<a href="/anime/78/Oka_2">', ""),
    ],
)
def test_a_tag_that_is_lost_does_not_lose_a_value_in_silence(old: str, new: str) -> None:
    assert old in html()
    with pytest.raises(UnexpectedPage):
        parse(html().replace(old, new))


def test_a_label_outside_its_element_takes_only_the_links_that_follow_it() -> None:
    lost = html().replace(
        '<div class="spaceit_pad">\n  <span class="dark_text">Theme:', '<span class="dark_text">Theme:'
    )
    assert parse(lost) == WANTED


@given(st.integers(0, len(html().rstrip()) - 1))
@settings(max_examples=150, deadline=None)
def test_a_page_cut_anywhere_is_an_error(at: int) -> None:
    with pytest.raises(PageError):
        parse(html().rstrip()[:at])


def test_a_page_cut_after_the_last_label_is_called_cut_off() -> None:
    page = html()
    with pytest.raises(TruncatedPage):
        parse(page[: page.index("<h2>Reviews")])


@given(st.permutations(list(VALUES)))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_labels_does_not_matter(names: list[str]) -> None:
    assert parse(html([block(name, VALUES[name]) for name in names])) == WANTED


def test_a_doubled_page_gives_the_record_once() -> None:
    assert parse(html() * 2) == WANTED


FIELDS = {
    "Synonyms": "synonyms", "Japanese": "title_japanese", "English": "title_english", "Premiered": "season",
    "Studios": "studios", "Source": "source", "Genres": "genres", "Theme": "themes", "Demographic": "demographics",
    "Duration": "episode_minutes", "Rating": "age_rating",
}  # fmt: skip


@given(st.sets(st.sampled_from(list(VALUES)), max_size=4))
@settings(max_examples=80, deadline=None)
def test_labels_left_out_leave_their_own_fields_unknown_or_make_the_page_an_error(names: set[str]) -> None:
    page = html([block(name, value) for name, value in VALUES.items() if name not in names])
    empty = {"synonyms": (), "studios": (), "genres": (), "themes": (), "demographics": ()}
    fields = {FIELDS[name]: empty.get(FIELDS[name]) for name in names if name in FIELDS}
    if names <= {*FIELDS, "Broadcast", "Producers"}:
        assert parse(page) == replace(WANTED, **fields)  # type: ignore[arg-type]
    else:
        with pytest.raises(PageError):
            parse(page)


@given(
    st.integers(0, len(html())),
    st.integers(0, len(html())),
    st.text(alphabet="<>/\"'=&;td divspan0\x00\ufffd", max_size=12),
)
@settings(max_examples=200, deadline=None)
def test_mangled_pages_raise_nothing_but_page_errors(a: int, b: int, junk: str) -> None:
    page = html()
    mangled = page[: min(a, b)] + junk + page[max(a, b) :]
    with contextlib.suppress(PageError):
        assert isinstance(parse(mangled), AnimePage)


# The real pages: values as they can be seen on the pages.


def real(name: str) -> bytes:
    return gzip.decompress(next(shared_path("pages/anime").glob(f"*{name}*")).read_bytes())


def test_all_real_pages_are_read_the_same_from_text_and_bytes() -> None:
    pages = sorted(shared_path("pages/anime").glob("*.gz"))
    records = {path.name: parse(gzip.decompress(path.read_bytes())) for path in pages}
    assert len(records) == 39
    for path in pages:
        assert parse(gzip.decompress(path.read_bytes()).decode()) == records[path.name]
    for name, record in records.items():
        assert record.members, name
        assert record.popularity, name
        assert not {"N/A", "Unknown", "None", "", "add some"} & {
            record.type, record.source, record.age_rating, *record.genres, *record.studios, *record.synonyms,
        }, name  # fmt: skip


def test_a_page_of_2016() -> None:
    page = parse(real("auto_anime_1_544ce2"))
    assert (page.anime_id, page.title, page.season, page.score, page.scored_by) == (
        1,
        "Cowboy Bebop",
        "Spring 1998",
        8.83,
        232183,
    )
    assert (page.ranked, page.popularity, page.members, page.favorites) == (22, 31, 415050, 26287)
    assert page.age_rating == "R - 17+ (violence & profanity)"
    assert page.genres == ("Action", "Adventure", "Comedy", "Drama", "Sci-Fi", "Space")
    assert [(r.related_kind, r.related_id) for r in page.relations] == [
        ("manga", 173), ("manga", 174), ("anime", 5), ("anime", 17205), ("anime", 4037),
    ]  # fmt: skip


def test_a_year_alone_and_no_date_at_all_in_2017() -> None:
    assert parse(real("auto_anime_1190")).aired_from is None
    page = parse(real("anime_unknown_aired"))
    assert (page.aired_from, page.status, page.score, page.studios) == (None, "Finished Airing", None, ())


def test_a_page_of_2023() -> None:
    page = parse(real("2023-02-03_details"))
    assert (page.anime_id, page.title, page.title_english) == (1356, "Hokuto no Ken 2", "Fist of the North Star 2")
    assert (page.genres, page.themes, page.demographics) == (
        ("Action", "Drama"),
        ("Martial Arts", "Super Power"),
        ("Shounen",),
    )
    assert (page.score, page.scored_by, page.ranked) == (7.56, 12663, 1512)
    assert [r.relation for r in page.relations] == ["Adaptation", "Prequel", "Sequel", "Other"]


def test_pages_of_2025() -> None:
    page = parse(real("koe_no_katachi_2025"))
    assert (page.anime_id, page.title_english, page.synonyms) == (28851, "A Silent Voice", ("The Shape of Voice",))
    assert (page.aired_from, page.aired_to, page.source) == (date(2016, 9, 17), date(2016, 9, 17), "Manga")
    assert (page.score, page.scored_by, page.ranked, page.favorites) == (8.93, 1678926, 18, 90772)
    assert page.relations[0] == Relation("Adaptation", "manga", 141209)
    assert sum(r.relation == "Side Story" for r in parse(real("gintama_2025")).relations) == 5
    assert parse(real("one_piece_fan_letter")).relations[-1] == Relation("Parent Story", "anime", 21)


def test_the_pages_of_may_2021_agree_with_another_readers_catalogue() -> None:
    import polars as pl

    path: Path = shared_path("catalogue/anime_2021.parquet")
    catalogue = {row["anime_id"]: row for row in pl.read_parquet(path).iter_rows(named=True)}
    compared = 0
    for file in shared_path("pages/anime").glob("2021-05-20_*.gz"):
        page = parse(gzip.decompress(file.read_bytes()))
        row = catalogue.get(page.anime_id)
        if row is None:
            continue
        compared += 1
        for name in (
            "title",
            "title_english",
            "title_japanese",
            "score",
            "scored_by",
            "ranked",
            "popularity",
            "members",
            "favorites",
            "status",
        ):
            assert getattr(page, name) == row[name], (page.anime_id, name)
        assert ", ".join(page.synonyms) == (row["title_synonyms"] or "")
        assert page.genres == tuple(row["genres"].split("|") if row["genres"] else ())
        assert (page.season or "?", str(page.episodes or "Unknown")) == (row["premiered"] or "?", row["episodes"])
        assert page.episode_minutes == minutes_of(row["duration"])
        assert (page.age_rating or "None", page.type or "Unknown") == (row["rating"], row["type"])
        assert page.studios == tuple(re.split(r"[|]|, ", row["studios"]) if row["studios"] else ())
    assert compared >= 20


@pytest.mark.parametrize("name", ["auto_anime_1_544ce2", "2021-05-20_966", "2023-02-03", "gintama_2025"])
def test_real_pages_cut_off_are_errors(name: str) -> None:
    page = real(name).decode()
    for at in range(0, page.rindex("</html>"), len(page) // 23):
        with pytest.raises(PageError):
            parse(page[:at])
