"""`recommend NAME --fetch`: a list from a site on 127.0.0.1, recommended for at once and kept only on request.

The story: a data dir was made of files; somebody who stands in none of them has a list on a site.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from malsugoi_assets.app.cli import main
from malsugoi_assets.app.recommending import make_recommendations, recommend_list
from malsugoi_assets.mal.records import ListEntry
from malsugoi_assets.mal.replica.world import UserKind, World
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_tests.support.sites import Replica, running_replica
from malsugoi_tests.web.world import USER, lists, publish, settings_of


@pytest.fixture(scope="module")
def site() -> Iterator[Replica]:
    with running_replica(n_anime=140, n_users=60) as replica:
        yield replica


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("fetched") / "data"
    publish(root)
    return root


def said(root: Path, site: Replica | None, *arguments: str, status: int = 0) -> str:
    environment = {"MALSUGOI_DATA_DIR": str(root), "MALSUGOI_SOURCE": "files", "MALSUGOI_FILES_DIR": str(root.parent)}
    environment |= {"MALSUGOI_MAL_URL": site.url} if site else {}
    done = CliRunner().invoke(main, ["recommend", *arguments], env=environment)
    assert done.exit_code == status, done.output
    return done.stdout if status == 0 else done.output


def somebody(world: World, kind: UserKind) -> str:
    return next(user.username for user in world.users if user.kind == kind)


def everything_in(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if path.is_file() and "client" not in path.parts}


def test_a_public_list_is_recommended_for_and_nothing_of_it_is_kept(root: Path, site: Replica) -> None:
    before = everything_in(root)
    name = somebody(site.world, "ok")
    rows = json.loads(said(root, site, name, "--fetch", "--json", "--top", "5"))
    assert len(rows) == 5
    user = site.world.user(name)
    assert user is not None
    own = {site.world.titles[entry.index].anime_id for entry in user.entries}
    assert not own & {row["anime_id"] for row in rows}
    assert everything_in(root) == before


@pytest.mark.parametrize(
    ("kind", "words"),
    [("private", "does not share the list"), ("missing", "no such user"), ("empty", "has no titles")],
)
def test_why_there_is_nothing_to_go_by_is_one_sentence(root: Path, site: Replica, kind: UserKind, words: str) -> None:
    name = somebody(site.world, kind)
    out = said(root, site, name, "--fetch", status=2)
    assert words in out
    assert out.startswith(f"Error: {name}: ")
    assert len(out.splitlines()) == 1


def test_a_site_that_does_not_answer_is_no_users_mistake(root: Path, site: Replica) -> None:
    site.fault(kind="off_site", path="/animelist", count=50)
    try:
        out = said(root, site, somebody(site.world, "ok"), "--fetch", status=1)
    finally:
        site.heal()
    assert "try again later" in out
    assert len(out.splitlines()) == 1


def test_files_without_a_site_and_names_that_are_none_ask_nobody(root: Path, site: Replica) -> None:
    site.forget_log()
    assert "set MALSUGOI_MAL_URL" in said(root, None, "ann", "--fetch", status=2)
    assert "cannot be a user's name" in said(root, site, "../ann", "--fetch", status=2)
    assert "cannot be a user's name" in said(root, site, "ann", "--fetch", "--keep-as", "a/b", status=2)
    assert "add --fetch" in said(root, site, "ann", "--keep-as", "ann", status=2)
    assert "no title here is Dramma" in said(root, site, "ann", "--fetch", "--genres", "Dramma", status=2)
    assert site.asked() == []


def test_the_same_list_is_recommended_the_same_stored_or_at_hand(root: Path) -> None:
    settings = settings_of(root)
    entries = [ListEntry(anime_id, None, score, "completed") for anime_id, score in lists()[USER].items()]
    wanted = RecommendationSettings(gems=0.1, length=8)
    stored = make_recommendations(settings, USER, wanted).rows
    at_hand = recommend_list(settings, "ann", entries, wanted).rows
    assert [row["anime_id"] for row in at_hand] == [row["anime_id"] for row in stored]
    assert {row["username"] for row in at_hand} == {"ann"}
    assert all(1 <= row["predicted_rating"] <= 10 for row in at_hand)
