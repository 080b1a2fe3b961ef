"""One replica a data dir: whoever asks first, whoever else asks at once, however it ends."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from malsugoi_assets.mal.replica import ReplicaError, ensure_replica, lifecycle, replica_status, serve, stop_replica
from malsugoi_tests.support.replica import running_replica

SIZES = {"n_anime": 20, "n_users": 4}
START = (
    "import sys; from pathlib import Path; from malsugoi_assets.mal.replica import ensure_replica;"
    "print(ensure_replica(Path(sys.argv[1]), n_anime=20, n_users=4))"
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    stop_replica(tmp_path)


def eventually(true: Callable[[], bool], seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.02)
    return False


def post(url: str, path: str, payload: object) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("POST", path, json.dumps(payload))
    assert connection.getresponse().status == 200
    connection.close()


def pid(data_dir: Path) -> int:
    status = replica_status(data_dir)
    assert status is not None
    return int(status["pid"])


def is_alive(number: int) -> bool:
    for child in lifecycle._children:
        child.poll()
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_that_ask_at_once_share_one_that_outlives_them_and_kill_9_costs_no_user(data_dir: Path) -> None:
    starters = [
        subprocess.Popen([sys.executable, "-c", START, str(data_dir)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    urls = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert len(urls) == 1
    (url,) = urls
    first = pid(data_dir)
    assert ensure_replica(data_dir) == url
    assert pid(data_dir) == first
    post(url, "/_control/users", {"add": 2})
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: replica_status(data_dir) is None)
    assert ensure_replica(data_dir) == url, "it comes back where it was"
    status = replica_status(data_dir)
    assert status is not None
    assert status["pid"] != first
    assert (status["users"], status["anime"], status["added"]) == (6, 20, 2)
    second = pid(data_dir)
    assert stop_replica(data_dir)
    assert not stop_replica(data_dir)
    assert replica_status(data_dir) is None
    assert eventually(lambda: not is_alive(second))


def test_a_replica_whose_data_dir_is_removed_ends(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    ensure_replica(data_dir, **SIZES)
    number = pid(data_dir)
    shutil.rmtree(data_dir)
    assert eventually(lambda: not is_alive(number))


def test_an_idle_one_ends_and_an_asked_one_stays(tmp_path: Path) -> None:
    started = threading.Event()
    thread = threading.Thread(
        target=lambda: serve(tmp_path, n_anime=20, n_users=4, idle_seconds=1.2, started=started), daemon=True
    )
    thread.start()
    assert started.wait(10)
    for _ in range(14):
        time.sleep(0.1)
        assert replica_status(tmp_path) is not None
    thread.join(5)
    assert not thread.is_alive()
    assert not (tmp_path / "replica" / "address.json").exists()


def test_an_address_that_somebody_else_answers_by_now_is_not_trusted(tmp_path: Path) -> None:
    other, mine = tmp_path / "other", tmp_path / "mine"
    with running_replica(other, **SIZES):
        address = json.loads((other / "replica" / "address.json").read_text())
        (mine / "replica").mkdir(parents=True)
        (mine / "replica" / "address.json").write_text(json.dumps({**address, "token": "another"}))
        assert replica_status(mine) is None
        with running_replica(mine, **SIZES) as url:
            assert urlsplit(url).port != address["port"]
            assert replica_status(other) is not None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"port": "x"}', '{"port": 1}', '{"port": 70000, "token": "t"}'])
def test_a_broken_address_file_is_no_replica(tmp_path: Path, content: str) -> None:
    (tmp_path / "replica").mkdir()
    (tmp_path / "replica" / "address.json").write_text(content)
    assert replica_status(tmp_path) is None
    assert not stop_replica(tmp_path)


def test_asking_for_the_status_writes_nothing(tmp_path: Path) -> None:
    assert replica_status(tmp_path / "none") is None
    assert not list(tmp_path.iterdir())


def test_another_world_in_the_same_data_dir_is_refused_in_one_line(tmp_path: Path) -> None:
    with running_replica(tmp_path, **SIZES):
        for other in ({"seed": 1}, {"n_anime": 21}, {"n_users": 5}):
            with pytest.raises(ReplicaError, match="leave the option out, or use another data dir") as failure:
                ensure_replica(tmp_path, **other)
            assert "\n" not in str(failure.value)
        with pytest.raises(ReplicaError, match="has a replica already at http://127"):
            serve(tmp_path)


@pytest.mark.parametrize(("options", "said"), [({"n_anime": 0}, "anime = 0"), ({"seed": -1}, "seed = -1"),
                                               ({"n_users": 10**9}, "users = 1000000000")])  # fmt: skip
def test_a_world_that_cannot_be_is_refused(tmp_path: Path, options: dict[str, int], said: str) -> None:
    with pytest.raises(ReplicaError, match=f"{said}: choose from"):
        ensure_replica(tmp_path, **options)


def test_a_port_in_use_is_said_in_one_line_and_leaves_nothing_running(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ReplicaError, match=f"port {port} .*choose another"):
            serve(tmp_path, port, n_anime=20, n_users=4)
        command = [
            sys.executable,
            "-m",
            "malsugoi_assets.mal.replica",
            "--data-dir",
            str(tmp_path),
            "--port",
            str(port),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
    with pytest.raises(ReplicaError, match="choose one from 1 to 65535"):
        serve(tmp_path, 70_000, n_anime=20, n_users=4)
    assert replica_status(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", '{"seed": 0}'])
def test_a_world_whose_file_is_broken_is_not_replaced_by_another(tmp_path: Path, content: str) -> None:
    (tmp_path / "replica").mkdir()
    (tmp_path / "replica" / "state.json").write_text(content)
    with pytest.raises(ReplicaError, match="restore it, or delete it"):
        ensure_replica(tmp_path)


def test_a_data_dir_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReplicaError, match="choose a data dir that can be written"):
        ensure_replica(tmp_path / "file")


def test_whoever_looks_for_a_replica_loads_neither_arrays_nor_frames() -> None:
    code = "import sys, malsugoi_assets.mal.replica; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "polars", "pydantic", "requests", "dagster", "torch", "duckdb"} & set(loaded)


def test_the_serving_process_loads_nothing_heavy_but_its_arrays() -> None:
    code = (
        "import sys, malsugoi_assets.mal.replica.server, malsugoi_assets.mal.replica.__main__;"
        "print(*{m.split('.')[0] for m in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {"polars", "scipy", "requests", "dagster", "torch", "duckdb"} & set(loaded)


def test_the_command_says_where_it_listens_and_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    code = "from malsugoi_assets.app.cli import main; main()"
    environment = {**os.environ, "MALSUGOI_DATA_DIR": str(tmp_path), "MALSUGOI_SOURCE": "replica"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, "replica", "--anime", "20", "--users", "4"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert eventually(lambda: replica_status(tmp_path) is not None, 120)
    status = replica_status(tmp_path)
    assert status is not None
    process.send_signal(signal.SIGINT)
    said, complaints = process.communicate(timeout=120)
    assert said.strip() == f"{status['url']} serves 20 titles and 4 users; Ctrl-C ends it"
    assert (process.returncode, complaints) == (0, "")
    assert replica_status(tmp_path) is None
