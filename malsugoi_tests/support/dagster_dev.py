"""`dagster dev` as a test's own process, with everything that it starts."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from malsugoi_tests.support.processes import environment
from malsugoi_tests.support.shared import REPO


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that the system gives to nobody who asks for any port.

    Whoever binds port 0 or connects gets one of the ephemeral ports (from 32768 on Linux, 49152 elsewhere): a port of
    those may be somebody's by the time that the server binds it.
    """
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class DagsterDev:
    """`dagster dev` on a data dir; `settings` are further environment variables, None takes one away."""

    data_dir: Path
    settings: Mapping[str, str | None] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.data_dir.parent / "dagster-dev.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        env: dict[str, str | None] = {**environment(self.data_dir), "DAGSTER_HOME": self._home, **self.settings}
        command = [sys.executable, "-m", "dagster", "dev", "-w", str(REPO / "workspace.yaml")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--host", "127.0.0.1", "--port", str(self.port)],
                cwd=self.data_dir.parent,
                env={name: value for name, value in env.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill -9: the page, the daemon, the code server, and the runs, which start sessions of their own."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for pid in self.descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def descendants(self) -> list[int]:
        """Processes that work on this data dir's instance, where the system shows them."""
        mark, found = f"DAGSTER_HOME={self._home}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def check_alive(self) -> None:
        """Raise AssertionError with the last lines of what was said, where the process has ended."""
        assert self.process is not None
        assert self.process.poll() is None, self.last_words()

    def last_words(self) -> str:
        return self.log.read_text()[-4000:]

    @property
    def _home(self) -> str:
        return str(self.data_dir / "dagster")
