"""What is refused in one line because another process, or another data dir, is in the way."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from malsugoi_assets.mal.replica import stop_replica
from malsugoi_tests.support.processes import execute, start

pytestmark = pytest.mark.slow


def test_a_second_run_on_the_same_data_dir_is_refused_while_the_first_works(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    lock = data_dir / "locks" / "run.lock"
    first = start(data_dir)
    try:
        until = time.monotonic() + 60
        while not (lock.exists() and lock.read_text()) and time.monotonic() < until:
            assert first.poll() is None
            time.sleep(0.05)
        second = start(data_dir)
        output, _ = second.communicate(timeout=120)
        assert second.returncode == 2, output
        assert len(output.strip().splitlines()) == 1, output
        assert f"already under way (process {first.pid})" in output
    finally:
        first.kill()
        first.communicate()
        stop_replica(data_dir)


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(tmp_path / "data", "replica", "--port", str(port))
        output, _ = process.communicate(timeout=120)
    assert process.returncode == 2, output
    assert len(output.strip().splitlines()) == 1, output
    assert f"port {port}" in output
    assert "--port" in output


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [("MALSUGOI_DATA_DIR", None, "holds data of live"), ("MALSUGOI_SOURCE", "moon", "MALSUGOI_SOURCE=moon")],
    ids=["a data dir of another source", "an unknown source"],
)
def test_a_job_that_cannot_work_with_its_settings_ends_in_one_line(
    tmp_path: Path, setting: str, value: str | None, words: str
) -> None:
    """The refusal came out of the first asset, below a page of traceback."""
    data_dir = tmp_path / "data"
    (data_dir / "dagster").mkdir(parents=True)
    (data_dir / "source.json").write_text(json.dumps({"source": "live", "site": "https://example.org"}))
    done = execute(data_dir, "catalogue", **({setting: value} if value else {}))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("Error: ")
    assert words in last
