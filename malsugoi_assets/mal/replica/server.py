"""The replica over HTTP: routes to pages, the control door, the log. 127.0.0.1 only.

Under `/_control/` stand the levers that tests and the documentation use (see docs/replica.md); everything else answers
as the site would. Pages are made anew for each request; nothing depends on the order of requests.
"""

from __future__ import annotations

import hashlib
import json
import re
import socketserver
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import ValidationError

from malsugoi_assets.mal.replica import api, pages, striking
from malsugoi_assets.mal.replica.drift import Drift
from malsugoi_assets.mal.replica.faults import KINDS, Fault, Faults
from malsugoi_assets.mal.replica.striking import HTML, JSON, Reply
from malsugoi_assets.mal.replica.world import User, World

SEARCH_CAP = 10 * pages.USERS_PAGE
"""One search of users.php shows at most this many, as the site's does; narrower searches reach the rest."""

LOG_LENGTH = 200_000


class Site:
    """What the handlers share: the world, the faults, the log, and when somebody last asked."""

    def __init__(self, world: World, token: str = "", on_adding: Callable[[int], None] | None = None) -> None:
        self.world, self.token = world, token
        self.faults, self.drift = Faults(), Drift(world)
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
            "drift": self.drift.report(),
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

    def reply(self) -> Reply:
        """As bytes."""
        return Reply(self.status, self.body.encode(), self.kind, self.headers)


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
            self._send(answer.reply())
            return
        record = {"method": method, "path": self.path, "status": 0, "time": time.time()}
        fault = site.faults.next_for(self.path)
        site.log.append(record)
        if fault is not None and KINDS[fault.kind].lasting:
            site.drift.strike(fault, self.path)
        page = (striking.instead(fault) if fault is not None else None) or self._page(method).reply()
        if fault is None and page.status == 200:
            page = self._unless_known(page)
        if fault is not None:
            page = striking.spoilt(fault, page)
            record["fault"] = fault.kind
        if fault is None or fault.kind not in ("reset", "timeout"):
            record["status"] = page.status
        self._send(page, fault)

    def _unless_known(self, page: Reply) -> Reply:
        """The page with its ETag; only a 304 for a client that has it."""
        tag = f'"{hashlib.sha256(page.body).hexdigest()[:32]}"'
        headers = {**page.headers, "ETag": tag}
        if self.headers.get("If-None-Match") == tag:
            return replace(page, status=304, body=b"", headers=headers)
        return replace(page, headers=headers)

    def _page(self, method: str) -> Answer:
        if method != "GET":
            return Answer(405, pages.server_error(405))
        world = self.server.site.world
        try:
            if self.path.startswith(f"{api.PREFIX}/"):
                host = self.headers.get("Host") or self.server.url.removeprefix("http://")
                status, body = api.reply(world, self.path, self.headers.get("X-MAL-CLIENT-ID"), host)
                return Answer(status, body, JSON)
            return route(world, self.path, self.server.site.drift)
        except Answer as answer:
            return answer

    def _send(self, page: Reply, fault: Fault | None = None) -> None:
        try:
            again = striking.send(fault, page, self._head, self.connection)
        except OSError:
            again = False
        if not again:
            self.close_connection = True
        if fault is not None and fault.kind == "reset":
            self.connection.close()

    def _head(self, page: Reply, length: int | None) -> bytes:
        head = [
            f"HTTP/1.1 {page.status} {self.responses.get(page.status, ('', ''))[0]}",
            f"Date: {self.date_time_string()}",
            f"Content-Type: {page.kind}",
            *([f"Content-Length: {length}"] if length is not None else ["Connection: close"]),
            *(f"{name}: {value}" for name, value in page.headers.items()),
        ]
        return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"


_ANIME = re.compile(r"/anime/(\d+)(?:/[^/]*)?")
_MANGA = re.compile(r"/manga/(\d+)(?:/[^/]*)?")
_LIST = re.compile(r"/animelist/([^/]+)")
_LIST_JSON = re.compile(r"/animelist/([^/]+)/load\.json")


def route(world: World, target: str, drift: Drift | None = None) -> Answer:
    """The answer to `GET target` (path with query), as the site is now."""
    drift = drift or Drift(world)
    url = urlsplit(target)
    path = unquote(url.path)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if path == "/topanime.php":
        return _found(pages.top_page(world, _number(query, "limit"), drift.ranking))
    if match := _ANIME.fullmatch(path):
        index = None if int(match[1]) in drift.deleted else world.index.get(int(match[1]))
        return _found(None if index is None else pages.anime_page(world, world.titles[index]))
    if match := _MANGA.fullmatch(path):
        return _found(pages.manga_page(world, int(match[1])))
    if path == "/users.php":
        return Answer(200, pages.users_page(search(drift.users(), query), _number(query, "show"), url.query))
    if match := _LIST.fullmatch(path):
        return _list(world, _reader(drift, match[1]), query)
    if match := _LIST_JSON.fullmatch(path):
        return _list_json(world, _reader(drift, match[1]), query)
    if path == "/login.php":
        return Answer(200, pages.login())
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


def _reader(drift: Drift, username: str) -> User:
    user = drift.user(username)
    if user is None or user.kind == "missing":
        raise Answer(404, pages.not_found())
    return user


def _list(world: World, user: User, query: dict[str, str]) -> Answer:
    if user.kind == "private":
        return Answer(200, pages.private_list(user.username))
    status = _number(query, "status", 7)
    if user.style == "classic" and status == 7:
        return Answer(200, pages.classic_list(world, user))
    if user.style == "one_tab":
        status = 2
    shown = [entry for entry in user.entries if status in (7, entry.status)]
    return Answer(200, pages.modern_list(world, user, shown, status, rows_in_page=user.style != "scripted"))


def _list_json(world: World, user: User, query: dict[str, str]) -> Answer:
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
            site.drift.clear()
            return ok([])
        case "GET", "log":
            return ok(list(site.log))
        case (("POST" | "DELETE"), "log"):
            site.log.clear()
            return ok([])
    return Answer(404, json.dumps({"error": f"no {method} {path}; see docs/replica.md"}), JSON)
