"""What stands before every request: address, origin, size, and what every answer carries."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from malsugoi_assets.web.guard import HEADERS
from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.pages import ROUTES
from malsugoi_tests.web.served import Served, serving
from malsugoi_tests.web.world import ADDRESS, LIKES, OWN, browsing, export

POSTS = [path for method, path, _ in ROUTES if method == "POST"]
SMALL = Limits(upload_bytes=200_000, body_bytes=2_000, drained_bytes=5_000_000, body_seconds=1.0)


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/static/style.css", "/recommendations", "/api/status", "/api/nothing", "/title/x"]
)
def test_every_answer_carries_the_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in str(policy)
    assert "script-src" not in policy, "no script runs at all"
    assert "server" not in answer.headers


def test_what_breaks_is_answered_in_words_with_the_headers(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("malsugoi_assets.web.queries.status", broken)
    with browsing(world, raise_server_exceptions=False) as client:
        for path in ("/pipeline", "/api/status"):
            answer = client.get(path)
            assert answer.status_code == 500
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Something broke here" in answer.text
            assert "secret" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_this_machines_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "evil.example:8000", "", "127.0.0.1:8000:1", "[", "localhost@evil"],
)
def test_a_name_that_was_made_to_point_here_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/api/status"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert "under its own address only" in answer.text


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": ADDRESS, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_another_sites_page_changes_nothing(client: TestClient, path: str, headers: dict[str, str]) -> None:
    answer = client.post(path, headers=headers, data={"100": "9"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("headers", [OWN, {"Sec-Fetch-Site": "same-origin"}, OWN | {"Sec-Fetch-Site": "same-origin"}])
def test_our_own_forms_are_taken(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/rate", headers=headers, data={"100": "9"}).status_code == 200


def test_programs_may_ask_the_api_and_other_sites_may_not(client: TestClient) -> None:
    body = {"entries": [{"anime_id": 100, "score": 9}]}
    assert client.post("/api/recommendations", json=body).status_code == 200
    foreign = client.post("/api/recommendations", json=body, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert json.loads(foreign.text)["error"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND"])
def test_no_other_method_is_known(client: TestClient, method: str) -> None:
    assert client.request(method, "/").status_code == 405


def test_a_page_is_not_asked_by_the_wrong_method(client: TestClient) -> None:
    assert client.post("/recommendations", headers=OWN).status_code == 405
    assert client.get("/upload").status_code in (404, 405)


def test_the_cookie_is_a_random_token_that_no_script_and_no_other_site_gets(client: TestClient) -> None:
    tokens = set()
    for _ in range(3):
        cookie = client.post("/rate", headers=OWN, data={"100": "9"}, follow_redirects=False).headers["set-cookie"]
        tokens.add(cookie.partition(";")[0])
        assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    assert len(tokens) == 3
    assert all(len(token) > 40 for token in tokens)


def test_a_guessed_token_is_nobody(client: TestClient) -> None:
    for token in ("", "x", "a" * 43, "../../etc", "%00"):
        assert client.get("/recommendations", headers={"Cookie": f"malsugoi_list={token}"}).status_code == 409


@pytest.fixture(scope="module")
def served(world: Path) -> Iterator[Served]:
    with serving(world, SMALL) as found:
        yield found


def test_half_a_gigabyte_is_refused_by_what_it_says_of_itself(served: Served) -> None:
    answer = served.say(
        "POST /upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 524288000\r\n",
        b"--b",
    )
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"is more than" in answer


def test_a_body_that_hides_its_size_is_refused_as_it_comes_and_the_answer_is_seen(served: Served) -> None:
    """The whole of it is sent before anything is read, as browsers do: the answer must still arrive."""
    chunk = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
    head = "POST /upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n"
    start = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.xml"\r\n\r\n'
    first = f"{len(start):x}\r\n".encode() + start + b"\r\n"
    answer = served.say(head, first, *([chunk] * 20), b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"</html>" in answer


def test_a_body_that_never_ends_is_given_up(served: Served) -> None:
    begun = time.monotonic()
    answer = served.say(
        "POST /rate HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n", b"100="
    )
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - begun < 15


def test_an_ordinary_form_is_small(served: Served) -> None:
    form = b"100=9&x=" + b"y" * 3000
    answer = served.say(
        f"POST /rate HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n",
        form,
    )
    assert answer.startswith(b"HTTP/1.1 413")


def test_two_hosts_are_no_host(served: Served) -> None:
    assert served.say("GET / HTTP/1.1\r\nHost: evil.example\r\n").split()[1] in (b"400", b"421")


def test_no_traceback_and_no_more_than_needed_stays_behind(served: Served) -> None:
    """After all of the above the page still answers, and takes a list."""
    body = export(LIKES)
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.gz"\r\n\r\n' + body + b"\r\n--b--\r\n"
    head = (
        f"POST /upload HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(form)}\r\n"
    )
    assert served.say(head, form).startswith(b"HTTP/1.1 303")
