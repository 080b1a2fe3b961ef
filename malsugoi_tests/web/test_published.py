"""Every request sees one published state, and the next state is taken up by itself, also under load."""

from __future__ import annotations

import gc
import shutil
import threading
import time
import weakref
from pathlib import Path

import duckdb
import polars as pl
import pytest
from starlette.testclient import TestClient

from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_assets.web.app import build_app
from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.people import find_user
from malsugoi_assets.web.published import Parts, Published, States
from malsugoi_tests.warehouse.frames import write_lists
from malsugoi_tests.web.world import ADDRESS, BATCH, LIKES, USER, browsing, export, lists, publish, send, settings_of


@pytest.fixture
def own_world(world: Path, tmp_path: Path) -> Path:
    """A copy of the world to publish into."""
    shutil.copytree(world, tmp_path / "data", symlinks=True)
    return tmp_path / "data"


def rename(root: Path, title: str) -> None:
    """Publish a state in which title 100 is called so."""
    data_dir = DataDir(root)
    features = data_dir.lake.read("anime_features").collect()
    named = pl.when(pl.col("anime_id") == 100).then(pl.lit(title)).otherwise(pl.col("title"))
    data_dir.lake.write(TABLES["anime_features"], features.with_columns(title=named))
    data_dir.publisher.publish()


def test_the_next_state_is_taken_up(own_world: Path) -> None:
    with browsing(own_world) as client:
        assert "Wandering Lantern" in client.get("/title/100").text
        rename(own_world, "Renamed")
        deadline = time.monotonic() + 60
        while "Renamed" not in client.get("/title/100").text:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_who_starts_the_page_is_told_once_that_it_is_ready(own_world: Path) -> None:
    told: list[str] = []
    app = build_app(settings_of(own_world), ready=lambda: told.append("ready"))
    with TestClient(app, base_url=ADDRESS) as client:
        deadline = time.monotonic() + 60
        while not told:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        rename(own_world, "Renamed")
        app.state.states.refresh()
        assert "Renamed" in client.get("/title/100").text
    assert told == ["ready"]


def test_a_state_that_is_in_use_no_more_is_held_by_nothing(own_world: Path) -> None:
    class State:
        def __init__(self, published: Published) -> None:
            self.published = published

    ready, succeeded = threading.Event(), threading.Event()
    states: States[State] = States(
        DataDir(own_world).publisher, State, lambda _: ready.set(), lambda _state, _before: succeeded.set()
    )
    states.watch()
    assert ready.wait(60)
    first = weakref.ref(states.current())
    rename(own_world, "Renamed")
    assert succeeded.wait(60)
    deadline = time.monotonic() + 60
    while first() is not None:
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.05)
    states.close()


def test_a_list_outlives_the_state(own_world: Path) -> None:
    with browsing(own_world) as client:
        send(client, export(LIKES))
        rename(own_world, "Renamed")
        client.app.state.states.refresh()  # type: ignore[attr-defined]
        page = client.get("/recommendations")
        assert page.status_code == 200
        assert "5 titles" in client.get("/profile").text


@pytest.mark.slow
def test_fifty_clients_are_answered_while_states_are_published(own_world: Path) -> None:
    codes: list[int] = []
    titles: set[str] = set()
    ended = threading.Event()
    with browsing(own_world) as client:
        send(client, export(LIKES))

        def ask(number: int) -> None:
            paths = ("/recommendations", f"/recommendations?user={USER}", "/api/titles/100", "/pipeline", "/profile")
            while not ended.is_set():
                answer = client.get(f"{ADDRESS}{paths[number % len(paths)]}")
                codes.append(answer.status_code)
                if paths[number % len(paths)] == "/api/titles/100":
                    titles.add(answer.json()["anime"]["title"])
                number += 1

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for number in range(2):
            rename(own_world, f"State {number}")
        deadline = time.monotonic() + 60
        while "State 1" not in titles and time.monotonic() < deadline:
            time.sleep(0.05)
        ended.set()
        for thread in threads:
            thread.join()
    assert set(codes) == {200}
    assert len(codes) >= 50
    assert "State 1" in titles


def test_parts_are_made_anew_only_where_their_tables_changed(own_world: Path) -> None:
    with browsing(own_world) as client:
        states = client.app.state.states  # type: ignore[attr-defined]
        first = states.current()
        first.make_ready()
        before = (first.search, first.words, first.map, first.rater, first.ranker)
        data_dir = DataDir(own_world)
        stored = data_dir.lake.read("cf_metrics").collect()
        data_dir.lake.write(TABLES["cf_metrics"], stored.with_columns(value=pl.lit(0.85)))
        data_dir.publisher.publish()
        states.refresh()
        second = states.current()
        assert second is not first
        for old, new in zip(
            before, (second.search, second.words, second.map, second.rater, second.ranker), strict=True
        ):
            assert old is new
        rename(own_world, "Renamed")
        states.refresh()
        third = states.current()
        assert third.search is not second.search
        assert third.titles[100].title == "Renamed"


def test_a_part_is_made_once_for_many_who_ask_and_two_keys_are_kept() -> None:
    parts, made = Parts(), list[str]()

    def make(key: str) -> str:
        time.sleep(0.01)
        made.append(key)
        return key.upper()

    threads = [threading.Thread(target=lambda: parts.get("p", "a", lambda: make("a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["a"]
    assert [parts.get("p", key, lambda key=key: make(key)) for key in ("b", "a", "b", "c", "a")] == list("BABCA")  # type: ignore[misc]
    assert made == ["a", "b", "c", "a"]


def test_a_state_that_cannot_be_made_ready_leaves_the_old_one_in_use(own_world: Path) -> None:
    publisher = DataDir(own_world).publisher
    opened: list[Published] = []

    def refuse(state: Published) -> None:
        raise RuntimeError("cannot be made ready")

    states = States(publisher, lambda p: opened.append(p) or p, refuse)  # type: ignore[func-returns-value]
    states.refresh()
    rename(own_world, "Renamed")
    with pytest.raises(RuntimeError):
        states.refresh()
    assert states.current() is opened[0]


def test_a_column_that_an_older_version_did_not_know_is_unknown(tmp_path: Path) -> None:
    file = tmp_path / "old.duckdb"
    with duckdb.connect(str(file)) as old:
        old.execute("CREATE TABLE anime_features AS SELECT 1::INTEGER AS anime_id, 'One' AS title")
    found = Published(file).table("anime_features", ("anime_id", "title", "score"))
    assert found.rows() == [(1, "One", None)]


def test_sql_reads_no_other_file(world: Path) -> None:
    published = Published(DataDir(world).publisher.current() or world)
    with pytest.raises(Exception, match=r"disabled|not allowed|Permission"):
        published.rows("SELECT * FROM read_text(?)", "/etc/passwd")
    with pytest.raises(Exception, match=r"read-only|locked|disabled"):
        published.rows("CREATE TABLE x AS SELECT 1")


def test_a_world_is_published_whole(tmp_path: Path) -> None:
    assert publish(tmp_path / "data").publisher.current() is not None


def test_what_is_remembered_of_a_user_lasts_until_the_list_changes_or_the_user_is_gone(own_world: Path) -> None:
    with browsing(own_world) as client:
        states = client.app.state.states  # type: ignore[attr-defined]
        client.get(f"/recommendations?user={USER}&least_score=2")
        of_user = [key for key in states.current().answers.known() if key[0].username == USER]
        assert of_user
        data_dir = DataDir(own_world)
        stored = data_dir.lake.read("cf_metrics").collect()
        data_dir.lake.write(TABLES["cf_metrics"], stored.with_columns(value=pl.lit(0.85)))
        data_dir.publisher.publish()
        states.refresh()
        assert [key for key in states.current().answers.known() if key[0].username == USER] == of_user
        write_lists(data_dir, BATCH, {name: mine for name, mine in lists().items() if name != USER})
        data_dir.publisher.publish()
        states.refresh()
        assert USER not in {key[0].username for key in states.current().answers.known()}
        assert client.get(f"/recommendations?user={USER}").status_code == 404


def test_what_an_old_state_finds_out_of_somebody_who_is_forgotten_by_then_is_not_remembered(own_world: Path) -> None:
    """A request that had begun before `malsugoi forget` left its answer in memory until the state after the next."""
    with browsing(own_world) as client:
        states = client.app.state.states  # type: ignore[attr-defined]
        old = states.current()
        asking = find_user(old, USER, Limits())

        def forgotten_meanwhile() -> str:
            data_dir = DataDir(own_world)
            write_lists(data_dir, BATCH, {name: mine for name, mine in lists().items() if name != USER})
            data_dir.publisher.publish()
            states.refresh()
            return "an answer"

        assert asking.answers.get((asking.key, "what"), forgotten_meanwhile) == "an answer"
        assert states.current() is not old
        assert old.answers.known() == states.current().answers.known() == []


def test_tables_that_stayed_the_same_are_not_looked_at_again(own_world: Path) -> None:
    publisher = DataDir(own_world).publisher
    first = Published(publisher.publish().path)
    seen = first.contents("anime_features", "anime_relations")
    rename(own_world, "Renamed")
    second = Published(publisher.publish().path, first)
    asked: list[str] = []
    rows = second.rows
    second.rows = lambda sql, *values: asked.append(sql) or rows(sql, *values)  # type: ignore[method-assign, func-returns-value]
    now = second.contents("anime_features", "anime_relations", "cf_metrics")
    assert now[0] != seen[0]
    assert now[1] == seen[1]
    assert [sql.split()[-2] for sql in asked] == ["anime_features", "cf_metrics"]
