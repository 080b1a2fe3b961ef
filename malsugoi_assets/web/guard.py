"""What stands before every request: the address it came to, where it came from, how much it brings; and what every
answer carries.

- The Host must be this machine's own name: a foreign site whose name is made to point here (DNS rebinding) is refused.
- What changes anything (POST) is taken from our own pages only, by `Sec-Fetch-Site` or `Origin`; the API also takes it
  from programs, which send neither, since JSON and XML bodies of another site's page would need a permission that is
  never given.
- A body is taken up to its limit and for a limited time; what is refused is read on and thrown away, up to a limit, since a
  browser shows no answer while it is still sending.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.problems import Problem

NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
UPLOAD_PATHS = frozenset({"/upload", "/api/recommendations"})
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
BROKEN = Problem(500, "Something broke here; it is not your doing.", "Try again. The terminal says what it was.")
log = logging.getLogger("malsugoi.web")
_SAFE = frozenset({"GET", "HEAD"})
_METHODS = _SAFE | {"POST"}
Answer = Callable[[Scope, Problem], ASGIApp]


class Guard:
    """Wraps the application; `answer` makes what is shown for a `Problem`."""

    def __init__(self, app: ASGIApp, limits: Limits, answer: Answer) -> None:
        self._app = app
        self._limits = limits
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = self._limits.upload_bytes if scope["path"] in UPLOAD_PATHS else self._limits.body_bytes
        body = _Body(receive, headers, most, self._limits)

        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                await body.drain()
                _mark(MutableHeaders(scope=message), str(scope["path"]))
            await send(message)

        try:
            _check_host(headers)
            _check_method(str(scope["method"]), headers, str(scope["path"]))
            _check_length(headers, most)
            await self._app(scope, body.receive, sending)
        except Problem as problem:
            await self._answer(scope, problem)(scope, body.receive, sending)
        except Exception:
            if begun:
                raise
            log.exception("%s %s", scope["method"], scope["path"])
            await self._answer(scope, BROKEN)(scope, body.receive, sending)


class _Body:
    """The request's body, up to `most` bytes and for a limited time; `Problem` (413, 408) beyond."""

    def __init__(self, receive: Receive, headers: Headers, most: int, limits: Limits) -> None:
        self._receive = receive
        self._most = most
        self._limits = limits
        self._deadline = time.monotonic() + limits.body_seconds
        self._taken = 0
        self._more = bool(_length(headers) or headers.get("transfer-encoding"))

    async def receive(self) -> Message:
        """What the application reads."""
        if not self._more:
            return await self._receive()
        message = await self._next()
        if self._taken > self._most:
            raise _too_large(self._most)
        return message

    async def drain(self) -> None:
        """Read on what nobody wants, so that the answer can be seen; give up beyond a limit or the deadline."""
        with contextlib.suppress(Problem):
            while self._more and self._taken <= self._limits.drained_bytes:
                await self._next()

    async def _next(self) -> Message:
        message = await _before(self._deadline, self._receive())
        self._taken += len(message.get("body", b""))
        self._more = message["type"] == "http.request" and bool(message.get("more_body", False))
        return message


async def _before(deadline: float, message: Awaitable[Message]) -> Message:
    try:
        return await asyncio.wait_for(message, max(0.01, deadline - time.monotonic()))
    except TimeoutError as error:
        raise Problem(408, "The request took too long to arrive.", "Try again.") from error


def _check_host(headers: Headers) -> None:
    host = headers.get("host", "")
    name = re.sub(r":\d{1,5}$", "", host)
    if len(headers.getlist("host")) != 1 or name.lower() not in NAMES:
        raise Problem(421, "This page answers under its own address only.", "Open http://127.0.0.1 with its port.")


def _check_method(method: str, headers: Headers, path: str) -> None:
    if method not in _METHODS:
        raise Problem(405, f"This page knows no {method[:20]}.", "Use its links and forms.")
    if method in _SAFE:
        return
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    own = {f"{scheme}://{headers['host'].lower()}" for scheme in ("http", "https")}
    program = path.startswith("/api/") and site is None and origin is None
    ours = site in (None, "same-origin") and (origin.lower() in own if origin else site is not None)
    if not ours and not program:
        raise Problem(403, "That was sent from another site's page.", "Nothing was done. Use the forms of this page.")


def _check_length(headers: Headers, most: int) -> None:
    if _length(headers) > most:
        raise _too_large(most)


def _length(headers: Headers) -> int:
    stated = headers.get("content-length", "0")
    return int(stated) if stated.isdecimal() and len(stated) < 20 else 0


def _too_large(most: int) -> Problem:
    size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most // 2**10} KiB"
    return Problem(
        413, f"That is more than {size}.", "A list's export is far smaller: send the file as it was downloaded."
    )


def _mark(headers: MutableHeaders, path: str) -> None:
    for name, value in HEADERS.items():
        headers[name] = value
    if not path.startswith("/static/"):
        headers["Cache-Control"] = "no-store"


def problem_of(error: Any) -> Problem:
    """An exception of the framework in our words."""
    status = int(getattr(error, "status_code", 500))
    sentences = {
        400: ("That request can't be read.", "Send the form as the page shows it."),
        404: ("There is no such page.", "The menu leads to every page there is."),
        405: ("This address is not asked that way.", "Use the page's links and forms."),
    }
    sentence, remedy = sentences.get(status, ("That can't be answered.", ""))
    return Problem(status, sentence, remedy)
