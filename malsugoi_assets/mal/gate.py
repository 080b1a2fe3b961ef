"""The gate that a browser's requests pass: only the site's own, only what a page is made of, each in its turn.

Chromium reports every request over its DevTools socket before it sends it, and waits. A thread here answers: what is not
a GET of a document, script or data from the site is refused; the rest waits for its turn like any other request of ours.
Redirects of the page are not followed here but handed back. What the gate saw of the page that is loading is a `Visit`.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

KINDS = frozenset({"Document", "Script", "XHR", "Fetch"})
"""What a page's text is made of. Images, styles, fonts, media and beacons are not."""

_WITHOUT = """
for (const name of ["WebSocket", "WebTransport", "EventSource", "RTCPeerConnection", "Worker", "SharedWorker"])
  delete window[name];
window.open = () => null;
"""
"""Run in every page before its own scripts: ways to the net that DevTools do not report are not there."""

_REDIRECTS = (301, 302, 303, 307, 308)


class GateClosed(Exception):
    """The browser has gone away."""


@dataclass
class Document:
    """A document that was asked for."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    size: int = 0
    received: bool = False


@dataclass
class Visit:
    """What became of a navigation, and of those that scripts began after it."""

    documents: dict[str, Document] = field(default_factory=dict)
    """By the request's id."""
    shown: str = ""
    """The one that the page shows."""
    awaited: str = ""
    """The one that it is about to show, if its answer is more than a file to save."""
    loaded: bool = False
    redirect: Document | None = None
    error: str = ""
    """Why there is no whole document."""
    off_site: str = ""
    """Where a script wanted to lead."""

    @property
    def answer(self) -> Document:
        """What the site answered at last."""
        return self.redirect or self.documents.get(self.shown) or next(reversed(self.documents.values()), Document())

    @property
    def over(self) -> bool:
        """There is nothing more to wait for."""
        whole = self.shown in self.documents and self.documents[self.shown].received and self.loaded
        return bool(self.error) or self.redirect is not None or (whole and not self.awaited)


class Gate:
    """The DevTools connection to one page.

    `is_site` says whether an address belongs to the site, `wait_turn` waits for a request's turn and may raise, which
    ends the visit with that exception; `max_body` is in bytes, unpacked.
    """

    def __init__(
        self,
        socket_url: str,
        *,
        is_site: Callable[[SplitResult], bool],
        wait_turn: Callable[[], float],
        arrived: Callable[[float], object],
        answered: Callable[[float], object],
        max_body: int,
    ) -> None:
        import websocket

        self._socket = websocket.create_connection(socket_url, suppress_origin=True)
        self._is_site, self._max_body = is_site, max_body
        self._wait_turn, self._arrived, self._answered = wait_turn, arrived, answered
        self._waiting: queue.SimpleQueue[tuple[Visit, dict[str, Any]] | None] = queue.SimpleQueue()
        self._left_at: dict[str, float] = {}
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._replies: dict[int, dict[str, Any] | None] = {}
        self._visit = Visit(error="no visit yet")
        self._under_way: set[str] = set()
        self._ended: set[str] = set()
        self._last_change = time.monotonic()
        self._frame = ""
        self.closed = False
        self.stopped_by: BaseException | None = None
        for work in (self._listen, self._take_turns):
            threading.Thread(target=work, name="browser gate", daemon=True).start()
        self._frame = self.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.call("Page.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=_WITHOUT)
        self.call("Network.enable", maxResourceBufferSize=max_body + 2**20, maxTotalBufferSize=2 * max_body + 2**21)
        self.call("Network.setBypassServiceWorker", bypass=True)
        patterns = [
            {"urlPattern": "*", "requestStage": "Request"},
            {"urlPattern": "*", "requestStage": "Response", "resourceType": "Document"},
        ]
        self.call("Fetch.enable", patterns=patterns)

    def close(self) -> None:
        """Hang up; whoever waits is told."""
        with contextlib.suppress(Exception):
            self._socket.close()
        self._hung_up()

    def begin(self, left_at: float) -> Visit:
        """A navigation starts, whose first request's turn came at `left_at`: forget the last one."""
        with self._changed:
            self._visit, self.stopped_by = Visit(), None
            self._under_way.clear()
            self._ended.clear()
            self._left_at = {"": left_at}
            self._last_change = time.monotonic()
            return self._visit

    def wait_over(self, visit: Visit, seconds: float) -> bool:
        """Wait until there is nothing more to wait for; False where that takes longer than `seconds`."""
        with self._changed:
            self._changed.wait_for(lambda: visit.over or self.closed or self.stopped_by is not None, seconds)
            self._raise()
            return visit.over

    def wait_quiet(self, quiet: float, seconds: float) -> bool:
        """Wait until, from now on, none was under way for `quiet` seconds; False where that takes longer than `seconds`."""
        began = time.monotonic()
        until = began + seconds
        with self._changed:
            while True:
                self._raise()
                now = time.monotonic()
                calm = max(self._last_change, began) + quiet - now
                if not self._under_way and calm <= 0:
                    return True
                if now >= until:
                    return False
                self._changed.wait(min(until - now, max(calm, 0.01) if not self._under_way else until - now))

    def call(self, method: str, *, wait_seconds: float = 15, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its result. Raises `GateClosed`, also where the browser does not answer."""
        number = next(self._numbers)
        self._replies[number] = None  # before it is sent, or a quick reply would find nobody waiting
        self._send(method, params, number)
        with self._changed:
            self._changed.wait_for(lambda: self._replies[number] is not None or self.closed, wait_seconds)
            reply = self._replies.pop(number)
        if reply is None:
            raise GateClosed(f"the browser does not answer to {method}")
        if "error" in reply:
            raise GateClosed(f"{method}: {reply['error'].get('message')}")
        result: dict[str, Any] = reply["result"]
        return result

    def body(self, visit: Visit) -> bytes:
        """The document that is shown, as it was received, unpacked."""
        got = self.call("Network.getResponseBody", requestId=visit.shown)
        return base64.b64decode(got["body"]) if got["base64Encoded"] else str(got["body"]).encode()

    def _raise(self) -> None:
        if self.stopped_by is not None:
            raise self.stopped_by
        if self.closed:
            raise GateClosed("the browser has gone away")

    def _send(self, method: str, params: Mapping[str, Any], number: int | None = None) -> None:
        number = next(self._numbers) if number is None else number
        try:
            with self._sending:
                self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        except Exception as error:
            self._hung_up()
            raise GateClosed("the browser has gone away") from error

    def _hung_up(self) -> None:
        with self._changed:
            self.closed = True
            self._waiting.put(None)
            self._changed.notify_all()

    def _listen(self) -> None:
        try:
            while not self.closed:
                message = json.loads(self._socket.recv())
                if "id" in message:
                    with self._changed:
                        if message["id"] in self._replies:
                            self._replies[message["id"]] = message
                            self._changed.notify_all()
                elif (react := getattr(self, "_on_" + message["method"].replace(".", "_"), None)) is not None:
                    react(message["params"])
        except Exception:
            self._hung_up()

    def _on_Fetch_requestPaused(self, event: dict[str, Any]) -> None:  # noqa: N802 - named as the event is
        if "responseStatusCode" in event or "responseErrorReason" in event:
            self._on_answer(event)
            return
        visit, network_id = self._visit, event.get("networkId", "")
        document = event["resourceType"] == "Document"
        page = document and event["frameId"] == self._frame
        parts = urlsplit(event["request"]["url"])
        site = self._is_site(parts)
        if page and not site:
            self._note(visit, off_site=event["request"]["url"][:200], error="led off the site")
        if (
            not network_id
            or not site
            or event["resourceType"] not in KINDS
            or event["request"]["method"] != "GET"
            or document != page
        ):
            self._refuse(event, "BlockedByClient")  # what has no id in the page's network log is a download
            return
        with self._changed:
            own_turn = page and not visit.documents  # waited for before the navigation began
            if page:
                visit.documents[network_id], visit.awaited = Document(), network_id
            if network_id not in self._ended:  # the network's reports come by another way, sometimes earlier
                self._under_way.add(network_id)
            self._touch()
        if own_turn:
            self._left_at[network_id] = self._left_at.pop("", 0.0)
            self._send("Fetch.continueRequest", {"requestId": event["requestId"]})
        else:
            self._waiting.put((visit, event))

    def _take_turns(self) -> None:
        """Let the waiting requests leave, one after another, while the other thread hears how those before fare."""
        while (next_one := self._waiting.get()) is not None:
            visit, event = next_one
            try:
                if visit is self._visit and self.stopped_by is None:
                    self._left_at[event["networkId"]] = self._wait_turn()
                    self._send("Fetch.continueRequest", {"requestId": event["requestId"]})
                    continue
            except GateClosed:
                return
            except Exception as error:
                with self._changed:
                    self.stopped_by = self.stopped_by or error
                    self._touch()
            with contextlib.suppress(GateClosed):
                self._refuse(event, "BlockedByClient")

    def _on_answer(self, event: dict[str, Any]) -> None:
        visit, status = self._visit, event.get("responseStatusCode")
        document = visit.documents.get(event.get("networkId", ""))
        left_at = self._arrive(event.get("networkId", ""))
        if document is not None and status is not None:
            document.status = status
            document.headers = {h["name"].lower(): h["value"] for h in event.get("responseHeaders", ())}
            announced = document.headers.get("content-length", "")
            if status in _REDIRECTS:
                self._note(visit, redirect=document)
                self._refuse(event, "Aborted")
                return
            if announced.isascii() and announced.isdigit() and int(announced[:19]) > self._max_body:
                self._note(visit, error=f"more than {self._max_body:,} bytes")
                self._refuse(event, "Aborted")
                return
            if "attachment" in document.headers.get("content-disposition", "").lower():
                if not visit.shown:
                    self._note(visit, error="a file to save, not a page")
                self._refuse(event, "Aborted")
                return
            if status < 400:
                self._answered(left_at)
        self._send("Fetch.continueRequest", {"requestId": event["requestId"]})

    def _on_Network_responseReceived(self, event: dict[str, Any]) -> None:  # noqa: N802
        self._arrive(event["requestId"])

    def _arrive(self, network_id: str) -> float:
        """The request's answer has begun, or never will; the moment at which it left, 0 where that is not known."""
        left_at = self._left_at.pop(network_id, 0.0)
        if left_at:
            self._arrived(left_at)
        return left_at

    def _on_Network_dataReceived(self, event: dict[str, Any]) -> None:  # noqa: N802
        visit, document = self._visit, self._visit.documents.get(event["requestId"])
        if document is not None:
            document.size += event["dataLength"]
            if document.size > self._max_body and not visit.error:
                self._note(visit, error=f"more than {self._max_body:,} bytes")
                self._send("Page.stopLoading", {})

    def _on_Network_loadingFinished(self, event: dict[str, Any]) -> None:  # noqa: N802
        self._done(event["requestId"], None)

    def _on_Network_loadingFailed(self, event: dict[str, Any]) -> None:  # noqa: N802
        self._done(event["requestId"], event.get("errorText") or "failed")

    def _on_Page_frameNavigated(self, event: dict[str, Any]) -> None:  # noqa: N802
        visit, loader = self._visit, event["frame"]["loaderId"]
        if event["frame"]["id"] == self._frame and loader in visit.documents:
            self._note(visit, shown=loader, loaded=False)

    def _on_Page_frameStoppedLoading(self, event: dict[str, Any]) -> None:  # noqa: N802
        if event["frameId"] == self._frame and self._visit.shown:
            self._note(self._visit, loaded=True)

    def _on_Page_javascriptDialogOpening(self, event: dict[str, Any]) -> None:  # noqa: N802
        self._send("Page.handleJavaScriptDialog", {"accept": False})

    def _done(self, network_id: str, error: str | None) -> None:
        self._arrive(network_id)
        with self._changed:
            visit = self._visit
            if (document := visit.documents.get(network_id)) is not None:
                document.received = error is None
                visit.awaited = "" if visit.awaited == network_id else visit.awaited
                # One that failed behind one that is shown was a file to save, or is not worth more than what is there.
                if error and visit.shown in ("", network_id) and visit.redirect is None:
                    visit.error = visit.error or error
            self._under_way.discard(network_id)
            self._ended.add(network_id)
            self._touch()

    def _refuse(self, event: dict[str, Any], reason: str) -> None:
        self._send("Fetch.failRequest", {"requestId": event["requestId"], "errorReason": reason})

    def _note(self, visit: Visit, **values: Any) -> None:
        with self._changed:
            for name, value in values.items():
                setattr(visit, name, value)
            self._touch()

    def _touch(self) -> None:
        self._last_change = time.monotonic()
        self._changed.notify_all()
