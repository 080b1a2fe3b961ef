"""An end for answers that never end: a server that sends a byte now and then keeps every read time-out happy."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_current = threading.local()


class Deadline:
    """A block in which this thread's request, headers and body, may take `seconds`; then its socket is shut down.

    Whoever reads from it sees the answer end there, so `passed` has to be asked before an end is believed.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds, self.passed = seconds, False
        self.socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._timer.cancel()
        _current.deadline = None

    def _pass(self) -> None:
        self.passed = True
        if self.socket is not None:
            with contextlib.suppress(OSError):
                # Of the plain socket below TLS: closing that in good order is another thread's business.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


class _Watched:
    """Tells the thread's deadline which socket its request goes over."""

    sock: socket.socket | None

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self._tell()

    def putrequest(self, *args: Any, **options: Any) -> None:
        self._tell()
        super().putrequest(*args, **options)  # type: ignore[misc]

    def _tell(self) -> None:
        deadline: Deadline | None = getattr(_current, "deadline", None)
        if deadline is not None:
            deadline.socket = self.sock


class _Connection(_Watched, HTTPConnection): ...


class _SecureConnection(_Watched, HTTPSConnection): ...


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Sends requests so that the `Deadline` around them is kept."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make connections that know about deadlines."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
