"""The replica's world, written as the site's pages and read back, is the same world."""

from __future__ import annotations

import pytest

from malsugoi_assets.mal import (
    MangaPage,
    PrivateList,
    Relation,
    parse_anime_page,
    parse_list_json,
    parse_list_page,
    parse_top_page,
    parse_users_page,
)
from malsugoi_assets.mal.replica import pages
from malsugoi_assets.mal.replica.world import World

STATES = {1: "watching", 2: "completed", 3: "on_hold", 4: "dropped", 6: "plan_to_watch"}


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=3, n_anime=120, n_users=30)


def test_detail_pages(world: World) -> None:
    for title in world.titles:
        page, figures = parse_anime_page(pages.anime_page(world, title)), world.figures[title.index]
        for name in (
            "anime_id", "title", "title_english", "title_japanese", "type", "episodes", "episode_minutes", "status", "aired_from",
            "aired_to", "season", "source", "age_rating", "genres", "themes", "demographics", "studios",
        ):  # fmt: skip
            assert getattr(page, name) == getattr(title, name), (title.anime_id, name)
        # The page joins synonyms with ", ", so one that holds a comma of its own comes back in parts.
        assert ", ".join(page.synonyms) == ", ".join(title.synonyms)
        for name in ("score", "scored_by", "ranked", "popularity", "members", "favorites"):
            assert getattr(page, name) == getattr(figures, name), (title.anime_id, name)
        assert set(page.relations) == {Relation(r, kind, k) for r, kind, k in title.relations}  # type: ignore[arg-type]


def test_ranking_pages(world: World) -> None:
    rows = [row for offset in (0, 50, 100) for row in parse_top_page(pages.top_page(world, offset) or "")]
    assert [row.anime_id for row in rows] == [world.titles[k].anime_id for k in world.ranking]
    assert [row.score for row in rows] == [world.figures[k].score for k in world.ranking]


def test_users_pages(world: World) -> None:
    users = [world.user(name) for name in parse_users_page(pages.users_page(world.users, 24, ""))]
    assert users == list(world.users[24:30])
    assert parse_users_page(pages.users_page(world.users, 48, "")) == []


def test_lists_in_every_form_give_the_same_entries(world: World) -> None:
    for user in world.users[::4]:
        wanted = [
            (world.titles[e.index].anime_id, e.score or None, STATES[e.status], e.episodes_watched)
            for e in user.entries
        ]
        modern = parse_list_page(pages.modern_list(world, user, user.entries, 7))
        classic = parse_list_page(pages.classic_list(world, user))
        plain = parse_list_json(pages.list_rows(world, user.entries))
        for entries in (classic.entries, plain, modern.entries):
            found = [(e.anime_id, e.score, e.status, e.episodes_watched) for e in entries]
            assert sorted(map(str, found)) == sorted(map(str, wanted[: len(found)]))
        assert len(classic.entries) == len(plain) == len(wanted)
        assert classic.complete
        assert modern.complete == (len(wanted) < 300)


def test_pages_that_are_something_else(world: World) -> None:
    with pytest.raises(PrivateList):
        parse_list_page(pages.private_list("kim"))
    with pytest.raises(PrivateList):
        parse_list_json(pages.private_json())
    manga = next(k for t in world.titles for _, kind, k in t.relations if kind == "manga")
    with pytest.raises(MangaPage):
        parse_anime_page(pages.manga_page(world, manga) or "")
