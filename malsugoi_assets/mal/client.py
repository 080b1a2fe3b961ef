"""Polite HTTP to one site: paced, patient with what passes, and clear about what does not.

ClientError
├── SiteUnavailable    no connection, 5xx, maintenance, a body that never came whole: passes by itself, try later
├── Blocked            429, a bare 403 or 405, a captcha: the site wants us to stop
├── BodyTooLarge       more bytes, also unpacked, than any page has
└── BadRedirect        OffSiteRedirect, or a chain without end

What a page says is for the parsers; what comes back from here is what the site sent.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NoReturn
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from malsugoi_assets.mal.errors import BlockPage, Captcha, Maintenance, PageError, TruncatedPage
from malsugoi_assets.mal.limiter import LONGEST_COOL_DOWN, Limiter

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_CHUNK = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)


class ClientError(Exception):
    """A request that brought no answer; carries `url`, `attempts` and the last `status` (None: not even that)."""

    def __init__(self, url: str, reason: str, *, attempts: int = 1, status: int | None = None) -> None:
        self.url, self.reason, self.attempts, self.status = url, reason, attempts, status
        tries = f" (tried {attempts} times)" if attempts > 1 else ""
        super().__init__(f"{url}: {reason}{tries}")


class SiteUnavailable(ClientError):
    """The site does not answer properly now: no connection, 5xx, maintenance, a cut-off body."""


class Blocked(ClientError):
    """The site wants us to stop: 429, a bare 403 or 405, a captcha. `retry_at` says when it allows more, if it did."""

    retry_at: datetime | None = None


class BodyTooLarge(ClientError):
    """The body, unpacked, is larger than any page."""


class BadRedirect(ClientError):
    """A redirect that is not followed: a chain without end, or one without an address."""


class OffSiteRedirect(BadRedirect):
    """A redirect that leaves the site."""


@dataclass(frozen=True)
class Answer:
    """What the site sent, unpacked; `url` is the last hop's, `sha256` the hex digest of `body`."""

    url: str
    status: int
    body: bytes
    fetched_at: datetime
    sha256: str


class _TryAgain(Exception):
    """One attempt failed in a way that passes; `wait` is the site's own wish in seconds."""

    def __init__(
        self, kind: type[ClientError], reason: str, status: int | None = None, wait: float | None = None
    ) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.status, self.wait = kind, reason, status, wait


class _Session(requests.Session):
    """Leaves redirects alone: else requests reads their whole body and resolves their address before we can look."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class MalClient:
    """GETs of one site. Safe in several processes at once: they share pace and cool-down through `state_dir`.

    `requests_per_second` None sets no pace; `timeout` is (connect, read) in seconds, and a whole answer may take
    `deadline` seconds; `max_body` is in bytes, unpacked; `max_wait` is the longest Retry-After, in seconds, that a
    request sits out. Every hop of a redirect counts as a request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        requests_per_second: float | None,
        contact: str | None = None,
        state_dir: Path,
        timeout: tuple[float, float] = (5, 30),
        deadline: float = 120,
        max_body: int = 16 * 1024 * 1024,
        attempts: int = 4,
        back_off: float = 1.0,
        max_wait: float = 120,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{base_url!r} is not the address of a site: expected http(s)://host[:port]")
        self.base_url = base_url.rstrip("/")
        self._origin = (parts.hostname, parts.port)
        self._timeout, self._deadline, self._max_body = timeout, deadline, max_body
        self._attempts, self._back_off, self._max_wait = attempts, back_off, max_wait
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._limiter = Limiter(state_dir, requests_per_second, clock=clock, sleep=sleep)
        self._agent = "MALSugoi/0.1" + (f" (+{contact})" if contact else "")
        self._sessions: dict[int, requests.Session] = {}

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        check: Callable[[Answer], None] | None = None,
    ) -> Answer:
        """Ask for `path`; any status but 403, 405, 429 and 5xx comes back as an answer.

        `check` looks at an answer before it counts: the PageErrors Captcha and BlockPage (the site refuses),
        Maintenance and TruncatedPage (it passes) are tried again like a status that says so.

        Raises: a `ClientError`, once `attempts` are used up or trying again is pointless.
        """
        url = requests.Request("GET", self.base_url + path, params=dict(params or {})).prepare().url
        assert url is not None
        attempt = 0
        while True:
            attempt += 1
            self._refuse_long_cool_down(url, attempt)
            try:
                answer = self._follow(url)
                if check is not None:
                    _checked(answer, check)
                return answer
            except _TryAgain as failure:
                pause = self._pause(attempt) if failure.wait is None else failure.wait
                if failure.wait is not None or failure.kind is Blocked:
                    self._limiter.cool_down(pause)
                if attempt >= self._attempts or pause > self._max_wait:
                    self._give_up(url, failure, attempt)
                self._sleep(pause)

    def _give_up(self, url: str, failure: _TryAgain, attempt: int) -> NoReturn:
        error = failure.kind(url, failure.reason, attempts=attempt, status=failure.status)
        if isinstance(error, Blocked) and failure.wait is not None:
            error.retry_at = datetime.fromtimestamp(self._clock() + failure.wait, UTC)
        raise error from failure.__cause__

    def _refuse_long_cool_down(self, url: str, attempt: int) -> None:
        until = self._limiter.cool_until()
        if until - self._clock() > self._max_wait:
            when = datetime.fromtimestamp(until, UTC)
            error = Blocked(url, f"the site asked for a pause until {when:%Y-%m-%d %H:%M:%S} UTC", attempts=attempt)
            error.retry_at = when
            raise error

    def _pause(self, attempt: int) -> float:
        """Full jitter over an exponential: between a half and one and a half of back_off · 2^(attempt - 1) seconds."""
        return min(float(self._back_off * 2 ** (attempt - 1) * (0.5 + self._jitter())), 60.0)

    def _follow(self, url: str) -> Answer:
        for _ in range(6):
            response = self._ask(url)
            with response:
                if response.status_code not in _REDIRECTS:
                    return self._read(url, response)
                target = response.headers.get("Location")
                if not target:
                    raise BadRedirect(url, "redirected to nowhere", status=response.status_code)
            try:
                target = urljoin(url, target)
                parts = urlsplit(target)
                origin = (parts.hostname, parts.port)
            except ValueError as error:
                reason = f"redirected to no address: {target!r}"
                raise BadRedirect(url, reason, status=response.status_code) from error
            if parts.scheme not in ("http", "https") or origin != self._origin:
                raise OffSiteRedirect(url, f"redirected off the site, to {target}", status=response.status_code)
            url = target
        raise BadRedirect(url, "more than 5 redirects")

    def _ask(self, url: str) -> requests.Response:
        self._limiter.acquire()
        try:
            return self._session().get(url, timeout=self._timeout, stream=True, allow_redirects=False)
        except requests.exceptions.ConnectTimeout as error:
            raise _TryAgain(SiteUnavailable, "no connection in time") from error
        except requests.exceptions.Timeout as error:
            raise _TryAgain(SiteUnavailable, "no answer in time") from error
        except requests.exceptions.RequestException as error:
            raise _TryAgain(SiteUnavailable, f"no connection ({_root(error)})") from error

    def _read(self, url: str, response: requests.Response) -> Answer:
        status = response.status_code
        body = self._body(url, response)
        json_error = "json" in response.headers.get("Content-Type", "")
        if status == 429 or (status == 503 and "Retry-After" in response.headers):
            kind = Blocked if status == 429 else SiteUnavailable
            raise _TryAgain(kind, f"status {status}", status, self._retry_after(response))
        if status in (403, 405) and not json_error:
            raise _TryAgain(Blocked, f"status {status}", status)
        if status >= 500:
            raise _TryAgain(SiteUnavailable, f"status {status}", status)
        fetched_at = datetime.fromtimestamp(self._clock(), UTC)
        return Answer(url, status, body, fetched_at, hashlib.sha256(body).hexdigest())

    def _body(self, url: str, response: requests.Response) -> bytes:
        parts, size, began = [], 0, time.monotonic()
        try:
            for part in response.iter_content(_CHUNK):
                size += len(part)
                if size > self._max_body:
                    raise BodyTooLarge(url, f"more than {self._max_body:,} bytes", status=response.status_code)
                if time.monotonic() - began > self._deadline:
                    raise _TryAgain(
                        SiteUnavailable, f"body not whole after {self._deadline:g} s", response.status_code
                    )
                parts.append(part)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _TryAgain(SiteUnavailable, "the body was cut off", response.status_code) from error
        return b"".join(parts)

    def _retry_after(self, response: requests.Response) -> float | None:
        """The header, seconds or a date, in seconds from now, at most the longest cool-down; None if missing or broken."""
        value = response.headers.get("Retry-After", "").strip()
        try:
            seconds = float(value)
        except ValueError:
            try:
                moment = parsedate_to_datetime(value)
                moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                seconds = moment.timestamp() - self._clock()
            except (ValueError, OverflowError):
                return None
        return min(max(seconds, 0.0), LONGEST_COOL_DOWN) if math.isfinite(seconds) else None

    def _session(self) -> requests.Session:
        session = self._sessions.get(os.getpid())
        if session is None:
            session = _Session()
            session.headers.update({"User-Agent": self._agent, "Accept-Language": "en"})
            session.trust_env = self._origin[0] not in LOCAL_HOSTS
            self._sessions = {os.getpid(): session}
        return session


def _checked(answer: Answer, check: Callable[[Answer], None]) -> None:
    try:
        check(answer)
    except (Captcha, BlockPage) as error:
        raise _TryAgain(Blocked, error.found, answer.status) from error
    except (Maintenance, TruncatedPage) as error:
        raise _TryAgain(SiteUnavailable, error.found, answer.status) from error
    except PageError:
        pass  # for the caller, who keeps the answer


def _root(error: BaseException) -> str:
    reason: object = error
    while isinstance(reason, BaseException) and reason.args and isinstance(reason.args[-1], BaseException):
        reason = reason.args[-1]
    reason = getattr(reason, "reason", reason)
    text = getattr(reason, "strerror", None) or str(reason).split(": ")[-1]
    return text or type(error).__name__
