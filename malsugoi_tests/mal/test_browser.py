"""The browser: whole rendered lists, nothing asked but of the site and in its turn, and no process left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from malsugoi_assets.mal import NeedsScripts, browser, parse_anime_page, parse_list_page
from malsugoi_assets.mal.browser import BrowserClient, PagesOrBrowser, open_client
from malsugoi_assets.mal.client import ClientError, MalClient, OffSiteRedirect
from malsugoi_assets.mal.replica.world import User
from malsugoi_assets.mal.site import Site
from malsugoi_assets.mal.store import PageStore
from malsugoi_assets.resources.source import open_source
from malsugoi_assets.settings import Settings, SettingsError
from malsugoi_tests.support.browsers import needs_chromium
from malsugoi_tests.support.shared import REPO
from malsugoi_tests.support.sites import Clock, Replica, running_replica

pytestmark = pytest.mark.browser
STATES = {1: "watching", 2: "completed", 3: "on_hold", 4: "dropped", 6: "plan_to_watch"}


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with running_replica(n_anime=420, n_users=24) as running:
        yield running
    browser.close_browser()


@pytest.fixture(autouse=True)
def _fresh(request: pytest.FixtureRequest) -> None:
    if "replica" in request.fixturenames:
        running: Replica = request.getfixturevalue("replica")
        running.heal()
        running.forget_log()


def client(url: str, state_dir: Path, **options: Any) -> BrowserClient:
    clock = Clock()
    options = {"requests_per_second": None, "clock": clock, "sleep": clock.sleep, "deadline": 20, **options}
    return BrowserClient(url, state_dir=state_dir, **options)


def longest(replica: Replica) -> User:
    return max((user for user in replica.world.users if user.style == "modern"), key=lambda user: len(user.entries))


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def alive(group: int) -> bool:
    """Whether a process of the group runs; dead ones that nobody has collected do not count."""
    said = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return any(line.split()[0] == str(group) and "Z" not in line.split()[1] for line in said.splitlines())


class Pages:
    """A site of hand-written pages, and what was asked of it."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        self.agents: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.command, self.path))
                outer.agents.add(self.headers["User-Agent"])
                status, headers, body = outer.pages.get(self.path.split("?")[0], (404, {}, b"<html></html>"))
                self.send_response(status)
                for name, value in ({"Content-Type": "text/html"} | headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def add(self, path: str, content: str, status: int = 200, **headers: str) -> None:
        page = f"<!DOCTYPE html><html><head><title>x</title></head><body>{content}</body></html>"
        self.pages[path] = (status, headers, page.encode())


@pytest.fixture
def two_sites() -> Iterator[tuple[Pages, Pages]]:
    site, other = Pages(), Pages()
    yield site, other
    for pages in (site, other):
        pages.server.shutdown()
        pages.server.server_close()
    browser.close_browser()


@needs_chromium
class TestRendered:
    """What comes back from the browser."""

    def test_a_list_is_read_to_its_last_row(self, replica: Replica, tmp_path: Path) -> None:
        """The original stopped at the 300 rows that the page brings along and lost half of all rows."""
        user = longest(replica)
        assert len(user.entries) > 300
        answer = client(replica.url, tmp_path).get(f"/animelist/{user.username}", {"status": 7})
        titles = replica.world.titles
        assert {
            (e.anime_id, e.title, e.score, e.status, e.episodes_watched) for e in parse_list_page(answer.body).entries
        } == {
            (
                titles[e.index].anime_id,
                titles[e.index].title,
                e.score or None,
                STATES[e.status],
                e.episodes_watched,
            )
            for e in user.entries
        }
        path = f"/animelist/{user.username}"
        offsets = [300, len(user.entries)]
        assert replica.asked() == [f"{path}?status=7", *(f"{path}/load.json?offset={k}&status=7" for k in offsets)]

    def test_titles_come_out_as_without_a_browser(self, replica: Replica, tmp_path: Path) -> None:
        rendering, plain = client(replica.url, tmp_path), replica.client(tmp_path)
        for title in replica.world.titles[:4]:
            path = f"/anime/{title.anime_id}"
            assert parse_anime_page(rendering.get(path).body) == parse_anime_page(plain.get(path).body)

    def test_what_is_no_page_comes_as_received(self, replica: Replica, tmp_path: Path) -> None:
        path = f"/animelist/{longest(replica).username}/load.json?offset=0&status=7"
        rendering, plain = client(replica.url, tmp_path), replica.client(tmp_path)
        assert rendering.get(path).body == plain.get(path).body
        assert (rendering.get("/nothing").status, rendering.get("/nothing").body) == (404, plain.get("/nothing").body)

    @pytest.mark.parametrize(
        "fault",
        [
            {"kind": "status", "status": 429, "retry_after": 3600},
            {"kind": "status", "status": 403},
            {"kind": "status", "status": 500},
            {"kind": "reset"},
            {"kind": "cut"},
            {"kind": "redirect", "location": "http://127.0.0.1:9/elsewhere"},
            {"kind": "redirect", "location": "/login.php"},
            {"kind": "redirect", "location": "/anime/1"},
        ],
        ids=lambda fault: "-".join(str(value) for value in fault.values()),
    )
    def test_a_fault_ends_as_it_does_without_a_browser(
        self, replica: Replica, tmp_path: Path, fault: dict[str, Any]
    ) -> None:
        def outcome(asking: MalClient) -> object:
            replica.heal()
            replica.fault(path="/topanime.php", **fault)
            try:
                answer = asking.get("/topanime.php")
            except ClientError as error:
                return type(error), error.status, bool(getattr(error, "retry_at", None)), error.attempts
            return answer.status, answer.url

        with_browser = outcome(client(replica.url, tmp_path / "b", attempts=2))
        assert with_browser == outcome(replica.client(tmp_path / "p", attempts=2))

    def test_a_page_that_was_cut_is_not_taken_for_the_whole_that_a_browser_makes_of_it(
        self, two_sites: tuple[Pages, Pages], tmp_path: Path
    ) -> None:
        site, _ = two_sites
        site.pages["/cut"] = (200, {}, b"<!DOCTYPE html><html><body><table class='list-table'><tr><td>half")
        assert b"</html>" not in client(site.url, tmp_path).get("/cut").body

    def test_a_body_larger_than_any_page_is_refused(self, two_sites: tuple[Pages, Pages], tmp_path: Path) -> None:
        site, _ = two_sites
        site.add("/large", "x" * 400_000)
        with pytest.raises(ClientError, match="more than 100,000 bytes"):
            client(site.url, tmp_path, max_body=100_000, attempts=1).get("/large")


@needs_chromium
class TestManners:
    """What the browser asks for."""

    def test_every_request_waits_for_its_turn(
        self, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asking, turns = client(replica.url, tmp_path), []
        acquire = asking._limiter.acquire
        monkeypatch.setattr(asking._limiter, "acquire", lambda *a: (turns.append(1), acquire(*a))[1])
        asking.get(f"/animelist/{longest(replica).username}", {"status": 7})
        assert len(turns) == len(replica.asked()) == 3

    def test_a_cool_down_also_stops_what_scripts_ask_for(
        self, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another process is told to pause while a list is being scrolled."""
        asking = client(replica.url, tmp_path)
        monkeypatch.setattr(asking, "_page_answered", lambda left_at: asking._limiter.cool_down(3600))
        with pytest.raises(ClientError, match="pause"):
            asking.get(f"/animelist/{longest(replica).username}", {"status": 7})
        assert len(replica.asked()) == 1

    def test_nothing_is_asked_of_others_and_no_picture_file_or_post_of_the_site(
        self, two_sites: tuple[Pages, Pages], tmp_path: Path
    ) -> None:
        site, other = two_sites
        site.pages["/ok.js"] = (200, {"Content-Type": "text/javascript"}, b"document.title = 'ran'")
        site.pages["/file"] = (200, {"Content-Disposition": "attachment; filename=x.bin"}, b"x")
        site.add(
            "/page",
            f"""<img src="/a.png"><img src="{other.url}/b.png"><link rel="stylesheet" href="/c.css">
            <link rel="preconnect" href="{other.url}"><iframe src="/frame"></iframe>
            <iframe src="{other.url}/frame"></iframe><script src="{other.url}/evil.js"></script>
            <script src="/ok.js"></script><video src="/v.mp4" autoplay></video><a id="f" href="/file" download>f</a>
            <script>
            navigator.sendBeacon("/beacon", "x"); fetch("/post", {{method: "POST", body: "x"}}).catch(() => 0);
            fetch("{other.url}/data").catch(() => 0); fetch("http://localhost:{other.server.server_address[1]}/l")
              .catch(() => 0); fetch("http://name.invalid/").catch(() => 0); window.open("{other.url}/popup");
            new WebSocket("ws://127.0.0.1:{other.server.server_address[1]}/ws"); document.getElementById("f").click();
            alert("wait for me"); document.body.append("went on");
            </script>""",
        )
        page = client(site.url, tmp_path, contact="me@example.org").get("/page").body.decode()
        assert "went on" in page
        assert "<title>ran</title>" in page
        assert site.asked == [("GET", "/page"), ("GET", "/ok.js")]
        assert other.asked == []
        (agent,) = site.agents
        assert agent.endswith("MALSugoi/0.1 (+me@example.org)")

    def test_a_script_that_leads_to_a_file_leaves_the_page(
        self, two_sites: tuple[Pages, Pages], tmp_path: Path
    ) -> None:
        site, _ = two_sites
        site.pages["/file"] = (200, {"Content-Disposition": "attachment; filename=x.bin"}, b"x")
        site.add("/page", "<p>here</p><script>location.href = '/file'</script>")
        assert b"<p>here</p>" in client(site.url, tmp_path).get("/page").body

    def test_a_script_that_leads_off_the_site_is_a_redirect_off_the_site(
        self, two_sites: tuple[Pages, Pages], tmp_path: Path
    ) -> None:
        site, other = two_sites
        site.add("/away", f"<script>location.href = '{other.url}/there'</script>")
        with pytest.raises(OffSiteRedirect):
            client(site.url, tmp_path, attempts=1).get("/away")
        assert other.asked == []

    def test_a_page_that_a_script_loads_anew_is_the_last_one(
        self, two_sites: tuple[Pages, Pages], tmp_path: Path
    ) -> None:
        site, _ = two_sites
        site.add("/first", "<script>location.replace('/second')</script>")
        site.add("/second", "<p>here</p>")
        assert b"<p>here</p>" in client(site.url, tmp_path).get("/first").body


@needs_chromium
class TestLife:
    """One browser a process, and none without one."""

    def test_one_is_started_once_and_again_when_it_dies(self, replica: Replica, tmp_path: Path) -> None:
        asking = client(replica.url, tmp_path)
        asking.get("/")
        first = browser._running
        assert first is not None
        assert first.group is not None
        client(replica.url, tmp_path).get("/")
        assert browser._running is first
        os.killpg(first.group, signal.SIGKILL)
        assert asking.get("/").status == 200
        second = browser._running
        assert second is not None
        assert second is not first
        assert not alive(first.group)
        assert not first._scratch.exists()

    def test_its_death_in_the_middle_of_a_page_costs_an_attempt(
        self, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asking = client(replica.url, tmp_path)
        asking.get("/")
        running = browser._running
        assert running is not None
        assert running.group is not None
        group, killed = running.group, []

        def kill(left_at: float) -> None:
            if not killed:
                killed.append(1)
                os.killpg(group, signal.SIGKILL)

        monkeypatch.setattr(asking, "_page_answered", kill)
        assert b"Top Anime" in asking.get("/topanime.php").body
        assert replica.asked().count("/topanime.php") == 2

    def test_the_end_of_the_keeper_leaves_nothing_either(self, replica: Replica, tmp_path: Path) -> None:
        asking = client(replica.url, tmp_path)
        asking.get("/")
        running = browser._running
        assert running is not None
        assert running.group is not None
        running._keeper.kill()
        browser.close_browser()
        assert wait_for(lambda: not alive(running.group or 0))
        assert not running._scratch.exists()

    @pytest.mark.parametrize("way", ["kill -9", "exit"])
    def test_nothing_is_left_when_our_process_ends(self, replica: Replica, tmp_path: Path, way: str) -> None:
        program = textwrap.dedent(
            f"""
            import sys
            from pathlib import Path
            from malsugoi_assets.mal import browser
            asking = browser.BrowserClient({replica.url!r}, requests_per_second=None, state_dir=Path({str(tmp_path)!r}))
            asking.get("/")
            print(browser._running.group, browser._running._scratch, flush=True)
            if sys.argv[1] != "exit":
                sys.stdin.read()
            """
        )
        process = subprocess.Popen(
            [sys.executable, "-c", program, way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPO)},
        )
        assert process.stdout is not None
        group, scratch = process.stdout.readline().split()
        if way != "exit":
            assert alive(int(group))
            assert (Path(scratch) / "profile").exists()
            process.kill()
        process.wait(20)
        assert wait_for(lambda: not alive(int(group)) and not Path(scratch).exists())

    def test_a_driver_that_does_not_start_is_said_in_one_line(
        self, replica: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        browser.close_browser()
        monkeypatch.setattr(browser, "installed", lambda: ("/bin/false", shutil.which("false") or "/bin/false"))
        with pytest.raises(ClientError, match="the browser does not start"):
            client(replica.url, tmp_path, attempts=1).get("/")
        assert browser._running is None


class TestChoice:
    """Which pages go through the browser."""

    @pytest.fixture
    def scripted(self, replica: Replica) -> Iterator[User]:
        """A user whose list page holds no rows until its script has run."""
        world = replica.world
        user = world.users[2]
        world._by_name[user.username.casefold()] = changed = replace(user, style="scripted")
        yield changed
        world._by_name[user.username.casefold()] = user

    @needs_chromium
    def test_only_a_page_that_needs_scripts_goes_through_the_browser(
        self, replica: Replica, scripted: User, tmp_path: Path
    ) -> None:
        browser.close_browser()
        asking = open_client("auto", replica.url, requests_per_second=None, state_dir=tmp_path / "state")
        flow = Site(asking, PageStore(tmp_path))
        others = [user.username for user in replica.world.users[:2]]
        assert [found.list_status for found in flow.fetch_lists(others)] == ["ok", "ok"]
        assert browser._running is None
        replica.forget_log()
        found = next(flow.fetch_lists([scripted.username]))
        assert (found.list_status, len(found.entries)) == ("ok", len(scripted.entries))
        assert browser._running is not None
        path = f"/animelist/{scripted.username}?status=7"
        assert replica.asked().count(path) == 2

    def test_without_a_browser_such_a_page_is_named_and_its_rows_come_from_load_json(
        self, replica: Replica, scripted: User, tmp_path: Path
    ) -> None:
        asking = open_client("off", replica.url, requests_per_second=None, state_dir=tmp_path / "state")
        page = asking.get(f"/animelist/{scripted.username}", {"status": 7})
        with pytest.raises(NeedsScripts, match="MALSUGOI_BROWSER"):
            parse_list_page(page.body)
        replica.forget_log()
        found = next(Site(asking, PageStore(tmp_path)).fetch_lists([scripted.username]))
        assert (found.list_status, len(found.entries)) == ("ok", len(scripted.entries))
        assert replica.asked().count(f"/animelist/{scripted.username}?status=7") == 1

    def test_where_none_is_installed_one_line_says_what_to_install(
        self,
        replica: Replica,
        scripted: User,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(shutil, "which", lambda name: None)
        asking = open_client("auto", replica.url, requests_per_second=None, state_dir=tmp_path / "state")
        assert isinstance(asking, PagesOrBrowser)
        found = next(Site(asking, PageStore(tmp_path)).fetch_lists([scripted.username]))
        assert found.list_status == "ok"
        assert caplog.text.count("apt-get install chromium chromium-driver") == 1
        with pytest.raises(SettingsError, match="apt-get install chromium") as refused:
            open_source(Settings.load({}, data_dir=tmp_path / "data", browser="always"))
        assert "\n" not in str(refused.value)
        assert not (tmp_path / "data").exists()
