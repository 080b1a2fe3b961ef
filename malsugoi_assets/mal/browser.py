"""Pages as a browser shows them: Selenium with headless Chromium, behind the interface of the client.

`BrowserClient` is `MalClient` with another way to ask: pace, retries, cool-down, redirects and the judgement of a status
are the client's. `PagesOrBrowser` asks as usual and takes the browser for those pages that only scripts fill. A rendered
list is scrolled until its scripts have nothing more to add.

There is one browser a process. It is started when a page is first asked of it and again when it has died; `keeper` ends it
with this process, however that ends. Chromium sees only the site (`gate`), keeps nothing, and downloads nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult

import requests

from malsugoi_assets.mal import keeper, selectors
from malsugoi_assets.mal.client import (
    Answer,
    BodyTooLarge,
    ClientError,
    MalClient,
    OffSiteRedirect,
    SiteUnavailable,
)
from malsugoi_assets.mal.client import _TryAgain as TryAgain
from malsugoi_assets.mal.deadline import Deadline
from malsugoi_assets.mal.errors import NeedsScripts
from malsugoi_assets.mal.gate import Gate, GateClosed, Visit

if TYPE_CHECKING:
    from selenium.webdriver import Remote

Mode = Literal["off", "auto", "always"]

CHROMIUM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
DRIVER = "chromedriver"
MISSING = (
    "no Chromium with its driver is installed here: install both (Debian: `apt-get install chromium chromium-driver`, "
    "macOS: `brew install --cask chromium chromedriver`), or set MALSUGOI_BROWSER=off"
)
QUIET_SECONDS = 0.3
"""So long no request was under way before a page counts as finished with loading more."""

_BLANK = "about:blank"
_MOST_SCROLLS = 2_000
_FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--disable-breakpad",
    "--disable-extensions",
    "--block-new-web-contents",
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,MediaRouter,OptimizationHints",
    "--blink-settings=imagesEnabled=false",
    "--window-size=1280,1600",
)


class BrowserMissing(ClientError):
    """No browser is installed here; the reason says in one line what to install."""

    hopeless = True


def installed() -> tuple[str, str] | None:
    """The paths of Chromium and of its driver; None where one of them is missing."""
    chromium = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    driver = shutil.which(DRIVER)
    return (chromium, driver) if chromium and driver else None


def open_client(mode: Mode, base_url: str, **options: Any) -> MalClient | PagesOrBrowser:
    """The client for a setting: never a browser, one where a page needs scripts, or one for every page.

    Raises: `BrowserMissing` where every page is to come from a browser and there is none.
    """
    if mode == "off":
        return MalClient(base_url, **options)
    if mode == "auto":
        return PagesOrBrowser(MalClient(base_url, **options), BrowserClient(base_url, **options))
    if installed() is None:
        raise BrowserMissing(base_url, MISSING)
    return BrowserClient(base_url, **options)


class PagesOrBrowser:
    """Asks without a browser, and with one where the answer is a page that only scripts fill."""

    takes_validators = True

    def __init__(self, pages: MalClient, browser: MalClient) -> None:
        self.base_url = pages.base_url
        self._pages, self._browser = pages, browser
        self._warned = False

    def get(
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        check: Callable[[Answer], None] | None = None,
        validators: Mapping[str, str] | None = None,
    ) -> Answer:
        """As `MalClient.get`. Where a page needs a browser and none is installed it comes back as it is, with a warning."""
        needs_scripts = False

        def look(answer: Answer) -> None:
            nonlocal needs_scripts
            needs_scripts = False
            if check is not None:
                try:
                    check(answer)
                except NeedsScripts:
                    needs_scripts = True

        answer = self._pages.get(path, params, check=look, validators=validators)
        if not needs_scripts:
            return answer
        if installed() is None:
            if not self._warned:
                logging.getLogger(__name__).warning("%s needs scripts, but %s", answer.url, MISSING)
            self._warned = True
            return answer
        return self._browser.get(path, params, check=check)


class BrowserClient(MalClient):
    """`MalClient` that asks through Chromium. What comes back is the rendered page, or what was received if it is none."""

    # A page's own validators say nothing of what its scripts load.
    takes_validators = False

    def _hop(self, url: str, left_at: float, validators: Mapping[str, str]) -> Answer | str:
        with _visiting(self) as browser:
            visit = browser.open(url, left_at, self._deadline)
            content = browser.content(visit, self._deadline)
            status = visit.answer.status
            if visit.off_site:
                raise TryAgain(OffSiteRedirect, f"a script led off the site, to {visit.off_site}", status)
            if visit.error:
                large = visit.error.startswith("more than")
                raise TryAgain(BodyTooLarge if large else SiteUnavailable, _why(visit.error), status)
            response = requests.Response()
            response.status_code = status or 0
            response.headers.update(visit.answer.headers)
            if visit.redirect is not None:
                return self._target(url, response)
            response._content = content
            response._content_consumed = True  # type: ignore[attr-defined]
            found = self._read(url, response, Deadline(self._deadline))
            return replace(found, validators={}) if isinstance(found, Answer) else found

    def _wait_turn(self) -> float:
        return self._limiter.acquire(self._max_wait)

    def _page_answered(self, left_at: float) -> None:
        """The site answers: the requests of its page need not wait until the page is judged."""
        self._limiter.answered(left_at)


class Browser:
    """One Chromium under its keeper, showing one page at a time."""

    def __init__(self, client: BrowserClient) -> None:
        found = installed()
        if found is None:
            raise BrowserMissing(client.base_url, MISSING)
        self.host = client._site.hostname or ""
        self.client = client
        self._scratch = Path(tempfile.mkdtemp(prefix="malsugoi-browser-"))
        chromium, driver_path = found
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, driver_path, str(self._scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.group: int | None = None
        self._gate: Gate | None = None
        self._driver: Remote | None = None
        try:
            assert self._keeper.stdout is not None
            port, self.group = map(int, self._keeper.stdout.readline().split())
            self._driver = self._session(port, chromium)
            self._gate = self._open_gate(self._driver)
        except Exception as error:
            self.close()
            raise GateClosed(f"the browser does not start: {_first_line(error)}") from error

    def _session(self, port: int, chromium: str) -> Remote:
        from selenium import webdriver
        from selenium.webdriver.common.proxy import Proxy
        from selenium.webdriver.remote.client_config import ClientConfig

        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        options.page_load_strategy = "none"  # the gate sees more of a page's state than the driver does
        rules = f"MAP * ~NOTFOUND , EXCLUDE {self.host} , EXCLUDE *.{self.host}"
        flags = [*_FLAGS, f"--user-data-dir={self._scratch / 'profile'}", f"--host-resolver-rules={rules}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")
        # The driver would let every popup through.
        options.add_experimental_option("excludeSwitches", ["disable-popup-blocking"])
        for flag in flags:
            options.add_argument(flag)
        address = f"http://127.0.0.1:{port}"
        config = ClientConfig(address, timeout=60, proxy=Proxy({"proxyType": "direct"}))
        return webdriver.Remote(command_executor=address, options=options, client_config=config)

    def _open_gate(self, driver: Remote) -> Gate:
        where = driver.capabilities["goog:chromeOptions"]["debuggerAddress"]
        ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        driver.get(_BLANK)  # Chromium's own first page is busy, and another process than the pages after it
        pages: list[dict[str, str]] = []
        until = time.monotonic() + 20
        while not pages and time.monotonic() < until:
            with ask.open(f"http://{where}/json/list", timeout=20) as answer:
                pages = [page for page in json.load(answer) if page["type"] == "page" and page["url"] == _BLANK]
        if not pages:
            raise GateClosed("it shows no page")
        gate = Gate(
            pages[0]["webSocketDebuggerUrl"],
            is_site=self._allows,
            wait_turn=lambda: self.client._wait_turn(),
            arrived=lambda left_at: self.client._limiter.arrived(left_at),
            answered=lambda left_at: self.client._page_answered(left_at),
            max_body=self.client._max_body,
        )
        self._name = gate.call("Browser.getVersion")["userAgent"]
        gate.call("Browser.setDownloadBehavior", behavior="deny")
        return gate

    def serve(self, client: BrowserClient) -> None:
        """Ask for this client from now on: with its pace, and in its name."""
        assert self._gate is not None
        self.client = client
        agent = f"{self._name} {client._agent}"
        self._gate.call("Network.setUserAgentOverride", userAgent=agent, acceptLanguage="en")

    def _allows(self, parts: SplitResult) -> bool:
        """The site itself, and hosts below it, from which a site serves its scripts."""
        try:
            return self.client._is_site(parts) or (
                parts.scheme == "https"
                and parts.port in (None, 443)
                and (parts.hostname or "").endswith(f".{self.host}")
            )
        except ValueError:
            return False

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._gate is not None and not self._gate.closed and self._keeper.poll() is None

    def open(self, url: str, left_at: float, seconds: float) -> Visit:
        """Navigate, now that the request's turn has come at `left_at`, and wait for the document and its scripts."""
        assert self._driver is not None and self._gate is not None  # noqa: PT018
        visit = self._gate.begin(left_at)
        try:
            self._driver.get(url)
        except Exception:
            # The driver reports a failed navigation too; the gate knows better which, or that the browser is gone.
            if not self._gate.wait_over(visit, 1):
                raise
        self._wait(visit, seconds)
        return visit

    def _wait(self, visit: Visit, seconds: float) -> None:
        assert self._gate is not None
        if not self._gate.wait_over(visit, seconds):
            visit.error = f"not whole after {seconds:g} s"

    def content(self, visit: Visit, seconds: float) -> bytes:
        """The rendered page, a list with all its rows; as received where that is no whole page; b"" where there is none.

        A script may still lead elsewhere: `visit` then says so.
        """
        assert self._driver is not None and self._gate is not None  # noqa: PT018
        if visit.error or visit.redirect is not None:
            return b""
        if not visit.answer.headers.get("content-type", "").startswith("text/html"):
            return self._gate.body(visit)
        self._gate.wait_quiet(QUIET_SECONDS, seconds)
        self._wait(visit, seconds)
        if visit.error or visit.redirect is not None:
            return b""
        received = self._gate.body(visit)
        # A browser closes what a page left open: only what came whole may be taken as rendered.
        if visit.answer.status != 200 or not re.search(rb"</html\s*>", received[-4096:], re.I):
            return received
        rows = self._rows()
        for _ in range(_MOST_SCROLLS if rows else 0):
            self._driver.execute_script("window.scrollTo(0, document.documentElement.scrollHeight)")
            if not self._gate.wait_quiet(QUIET_SECONDS, seconds):
                visit.error = f"rows still to come after {seconds:g} s"
                return b""
            before, rows = rows, self._rows()
            if rows == before:
                break
        return self._driver.page_source.encode("utf-8", "replace")

    def _rows(self) -> int:
        assert self._driver is not None
        return int(
            self._driver.execute_script("return document.querySelectorAll(arguments[0]).length", selectors.LIST_ROW)
        )

    def close(self) -> None:
        """End Chromium, driver and keeper, and remove what they wrote."""
        if self._gate is not None:
            self._gate.close()
        if self._keeper.stdin is not None:
            with contextlib.suppress(OSError):
                self._keeper.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(15)
        if self._keeper.poll() is None:
            self._keeper.kill()
            self._keeper.wait()
        if self._keeper.stdout is not None:
            self._keeper.stdout.close()
        if self._keeper.returncode != 0 and self.group is not None:
            keeper.end_group(self.group, self._scratch)
        shutil.rmtree(self._scratch, ignore_errors=True)


_one_visit = threading.Lock()
_running: Browser | None = None
_pid = 0


@contextlib.contextmanager
def _visiting(client: BrowserClient) -> Iterator[Browser]:
    """This process's browser, for one visit. One that has died is ended; the next attempt starts another."""
    from selenium.common import WebDriverException
    from urllib3.exceptions import HTTPError

    with _one_visit:
        try:
            yield _browser(client)
        except (GateClosed, WebDriverException, HTTPError, OSError) as error:
            close_browser()
            raise TryAgain(SiteUnavailable, f"the browser failed ({_first_line(error)})") from error


def _browser(client: BrowserClient) -> Browser:
    global _running, _pid
    if _running is not None and _pid == os.getpid():
        if _running.alive and _running.host == client._site.hostname:
            if _running.client is not client:
                _running.serve(client)
            return _running
        close_browser()
    _running, _pid = Browser(client), os.getpid()
    _running.serve(client)
    return _running


def close_browser() -> None:
    """End this process's browser, if it has one."""
    global _running
    if _running is not None and _pid == os.getpid():
        _running.close()
    _running = None


atexit.register(close_browser)


def _why(error: str) -> str:
    known = {
        "net::ERR_CONTENT_LENGTH_MISMATCH": "the body was cut off",
        "net::ERR_INCOMPLETE_CHUNKED_ENCODING": "the body was cut off",
    }
    return known.get(error) or (error if " " in error else f"no connection ({error})")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
