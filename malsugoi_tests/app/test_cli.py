"""A user's mistake is one line that says what to do and exit status 2, never a traceback."""

from __future__ import annotations

import atexit
import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import malsugoi_assets
from malsugoi_assets.app import reports
from malsugoi_assets.app import run as app_run
from malsugoi_assets.app.cli import main
from malsugoi_assets.app.dev import page_at
from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.ports import listen
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir


def malsugoi(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MALSUGOI_", "DAGSTER_"))}
    return subprocess.run(
        [sys.executable, "-m", "malsugoi_assets.app", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**keep, "MALSUGOI_DATA_DIR": str(tmp_path / "data"), **environment},
        timeout=120,
        check=False,
    )


def assert_one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_help_shows_first_what_a_newcomer_needs_first(tmp_path: Path) -> None:
    text = malsugoi(tmp_path, "--help").stdout
    places = [text.index(f"\n  {name} ") for name in ("run", "status", "recommend", "similar", "evaluate", "replica")]
    assert places == sorted(places)


def test_an_unknown_source(tmp_path: Path) -> None:
    assert_one_line(malsugoi(tmp_path, "run", MALSUGOI_SOURCE="moon"), "MALSUGOI_SOURCE=moon", "replica")


def test_files_without_a_folder(tmp_path: Path) -> None:
    assert_one_line(malsugoi(tmp_path, "run", "--source", "files"), "MALSUGOI_FILES_DIR")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    done = malsugoi(tmp_path, "run", "--source", "files", MALSUGOI_FILES_DIR=str(tmp_path / "nowhere"))
    assert_one_line(done, "nowhere", "no such folder")
    assert not (tmp_path / "data" / "source.json").exists()


def test_a_score_of_eleven_is_named_with_file_and_line_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "anime.csv").write_text("anime_id,title\n1,One\n2,Two\n")
    (folder / "ratings.csv").write_text("user_id,anime_id,score\nann,1,7\nann,2,11\n")
    done = malsugoi(tmp_path, "run", "--source", "files", MALSUGOI_FILES_DIR=str(folder))
    assert_one_line(done, "ratings.csv", "3", "11")
    assert not (tmp_path / "data" / "lake").exists()


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    done = malsugoi(tmp_path, "run", MALSUGOI_DEVICE="cuda:7")
    assert_one_line(done, "cuda:7")


def test_a_data_dir_of_another_source(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "source.json").write_text('{"source": "live", "site": "https://example.org"}')
    assert_one_line(malsugoi(tmp_path, "run"), "holds data of live", "MALSUGOI_DATA_DIR")


def test_a_brief_command_hardly_looks_for_garbage_and_leaves_it_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a sixth of the processor time of `import-list`, and a second at its end. A long one has to: a run may leave much."""
    seen: list[int] = []
    at_the_end: list[object] = []
    monkeypatch.setattr(atexit, "register", at_the_end.append)

    def look(*_: object, **__: object) -> None:
        seen.append(gc.get_threshold()[0])
        raise UserError("enough")

    monkeypatch.setattr(reports, "read_status", look)
    monkeypatch.setattr(app_run, "run_all", look)
    usual = gc.get_threshold()
    for command in ("status", "run"):
        CliRunner().invoke(main, [command])
    assert seen[0] >= 100 * usual[0]
    assert seen[1] == usual[0]
    assert gc.get_threshold() == usual
    assert at_the_end == [gc.freeze]


@pytest.mark.parametrize("command", [("status",), ("recommend", "ann"), ("similar", "One")])
def test_reading_before_the_first_run(tmp_path: Path, command: tuple[str, ...]) -> None:
    assert_one_line(malsugoi(tmp_path, *command), "malsugoi run")


def test_a_second_run_on_the_same_data_dir(tmp_path: Path) -> None:
    import fcntl

    lock = tmp_path / "data" / "locks" / "run.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("12345")
        file.flush()
        assert_one_line(malsugoi(tmp_path, "run"), "already under way", "12345")


def started_by_dev(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], dict[str, Any], str]:
    """What `malsugoi dev` goes on as (the words, where and with which environment), and on which port."""
    started: list[tuple[list[str], dict[str, Any]]] = []

    def become(path: str, command: list[str], env: dict[str, str]) -> None:
        assert path == command[0]
        started.append((command, {"env": env, "cwd": Path.cwd()}))

    monkeypatch.setattr("os.execve", become)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with listen(0) as free:
        port = str(free.getsockname()[1])
    done = CliRunner().invoke(main, ["dev", "--port", port])
    assert done.exit_code == 0, done.output
    assert f"http://127.0.0.1:{port}/locations/" in done.output
    assert f"http://127.0.0.1:{port}/asset-groups?partition=batch-000000" in done.output
    ((command, more),) = started
    return command, more, port


def test_dev_on_another_data_dir_starts_where_the_folders_dot_env_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster lets `.env` outrank the environment, so the other data dir was refused."""
    (tmp_path / "workspace.yaml").write_text("load_from: [python_module: malsugoi_assets.definitions]\n")
    (tmp_path / ".env").write_text(f"DAGSTER_HOME={tmp_path / 'data' / 'dagster'}\n")
    monkeypatch.setenv("MALSUGOI_DATA_DIR", "other")
    monkeypatch.chdir(tmp_path)
    command, more, port = started_by_dev(monkeypatch)
    assert command[command.index("--port") + 1] == port
    assert command[-2:] == ["-w", str(tmp_path / "workspace.yaml")]
    assert more["cwd"] == tmp_path / "other"
    assert more["env"]["MALSUGOI_DATA_DIR"] == str(tmp_path / "other")
    assert more["env"]["DAGSTER_HOME"] == str(tmp_path / "other" / "dagster")


def test_dev_hands_on_what_the_data_dir_was_built_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a new terminal the page said that the data dir holds data of files, and not of the replica."""
    for name in ("MALSUGOI_SOURCE", "MALSUGOI_FILES_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALSUGOI_DATA_DIR", "real")
    monkeypatch.chdir(tmp_path)
    DataDir(tmp_path / "real").claim(Settings.load({}, source="files", files_dir="dump", data_dir="real"))
    _, more, _ = started_by_dev(monkeypatch)
    DataDir(tmp_path / "real").check(Settings.load(more["env"]))


def test_dev_in_a_folder_without_workspace_opens_that_of_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another project is no more ours than none."""
    (tmp_path / "workspace.yaml").write_text("load_from: [python_file: theirs.py]\n")
    monkeypatch.setenv("MALSUGOI_DATA_DIR", "mine")
    monkeypatch.chdir(tmp_path)
    command, more, _ = started_by_dev(monkeypatch)
    assert command[-2:] == ["-w", str(Path(malsugoi_assets.__file__).parent.parent / "workspace.yaml")]
    assert more["cwd"] == tmp_path / "mine"
    assert not (tmp_path / ".env").exists()


def test_what_a_killed_dev_left_behind_at_the_port_is_named() -> None:
    """After `kill -9` of `make dev` the same command said that the port was taken, and not by whom."""
    table = """\
      1     1 /sbin/init
    180   170 /clone/.venv/bin/python -m dagster_webserver --port 3000 --host 127.0.0.1 --live-data-poll-rate 2000
    181   170 /clone/.venv/bin/python -m dagster._daemon run --log-level info
    182   170 -bash
    190   185 /other/.venv/bin/python -m dagster_webserver --port 30001 --host 127.0.0.1
    """
    assert page_at(table, 3000) == ["180", "181"]
    assert page_at(table, 30001) == ["190"]
    assert page_at(table, 8000) == []


def test_only_the_pages_own_processes_are_to_be_killed() -> None:
    """Whatever was in the group and had "dagster" in its command was named: another page, an editor, who asked."""
    python = "/clone/.venv/bin/python"
    table = f"""\
    170   170 {python} /clone/.venv/bin/dagster dev --host 127.0.0.1 --port 3000
    180   170 {python} -m dagster_webserver --port 3000 --host 127.0.0.1
    181   170 {python} -m dagster._daemon run --log-level info
    182   170 {python} -m dagster code-server start --socket /tmp/y --heartbeat
    183   170 {python} -m dagster api grpc --lazy-load-user-code --socket /tmp/x
    184   170 {python} -m dagster_webserver --port 3001 --host 127.0.0.1
    185   170 vim dagster-notes.md
    186   170 {python} /clone/.venv/bin/malsugoi dev --port 3000 --home /srv/dagster
    {os.getpid()}   170 {python} /clone/.venv/bin/dagster dev --port 3000
    """
    assert page_at(table, 3000) == ["170", "180", "181", "182", "183"]


@pytest.mark.parametrize("command", ["dev", "serve"])
def test_a_port_that_is_taken_is_one_line_before_anything_starts(tmp_path: Path, command: str) -> None:
    with listen(0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        assert_one_line(malsugoi(tmp_path, command, "--port", port), port, "--port")
