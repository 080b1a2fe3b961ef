"""`malsugoi serve` as a process: it answers, ends by Ctrl-C, and refuses in one line."""

from __future__ import annotations

import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from malsugoi_tests.support.dagster_dev import free_port
from malsugoi_tests.support.processes import start

pytestmark = pytest.mark.slow


def test_it_answers_until_ctrl_c(world: Path) -> None:
    port = free_port()
    process = start(world, "serve", "--port", str(port))
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60) as answer:
                    text = answer.read().decode()
                break
            except OSError:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert "What to watch next" in text
        with pytest.raises(OSError, match=r"."), socket.create_connection(("127.0.0.2", port), timeout=5):
            pass
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert f"http://127.0.0.1:{port}" in said
        assert "Traceback" not in said
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_is_one_line(world: Path) -> None:
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        process = start(world, "serve", "--port", str(port))
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be had" in said
    assert "--port" in said
    assert "Traceback" not in said
