"""`malsugoi doctor`: each thing that can be wrong is named with what to do, and nothing is written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from rich.console import Console
from sqlalchemy.exc import OperationalError

from malsugoi_assets.app import doctor
from malsugoi_assets.app.cli import main
from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.import_list import keep_list
from malsugoi_assets.app.run import run_all
from malsugoi_assets.mal.store import PageStore
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.lake import EVERY, WHOLE
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import frame


def settings_of(root: Path, **more: object) -> Settings:
    return Settings.load({}, data_dir=str(root / "data"), device="cpu", **more)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("MALSUGOI_") or name == "DAGSTER_HOME"]:
        monkeypatch.delenv(name)


def test_a_fresh_folder_is_fine_and_stays_as_it_was(tmp_path: Path) -> None:
    found = doctor.examine({"MALSUGOI_DATA_DIR": str(tmp_path / "data"), "MALSUGOI_DEVICE": "cpu"})
    assert [finding.words for finding in found if finding.state == "wrong"] == []
    assert "nothing was published yet" in next(f.words for f in found if f.what == "database")
    assert list(tmp_path.iterdir()) == []


def test_wrong_settings_are_named_and_the_rest_is_not_guessed() -> None:
    found = doctor.examine({"MALSUGOI_SOURCE": "nowhere"})
    assert [f.what for f in found] == ["python", "packages", "settings"]
    assert found[-1].state == "wrong"
    assert "MALSUGOI_SOURCE=nowhere" in found[-1].words


@pytest.mark.parametrize("place", ["data", "data/below"])
def test_a_file_in_the_place_of_the_data_dir_is_named_by_doctor_and_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "data").write_text("mine")
    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path / place))
    for command in ("doctor", "status", "run"):
        done = CliRunner().invoke(main, [command])
        assert done.exit_code != 0
        assert f"MALSUGOI_DATA_DIR: {tmp_path / 'data'} is a file; name a folder" in done.output


COMMANDS = (["doctor"], ["status"], ["run"], ["recommend", "me"], ["similar", "1"], ["models"], ["serve"])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["x" * 300, "y/" * 3000])
def test_a_data_dir_whose_name_no_folder_can_have_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, command: list[str]
) -> None:
    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path / place))
    done = CliRunner().invoke(main, command)
    assert isinstance(done.exception, SystemExit)
    assert "cannot be looked at (File name too long); name a folder of your own" in done.output


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["closed", "closed/data"])
def test_a_data_dir_that_is_closed_to_who_asks_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, command: list[str]
) -> None:
    """As somebody without rights sees it, whoever runs the test."""
    closed, stat, access = tmp_path / "closed", Path.stat, os.access
    closed.mkdir()

    def no_stat(self: Path, **how: bool) -> os.stat_result:
        if closed in self.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return stat(self, **how)

    monkeypatch.setattr(Path, "stat", no_stat)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != closed and access(path, mode))
    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path / place))
    done = CliRunner().invoke(main, command)
    assert isinstance(done.exception, SystemExit)
    assert f"MALSUGOI_DATA_DIR: {tmp_path / place} cannot be looked at (Permission denied); name" in done.output


def test_a_home_that_nobody_has_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALSUGOI_DATA_DIR", "~nobody.is.called.so/data")
    for command in ("doctor", "status"):
        done = CliRunner().invoke(main, [command])
        assert isinstance(done.exception, SystemExit)
        assert "MALSUGOI_DATA_DIR: ~nobody.is.called.so/data cannot be" in done.output


def test_what_a_full_disk_makes_of_dagsters_records_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = sqlite3.OperationalError("disk I/O error")

    def look(_: Settings) -> doctor.Finding:
        raise OperationalError("SELECT 1\nFROM runs", {}, full)

    monkeypatch.setattr(doctor, "runs", look)
    found = doctor.examine({"MALSUGOI_DATA_DIR": str(tmp_path / "data"), "MALSUGOI_DEVICE": "cpu"})[-1]
    assert found.state == "wrong"
    assert "mostly the disk is full" in found.words
    assert "SELECT" not in found.words


def test_the_exit_status_says_whether_something_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALSUGOI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MALSUGOI_DEVICE", "cpu")
    fine = CliRunner().invoke(main, ["doctor"])
    assert (fine.exit_code, "Nothing is wrong" in fine.output) == (0, True)
    monkeypatch.setenv("MALSUGOI_DEVICE", "abacus")
    wrong = CliRunner().invoke(main, ["doctor", "--json"])
    assert wrong.exit_code == 1
    rows = {row["what"]: row for row in json.loads(wrong.output)}
    assert rows["device"]["state"] == "wrong"
    assert "abacus" in rows["device"]["words"]


def test_a_data_dir_of_another_source_or_that_cannot_be_one_is_wrong(tmp_path: Path) -> None:
    DataDir(tmp_path / "data").claim(settings_of(tmp_path))
    (tmp_path / "folder").mkdir()
    other = settings_of(tmp_path, source="files", files_dir=str(tmp_path / "folder"))
    assert doctor.data_dir(settings_of(tmp_path)).state == "fine"
    assert "holds data of replica" in doctor.data_dir(other).words
    (tmp_path / "file").write_text("")
    assert doctor.data_dir(Settings.load({}, data_dir=str(tmp_path / "file" / "data"))).state == "wrong"


def test_a_folder_of_files_that_is_not_there_is_wrong(tmp_path: Path) -> None:
    found = doctor.sources(settings_of(tmp_path, source="files", files_dir=str(tmp_path / "gone")))
    assert (found.state, "no such folder" in found.words) == ("wrong", True)


def test_a_full_disk_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE", 2**80)
    assert "make room" in doctor.disk(settings_of(tmp_path)).words


def test_a_package_that_is_missing_or_of_another_version_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        doctor, "requires", lambda _: ["no-such-package>=2", "click>=8.1", 'pytest>=999; extra == "dev"']
    )
    assert doctor.packages().words.startswith("no-such-package missing (needed: >=2): install")
    monkeypatch.setattr(doctor, "requires", lambda _: ["click>=8.1"])
    pins = tmp_path / "constraints.txt"
    pins.write_text("# tested\nclick==0.1\nnot-installed==3\n")
    found = doctor.packages(pins)
    assert (found.state, "click" in found.words, "not-installed" in found.words) == ("note", True, False)


def test_a_port_that_is_taken_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setattr(doctor, "PORTS", {port: "`malsugoi serve`"})
        assert (doctor.ports().state, str(port) in doctor.ports().words) == ("note", True)
    assert doctor.ports().state == "fine"


def test_an_env_file_of_another_data_dir_is_noted(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    (tmp_path / ".env").write_text(f"DAGSTER_HOME={settings.dagster_home}\n")
    assert doctor.instance(settings).state == "fine"
    (tmp_path / ".env").write_text("DAGSTER_HOME=/somewhere/else\n")
    assert (doctor.instance(settings).state, "/somewhere/else" in doctor.instance(settings).words) == ("note", True)


def test_a_database_that_cannot_be_read_or_is_gone_is_wrong(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    link, generation = settings.root / "malsugoi.duckdb", settings.root / "generations" / "malsugoi-1.duckdb"
    generation.parent.mkdir(parents=True)
    generation.write_bytes(b"no database")
    link.symlink_to(generation)
    assert (doctor.database(settings).state, "cannot be read" in doctor.database(settings).words) == ("wrong", True)
    generation.unlink()
    assert (doctor.database(settings).state, "leads nowhere" in doctor.database(settings).words) == ("wrong", True)


def test_what_is_made_from_something_old_is_named_but_lists_which_are_read_when_they_are_old(tmp_path: Path) -> None:
    """Once three people had joined, doctor asked for `malsugoi run` for good: no run reads lists for that."""
    settings = settings_of(tmp_path)
    place = DataDir(settings.root)
    place.ledger.add(["ann"], batch_size=2)
    place.lake.write(TABLES["users"], place.ledger.users())
    inputs = {"users": (WHOLE, "when ann was not there yet")}
    for table in ("user_lists", "list_outcomes"):
        place.lake.write(TABLES[table], frame(table), "batch-000000", inputs=inputs)
    place.publisher.publish()
    assert doctor.database(settings).words == "less than two hours old, and up to date with what was read"
    place.lake.write(TABLES["title_baselines"], frame("title_baselines"), inputs={"rating_matrix": (EVERY, "others")})
    assert doctor.database(settings).words.endswith("or by older code: title_baselines; `malsugoi run`")


def test_what_older_code_made_is_named_the_lists_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an update doctor said that the database was up to date, and the next run made all of it anew."""
    settings = settings_of(tmp_path)
    monkeypatch.setattr("malsugoi_assets.warehouse.lake.LOADED_AT", datetime.max.replace(tzinfo=UTC))
    place = DataDir(settings.root)
    place.ledger.add(["ann"], batch_size=2)
    place.lake.write(TABLES["users"], place.ledger.users())
    place.lake.write(TABLES["user_lists"], frame("user_lists"), "batch-000000", code_version="of last year")
    place.publisher.publish()
    assert doctor.database(settings).words.endswith("or by older code: user_lists; `malsugoi run`")


def test_a_database_that_is_gone_from_beside_its_generations_is_wrong(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    generation = settings.root / "generations" / "malsugoi-00000001-0123456789ab.duckdb"
    generation.parent.mkdir(parents=True)
    generation.write_bytes(b"")
    assert (doctor.database(settings).state, "is gone" in doctor.database(settings).words) == ("wrong", True)


def test_state_that_cannot_be_read_is_wrong(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    place = DataDir(settings.root)
    place.ledger.add(["ann"], batch_size=2)
    assert (doctor.state(settings).state, "users known: 1" in doctor.state(settings).words) == ("fine", True)
    (settings.root / "state" / "marks.json").write_text("{")
    assert doctor.state(settings).state == "wrong"
    assert "marks.json cannot be read" in doctor.state(settings).words
    place.ledger.file.write_text("garbage")
    assert doctor.state(settings).state == "wrong"
    assert "known_users.parquet cannot be read" in doctor.state(settings).words
    assert "delete it, then `malsugoi run`" in doctor.state(settings).words


def test_an_index_of_pages_that_is_damaged_past_its_header_is_wrong(tmp_path: Path) -> None:
    """Nothing was wrong, and `malsugoi run` could not read it."""
    settings = settings_of(tmp_path)
    assert doctor.pages(settings).words == "none were fetched"
    PageStore(settings.root)._sql.close()
    file = settings.root / "pages" / "index.sqlite"
    assert doctor.pages(settings).state == "fine"
    file.write_bytes(file.read_bytes()[:4096] + b"Z" * (file.stat().st_size - 4096))
    assert (doctor.pages(settings).state, "move" in doctor.pages(settings).words) == ("wrong", True)
    file.unlink()
    file.mkdir()
    assert (doctor.pages(settings).state, "folder" in doctor.pages(settings).words) == ("wrong", True)


def test_an_empty_index_of_pages_is_worth_a_word_only_where_pages_are(tmp_path: Path) -> None:
    """The pages were to be moved away, and a run begins with an empty index as with none."""
    settings = settings_of(tmp_path)
    file = settings.root / "pages" / "index.sqlite"
    file.parent.mkdir(parents=True)
    file.touch()
    assert doctor.pages(settings).state == "fine"
    (file.parent / "ab").mkdir()
    (file.parent / "ab" / "abc.gz").touch()
    assert (doctor.pages(settings).state, "restore it" in doctor.pages(settings).words) == ("note", True)


def test_the_known_users_can_be_had_back_from_the_table(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    place = DataDir(settings.root)
    place.ledger.add(["ann", "Bob"], batch_size=2)
    known = place.ledger.users()
    place.lake.write(TABLES["users"], known)
    for damaged in (None, "garbage"):
        place.ledger.file.unlink()
        if damaged:
            place.ledger.file.write_text(damaged)
        found = doctor.state(settings)
        assert (found.state, f"copy {place.lake.path('users')} there" in found.words) == ("wrong", True)
        with pytest.raises(UserError, match=r"known_users\.parquet .*: copy .* there, then `malsugoi run`"):
            run_all(settings, Console(quiet=True))  # it had ended as if all were current
        with pytest.raises(UserError, match=r"known_users\.parquet"):
            keep_list(settings, "me", (), Console(quiet=True))
        shutil.copyfile(place.lake.path("users"), place.ledger.file)
        assert doctor.state(settings).state == "fine"
        assert place.ledger.users().sort("username").equals(known.sort("username"))


@pytest.mark.parametrize("table", ["ranking_model", "dnn_model"])
def test_a_models_file_that_is_missing_or_another_is_wrong(tmp_path: Path, table: str) -> None:
    settings = settings_of(tmp_path)
    file = settings.root / "models" / "one.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    with duckdb.connect(str(settings.root / "malsugoi.duckdb")) as con:
        con.execute(f"CREATE TABLE {table} (path VARCHAR, sha256 VARCHAR, is_current BOOLEAN)")
        con.execute(
            f"INSERT INTO {table} VALUES ('models/one.safetensors', ?, TRUE)",
            [hashlib.sha256(b"weights").hexdigest()],
        )
    assert doctor.models(settings).state == "fine"
    file.write_bytes(b"others")
    assert doctor.models(settings).state == "wrong"
    assert f"{file} is not the file that was registered" in doctor.models(settings).words
    file.unlink()
    assert doctor.models(settings).state == "wrong"
    assert f"{file} cannot be read" in doctor.models(settings).words
    assert doctor.models(settings).words.endswith("`malsugoi run` makes it anew")


def test_a_run_whose_process_died_is_told_from_one_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_under_way", lambda _: ["one"])
    settings = settings_of(tmp_path)
    code = (
        "import sys; from pathlib import Path; from malsugoi_assets.warehouse.run_marks import hold_run; "
        f"hold_run(Path({str(settings.root)!r}), 'one'); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert doctor.runs(settings).words == "1 under way"
        process.kill()
        process.wait()
    assert doctor.runs(settings).state == "note"
    assert "1 still shown as under way" in doctor.runs(settings).words
    assert "goes on where it was" in doctor.runs(settings).words
    monkeypatch.setattr(doctor, "_under_way", lambda _: [])
    assert doctor.runs(settings).words == "none under way"


def test_dagsters_runs_are_read_where_there_is_an_instance(tmp_path: Path) -> None:
    import dagster as dg
    from dagster import DagsterRunStatus
    from dagster._core.test_utils import create_run_for_test

    home = tmp_path / "dagster"
    assert doctor._under_way(home) == []
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = create_run_for_test(instance, job_name="catalogue", status=DagsterRunStatus.STARTED)
        create_run_for_test(instance, job_name="catalogue", status=DagsterRunStatus.SUCCESS)
    assert doctor._under_way(home) == [run.run_id]
