"""Whole records of real pages, one of each year and kind, held against what a reader sees on them."""

from __future__ import annotations

import gzip
from datetime import UTC, date, datetime

import pytest

from malsugoi_assets.mal import (
    AnimePage,
    ListEntry,
    Relation,
    parse_anime_page,
    parse_list_json,
    parse_list_page,
)
from malsugoi_tests.support.shared import shared_path


def real(pattern: str) -> bytes:
    folder, name = pattern.split("/")
    return gzip.decompress(next(shared_path(f"pages/{folder}").glob(name)).read_bytes())


DETAILS = {
    "2017-05-05*": AnimePage(
        3624, "Seimei no Kagaku: Micro Patrol", "Once Upon a Time... Life", "生命の科学ミクロパトロール", (), "TV", 26,
        "Finished Airing", None, None, None, None, "G - All Ages", 7.26, 460, 2500, 7508, 878, 1, ("Adventure",), (), (),
        ("Eiken",), (Relation("Other", "anime", 11307),), 24,
    ),
    "2021-02-19*": AnimePage(
        5, "Cowboy Bebop: Tengoku no Tobira", "Cowboy Bebop: The Movie", "カウボーイビバップ 天国の扉",
        ("Cowboy Bebop: Knockin' on Heaven's Door",), "Movie", 1, "Finished Airing", date(2001, 9, 1), date(2001, 9, 1), None,
        "Original", "R - 17+ (violence & profanity)", 8.39, 158477, 159, 518, 273145, 1174,
        ("Action", "Drama", "Mystery", "Sci-Fi", "Space"), (), (), ("Bones",), (Relation("Parent story", "anime", 1),),
        115,
    ),
    "2021-05-20_31964*": AnimePage(
        31964, "Boku no Hero Academia", "My Hero Academia", "僕のヒーローアカデミア", (), "TV", 13, "Finished Airing",
        date(2016, 4, 3), date(2016, 6, 26), "Spring 2016", "Manga", "PG-13 - Teens 13 or older", 8.04, 1469236, 493, 6,
        2183212, 47146, ("Action", "Comedy", "School", "Shounen", "Super Power"), (), (), ("Bones",),
        (Relation("Adaptation", "manga", 75989), Relation("Sequel", "anime", 33486), Relation("Side story", "anime", 33929),
         Relation("Summary", "anime", 35262)), 24,
    ),
    "2021-05-20_48239*": AnimePage(
        48239, "Leadale no Daichi nite", "World of Leadale", "リアデイルの大地にて", ("In the Land of Leadale",), "TV", None,
        "Not yet aired", None, None, None, "Light novel", None, None, None, None, 8227, 2835, 11, ("Adventure", "Fantasy"),
        (), (), ("Maho Film",), (Relation("Adaptation", "manga", 122887),),
    ),
    "2021-10_chainsaw*": AnimePage(
        44511, "Chainsaw Man", "Chainsaw Man", "チェンソーマン", (), "TV", None, "Not yet aired", None, None, None, "Manga", None,
        None, None, None, 678, 265760, 5478, ("Action", "Adventure"), ("Demons",), ("Shounen",), ("MAPPA",),
        (Relation("Adaptation", "manga", 116778),),
    ),
    "2023-01-05*": AnimePage(
        28891, "Haikyuu!! Second Season", "Haikyu!! 2nd Season", "ハイキュー!! セカンドシーズン", ("Haikyuu!! Second Season",), "TV",
        25, "Finished Airing", date(2015, 10, 4), date(2016, 3, 27), "Fall 2015", "Manga", "PG-13 - Teens 13 or older", 8.64,
        869610, 70, 84, 1314392, 15339, ("Sports",), ("School", "Team Sports"), ("Shounen",), ("Production I.G",),
        (Relation("Adaptation", "manga", 35243), Relation("Prequel", "anime", 20583), Relation("Sequel", "anime", 32935),
         Relation("Summary", "anime", 35110), Relation("Summary", "anime", 35321), Relation("Side story", "anime", 35806)), 24,
    ),
    "2025-01-17_one_piece*": AnimePage(
        60022, "One Piece Fan Letter", None, "ONE PIECE FAN LETTER", (), "TV Special", 1, "Finished Airing", date(2024, 10, 20),
        date(2024, 10, 20), None, "Light novel", "PG-13 - Teens 13 or older", 9.07, 62459, 3, 2495, 81893, 1880,
        ("Action", "Adventure", "Fantasy"), (), ("Shounen",), ("Toei Animation",),
        (Relation("Adaptation", "manga", 110830), Relation("Parent Story", "anime", 21)), 24,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DETAILS)
def test_every_field_of_a_detail_page_of_each_year(name: str) -> None:
    assert parse_anime_page(real(f"anime/{name}")) == DETAILS[name]


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("2019*", ListEntry(36793, "3D Kanojo: Real Girl", None, "watching", 0),
         ListEntry(36474, "Sword Art Online: Alicization", None, "watching", 0)),
        ("*32077df0*", ListEntry(7647, "Arakawa Under the Bridge", 7, "dropped", 9),
         ListEntry(481, "Yu☆Gi☆Oh! Duel Monsters", 5, "dropped", 100)),
        ("*6ca5d8b3*", ListEntry(269, "Bleach", 4, "dropped", 15), ListEntry(204, "Yumeria", 3, "dropped", 2)),
        ("2025*", ListEntry(9513, "Beelzebub", None, "watching", 4, datetime(2021, 2, 24, 11, 52, 7, tzinfo=UTC)),
         ListEntry(43299, "Wonder Egg Priority", None, "plan_to_watch", 0, datetime(2021, 3, 12, 20, 27, 40, tzinfo=UTC))),
    ],
)  # fmt: skip
def test_the_first_and_the_last_row_of_a_list_page_of_each_kind(name: str, first: ListEntry, last: ListEntry) -> None:
    entries = parse_list_page(real(f"animelist/{name}")).entries
    assert (entries[0], entries[-1]) == (first, last)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("2016*small*", ListEntry(11843, "Danshi Koukousei no Nichijou", None, "watching", 9),
         ListEntry(308, "Zettai Shounen", None, "plan_to_watch", 0)),
        ("2017*e63*", ListEntry(33475, "Busou Shoujo Machiavellianism", None, "watching", 5),
         ListEntry(34445, "Yuuki Yuuna wa Yuusha de Aru: Yuusha no Shou", None, "plan_to_watch", 0)),
        ("2019-08-20*", ListEntry(7669, '"Bungaku Shoujo" Kyou no Oyatsu: Hatsukoi', None, "watching", 0),
         ListEntry(35843, "Gintama.: Porori-hen", None, "watching", 0)),
    ],
)  # fmt: skip
def test_the_first_and_the_last_row_of_json_of_each_year(name: str, first: ListEntry, last: ListEntry) -> None:
    entries = parse_list_json(real(f"load_json/{name}"))
    assert (entries[0], entries[-1]) == (first, last)
