"""The shapes in which MyAnimeList's data is passed on: small files of each, made here, with the columns that they have."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from malsugoi_assets.files import FilesError, Folder, read_folder

COOPER_ANIME = (
    "anime_id,name,genre,type,episodes,rating,members\n"
    '32281,Kimi no Na wa.,"Drama, Romance, School",Movie,1,9.37,200630\n'
    "9969,Gintama&#039;,Action,TV,51,9.16,151266\n"
    "7,Witch,,TV,Unknown,,5\n"
)
COOPER_RATINGS = "user_id,anime_id,rating\n1,32281,-1\n1,9969,10\n2,7,8\n"
AZATHOTH_ANIME = (
    "anime_id,title,title_english,title_japanese,title_synonyms,image_url,type,source,episodes,status,airing,"
    "aired_string,aired,duration,rating,score,scored_by,rank,popularity,members,favorites,background,premiered,"
    "broadcast,related,producer,licensor,studio,genre,opening_theme,ending_theme\n"
    "11013,Inu x Boku SS,Inu X Boku Secret Service,妖狐×僕SS,Youko x Boku SS,https://x/y.jpg,TV,Manga,12,"
    "Finished Airing,False,\"Jan 13, 2012 to Mar 30, 2012\",\"{'from': '2012-01-13', 'to': '2012-03-30'}\","
    '24 min. per ep.,PG-13 - Teens 13 or older,7.63,139250,1274,231,283882,2809,"A ""special"" one\nin two lines",'
    "Winter 2012,Fridays at Unknown,\"{'Adaptation': [{'mal_id': 17207, 'type': 'manga', 'url': 'u', 'title': 't'}], "
    "'Sequel': [{'mal_id': 13403, 'type': 'anime', 'url': 'u', 'title': 't'}]}\",Aniplex,Sentai,David Production,"
    '"Comedy, Supernatural",[],[]\n'
)
AZATHOTH_LISTS = (
    "username,anime_id,my_watched_episodes,my_start_date,my_finish_date,my_score,my_status,my_rewatching,"
    "my_rewatching_ep,my_last_updated,my_tags\n"
    "karthiga,11013,12,0000-00-00,0000-00-00,9,2,,0,1362307973,\n"
    'karthiga,55,0,0000-00-00,0000-00-00,0,6,0.0,0,1362307973,"a,b"\n'
)
HERNAN_ANIME = (
    "MAL_ID,Name,Score,Genres,English name,Japanese name,Type,Episodes,Aired,Premiered,Producers,Licensors,Studios,"
    "Source,Duration,Rating,Ranked,Popularity,Members,Favorites,Watching,Completed,On-Hold,Dropped,Plan to Watch,"
    "Score-10,Score-9\n"
    '1,Cowboy Bebop,8.78,"Action, Sci-Fi",Cowboy Bebop,カウボーイビバップ,TV,26,"Apr 3, 1998 to Apr 24, 1999",'
    "Spring 1998,Bandai Visual,Funimation,Sunrise,Original,24 min. per ep.,R - 17+ (violence & profanity),28.0,39,"
    "1251960,61971,105808,718161,71513,26678,329800,229170.0,182126.0\n"
    "17,Odd,Unknown,Unknown,Unknown,Unknown,Unknown,Unknown,Unknown,Unknown,Unknown,Unknown,Unknown,Unknown,Unknown,"
    "Unknown,Unknown,0,1,0,0,0,0,0,0,Unknown,Unknown\n"
)
HERNAN_LISTS = (
    "user_id,anime_id,rating,watching_status,watched_episodes\n0,1,9,2,26\n0,17,0,6,0\n0,1,8,1,24\n5,17,7,33,1\n"
)
HERNAN_COMPLETE = "user_id,anime_id,rating\n0,1,9\n"
NEW_ANIME = (
    "anime_id,Name,English name,Other name,Score,Genres,Synopsis,Type,Episodes,Aired,Premiered,Status,Producers,"
    "Licensors,Studios,Source,Duration,Rating,Rank,Popularity,Favorites,Scored By,Members,Image URL\n"
    '1,Cowboy Bebop,Cowboy Bebop,カウボーイビバップ,8.75,"Action, Award Winning",Crime is timeless.,TV,26.0,'
    '"Apr 3, 1998 to Apr 24, 1999",spring 1998,Finished Airing,Bandai,Funimation,Sunrise,Original,24 min,R - 17+,41.0,'
    "43,78525,914193.0,1771505,https://x/y.jpg\n"
    "9,Odd,UNKNOWN,UNKNOWN,UNKNOWN,UNKNOWN,No description,UNKNOWN,UNKNOWN,Not available,UNKNOWN,Not yet aired,UNKNOWN,"
    "UNKNOWN,UNKNOWN,UNKNOWN,Unknown,None,UNKNOWN,0,0,UNKNOWN,12,u\n"
)
NEW_SCORES = "user_id,Username,anime_id,Anime Title,rating\n1,Xinil,1,Cowboy Bebop,9\n4,Aokaado,9,Odd,10\n"
FINAL = (
    "username,anime_id,my_score,user_id,gender,title,type,source,score,scored_by,rank,popularity,genre\n"
    'karthiga,21,9,2255153,Female,One Piece,TV,Manga,8.54,423868,91.0,35,"Action, Adventure"\n'
    'Damonashu,21,10,37326,Male,One Piece,TV,Manga,8.54,423868,91.0,35,"Action, Adventure"\n'
    "Damonashu,59,0,37326,Male,Chobits,TV,Manga,7.53,175388,1546.0,188,Comedy\n"
)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def read(folder: Path) -> tuple[Folder, pl.DataFrame]:
    found = read_folder(folder, folder.parent / "store" / folder.name)
    return found, found.lists.read(found.lists.usernames)[0]


def test_the_dump_of_2016(tmp_path: Path) -> None:
    """There -1 is unrated, `rating` of the catalogue is the mean score, and titles hold HTML's references."""
    found, rows = read(write(tmp_path / "f", anime=COOPER_ANIME, rating=COOPER_RATINGS))
    assert rows.select("username", "anime_id", "score").rows() == [("1", 9969, 10), ("1", 32281, None), ("2", 7, 8)]
    gintama = found.catalogue.row(by_predicate=pl.col("anime_id") == 9969, named=True)
    assert (gintama["title"], gintama["score"], gintama["age_rating"], gintama["members"]) == (
        "Gintama'", 9.16, None, 151266,
    )  # fmt: skip
    assert found.catalogue.filter(pl.col("anime_id") == 7)["episodes"].item() is None
    assert found.report["lists_read_from"].startswith("rating.csv")


def test_the_dump_of_2018(tmp_path: Path) -> None:
    found, rows = read(
        write(
            tmp_path / "f",
            AnimeList=AZATHOTH_ANIME,
            UserAnimeList=AZATHOTH_LISTS,
            UserList="username,user_id\nkarthiga,1\n",
        )
    )
    assert rows.drop("title").rows() == [
        ("karthiga", 55, None, "plan_to_watch", 0, datetime(2013, 3, 3, 10, 52, 53, tzinfo=UTC)),
        ("karthiga", 11013, 9, "completed", 12, datetime(2013, 3, 3, 10, 52, 53, tzinfo=UTC)),
    ]
    title = found.catalogue.row(by_predicate=pl.col("anime_id") == 11013, named=True)
    assert (title["ranked"], title["studios"], title["genres"], str(title["aired_to"])) == (
        1274, ["David Production"], ["Comedy", "Supernatural"], "2012-03-30",
    )  # fmt: skip
    assert (title["season"], title["age_rating"]) == ("Winter 2012", "PG-13 - Teens 13 or older")
    assert set(found.relations.rows()) == {(11013, "Adaptation", "manga", 17207), (11013, "Sequel", "anime", 13403)}
    assert found.report["listed_without_catalogue_row"] == 1


def test_the_dump_of_2020_by_its_fullest_list_file(tmp_path: Path) -> None:
    """animelist has the states and the unrated entries that rating_complete lacks; which was read is said."""
    files = {"anime": HERNAN_ANIME, "animelist": HERNAN_LISTS, "rating_complete": HERNAN_COMPLETE}
    folder = write(tmp_path / "f", **files, watching_status="status, description\n1,Currently Watching\n")
    write(folder, anime_with_synopsis="MAL_ID,Name,Score,Genres,sypnopsis\n1,Cowboy Bebop,8.78,Action,In 2071\n")
    found, rows = read(folder)
    assert rows.drop("title", "updated_at").rows() == [
        ("0", 1, 8, "watching", 24), ("0", 17, None, "plan_to_watch", 0), ("5", 17, 7, None, 1),
    ]  # fmt: skip
    assert found.report["lists_read_from"] == "animelist.csv (2020, animelist)"
    assert found.report["left_alone"] == ["anime_with_synopsis.csv", "rating_complete.csv"]
    assert (found.report["rating_rows"], found.report["unknown_status_words"]) == (4, 1)
    bebop, odd = found.catalogue.rows(named=True)
    assert (bebop["ranked"], bebop["title_japanese"], bebop["studios"]) == (28, "カウボーイビバップ", ["Sunrise"])
    assert (odd["title"], odd["score"], odd["ranked"], odd["type"], odd["genres"]) == ("Odd", None, None, None, [])


def test_the_dump_of_2023_by_score(tmp_path: Path) -> None:
    dump = {"anime-dataset-2023": NEW_ANIME, "users-score-2023": NEW_SCORES, "user-filtered": HERNAN_COMPLETE}
    details = "Mal ID,Username,Gender,Mean Score,Completed\n1,Xinil,Male,7.37,233\n"
    found, rows = read(write(tmp_path / "f", **dump, **{"users-details-2023": details}))
    assert rows.select("username", "anime_id", "title", "score").rows() == [
        ("Aokaado", 9, "Odd", 10), ("Xinil", 1, "Cowboy Bebop", 9),
    ]  # fmt: skip
    assert found.report["left_alone"] == ["user-filtered.csv"]
    bebop, odd = found.catalogue.rows(named=True)
    assert (bebop["scored_by"], bebop["ranked"], bebop["episodes"]) == (914193, 41, 26)
    assert (bebop["episode_minutes"], bebop["season"]) == (24, "Spring 1998")
    assert (odd["title_english"], odd["score"], odd["aired_from"]) == (None, None, None)


def test_lists_that_carry_their_catalogue_need_no_other_file(tmp_path: Path) -> None:
    """`score` is the site's mean there; the user's own is `my_score`."""
    found, rows = read(write(tmp_path / "f", final_animedataset=FINAL))
    assert rows.select("username", "anime_id", "score").rows() == [
        ("Damonashu", 21, 10), ("Damonashu", 59, None), ("karthiga", 21, 9),
    ]  # fmt: skip
    chobits = found.catalogue.row(by_predicate=pl.col("anime_id") == 59, named=True)
    assert (chobits["title"], chobits["score"], chobits["ranked"], chobits["genres"]) == (
        "Chobits", 7.53, 1546, ["Comedy"],
    )  # fmt: skip


def test_beside_a_catalogue_lists_of_their_own_dump_come_before_joined_ones(tmp_path: Path) -> None:
    """2023's folder also has a file of older lists joined with an older catalogue, which is the largest."""
    dump = {"anime-dataset-2023": NEW_ANIME, "users-score-2023": NEW_SCORES, "final_animedataset": FINAL}
    found, _ = read(write(tmp_path / "f", **dump))
    assert found.report["lists_read_from"] == "users-score-2023.csv (2023, users-score)"
    assert found.report["left_alone"] == ["final_animedataset.csv"]


def test_names_of_files_do_not_matter(tmp_path: Path) -> None:
    _, rows = read(write(tmp_path / "f", x=COOPER_ANIME, y=COOPER_RATINGS))
    assert rows.height == 3


@pytest.mark.parametrize(
    "files",
    [
        {"anime": COOPER_ANIME, "UserAnimeList": AZATHOTH_LISTS},
        {"anime": HERNAN_ANIME, "UserAnimeList": AZATHOTH_LISTS},
        {"a": COOPER_ANIME, "b": HERNAN_ANIME, "rating": COOPER_RATINGS},
        {"anime": HERNAN_ANIME, "anime_info": "username,anime,rating\nu,Cowboy Bebop,7\n"},
        {"anime": HERNAN_ANIME, "ratings": AZATHOTH_LISTS},
    ],
)
def test_a_folder_that_is_half_one_shape_and_half_another_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(FilesError, match="is half one shape and half another") as error:
        read(write(tmp_path / "f", **files))
    assert not (tmp_path / "store").exists()
    assert sum(f"{name}.csv" in str(error.value) for name in files) == 2


def test_columns_in_another_order_and_columns_more_do_not_matter(tmp_path: Path) -> None:
    text = "note,rating,anime_id,user_id,x\n,7.0,32281.0,5.0,\n"
    _, rows = read(write(tmp_path / "f", anime=COOPER_ANIME, rating=text))
    assert rows.select("username", "anime_id", "score").rows() == [("5", 32281, 7)]
