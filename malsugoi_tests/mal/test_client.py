"""The polite client: patient with what passes, quick to stop where the site says so, never off the site."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import select
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from malsugoi_assets.mal.client import (
    Answer,
    BadRedirect,
    Blocked,
    BodyTooLarge,
    MalClient,
    OffSiteRedirect,
    SiteUnavailable,
)
from malsugoi_assets.mal.errors import Captcha, PrivateList, UnexpectedPage
from malsugoi_assets.mal.limiter import LONGEST_COOL_DOWN
from malsugoi_tests.support.sites import Clock, Replica, running_replica


@pytest.fixture(scope="module")
def site() -> Iterator[Replica]:
    with running_replica(n_anime=60, n_users=12) as replica:
        yield replica


@pytest.fixture(autouse=True)
def no_faults(site: Replica) -> None:
    site.heal()
    site.forget_log()


def client_of(site: Replica, path: Path, clock: Clock | None = None, **options: object) -> MalClient:
    clock = clock or Clock()
    return site.client(path, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5, **options)


def test_an_answer_carries_what_the_site_sent(site: Replica, tmp_path: Path) -> None:
    answer = client_of(site, tmp_path).get("/topanime.php", {"limit": 50})
    assert (answer.status, answer.url) == (200, f"{site.url}/topanime.php?limit=50")
    assert b"ranking-list" in answer.body
    assert len(answer.sha256) == 64
    assert answer.fetched_at == datetime.fromtimestamp(1_750_000_000, UTC)


@pytest.mark.parametrize("path", ["/anime/1", "/animelist/nobody"])
def test_a_404_is_an_answer(site: Replica, tmp_path: Path, path: str) -> None:
    assert client_of(site, tmp_path).get(path).status == 404


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503},
        {"kind": "cut", "keep": 0.3},
        {"kind": "cut", "keep": 0.0},
        {"kind": "reset"},
        {"kind": "status", "status": 429, "retry_after": 7},
        {"kind": "status", "status": 403},
    ],
    ids=lambda fault: "-".join(str(value) for value in fault.values()),
)
def test_what_passes_is_tried_again(site: Replica, tmp_path: Path, fault: dict[str, object]) -> None:
    site.fault(path="/topanime", count=2, **fault)
    clock = Clock()
    assert client_of(site, tmp_path, clock).get("/topanime.php").status == 200
    assert len(site.asked()) == 3
    pauses = [7, 7] if fault.get("retry_after") else [2, 4] if fault.get("status") == 403 else [1, 2]
    assert clock.slept == pauses


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ({"kind": "status", "status": 502}, SiteUnavailable, 502),
        ({"kind": "cut"}, SiteUnavailable, 200),
        ({"kind": "reset"}, SiteUnavailable, None),
        ({"kind": "status", "status": 429}, Blocked, 429),
        ({"kind": "status", "status": 403}, Blocked, 403),
        ({"kind": "status", "status": 405}, Blocked, 405),
    ],
    ids=str,
)
def test_what_does_not_pass_ends_in_an_error_that_tells(
    site: Replica, tmp_path: Path, fault: dict[str, object], kind: type[Exception], status: int | None
) -> None:
    site.fault(path="/", **fault)
    with pytest.raises(kind, match="tried 4 times") as caught:
        client_of(site, tmp_path).get("/topanime.php")
    assert caught.value.url == f"{site.url}/topanime.php"  # type: ignore[attr-defined]
    assert caught.value.attempts == 4  # type: ignore[attr-defined]
    assert caught.value.status == status  # type: ignore[attr-defined]


def test_a_site_that_is_not_there_is_unavailable_without_a_status(tmp_path: Path) -> None:
    clock = Clock()
    client = MalClient(
        "http://127.0.0.1:9", requests_per_second=None, state_dir=tmp_path, clock=clock, sleep=clock.sleep
    )
    with pytest.raises(SiteUnavailable, match="no connection") as caught:
        client.get("/")
    assert caught.value.status is None


def test_retry_after_may_be_a_date(site: Replica, tmp_path: Path) -> None:
    clock = Clock()
    moment = format_datetime(datetime.fromtimestamp(clock.now + 42, UTC), usegmt=True)
    site.fault(kind="status", status=429, retry_after=moment, count=1)
    assert client_of(site, tmp_path, clock).get("/topanime.php").status == 200
    assert clock.slept == [42]


@pytest.mark.parametrize("value", ["soon", "-5", "nan", "inf", "Wed, 99 Foo 2025"])
def test_a_broken_retry_after_is_as_good_as_none(site: Replica, tmp_path: Path, value: str) -> None:
    clock = Clock()
    site.fault(kind="status", status=429, retry_after=value, count=1)
    assert client_of(site, tmp_path, clock).get("/topanime.php").status == 200
    assert sum(clock.slept) < 3


@pytest.mark.parametrize("value", ["1e300", "99999999999999", "Wed, 21 Oct 9999 07:28:00 GMT"])
def test_an_absurd_retry_after_counts_as_the_longest_cool_down(site: Replica, tmp_path: Path, value: str) -> None:
    clock = Clock()
    site.fault(kind="status", status=429, retry_after=value, count=1)
    with pytest.raises(Blocked) as caught:
        client_of(site, tmp_path, clock).get("/topanime.php")
    assert caught.value.retry_at == datetime.fromtimestamp(clock.now + LONGEST_COOL_DOWN, UTC)


def test_a_long_retry_after_stops_everybody_at_once(site: Replica, tmp_path: Path) -> None:
    """Nobody sits out an hour inside one request; the next process learns it from the shared file, without asking."""
    clock = Clock()
    site.fault(kind="status", status=429, retry_after=3600)
    with pytest.raises(Blocked) as caught:
        client_of(site, tmp_path, clock).get("/topanime.php")
    assert caught.value.retry_at == datetime.fromtimestamp(clock.now + 3600, UTC)
    with pytest.raises(Blocked, match="wants a pause until 2025-06-15"):
        client_of(site, tmp_path, clock).get("/users.php")
    assert site.asked() == ["/topanime.php"]
    clock.now += 3601
    site.heal()
    assert client_of(site, tmp_path, clock).get("/users.php").status == 200


def test_a_refusal_in_json_is_an_answer(site: Replica, tmp_path: Path) -> None:
    private = next(user.username for user in site.world.users if user.kind == "private")
    answer = client_of(site, tmp_path).get(f"/animelist/{private}/load.json", {"status": 7})
    assert (answer.status, answer.body) == (400, b'{"errors":[{"message":"invalid request"}]}')


def test_redirects_on_the_site_are_followed_and_each_hop_counts(site: Replica, tmp_path: Path) -> None:
    clock = Clock()
    site.fault(kind="redirect", path="/anime/", count=2, location="/anime/10000001?again")
    answer = client_of(site, tmp_path, clock, requests_per_second=1).get("/anime/5")
    assert answer.url.endswith("/anime/10000001?again")
    assert len(site.asked()) == 3
    assert clock.slept == pytest.approx([1.01, 1.01])


@pytest.mark.parametrize(
    "target",
    [
        "https://example.invalid/x",
        "//example.invalid/x",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:1/",
        "http://me:secret@127.0.0.1/",
    ],
)
def test_a_redirect_off_the_site_is_not_followed(site: Replica, tmp_path: Path, target: str) -> None:
    """It may pass, as a notice on another host does; what is asked again is the site."""
    site.fault(kind="redirect", location=target)
    with pytest.raises(OffSiteRedirect, match=r"off the site.*tried 4 times"):
        client_of(site, tmp_path).get("/anime/5")
    assert site.asked() == ["/anime/5"] * 4
    site.heal()
    site.fault(kind="redirect", location=target, count=1)
    assert client_of(site, tmp_path).get("/topanime.php").status == 200


@pytest.mark.parametrize(
    ("base", "target", "same"),
    [
        ("https://myanimelist.net", "https://myanimelist.net:443/anime/1", True),
        ("https://myanimelist.net:443", "https://MyAnimeList.net/anime/1", True),
        ("http://myanimelist.net:80", "http://myanimelist.net/anime/1", True),
        ("http://myanimelist.net", "https://myanimelist.net/anime/1", True),
        ("http://myanimelist.net", "https://myanimelist.net:8443/anime/1", False),
        ("http://myanimelist.net:8080", "https://myanimelist.net/anime/1", False),
        ("https://myanimelist.net", "http://myanimelist.net/anime/1", False),
        ("https://myanimelist.net", "https://myanimelist.net:8443/anime/1", False),
        ("https://myanimelist.net", "https://www.myanimelist.net/anime/1", False),
        ("https://myanimelist.net", "https://myanimelist.net.example.org/anime/1", False),
        ("https://myanimelist.net", "https://myanimelist.net@example.org/anime/1", False),
        ("https://myanimelist.net", "javascript:alert(1)", False),
    ],
)
def test_a_redirect_stays_on_the_site_if_only_the_default_port_or_the_lock_is_new(
    tmp_path: Path, base: str, target: str, same: bool
) -> None:
    """`http://host` answering with `https://host/` or `http://host:80/` was taken for another site."""
    client = MalClient(base, requests_per_second=None, state_dir=tmp_path)
    assert client._is_site(urlsplit(target)) is same


@pytest.mark.parametrize("target", ["/login.php?from=%2Fanime%2F5", "/login", "/Login.php"])
def test_a_redirect_to_the_login_is_a_refusal_and_not_followed(site: Replica, tmp_path: Path, target: str) -> None:
    site.fault(kind="redirect", location=target)
    with pytest.raises(Blocked, match="redirected to the login page"):
        client_of(site, tmp_path).get("/anime/5")
    assert site.asked() == ["/anime/5"] * 4


@pytest.mark.parametrize("target", ["http://[bad/", "http://127.0.0.1:99999/", "http://127.0.0.1:x/"])
def test_a_redirect_to_what_is_no_address_is_refused(site: Replica, tmp_path: Path, target: str) -> None:
    site.fault(kind="redirect", location=target)
    with pytest.raises(BadRedirect, match="no address"):
        client_of(site, tmp_path).get("/anime/5")


def test_a_chain_of_redirects_without_end_is_given_up(site: Replica, tmp_path: Path) -> None:
    site.fault(kind="redirect", location="/round")
    with pytest.raises(BadRedirect, match="more than 5"):
        client_of(site, tmp_path).get("/round")
    assert len(site.asked()) == 6


def test_a_captcha_with_status_200_is_a_refusal(site: Replica, tmp_path: Path) -> None:
    def check(answer: Answer) -> None:
        if b"not a robot" in answer.body:
            raise Captcha("a page")

    site.fault(kind="captcha", count=1)
    assert b"ranking-list" in client_of(site, tmp_path).get("/topanime.php", check=check).body
    site.fault(kind="captcha")
    with pytest.raises(Blocked, match="captcha"):
        client_of(site, tmp_path).get("/topanime.php", check=check)


def test_what_a_page_says_beyond_that_is_for_the_caller(site: Replica, tmp_path: Path) -> None:
    def check(answer: Answer) -> None:
        raise PrivateList("a list")

    assert client_of(site, tmp_path).get("/topanime.php", check=check).status == 200


def test_an_unexpected_page_is_asked_for_again_and_is_an_answer_if_it_stays(site: Replica, tmp_path: Path) -> None:
    """`load.json` answering with a page, a layout without labels: often gone the next time."""
    seen: list[int] = []

    def check(answer: Answer) -> None:
        seen.append(answer.status)
        if len(seen) != 3:
            raise UnexpectedPage("a list")

    assert client_of(site, tmp_path).get("/topanime.php", check=check).status == 200
    assert len(seen) == 3
    assert client_of(site, tmp_path).get("/topanime.php", check=check).status == 200
    assert len(seen) == 3 + 4


def test_a_site_that_refuses_is_asked_a_few_times_by_all_together_and_then_no_more(
    site: Replica, tmp_path: Path
) -> None:
    """Each of four processes had tried each of three pages four times: 48 requests past a block."""
    clock = Clock()
    clients = [client_of(site, tmp_path, clock) for _ in range(4)]
    assert {client.get("/topanime.php").status for client in clients} == {200}
    site.forget_log()
    site.fault(kind="status", status=403)
    refused: list[Blocked] = []
    for number in range(12):
        with pytest.raises(Blocked) as caught:
            clients[number % 4].get(f"/anime/{number}")
        refused.append(caught.value)
    assert len(site.asked()) == 4 + 1 + 1
    assert [error.retry_at is None for error in refused] == [True, True] + [False] * 10
    assert clock.slept == [2, 4, 8, 16, 32]
    # Run again, it asks once, after the pause; refused again, it pauses longer.
    with pytest.raises(Blocked):
        client_of(site, tmp_path, clock).get("/anime/1")
    assert len(site.asked()) == 7
    with pytest.raises(Blocked):
        client_of(site, tmp_path, clock).get("/anime/1")
    assert clock.slept[5:] == [60, 120]
    with pytest.raises(Blocked, match="wants a pause until"):
        client_of(site, tmp_path, clock).get("/anime/1")
    assert len(site.asked()) == 8
    site.heal()
    clock.now += 240
    assert client_of(site, tmp_path, clock).get("/topanime.php").status == 200
    assert clients[0].get("/topanime.php").status == 200


def test_where_there_is_a_pace_nobody_asks_for_a_minute_after_a_block(site: Replica, tmp_path: Path) -> None:
    """Then one request finds out, after two more minutes another, and then the site is closed: three in all."""
    clock = Clock()
    clients = [client_of(site, tmp_path, clock, requests_per_second=1) for _ in range(4)]
    site.fault(kind="block_page")
    begun, refused = clock(), []
    for number in range(8):
        with pytest.raises(Blocked) as caught:
            clients[number % 4].get(f"/anime/{number}")
        refused.append(caught.value)
    assert site.asked() == ["/anime/0", "/anime/0", "/anime/1"]
    assert clock() - begun == pytest.approx(60 + 120, abs=5)
    assert [error.retry_at is None for error in refused] == [True] + [False] * 7
    assert {error.retry_at for error in refused[1:]} == {datetime.fromtimestamp(round(begun + 60 + 120 + 240), UTC)}


@pytest.mark.parametrize("pace", [None, 1.0])
def test_a_page_that_is_always_refused_does_not_close_the_site(
    site: Replica, tmp_path: Path, pace: float | None
) -> None:
    site.fault(kind="status", status=403, path="/anime/7")
    client = client_of(site, tmp_path, requests_per_second=pace)
    for _ in range(4):
        with pytest.raises(Blocked) as caught:
            client.get("/anime/7")
        assert caught.value.retry_at is None
        assert client.get("/topanime.php").status == 200


@pytest.mark.parametrize("part", ["head", "body", "body without a length"])
def test_an_answer_that_drips_ends_at_the_deadline(tmp_path: Path, part: str) -> None:
    """Each byte comes within the read time-out, so that only the clock over the whole answer ends it."""

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
        if part == "body":
            head += b"Content-Length: 100000\r\n"
        if part != "head":
            connection.sendall(head + b"\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            connection.sendall(b"x")
            if select.select([connection], [], [], 0.02)[0]:
                return

    with raw_site(drip) as url:
        client = MalClient(
            url, requests_per_second=None, state_dir=tmp_path, timeout=(1, 1), deadline=0.15, attempts=1
        )
        with pytest.raises(SiteUnavailable, match=r"after 0\.15 s"):
            client.get("/")


def test_a_server_that_never_answers_is_left_at_the_read_time_out(tmp_path: Path) -> None:
    with raw_site(lambda connection: connection.recv(65536) and connection.recv(1)) as url:
        client = MalClient(url, requests_per_second=None, state_dir=tmp_path, timeout=(1, 0.05), attempts=1)
        with pytest.raises(SiteUnavailable, match="no answer in time"):
            client.get("/")


def test_a_body_that_announces_too_much_is_not_read_at_all(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def pour(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")

    with raw_site(pour) as url:
        client = MalClient(url, requests_per_second=None, state_dir=tmp_path, attempts=2, sleep=lambda _: None)
        with pytest.raises(BodyTooLarge, match=r"more than 16,777,216 bytes \(tried 2 times\)"):
            client.get("/")
    assert len(asked) == 2


def test_a_body_that_announces_less_than_it_sends_spoils_no_later_answer(tmp_path: Path) -> None:
    """What is left of it must not be read as the next answer."""
    bodies = [b"<html>one</html>" + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"<html>two</html>"]

    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            body = bodies[0] if len(bodies) == 2 else bodies[-1]
            del bodies[: len(bodies) - 1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + body)

    with raw_site(serve) as url:
        client = MalClient(url, requests_per_second=None, state_dir=tmp_path)
        assert [client.get("/").body for _ in range(2)] == [b"<html>one</html>", b"<html>two</html>"]


def test_the_user_agent_says_who_asks(tmp_path: Path) -> None:
    with small_site(lambda handler: handler.headers["User-Agent"].encode()) as url:
        client = MalClient(url, requests_per_second=None, contact="me@example.org", state_dir=tmp_path)
        assert client.get("/").body == b"MALSugoi/0.1 (+me@example.org)"


def test_a_body_that_is_too_large_once_unpacked_is_refused(tmp_path: Path) -> None:
    """4 MB of zeros are 4 kB on the wire."""
    packed = gzip.compress(bytes(4_000_000))
    with small_site(lambda handler: packed, {"Content-Encoding": "gzip"}) as url:
        client = MalClient(
            url, requests_per_second=None, state_dir=tmp_path, max_body=1_000_000, sleep=lambda _: None
        )
        with pytest.raises(BodyTooLarge, match="1,000,000 bytes"):
            client.get("/")
        assert len(MalClient(url, requests_per_second=None, state_dir=tmp_path).get("/").body) == 4_000_000


@pytest.mark.parametrize("url", ["myanimelist.net", "ftp://host", ""])
def test_the_base_url_must_be_a_site(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="not the address of a site"):
        MalClient(url, requests_per_second=None, state_dir=tmp_path)


@contextlib.contextmanager
def raw_site(talk: Callable[[socket.socket], object]) -> Iterator[str]:
    """A site whose answers `talk` writes on the bare connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                talk(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class small_site:  # noqa: N801
    """A site of one page, made by `body` from the request."""

    def __init__(
        self, body: Callable[[http.server.BaseHTTPRequestHandler], bytes], headers: dict[str, str] | None = None
    ) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = body(self)
                self.send_response(200)
                for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None: ...

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=lambda: self.server.serve_forever(poll_interval=0.02), daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()
