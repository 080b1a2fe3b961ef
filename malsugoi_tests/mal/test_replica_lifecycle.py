"""One replica a data dir: found, started, shared, killed and started again, by real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from malsugoi_assets.mal.replica import ReplicaError, ensure_replica, replica_status, serve, stop_replica

SIZES = {"n_anime": 40, "n_users": 8}


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    stop_replica(tmp_path)


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_processes_that_ask_at_once_share_one_that_outlives_them(data_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from malsugoi_assets.mal.replica import ensure_replica\n"
        "print(ensure_replica(Path(sys.argv[1]), n_anime=40, n_users=8))"
    )
    starters = [
        subprocess.Popen([sys.executable, "-c", code, str(data_dir)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    urls = {starter.communicate(timeout=30)[0].strip() for starter in starters}
    assert len(urls) == 1
    status = replica_status(data_dir)
    assert status is not None
    assert (status["url"], status["anime"], status["users"]) == (urls.pop(), 40, 8)
    assert requests.get(f"{status['url']}/topanime.php", timeout=5).status_code == 200


def test_a_killed_one_is_replaced_with_its_users_and_its_port(data_dir: Path) -> None:
    url = ensure_replica(data_dir, **SIZES)
    requests.post(f"{url}/_control/users", json={"add": 5}, timeout=5).raise_for_status()
    before = requests.get(f"{url}/users.php", timeout=5).content
    status = replica_status(data_dir)
    assert status is not None
    os.kill(status["pid"], signal.SIGKILL)
    assert wait_for(lambda: replica_status(data_dir) is None)
    again = ensure_replica(data_dir)
    assert again == url
    assert requests.get(f"{again}/users.php", timeout=5).content == before
    assert replica_status(data_dir)["users"] == 13  # type: ignore[index]


def test_it_ends_when_it_is_stopped_and_when_its_address_is_gone(data_dir: Path) -> None:
    ensure_replica(data_dir, **SIZES)
    assert stop_replica(data_dir)
    assert replica_status(data_dir) is None
    assert not stop_replica(data_dir)
    url = ensure_replica(data_dir)
    (data_dir / "replica" / "address.json").unlink()

    def silent() -> bool:
        try:
            requests.get(url, timeout=1)
        except requests.RequestException:
            return True
        return False

    assert wait_for(silent)


def test_an_idle_one_ends_by_itself(data_dir: Path) -> None:
    began = time.monotonic()
    serve(data_dir, idle_seconds=0.2, **SIZES)
    assert 0.2 <= time.monotonic() - began < 5
    assert replica_status(data_dir) is None


def test_the_address_of_a_dead_one_whose_port_is_somebody_elses_is_not_believed(data_dir: Path) -> None:
    first, second = data_dir / "a", data_dir / "b"
    url = ensure_replica(first, **SIZES)
    home = second / "replica"
    home.mkdir(parents=True)
    (home / "address.json").write_text(f'{{"pid": 1, "port": {url.rsplit(":", 1)[1]}, "token": "another"}}')
    assert replica_status(second) is None
    assert ensure_replica(second, **SIZES) != url
    stop_replica(first)
    stop_replica(second)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"port": "x"}', '{"port": 70000, "token": "t"}'])
def test_a_broken_address_is_no_address(tmp_path: Path, content: str) -> None:
    (tmp_path / "replica").mkdir()
    (tmp_path / "replica" / "address.json").write_text(content)
    assert replica_status(tmp_path) is None


def test_a_port_in_use_and_a_second_one_are_refused_in_one_line(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ReplicaError, match=f"port {port} on 127.0.0.1: Address already in use; choose another"):
            serve(data_dir, port, **SIZES)
        command = [
            sys.executable,
            "-m",
            "malsugoi_assets.mal.replica",
            "--data-dir",
            str(data_dir),
            "--port",
            str(port),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    url = ensure_replica(data_dir)
    with pytest.raises(ReplicaError, match=f"has a replica already at {url}"):
        serve(data_dir)


def test_a_data_dir_keeps_its_world(data_dir: Path) -> None:
    ensure_replica(data_dir, **SIZES)
    with pytest.raises(ReplicaError, match="has anime = 40, not 50: leave the option out, or use another data dir"):
        ensure_replica(data_dir, n_anime=50)
    with pytest.raises(ReplicaError, match="has seed = 0, not 1"):
        ensure_replica(data_dir, seed=1)


def test_serving_in_the_foreground_announces_itself(data_dir: Path) -> None:
    started = threading.Event()
    thread = threading.Thread(target=serve, args=(data_dir,), kwargs={**SIZES, "started": started})
    thread.start()
    assert started.wait(10)
    status = replica_status(data_dir)
    assert status is not None
    assert ensure_replica(data_dir) == status["url"]
    assert stop_replica(data_dir)
    thread.join(10)
    assert not thread.is_alive()


def test_the_process_stays_light() -> None:
    code = (
        "import sys, malsugoi_assets.mal.replica.lifecycle\n"
        "heavy = {'polars', 'dagster', 'duckdb', 'torch', 'scipy', 'matplotlib', 'selenium'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
