"""The page behind a real server, for what only a socket or a browser shows."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from malsugoi_assets.web.app import build_app
from malsugoi_assets.web.limits import Limits
from malsugoi_tests.support.dagster_dev import free_port
from malsugoi_tests.web.world import settings_of


class Served:
    """A server of a data dir's page in a thread of this process."""

    def __init__(self, root: Path, limits: Limits | None = None) -> None:
        self.port = free_port()
        config = uvicorn.Config(build_app(settings_of(root), limits), port=self.port, log_level="error")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, head: str, *chunks: bytes) -> bytes:
        """Send a request's head and body as they are; what comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as line:
            own = f"Host: 127.0.0.1:{self.port}\r\nOrigin: {self.url}\r\nConnection: close\r\n"
            first, rest = head.split("\r\n", 1)
            line.sendall(f"{first}\r\n{own}{rest}\r\n".encode())
            for chunk in chunks:
                line.sendall(chunk)
            answer = b""
            while more := line.recv(65536):
                answer += more
            return answer


@contextmanager
def serving(root: Path, limits: Limits | None = None) -> Iterator[Served]:
    """The page of the data dir, until the block ends."""
    served = Served(root, limits)
    served.thread.start()
    deadline = time.monotonic() + 30
    while not served.server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield served
    served.server.should_exit = True
    served.thread.join(timeout=10)
