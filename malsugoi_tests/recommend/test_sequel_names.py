"""What a title's name says of its series: only where no relation says anything."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from malsugoi_assets.recommend.franchises import learn_franchises
from malsugoi_assets.recommend.sequel_names import SequelNames, is_extra_name
from malsugoi_tests.recommend.frames import relations_frame

Row = tuple[int, str, str | None, int | None]
NOTHING = relations_frame([])


def catalogue(*rows: Row) -> pl.DataFrame:
    """From (anime_id, title, type, year)."""
    return pl.DataFrame(
        [(i, title, kind, year and date(year, 4, 1)) for i, title, kind, year in rows],
        schema={"anime_id": pl.Int32, "title": pl.String, "type": pl.String, "aired_from": pl.Date},
        orient="row",
    )


@pytest.mark.parametrize(
    "name",
    [
        "Kaze no Uta 2nd Season",
        "Kaze no Uta II",
        "Kaze no Uta 2",
        "Kaze no Uta: Final Season",
        "Kaze no Uta Part 2",
        "Kaze no Uta: Yuki-hen",
        "Kaze no Uta - Yuki",
        "KAZE no UTA! Yuki",
        "Gekijouban Kaze no Uta",
        "Kaze no Uta Specials",
        "Kaze no Uta Movie 08: Umi",
        "Kaze no Uta Movie 23: Umi",
    ],
)
def test_a_name_goes_on_with_what_it_begins_with(name: str) -> None:
    assert SequelNames(catalogue((1, "Kaze no Uta", "TV", 2020), (2, name, None, 2023))).of_newer(NOTHING) == {2: 1}


@pytest.mark.parametrize(
    "name",
    [
        "Kaze no Uta",
        "Kaze no Uta (2022)",
        "Kaze no Uta to Umi",
        "Uta",
        "Umi no Uta 2nd Season",
        "Kaze: no Uta",
        "Kaze no Uta 00",
    ],
)
def test_another_name_is_another_series_and_the_same_name_is_no_sequel(name: str) -> None:
    assert SequelNames(catalogue((1, "Kaze no Uta", "TV", 2020), (2, name, None, 2023))).of_newer(NOTHING) == {}


def test_the_last_part_of_the_story_before_it_counts() -> None:
    titles = catalogue(
        (1, "Kaze no Uta", "TV", 2018),
        (2, "Kaze no Uta II", "TV", 2020),
        (3, "Kaze no Uta II Mini Anime", None, 2021),
        (4, "Kaze no Uta OVA", "OVA", 2021),
        (5, "Kaze no Uta II Part 2", None, 2022),
        (6, "Kaze no Uta IV", None, 2024),
    )
    assert SequelNames(titles).of_newer(NOTHING) == {2: 1, 3: 2, 4: 2, 5: 2, 6: 5}


def test_a_part_with_a_name_of_its_own_goes_on_with_the_one_before_it() -> None:
    titles = catalogue(
        (1, "Kaze no Uta", "TV", 2019),
        (2, "Kaze no Uta: Yuki-hen", "TV", 2020),
        (3, "Kaze no Uta: Hana-hen", "TV", 2022),
        (4, "Kaze no Uta: Hana-hen Specials", "Special", 2022),
        (5, "Kaze no Uta: Tsuki-hen", None, 2024),
        (6, "Umi: Hana-hen", "TV", 2020),
        (7, "Umi: Yuki-hen", "TV", 2021),
    )
    found = SequelNames(titles).of_newer(NOTHING)
    assert (found[2], found[3], found[5]) == (1, 2, 3)
    assert not {6, 7} & set(found)


@pytest.mark.parametrize(
    ("name", "part_of_it"),
    [("First Love", "Love"), ("Final Fantasy", "Fantasy"), ("5 Centimeters per Second", "Centimeters per Second")],
)
def test_a_number_in_front_is_a_name(name: str, part_of_it: str) -> None:
    assert SequelNames(catalogue((1, part_of_it, "TV", 2000), (2, name, "TV", 2001))).of_newer(NOTHING) == {}


def test_no_title_comes_before_itself_by_way_of_others() -> None:
    """The second had no day: it came after the first by its id, and the first after the third by its day."""
    titles = catalogue(
        (1, "Kaze no Uta 2nd Season", None, 2010),
        (2, "Kaze no Uta 3rd Season", None, None),
        (3, "Kaze no Uta Movie", "Movie", 2009),
    )
    assert SequelNames(titles).of_newer(NOTHING) == {1: 3, 2: 1}


def test_relations_speak_for_themselves_up_to_where_they_end() -> None:
    titles = catalogue(
        (1, "Kaze no Uta", "TV", 2018),
        (2, "Kaze no Uta 2nd Season", "TV", 2020),
        (3, "Colorful", "TV", 1999),
        (4, "Colorful (Movie)", "Movie", 2010),
        (5, "Kaze no Uta 3rd Season", None, 2022),
    )
    known = relations_frame([(2, "Prequel", "anime", 1), (5, "Adaptation", "manga", 3)])
    assert SequelNames(titles).of_newer(known) == {5: 2}, "4 is older than what the relations know, and has none"


def test_an_english_name_names_the_series_too() -> None:
    titles = catalogue((1, "Kaze no Uta", "TV", 2018), (2, "Song of the Wind 2", None, 2022)).with_columns(
        title_english=pl.Series(["Song of the Wind", None])
    )
    assert SequelNames(titles).of_newer(NOTHING) == {2: 1}


def test_what_a_name_says_bars_the_way_and_makes_one_series() -> None:
    known = learn_franchises(catalogue((1, "Kaze no Uta", "TV", 2018), (2, "Kaze no Uta 2", None, 2022)), NOTHING)
    assert known.missing(2, set()) == {1}
    assert known.entry_point(2, set()) == 1
    assert known.franchise(2) == known.franchise(1)


def test_an_extra_says_so() -> None:
    assert all(map(is_extra_name, ("Kaze no Uta OVA", "Kaze no Uta: Prologue", "Kaze no Uta Mini Anime")))
    assert not any(map(is_extra_name, ("Kaze no Uta", "Novae", "Kaze no Uta 2nd Season")))


@pytest.mark.parametrize(
    ("name", "kind", "members", "bars"),
    [
        ("Deai no Jikan", None, 90, False),  # far fewer people have it
        ("Zenpen", None, 600, True),
        ("Kaze no Uta OVA", None, 600, False),
        ("Deai no Jikan", "TV", 90, True),  # what is known of it counts
        ("Deai no Jikan", "Special", 600, False),
        ("Deai no Jikan", None, None, True),
    ],
)
def test_a_prequel_of_unknown_type_bars_the_way_unless_it_is_an_extra(
    name: str, kind: str | None, members: int | None, *, bars: bool
) -> None:
    titles = catalogue((1, name, kind, 2014), (2, "Kaze no Uta", "TV", 2015)).with_columns(
        members=pl.Series([members, 1_000], dtype=pl.Int32)
    )
    known = learn_franchises(titles, relations_frame([(2, "Prequel", "anime", 1)]))
    assert bool(known.missing(2, set())) is bars


TYPED = [
    (50 + n, name, "TV", 2011)
    for n, name in enumerate(["Ame", "Yuki", "Hana", "Tsuki", "Hoshi", "Kawa", "Mori", "Yama", "Sora", "Ishi"])
]
"""Titles of which the type is known, as that of nearly all is."""


def test_a_title_whose_page_was_not_read_follows_what_its_name_says() -> None:
    """Of "X OVA" the catalogue had the name alone: it was recommended to who did not know X."""
    titles = catalogue(
        (1, "Kaze", "TV", 2010), (2, "Kaze III", None, 2014), (3, "Kaze OVA", None, 2012), (4, "Umi", "TV", 2011),
        (5, "Umi 2", "TV", 2013), (6, "Kaze Special", "Special", 2011), (7, "Kaze Prologue", None, 2009),
        *TYPED,
    )  # fmt: skip
    relations = relations_frame([(1, "Sequel", "anime", 7), (4, "Adaptation", "manga", 9)])
    names = SequelNames(titles)
    assert names.of_unread(relations) == {2: 1, 3: 1}, "5 and 6 are known, and 7 came first"
    known = learn_franchises(titles, relations)
    assert (known.needs[3], known.needs[7]) == ({1}, {1})
    assert known.franchise(3) == known.franchise(1)


def test_a_name_alone_bars_nothing_but_its_own_title() -> None:
    """ "Hellsing Ultimate" goes on with "Hellsing: The Dawn", which no page told to be a prologue; not with "Hellsing"."""
    titles = catalogue(
        (1, "Kaze", "TV", 2001), (2, "Kaze: Akatsuki", None, 2005), (3, "Kaze Ultimate", "OVA", 2006), *TYPED
    ).with_columns(members=pl.Series([900, 10, 800] + [700] * len(TYPED)))  # fmt: skip
    known = learn_franchises(titles, relations_frame([(3, "Prequel", "anime", 2)]))
    assert known.needs[2] == {1}
    assert known.needs[3] == frozenset()


def test_where_no_type_is_known_a_missing_one_says_nothing() -> None:
    titles = catalogue((1, "Kaze", None, 2010), (2, "Kaze OVA", None, 2012))
    assert SequelNames(titles).of_unread(relations_frame([(1, "Adaptation", "manga", 9)])) == {}
