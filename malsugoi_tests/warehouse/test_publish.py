"""Publishing: every reader sees exactly one state, and nothing that breaks a declaration is ever seen."""

from __future__ import annotations

import multiprocessing
import shutil
import stat
from pathlib import Path

import duckdb
import polars as pl
import pytest

from malsugoi_assets.warehouse import publish
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.limits import duckdb_limits, spill_folder
from malsugoi_assets.warehouse.places import Places
from malsugoi_assets.warehouse.publish import PublishError
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.warehouse.frames import NOON, frame, rows, write_lists, write_lists_of_known


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    found = DataDir(tmp_path)
    write_lists(found, "batch-000000", {"ann": {1: 7, 2: None}, "bob": {}})
    return found


def test_the_published_users_carry_the_outcome_of_their_lists(data_dir: DataDir) -> None:
    data_dir.publisher.publish()
    found = rows(data_dir, "SELECT username, list_status, entries, rated FROM users ORDER BY 1")
    assert found == [("ann", "ok", 2, 1), ("bob", "private", None, None)]


def test_a_user_whose_list_was_not_read_has_no_status(data_dir: DataDir) -> None:
    user = {"username": "cem", "user_batch": "batch-000001", "discovered_at": NOON}
    known = data_dir.lake.read("users").collect()
    data_dir.lake.write(TABLES["users"], known.vstack(frame("users", user)))
    data_dir.publisher.publish()
    assert rows(data_dir, "SELECT list_status, entries FROM users WHERE username = 'cem'") == [(None, None)]


def test_publishing_the_same_state_again_changes_nothing(data_dir: DataDir) -> None:
    assert data_dir.publisher.publish().changed
    assert not data_dir.publisher.publish().changed


def test_a_reader_keeps_its_snapshot_while_others_see_the_new_state(data_dir: DataDir) -> None:
    old = data_dir.publisher.publish().path
    with duckdb.connect(str(old), read_only=True) as reader:
        write_lists(data_dir, "batch-000001", {"cem": {1: 9}})
        data_dir.publisher.publish()
        write_lists(data_dir, "batch-000002", {"dee": {1: 9}})
        data_dir.publisher.publish()
        assert reader.execute("SELECT count(*) FROM users").fetchone() == (2,)
    assert rows(data_dir, "SELECT count(*) FROM users") == [(4,)]


def test_rows_follow_their_parents(data_dir: DataDir) -> None:
    stray = {"user_batch": "batch-000000", "username": "ann", "anime_id": 99, "rating": 3}
    kept = {"user_batch": "batch-000000", "username": "ann", "anime_id": 1, "rating": 7}
    data_dir.lake.write(TABLES["rating_matrix"], frame("rating_matrix", stray, kept), "batch-000000")
    assert data_dir.publisher.publish().orphans == {"rating_matrix": 1}
    assert rows(data_dir, "SELECT anime_id FROM rating_matrix") == [(1,)]


def test_a_broken_declaration_is_not_published_and_the_old_state_stands(data_dir: DataDir) -> None:
    before = data_dir.publisher.publish().path
    pages = {"anime_id": 5, "url": "u", "fetched_at": NOON, "http_status": 777}
    data_dir.lake.write(TABLES["raw_anime_pages"], frame("raw_anime_pages", pages))
    with pytest.raises(PublishError, match=r"raw_anime_pages.http_status within 0 and 599 \(1 rows do not\)"):
        data_dir.publisher.publish()
    assert data_dir.publisher.current() == before
    assert list(data_dir.publisher.generations.glob(".*")) == []


def test_a_full_disk_leaves_the_old_state_and_no_draft(data_dir: DataDir, monkeypatch: pytest.MonkeyPatch) -> None:
    before = data_dir.publisher.publish().path
    write_lists(data_dir, "batch-000001", {"cem": {1: 9}})

    def no_space(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish, "_flush", no_space)
    with pytest.raises(PublishError, match=r"No space left on device.*The published one is untouched"):
        data_dir.publisher.publish()
    assert data_dir.publisher.current() == before
    assert list(data_dir.publisher.generations.glob(".*")) == []


def test_published_files_are_not_writable_and_old_ones_go(data_dir: DataDir) -> None:
    for number in range(4):
        write_lists(data_dir, f"batch-{number + 1:06d}", {f"user{number}": {1: 5}})
        path = data_dir.publisher.publish().path
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert len(list(data_dir.publisher.generations.glob("*.duckdb"))) == 2


def test_publishing_sweeps_the_drafts_of_killed_writers(data_dir: DataDir) -> None:
    """The lake could sweep, and nobody asked it to: each killed run left its drafts for good."""
    draft = data_dir.lake.path("user_lists", "batch-000000").with_name(".batch-000000.parquet.1.draft-999999999")
    draft.touch()
    data_dir.publisher.publish()
    assert not draft.exists()


def test_older_duckdb_clients_can_open_the_file(data_dir: DataDir) -> None:
    data_dir.publisher.publish()
    version = rows(data_dir, "SELECT tags['storage_version'] FROM duckdb_databases() WHERE NOT internal")
    assert str(version[0][0]).startswith("v1.0.0")


def test_every_table_and_column_carries_its_comment(data_dir: DataDir) -> None:
    data_dir.publisher.publish()
    assert rows(data_dir, "SELECT column_name FROM duckdb_columns() WHERE comment IS NULL AND table_name NOT IN "
                "('normalized_ratings', 'headline') AND NOT internal") == []  # fmt: skip


def _write_and_publish(root: str, number: int) -> None:
    found = DataDir(Path(root))
    for n in range(3 * number, 3 * number + 3):
        write_lists_of_known(found, f"batch-{n:06d}", {f"user{n}": {n: 5}})
        found.publisher.publish()


def test_several_processes_that_write_and_publish_at_once_all_succeed(tmp_path: Path) -> None:
    """One file that each of them writes: a sixth of such a backfill's runs could not get its lock."""
    data_dir = DataDir(tmp_path)
    batches = [f"batch-{n:06d}" for n in range(9)]
    users = [{"username": f"user{n}", "user_batch": batch, "discovered_at": NOON} for n, batch in enumerate(batches)]
    data_dir.lake.write(TABLES["users"], frame("users", *users))
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_write_and_publish, args=(str(data_dir.root), n)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert not data_dir.publisher.publish().changed
    expected = [(batch, f"user{n}", n, 5) for n, batch in enumerate(batches)]
    assert rows(data_dir, "SELECT user_batch, username, anime_id, rating FROM rating_matrix") == expected
    assert rows(data_dir, "SELECT user_batch, username, anime_id, score FROM user_lists") == expected
    assert rows(data_dir, "SELECT username, list_status FROM users ORDER BY 1") == [
        (f"user{n}", "ok") for n in range(9)
    ]


def test_rows_come_in_the_same_order_with_one_thread_and_with_eight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More rows than DuckDB gives one thread, so that several load and sort them."""
    rows_, batch = 150_000, "batch-000000"
    lists = pl.DataFrame({"user_batch": batch, "username": "ann", "anime_id": range(rows_), "title": "A"})
    shuffled = lists.sample(fraction=1, shuffle=True, seed=7)
    found = []
    for threads in (1, 8):
        data_dir = DataDir(tmp_path / str(threads))
        user = {"username": "ann", "user_batch": batch, "discovered_at": NOON}
        data_dir.lake.write(TABLES["users"], frame("users", user))
        typed = frame("user_lists").clear()
        data_dir.lake.write(TABLES["user_lists"], pl.concat([typed, shuffled], how="diagonal_relaxed"), batch)
        monkeypatch.setattr(publish, "duckdb_limits", lambda root, n=threads: {"threads": n})
        path = data_dir.publisher.publish().path
        with duckdb.connect(str(path), read_only=True) as con:
            found.append(con.execute("SELECT anime_id FROM user_lists").fetchnumpy()["anime_id"].tolist())
    assert found[0] == found[1] == list(range(rows_))


def test_what_a_killed_publisher_had_spilled_is_swept(data_dir: DataDir) -> None:
    """Half of a large build lay in `tmp/` for good, on the disk that was short of room."""
    spilled = spill_folder(data_dir.root) / "duckdb_temp_storage_DEFAULT-0.tmp"
    spilled.parent.mkdir(parents=True)
    spilled.write_bytes(b"x" * 1000)
    data_dir.publisher.publish()
    assert not spilled.exists()


def test_duckdb_may_take_half_of_the_memory_and_spills_into_the_data_dir(data_dir: DataDir) -> None:
    from malsugoi_assets.machine import memory_bytes

    with duckdb.connect(":memory:", config=duckdb_limits(data_dir.root)) as con:
        limit, spill = con.execute(
            "SELECT current_setting('memory_limit'), current_setting('temp_directory')"
        ).fetchall()[0]
    amount, unit = str(limit).split()
    assert float(amount) * 2 ** {"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[unit] <= memory_bytes() / 2 * 1.01
    assert Path(spill).is_relative_to(data_dir.root)


def _publish_and_die(root: str, step: str) -> None:
    """Publish in a process that dies at the given step, as one that was killed there."""
    import os

    def die(*_: object) -> None:
        os._exit(9)

    swap, replace = publish.Publisher._swap, Path.replace
    if step == "while it loads":
        publish._describe = die
    elif step == "before the new file has its name":
        publish._flush = die
    elif step == "before the swap":
        publish.Publisher._swap = die  # type: ignore[assignment]
    elif step == "in the middle of the swap":
        Path.replace = lambda self, to: die() if self.is_symlink() else replace(self, to)  # type: ignore[assignment]
    elif step == "after the swap":
        publish.Publisher._swap = lambda self, to: (swap(self, to), die())  # type: ignore[assignment]
    DataDir(Path(root)).publisher.publish()


@pytest.mark.parametrize(
    ("step", "users_then"),
    [
        ("while it loads", 2),
        ("before the new file has its name", 2),
        ("before the swap", 2),
        ("in the middle of the swap", 2),
        ("after the swap", 3),
    ],
)
def test_a_publisher_killed_at_any_step_leaves_a_state_that_opens_and_the_next_one_sweeps(
    data_dir: DataDir, step: str, users_then: int
) -> None:
    data_dir.publisher.publish()
    write_lists(data_dir, "batch-000001", {"cem": {1: 9}})
    process = multiprocessing.get_context("spawn").Process(target=_publish_and_die, args=(str(data_dir.root), step))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert rows(data_dir, "SELECT count(*) FROM users") == [(users_then,)]
    data_dir.publisher.publish()
    assert rows(data_dir, "SELECT count(*) FROM users") == [(3,)]
    left = [path.name for path in (*data_dir.publisher.generations.iterdir(), *data_dir.root.iterdir())]
    assert [name for name in left if name.startswith(".")] == []


def rating(user: str, batch: str, anime_id: int, value: int) -> dict[str, object]:
    return {"user_batch": batch, "username": user, "anime_id": anime_id, "rating": value}


def everything(data_dir: DataDir) -> dict[str, list[tuple[object, ...]]]:
    return {name: rows(data_dir, f"FROM {name}") for name, table in TABLES.items() if table.published}


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The generations that others began as copies of."""
    found: list[Path] = []
    copyfile = shutil.copyfile

    def noting(source: Path, target: Path) -> None:
        found.append(source)
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", noting)
    return found


def check_against_one_built_from_nothing(data_dir: DataDir) -> None:
    found = everything(data_dir)
    for generation in data_dir.publisher.generations.glob("*.duckdb"):
        generation.unlink()
    data_dir.publisher.publish()
    assert everything(data_dir) == found


def test_a_generation_that_began_as_a_copy_equals_one_built_from_nothing(
    data_dir: DataDir, copied: list[Path]
) -> None:
    """Filling the empty rating_matrix leaves the other tables of people as they are: those are copied."""
    data_dir.lake.remove("rating_matrix", "batch-000000")
    data_dir.publisher.publish()
    ratings = frame("rating_matrix", rating("ann", "batch-000000", 1, 7))
    data_dir.lake.write(TABLES["rating_matrix"], ratings, "batch-000000")
    data_dir.publisher.publish()
    assert len(copied) == 1
    check_against_one_built_from_nothing(data_dir)
    assert len(copied) == 1
    assert rows(data_dir, "FROM rating_matrix") == [("batch-000000", "ann", 1, 7)]


def test_a_new_batch_is_added_to_a_copy(data_dir: DataDir, copied: list[Path]) -> None:
    titles = [{"anime_id": i, "title": f"Title {i}"} for i in (1, 2)]
    data_dir.lake.write(TABLES["anime_features"], frame("anime_features", *titles))
    data_dir.publisher.publish()
    write_lists(data_dir, "batch-000001", {"cem": {1: 9, 3: 4}, "dee": {}})
    # A list that names a title nobody knew: the catalogue, to which others refer, grows too.
    titles.append({"anime_id": 3, "title": "Title 3"})
    data_dir.lake.write(TABLES["anime_features"], frame("anime_features", *titles))
    data_dir.publisher.publish()
    write_lists(data_dir, "batch-000002", {"eve": {3: 10}})
    data_dir.publisher.publish()
    assert len(copied) == 2
    assert rows(data_dir, "SELECT username, list_status FROM users ORDER BY 1") == [
        ("ann", "ok"), ("bob", "private"), ("cem", "ok"), ("dee", "private"), ("eve", "ok"),
    ]  # fmt: skip
    check_against_one_built_from_nothing(data_dir)


def test_where_a_batch_is_not_what_it_was_all_is_built(data_dir: DataDir, copied: list[Path]) -> None:
    data_dir.publisher.publish()
    write_lists(data_dir, "batch-000000", {"ann": {1: 8}, "bob": {}})
    write_lists(data_dir, "batch-000001", {"cem": {1: 9}})
    data_dir.publisher.publish()
    assert not copied
    assert rows(data_dir, "SELECT username, score FROM user_lists") == [("ann", 8), ("cem", 9)]


def test_what_referred_to_a_title_that_is_gone_goes_with_it(data_dir: DataDir, copied: list[Path]) -> None:
    """A copy is begun, since only the titles seem to have changed, and given up."""
    titles = [{"anime_id": i, "title": f"Title {i}"} for i in (1, 2, 8, 9)]
    data_dir.lake.write(TABLES["anime_features"], frame("anime_features", *titles))
    reason = {"anime_id": 1, "title": "Title 1", "weight": 1.0}
    shown = [
        {"user_batch": "batch-000000", "username": "ann", "anime_id": i, "rank": rank, "score": 1.0,
         "predicted_rating": 8.0, "because": [reason], "gave_way": ""}
        for rank, i in enumerate((8, 9), start=1)
    ]  # fmt: skip
    data_dir.lake.write(TABLES["recommendations"], frame("recommendations", *shown), "batch-000000")
    data_dir.publisher.publish()
    assert rows(data_dir, "SELECT anime_id FROM recommendations ORDER BY rank") == [(8,), (9,)]
    data_dir.lake.write(TABLES["anime_features"], frame("anime_features", *titles[:3]))
    data_dir.publisher.publish()
    assert rows(data_dir, "SELECT anime_id FROM recommendations ORDER BY rank") == [(8,)]
    assert len(copied) == 1
    # Of a table that has lost a row for want of its title the next title may bring it back.
    data_dir.lake.write(TABLES["anime_features"], frame("anime_features", *titles))
    data_dir.publisher.publish()
    assert rows(data_dir, "SELECT anime_id FROM recommendations ORDER BY rank") == [(8,), (9,)]


def test_a_copy_is_still_a_file_that_older_clients_open_with_its_comments_and_views(data_dir: DataDir) -> None:
    data_dir.lake.remove("rating_matrix", "batch-000000")
    data_dir.publisher.publish()
    ratings = frame("rating_matrix", rating("ann", "batch-000000", 1, 7))
    data_dir.lake.write(TABLES["rating_matrix"], ratings, "batch-000000")
    path = data_dir.publisher.publish().path
    with duckdb.connect(str(path), read_only=True) as con:
        (tags,) = con.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchone() or ({},)
        assert tags["storage_version"].startswith("v1.0.0")
        bare = con.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' AND comment IS NULL")
        assert bare.fetchall() == []
        assert con.execute("FROM headline").fetchall()


def test_nothing_of_a_person_who_left_stays_in_the_next_file(data_dir: DataDir) -> None:
    """A copy would keep deleted rows in its free blocks: where a table of people loses rows, all is built anew.

    Also where only `users` loses one, of whom nothing else was known.
    """
    write_lists(data_dir, "batch-000001", {"somebody_who_leaves": {1: 9}})
    data_dir.publisher.publish()
    for table in ("user_lists", "list_outcomes"):
        data_dir.lake.remove(table, "batch-000001")
    known = data_dir.lake.read("users").collect()
    data_dir.lake.write(TABLES["users"], known.filter(known["username"] != "somebody_who_leaves"))
    assert b"somebody_who_leaves" not in data_dir.publisher.publish().path.read_bytes()
    discovered = {"username": "somebody_else", "user_batch": "batch-000001", "discovered_at": NOON}
    data_dir.lake.write(
        TABLES["users"], pl.concat([data_dir.lake.read("users").collect(), frame("users", discovered)])
    )
    assert b"somebody_else" in data_dir.publisher.publish().path.read_bytes()
    data_dir.lake.write(TABLES["users"], known.filter(known["username"] != "somebody_who_leaves"))
    assert b"somebody_else" not in data_dir.publisher.publish().path.read_bytes()


@pytest.mark.parametrize("late", ["written", "replaced", "removed"])
@pytest.mark.parametrize("begins_as_a_copy", [False, True])
def test_what_changes_between_the_look_at_the_files_and_their_reading_is_right_in_the_end(
    data_dir: DataDir, monkeypatch: pytest.MonkeyPatch, late: str, begins_as_a_copy: bool
) -> None:
    """A batch that came in between stood in the database, but not in its notes: every later publishing added it again."""
    data_dir.publisher.publish()
    write_lists(data_dir, "batch-000001", {"cem": {1: 9}})
    if not begins_as_a_copy:
        write_lists(data_dir, "batch-000000", {"ann": {1: 8, 2: None}, "bob": {}})

    def change(current: Path | None, draft: Path, pieces: publish.Pieces) -> publish.Standing | None:
        """As another process, after the publisher has taken the files' hashes."""
        monkeypatch.setattr(publish, "take_over", take_over)
        if late == "written":
            write_lists(data_dir, "batch-000002", {"dee": {2: 3}})
        elif late == "replaced":
            write_lists(data_dir, "batch-000001", {"cem": {1: 2, 2: 6}})
        else:
            write_lists(data_dir, "batch-000001", {})
            for table in ("list_outcomes", "user_lists", "rating_matrix"):
                data_dir.lake.remove(table, "batch-000001")
        return take_over(current, draft, pieces)

    take_over = publish.take_over
    monkeypatch.setattr(publish, "take_over", change)
    data_dir.publisher.publish()
    data_dir.publisher.publish()
    check_against_one_built_from_nothing(data_dir)
    write_lists(data_dir, "batch-000003", {"eve": {1: 7}})
    data_dir.publisher.publish()
    check_against_one_built_from_nothing(data_dir)


def test_a_database_whose_notes_lack_a_batch_that_it_holds_is_built_anew(data_dir: DataDir) -> None:
    """As versions before may have left it."""
    write_lists(data_dir, "batch-000001", {"cem": {1: 9}})
    path = data_dir.publisher.publish().path
    path.chmod(0o644)
    with duckdb.connect(str(path)) as con:
        con.execute("DELETE FROM internal.pieces WHERE partition = 'batch-000001'")
        con.execute("UPDATE internal.made_from SET state = '' WHERE table_name IN ('user_lists', 'rating_matrix')")
    write_lists(data_dir, "batch-000002", {"dee": {1: 9}})
    data_dir.publisher.publish()
    check_against_one_built_from_nothing(data_dir)


def test_rules_are_held_batch_by_batch_however_many_there_are(data_dir: DataDir) -> None:
    for number in range(1, 12):
        write_lists(data_dir, f"batch-{number:06d}", {f"user{number}": {1: 5, 2: 6}})
    data_dir.publisher.publish()
    assert rows(data_dir, "SELECT count(*), count(DISTINCT user_batch) FROM user_lists") == [(24, 12)]
    before = data_dir.publisher.current()
    twice = data_dir.lake.read("user_lists", ["batch-000011"]).collect()
    data_dir.lake.write(TABLES["user_lists"], pl.concat([twice, twice]), "batch-000011")
    with pytest.raises(PublishError, match=r"user_lists unique by username, anime_id \(2 rows do not\)"):
        data_dir.publisher.publish()
    assert data_dir.publisher.current() == before


def test_a_batchs_rows_are_found_by_their_place_also_where_they_lie_among_others() -> None:
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE user_lists AS SELECT 'batch-' || lpad((range % 5)::VARCHAR, 6, '0') AS user_batch FROM range(23)"
        )
        places = Places(con)
        assert places.of("user_lists")["batch-000001"] == (1, 21)
        for batches in (
            ["batch-000000"],
            ["batch-000001", "batch-000003"],
            ["batch-000004", "batch-000009"],
            ["batch-9"],
        ):
            expected = sum(f"batch-{n % 5:06}" in batches for n in range(23))
            where = places.where("user_lists", batches)
            assert con.execute(f"SELECT count(*) FROM user_lists WHERE {where}").fetchone() == (expected,)
