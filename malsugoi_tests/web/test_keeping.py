"""A list is kept only where the visitor says so, as `malsugoi import-list` keeps it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from malsugoi_assets.mal import parse_list_export
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.marks import Marks
from malsugoi_assets.web import keeping
from malsugoi_assets.web.app import build_app
from malsugoi_tests.app.test_import_list import CATALOGUE, RATINGS, run_stages, settings_of
from malsugoi_tests.web.test_pages import words
from malsugoi_tests.web.world import ADDRESS, LIKES, OWN, USER, export, send


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], bytes]]:
    """The commands that would have been run, with what their file held; none is."""
    ran: list[tuple[list[str], bytes]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append((command, Path(command[4]).read_bytes()))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(keeping.subprocess, "run", run)
    return ran


@pytest.mark.slow
def test_a_kept_list_is_a_user_of_the_data_dir_and_no_longer_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An instance names itself in the environment; afterwards it is as it was.
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("DAGSTER_HOME")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "anime.csv").write_text(CATALOGUE)
    (tmp_path / "folder" / "ratings.csv").write_text(RATINGS)
    settings = settings_of(tmp_path)
    run_stages(settings, "catalogue", "discovery", "lists")
    mine = {1: 9, 2: 3, 5: 8}
    with TestClient(build_app(settings), base_url=ADDRESS) as client:
        send(client, export(mine))
        client.post("/mark", data={"anime_id": "7", "mark": "not interested"}, headers=OWN)
        assert "malsugoi forget NAME" in words(client.get("/keep"))
        answer = client.post("/keep", data={"name": "visitor"}, headers=OWN, follow_redirects=False)
        assert answer.headers["location"] == "/recommendations?user=visitor"
        assert "3 titles" in words(client.get("/profile?user=visitor"))
        assert client.get("/profile").status_code == 409, "the list in memory is gone"
    stored = DataDir(settings.root).lake.read("user_lists").filter(pl.col("username") == "visitor").collect()
    assert dict(stored.select("anime_id", "score").iter_rows()) == mine
    assert Marks(settings.root).of("visitor") == {7: "not interested"}
    assert not list((settings.root / "tmp").glob("list-*"))


def test_what_was_rated_since_is_kept_too(
    visiting: TestClient, root: Path, commands: list[tuple[list[str], bytes]]
) -> None:
    send(visiting, export(LIKES))
    visiting.post("/rate", data={"105": "7"}, headers=OWN)
    visiting.post("/keep", data={"name": "visitor"}, headers=OWN, follow_redirects=False)
    [(command, sent)] = commands
    assert command[-1] == "--as=visitor"
    assert {e.anime_id: e.score for e in parse_list_export(sent).entries} == {**LIKES, 105: 7}
    assert not Path(command[4]).exists()


def test_a_list_begun_in_another_tab_meanwhile_is_not_lost(
    visiting: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(visiting, export(LIKES))

    def keep_slowly(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        visiting.post("/rate", data={"105": "7"}, headers=OWN)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(keeping.subprocess, "run", keep_slowly)
    visiting.post("/keep", data={"name": "visitor"}, headers=OWN, follow_redirects=False)
    assert f"{len(LIKES) + 1} titles" in words(visiting.get("/profile"))


def test_what_is_marked_in_another_tab_until_the_page_is_there_is_kept_too(
    visiting: TestClient, root: Path, commands: list[tuple[list[str], bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was marked while the next state was made ready went down with the list in memory."""
    send(visiting, export(LIKES))
    visiting.post("/mark", data={"anime_id": "110", "mark": "not interested"}, headers=OWN)
    states = visiting.app.state.states  # type: ignore[attr-defined]
    real, codes = states.refresh, list[int]()

    def refresh() -> None:
        for anime_id, mark in (("110", "neither"), ("113", "seen")):
            codes.append(visiting.post("/mark", data={"anime_id": anime_id, "mark": mark}, headers=OWN).status_code)
        real()

    monkeypatch.setattr(states, "refresh", refresh)
    visiting.post("/keep", data={"name": "visitor"}, headers=OWN, follow_redirects=False)
    monkeypatch.undo()
    assert codes == [200, 200]
    assert Marks(root).of("visitor") == {113: "seen"}
    assert visiting.post("/mark", data={"anime_id": "110", "mark": "seen"}, headers=OWN).status_code == 409


def test_marks_are_kept_where_the_next_state_cannot_be_made_ready(
    visiting: TestClient, root: Path, commands: list[tuple[list[str], bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is kept by then, and cannot be kept again."""
    send(visiting, export(LIKES))
    visiting.post("/mark", data={"anime_id": "110", "mark": "not interested"}, headers=OWN)

    def refresh() -> None:
        raise RuntimeError("cannot be made ready")

    monkeypatch.setattr(visiting.app.state.states, "refresh", refresh)  # type: ignore[attr-defined]
    answer = visiting.post("/keep", data={"name": "visitor"}, headers=OWN, follow_redirects=False)
    assert answer.status_code == 500
    assert Marks(root).of("visitor") == {110: "not interested"}


@pytest.mark.parametrize("name", [USER, USER.upper()])
def test_nobody_elses_name_is_taken(visiting: TestClient, name: str, commands: list[tuple[list[str], bytes]]) -> None:
    send(visiting, export(LIKES))
    answer = visiting.post("/keep", data={"name": name}, headers=OWN)
    assert answer.status_code == 409
    assert f"Somebody is called {USER} here already" in words(answer)
    assert commands == []


@pytest.mark.parametrize("name", ["Weiß", "WEISS", "weiss"])
def test_a_name_that_folds_into_anothers_is_theirs(
    visiting: TestClient, root: Path, name: str, commands: list[tuple[list[str], bytes]]
) -> None:
    """Found in review: the list of weiss would have been replaced; also where weiss is not published yet."""
    DataDir(root).ledger.add(["weiss"], batch_size=10)
    send(visiting, export(LIKES))
    answer = visiting.post("/keep", data={"name": name}, headers=OWN)
    assert answer.status_code == 409
    assert "Somebody is called weiss here already" in words(answer)
    assert commands == []


@pytest.mark.parametrize("name", ["--help ../x", "a\0b", "x" * 65, "🦊"])
def test_a_name_that_is_none_is_refused_before_any_command_runs(
    visiting: TestClient, name: str, commands: list[tuple[list[str], bytes]]
) -> None:
    send(visiting, export(LIKES))
    answer = visiting.post("/keep", data={"name": name}, headers=OWN)
    assert answer.status_code == 422
    assert "cannot be a user's name here" in words(answer)
    assert visiting.get("/recommendations").status_code == 200, "the list is in memory still"
    assert commands == []


@pytest.mark.parametrize("begun", [False, True])
def test_a_failure_says_what_can_be_done_under_that_name(
    visiting: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """Once the name is the list's it is taken: to try again with it came to nothing."""
    send(visiting, export(LIKES))

    def fail(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        if begun:
            DataDir(root).ledger.add(["visitor"], batch_size=10)
        return subprocess.CompletedProcess(command, 1, "", "Error: user_batch: no room")

    monkeypatch.setattr(keeping.subprocess, "run", fail)
    answer = visiting.post("/keep", data={"name": "visitor"}, headers=OWN)
    assert answer.status_code == 500
    assert "The list was not kept: user_batch: no room" in words(answer)
    assert ("malsugoi run" in words(answer), "try again" in words(answer)) == (begun, not begun)
    assert visiting.get("/recommendations").status_code == 200, "the list is in memory still"


def test_a_list_that_is_kept_with_a_warning_says_so(visiting: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command warned, and the page showed recommendations as if nothing had been."""
    send(visiting, export(LIKES))

    def warn(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        said = "noise\nWarning: the list of visitor is kept; predicted ratings come after `malsugoi run` (<b>no room</b>)\n"
        return subprocess.CompletedProcess(command, 0, "", said)

    monkeypatch.setattr(keeping.subprocess, "run", warn)
    answer = visiting.post("/keep", data={"name": "visitor"}, headers=OWN)
    assert answer.status_code == 200
    assert "The list is kept as visitor" in words(answer)
    assert "predicted ratings come after `malsugoi run` (<b>no room</b>)" in words(answer)
    assert 'href="/recommendations?user=visitor"' in answer.text


def test_without_a_list_or_from_elsewhere_nothing_is_kept(
    visiting: TestClient, commands: list[tuple[list[str], bytes]]
) -> None:
    assert visiting.get("/keep").status_code == 409
    assert visiting.post("/keep", data={"name": "x"}, headers=OWN).status_code == 409
    send(visiting, export(LIKES))
    assert visiting.post("/keep", data={"name": ""}, headers=OWN).status_code == 400
    stranger = {"Origin": "http://evil.example"}
    assert visiting.post("/keep", data={"name": "x"}, headers=stranger).status_code == 403
    assert commands == []
