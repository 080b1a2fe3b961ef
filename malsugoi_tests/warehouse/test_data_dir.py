"""A data dir belongs to one source; its users to one batch for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from malsugoi_assets.disk import LockedError, file_lock
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir, DataDirError, check_dagster_home, with_own_source
from malsugoi_assets.warehouse.ledger import UserLedger


def test_a_data_dir_of_another_source_is_refused_in_one_line(tmp_path: Path) -> None:
    replica = Settings.load({"MALSUGOI_DATA_DIR": str(tmp_path)})
    live = Settings.load({"MALSUGOI_DATA_DIR": str(tmp_path), "MALSUGOI_SOURCE": "live"})
    DataDir(tmp_path).claim(replica)
    DataDir(tmp_path).claim(replica)
    with pytest.raises(DataDirError, match="holds data of replica") as refused:
        DataDir(tmp_path).claim(live)
    assert "\n" not in str(refused.value)


def test_looking_whether_a_data_dir_fits_writes_nothing(tmp_path: Path) -> None:
    DataDir(tmp_path).check(Settings.load({"MALSUGOI_DATA_DIR": str(tmp_path)}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "claim",
    [
        "",
        "{}",
        "[]",
        '{"source": "replica"}',
        "null",
        '{"source": ["a"], "site": "x"}',
        '{"source": "files", "site": 5}',
        "[" * 100_000,
        "\x00",
    ],
    ids=lambda claim: claim[:30],
)
def test_a_claim_that_cannot_be_read_is_named(tmp_path: Path, claim: str) -> None:
    """A list in the place of the source was a traceback in every command, a number of the site became a setting."""
    (tmp_path / "source.json").write_text(claim)
    environ = {"MALSUGOI_DATA_DIR": str(tmp_path)}
    assert with_own_source(environ) == Settings.load(environ)
    with pytest.raises(DataDirError, match=r"source.json cannot be read .* restore it"):
        DataDir(tmp_path).claim(Settings.load(environ))


def claimed(root: Path, **source: str) -> Path:
    DataDir(root).claim(Settings.load({}, data_dir=str(root), **source))
    return root


@pytest.mark.parametrize(
    "source",
    [
        {"source": "replica"},
        {"source": "live", "mal_url": "https://example.org/"},
        {"source": "files", "files_dir": "/some/folder"},
    ],
    ids=lambda source: source["source"],
)
@pytest.mark.parametrize("named", [False, True], ids=["", "the source is named"])
def test_where_the_environment_says_nothing_the_data_dir_has_its_own_source(
    tmp_path: Path, source: dict[str, str], named: bool
) -> None:
    """After a run with files, `malsugoi import-list` in a new terminal asked for MALSUGOI_SOURCE=files again."""
    place = DataDir(claimed(tmp_path, **source))
    environ = {"MALSUGOI_DATA_DIR": str(tmp_path), "MALSUGOI_DEVICE": "cpu", "MALSUGOI_MAL_URL": ""}
    found = with_own_source(environ | ({"MALSUGOI_SOURCE": source["source"]} if named else {}))
    place.check(found)
    assert found.source == source["source"]
    assert found.device == "cpu"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"MALSUGOI_SOURCE": "live"}, "not of live"),
        ({"MALSUGOI_FILES_DIR": "/another/folder"}, "not of files (/another/folder)"),
    ],
)
def test_an_environment_that_contradicts_the_data_dir_is_told(
    tmp_path: Path, environ: dict[str, str], words: str
) -> None:
    root = claimed(tmp_path, source="files", files_dir="/some/folder")
    found = with_own_source(environ | {"MALSUGOI_DATA_DIR": str(root)})
    with pytest.raises(DataDirError) as refused:
        DataDir(root).check(found)
    assert words in str(refused.value)
    assert str(refused.value).endswith("MALSUGOI_SOURCE=files MALSUGOI_FILES_DIR=/some/folder")


def test_a_data_dir_that_does_not_say_whose_it_is_has_the_source_of_the_environment(tmp_path: Path) -> None:
    environ = {"MALSUGOI_DATA_DIR": str(tmp_path), "MALSUGOI_SOURCE": "live"}
    assert with_own_source(environ) == Settings.load(environ)
    (tmp_path / "source.json").write_text("[]")
    assert with_own_source(environ) == Settings.load(environ)
    (tmp_path / "source.json").write_text('{"source": "moon", "site": "there"}')
    assert with_own_source({"MALSUGOI_DATA_DIR": str(tmp_path)}).source == "replica"


def test_the_instance_of_another_data_dir_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    DataDir(other).claim(Settings.load({"MALSUGOI_DATA_DIR": str(other)}))
    monkeypatch.setenv("DAGSTER_HOME", str(other / "dagster"))
    with pytest.raises(DataDirError, match="belongs to another data dir"):
        check_dagster_home(Settings.load({"MALSUGOI_DATA_DIR": str(tmp_path / "mine")}))
    check_dagster_home(Settings.load({"MALSUGOI_DATA_DIR": str(other)}))


def test_users_fill_batches_and_keep_theirs(tmp_path: Path) -> None:
    ledger = UserLedger(tmp_path)
    assert ledger.add(["ann", "bob", "cem"], batch_size=2) == ["batch-000000", "batch-000001"]
    assert ledger.add(["ANN", "dee", "bob"], batch_size=2) == ["batch-000002"]
    assert dict(ledger.users().select("username", "user_batch").iter_rows()) == {
        "ann": "batch-000000",
        "bob": "batch-000000",
        "cem": "batch-000001",
        "dee": "batch-000002",
    }


def test_names_of_files_that_differ_in_case_only_are_two_users(tmp_path: Path) -> None:
    """They were folded into one, and the second's rows were dropped without a word."""
    ledger = UserLedger(tmp_path)
    ledger.add(["Ann", "ann"], batch_size=5, ignore_case=False)
    assert ledger.users()["username"].to_list() == ["Ann", "ann"]


def test_a_data_dir_that_is_held_says_by_which_command(tmp_path: Path) -> None:
    """Beside another import it was said that `malsugoi run` was under way."""
    place = DataDir(tmp_path)
    with place.alone("import-list"), pytest.raises(LockedError, match=r"`malsugoi import-list` on .* is already"):
        place.alone("run").__enter__()


def test_a_lock_that_is_held_names_its_holder(tmp_path: Path) -> None:
    import os

    with (
        file_lock(tmp_path / "lock", what="the work"),
        pytest.raises(LockedError, match=rf"the work is already under way \(process {os.getpid()}\)"),
        file_lock(tmp_path / "lock", what="the work", wait_seconds=0),
    ):
        pass
