"""The flows over the site: complete, polite, resumable, and never fooled by a site that refuses."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from malsugoi_assets.mal import parse_anime_page
from malsugoi_assets.mal.client import Answer
from malsugoi_assets.mal.replica import pages, server
from malsugoi_assets.mal.replica.world import User, World
from malsugoi_assets.mal.site import Site, SiteSettings, SiteStopped, UserList
from malsugoi_assets.mal.store import PageStore
from malsugoi_tests.support.sites import Clock, Replica, running_replica

DAY = 86_400.0
STATES = {1: "watching", 2: "completed", 3: "on_hold", 4: "dropped", 6: "plan_to_watch"}


class Ours:
    """A site flow over a replica, with one clock for client and flow."""

    def __init__(self, replica: Replica, data_dir: Path, **settings: Any) -> None:
        self.replica, self.data_dir, self.clock = replica, data_dir, Clock()
        self.settings = SiteSettings(**settings)
        self.wrap: Callable[[Any], Any] = lambda client: client

    @property
    def site(self) -> Site:
        """A new process's view: new client, new store, same data dir."""
        client = self.replica.client(self.data_dir / "state", clock=self.clock, sleep=self.clock.sleep)
        return Site(
            self.wrap(client),
            PageStore(self.data_dir),
            self.settings,
            now=lambda: datetime.fromtimestamp(self.clock.now, UTC),
        )

    def asked(self) -> list[str]:
        """What was asked for since the last call."""
        paths = self.replica.asked()
        self.replica.forget_log()
        return paths


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with running_replica(n_anime=400, n_users=60) as running:
        yield running


@pytest.fixture(scope="module")
def small() -> Iterator[Replica]:
    with running_replica(n_anime=160, n_users=20) as running:
        yield running


@pytest.fixture
def catalogue(small: Replica, tmp_path: Path) -> Ours:
    small.heal()
    small.forget_log()
    return Ours(small, tmp_path)


@pytest.fixture
def ours(replica: Replica, tmp_path: Path) -> Ours:
    replica.heal()
    replica.forget_log()
    return Ours(replica, tmp_path)


def users(world: World, **wanted: object) -> list[str]:
    return [u.username for u in world.users if all(getattr(u, name) == value for name, value in wanted.items())]


def entries_of(world: World, user: User) -> set[tuple[int, str, int | None, str | None]]:
    titles = world.titles
    return {
        (titles[e.index].anime_id, titles[e.index].title, e.score or None, STATES[e.status]) for e in user.entries
    }


def rows(listed: UserList) -> set[tuple[int, str | None, int | None, str | None]]:
    return {(e.anime_id, e.title, e.score, e.status) for e in listed.entries}


class TestCatalogue:
    """Ranking and detail pages."""

    def test_every_title_is_fetched_once_and_then_not_again(self, catalogue: Ours) -> None:
        world = catalogue.replica.world
        assert catalogue.site.catalogue_due()
        report = catalogue.site.refresh_catalogue()
        assert (report.titles, report.fetched, report.fresh, report.failed) == (160, 160, 0, ())
        assert report.ranking_complete
        asked = catalogue.asked()
        assert Counter(asked).most_common(1)[0][1] == 1
        assert len(asked) == 160 + 4
        assert not catalogue.site.catalogue_due()
        again = catalogue.site.refresh_catalogue()
        assert (again.fetched, again.fresh, catalogue.asked()) == (0, 160, [])
        stored = list(catalogue.site.anime_pages())
        assert [int(page.key) for page, _ in stored] == sorted(title.anime_id for title in world.titles)
        assert parse_anime_page(stored[7][1]).anime_id == int(stored[7][0].key)
        record = catalogue.site.page_records()[7]
        assert (record["http_status"], record["anime_id"]) == (200, int(stored[7][0].key))
        assert gzip.decompress((catalogue.data_dir / record["path"]).read_bytes()) == stored[7][1]

    def test_a_limit_takes_the_top_of_the_ranking_and_more_later_fetches_only_the_rest(self, catalogue: Ours) -> None:
        world = catalogue.replica.world
        assert catalogue.site.refresh_catalogue(30).titles == 30
        assert len(catalogue.asked()) == 31
        assert {r["anime_id"] for r in catalogue.site.page_records()} == {
            world.titles[i].anime_id for i in world.ranking[:30]
        }
        assert not catalogue.site.catalogue_due(30)
        assert catalogue.site.catalogue_due(60)
        report = catalogue.site.refresh_catalogue(60)
        assert (report.titles, report.fetched, report.fresh) == (60, 30, 30)

    def test_titles_that_air_are_fetched_again_after_days_finished_ones_after_months(self, catalogue: Ours) -> None:
        world = catalogue.replica.world
        catalogue.site.refresh_catalogue()
        catalogue.asked()
        catalogue.clock.now += 4 * DAY
        assert catalogue.site.catalogue_due()
        report = catalogue.site.refresh_catalogue()
        moving = sum(title.status != "Finished Airing" for title in world.titles)
        assert (report.fetched, report.fresh) == (moving, 160 - moving)
        catalogue.clock.now += 61 * DAY
        assert catalogue.site.refresh_catalogue().fetched == 160

    def test_a_page_that_fails_is_recorded_does_not_stop_the_rest_and_is_tried_again(self, catalogue: Ours) -> None:
        top = [catalogue.replica.world.titles[i].anime_id for i in catalogue.replica.world.ranking[:20]]
        catalogue.replica.fault(kind="status", status=500, path=f"/anime/{top[3]}")
        catalogue.replica.fault(kind="captcha", path=f"/anime/{top[9]}")
        catalogue.replica.fault(kind="redirect", path=f"/anime/{top[12]}", location=f"/anime/{top[0]}")
        report = catalogue.site.refresh_catalogue(20)
        assert (report.titles, report.fetched) == (20, 17)
        failed = dict(report.failed)
        assert sorted(failed) == sorted([top[3], top[9], top[12]])
        assert "status 500" in failed[top[3]]
        assert "captcha" in failed[top[9]]
        assert f"the page of anime {top[0]}" in failed[top[12]]
        records = {record["anime_id"]: record for record in catalogue.site.page_records()}
        assert (records[top[3]]["http_status"], records[top[3]]["path"]) == (500, None)
        assert len(list(catalogue.site.anime_pages())) == 17
        assert catalogue.site.catalogue_due(20)
        catalogue.replica.heal()
        catalogue.asked()
        assert catalogue.site.refresh_catalogue(20).fetched == 3
        assert len(catalogue.asked()) == 3
        assert not catalogue.site.catalogue_due(20)

    def test_a_title_that_is_gone_is_not_asked_for_every_day(self, catalogue: Ours) -> None:
        gone = catalogue.replica.world.titles[catalogue.replica.world.ranking[5]].anime_id
        catalogue.replica.fault(kind="status", status=404, path=f"/anime/{gone}")
        report = catalogue.site.refresh_catalogue(10)
        assert [anime_id for anime_id, _ in report.failed] == [gone]
        assert not catalogue.site.catalogue_due(10)
        assert [r["http_status"] for r in catalogue.site.page_records() if r["anime_id"] == gone] == [404]

    def test_a_page_that_fails_later_keeps_its_last_good_one(self, catalogue: Ours) -> None:
        catalogue.site.refresh_catalogue(5)
        catalogue.clock.now += 100 * DAY
        catalogue.replica.fault(kind="status", status=500, path="/anime/", count=4)
        report = catalogue.site.refresh_catalogue(5)
        assert len(report.failed) == 1
        assert len(list(catalogue.site.anime_pages())) == 5
        assert all(record["http_status"] == 200 for record in catalogue.site.page_records())

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "status", "status": 403},
            {"kind": "status", "status": 503},
            {"kind": "captcha"},
            {"kind": "reset"},
        ],
        ids=str,
    )
    def test_a_site_that_refuses_ends_the_walk_with_what_to_do(self, catalogue: Ours, fault: dict[str, Any]) -> None:
        """Three titles in a row, then no more; what was fetched is kept. Only what may pass is tried four times each."""
        catalogue.replica.fault(path="/anime/", skip=10, **fault)
        with pytest.raises(SiteStopped, match=r"Stopped after 10 of 30; what was fetched is kept\. Run the same"):
            catalogue.site.refresh_catalogue(30)
        refusals = 6 if fault.get("status") == 403 or fault["kind"] == "captcha" else 3 * 4
        assert len(catalogue.asked()) == 1 + 10 + refusals
        catalogue.replica.heal()
        assert catalogue.site.refresh_catalogue(30).fetched == 20
        assert len(catalogue.asked()) == 20

    def test_a_retry_after_of_an_hour_stops_at_once_and_says_when(self, catalogue: Ours) -> None:
        catalogue.replica.fault(kind="status", status=429, retry_after=3600, path="/anime/", skip=2)
        with pytest.raises(SiteStopped, match=r"Run the same command again after 2025-06-15 16:06:40 UTC"):
            catalogue.site.refresh_catalogue(30)
        assert len(catalogue.asked()) == 4

    @pytest.mark.parametrize("path", ["/topanime.php", "/topanime.php?limit=49"])
    def test_a_ranking_that_cannot_be_read_is_never_the_end_of_it(self, catalogue: Ours, path: str) -> None:
        catalogue.replica.fault(kind="status", status=500, path=path)
        with pytest.raises(SiteStopped, match="ranking pages"):
            catalogue.site.refresh_catalogue()
        catalogue.replica.heal()
        assert catalogue.site.refresh_catalogue(120).titles == 120
        assert all(count <= 5 for count in Counter(catalogue.asked()).values())

    def test_a_broken_file_in_the_store_is_fetched_again(self, catalogue: Ours) -> None:
        catalogue.site.refresh_catalogue(10)
        one, two = (catalogue.data_dir / record["path"] for record in catalogue.site.page_records()[:2])
        one.unlink()
        two.write_bytes(b"rubbish")
        assert len(list(catalogue.site.anime_pages())) == 8
        catalogue.asked()
        assert catalogue.site.catalogue_due(10)
        assert catalogue.site.refresh_catalogue(10).fetched == 2
        assert len(catalogue.asked()) == 2
        assert len(list(catalogue.site.anime_pages())) == 10

    @pytest.mark.parametrize("move", ["up", "down", "far up", "far down"])
    def test_no_title_is_lost_or_double_while_the_ranking_moves(self, catalogue: Ours, move: str) -> None:
        """After the second page, one title changes its place over the edges of pages that were read already."""
        world = catalogue.replica.world
        before = world.ranking
        source, target = {"up": (100, 98), "down": (98, 101), "far up": (150, 20), "far down": (20, 150)}[move]
        moved = list(before)
        moved.insert(target, moved.pop(source))

        class Moving:
            takes_validators = False

            def __init__(self, client: Any) -> None:
                self.client, self.base_url, self.count = client, client.base_url, 0

            def get(
                self,
                path: str,
                params: Mapping[str, str | int] | None = None,
                *,
                check: Any = None,
                validators: Any = None,
            ) -> Answer:
                answer: Answer = self.client.get(path, params, check=check)
                self.count += path == "/topanime.php"
                if self.count == 2:
                    world.__dict__["ranking"] = tuple(moved)
                return answer

        catalogue.wrap = Moving
        try:
            report = catalogue.site.refresh_catalogue()
        finally:
            world.__dict__["ranking"] = before
        assert (report.titles, report.fetched) == (160, 160)
        assert report.ranking_pages <= 8


class TestDiscovery:
    """The user search."""

    def test_everybody_is_found_once_also_beyond_what_one_search_shows(
        self, ours: Ours, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "SEARCH_CAP", 24)
        found = ours.site.discover()
        assert sorted(found) == sorted(users(ours.replica.world))
        assert Counter(ours.asked()).most_common(1)[0][1] == 1
        assert ours.site.discover() == found

    def test_a_search_that_is_not_capped_is_walked_once(self, ours: Ours) -> None:
        assert ours.site.discover() == users(ours.replica.world)
        assert len(ours.asked()) == 3

    def test_a_search_of_a_few_users_is_not_taken_for_a_capped_one(self, tmp_path: Path) -> None:
        """Its only page was the measure of a full one: 22 users were searched for by age, gender and letter, 912 times."""
        with running_replica(n_anime=20, n_users=22) as replica:
            ours = Ours(replica, tmp_path)
            assert len(ours.site.discover()) == 22
            assert len(ours.asked()) < 20

    def test_a_limit_ends_the_walk_early(self, ours: Ours) -> None:
        assert ours.site.discover(20) == users(ours.replica.world)[:20]
        assert len(ours.asked()) == 1
        assert not ours.site.discovery_due(20)
        assert ours.site.discovery_due(30)

    def test_it_looks_anew_each_time_and_says_when_that_is_due(self, ours: Ours) -> None:
        assert ours.site.discovery_due()
        ours.site.discover()
        assert not ours.site.discovery_due()
        assert ours.site.discovered() == users(ours.replica.world)
        ours.asked()
        ours.clock.now += 10
        ours.site.discover()
        assert len(ours.asked()) == 3
        ours.clock.now += 2 * DAY
        assert ours.site.discovery_due()

    def test_new_users_are_found(self, tmp_path: Path) -> None:
        with running_replica(n_anime=60, n_users=30) as replica:
            ours = Ours(replica, tmp_path)
            before = ours.site.discover()
            added = replica.control("POST", "users", {"add": 20})["added"]
            assert ours.site.discover() == before + added

    def test_a_name_met_again_in_another_case_is_the_same_user(self, ours: Ours) -> None:
        class Doubling:
            takes_validators = False

            def __init__(self, client: Any) -> None:
                self.client, self.base_url = client, client.base_url

            def get(
                self,
                path: str,
                params: Mapping[str, str | int] | None = None,
                *,
                check: Any = None,
                validators: Any = None,
            ) -> Answer:
                answer: Answer = self.client.get(path, params)
                shown = ours.replica.world.users[:24] if params and params["show"] == 0 else [
                    replace(user, username=user.username.upper()) for user in ours.replica.world.users[:5]
                ]  # fmt: skip
                doubled = replace(answer, body=pages.users_page(shown, 0, "").encode())
                check(doubled)
                return doubled

        ours.wrap = Doubling
        assert ours.site.discover() == users(ours.replica.world)[:24]

    @pytest.mark.parametrize("fault", [{"kind": "captcha"}, {"kind": "status", "status": 403}], ids=str)
    def test_a_wall_before_the_search_is_never_no_users(self, ours: Ours, fault: dict[str, Any]) -> None:
        ours.replica.fault(path="/users.php", **fault)
        with pytest.raises(SiteStopped, match="user search"):
            ours.site.discover()
        assert ours.site.discovery_due()
        lists = list(ours.site.fetch_lists(users(ours.replica.world, kind="ok")[:2]))
        assert [listed.list_status for listed in lists] == ["ok", "ok"]

    def test_an_interrupted_walk_goes_on_where_it_was(self, ours: Ours) -> None:
        ours.replica.fault(kind="status", status=500, path="/users.php", skip=2)
        with pytest.raises(SiteStopped):
            ours.site.discover()
        ours.replica.heal()
        ours.asked()
        assert ours.site.discover() == users(ours.replica.world)
        assert len(ours.asked()) == 1


class TestLists:
    """Whole lists, and what became of each."""

    def test_every_list_is_whole_whatever_its_form(self, ours: Ours) -> None:
        world = ours.replica.world
        lists = list(ours.site.fetch_lists(users(world)))
        assert [listed.username for listed in lists] == users(world)
        for listed, user in zip(lists, world.users, strict=True):
            assert listed.list_status == user.kind, user
            assert rows(listed) == (entries_of(world, user) if user.kind == "ok" else set())
            assert len(listed.entries) == len({entry.anime_id for entry in listed.entries})
            assert ((listed.error is None), listed.fresh) == (user.kind == "ok", False)
        assert any(len(listed.entries) > 300 for listed in lists)
        assert Counter(ours.asked()).most_common(1)[0][1] == 1

    def test_a_fresh_list_comes_from_the_store(self, ours: Ours) -> None:
        names = users(ours.replica.world)[:14]
        first = list(ours.site.fetch_lists(names))
        ours.asked()
        assert ours.site.lists_due(names) == []
        second = list(ours.site.fetch_lists(names))
        assert ours.asked() == []
        assert [replace(listed, fresh=False) for listed in second] == first
        assert all(listed.fresh for listed in second)

    def test_lists_are_fetched_again_after_a_month_closed_ones_after_three(self, ours: Ours) -> None:
        world = ours.replica.world
        names = [users(world, kind=kind)[0] for kind in ("ok", "empty", "private", "missing")]
        list(ours.site.fetch_lists(names))
        ours.clock.now += 31 * DAY
        assert ours.site.lists_due(names) == names[:2]
        ours.clock.now += 60 * DAY
        assert ours.site.lists_due(names) == names

    def test_a_user_named_twice_is_fetched_once(self, ours: Ours) -> None:
        name = users(ours.replica.world, kind="ok")[0]
        (listed,) = ours.site.fetch_lists([name, name.upper(), name])
        assert listed.username == name
        assert len(set(ours.asked())) == 1

    def test_one_bad_user_never_ends_the_rest_and_is_due_again(self, ours: Ours) -> None:
        names = users(ours.replica.world, kind="ok")[:4]
        ours.replica.fault(kind="cut", path=f"/animelist/{names[1]}")
        lists = list(ours.site.fetch_lists(names))
        assert [listed.list_status for listed in lists] == ["ok", "error", "ok", "ok"]
        assert "cut off" in str(lists[1].error)
        assert (lists[1].fetched_at, lists[1].entries) == (None, ())
        assert ours.site.lists_due(names) == [names[1]]
        ours.replica.heal()
        assert [listed.list_status for listed in ours.site.fetch_lists(names)] == ["ok"] * 4

    def test_a_list_that_only_fails_to_load_keeps_its_last_good_rows(self, ours: Ours) -> None:
        (name,) = users(ours.replica.world, kind="ok")[:1]
        (before,) = ours.site.fetch_lists([name])
        ours.clock.now += 40 * DAY
        ours.replica.fault(kind="status", status=500, path="/animelist/")
        (after,) = ours.site.fetch_lists([name])
        assert (after.list_status, after.entries, after.fetched_at) == ("ok", before.entries, before.fetched_at)
        assert "status 500" in str(after.error)
        assert ours.site.lists_due([name]) == [name]
        ours.replica.heal()
        (healed,) = ours.site.fetch_lists([name])
        assert (healed.list_status, healed.error) == ("ok", None)
        assert healed.fetched_at > before.fetched_at  # type: ignore[operator]

    @pytest.mark.parametrize(("kind", "status"), [("private", "private"), ("missing", "missing"), ("empty", "empty")])
    def test_a_list_that_closes_later_loses_its_rows(self, tmp_path: Path, kind: str, status: str) -> None:
        with running_replica(n_anime=60, n_users=4) as replica:
            ours = Ours(replica, tmp_path)
            user = replica.world.users[0]
            (before,) = ours.site.fetch_lists([user.username])
            assert before.entries
            closed = replace(user, kind=kind, entries=())  # type: ignore[arg-type]
            replica.world._by_name[user.username.casefold()] = closed
            ours.clock.now += 31 * DAY
            (after,) = ours.site.fetch_lists([user.username])
            assert (after.list_status, after.entries) == (status, ())
            assert after.error

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "status", "status": 403},
            {"kind": "status", "status": 429},
            {"kind": "status", "status": 503},
            {"kind": "captcha"},
        ],
        ids=str,
    )
    def test_a_storm_of_refusals_marks_nobody_private_or_missing_and_ends_soon(
        self, ours: Ours, fault: dict[str, Any]
    ) -> None:
        names = users(ours.replica.world)[:12]
        kept = list(ours.site.fetch_lists(names[:3]))
        ours.asked()
        ours.replica.fault(path="/", **fault)
        seen: list[UserList] = []
        with pytest.raises(SiteStopped, match=r"lists: .*Stopped after 5 of 12"):
            seen.extend(ours.site.fetch_lists(names))
        assert len(ours.asked()) == (3 * 4 if fault.get("status") == 503 else 6)
        ours.replica.heal()
        assert ours.site.lists_due(names) == names[3:]
        after = {listed.username: listed for listed in ours.site.fetch_lists(names)}
        assert [after[listed.username].entries for listed in kept] == [listed.entries for listed in kept]
        assert {after[n].list_status for n in names} == {u.kind for u in ours.replica.world.users[:12]}

    def test_an_interrupted_list_asks_only_for_what_it_lacks(self, ours: Ours) -> None:
        world = ours.replica.world
        user = next(u for u in world.users if u.style == "modern" and len(u.entries) > 300)
        ours.replica.fault(kind="status", status=500, path=f"/animelist/{user.username}/load.json")
        (failed,) = ours.site.fetch_lists([user.username])
        assert failed.list_status == "error"
        assert [path.split("?")[0].rsplit("/", 1)[1] for path in ours.asked()] == [user.username] + ["load.json"] * 4
        ours.replica.heal()
        (whole,) = ours.site.fetch_lists([user.username])
        assert rows(whole) == entries_of(world, user)

    def test_a_stored_list_that_is_broken_is_fetched_again(self, ours: Ours) -> None:
        names = users(ours.replica.world, kind="ok")[:3]
        first = list(ours.site.fetch_lists(names))
        for path in list(ours.data_dir.glob("pages/??/*.gz"))[:2]:
            path.write_bytes(b"rubbish")
        second = list(ours.site.fetch_lists(names))
        assert [listed.entries for listed in second] == [listed.entries for listed in first]
        assert sum(not listed.fresh for listed in second) >= 1
        assert all(listed.fresh for listed in ours.site.fetch_lists(names))

    def test_forgetting_a_user_leaves_nothing(self, ours: Ours) -> None:
        name = users(ours.replica.world, kind="ok")[0]
        list(ours.site.fetch_lists([name]))
        assert ours.site.forget_user(name.upper()) >= 1
        assert list(ours.data_dir.glob("pages/??/*.gz")) == []
        assert ours.site.lists_due([name]) == [name]


def test_every_setting_is_documented_with_its_default() -> None:
    text = (Path(__file__).parents[2] / "docs" / "fetching.md").read_text()
    for name, field in SiteSettings.model_fields.items():
        assert field.description, name
        (line,) = (line for line in text.splitlines() if line.startswith("|") and f"`{name}`" in line)
        assert str(field.default) in line
