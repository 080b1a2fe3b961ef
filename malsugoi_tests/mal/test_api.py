"""The official API: the same records as the pages, nothing lost to its habits, and a client id that nobody sees."""

from __future__ import annotations

import gzip
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from pydantic import SecretStr

from malsugoi_assets.assembly import build_definitions
from malsugoi_assets.mal import PrivateList, UnexpectedPage, api
from malsugoi_assets.mal.api import ApiClient
from malsugoi_assets.mal.api_answers import parse_api_list, parse_api_ranking, parse_api_title, read_title
from malsugoi_assets.mal.client import OffSiteRedirect
from malsugoi_assets.mal.errors import NotFound, TruncatedPage
from malsugoi_assets.mal.records import ListEntry, Relation
from malsugoi_assets.mal.replica.world import World
from malsugoi_assets.mal.site import Site, SiteStopped
from malsugoi_assets.mal.store import PageStore
from malsugoi_assets.resources.site_source import SiteSource
from malsugoi_assets.resources.source import SourceResource
from malsugoi_assets.settings import Settings, SettingsError
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_tests.support.sites import Clock, Replica, running_replica

SECRET = "c0ffee5ec2e7c11e47"


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with running_replica(n_anime=420, n_users=48) as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "replica" in request.fixturenames:
        running: Replica = request.getfixturevalue("replica")
        running.heal()
        running.forget_log()


def client(url: str, state_dir: Path, client_id: str = SECRET, **options: Any) -> ApiClient:
    clock = Clock()
    options = {"requests_per_second": None, "clock": clock, "sleep": clock.sleep, **options}
    return ApiClient(f"{url}/v2", SecretStr(client_id), state_dir=state_dir, **options)


def site(replica: Replica, data_dir: Path, client_id: str = SECRET) -> Site:
    state = data_dir / "state"
    clock = Clock(time.time())
    options: dict[str, Any] = {"clock": clock, "sleep": clock.sleep}
    official = client(replica.url, state, client_id, **options)
    pages = replica.client(state, **options)
    return Site(pages, PageStore(data_dir), now=lambda: datetime.fromtimestamp(clock.now, UTC), api=official)


def users(world: World, *kinds: str) -> list[str]:
    return [user.username for user in world.users if user.kind in kinds]


def answered(value: object) -> bytes:
    return json.dumps(value).encode()


class TestTitle:
    """`anime/{id}` as the record of a detail page."""

    def test_every_field_of_a_full_answer_is_read_in_the_words_of_the_pages(self) -> None:
        page = parse_api_title(
            answered(
                {
                    "id": 30,
                    "title": "Kaze no  Koe",
                    "main_picture": {"medium": "m.jpg"},
                    "alternative_titles": {"synonyms": ["Wind, Voice", ""], "en": "Voice of Wind", "ja": "風の声"},
                    "start_date": "2015-10-04",
                    "end_date": "2016-03-27",
                    "mean": 8.5,
                    "rank": 12,
                    "popularity": 340,
                    "num_list_users": 90_000,
                    "num_scoring_users": 45_000,
                    "num_favorites": 700,
                    "media_type": "tv",
                    "status": "finished_airing",
                    "genres": [
                        {"id": 1, "name": "Action"},
                        {"id": 27, "name": "Shounen"},
                        {"id": 62, "name": "Isekai"},
                        {"id": 2, "name": "Adventure"},
                    ],
                    "num_episodes": 25,
                    "average_episode_duration": 1434,
                    "start_season": {"year": 2015, "season": "fall"},
                    "source": "4_koma_manga",
                    "rating": "pg_13",
                    "studios": [{"id": 11, "name": "North Lamp"}, {"id": 12, "name": "Hinode"}],
                    "related_anime": [
                        {
                            "node": {"id": 31, "title": "Kaze no Koe 2"},
                            "relation_type": "sequel",
                            "relation_type_formatted": "Sequel",
                        }
                    ],
                    "related_manga": [
                        {"node": {"id": 7}, "relation_type": "adaptation", "relation_type_formatted": "Adaptation"}
                    ],
                }
            )
        )
        assert page.title == "Kaze no Koe"
        assert (page.title_english, page.title_japanese) == ("Voice of Wind", "風の声")
        assert page.synonyms == ("Wind, Voice",)
        assert page.episode_minutes == 23.9
        assert (page.type, page.episodes, page.status, page.season) == ("TV", 25, "Finished Airing", "Fall 2015")
        assert (page.aired_from, page.aired_to) == (date(2015, 10, 4), date(2016, 3, 27))
        assert (page.source, page.age_rating) == ("4-koma manga", "PG-13 - Teens 13 or older")
        assert (page.score, page.scored_by, page.ranked, page.popularity) == (8.5, 45_000, 12, 340)
        assert (page.members, page.favorites) == (90_000, 700)
        assert (page.genres, page.themes, page.demographics) == (("Action", "Adventure"), ("Isekai",), ("Shounen",))
        assert page.studios == ("North Lamp", "Hinode")
        assert page.relations == (Relation("Sequel", "anime", 31), Relation("Adaptation", "manga", 7))

    def test_missing_keys_are_none_or_empty_lists(self) -> None:
        """G24: no genres, no picture, no mean ended whole imports with a KeyError."""
        page = parse_api_title(answered({"id": 30, "title": "Ame", "media_type": "unknown"}))
        assert (page.anime_id, page.title) == (30, "Ame")
        assert (page.type, page.score, page.episodes, page.status, page.members) == (None, None, None, None, None)
        assert (page.genres, page.studios, page.synonyms, page.relations) == ((), (), (), ())

    @pytest.mark.parametrize("day", ["2024-11", "2025", "2025-02-30", "", 2025, None])
    def test_a_date_that_is_not_a_day_is_none(self, day: object) -> None:
        assert parse_api_title(answered({"id": 1, "title": "x", "start_date": day})).aired_from is None

    @pytest.mark.parametrize("mean", [0, 0.0, 11, "N/A", True, None, [8]])
    def test_a_mean_that_is_no_score_is_none_and_never_zero(self, mean: object) -> None:
        assert parse_api_title(answered({"id": 1, "title": "x", "mean": mean})).score is None

    def test_no_episodes_no_votes_and_the_season_of_a_film_are_none(self) -> None:
        said = {"num_episodes": 0, "num_scoring_users": 0, "media_type": "movie"}
        page = parse_api_title(
            answered({"id": 1, "title": "x", "start_season": {"year": 2020, "season": "fall"}} | said)
        )
        assert (page.episodes, page.scored_by, page.season, page.type) == (None, None, None, "Movie")

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            (b"", TruncatedPage),
            (b'{"id": 5, "title": "Ka', TruncatedPage),
            (b"[]", UnexpectedPage),
            (b'{"title": "no id"}', UnexpectedPage),
            (b'{"id": 5}', UnexpectedPage),
            (b'{"id": "x", "title": "y"}', UnexpectedPage),
            (b'{"error": "not_found", "message": ""}', NotFound),
            (b'{"error": "invalid_token"}', UnexpectedPage),
            (b'{"id": 5, "title": "\xff\xfe"}', UnexpectedPage),
            (b"<html><title>404 Not Found</title></html>", NotFound),
        ],
    )
    def test_what_is_no_title_is_named(self, body: bytes, error: type[Exception]) -> None:
        with pytest.raises(error):
            parse_api_title(body)


class TestRankingAndList:
    """Rows of the ranking and of lists."""

    def test_ranking_rows_have_id_title_rank_and_score(self) -> None:
        rows = [
            {"node": {"id": 5, "title": "A", "mean": 9.1}, "ranking": {"rank": 1}},
            {"node": {"id": 6, "title": "B"}, "ranking": {}},
        ]
        found = parse_api_ranking(answered({"data": rows, "paging": {}}))
        assert [(e.anime_id, e.title, e.ranked, e.score) for e in found] == [(5, "A", 1, 9.1), (6, "B", None, None)]

    def test_list_rows_keep_what_they_have(self) -> None:
        """G20, G21, G24: an unknown status, rewatching, a row without `list_status`, a partial date."""
        said = {"status": "completed", "score": 0, "num_episodes_watched": 3, "is_rewatching": True}
        rows = [
            {"node": {"id": 5, "title": "A"}, "list_status": said | {"updated_at": "2024-11-02T10:00:00+02:00"}},
            {"node": {"id": 6, "title": "B"}, "list_status": {"score": 7, "updated_at": "2024-11"}},
            {"node": {"id": 7, "title": "C"}},
            {"node": {"id": 8, "title": "D"}, "list_status": {"status": "plan_to_read", "start_date": "2025"}},
            {"node": {"id": 9, "title": "E"}, "list_status": {"status": "musing", "score": 10}},
        ]
        page = parse_api_list(answered({"data": rows, "paging": {"next": "http://x/y?limit=5&offset=5"}}))
        assert page.next_offset == 5
        moment = datetime(2024, 11, 2, 8, tzinfo=UTC)
        assert page.entries == (
            ListEntry(5, "A", None, "completed", 3, moment),
            ListEntry(6, "B", 7, None, None, None),
            ListEntry(7, "C"),
            ListEntry(8, "D", None, "plan_to_watch"),
            ListEntry(9, "E", 10),
        )

    @pytest.mark.parametrize("rows", [None, {}, "x", [1], [{"node": {"title": "no id"}}], [{"node": 5}]])
    def test_rows_that_cannot_be_read_are_an_error_and_never_an_empty_list(self, rows: object) -> None:
        with pytest.raises(UnexpectedPage):
            parse_api_list(answered({"data": rows}))

    def test_a_score_of_another_kind_is_an_error_that_names_the_row(self) -> None:
        rows = [{"node": {"id": 5, "title": "A"}, "list_status": {"score": 70}}]
        with pytest.raises(UnexpectedPage, match="row 1"):
            parse_api_list(answered({"data": rows}))

    @pytest.mark.parametrize("link", ["http://x/y", "http://x/y?offset=", "http://x/y?offset=-1", "http://[x"])
    def test_a_next_link_that_leads_nowhere_is_an_error(self, link: str) -> None:
        with pytest.raises(UnexpectedPage):
            parse_api_list(answered({"data": [], "paging": {"next": link}}))

    def test_a_private_list_is_named(self) -> None:
        with pytest.raises(PrivateList):
            parse_api_list(answered({"error": "not_permitted", "message": ""}))


class TestFlows:
    """Catalogue and lists through the API."""

    def test_the_catalogue_is_the_one_of_the_pages(self, replica: Replica, tmp_path: Path) -> None:
        """All but synonyms, which the API gives undivided, and manga, of which it relates none."""
        by_pages = Site(replica.client(tmp_path / "p" / "state"), PageStore(tmp_path / "p"))
        by_pages.refresh_catalogue(60)
        replica.forget_log()
        by_api = site(replica, tmp_path / "a")
        report = by_api.refresh_catalogue(60)
        assert (report.titles, report.fetched, report.failed) == (60, 60, ())
        assert all(path.startswith("/v2/anime/") for path in replica.asked())
        pages = {p.key: read_title(body) for p, body in by_pages.anime_pages()}
        found = {p.key: read_title(body) for p, body in by_api.anime_pages()}
        assert found.keys() == pages.keys()
        for key, page in pages.items():
            other = found[key]
            assert {r for r in page.relations if r.related_kind == "anime"} == set(other.relations)
            same = {"synonyms": other.synonyms, "relations": other.relations}
            assert {**vars(page), **same} == vars(other)
        assert any(page.relations for page in found.values())
        replica.forget_log()
        assert by_api.refresh_catalogue(60).fresh == 60
        assert replica.asked() == []

    def test_the_end_of_the_ranking_is_found_at_status_400(self, replica: Replica, tmp_path: Path) -> None:
        report = site(replica, tmp_path).refresh_catalogue()
        assert (report.titles, report.ranking_complete, report.ranking_pages) == (420, True, 9)

    def test_a_title_that_is_gone_is_a_404_and_the_rest_goes_on(self, replica: Replica, tmp_path: Path) -> None:
        first = replica.world.titles[replica.world.ranking[0]].anime_id
        flow = site(replica, tmp_path)
        assert flow._catalogue._api is not None
        with pytest.raises(NotFound):
            flow._catalogue._api.title(5)
        assert flow.refresh_catalogue(10).failed == ()
        record = {r["anime_id"]: r for r in flow.page_records()}
        assert record[5]["http_status"] == 404
        assert record[first]["url"].startswith(f"{replica.url}/v2/anime/{first}?fields=")

    def test_every_call_asks_for_all_titles_in_lower_case(self, replica: Replica, tmp_path: Path) -> None:
        """G23: without `nsfw=true` the API leaves out all-ages titles as well."""
        name = max(replica.world.users, key=lambda user: len(user.entries) * (user.kind == "ok")).username
        flow = site(replica, tmp_path)
        flow.refresh_catalogue(5)
        whole = next(flow.fetch_lists([name])).entries
        assert all(parse_qs(urlsplit(path).query)["nsfw"] == ["true"] for path in replica.asked())
        url = f"{replica.url}/v2/users/{name}/animelist?limit=1000&nsfw=True"
        shown = requests.get(url, headers={api.HEADER: SECRET}, timeout=10).json()["data"]
        assert 0 < len(shown) < len(whole) == len(replica.world.user(name).entries)  # type: ignore[union-attr]

    def test_lists_are_whole_over_all_their_pages(
        self, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """G25: entries in pages; the first page was thrown away when the later ones came."""
        monkeypatch.setattr(api, "LIST_LIMIT", 100)
        user = max(replica.world.users, key=lambda user: len(user.entries))
        assert len(user.entries) > 300
        found = next(site(replica, tmp_path).fetch_lists([user.username]))
        titles = replica.world.titles
        assert {(e.anime_id, e.score, e.episodes_watched) for e in found.entries} == {
            (titles[e.index].anime_id, e.score or None, e.episodes_watched) for e in user.entries
        }
        assert len(replica.asked()) == -(-len(user.entries) // 100)
        again = next(site(replica, tmp_path).fetch_lists([user.username]))
        assert (again.fresh, again.entries) == (True, found.entries)

    def test_an_interrupted_list_goes_on_where_it_was(
        self, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(api, "LIST_LIMIT", 100)
        user = max(replica.world.users, key=lambda user: len(user.entries))
        replica.fault(kind="status", status=500, path="/v2/users/", skip=2)
        assert next(site(replica, tmp_path).fetch_lists([user.username])).list_status == "error"
        replica.heal()
        store = PageStore(tmp_path)
        assert store.last_good("list_json", f"{user.username.casefold()}?api=100") is not None

    def test_an_answer_behind_the_last_row_ends_the_list(self, tmp_path: Path) -> None:
        """G25: some calls answer 400 past the end; that is the end, not a failure."""

        class Stub:
            base_url, takes_validators = "http://127.0.0.1", False

            def get(self, path: str, params: Any = None, *, check: Any = None, validators: Any = None) -> api.Answer:
                past = params.get("offset", 0) > 0
                body = (
                    {"error": "bad_request", "message": "offset"}
                    if past
                    else {"data": [{"node": {"id": 5, "title": "A"}}], "paging": {"next": "http://x/?offset=1000"}}
                )
                return api.Answer(path, 400 if past else 200, answered(body), datetime.now(UTC), f"{past:064d}")

        flow = Site(Stub(), PageStore(tmp_path), api=Stub())
        found = next(flow.fetch_lists(["somebody"]))
        assert (found.list_status, [e.anime_id for e in found.entries]) == ("ok", [5])

    def test_each_kind_of_list_has_its_own_status_in_one_batch(self, replica: Replica, tmp_path: Path) -> None:
        """G1, G2, G3: unknown, private and empty users were all shown as empty, or ended the import."""
        kinds = {user.username: user.kind for user in replica.world.users}
        assert set(kinds.values()) == {"ok", "private", "missing", "empty"}
        flow = site(replica, tmp_path)
        found = {f.username: f for f in flow.fetch_lists([*kinds, "nobody_of_that_name"])}
        assert {name: f.list_status for name, f in found.items()} == {**kinds, "nobody_of_that_name": "missing"}
        assert all(bool(f.entries) == (f.list_status == "ok") for f in found.values())
        assert len(replica.asked()) == len(found)

    def test_usernames_come_from_the_pages(self, replica: Replica, tmp_path: Path) -> None:
        assert len(site(replica, tmp_path).discover(20)) == 20
        assert all(path.startswith("/users.php") for path in replica.asked())


class TestRefusals:
    """Nobody is private or missing because the API refuses."""

    def outcomes(self, data_dir: Path, names: list[str]) -> set[str | None]:
        store = PageStore(data_dir)
        return {outcome.list_status if (outcome := store.outcome(name)) else None for name in names}

    def test_a_wrong_client_id_ends_the_flow_at_the_first_answer(self, replica: Replica, tmp_path: Path) -> None:
        names = users(replica.world, "ok")[:5]
        with pytest.raises(SiteStopped, match="MALSUGOI_MAL_CLIENT_ID") as stopped:
            list(site(replica, tmp_path, "wrong-id-5").fetch_lists(names))
        assert "wrong-id-5" not in str(stopped.value)
        assert len(replica.asked()) == 1
        assert self.outcomes(tmp_path, names) <= {None, "error"}
        with pytest.raises(SiteStopped, match="MALSUGOI_MAL_CLIENT_ID"):
            site(replica, tmp_path, "wrong-id-5").refresh_catalogue(10)

    def test_a_bare_403_is_no_private_list(self, replica: Replica, tmp_path: Path) -> None:
        """G5: hours of 403 from a guard; only the API's own `not_permitted` says that a list is private."""
        names = users(replica.world, "ok")[:5]
        replica.fault(kind="status", status=403, path="/v2/")
        with pytest.raises(SiteStopped):
            list(site(replica, tmp_path).fetch_lists(names))
        assert self.outcomes(tmp_path, names) <= {None, "error"}

    @pytest.mark.parametrize("wrong", ["/nowhere", "/anime"])
    def test_an_address_without_an_api_makes_nobody_missing(
        self, replica: Replica, tmp_path: Path, wrong: str
    ) -> None:
        names = users(replica.world, "ok")[:5]
        state = tmp_path / "state"
        lost = ApiClient(replica.url + wrong, SecretStr(SECRET), requests_per_second=None, state_dir=state)
        with pytest.raises(SiteStopped, match="MALSUGOI_MAL_API_URL"):
            list(Site(replica.client(state), PageStore(tmp_path), api=lost).fetch_lists(names))
        assert self.outcomes(tmp_path, names) <= {None, "error"}

    def test_a_captcha_with_status_200_is_a_refusal(self, replica: Replica, tmp_path: Path) -> None:
        names = users(replica.world, "ok")[:5]
        replica.fault(kind="captcha", path="/v2/")
        with pytest.raises(SiteStopped, match="captcha"):
            list(site(replica, tmp_path).fetch_lists(names))

    def test_what_passes_is_tried_again(self, replica: Replica, tmp_path: Path) -> None:
        replica.fault(kind="status", status=429, retry_after=5, path="/v2/users/", count=2)
        replica.fault(kind="cut", path="/v2/users/", count=1)
        name = users(replica.world, "ok")[0]
        assert next(site(replica, tmp_path).fetch_lists([name])).list_status == "ok"


class TestSecret:
    """The client id reaches the API and nothing else."""

    def test_it_goes_to_the_api_and_to_no_other_host(self, replica: Replica, tmp_path: Path) -> None:
        with running_replica(n_anime=30, n_users=5) as other:
            replica.fault(kind="redirect", path="/v2/", location=f"{other.url}/v2/anime/ranking")
            with pytest.raises(OffSiteRedirect):
                client(replica.url, tmp_path).get("/anime/ranking")
            assert other.asked() == []

    def test_an_answer_that_repeats_it_is_kept_without_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = client("http://127.0.0.1:9", tmp_path)
        echo = api.Answer("u", 200, answered({"data": [], "you": SECRET}), datetime.now(UTC), "0")
        monkeypatch.setattr(asked, "_hop", lambda url, left_at, validators: echo)
        assert SECRET.encode() not in asked.get("/anime/ranking").body

    def test_no_file_log_or_text_of_ours_holds_it(
        self, replica: Replica, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        environ = {
            "MALSUGOI_SOURCE": "live",
            "MALSUGOI_MAL_URL": replica.url,
            "MALSUGOI_MAL_API_URL": f"{replica.url}/v2",
            "MALSUGOI_MAL_CLIENT_ID": SECRET,
            "MALSUGOI_DATA_DIR": str(tmp_path),
        }
        settings = Settings.load(environ, max_anime=60, max_users=20)
        said: list[str] = []
        source = SiteSource(settings, DataDir(tmp_path))
        source.pages(said.append)
        source.lists(source.usernames(said.append), said.append)
        with pytest.raises(SiteStopped) as stopped:
            site(replica, tmp_path, "wrong" + SECRET).refresh_catalogue(400)
        texts = [
            repr(settings), str(settings), settings.model_dump_json(), repr(vars(settings)), repr(source),
            repr(client(replica.url, tmp_path).__dict__), str(stopped.value), repr(stopped.value),
            *said, caplog.text, *capfd.readouterr(), json.dumps(replica.control("GET", "log")),
        ]  # fmt: skip
        assert [text for text in texts if SECRET in text] == []
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert len(files) > 60
        for path in files:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            assert SECRET.encode() not in content, path

    def test_dagster_does_not_get_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A resource's configuration is shown in Dagster's page and stored with each run."""
        monkeypatch.setenv("MALSUGOI_MAL_CLIENT_ID", SECRET)
        monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
        resource = (build_definitions().resources or {})["source"]
        assert isinstance(resource, SourceResource)
        assert SECRET not in repr(resource)
        assert SECRET not in json.dumps(resource.settings)
        loaded = resource.load_settings().mal_client_id
        assert loaded is not None
        assert loaded.get_secret_value() == SECRET

    def test_one_that_fits_in_no_header_is_refused_without_being_shown(self) -> None:
        with pytest.raises(SettingsError, match="MALSUGOI_MAL_CLIENT_ID") as refused:
            Settings.load({"MALSUGOI_MAL_CLIENT_ID": f"{SECRET}\r\nX-Other: 1"})
        assert SECRET not in str(refused.value)
        assert refused.value.__cause__ is None

    def test_blanks_around_it_do_not_matter(self) -> None:
        settings = Settings.load({"MALSUGOI_MAL_CLIENT_ID": f" {SECRET}\n"})
        assert settings.mal_client_id is not None
        assert settings.mal_client_id.get_secret_value() == SECRET

    def test_pages_of_one_site_and_answers_of_another_are_refused(self) -> None:
        environ = {"MALSUGOI_SOURCE": "live", "MALSUGOI_MAL_URL": "http://127.0.0.1:9", "MALSUGOI_MAL_CLIENT_ID": "x"}
        with pytest.raises(SettingsError, match="MALSUGOI_MAL_API_URL"):
            Settings.load(environ)
