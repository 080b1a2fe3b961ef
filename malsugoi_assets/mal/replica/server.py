"""The replica over HTTP: routes to pages, the control door, the log. 127.0.0.1 only.

Under `/_control/` stand the levers that tests and the documentation use (see docs/replica.md); everything else answers
as the site would. Pages are made anew for each request; nothing depends on the order of requests.
"""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import ValidationError

from malsugoi_assets.mal.replica import api, pages
from malsugoi_assets.mal.replica.faults import Fault, Faults
from malsugoi_assets.mal.replica.world import User, World

SEARCH_CAP = 10 * pages.USERS_PAGE
"""One search of users.php shows at most this many, as the site's does; narrower searches reach the rest."""

LOG_LENGTH = 200_000
HTML, JSON = "text/html; charset=UTF-8", "application/json"


class Site:
    """What the handlers share: the world, the faults, the log, and when somebody last asked."""

    def __init__(self, world: World, token: str = "", on_adding: Callable[[int], None] | None = None) -> None:
        self.world, self.token = world, token
        self.faults = Faults()
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self.started = self.last_asked = time.monotonic()
        self._on_adding = on_adding
        self._adding = threading.Lock()
        _ = world.figures, world.ranking

    def add_users(self, count: int) -> list[str]:
        """Make `count` new users appear; their number is kept over a restart."""
        with self._adding:
            if self._on_adding:
                self._on_adding(len(self.world.users) - self.world.n_users + count)
            added = self.world.add_users(count)
        return [user.username for user in added]

    def state(self) -> dict[str, Any]:
        """What `GET /_control/state` answers."""
        world = self.world
        return {
            "token": self.token,
            "seed": world.seed,
            "anime": world.n_anime,
            "users": len(world.users),
            "first_users": world.n_users,
            "added": len(world.users) - world.n_users,
            "requests": len(self.log),
            "uptime_seconds": round(time.monotonic() - self.started, 1),
        }


class Server(ThreadingHTTPServer):
    """The listening socket on 127.0.0.1; `port` 0 takes a free one. OSError where the port is in use."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_port = False

    def __init__(self, site: Site, port: int = 0) -> None:
        self.site = site
        super().__init__(("127.0.0.1", port), Handler)

    def server_bind(self) -> None:
        """Bind without asking a name server who 127.0.0.1 is, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class Answer(Exception):
    """Ends a request with an answer; raised where going on would only nest."""

    def __init__(self, status: int, body: str, kind: str = HTML, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.kind, self.headers = status, body, kind, headers or {}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "replica"
    disable_nagle_algorithm = True
    timeout = 120
    server: Server

    def do_GET(self) -> None:
        """Answer a GET."""
        self._serve("GET")

    def do_POST(self) -> None:
        """Answer a POST."""
        self._serve("POST")

    def do_DELETE(self) -> None:
        """Answer a DELETE."""
        self._serve("DELETE")

    def log_message(self, format: str, *args: Any) -> None:
        """The log is `/_control/log`; nothing goes to the terminal."""

    def _serve(self, method: str) -> None:
        site = self.server.site
        site.last_asked = time.monotonic()
        payload = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        if url.path.startswith("/_control/"):
            try:
                answer = control(site, method, url.path, payload)
            except ValueError as error:
                answer = Answer(400, json.dumps({"error": _one_line(error)}), JSON)
            self._send(answer)
            return
        fault = site.faults.next_for(self.path)
        record = {"method": method, "path": self.path, "status": 0, "time": time.time()}
        site.log.append(record)
        if fault is not None and fault.kind == "delay":
            time.sleep(fault.seconds)
        if fault is not None and fault.kind == "reset":
            self._reset()
            return
        answer = _answer_of(fault) or self._page(method)
        record["status"] = answer.status
        self._send(answer, keep=fault.keep if fault is not None and fault.kind == "cut" else None)

    def _page(self, method: str) -> Answer:
        if method != "GET":
            return Answer(405, pages.server_error(405))
        world = self.server.site.world
        try:
            if self.path.startswith(f"{api.PREFIX}/"):
                host = self.headers.get("Host") or self.server.url.removeprefix("http://")
                status, body = api.reply(world, self.path, self.headers.get("X-MAL-CLIENT-ID"), host)
                return Answer(status, body, JSON)
            return route(world, self.path)
        except Answer as answer:
            return answer

    def _send(self, answer: Answer, keep: float | None = None) -> None:
        body = answer.body.encode()
        head = [
            f"HTTP/1.1 {answer.status} {self.responses.get(answer.status, ('', ''))[0]}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {answer.kind}",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        if keep is not None:
            body = body[: int(len(body) * keep)]
            self.close_connection = True
        try:
            self.wfile.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
        except OSError:
            self.close_connection = True

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.connection.close()


def _answer_of(fault: Fault | None) -> Answer | None:
    if fault is None or fault.kind in ("delay", "cut", "reset"):
        return None
    if fault.kind == "captcha":
        return Answer(200, pages.captcha())
    if fault.kind == "redirect":
        return Answer(302, "", headers={"Location": fault.location})
    headers = {}
    if fault.retry_after is not None:
        value = fault.retry_after
        headers["Retry-After"] = value if isinstance(value, str) else f"{value:g}"
    body = pages.too_many_requests() if fault.status == 429 else pages.server_error(fault.status)
    return Answer(fault.status, body, headers=headers)


_ANIME = re.compile(r"/anime/(\d+)(?:/[^/]*)?")
_MANGA = re.compile(r"/manga/(\d+)(?:/[^/]*)?")
_LIST = re.compile(r"/animelist/([^/]+)")
_LIST_JSON = re.compile(r"/animelist/([^/]+)/load\.json")


def route(world: World, target: str) -> Answer:
    """The answer to `GET target` (path with query)."""
    url = urlsplit(target)
    path = unquote(url.path)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if path == "/topanime.php":
        return _found(pages.top_page(world, _number(query, "limit")))
    if match := _ANIME.fullmatch(path):
        index = world.index.get(int(match[1]))
        return _found(None if index is None else pages.anime_page(world, world.titles[index]))
    if match := _MANGA.fullmatch(path):
        return _found(pages.manga_page(world, int(match[1])))
    if path == "/users.php":
        return Answer(200, pages.users_page(search(world.users, query), _number(query, "show"), url.query))
    if match := _LIST.fullmatch(path):
        return _list(world, match[1], query)
    if match := _LIST_JSON.fullmatch(path):
        return _list_json(world, match[1], query)
    if path == "/":
        return Answer(200, pages.page("Home", '<div id="content"><a href="/topanime.php">Top Anime</a></div>'))
    return _found(None)


def search(users: list[User], query: dict[str, str]) -> list[User]:
    """The users that a search shows: name contains q, age between agelow and agehigh (both exclusive), gender g."""
    text, gender = query.get("q", "").casefold(), query.get("g", "")
    low, high = _number(query, "agelow", 0), _number(query, "agehigh", 10_000)
    found = [
        user
        for user in users
        if text in user.username.casefold() and low < user.age < high and gender in ("", str(user.gender))
    ]
    return found[:SEARCH_CAP]


def _found(body: str | None) -> Answer:
    return Answer(404, pages.not_found()) if body is None else Answer(200, body)


def _number(query: dict[str, str], name: str, default: int = 0) -> int:
    value = query.get(name, "")
    return int(value) if value.isdigit() else default


def _reader(world: World, username: str) -> User:
    user = world.user(username)
    if user is None or user.kind == "missing":
        raise Answer(404, pages.not_found())
    return user


def _list(world: World, username: str, query: dict[str, str]) -> Answer:
    user = _reader(world, username)
    if user.kind == "private":
        return Answer(200, pages.private_list(user.username))
    status = _number(query, "status", 7)
    if user.style == "classic" and status == 7:
        return Answer(200, pages.classic_list(world, user))
    if user.style == "one_tab":
        status = 2
    shown = [entry for entry in user.entries if status in (7, entry.status)]
    return Answer(200, pages.modern_list(world, user, shown, status))


def _list_json(world: World, username: str, query: dict[str, str]) -> Answer:
    user = _reader(world, username)
    if user.kind == "private":
        return Answer(400, pages.private_json(), JSON)
    status, offset = _number(query, "status", 1), _number(query, "offset")
    shown = [entry for entry in user.entries if status in (7, entry.status)]
    return Answer(200, pages.list_rows(world, shown[offset : offset + pages.LIST_PAGE]), JSON)


def _one_line(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'fault'}: {e['msg']}" for e in error.errors())
    return str(error)


def control(site: Site, method: str, path: str, payload: bytes) -> Answer:
    """The control door. Raises ValueError (bad JSON, bad fields) in one line for the caller."""
    data: Any = json.loads(payload) if payload.strip() else {}
    door = path.removeprefix("/_control/").strip("/")

    def ok(value: object) -> Answer:
        return Answer(200, json.dumps(value), JSON)

    match method, door:
        case "GET", "state":
            return ok(site.state())
        case "POST", "users":
            count = data.get("add") if isinstance(data, dict) else None
            if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 10_000:
                raise ValueError('expected {"add": N} with N from 1 to 10000')
            return ok({"added": site.add_users(count), "users": len(site.world.users)})
        case "GET", "faults":
            return ok(site.faults.report())
        case "POST", "faults":
            site.faults.add(*(data if isinstance(data, list) else [data]))
            return ok(site.faults.report())
        case "DELETE", "faults":
            site.faults.clear()
            return ok([])
        case "GET", "log":
            return ok(list(site.log))
        case (("POST" | "DELETE"), "log"):
            site.log.clear()
            return ok([])
    return Answer(404, json.dumps({"error": f"no {method} {path}; see docs/replica.md"}), JSON)
