"""Importing one's own export: a user like others, whose list stays whatever the source shows later.

The story: a folder of files with three users is read; ann imports her own export and is recommended to; somebody tries
names and files that mean harm.
"""

from __future__ import annotations

import gzip
import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from rich.console import Console

from malsugoi_assets.app import import_list, pipeline
from malsugoi_assets.app.errors import UserError, WorkError
from malsugoi_assets.app.forget import forget_user
from malsugoi_assets.app.import_list import import_export
from malsugoi_assets.app.instance import open_instance
from malsugoi_assets.app.recommending import make_recommendations
from malsugoi_assets.app.reports import read_recommendations
from malsugoi_assets.assembly import build_definitions
from malsugoi_assets.checks import declared
from malsugoi_assets.mal.records import ListEntry
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.resources.imported import ImportedLists, NobodysSource, WithImports
from malsugoi_assets.resources.source import Source, open_source
from malsugoi_assets.settings import Settings
from malsugoi_assets.usernames import is_name
from malsugoi_assets.warehouse import run_marks
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.marks import Marks
from malsugoi_assets.warehouse.publish import Publisher
from malsugoi_assets.warehouse.tables import TABLES, Table
from malsugoi_tests.support.processes import start
from malsugoi_tests.warehouse.frames import frame

# No name looks like that of another's sequel.
NAMES = dict(enumerate(("Amber", "Birch", "Cedar", "Daisy", "Elder", "Fern", "Ginger", "Hazel"), start=1))
CATALOGUE = "anime_id,title,type,genres\n" + "".join(f"{n},{name},TV,Action\n" for n, name in NAMES.items())
RATINGS = "username,anime_id,score\n" + "".join(
    f"{user},{n},{(n + place) % 10 + 1}\n" for place, user in enumerate(("bea", "cem", "dee")) for n in range(1, 7)
)


def export(path: Path, name: str | None, scores: dict[int, int]) -> Path:
    who = f"<myinfo><user_name>{name}</user_name></myinfo>" if name else ""
    entries = "".join(
        f"<anime><series_animedb_id>{n}</series_animedb_id><series_title><![CDATA[{NAMES.get(n, n)}]]></series_title>"
        f"<my_score>{score}</my_score><my_status>Completed</my_status></anime>"
        for n, score in scores.items()
    )
    text = f'<?xml version="1.0" encoding="UTF-8" ?><myanimelist>{who}{entries}</myanimelist>'.encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def settings_of(root: Path, **more: object) -> Settings:
    return Settings.load(
        {}, source="files", files_dir=str(root / "folder"), data_dir=str(root / "data"), device="cpu", **more
    )


def run_stages(settings: Settings, *stages: str) -> None:
    source = open_source(settings)
    data_dir = DataDir(settings.root)
    instance = open_instance(settings)
    definitions = build_definitions(settings)
    with instance:
        for stage in stages:
            for step in getattr(pipeline, f"_{stage}")(instance, data_dir, source):
                pipeline.execute_step(instance, definitions, step)
    source.mark_read()


def generation(settings: Settings) -> int:
    """How many databases were published so far."""
    current = DataDir(settings.root).publisher.current()
    return int(current.name.split("-")[1]) if current else 0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A data dir with catalogue, users and lists, and no models yet."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "anime.csv").write_text(CATALOGUE)
    (tmp_path / "folder" / "ratings.csv").write_text(RATINGS)
    found = settings_of(tmp_path)
    run_stages(found, "catalogue", "discovery", "lists")
    yield found
    os.environ.pop("DAGSTER_HOME", None)


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    """A data dir of files with one title and one user, and nothing else: enough to refuse an import."""
    (tmp_path / "folder").mkdir()
    found = settings_of(tmp_path)
    data_dir = DataDir(found.root)
    data_dir.claim(found)
    data_dir.lake.write(TABLES["anime_features"], frame("anime_features", {"anime_id": 1}))
    data_dir.ledger.add(["bea"], batch_size=10)
    return found


def rows(settings: Settings, sql: str) -> list[tuple[object, ...]]:
    path = DataDir(settings.root).publisher.current()
    assert path is not None
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(sql).fetchall()


ANNS = "SELECT anime_id, score, status FROM user_lists WHERE username = 'ann' ORDER BY 1"


def test_an_imported_list_is_a_user_that_stays_through_later_runs_and_is_replaced_by_the_next_import(
    settings: Settings, tmp_path: Path
) -> None:
    console = Console(quiet=True)
    import_export(settings, export(tmp_path / "ann.xml.gz", "ann", {1: 9, 2: 0, 99: 5}), None, console)
    assert rows(settings, ANNS) == [(1, 9, "completed"), (2, None, "completed"), (99, 5, "completed")]
    assert rows(settings, "SELECT user_batch, list_status, entries, rated FROM users WHERE username = 'ann'") == [
        ("batch-000001", "ok", 3, 2)
    ]
    ratings = "SELECT anime_id, rating FROM rating_matrix WHERE username = 'ann' ORDER BY 1"
    assert rows(settings, ratings) == [(1, 9), (99, 5)]
    # The files change, so that every list is read again: hers is not among them, and stays.
    (tmp_path / "folder" / "ratings.csv").write_text(RATINGS + "eve,1,5\n")
    run_stages(settings, "catalogue", "discovery", "lists")
    assert rows(settings, "SELECT count(*) FROM users") == [(5,)]
    assert len(rows(settings, ANNS)) == 3
    import_export(settings, export(tmp_path / "ann.xml", "ANN", {3: 10}), None, console)
    assert rows(settings, ANNS) == [(3, 10, "completed")]
    assert rows(settings, "SELECT count(*) FROM users") == [(5,)]
    import_export(settings, export(tmp_path / "empty.xml", "zoe", {}), None, console)
    assert rows(settings, "SELECT list_status, entries FROM users WHERE username = 'zoe'") == [("empty", 0)]


def test_a_new_terminal_has_to_be_told_where_the_data_lies_and_no_more(settings: Settings, tmp_path: Path) -> None:
    """The source and the folder that the run had were asked for again."""
    command = ("import-list", str(export(tmp_path / "ann.xml", "ann", {1: 9})))
    before = sorted(settings.root.rglob("*"))
    refused = start(settings.root, *command, MALSUGOI_SOURCE="live")
    assert "holds data of files" in refused.communicate(timeout=60)[0]
    assert refused.returncode == 2
    assert sorted(settings.root.rglob("*")) == before
    done = start(settings.root, *command)
    output, _ = done.communicate(timeout=60)
    assert done.returncode == 0, output
    assert rows(settings, ANNS) == [(1, 9, "completed")]


def test_a_list_that_keeps_fewer_scores_replaces_the_one_before(settings: Settings, tmp_path: Path) -> None:
    """Found by a user: the guard against a broken source took it for one, and the old list was served ever after."""
    console = Console(quiet=True)
    import_export(settings, export(tmp_path / "x.xml", "ann", dict.fromkeys(range(1, 31), 8)), None, console)
    import_export(settings, export(tmp_path / "y.xml", "ann", {n: 8 * (n % 2) for n in range(1, 31)}), None, console)
    assert rows(settings, "SELECT count(*), count(score) FROM user_lists WHERE username = 'ann'") == [(30, 15)]
    import_export(settings, export(tmp_path / "z.xml", "ann", {}), None, console)
    assert rows(settings, "SELECT count(*) FROM user_lists WHERE username = 'ann'") == [(0,)]


def test_titles_that_no_catalogue_knows_have_a_row_with_their_name_and_make_nothing_old(
    settings: Settings, tmp_path: Path
) -> None:
    """CONTRACT "Files": an anime that is listed but has no catalogue row gets one. contract_check.py failed here."""
    lake = DataDir(settings.root).lake
    before = lake.content("anime_features")
    said = Console(record=True, width=200, quiet=False, file=io.StringIO())
    import_export(settings, export(tmp_path / "ann.xml", "ann", {1: 9, 98: 0, 99: 5}), None, said)
    assert "Of 2 of them nothing but the name is known here" in said.export_text()
    new = "SELECT * FROM anime_features WHERE anime_id > 8 ORDER BY 1"
    assert [row[:2] for row in rows(settings, new)] == [(98, "98"), (99, "99")]
    assert {value for row in rows(settings, new) for value in row[2:]} == {None}
    assert lake.content("anime_features") == before
    # Once more, with another catalogue: it is read anew, and knows one of the two.
    (tmp_path / "folder" / "anime.csv").write_text(CATALOGUE + "99,Ivy,TV,Action\n")
    run_stages(settings, "catalogue", "discovery", "lists")
    assert [row[:2] for row in rows(settings, new)] == [(98, "98"), (99, "Ivy")]


def forget(settings: Settings, name: str) -> None:
    """As the command does, in a process of its own: this one holds the marks of its runs until it ends."""
    for marks in (run_marks._held, run_marks._working):
        while marks:
            marks.popitem()[1].close()
    forget_user(settings, name, Console(quiet=True))


NAMED = "SELECT anime_id, title FROM anime_features WHERE anime_id > 8 ORDER BY 1"


def test_what_only_a_list_named_goes_with_the_list(settings: Settings, tmp_path: Path) -> None:
    """The names of a forgotten person's export stayed in the catalogue for good, as did those of a list that was replaced."""
    console = Console(quiet=True)
    # The folder lists 50, of which no catalogue tells: that row is its own, whoever else lists the title.
    (tmp_path / "folder" / "ratings.csv").write_text(RATINGS + "bea,50,5\n")
    run_stages(settings, "catalogue", "discovery", "lists")
    import_export(settings, export(tmp_path / "ann.xml", "ann", {1: 9, 50: 3, 97: 7, 98: 7, 99: 5}), None, console)
    import_export(settings, export(tmp_path / "zoe.xml", "zoe", {97: 8, 99: 5}), None, console)
    assert [row[0] for row in rows(settings, NAMED)] == [50, 97, 98, 99]
    import_export(settings, export(tmp_path / "ann.xml", "ann", {50: 3, 96: 7, 97: 7}), None, console)
    assert [row[0] for row in rows(settings, NAMED)] == [50, 96, 97, 99]
    forget(settings, "ann")
    assert rows(settings, NAMED) == [(50, None), (97, "97"), (99, "99")]
    forget(settings, "zoe")
    assert rows(settings, NAMED) == [(50, None)]
    assert rows(settings, "SELECT count(*) FROM anime_features") == [(9,)]


def test_a_catalogue_that_is_made_again_after_an_import_makes_nothing_old(settings: Settings, tmp_path: Path) -> None:
    """Under another content every batch of lists counted as stale, though the folder had not changed."""
    lake = DataDir(settings.root).lake
    before = lake.content("anime_features")
    import_export(settings, export(tmp_path / "ann.xml", "ann", {1: 9, 98: 7}), None, Console(quiet=True))
    current = [batch for batch in lake.partitions("user_lists") if lake.is_current("user_lists", batch)]
    assert current
    with open_instance(settings) as instance:
        pipeline.execute_step(instance, build_definitions(settings), pipeline.Step("catalogue"))
    assert lake.content("anime_features") == before
    assert all(lake.is_current("user_lists", batch) for batch in current)
    assert rows(settings, NAMED) == [(98, "98")]
    forget(settings, "ann")
    assert rows(settings, NAMED) == []


def test_a_site_s_features_are_its_pages_and_no_list_adds_to_them(tmp_path: Path) -> None:
    lists = ImportedLists(tmp_path)
    lists.put("ann", [ListEntry(1, "A", score=7)])
    source = NobodysSource()
    assert WithImports(source, lists).features(pl.DataFrame()).frame.is_empty()
    source.titles_all_listed = True
    found = WithImports(source, lists).features(pl.DataFrame())
    assert (found.frame.select("anime_id", "title").rows(), found.added) == ([(1, "A")], {1})


@pytest.mark.slow
def test_recommendations_are_there_at_once_where_there_are_models_and_go_by_marks_at_the_next_run(
    settings: Settings, tmp_path: Path
) -> None:
    run_stages(settings, "collaborative", "deep")
    before = generation(settings)
    import_export(settings, export(tmp_path / "ann.xml", None, {1: 9, 2: 3}), "ann", Console(quiet=True))
    assert generation(settings) == before + 1
    found = read_recommendations(settings, "ann")
    assert found
    assert {1, 2}.isdisjoint(row["anime_id"] for row in found)
    unwanted = found[0]["anime_id"]
    Marks(settings.root).put("ann", unwanted, "not interested")
    run_stages(settings, "predictions")
    assert unwanted not in {row["anime_id"] for row in read_recommendations(settings, "ann")}


@pytest.mark.slow
def test_titles_that_only_a_forgotten_person_of_the_folder_listed_go_with_the_next_run(
    settings: Settings, tmp_path: Path
) -> None:
    """They stayed in the catalogue until the folder changed."""
    (tmp_path / "folder" / "ratings.csv").write_text(RATINGS + "eve,50,5\n")
    run_stages(settings, "catalogue", "discovery", "lists")
    assert rows(settings, NAMED) == [(50, None)]
    forget(settings, "eve")
    run_stages(settings, "catalogue", "discovery", "lists")
    assert rows(settings, NAMED) == []
    assert rows(settings, "SELECT count(*) FROM users") == [(3,)]


@pytest.mark.slow
def test_a_list_whose_predictions_fail_is_kept_with_a_warning_and_recommended_for_on_the_spot(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found by a user: beside a network of an older kind the list was published, and said not to be kept."""
    run_stages(settings, "collaborative", "deep")
    import_export(settings, export(tmp_path / "a.xml", None, {1: 9, 2: 3}), "ann", Console(quiet=True))
    assert read_recommendations(settings, "ann")
    for network in (settings.root / "models").glob("dnn-*"):
        network.write_bytes(b"of an older kind")
    said = Console(record=True, width=200, file=io.StringIO())
    import_export(settings, export(tmp_path / "b.xml", None, {3: 9, 4: 2}), "ann", said)
    assert rows(settings, ANNS) == [(3, 9, "completed"), (4, 2, "completed")]
    assert "recommend ann" in said.export_text()
    warning = capsys.readouterr().err
    assert "the list of ann is kept; predicted ratings come after `malsugoi run`" in warning
    assert "The network cannot be used" in warning
    # What was recommended to the list before is gone; the next one is made when it is asked for.
    assert read_recommendations(settings, "ann") == []
    found = make_recommendations(settings, "ann", RecommendationSettings()).rows
    assert found
    assert {3, 4}.isdisjoint(row["anime_id"] for row in found)


def test_a_list_that_cannot_be_published_is_not_kept_and_says_so(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def execute_step(instance: dg.DagsterInstance, definitions: dg.Definitions, step: pipeline.Step) -> float:
        raise WorkError(f"{step.job}: no room")

    monkeypatch.setattr(pipeline, "execute_step", execute_step)
    with pytest.raises(WorkError, match="user_batch: no room"):
        import_export(settings, export(tmp_path / "ann.xml", None, {1: 9, 2: 3}), "ann", Console(quiet=True))
    assert "is kept" not in capsys.readouterr().err


def test_nothing_is_at_work_any_more_when_an_import_fails(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that still loads compiled code as the interpreter ends may bring it down."""
    failed, ready = threading.Event(), threading.Event()

    def execute_step(*_: object) -> float:
        raise WorkError("no room")

    def publish(_: Publisher) -> None:
        """The last that is done where the work fails."""
        failed.set()

    def make_ready(_: DataDir) -> None:
        assert failed.wait(60)
        time.sleep(0.2)
        ready.set()

    monkeypatch.setattr(import_list, "_MODELS", ())
    monkeypatch.setattr(import_list, "_make_ready", make_ready)
    monkeypatch.setattr(pipeline, "execute_step", execute_step)
    monkeypatch.setattr(Publisher, "publish", publish)
    with pytest.raises(WorkError, match="no room"):
        import_export(settings, export(tmp_path / "ann.xml", None, {1: 9, 2: 3}), "ann", Console(quiet=True))
    assert ready.is_set()


def test_a_check_that_fails_afterwards_is_warned_of_since_the_list_is_kept(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(declared, "violations", lambda *_, **__: ["a row too many"])
    import_export(settings, export(tmp_path / "ann.xml", None, {1: 9}), "ann", Console(quiet=True))
    assert rows(settings, ANNS) == [(1, 9, "completed")]
    assert "the list of ann is kept; but what was published is not as it should be" in capsys.readouterr().err


def test_what_an_import_publishes_is_looked_at_once_it_is_there(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checks look at the published database: within the run they saw the one before, and passed whatever came."""
    looked: list[tuple[str, bool]] = []

    def violations(con: duckdb.DuckDBPyConnection, tables: list[Table], **how: object) -> list[str]:
        found = con.execute("SELECT count(*) > 0 FROM user_lists WHERE username = 'ann'").fetchall()[0][0]
        looked.append((tables[0].name, found))
        return []

    monkeypatch.setattr(declared, "violations", violations)
    import_export(settings, export(tmp_path / "ann.xml", None, {1: 9}), "ann", Console(quiet=True))
    assert sorted(looked) == [("rating_matrix", True), ("user_lists", True)]


@pytest.mark.parametrize(
    "name", ["a/b", "..", "../../x", "%00", "a\0b", "", " ", ".hidden", "-x", "a" * 300, "a b", "a\nb"]
)
def test_names_that_mean_harm_are_refused_before_anything_is_written(
    bare: Settings, tmp_path: Path, name: str
) -> None:
    file = export(tmp_path / "list.xml", None, {1: 9})
    before = sorted(bare.root.rglob("*"))
    with pytest.raises(UserError, match="cannot be a user's name here") as error:
        import_export(bare, file, name, Console(quiet=True))
    assert "\n" not in error.value.message
    assert sorted(bare.root.rglob("*")) == before


def test_names_of_the_site_and_of_other_scripts_are_names() -> None:
    assert all(is_name(name) for name in ("Xinil", "a_b-c", "名前", "user.name", "0"))


def test_what_cannot_be_imported_ends_in_one_sentence(bare: Settings, tmp_path: Path) -> None:
    console, good = Console(quiet=True), export(tmp_path / "good.xml", "BEA", {1: 9})
    with pytest.raises(UserError, match=r"bea is a user of .* already.*--as"):
        import_export(bare, good, None, console)
    with pytest.raises(UserError, match=r"bea is a user of .* already.*--as"):
        import_export(bare, good, "Bea", console)
    with pytest.raises(UserError, match="does not say whose list it is"):
        import_export(bare, export(tmp_path / "nameless.xml", None, {1: 9}), None, console)
    with pytest.raises(UserError, match=r"nowhere\.xml: there is no such file"):
        import_export(bare, tmp_path / "nowhere.xml", None, console)
    os.mkfifo(tmp_path / "pipe")
    for name, kind in (("pipe", "no file but a pipe"), ("folder", "a folder")):
        with pytest.raises(UserError, match=f"{name} is {kind}.*: name the file that MyAnimeList gave you"):
            import_export(bare, tmp_path / name, None, console)
    (tmp_path / "page.xml").write_text("<html><body>hello</body></html>")
    with pytest.raises(UserError, match=r"page\.xml: "):
        import_export(bare, tmp_path / "page.xml", "me", console)
    (tmp_path / "cut.xml.gz").write_bytes(gzip.compress(good.read_bytes())[:-12])
    with pytest.raises(UserError, match=r"cut\.xml\.gz: .*ends in the middle"):
        import_export(bare, tmp_path / "cut.xml.gz", "me", console)
    assert not (bare.root / "imported").exists()


def test_the_replicas_invented_titles_take_no_real_list(tmp_path: Path) -> None:
    data = tmp_path / "data"
    file = export(tmp_path / "a.xml", "ann", {1: 9})
    replica = Settings.load({}, data_dir=str(data))
    with pytest.raises(UserError, match="no titles are in"):
        import_export(replica, file, None, Console(quiet=True))
    data.mkdir()
    (data / "source.json").write_text('{"source": "replica", "site": "replica"}')
    (data / "lake" / "anime_features").mkdir(parents=True)
    DataDir(data).lake.write(TABLES["anime_features"], frame("anime_features", {"anime_id": 1}))
    with pytest.raises(UserError, match="the replica's invented titles"):
        import_export(replica, file, None, Console(quiet=True))


def test_whatever_a_source_offers_is_passed_on_past_the_imports() -> None:
    """A method that is added to `Source` and not here would be answered by its default, silently."""
    public = {name for name in vars(Source) if not name.startswith("_")}
    assert public - vars(WithImports).keys() == {"in_parts", "ignores_case", "titles_all_listed"}


@pytest.mark.parametrize(("ignores_case", "asked"), [(True, []), (False, ["ANN"])])
def test_who_is_called_alike_in_a_folder_keeps_their_own_list(
    tmp_path: Path, ignores_case: bool, asked: list[str]
) -> None:
    """On a site ANN is ann, whose list was imported; in files they are two."""
    lists = ImportedLists(tmp_path)
    lists.put("ann", [ListEntry(1, "A", score=7)])
    source = NobodysSource()
    source.ignores_case, seen = ignores_case, []
    source.lists_due = lambda names: seen.extend(names) or []  # type: ignore[method-assign, func-returns-value]
    WithImports(source, lists).lists_due(["ann", "ANN"])
    assert seen == asked
    assert WithImports(source, lists).lists(["ann"], print).frame["anime_id"].to_list() == [1]


def test_a_forgotten_import_is_gone(tmp_path: Path) -> None:
    lists = ImportedLists(tmp_path)
    lists.put("ann", [])
    assert lists.has("ANN")
    lists.remove("Ann")
    assert not lists.has("ann")
    assert not any(tmp_path.rglob("*.parquet"))
