"""`malsugoi forget`: afterwards no byte of the data dir names the person, and nothing else is lost.

The story: `Mossy-Turnip27` is in batch 0, on a page of the user search, in a review on a title's page, and in what an
older version wrote into Dagster's events. `ann` and `Rin` are others, whose data must stay.
"""

from __future__ import annotations

import contextlib
import gc
import gzip
import hashlib
import json
import multiprocessing
import os
import re
import sqlite3
import stat
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from rich.console import Console

from malsugoi_assets.app import forget as forgetting
from malsugoi_assets.app.errors import UserError, WorkError
from malsugoi_assets.app.forget import forget_user
from malsugoi_assets.mal.client import Answer
from malsugoi_assets.mal.redaction import without_forgotten, without_name
from malsugoi_assets.mal.store import ListOutcome, PageKind, PageStore
from malsugoi_assets.recommend.kept_sums import Counted, KeptSums
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.batches import Batches
from malsugoi_assets.warehouse.data_dir import PAIR_SUMS, DataDir
from malsugoi_assets.warehouse.run_marks import hold_run
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import NOON, frame, rows, write_lists

NAME = "Mossy-Turnip27"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
REVIEW = f'<p>Reviewed by <a class="user" href="/profile/{NAME}">{NAME}</a>: good.</p>'


def answer(url: str, body: str) -> Answer:
    return Answer(url, 200, body.encode(), NOW, hashlib.sha256(body.encode()).hexdigest())


def keep(store: PageStore, kind: PageKind, key: str, body: str, url: str = "http://127.0.0.1/x") -> int:
    return store.add(kind, key, answer(url, body), good=True).id


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A data dir in which the person stands wherever one can stand."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    settings = Settings(data_dir=tmp_path / "data", source="live", mal_url="http://127.0.0.1:9")
    data_dir = DataDir(settings.root)
    data_dir.claim(settings)
    data_dir.ledger.add(["ann", NAME, "Rin"], batch_size=10)
    write_lists(data_dir, "batch-000000", {"ann": {1: 7, 2: None}, NAME: {1: 9, 3: 4}, "Rin": {2: 5}})
    store = PageStore(settings.root)
    page = keep(store, "anime", "1", f"<html><body>Title 1 {REVIEW}</body></html>")
    record = store.get(page)
    assert record is not None
    shown = {"anime_id": 1, "url": record.url, "fetched_at": NOON, "http_status": 200, "sha256": record.sha256}
    data_dir.lake.write(
        TABLES["raw_anime_pages"], frame("raw_anime_pages", {**shown, "bytes": record.bytes, "path": record.path})
    )
    links = "".join(f'<td><div><a href="/profile/{name}">{name}</a></div></td>' for name in ("ann", NAME, "Rin"))
    keep(store, "users", "ages=any&g=&show=0", f"<html>{links}</html>")
    for name in ("ann", NAME):
        url = f"http://127.0.0.1/animelist/{name}?status=7"
        own = keep(store, "list", name.casefold(), f"<html><title>{name}'s Anime List</title></html>", url)
        store.set_outcome(ListOutcome(name, "ok", NOW, NOW, None, (own,)))
    store.add_failure(
        "list", NAME.casefold(), f"http://127.0.0.1/animelist/{NAME}", at=NOW, http_status=500, note=NAME
    )
    store.set_walk("users", {"names": ["ann", NAME, "Rin"], "ended": True})
    data_dir.publisher.publish()
    write_lists(data_dir, "batch-000001", {"zoe": {1: 5}})
    data_dir.publisher.publish()
    events = settings.dagster_home / "history" / "runs"
    events.mkdir(parents=True)
    with sqlite3.connect(events / "index.db") as con:
        con.execute("CREATE TABLE event_logs (id INTEGER PRIMARY KEY, event TEXT)")
        con.execute("INSERT INTO event_logs (event) VALUES (?)", (json.dumps({"md": f"| batch | {NAME} | 9 |"}),))
        con.execute("INSERT INTO event_logs (event) VALUES (?)", (json.dumps({"error": f"/animelist/{NAME}?s=7"}),))
        con.execute("INSERT INTO event_logs (event) VALUES ('{}')")
        con.execute("INSERT INTO event_logs (event) VALUES (?)", (NAME * 50,))
        con.execute("DELETE FROM event_logs WHERE id = 4")
    con.close()
    logs = settings.dagster_home / "storage" / "run" / "compute_logs"
    logs.mkdir(parents=True)
    (logs / "step.err").write_text(f"WARNING {NAME.lower()}: list not read\n")
    pl.DataFrame({"user": ["ann", NAME], "title": ["x", "y"]}).write_parquet(
        settings.root / "state" / "cache.parquet"
    )
    return settings


def traces(root: Path, name: str = NAME) -> list[str]:
    """Where any byte below `root` names the person, also inside what is compressed; an own reading of every format."""
    wanted = name.lower().encode()
    found = []
    for path in sorted(root.rglob("*")):
        if name.lower() in path.name.lower():
            found.append(f"{path} by its name")
        if path.is_symlink() or not path.is_file():
            continue
        bodies = [path.read_bytes()]
        if path.suffix == ".gz":
            bodies.append(gzip.decompress(bodies[0]))
        elif path.suffix == ".parquet":
            bodies.append(pl.read_parquet(path).write_json().encode())
            bodies.append(json.dumps(pl.read_parquet_metadata(path)).encode())
        elif path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as con:
                for place in con.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                    bodies.append(str(con.execute(f"FROM {'.'.join(place)}").fetchall()).encode())
        elif bodies[0].startswith(b"SQLite format 3"):
            with sqlite3.connect(path) as con:
                bodies.append("\n".join(con.iterdump()).encode())
            con.close()
        found += [str(path) for body in bodies if wanted in body.lower()]
    return found


def forget(settings: Settings, name: str = NAME) -> str:
    console = Console(record=True, width=200, file=open(os.devnull, "w"))  # noqa: SIM115
    forget_user(settings, name, console)
    return console.export_text()


def test_the_search_for_traces_sees_into_every_format(settings: Settings) -> None:
    suffixes = {Path(path).suffix for path in traces(settings.root)}
    assert suffixes >= {".gz", ".parquet", ".duckdb", ".sqlite", ".db", ".err"}


def test_kept_counts_name_nobody_and_follow_exactly(settings: Settings) -> None:
    """Numbers that read like the name by chance are left alone; the next run takes the person's ratings away."""
    data_dir = DataDir(settings.root)

    def counted() -> Counted:
        keys = data_dir.lake.partitions("rating_matrix")
        contents = {key: data_dir.lake.content("rating_matrix", key) or "" for key in keys}
        batches = Batches.of(data_dir.lake, "rating_matrix", contents)
        with data_dir.pair_sums() as folder:
            return KeptSums(folder).similar_titles(batches)

    counted()
    assert not [trace for trace in traces(settings.root) if PAIR_SUMS in trace]
    by_chance = settings.root / PAIR_SUMS / "chance"
    by_chance.write_bytes(NAME.encode())
    forget(settings)
    assert by_chance.read_bytes() == NAME.encode()
    after = counted()
    assert after.how == "updated by 1 batch"
    assert dict(zip(after.anime_ids.tolist(), after.raters.tolist(), strict=True)) == {1: 2, 2: 1, 3: 0}


def test_afterwards_no_byte_names_the_person_and_the_others_are_whole(settings: Settings) -> None:
    data_dir = DataDir(settings.root)
    old = list(data_dir.publisher.generations.glob("*.duckdb"))
    assert len(old) == 2
    said = forget(settings, NAME.upper())
    assert "`malsugoi run` learns them anew" in " ".join(said.split())
    assert traces(settings.root) == []
    assert [path for path in old if path.exists()] == []
    assert rows(data_dir, "SELECT username FROM users ORDER BY 1") == [("Rin",), ("ann",), ("zoe",)]
    assert rows(data_dir, "SELECT count(*), sum(score) FROM user_lists") == [(4, 17)]
    assert rows(data_dir, "SELECT count(*) FROM rating_matrix WHERE username = 'ann'") == [(1,)]
    assert data_dir.ledger.users()["username"].to_list() == ["ann", "Rin"]
    store = PageStore(settings.root)
    assert store.walk("users")["names"] == ["ann", "Rin"]
    assert store.outcome("ann") is not None
    (page,) = store.newest("anime").values()
    assert b"Title 1" in store.body(page)
    assert rows(data_dir, "SELECT path, sha256, bytes FROM raw_anime_pages") == [(page.path, page.sha256, page.bytes)]


def test_networks_that_learnt_from_the_person_go_and_the_current_one_until_it_is_replaced(settings: Settings) -> None:
    data_dir = DataDir(settings.root)
    build = {"created_at": NOON, "run_id": "r", "state": "accepted", "verdict": "accepted: it is the first build"}
    for number in (1, 2):
        data_dir.models.mkdir(exist_ok=True)
        (data_dir.models / f"dnn-{number}.safetensors").write_bytes(b"weights")
    names = {"dnn-1": False, "dnn-2": True}
    data_dir.lake.write(
        TABLES["dnn_model"],
        frame(
            "dnn_model",
            *(
                {**build, "model_id": name, "is_current": now, "path": f"models/{name}.safetensors", "sha256": "0"}
                for name, now in names.items()
            ),
        ),
    )
    data_dir.checkpoints.mkdir()
    (data_dir.checkpoints / "cpu.safetensors").write_bytes(b"a training that was killed")
    forget(settings)
    found = rows(data_dir, "SELECT model_id, is_current, state, path IS NULL FROM dnn_model ORDER BY 1")
    assert found == [("dnn-1", False, "withdrawn", True), ("dnn-2", True, "withdrawn", False)]
    assert [path.name for path in data_dir.models.iterdir()] == ["dnn-2.safetensors"]
    assert not data_dir.checkpoints.exists()


def test_events_that_named_the_person_stay_events(settings: Settings) -> None:
    forget(settings)
    with sqlite3.connect(settings.dagster_home / "history" / "runs" / "index.db") as con:
        events = [json.loads(row[0]) for row in con.execute("SELECT event FROM event_logs ORDER BY id")]
    con.close()
    assert [sorted(event) for event in events] == [["md"], ["error"], []]


def test_doing_it_again_changes_nothing(settings: Settings) -> None:
    forget(settings)
    before = {p: p.read_bytes() for p in settings.root.rglob("*") if p.is_file() and p.suffix in (".gz", ".parquet")}
    forget(settings)
    assert {p: p.read_bytes() for p in before} == before


def test_a_discovery_never_brings_the_person_back(settings: Settings) -> None:
    forget(settings)
    data_dir = DataDir(settings.root)
    assert data_dir.ledger.add([NAME, NAME.lower(), "new"], batch_size=10) == ["batch-000001"]
    assert data_dir.ledger.users()["username"].to_list() == ["ann", "Rin", "new"]
    store = PageStore(settings.root, is_forgotten=data_dir.ledger.forgotten.has)
    keep(store, "users", "ages=any&g=&show=0", f"<html>{REVIEW}</html>")
    keep(store, "anime", "1", f"<html><body>Title 1, new {REVIEW}</body></html>")
    store._sql.close()
    assert traces(settings.root) == []


def test_the_salt_is_for_its_owner_alone_and_the_hash_is_not_the_name_s_own(settings: Settings) -> None:
    forget(settings)
    folder = settings.root / "state" / "forgotten"
    assert [stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.iterdir())] == [0o600, 0o600]
    kept = (folder / "hashes").read_text().split()
    assert len(kept) == 1
    for plain in (hashlib.blake2b(NAME.casefold().encode(), digest_size=16), hashlib.sha256(NAME.encode())):
        assert plain.hexdigest() not in kept


def test_nobody_of_that_name_is_one_line(settings: Settings) -> None:
    with pytest.raises(UserError, match=r"nobody-99: nobody of that name is in .*; nothing was changed") as error:
        forget(settings, "nobody-99")
    assert error.value.exit_code == 2
    assert not (settings.root / "state" / "forgotten" / "hashes").exists()


@pytest.mark.parametrize("name", ["", " ", "\udcff", ">", "anime", "title", "blend", "batch-000000", "user_lists"])
def test_what_is_nobodys_name_changes_nothing(settings: Settings, name: str) -> None:
    """Found in review: the empty name stands in every file, and words of ours in some; all were rewritten."""

    def contents() -> dict[Path, object]:
        beside = (".lock", "-shm", "-wal")  # a look at SQLite makes these
        files = [path for path in settings.root.rglob("*") if path.is_file() and not path.name.endswith(beside)]
        return {path: rows_of(path) if path.suffix == ".sqlite" else path.read_bytes() for path in files}

    before = contents()
    with pytest.raises(UserError, match="nothing was changed"):
        forget(settings, name)
    after = contents()
    assert {path for path in before | after if before.get(path) != after.get(path)} == set()


def rows_of(database: Path) -> list[str]:
    """What SQLite holds: its file's bytes change as well when an earlier look at it ends."""
    with contextlib.closing(sqlite3.connect(database)) as sql:
        return list(sql.iterdump())


def test_before_the_first_run_there_is_nobody(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing is in"):
        forget(Settings(data_dir=tmp_path / "none"))


def test_somebody_who_is_only_in_a_review_can_be_forgotten_too(settings: Settings) -> None:
    store = PageStore(settings.root)
    keep(store, "anime", "2", "<html>By <a href='/profile/only_here3'>only_here3</a></html>")
    forget(settings, "Only_Here3")
    assert traces(settings.root, "only_here3") == []


@pytest.mark.parametrize("step", ["_from_tables", "_follow_pages", "_publish", "_scrub"])
def test_broken_off_anywhere_it_is_finished_by_the_same_command(
    settings: Settings, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, step, die)
        with pytest.raises(Killed):
            forget(settings)
    forget(settings)
    assert traces(settings.root) == []
    assert rows(DataDir(settings.root), "SELECT username FROM users ORDER BY 1") == [("Rin",), ("ann",), ("zoe",)]


def test_killed_between_the_index_and_the_files_it_leaves_no_page_behind(settings: Settings) -> None:
    """The records were gone, so nobody would have looked for the bodies any more."""
    store = PageStore(settings.root)
    with store._sql as con:
        con.execute("DELETE FROM pages WHERE kind = 'list' AND key = ?", (NAME.casefold(),))
    forget(settings)
    assert traces(settings.root) == []


def _work(root: str, started: object, end: object) -> None:
    hold_run(Path(root), "a-run")
    started.set()  # type: ignore[attr-defined]
    end.wait(300)  # type: ignore[attr-defined]


def test_a_run_at_the_same_time_is_refused_and_nothing_changes(settings: Settings) -> None:
    spawn = multiprocessing.get_context("spawn")
    started, end = spawn.Event(), spawn.Event()
    process = spawn.Process(target=_work, args=(str(settings.root), started, end))
    process.start()
    try:
        assert started.wait(300)
        gc.collect()  # the fixture's page store, whose -wal file would vanish with it at any later moment
        before = traces(settings.root)
        with pytest.raises(UserError, match=r"a run on .* is already under way.*nothing was changed"):
            forget(settings)
        assert traces(settings.root) == before
    finally:
        end.set()
        process.join(300)
    forget(settings)
    assert traces(settings.root) == []


def test_what_cannot_be_changed_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "_scrub", lambda path, name: False)
    with pytest.raises(WorkError, match=r"is still named in .*(index\.db|step\.err|cache\.parquet)"):
        forget(settings)


@pytest.mark.parametrize("name", ["One", "Action", "table"])
def test_a_name_that_is_a_word_is_taken_out_only_where_it_names_somebody(name: str) -> None:
    page = (
        f'<table><a href="/anime/genre/1/{name}" title="{name}">{name}</a> {name} Piece'
        f'<a href="https://example.org/profile/{name}"><img></a><a href="/profile/{name}" class="u">{name}</a></table>'
    ).encode()
    redacted = without_name(page, name).decode()
    assert redacted.count("forgotten-person-1") == 3
    assert redacted.startswith(f'<table><a href="/anime/genre/1/{name}" title="{name}">{name}</a> {name} Piece')
    assert without_forgotten(page, lambda found: found == name) == redacted.encode()


def test_two_forgotten_people_on_a_page_stay_two() -> None:
    """One name for both made a full page of the search look like its last one."""
    page = b"<a href='/profile/ann_1'>ann_1</a><a href='/profile/bob_2'>bob_2</a>"
    once = without_name(without_name(page, "ann_1"), "bob_2")
    assert set(re.findall(rb"/profile/([\w-]+)", once)) == {b"forgotten-person-1", b"forgotten-person-2"}


def test_a_name_is_the_same_however_its_letters_are_folded(settings: Settings) -> None:
    """`lower` tells STRASSE from straße; who registers names does not."""
    data_dir = DataDir(settings.root)
    data_dir.ledger.add(["Straße_9"], batch_size=10)
    write_lists(data_dir, "batch-000000", {"ann": {1: 7}, "Straße_9": {2: 5}})
    data_dir.publisher.publish()
    forget(settings, "STRASSE_9")
    assert rows(DataDir(settings.root), "SELECT username FROM user_lists ORDER BY 1") == [("ann",), ("zoe",)]
