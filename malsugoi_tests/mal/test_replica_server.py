"""The replica over HTTP: its control door, its faults, its log, and its pace."""

from __future__ import annotations

import concurrent.futures
import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from malsugoi_assets.mal import parse_list_json, parse_top_page, parse_users_page
from malsugoi_assets.mal.errors import PageError
from malsugoi_assets.mal.replica import replica_status
from malsugoi_assets.mal.replica.faults import DRAWN, KINDS, Fault, Faults
from malsugoi_assets.mal.replica.world import World
from malsugoi_tests.support.replica import running_replica


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_replica(tmp_path_factory.mktemp("replica")) as url:
        yield url


@pytest.fixture
def url(base_url: str) -> Iterator[str]:
    yield base_url
    ask(base_url, "DELETE", "/_control/faults")
    ask(base_url, "DELETE", "/_control/log")


def ask(url: str, method: str, path: str, payload: object = None) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one request on a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request(method, path, None if payload is None else json.dumps(payload))
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def control(url: str, method: str, door: str, payload: object = None) -> Any:
    return json.loads(ask(url, method, f"/_control/{door}", payload)[2])


def test_new_users_appear_at_the_end_of_the_search_and_their_lists_answer(tmp_path: Path) -> None:
    with running_replica(tmp_path, n_anime=30, n_users=5) as url:
        assert control(url, "GET", "state")["users"] == 5
        answer = control(url, "POST", "users", {"add": 3})
        assert answer["users"] == 8
        assert answer["added"] == [user.username for user in World(0, 30, 8).users[5:]]
        assert parse_users_page(ask(url, "GET", "/users.php?cat=user")[2])[5:] == answer["added"]
        assert ask(url, "GET", f"/animelist/{answer['added'][0]}?status=7")[0] == 200
        assert control(url, "GET", "state")["added"] == 3
    with running_replica(tmp_path, n_anime=30, n_users=5) as url:
        assert control(url, "GET", "state")["users"] == 8


@pytest.mark.parametrize("payload", [{}, {"add": 0}, {"add": "3"}, {"add": True}, {"add": 10_001}, [3], 7])
def test_a_wrong_number_of_new_users_is_refused_in_one_line(url: str, payload: object) -> None:
    before = control(url, "GET", "state")["users"]
    status, _, body = ask(url, "POST", "/_control/users", payload)
    assert status == 400
    assert "add" in json.loads(body)["error"]
    assert control(url, "GET", "state")["users"] == before


def test_a_storm_of_429_strikes_its_path_so_often_and_says_when_to_come_back(url: str) -> None:
    control(url, "POST", "faults", {"kind": "status", "status": 429, "retry_after": 7, "path": "/anime/", "count": 2})
    anime = f"/anime/{World(0, 60, 30).titles[0].anime_id}"
    assert ask(url, "GET", "/topanime.php?limit=0")[0] == 200
    answers = [ask(url, "GET", anime) for _ in range(3)]
    assert [status for status, _, _ in answers] == [429, 429, 200]
    assert answers[0][1]["Retry-After"] == "7"
    assert b"Too Many Requests" in answers[0][2]
    (report,) = control(url, "GET", "faults")
    assert (report["matched"], report["struck"]) == (3, 2)


def test_retry_after_may_be_a_date(url: str) -> None:
    date = "Fri, 31 Dec 2027 23:59:59 GMT"
    control(url, "POST", "faults", {"kind": "status", "status": 503, "retry_after": date})
    status, headers, _ = ask(url, "GET", "/")
    assert (status, headers["Retry-After"]) == (503, date)


def test_a_cut_body_promises_more_than_it_sends(url: str) -> None:
    control(url, "POST", "faults", {"kind": "cut", "keep": 0.25, "count": 1})
    with pytest.raises(http.client.IncompleteRead) as failure:
        ask(url, "GET", "/topanime.php?limit=0")
    sent, missing = len(failure.value.partial), failure.value.expected or 0
    assert 0.24 < sent / (sent + missing) < 0.26
    assert ask(url, "GET", "/topanime.php?limit=0")[0] == 200


def test_captcha_delay_reset_and_redirect_do_what_they_say(url: str) -> None:
    control(url, "POST", "faults", {"kind": "captcha", "count": 1})
    status, _, body = ask(url, "GET", "/users.php?cat=user")
    assert status == 200
    assert b"g-recaptcha" in body
    control(url, "POST", "faults", {"kind": "delay", "seconds": 0.2, "count": 1})
    began = time.monotonic()
    assert ask(url, "GET", "/")[0] == 200
    assert time.monotonic() - began >= 0.2
    control(url, "POST", "faults", {"kind": "reset", "count": 1})
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        ask(url, "GET", "/")
    control(url, "POST", "faults", {"kind": "redirect", "location": "https://example.org/", "count": 1})
    status, headers, _ = ask(url, "GET", "/")
    assert (status, headers["Location"]) == (302, "https://example.org/")


def test_skip_chance_and_order_of_faults() -> None:
    faults = Faults()
    faults.add(
        {"kind": "captcha", "path": "/a", "skip": 2, "count": 1}, {"kind": "reset", "path": "/a/b", "count": 1}
    )
    assert [fault and fault.kind for fault in map(faults.next_for, ["/a", "/a/b", "/a", "/a", "/c"])] == [
        None,
        "reset",
        "captcha",
        None,
        None,
    ]

    def strikes(seed: int) -> list[bool]:
        drawn = Faults()
        drawn.add({"kind": "captcha", "probability": 0.3, "seed": seed})
        return [drawn.next_for("/") is not None for _ in range(400)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert 80 < sum(strikes(1)) < 160


def test_random_faults_depend_on_the_seed_and_the_path_and_not_on_who_else_asks() -> None:
    """So that a run in several processes meets the same faults as one alone."""

    def struck(targets: list[str], seed: int = 1) -> list[str | None]:
        faults = Faults()
        faults.add({"kind": "random", "probability": 0.5, "seed": seed})
        found = {}
        for target in targets:
            fault = faults.next_for(target)
            found[target] = fault.kind if fault else None
        return [found[target] for target in sorted(targets)]

    targets = [f"/anime/{number}" for number in range(200)]
    assert struck(targets) == struck(targets[::-1]) != struck(targets, seed=2)
    kinds = set(struck(targets)) - {None}
    assert len(kinds) > 12
    assert "json_html" not in kinds
    assert "renamed_user" not in kinds


def test_every_drawn_fault_can_come_of_random() -> None:
    faults = Faults()
    faults.add({"kind": "random"})
    targets = ("/topanime.php?limit=0", "/anime/10000001", "/users.php?cat=user", "/animelist/a?status=7")
    for number in range(400):
        for target in (*targets, "/animelist/a/load.json?offset=300"):
            assert faults.next_for(f"{target}{'&' if '?' in target else '?'}again={number}") is not None
    assert set(faults.report()[0]["kinds"]) == set(DRAWN)
    only = Faults()
    only.add({"kind": "random", "among": ["json_html", "reset"]})
    assert only.next_for("/topanime.php").kind == "reset"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "status", "inside"),
    [
        ("too_many", 429, b"Too Many"),
        ("too_many_seconds", 429, b"Too Many"),
        ("too_many_date", 429, b"Too Many"),
        ("server_error", 500, b"500"),
        ("bad_gateway", 502, b"502"),
        ("maintenance", 503, b"maintenance"),
        ("captcha", 200, b"g-recaptcha"),
        ("block_page", 403, b"Access Denied"),
        ("block_page_200", 200, b"Access Denied"),
        ("login", 302, b""),
        ("off_site", 302, b""),
        ("deleted_anime", 404, b"404 Not Found"),
        ("wrong_charset", 200, b"ranking-list"),
    ],
)
def test_a_fault_answers_in_place_of_the_page(url: str, kind: str, status: int, inside: bytes) -> None:
    path = f"/anime/{World(0, 60, 30).titles[0].anime_id}" if kind == "deleted_anime" else "/topanime.php"
    control(url, "POST", "faults", {"kind": kind, "count": 1})
    answered, headers, body = ask(url, "GET", path)
    assert answered == status
    assert inside in body
    assert ("Retry-After" in headers) == (kind in ("too_many_seconds", "too_many_date"))
    if kind == "too_many_date":
        moment = parsedate_to_datetime(headers["Retry-After"]).timestamp()
        assert 1 <= moment - parsedate_to_datetime(headers["Date"]).timestamp() <= 4
    if kind == "wrong_charset":
        assert "UTF-8" not in headers["Content-Type"]
        body.decode("utf-8")
    assert {"login": "/login.php", "off_site": "https://elsewhere.example/"}.get(kind, "") in headers.get(
        "Location", ""
    )
    assert control(url, "GET", "log")[-1]["fault"] == kind
    assert ask(url, "GET", path)[0] == (404 if kind == "deleted_anime" else 200)


@pytest.mark.parametrize("kind", ["huge", "gzip_bomb"])
def test_what_is_too_large_is_as_large_as_it_says(url: str, kind: str) -> None:
    control(url, "POST", "faults", {"kind": kind, "size": 3_000_000, "count": 1})
    _, headers, body = ask(url, "GET", "/topanime.php")
    if kind == "gzip_bomb":
        assert len(body) < 20_000
        assert headers["Content-Encoding"] == "gzip"
        body = gzip.decompress(body)
    assert 3_000_000 <= len(body) < 4_000_000
    control(url, "POST", "faults", {"kind": kind})
    with socket.create_connection(("127.0.0.1", urlsplit(url).port)) as line:
        line.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 200")
    control(url, "DELETE", "faults")
    assert ask(url, "GET", "/")[0] == 200


def test_a_length_may_be_too_small_and_an_answer_may_come_byte_by_byte_or_never(url: str) -> None:
    whole = ask(url, "GET", "/topanime.php")[2]
    control(url, "POST", "faults", {"kind": "wrong_length", "keep": 0.5, "count": 1})
    assert ask(url, "GET", "/topanime.php")[2] == whole[: len(whole) // 2]
    control(url, "POST", "faults", {"kind": "drip", "seconds": 0, "count": 1})
    assert ask(url, "GET", "/topanime.php")[2] == whole
    control(url, "POST", "faults", {"kind": "timeout", "seconds": 0.05, "count": 1})
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        ask(url, "GET", "/topanime.php")
    assert control(url, "GET", "log")[-1]["status"] == 0


def test_load_json_may_answer_what_is_no_list_of_rows(tmp_path: Path) -> None:
    with running_replica(tmp_path) as url:
        user = next(user for user in World(0, 60, 30).users if user.kind == "ok")
        path = f"/animelist/{user.username}/load.json?status=7"
        rows = json.loads(ask(url, "GET", path)[2])
        control(url, "POST", "faults", {"kind": "json_html", "count": 1})
        assert b"<html" in ask(url, "GET", path)[2]
        control(url, "POST", "faults", {"kind": "json_broken", "count": 1})
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            json.loads(ask(url, "GET", path)[2])
        for seed in range(12):
            control(url, "POST", "faults", {"kind": "json_type", "seed": seed, "count": 1})
            body = ask(url, "GET", path)[2]
            assert json.loads(body) != rows
            with pytest.raises(PageError):
                parse_list_json(body)


def test_what_changes_for_good_stays_until_the_faults_are_switched_off(tmp_path: Path) -> None:
    with running_replica(tmp_path, n_anime=120, n_users=40) as url:
        world = World(0, 120, 40)
        name = next(user.username for user in world.users if user.kind == "ok")
        list_path = f"/animelist/{name}?status=7"

        def top() -> list[int]:
            pages = [ask(url, "GET", f"/topanime.php?limit={k}")[2] for k in (0, 50, 100)]
            return [entry.anime_id for page in pages for entry in parse_top_page(page)]

        def found() -> list[str]:
            pages = [ask(url, "GET", f"/users.php?cat=user&show={k}")[2] for k in (0, 24)]
            return [user for page in pages for user in parse_users_page(page)]

        before, users = top(), found()
        rows = json.loads(ask(url, "GET", f"/animelist/{name}/load.json?status=7")[2])
        strike = {
            "ranking_moves": "/topanime.php?limit=50",
            "two_spellings": "/users.php?cat=user&show=0",
            "list_changes": f"/animelist/{name}/load.json?status=7&offset=5",
        }
        for kind, path in strike.items():
            control(url, "POST", "faults", {"kind": kind, "count": 1})
            ask(url, "GET", path)
        assert top() != before
        assert sorted(top()) == sorted(before)
        assert len(found()) == len(users) + 1
        assert len({user.casefold() for user in found()}) == len(users)
        moved = json.loads(ask(url, "GET", f"/animelist/{name}/load.json?status=7")[2])
        assert moved != rows
        assert sorted(row["anime_id"] for row in moved) == sorted(row["anime_id"] for row in rows)
        control(url, "POST", "faults", {"kind": "renamed_user", "count": 1})
        assert ask(url, "GET", list_path)[0] == 404
        new = control(url, "GET", "state")["drift"]["renamed_user"][name]
        assert new in found()
        assert name not in found()
        control(url, "POST", "faults", {"kind": "turned_private", "count": 1})
        assert ask(url, "GET", f"/animelist/{new}/load.json?status=7")[0] == 400
        assert b"restricted by the owner" in ask(url, "GET", f"/animelist/{new}?status=7")[2]
        control(url, "DELETE", "faults")
        assert (top(), found()) == (before, users)
        assert json.loads(ask(url, "GET", f"/animelist/{name}/load.json?status=7")[2]) == rows


@pytest.mark.parametrize(
    "payload",
    [
        {"kind": "unheard"},
        {"kind": "random", "among": ["unheard"]},
        {"kind": "random", "among": ["random"]},
        {"kind": "random", "among": []},
        {"kind": "status", "status": 99},
        {"kind": "cut", "keep": 1.5},
        {"kind": "captcha", "probability": 0},
        {"kind": "captcha", "every": 3},
        [{"kind": "captcha"}, {"kind": "captcha", "count": 0}],
        "captcha",
    ],
)
def test_a_wrong_fault_is_refused_in_one_line_and_none_of_its_batch_is_on(url: str, payload: object) -> None:
    status, _, body = ask(url, "POST", "/_control/faults", payload)
    error = json.loads(body)["error"]
    assert status == 400
    assert error
    assert "\n" not in error
    assert control(url, "GET", "faults") == []


def test_bad_json_and_an_unknown_door_are_answered(url: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", "/_control/faults", "{")
    assert connection.getresponse().status == 400
    connection.close()
    assert ask(url, "GET", "/_control/nothing")[0] == 404
    assert ask(url, "POST", "/topanime.php")[0] == 405


def test_the_log_tells_what_was_asked_in_its_order_and_the_control_door_is_not_in_it(url: str) -> None:
    began = time.time()
    for path in ("/topanime.php?limit=0", "/nowhere", "/animelist/no-such-user?status=7"):
        ask(url, "GET", path)
    log = control(url, "GET", "log")
    assert [(entry["method"], entry["path"], entry["status"]) for entry in log] == [
        ("GET", "/topanime.php?limit=0", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/animelist/no-such-user?status=7", 404),
    ]
    assert all(began - 1 <= entry["time"] <= time.time() for entry in log)
    for method in ("DELETE", "POST"):
        ask(url, "GET", "/")
        control(url, method, "log")
        assert control(url, "GET", "log") == []


def test_pages_come_at_once_over_one_connection_and_are_the_same_from_many(url: str, tmp_path: Path) -> None:
    world = World(0, 60, 30)
    paths = [f"/anime/{title.anime_id}" for title in world.titles]
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", "/")
    connection.getresponse().read()
    socket = connection.sock
    times, bodies = [], []
    for path in paths * 2:
        began = time.perf_counter()
        connection.request("GET", path)
        bodies.append(connection.getresponse().read())
        times.append(time.perf_counter() - began)
    assert connection.sock is socket
    connection.close()
    assert sorted(times)[len(times) // 2] < 0.003
    assert bodies[:60] == bodies[60:]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda path: ask(url, "GET", path)[2], reversed(paths))) == bodies[59::-1]


def test_it_listens_on_the_local_address_only(tmp_path: Path) -> None:
    with running_replica(tmp_path, n_anime=10, n_users=2) as url:
        assert urlsplit(url).hostname == "127.0.0.1"
        assert (replica_status(tmp_path) or {})["url"] == url
    assert replica_status(tmp_path) is None


def test_every_setting_of_a_fault_has_its_line_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "replica.md").read_text()
    for name, field in Fault.model_fields.items():
        assert field.description, name
        assert f"`{name}`" in text, name
    for kind in KINDS:
        assert f"| `{kind}` |" in text
