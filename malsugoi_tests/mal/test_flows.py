"""What the site does behind a flow's back: titles go and merge, lists change and move, searches hide people."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from malsugoi_assets.mal import parse_anime_page
from malsugoi_assets.mal.client import Answer
from malsugoi_assets.mal.errors import PageError
from malsugoi_assets.mal.lists import UserList
from malsugoi_assets.mal.replica import pages, server
from malsugoi_assets.mal.replica.world import User
from malsugoi_assets.mal.site import SiteStopped
from malsugoi_tests.mal.test_site import DAY, Ours, entries_of, rows, users
from malsugoi_tests.support.sites import Replica, running_replica

Change = Callable[[str, Mapping[str, str | int], Answer], Answer]


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with running_replica(n_anime=400, n_users=60) as running:
        yield running


@pytest.fixture
def ours(replica: Replica, tmp_path: Path) -> Ours:
    replica.heal()
    replica.forget_log()
    return Ours(replica, tmp_path)


def altering(ours: Ours, change: Change) -> None:
    """Let every answer pass through `change` before anybody looks at it."""

    class Client:
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
            answer = change(path, params or {}, self.client.get(path, params))
            with contextlib.suppress(PageError):  # for the caller, who keeps the answer
                if check is not None:
                    check(answer)
            return answer

    ours.wrap = Client


def _page(ours: Ours, index: int) -> bytes:
    return pages.anime_page(ours.replica.world, ours.replica.world.titles[index]).encode()


def with_body(answer: Answer, body: str, **more: Any) -> Answer:
    return replace(answer, body=body.encode(), sha256=hashlib.sha256(body.encode()).hexdigest(), **more)


class TestTitles:
    """Titles that the site no longer shows."""

    def test_a_title_that_is_deleted_stays_with_status_404_and_its_last_good_page(self, ours: Ours) -> None:
        """The last good page used to keep its 200 for ever, and titles off the ranking were never asked for again."""
        ours.site.refresh_catalogue(20)
        before = {r["anime_id"]: r for r in ours.site.page_records()}
        gone = ours.replica.world.titles[ours.replica.world.ranking[7]].anime_id
        ours.replica.fault(kind="status", status=404, path=f"/anime/{gone}")
        ours.clock.now += 61 * DAY
        report = ours.site.refresh_catalogue(20)
        assert (report.gone, [i for i, _ in report.failed]) == (1, [gone])
        after = {r["anime_id"]: r for r in ours.site.page_records()}
        assert after.keys() == before.keys()
        assert (after[gone]["http_status"], after[gone]["sha256"]) == (404, before[gone]["sha256"])
        assert (ours.data_dir / after[gone]["path"]).exists()
        assert "404" in after[gone]["error"]
        assert {r["http_status"] for i, r in after.items() if i != gone} == {200}
        assert gone in {int(page.key) for page, _ in ours.site.anime_pages()}
        assert not ours.site.catalogue_due(20)

    def test_a_title_that_leaves_the_ranking_is_asked_for_soon_and_found_gone(self, tmp_path: Path) -> None:
        with running_replica(n_anime=60, n_users=4) as replica:
            ours = Ours(replica, tmp_path)
            ours.site.refresh_catalogue()
            world = replica.world
            index = world.ranking[3]
            gone = world.titles[index].anime_id
            world.__dict__["ranking"] = tuple(i for i in world.ranking if i != index)
            replica.fault(kind="status", status=404, path=f"/anime/{gone}")
            ours.clock.now += 4 * DAY
            report = ours.site.refresh_catalogue()
            assert (report.titles, report.gone) == (60, 1)
            ours.asked()
            ours.clock.now += 2 * DAY
            ours.site.refresh_catalogue()
            assert f"/anime/{gone}" not in ours.asked()

    def test_a_title_merged_into_another_counts_as_gone(self, ours: Ours) -> None:
        ours.site.refresh_catalogue(10)
        top = [ours.replica.world.titles[i].anime_id for i in ours.replica.world.ranking[:10]]
        ours.replica.fault(kind="redirect", path=f"/anime/{top[4]}", location=f"/anime/{top[0]}")
        ours.clock.now += 61 * DAY
        assert ours.site.refresh_catalogue(10).gone == 1
        record = next(r for r in ours.site.page_records() if r["anime_id"] == top[4])
        assert (record["http_status"], f"the page of anime {top[0]}" in record["error"]) == (404, True)
        assert not ours.site.catalogue_due(10)

    def test_a_deleted_title_above_does_not_hide_one_at_a_page_s_edge(self, ours: Ours) -> None:
        """Nothing is met twice then: all below move up by one, and the first of the next page is never shown."""
        world = ours.replica.world
        before = world.ranking
        deleted = world.titles[before[10]].anime_id

        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            if path == "/topanime.php" and params["limit"] == 0:
                world.__dict__["ranking"] = tuple(i for i in before if i != before[10])
            return answer

        altering(ours, change)
        try:
            report = ours.site.refresh_catalogue()
        finally:
            world.__dict__["ranking"] = before
        assert report.titles == 400
        assert not report.ranking_moved
        assert deleted in {r["anime_id"] for r in ours.site.page_records()}

    def test_a_ranking_that_never_holds_still_is_walked_a_bounded_number_of_times_and_says_so(
        self, ours: Ours
    ) -> None:
        world = ours.replica.world
        before = world.ranking

        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            if path == "/topanime.php":
                world.__dict__["ranking"] = world.ranking[1:] + world.ranking[:1]
            return answer

        altering(ours, change)
        try:
            report = ours.site.refresh_catalogue(120)
        finally:
            world.__dict__["ranking"] = before
        assert report.ranking_moved
        assert report.ranking_pages <= 3 * 4

    def test_a_site_that_only_knows_whole_pages_of_the_ranking_is_walked_side_by_side(self, ours: Ours) -> None:
        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            if path != "/topanime.php":
                return answer
            body = pages.top_page(ours.replica.world, int(params["limit"]) // 50 * 50)
            return answer if body is None else with_body(answer, body)

        altering(ours, change)
        report = ours.site.refresh_catalogue(130)
        assert (report.titles, report.ranking_moved, report.ranking_pages) == (130, False, 4)

    def test_page_after_page_that_cannot_be_read_stops_with_the_reason(self, ours: Ours) -> None:
        """The site's pages have changed: asking for the other thousands would tell nothing new."""
        ours.site.refresh_catalogue(20)
        good = [r["sha256"] for r in ours.site.page_records()]
        ours.clock.now += 61 * DAY

        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            if not path.startswith("/anime/"):
                return answer
            return with_body(answer, answer.body.decode().replace("Favorites:", "Likes:"))

        altering(ours, change)
        ours.asked()
        with pytest.raises(SiteStopped, match="the label Favorites is missing"):
            ours.site.refresh_catalogue(20)
        assert sum(path.startswith("/anime/") for path in ours.asked()) == 10
        records = ours.site.page_records()
        assert [r["sha256"] for r in records] == good
        assert sum("Favorites" in (r["error"] or "") for r in records) == 10

    def test_a_heading_with_nothing_under_it_is_an_error_of_that_page_not_an_empty_list(self, ours: Ours) -> None:
        """A changed block of related entries made titles look as if they had none, and the relations were lost."""
        world = ours.replica.world
        before = world.ranking[:20]
        ours.site.refresh_catalogue(20)
        related = [world.titles[i].anime_id for i in before if b"related_entries" in _page(ours, i)][:3]
        ours.clock.now += 61 * DAY

        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            body, end = answer.body.decode(), answer.body.decode().rfind("</body>")
            start = body.find('<div class="related-entries">')
            struck = path in {f"/anime/{anime_id}" for anime_id in related}
            return with_body(answer, body[:start] + body[end:]) if struck else answer

        altering(ours, change)
        report = ours.site.refresh_catalogue(20)
        assert sorted(i for i, _ in report.failed) == sorted(related)
        assert all("nothing under it" in why for _, why in report.failed)
        errors = {r["anime_id"]: r["error"] for r in ours.site.page_records() if r["error"]}
        assert sorted(errors) == sorted(related)
        parsed = {int(page.key): parse_anime_page(body) for page, body in ours.site.anime_pages()}
        assert all(parsed[anime_id].relations for anime_id in related)

    def test_what_has_not_changed_is_not_sent_again_and_costs_no_new_file(self, ours: Ours) -> None:
        """The site is asked whether the page still holds; a 304 counts as fetched."""
        ours.site.refresh_catalogue(20)
        files = sorted(ours.data_dir.glob("pages/??/*.gz"))
        before = ours.site.page_records()
        ours.clock.now += 61 * DAY
        ours.asked()
        report = ours.site.refresh_catalogue(20)
        assert (report.fetched, report.failed) == (20, ())
        ours.clock.now += 61 * DAY
        assert ours.site.refresh_catalogue(20).fetched == 20
        statuses = [entry["status"] for entry in ours.replica.control("GET", "log")]
        assert statuses == [304] * 2 * 21
        assert sorted(ours.data_dir.glob("pages/??/*.gz")) == files
        after = ours.site.page_records()
        assert [{**r, "fetched_at": 0} for r in after] == [{**r, "fetched_at": 0} for r in before]
        assert min(r["fetched_at"] for r in after) > max(r["fetched_at"] for r in before)
        assert len(list(ours.site.anime_pages())) == 20
        assert not ours.site.catalogue_due(20)

    def test_a_page_whose_file_is_broken_is_asked_for_whole(self, ours: Ours) -> None:
        ours.site.refresh_catalogue(2)
        broken = ours.data_dir / ours.site.page_records()[0]["path"]
        broken.write_bytes(b"rubbish")
        ours.clock.now += 61 * DAY
        ours.asked()
        assert ours.site.refresh_catalogue(2).fetched == 2
        assert sorted(e["status"] for e in ours.replica.control("GET", "log")) == [200, 304, 304]
        assert len(list(ours.site.anime_pages())) == 2


class TestLists:
    """Lists that change, move, or hide behind a layout."""

    @staticmethod
    def long_list(ours: Ours) -> User:
        return next(u for u in ours.replica.world.users if u.style == "modern" and len(u.entries) > 300)

    @staticmethod
    def read_while_it_changes(ours: Ours, user: User, change: Change) -> UserList:
        """The user's list as it is read while `change` puts others in the user's place, who comes back at the end."""
        altering(ours, change)
        try:
            (found,) = ours.site.fetch_lists([user.username])
        finally:
            ours.replica.world._by_name[user.username.casefold()] = user
        return found

    def test_a_row_deleted_while_the_list_is_read_loses_no_other(self, ours: Ours) -> None:
        """The row behind the page's edge moved up to where nobody looked any more."""
        world, user = ours.replica.world, self.long_list(ours)
        shorter = replace(user, entries=user.entries[:5] + user.entries[6:])

        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            if path == f"/animelist/{user.username}":
                world._by_name[user.username.casefold()] = shorter
            return answer

        found = self.read_while_it_changes(ours, user, change)
        assert rows(found) == entries_of(world, shorter)
        assert len(ours.asked()) == 2 + 3

    def test_a_list_that_never_holds_still_is_read_a_bounded_number_of_times_and_merged(self, ours: Ours) -> None:
        world, user = ours.replica.world, self.long_list(ours)
        now = [user]

        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            entries = now[0].entries
            now[0] = replace(user, entries=entries[1:] + entries[:1])
            world._by_name[user.username.casefold()] = now[0]
            return answer

        found = self.read_while_it_changes(ours, user, change)
        assert found.list_status == "ok"
        assert rows(found) == entries_of(world, user)
        assert len(ours.asked()) == 2 + 3 + 3

    def test_a_list_made_private_between_its_pages_has_no_rows(self, ours: Ours) -> None:
        world, user = ours.replica.world, self.long_list(ours)

        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            world._by_name[user.username.casefold()] = replace(user, kind="private")
            return answer

        found = self.read_while_it_changes(ours, user, change)
        assert (found.list_status, found.entries) == ("private", ())
        assert "does not share" in str(found.error)

    def test_a_layout_that_cannot_be_read_leaves_load_json(self, ours: Ours) -> None:
        world, user = ours.replica.world, self.long_list(ours)

        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            if path.endswith("load.json"):
                return answer
            return with_body(answer, "<html><body><h1>My very own layout</h1></body></html>")

        altering(ours, change)
        (found,) = ours.site.fetch_lists([user.username])
        assert (found.list_status, rows(found)) == ("ok", entries_of(world, user))

    def test_a_layout_that_cannot_be_read_and_no_rows_is_never_an_empty_list(self, ours: Ours) -> None:
        """Some sites answer [] for a user that they do not have."""
        name = users(ours.replica.world, kind="ok")[0]

        def change(path: str, params: Mapping[str, str | int], answer: Answer) -> Answer:
            return with_body(answer, "[]" if path.endswith("load.json") else "<html><body>Hello</body></html>")

        altering(ours, change)
        (found,) = ours.site.fetch_lists([name])
        assert found.list_status == "error"

    def test_a_renamed_user_is_missing_with_that_reason_and_has_none_of_the_other_s_rows(self, ours: Ours) -> None:
        old, new = users(ours.replica.world, kind="ok")[:2]
        ours.replica.fault(kind="redirect", path=f"/animelist/{old}", location=f"/animelist/{new}?status=7")
        (found,) = ours.site.fetch_lists([old])
        assert (found.list_status, found.entries) == ("missing", ())
        assert "renamed" in str(found.error)
        assert ours.site.lists_due([old]) == []
        ours.clock.now += 91 * DAY
        assert ours.site.lists_due([old]) == [old]

    def test_every_closed_list_says_why(self, ours: Ours) -> None:
        names = [users(ours.replica.world, kind=kind)[0] for kind in ("private", "missing", "empty")]
        reasons = [str(listed.error) for listed in ours.site.fetch_lists(names)]
        assert [
            words in reason for words, reason in zip(("share", "no such user", "no titles"), reasons, strict=True)
        ]
        assert len(set(reasons)) == 3
        assert ours.site.lists_due(names) == []
        assert [str(listed.error) for listed in ours.site.fetch_lists(names)] == reasons


class TestSearches:
    """What one search of users hides."""

    def everybody_is_30(self, ours: Ours, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        world = ours.replica.world
        same = [replace(user, age=30, gender=1) for user in world.users]
        monkeypatch.setattr(world, "users", same)
        monkeypatch.setattr(server, "SEARCH_CAP", 48)
        return [user.username for user in same]

    def test_one_age_and_gender_that_are_still_capped_are_split_by_letters(
        self, ours: Ours, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = self.everybody_is_30(ours, monkeypatch)
        assert sorted(ours.site.discover()) == sorted(names)
        assert ours.site.discovery_gaps()[0].startswith("whoever gives no age")
        assert not ours.site.discovery_due()

    def test_a_site_that_ignores_the_letter_leaves_a_gap_that_is_named(
        self, ours: Ours, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It used to be called complete."""
        names = self.everybody_is_30(ours, monkeypatch)
        found = server.search
        monkeypatch.setattr(server, "search", lambda people, query: found(people, {**query, "q": ""}))
        assert ours.site.discover() == names[:48]
        assert "age 30, male" in ours.site.discovery_gaps()
        assert sum("q=&" not in path for path in ours.asked()) == 1

    def test_where_letters_are_not_honoured_every_age_and_gender_that_is_capped_is_named(
        self, ours: Ours, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = ours.replica.world
        people = [replace(u, age=30 + i % 2, gender=1 + i // 2 % 2) for i, u in enumerate(world.users)]
        monkeypatch.setattr(world, "users", people)
        monkeypatch.setattr(server, "SEARCH_CAP", 12)
        monkeypatch.setattr(pages, "USERS_PAGE", 6)
        found = server.search
        monkeypatch.setattr(server, "search", lambda people, query, *more: found(people, {**query, "q": ""}, *more))
        ours.site.discover()
        hidden = {gap for gap in ours.site.discovery_gaps() if "male" in gap}
        assert hidden == {f"age {age}, {who}" for age in (30, 31) for who in ("male", "female")}
        assert sum("q=&" not in path for path in ours.asked()) == 1

    def test_a_thousand_users_cost_few_pages(self, tmp_path: Path) -> None:
        """Narrow searches first asked for four times as many: most of what they show was seen before."""
        with running_replica(n_anime=60, n_users=1_500) as replica:
            ours = Ours(replica, tmp_path)
            assert len(ours.site.discover(500)) == 500
            assert len(ours.asked()) <= 40

    def test_a_search_that_is_not_capped_has_no_gap(self, ours: Ours) -> None:
        ours.site.discover()
        assert ours.site.discovery_gaps() == []

    def test_a_search_for_everybody_that_finds_nobody_is_never_no_users(self, ours: Ours) -> None:
        """Only users.php was behind a wall, with status 200 and a page that reads like an empty result."""
        altering(ours, lambda path, params, answer: with_body(answer, pages.users_page([], 0, "")))
        with pytest.raises(SiteStopped, match="a search for everybody without users"):
            ours.site.discover()
        assert ours.site.discovered() == []
        assert ours.site.discovery_due()


def test_json_of_a_list_is_what_the_replica_says_it_is(ours: Ours) -> None:
    """The tests above change lists behind load.json; this holds that they change what is asked for."""
    user = TestLists.long_list(ours)
    answer = server.route(ours.replica.world, f"/animelist/{user.username}/load.json?offset=300&status=7")
    assert len(json.loads(answer.body)) == len(user.entries) - 300
