"""What a run suggests can be copied and works: from any folder, with and without the programs on the PATH."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from malsugoi_assets.app import next_steps
from malsugoi_assets.app.cli import main
from malsugoi_assets.app.next_steps import called, held_only_here, only_with, query, steps
from malsugoi_assets.settings import Settings, limits_of_the_environment, place_of_the_environment


def program(folder: Path, name: str = "malsugoi") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def test_it_is_called_by_its_name_where_that_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = program(tmp_path / "bin")
    monkeypatch.setattr(sys, "argv", [str(installed), "run"])
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert called() == "malsugoi"


def test_it_is_called_as_it_was_typed_where_the_name_finds_nothing_or_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "my clone" / ".venv" / "bin")
    monkeypatch.chdir(tmp_path / "my clone")
    monkeypatch.setattr(sys, "argv", [".venv/bin/malsugoi", "run"])
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    assert called() == ".venv/bin/malsugoi"
    program(tmp_path / "another")
    monkeypatch.setenv("PATH", str(tmp_path / "another"))
    assert called() == ".venv/bin/malsugoi"
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "my clone" / ".venv" / "bin" / "malsugoi")])
    assert shlex.split(called()) == [sys.argv[0]]


def test_where_something_else_calls_it_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for typed in ("/usr/bin/pytest", "-c", "malsugoi"):
        monkeypatch.setattr(sys, "argv", [typed])
        assert called() == "malsugoi"


def test_the_query_runs_without_duckdbs_own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = tmp_path / "it's here" / "a.duckdb"
    database.parent.mkdir()
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE VIEW headline AS SELECT 42 AS answer")
    monkeypatch.setattr(next_steps.shutil, "which", lambda name: None)
    done = subprocess.run(
        query(database, "FROM headline"), shell=True, capture_output=True, text=True, check=True, timeout=60
    )
    assert "answer" in done.stdout
    assert "42" in done.stdout


def test_duckdbs_own_program_is_named_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_steps.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert query(Path("data/a.duckdb"), "FROM headline") == 'duckdb -readonly data/a.duckdb -c "FROM headline"'


def test_a_name_with_anything_in_it_is_quoted() -> None:
    first, *_ = steps("it's; rm -rf", Path("a.duckdb"))
    assert shlex.split(first[0])[2:] == ["it's; rm -rf"]
    assert len(steps(None, Path("a.duckdb"))) == 3


def test_a_name_that_looks_like_an_option_stands_behind_two_hyphens() -> None:
    """Many names on the site begin so."""
    first, *_ = steps("-Mythos-", Path("a.duckdb"))
    assert first[0].endswith("recommend -- -Mythos-")
    said = CliRunner().invoke(main, ["recommend", "-Mythos-"])
    assert said.exit_code == 2
    assert "A name that begins with '-' stands last, behind --." in said.output
    assert "stands last" not in CliRunner().invoke(main, ["recommend", "--nothing"]).output


@pytest.mark.parametrize(
    ("typed", "may_be_a_name"),
    [
        ("run -x", False),  # it takes no name
        ("recommend bea -M", False),  # its name is there
        ("recommend -M bea", False),
        ("recommend bea -n 3", False),
        ("recommend --json -M-", True),
        ("explain bea -5", True),
        ("explain bea 5 -x", False),
        ("models use -x", True),
        ("models -x", False),
    ],
)
def test_no_more_names_are_asked_for_than_a_command_takes(typed: str, may_be_a_name: bool) -> None:
    said = CliRunner().invoke(main, typed.split())
    assert said.exit_code == 2
    assert "No such option" in said.output
    assert ("stands last" in said.output) is may_be_a_name


@pytest.mark.parametrize(
    ("source", "limits", "said"),
    [
        ("live", {}, ""),
        ("live", {"users": 30}, "MALSUGOI_MAX_USERS held for this run: a later one without it goes for 1,000 users"),
        ("live", {"users": 20_000}, "a later one without it goes for 1,000 users (`export` keeps it)."),
        ("live", {"users": 1_000}, ""),
        (
            "live",
            {"anime": 60, "users": 30},
            "MALSUGOI_MAX_ANIME and MALSUGOI_MAX_USERS held for this run: a later one without them goes for 5,000 titles "
            "and 1,000 users (`export` keeps them).",
        ),
        ("replica", {"anime": 60}, "a later one without it goes for all titles"),
        ("files", {"anime": 60}, ""),  # its catalogue is read whole
        (
            "files",
            {"anime": 60, "users": 30},
            "MALSUGOI_MAX_USERS held for this run: a later one without it goes for all",
        ),
    ],
)
def test_limits_that_the_next_command_may_not_see_are_named(
    monkeypatch: pytest.MonkeyPatch, source: str, limits: dict[str, int], said: str
) -> None:
    """`MALSUGOI_MAX_USERS=30 malsugoi run`, then `malsugoi run`: all users came, to somebody's surprise."""
    for what in ("anime", "users"):
        monkeypatch.delenv(f"MALSUGOI_MAX_{what.upper()}", raising=False)
    for what, number in limits.items():
        monkeypatch.setenv(f"MALSUGOI_MAX_{what.upper()}", str(number))
    note = held_only_here(limits_of_the_environment(Settings.load(source=source, files_dir=".")))
    assert said in note
    assert bool(said) == bool(note)


def test_a_place_of_its_own_is_named_for_other_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    """`MALSUGOI_DATA_DIR=real malsugoi run`, then `malsugoi recommend 0`: no such user, in the other data dir."""
    for name in ("MALSUGOI_SOURCE", "MALSUGOI_FILES_DIR", "MALSUGOI_MAL_URL", "MALSUGOI_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert only_with(place_of_the_environment()) == ""
    monkeypatch.setenv("MALSUGOI_DATA_DIR", "my data")
    monkeypatch.setenv("MALSUGOI_SOURCE", "files")  # the data dir knows
    assert only_with(place_of_the_environment()).endswith(": export MALSUGOI_DATA_DIR='my data'")
