"""Every page of the replica, read by the parsers of the real pages, says what the world holds; nothing more or less."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from malsugoi_assets.mal import (
    BlockPage,
    Captcha,
    MangaPage,
    NotFound,
    PageError,
    PrivateList,
    UnknownUser,
    parse_anime_page,
    parse_list_json,
    parse_list_page,
    parse_top_page,
    parse_users_page,
)
from malsugoi_assets.mal.records import ListEntry
from malsugoi_assets.mal.replica import pages
from malsugoi_assets.mal.replica.server import SEARCH_CAP, Answer, route
from malsugoi_assets.mal.replica.world import User, World

STATES = {1: "watching", 2: "completed", 3: "on_hold", 4: "dropped", 6: "plan_to_watch"}


@pytest.fixture(scope="module")
def world() -> World:
    return World(0, 700, 300)


def body(world: World, target: str, status: int = 200) -> bytes:
    try:
        answer = route(world, target)
    except Answer as raised:
        answer = raised
    assert answer.status == status, target
    return answer.body.encode()


def one(world: World, kind: str, style: str, *, more_than: int = -1) -> User:
    return next(u for u in world.users if (u.kind, u.style) == (kind, style) and len(u.entries) > more_than)


def expected_rows(world: World, user: User, *, dated: bool) -> dict[int, ListEntry]:
    return {
        world.titles[entry.index].anime_id: ListEntry(
            world.titles[entry.index].anime_id,
            world.titles[entry.index].title,
            entry.score or None,
            STATES[entry.status],  # type: ignore[arg-type]
            entry.episodes_watched,
            datetime.fromtimestamp(entry.updated_at, UTC) if dated else None,
        )
        for entry in user.entries
    }


def rows(entries: object) -> dict[int, ListEntry]:
    found = list(entries)  # type: ignore[call-overload]
    assert len({entry.anime_id for entry in found}) == len(found)
    return {entry.anime_id: entry for entry in found}


def test_every_detail_page_is_read_as_the_title_that_it_shows(world: World) -> None:
    for title, figures in list(zip(world.titles, world.figures, strict=True))[::4]:
        page = parse_anime_page(body(world, pages.anime_path(title)))
        for name in ("anime_id", "title", "title_english", "title_japanese", "type", "episodes", "episode_minutes", "status", "aired_from",
                     "season", "source", "age_rating", "genres", "themes", "demographics", "studios"):  # fmt: skip
            assert getattr(page, name) == getattr(title, name), (title.anime_id, name)
        assert page.aired_to == title.aired_to
        for name, value in vars(figures).items():
            assert getattr(page, name) == value, (title.anime_id, name)
        assert {(r.relation, r.related_kind, r.related_id) for r in page.relations} == set(title.relations)
        assert ", ".join(page.synonyms) == ", ".join(title.synonyms)


def test_the_awkward_titles_come_through_whole(world: World) -> None:
    awkward = [
        title for title in world.titles if any(c in title.title for c in ",\"&∀☆'<%é;/") or title.title.isdigit()
    ]
    assert len(awkward) > 12
    for title in awkward:
        page = parse_anime_page(body(world, pages.anime_path(title)))
        assert (page.title, page.title_english, page.title_japanese) == (
            title.title,
            title.title_english,
            title.title_japanese,
        )


def test_an_address_with_the_id_alone_or_another_slug_shows_the_same_page(world: World) -> None:
    title = world.titles[5]
    pages_ = {body(world, f"/anime/{title.anime_id}{slug}") for slug in ("", "/", "/Whatever", f"/{quote('雨')}")}
    assert len(pages_) == 1


def test_the_ranking_pages_hold_every_title_once_and_end_with_not_found(world: World) -> None:
    found, offset = [], 0
    while offset < 700:
        page = parse_top_page(body(world, f"/topanime.php?limit={offset}"))
        assert len(page) == 50
        found += page
        offset += 50
    assert sorted(entry.anime_id for entry in found) == sorted(world.index)
    for place, entry in enumerate(found, 1):
        figures = world.figures[world.index[entry.anime_id]]
        assert entry.score == figures.score
        assert entry.ranked == (place if figures.ranked else None) == figures.ranked
    with pytest.raises(NotFound):
        parse_top_page(body(world, "/topanime.php?limit=700", 404))


def test_one_search_is_capped_and_narrower_ones_reach_everybody(world: World) -> None:
    def walk(low: object, high: object, gender: object) -> list[str]:
        found: list[str] = []
        while page := parse_users_page(
            body(world, f"/users.php?cat=user&q=&loc=&agelow={low}&agehigh={high}&g={gender}&show={len(found)}")
        ):
            found += page
        return found

    assert len(walk("", "", "")) == SEARCH_CAP < 300
    everybody = [name for low in range(17, 61) for name in walk(low, low + 2, "")]
    assert sorted(everybody) == sorted(user.username for user in world.users)
    by_gender = [name for gender in (1, 2) for name in walk(17, 61, gender)]
    assert sorted(by_gender) == sorted(u.username for u in world.users if u.gender and u.age < 61)


def test_a_search_by_name_finds_it_whatever_the_case_and_else_says_that_there_is_nobody(world: World) -> None:
    name = world.users[7].username
    assert parse_users_page(body(world, f"/users.php?cat=user&q={name.upper()}")) == [name]
    assert parse_users_page(body(world, "/users.php?cat=user&q=%22%3E%3Cscript%3E")) == []


def test_a_short_modern_list_is_whole_on_its_page(world: World) -> None:
    user = next(u for u in world.users if (u.kind, u.style) == ("ok", "modern") and len(u.entries) < 300)
    page = parse_list_page(body(world, f"/animelist/{user.username}?status=7"))
    assert page.complete
    assert rows(page.entries) == expected_rows(world, user, dated=True)


def test_a_long_list_goes_on_in_load_json_to_an_empty_answer(world: World) -> None:
    user = one(world, "ok", "modern", more_than=300)
    page = parse_list_page(body(world, f"/animelist/{user.username}?status=7"))
    assert not page.complete
    assert len(page.entries) == 300
    rest = parse_list_json(body(world, f"/animelist/{user.username}/load.json?offset=300&status=7"))
    assert rows([*page.entries, *rest]) == expected_rows(world, user, dated=True)
    assert parse_list_json(body(world, f"/animelist/{user.username}/load.json?offset=600&status=7")) == []


def test_load_json_without_a_status_shows_the_owners_tab_only(world: World) -> None:
    user = one(world, "ok", "modern")
    tab = parse_list_json(body(world, f"/animelist/{user.username}/load.json?offset=0"))
    assert {entry.status for entry in tab} == {"watching"}
    assert len(tab) < len(user.entries)


def test_a_list_that_shows_one_tab_does_not_pass_for_a_whole_one(world: World) -> None:
    user = one(world, "ok", "one_tab")
    page = parse_list_page(body(world, f"/animelist/{user.username}?status=7"))
    assert not page.complete
    assert len(page.entries) < len(user.entries)
    whole = parse_list_json(body(world, f"/animelist/{user.username}/load.json?offset=0&status=7"))
    assert rows(whole) == expected_rows(world, user, dated=True)


def test_classic_lists_are_whole_whatever_their_length(world: World) -> None:
    for user in [u for u in world.users if (u.kind, u.style) == ("ok", "classic")][::6]:
        page = parse_list_page(body(world, f"/animelist/{user.username}?status=7"))
        assert page.complete
        assert rows(page.entries) == expected_rows(world, user, dated=False)


def test_private_empty_and_vanished_users_say_what_they_are(world: World) -> None:
    private, vanished = next(u for u in world.users if u.kind == "private"), "missing"
    with pytest.raises(PrivateList):
        parse_list_page(body(world, f"/animelist/{private.username}?status=7"))
    with pytest.raises(PrivateList):
        parse_list_json(body(world, f"/animelist/{private.username}/load.json?offset=0&status=7", 400))
    gone = next(u for u in world.users if u.kind == vanished).username
    for name in (gone, "no-such-user"):
        with pytest.raises((UnknownUser, NotFound)):
            parse_list_page(body(world, f"/animelist/{name}?status=7", 404))
        body(world, f"/animelist/{name}/load.json?offset=0&status=7", 404)
    for user in (u for u in world.users if u.kind == "empty"):
        assert not parse_list_page(body(world, f"/animelist/{user.username}?status=7")).entries
        assert parse_list_json(body(world, f"/animelist/{user.username}/load.json?offset=0&status=7")) == []


def test_a_title_that_is_a_number_is_a_number_in_the_rows_as_on_the_site(world: World) -> None:
    number = next(t for t in world.titles if t.title.isdigit())
    holder = next(u for u in world.users if u.kind == "ok" and number.index in {e.index for e in u.entries})
    raw = json.loads(body(world, f"/animelist/{holder.username}/load.json?offset=0&status=7"))
    assert next(row for row in raw if row["anime_id"] == number.anime_id)["anime_title"] == int(number.title)


def test_what_is_something_else_is_refused_by_the_parsers(world: World) -> None:
    manga = next(r for t in world.titles for r in t.relations if r[1] == "manga")[2]
    with pytest.raises(MangaPage):
        parse_anime_page(body(world, f"/manga/{manga}"))
    for parse in (parse_anime_page, parse_top_page, parse_users_page, parse_list_page, parse_list_json):
        with pytest.raises(Captcha):
            parse(pages.captcha())
        with pytest.raises(BlockPage):
            parse(pages.too_many_requests())
        with pytest.raises(PageError):
            parse(pages.server_error(500))
    with pytest.raises(NotFound):
        parse_anime_page(body(world, "/anime/1", 404))
    for target in ("/anime/99999999999999999999", "/manga/1", "/animelist/", "/nowhere"):
        body(world, target, 404)
