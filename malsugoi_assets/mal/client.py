"""Polite HTTP to one site: paced, patient with what passes, and clear about what does not.

ClientError
├── SiteUnavailable    no connection, 5xx, maintenance, a body that never came whole: passes by itself, try later
├── Blocked            429, a bare 403 or 405, a captcha, a login: the site wants us to stop
├── BodyTooLarge       more bytes, also unpacked, than any page has
└── BadRedirect        OffSiteRedirect, or a chain without end

What a page says is for the parsers; what comes back from here is what the site sent.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3

from malsugoi_assets.mal.deadline import Deadline, DeadlineAdapter
from malsugoi_assets.mal.errors import (
    BlockPage,
    Captcha,
    LoginWall,
    Maintenance,
    MangaPage,
    NeedsScripts,
    NotFound,
    PageError,
    PrivateList,
    TruncatedPage,
)
from malsugoi_assets.mal.limiter import LONGEST_COOL_DOWN, CoolDown, Limiter

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
_CHUNK = 64 * 1024
_REDIRECTS = (301, 302, 303, 307, 308)
_PORTS = {"http": 80, "https": 443}
_LOGIN = re.compile(r"/log_?in(\.php)?/?", re.I)
_LONGEST_BACK_OFF = 60.0
_LONGEST_BLOCK = 3600.0


class ClientError(Exception):
    """A request that brought no answer; carries `url`, `attempts` and the last `status` (None: not even that)."""

    hopeless: bool = False
    """Whether every further request would end the same way, so that a flow may stop at once."""

    def __init__(self, url: str, reason: str, *, attempts: int = 1, status: int | None = None) -> None:
        self.url, self.reason, self.attempts, self.status = url, reason, attempts, status
        tries = f" (tried {attempts} times)" if attempts > 1 else ""
        super().__init__(f"{url}: {reason}{tries}")


class SiteUnavailable(ClientError):
    """The site does not answer properly now: no connection, 5xx, maintenance, a cut-off body.

    `retry_at` is when it is back, if it said so.
    """

    retry_at: datetime | None = None


class Blocked(ClientError):
    """The site wants us to stop: 429, a bare 403 or 405, a captcha, a login. `retry_at`: when to try again, if known."""

    retry_at: datetime | None = None


class BodyTooLarge(ClientError):
    """The body, unpacked, is larger than any page."""


class BadRedirect(ClientError):
    """A redirect that is not followed: a chain without end, or one without an address."""


class OffSiteRedirect(BadRedirect):
    """A redirect that leaves the site."""


@dataclass(frozen=True)
class Answer:
    """What the site sent, unpacked; `url` is the last hop's, `sha256` the hex digest of `body`.

    `validators`: the headers that ask, next time, only for what has changed since.
    """

    url: str
    status: int
    body: bytes
    fetched_at: datetime
    sha256: str
    validators: Mapping[str, str] = field(default_factory=dict)


class _TryAgain(Exception):
    """One attempt failed in a way that may pass; `wait` is the site's own wish in seconds.

    `answer` came whole, but is not the page: what the caller gets where it does not pass.
    """

    def __init__(
        self,
        kind: type[ClientError],
        reason: str,
        status: int | None = None,
        *,
        wait: float | None = None,
        answer: Answer | None = None,
    ) -> None:
        super().__init__(reason)
        self.kind, self.reason, self.status, self.wait, self.answer = kind, reason, status, wait, answer
        self.left_at = 0.0


class _Session(requests.Session):
    """Leaves redirects alone: else requests reads their whole body and resolves their address before we can look."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


class MalClient:
    """GETs of one site. Safe in several processes at once: they share pace and cool-down through `state_dir`.

    `requests_per_second` None sets no pace; `timeout` is (connect, read) in seconds, and a whole answer may take
    `deadline` seconds, however steadily it trickles in; `max_body` is in bytes, as sent and unpacked; `max_wait` is
    the longest pause, in seconds, that a request sits out. Every hop of a redirect counts as a request.

    A refusal makes all processes pause. Where there is a pace, a block (any refusal but 429) means `block_pause`
    seconds, twice as long each further time, and a page is tried twice. Else it is `back_off` · 2, 4, 8 … seconds, and
    after `attempts` refusals in a row nobody tries a page twice. After `refusals`, or where the pause is longer than
    `max_wait`, nobody tries at all: the site is closed, for `block_pause` seconds at least. A process that starts then
    waits for the end of that and asks once.
    """

    takes_validators = True

    def __init__(
        self,
        base_url: str,
        *,
        requests_per_second: float | None,
        contact: str | None = None,
        state_dir: Path,
        timeout: tuple[float, float] = (10, 30),
        deadline: float = 60,
        max_body: int = 16 * 1024 * 1024,
        attempts: int = 4,
        back_off: float = 1.0,
        max_wait: float = 120,
        refusals: int = 6,
        block_pause: float = 60,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"{base_url!r} is not the address of a site: expected http(s)://host[:port]")
        self.base_url = base_url.rstrip("/")
        self._site = parts
        self._timeout, self._deadline, self._max_body = timeout, deadline, max_body
        self._attempts, self._back_off, self._max_wait = attempts, back_off, max_wait
        self._refusals, self._block_pause = refusals, block_pause
        self._clock, self._sleep, self._jitter = clock, sleep, jitter
        self._is_paced = requests_per_second is not None
        self._limiter = Limiter(state_dir, requests_per_second, most_refusals=refusals, clock=clock, sleep=sleep)
        self._agent = "MALSugoi/0.1" + (f" (+{contact})" if contact else "")
        self._sessions: dict[int, requests.Session] = {}

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        check: Callable[[Answer], None] | None = None,
        validators: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask for `path`; any status but 403, 405, 429 and 5xx comes back as an answer.

        With the `validators` of an earlier answer the site may answer 304, without a body: that one still holds.

        `check` looks at an answer before it counts. Its PageErrors Captcha, BlockPage and LoginWall are refusals,
        Maintenance and TruncatedPage pass; both are tried again like a status that says so. So is a page of an
        unexpected kind, which is an answer if it stays. NotFound, PrivateList and MangaPage are answers at once.

        Raises: a `ClientError`, once `attempts` are used up or trying again is pointless.
        """
        url = requests.Request("GET", self.base_url + path, params=dict(params or {})).prepare().url
        assert url is not None
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._attempt(url, check, attempt, validators or {})
            except _TryAgain as failure:
                if failure.kind is Blocked:
                    self._refused(url, failure, attempt)
                else:
                    self._passing(url, failure, attempt)
                    if attempt >= self._attempts and failure.answer is not None:
                        return failure.answer

    def _refused(self, url: str, failure: _TryAgain, attempt: int) -> None:
        """Make everybody pause; the end of that is waited for when the next request wants to leave."""
        pauses: list[float] = []
        is_block = self._is_paced and failure.wait is None and failure.status != 429
        # A page that is always refused must not close the site: the second time another one finds out.
        attempts, first_long = (2, 1) if is_block else (self._attempts, self._refusals)

        def pause(refusals: int) -> float:
            if failure.wait is not None:
                pauses.append(failure.wait)
            elif refusals < first_long:
                pauses.append(self._pause(refusals + 1))
            else:
                pauses.append(min(self._block_pause * 2 ** min(refusals - first_long, 20), _LONGEST_BLOCK))
            return pauses[-1]

        refusals = self._limiter.refused(failure.left_at, pause)
        too_long = any(seconds > self._max_wait for seconds in pauses)
        closed = failure.wait is None and (too_long or refusals >= self._refusals)
        if closed or too_long or attempt >= attempts or refusals >= attempts:
            known = closed or failure.wait is not None
            self._give_up(url, failure, attempt, retry_at=self._limiter.cool_until() if known else 0.0)

    def _passing(self, url: str, failure: _TryAgain, attempt: int) -> None:
        """Wait before the next attempt, or give up."""
        pause = self._pause(attempt) if failure.wait is None else failure.wait
        self._limiter.unanswered(failure.left_at)
        if failure.wait is not None:
            self._limiter.cool_down(pause)
        if attempt < self._attempts and pause <= self._max_wait:
            self._sleep(pause)
        elif failure.answer is None:
            self._give_up(url, failure, attempt, retry_at=self._clock() + pause if failure.wait else 0.0)

    def _give_up(self, url: str, failure: _TryAgain, attempt: int, *, retry_at: float) -> NoReturn:
        error = failure.kind(url, failure.reason, attempts=attempt, status=failure.status)
        if retry_at > self._clock() and isinstance(error, Blocked | SiteUnavailable):
            error.retry_at = datetime.fromtimestamp(retry_at, UTC)
        raise error from failure.__cause__

    def _pause(self, attempt: int) -> float:
        """Full jitter over an exponential: between a half and one and a half of back_off · 2^(attempt - 1) seconds."""
        return min(float(self._back_off * 2 ** (attempt - 1) * (0.5 + self._jitter())), _LONGEST_BACK_OFF)

    def _attempt(
        self, url: str, check: Callable[[Answer], None] | None, attempt: int, validators: Mapping[str, str]
    ) -> Answer:
        """One try: the request with all hops of its redirects."""
        left_at, asked = 0.0, url
        try:
            for _ in range(6):
                left_at = self._limiter.acquire(self._max_wait)
                hop = self._hop(url, left_at, validators)
                if isinstance(hop, Answer):
                    if check is not None:
                        _checked(hop, check)
                    self._limiter.answered(left_at)
                    return hop
                url = hop
            raise BadRedirect(asked, "more than 5 redirects", attempts=attempt)
        except CoolDown as pause:
            when = datetime.fromtimestamp(pause.until, UTC)
            error = Blocked(asked, f"the site wants a pause until {when:%Y-%m-%d %H:%M:%S} UTC", attempts=attempt)
            error.retry_at = when
            raise error from None
        except _TryAgain as failure:
            failure.left_at = left_at
            raise

    def _hop(self, url: str, left_at: float, validators: Mapping[str, str]) -> Answer | str:
        """The answer to the request that leaves now, or the address that it redirects to."""
        with Deadline(self._deadline) as deadline:
            try:
                response = self._session().get(
                    url, headers=dict(validators), timeout=self._timeout, stream=True, allow_redirects=False
                )
            except requests.exceptions.RequestException as error:
                raise _TryAgain(SiteUnavailable, _no_answer(error, deadline)) from error
            finally:
                self._limiter.arrived(left_at)
            with response:
                if response.status_code in _REDIRECTS:
                    return self._target(url, response)
                return self._read(url, response, deadline)

    def _target(self, url: str, response: requests.Response) -> str:
        status, location = response.status_code, response.headers.get("Location")
        if not location:
            raise _TryAgain(BadRedirect, "redirected to nowhere", status)
        try:
            target = urljoin(url, location.encode("latin-1", "replace").decode("utf-8", "replace"))
            parts = urlsplit(target)
            same = self._is_site(parts)
        except ValueError as error:
            raise _TryAgain(BadRedirect, f"redirected to no address: {location[:200]!r}", status) from error
        if not same:
            raise _TryAgain(OffSiteRedirect, f"redirected off the site, to {target[:200]}", status)
        if _LOGIN.fullmatch(parts.path):
            raise _TryAgain(Blocked, "redirected to the login page", status)
        return target

    def _is_site(self, parts: SplitResult) -> bool:
        """The same host and port, by http(s), or from http to https. ValueError where the port is none."""
        if parts.scheme not in _PORTS or parts.username is not None or parts.hostname != self._site.hostname:
            return False
        ports = (self._site.port or _PORTS[self._site.scheme], parts.port or _PORTS[parts.scheme])
        if parts.scheme == self._site.scheme:
            return ports[0] == ports[1]
        return parts.scheme == "https" and ports == (80, 443)

    def _read(self, url: str, response: requests.Response, deadline: Deadline) -> Answer:
        status = response.status_code
        body = self._body(response, deadline)
        if status == 429 or (status == 503 and "Retry-After" in response.headers):
            kind = Blocked if status == 429 else SiteUnavailable
            raise _TryAgain(kind, f"status {status}", status, wait=self._retry_after(response))
        if status in (403, 405) and "json" not in response.headers.get("Content-Type", ""):
            raise _TryAgain(Blocked, f"status {status}", status)
        if status >= 500:
            raise _TryAgain(SiteUnavailable, f"status {status}", status)
        fetched_at = datetime.fromtimestamp(self._clock(), UTC)
        said = {"If-None-Match": "ETag", "If-Modified-Since": "Last-Modified"}
        validators = {ask: response.headers[name] for ask, name in said.items() if name in response.headers}
        return Answer(url, status, body, fetched_at, hashlib.sha256(body).hexdigest(), validators)

    def _body(self, response: requests.Response, deadline: Deadline) -> bytes:
        status, most = response.status_code, self._max_body
        too_large = f"more than {most:,} bytes"
        announced = response.headers.get("Content-Length", "")
        if announced.isascii() and announced.isdigit() and int(announced[:19]) > most:
            raise _TryAgain(BodyTooLarge, too_large, status)
        late = f"not whole after {self._deadline:g} s"
        parts, size = [], 0
        try:
            for part in response.iter_content(_CHUNK):
                size += len(part)
                if size > most:
                    raise _TryAgain(BodyTooLarge, too_large, status)
                if deadline.passed:
                    raise _TryAgain(SiteUnavailable, late, status)
                parts.append(part)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            reason = late if deadline.passed else "the body was cut off"
            raise _TryAgain(SiteUnavailable, reason, status) from error
        if deadline.passed:
            raise _TryAgain(SiteUnavailable, late, status)
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
            for scheme in _PORTS:
                session.mount(f"{scheme}://", DeadlineAdapter())
            session.headers.update(
                {"User-Agent": self._agent, "Accept-Language": "en", "Accept-Encoding": "gzip, deflate"}
            )
            session.trust_env = self._site.hostname not in LOCAL_HOSTS
            self._sessions = {os.getpid(): session}
        return session


def _checked(answer: Answer, check: Callable[[Answer], None]) -> None:
    try:
        check(answer)
    except (NotFound, PrivateList, MangaPage, NeedsScripts):
        pass  # for the caller, who keeps the answer
    except (Captcha, BlockPage, LoginWall) as error:
        raise _TryAgain(Blocked, error.found, answer.status) from error
    except (Maintenance, TruncatedPage) as error:
        raise _TryAgain(SiteUnavailable, error.found, answer.status) from error
    except PageError as error:
        raise _TryAgain(SiteUnavailable, error.found, answer.status, answer=answer) from error


def _no_answer(error: requests.exceptions.RequestException, deadline: Deadline) -> str:
    if deadline.passed:
        return f"no answer after {deadline.seconds:g} s"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    return f"no connection ({_root(error)})"


def _root(error: BaseException) -> str:
    reason: object = error
    while isinstance(reason, BaseException) and reason.args and isinstance(reason.args[-1], BaseException):
        reason = reason.args[-1]
    reason = getattr(reason, "reason", reason)
    text = getattr(reason, "strerror", None) or str(reason).split(": ")[-1]
    return text or type(error).__name__
