"""`recommend`, `explain` and `mark` on a small published world: stored lists, lists by one's own settings, and why."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from malsugoi_assets.app.cli import main
from malsugoi_assets.mal import parse_list_export
from malsugoi_assets.recommend.ranking import RankingSettings, learn_order
from malsugoi_assets.recommend.ranking_file import save_order
from malsugoi_assets.recommend.ratings import index_ratings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.marks import Marks
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.recommend.deep_world import small_items
from malsugoi_tests.warehouse.frames import NOON, frame
from malsugoi_tests.web.world import BATCH, browsing, publish

USER = "user00"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ranked by weights: nothing was learnt of an order."""
    root = tmp_path_factory.mktemp("weights") / "data"
    publish(root)
    return root


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same world with a learnt order."""
    root = tmp_path_factory.mktemp("order") / "data"
    data_dir = publish(root)
    ratings, index = index_ratings(data_dir.lake.read("user_lists").collect())
    items = small_items()
    order = learn_order(ratings, items, RankingSettings(hides=1, epochs=5, members=1, least_ratings=5))
    path = data_dir.models / "ranking-x.safetensors"
    row = {"model_id": "r", "created_at": NOON, "path": "models/ranking-x.safetensors", "bytes": 1, "config": "{}"}
    row |= {"sha256": save_order(path, order, index.anime_ids), "titles": 36, "list_rows": 9, "learn_seconds": 1.0}
    data_dir.lake.write(TABLES["ranking_model"], frame("ranking_model", row))
    data_dir.publisher.publish()
    return root


def said(root: Path, *arguments: str, status: int = 0) -> str:
    environment = {"MALSUGOI_DATA_DIR": str(root), "MALSUGOI_SOURCE": "files", "MALSUGOI_FILES_DIR": str(root.parent)}
    done = CliRunner().invoke(main, list(arguments), env=environment)
    assert done.exit_code == status, done.output
    return done.stdout if status == 0 else done.output


def rows(root: Path, *arguments: str) -> list[dict[str, Any]]:
    found = json.loads(said(root, "recommend", USER, "--json", *arguments))
    assert isinstance(found, list)
    return found


def explained(root: Path, title: str, *arguments: str) -> dict[str, Any]:
    found = json.loads(said(root, "explain", USER, title, "--json", *arguments))
    assert isinstance(found, dict)
    return found


@pytest.fixture(params=["world", "ordered"])
def root(request: pytest.FixtureRequest) -> Path:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Path)
    return found


def test_without_options_it_is_the_stored_list(world: Path) -> None:
    from malsugoi_assets.warehouse.data_dir import DataDir

    stored = DataDir(world).lake.read("recommendations").filter(pl.col("username") == USER).sort("rank").collect()
    assert [row["anime_id"] for row in rows(world, "--top", "3")] == stored["anime_id"].to_list()[:3]


def test_filters_hold_and_a_list_that_they_leave_short_is_filled_up_and_says_so(root: Path) -> None:
    movies = rows(root, "--types", "Movie")
    assert movies
    assert {row["anime_id"] % 2 for row in movies} == {1}
    drama = rows(root, "--genres", "drama", "--per-franchise", "9")
    fitting = [row for row in drama if not row["gave_way"]]
    assert fitting
    assert all((row["anime_id"] - 100) % 6 % 4 == 1 for row in fitting)
    assert {row["gave_way"] for row in drama[len(fitting) :]} == {"genres"}
    assert "with more of one series or another genre than asked for" in said(
        root, "recommend", USER, "--genres", "drama"
    )


def test_every_row_has_a_rating_and_a_reason_from_the_own_list(root: Path) -> None:
    from malsugoi_assets.warehouse.data_dir import DataDir

    own = DataDir(root).lake.read("user_lists").filter(pl.col("username") == USER).collect()["anime_id"].to_list()
    found = rows(root, "--gems", "0.3")
    assert all(1 <= row["predicted_rating"] <= 10 for row in found)
    assert all(reason["anime_id"] in own and reason["weight"] > 0 for row in found for reason in row["because"])
    assert sum(len(row["because"]) for row in found) > 0


@pytest.fixture
def half(tmp_path: Path) -> DataDir:
    """The world where only every user's first five titles are published, each rated 7.5 as no model would."""
    data_dir = publish(tmp_path / "data")
    short = data_dir.lake.read("recommendations").collect().filter(pl.col("rank") <= 5)
    data_dir.lake.write(TABLES["recommendations"], short, BATCH)
    data_dir.publisher.publish()
    return data_dir


def test_a_rating_is_the_same_in_every_list_alone_and_on_the_page(half: DataDir) -> None:
    found = {row["anime_id"]: row["predicted_rating"] for row in rows(half.root, "--forgiving")}
    assert sum(rating == 7.5 for rating in found.values()) == 5 < len(found)
    for anime_id, rating in found.items():
        assert explained(half.root, str(anime_id))["predicted_rating"] == rating
    with browsing(half.root) as client:
        page = client.get("/api/recommendations", params={"user": USER, "forgiving": "true"}).json()
    shown = {item["anime"]["anime_id"]: item["rating"]["predicted_rating"] for item in page["items"]}
    assert {i: shown[i] for i in found} == pytest.approx(found, abs=6e-4)


def test_beyond_what_the_model_takes_the_offsets_rate(half: DataDir) -> None:
    none = (
        half.lake.read("title_baselines")
        .collect()
        .with_columns(effect=pl.lit(None, pl.Float32), listing=pl.lit(None, pl.List(pl.Float32)))
    )
    half.lake.write(TABLES["title_baselines"], none)
    half.publisher.publish()
    own = half.lake.read("user_lists").collect().filter(username=USER).drop_nulls("score")
    terms = dict(none.select("anime_id", pl.col("global_mean") + pl.col("bias")).iter_rows())
    above = [score - terms[i] for i, score in own.select("anime_id", "score").iter_rows()]
    made = [row for row in rows(half.root, "--forgiving") if row["predicted_rating"] != 7.5]
    assert made
    for row in made:
        # The title's offset, and the person's, for which five ratings at 0 count more.
        wanted = terms[row["anime_id"]] + sum(above) / (len(above) + 5)
        assert row["predicted_rating"] == pytest.approx(min(max(wanted, 1), 10), abs=1e-4)


def test_an_entry_that_nobody_names_is_called_by_its_id(world: Path, tmp_path: Path) -> None:
    """A list by ids whose titles the catalogue lacks."""
    root = tmp_path / "data"
    shutil.copytree(world, root, symlinks=True)
    data_dir = DataDir(root)
    stored = data_dir.lake.read("recommendations").collect()
    nameless = pl.struct(
        pl.element().struct.field("anime_id"), title=pl.lit(None, pl.String), weight=pl.lit(1.0, pl.Float32)
    )
    data_dir.lake.write(TABLES["recommendations"], stored.with_columns(pl.col("because").list.eval(nameless)), BATCH)
    data_dir.publisher.publish()
    told = said(root, "recommend", USER, "--csv")
    assert "None" not in told
    reasons = [row["because"] for row in csv.DictReader(io.StringIO(told)) if row["because"]]
    assert reasons
    assert all(re.fullmatch(r"#\d+(, #\d+)*", reason) for reason in reasons)


def test_csv_has_the_tables_columns_and_the_titles_page(world: Path) -> None:
    table = list(csv.DictReader(io.StringIO(said(world, "recommend", USER, "--csv", "--top", "2"))))
    assert [row["rank"] for row in table] == ["1", "2"]
    assert table[0]["url"] == f"https://myanimelist.net/anime/{table[0]['anime_id']}"


def test_a_plan_is_a_file_of_the_same_titles_that_our_own_import_reads(world: Path, tmp_path: Path) -> None:
    for name in ("plan.xml", "plan.xml.gz"):
        path = tmp_path / name
        assert "4 titles planned" in said(world, "recommend", USER, "--top", "4", "--xml", str(path))
        read = parse_list_export(path.read_bytes())
        assert [entry.anime_id for entry in read.entries] == [row["anime_id"] for row in rows(world, "--top", "4")]
        assert {entry.status for entry in read.entries} == {"plan_to_watch"}
        assert read.username == USER


def test_a_list_that_nothing_is_stored_for_gets_its_recommendations_on_the_spot(world: Path, tmp_path: Path) -> None:
    """As after an import that the models of an older version could not predict."""
    root = tmp_path / "data"
    shutil.copytree(world, root, symlinks=True)
    data_dir = DataDir(root)
    stored = data_dir.lake.read("recommendations").collect()
    assert USER in stored["username"].to_list()
    data_dir.lake.write(TABLES["recommendations"], stored.filter(pl.col("username") != USER), BATCH)
    data_dir.publisher.publish()
    assert [row["anime_id"] for row in rows(root)] == [row["anime_id"] for row in rows(world)]


def test_whose_titles_they_are_the_data_dir_says_not_the_shell(world: Path, tmp_path: Path) -> None:
    """In a new terminal only `MALSUGOI_DATA_DIR` may be set again: the source is the replica then."""
    root = tmp_path / "data"
    shutil.copytree(world, root, symlinks=True)
    for source, status in (("files", 0), ("replica", 2)):
        (root / "source.json").write_text(json.dumps({"source": source, "site": "x"}))
        arguments = ["recommend", USER, "--top", "2", "--xml", str(tmp_path / f"{source}.xml")]
        done = CliRunner().invoke(main, arguments, env={"MALSUGOI_DATA_DIR": str(root)})
        assert done.exit_code == status, done.output
        assert ("invented titles" in done.output) == (status == 2)
        told = CliRunner().invoke(main, ["status"], env={"MALSUGOI_DATA_DIR": str(root)}).output
        assert told.startswith(f"{source} in ")


def test_a_plan_goes_beside_other_output_and_writes_over_no_file(world: Path, tmp_path: Path) -> None:
    path = tmp_path / "animelist.xml"
    path.write_text("mine")
    assert "is there already" in said(world, "recommend", USER, "--xml", str(path), status=2)
    assert path.read_text() == "mine"
    assert "cannot be written" in said(world, "recommend", USER, "--xml", str(path / "x.xml"), status=2)
    assert "no such folder" in said(world, "recommend", USER, "--xml", str(tmp_path / "new" / "x.xml"), status=2)
    assert not (tmp_path / "new").exists()
    assert len(rows(world, "--top", "2", "--xml", str(tmp_path / "two.xml"))) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--gems", "3"), "--gems can't be 3: it takes a number from -1 to 1"),
        (("--first-year", "12"), "--first-year can't be 12: it takes a whole number from 1900 to 2200"),
        (("--first-year", "2020", "--last-year", "2010"), "Error: the first year (2020) is after the last (2010)"),
        (("--genres", "Drama", "--without-genres", "drama"), "Error: Drama is asked for and to be avoided"),
        (("--genres", "Hentai"), "Error: hentai is asked for as a genre, and titles for adults are not (adult)"),
    ],
)
def test_a_setting_out_of_bounds_is_one_line(world: Path, arguments: tuple[str, ...], words: str) -> None:
    assert words in said(world, "recommend", USER, *arguments, status=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--genres", "Dramma"), "--genres: no title here is Dramma; did you mean Drama?"),
        (("--without-genres", "Comdy"), "did you mean Comedy?"),
        (("--types", "Film"), "--types: no title here is Film; did you mean"),
        (("--ages", "18"), "did you mean G, PG, PG-13, R, R+, Rx?"),
    ],
)
def test_a_word_that_no_title_has_is_told_with_what_may_be_meant(
    world: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in said(world, "recommend", USER, *arguments, status=2)
    assert words in said(world, "explain", USER, "100", *arguments, status=2)


def test_an_empty_list_names_the_settings_that_left_none(root: Path) -> None:
    told = said(root, "recommend", USER, "--only-planned", "--types", "Movie")
    assert told == "No title fits what you asked for; some would without --only-planned.\n"
    assert rows(root, "--only-planned") == []


def test_a_filter_that_the_catalogue_cannot_answer_is_told(root: Path) -> None:
    assert "--least-minutes changes nothing" in said(root, "recommend", USER, "--least-minutes", "200")


def test_several_words_may_stand_in_one_option(world: Path) -> None:
    assert rows(world, "--types", "Movie, TV") == rows(world, "--types", "Movie", "--types", "TV")
    assert "no title here is Flim" in said(world, "recommend", USER, "--types", "TV,Flim", status=2)


@pytest.mark.parametrize("empty", ["", ",", " , "])
def test_an_option_without_a_word_is_no_option_left_out(world: Path, empty: str) -> None:
    """It was a list without the filter."""
    for others in ((), ("--genres", "Drama")):
        told = said(world, "recommend", USER, *others, "--genres", empty, status=2)
        assert "--genres was given without a word: it takes words" in told


def test_one_form_of_output_is_asked_for(world: Path) -> None:
    assert "choose one" in said(world, "recommend", USER, "--json", "--csv", status=2)


def test_an_id_that_no_title_has_is_no_misspelt_name(world: Path) -> None:
    assert said(world, "similar", "99999999", status=2).endswith("none has that id, and none is called so\n")


def test_an_empty_name_is_asked_for_again(world: Path) -> None:
    assert said(world, "recommend", " ", status=2).startswith("Error: no user was named")
    assert said(world, "similar", "", status=2) == "Error: no title was named\n"


def test_explain_names_the_place_or_the_rule(root: Path) -> None:
    # Of a title that the numbers speak for more than the list there is no reason.
    first = next(row for row in rows(root, "--gems", "0.001") if row["because"])
    found = explained(root, str(first["anime_id"]), "--gems", "0.001")
    assert (found["why_not"], found["place"]) == ("", first["rank"])
    named = {entry["anime_id"]: entry["weight"] for entry in found["because"]}
    both = [reason for reason in first["because"] if reason["anime_id"] in named]
    assert both
    assert all(named[reason["anime_id"]] == pytest.approx(reason["weight"], abs=1e-4) for reason in both)
    assert "it is not finished or not airing" in explained(root, "900")["why_not"]
    assert "no such title" in said(root, "explain", USER, "Zzyzx", status=2)


def test_explain_names_what_is_missing_before_a_sequel(root: Path) -> None:
    from malsugoi_assets.warehouse.data_dir import DataDir

    own = set(
        DataDir(root).lake.read("user_lists").filter(pl.col("username") == USER).collect()["anime_id"].to_list()
    )
    sequel = next(i for i in range(106, 136) if i not in own and i - 6 not in own)
    why_not = explained(root, str(sequel), "--low-score", "1")["why_not"]
    assert why_not.endswith(" comes before it and is not seen yet") or why_not.startswith("you dropped or disliked")


def test_what_is_marked_is_gone_until_it_is_taken_back(tmp_path: Path) -> None:
    root = tmp_path / "data"
    publish(root)
    first, second = rows(root)[:2]
    assert "is not interested" in said(root, "mark", USER, str(first["anime_id"]), "--not-interested")
    assert f"{USER} has seen " in said(root, "mark", USER, str(second["anime_id"]), "--seen")
    assert not {first["anime_id"], second["anime_id"]} & {row["anime_id"] for row in rows(root)}
    assert explained(root, str(first["anime_id"]))["why_not"] == "you said that it does not interest you"
    assert explained(root, str(second["anime_id"]))["why_not"] == "it is on your list already"
    for row in (first, second):
        assert "says nothing more of" in said(root, "mark", USER, str(row["anime_id"]), "--undo")
    assert [row["anime_id"] for row in rows(root)][:2] == [first["anime_id"], second["anime_id"]]


def test_a_mark_needs_a_word_and_a_broken_file_is_named(tmp_path: Path) -> None:
    root = tmp_path / "data"
    publish(root)
    assert "say which" in said(root, "mark", USER, "100", status=2)
    (root / "state").mkdir(exist_ok=True)
    (root / "state" / "marks.json").write_text("[1]")
    assert "mend or delete it" in said(root, "mark", USER, "100", "--seen", status=2)


def test_the_forgotten_leave_no_mark(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    marks.put("Ann", 1, "seen")
    marks.put("bob", 2, "not interested")
    marks.forget("ANN")
    assert marks.of("Ann") == {}
    assert marks.of("bob") == {2: "not interested"}


def test_a_file_that_was_changed_is_refused_in_one_line(tmp_path: Path) -> None:
    root = tmp_path / "data"
    data_dir = publish(root)
    path = data_dir.models / "ranking-y.safetensors"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"something else")
    row = {"model_id": "r", "created_at": NOON, "path": "models/ranking-y.safetensors", "bytes": 1, "config": "{}"}
    row |= {"sha256": "0" * 64, "titles": 36, "list_rows": 9, "learn_seconds": 1.0}
    data_dir.lake.write(TABLES["ranking_model"], frame("ranking_model", row))
    data_dir.publisher.publish()
    assert "is not the file that was registered" in said(root, "recommend", USER, "--gems", "0.5", status=2)


def test_similar_names_other_series_and_says_what_is_in_common(world: Path) -> None:
    found = json.loads(said(world, "similar", "900", "--json"))
    assert [row["rank"] for row in found] == list(range(1, len(found) + 1))
    assert all(0 <= row["similarity"] <= 1 and row["anime_id"] == 900 for row in found)
    assert {row["support"] for row in found} == {0}  # nobody rated what is still to air
    assert any("Action" in row["in_common"] for row in found)
    # 900 goes on with 100, as all of its series does.
    named = {row["neighbour_id"] for row in found}
    with_series = {row["neighbour_id"] for row in json.loads(said(world, "similar", "900", "--series", "--json"))}
    assert 100 not in named
    assert 100 in with_series
    assert "Of the same series: " in said(world, "similar", "900")
    rated = json.loads(said(world, "similar", "100", "--json"))
    assert max(row["support"] for row in rated) > 0
