"""The job `deep_model` on a small world: builds, the gate, going back, and what is said when a file is not what it was.

The story: a first build; the lists grow and a second one follows; a third is worse and refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest
from rich.console import Console

from malsugoi_assets.app.errors import UserError, WorkError
from malsugoi_assets.app.models import read_builds, show_builds, use_build
from malsugoi_assets.app.pipeline import Step, _deep, execute_step
from malsugoi_assets.assembly import build_definitions
from malsugoi_assets.assets import deep
from malsugoi_assets.assets.builds import said_of
from malsugoi_assets.evaluation.gate import Verdict
from malsugoi_assets.evaluation.hold_out import HoldOut
from malsugoi_assets.recommend.blend import train_blend
from malsugoi_assets.recommend.blend_settings import BlendSettings
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse import run_marks
from malsugoi_assets.warehouse.builds import Builds
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.recommend.deep_world import small_items, small_ratings
from malsugoi_tests.warehouse.frames import frame, rows, write_lists

SMALL = {
    "folds": 3,
    "embedding_size": 8,
    "hidden_units": 16,
    "epochs": 3,
    "batch_size": 64,
    "threads": 1,
    "kept_builds": 2,
}


@dataclass
class World:
    """A data dir with titles and lists, and its deep model's job."""

    settings: Settings
    instance: dg.DagsterInstance

    @property
    def data_dir(self) -> DataDir:
        return DataDir(self.settings.root)

    @property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.settings)

    def grow(self, n_users: int) -> None:
        ratings, items = small_ratings(n_users), small_items()
        lists: dict[str, dict[int, int | None]] = {f"u{user:02}": {} for user in range(n_users)}
        for user, item, score in zip(ratings.user, ratings.item, ratings.rating, strict=True):
            lists[f"u{user:02}"][int(items.anime_id[item])] = None if np.isnan(score) else int(score)
        features = [dict(row) for row in items.features.rename({"type": "type"}).iter_rows(named=True)]
        self.data_dir.lake.write(TABLES["anime_features"], frame("anime_features", *features))
        self.data_dir.lake.write(
            TABLES["anime_relations"], frame("anime_relations", *items.relations.iter_rows(named=True))
        )
        write_lists(self.data_dir, "batch-000000", lists)

    def train(self, **settings: Any) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def("deep_model").execute_in_process(
            instance=self.instance,
            run_config={"ops": {"dnn_model": {"config": {**SMALL, **settings}}}, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )  # fmt: skip

    def use(self, model_id: str, console: Console) -> None:
        """As from a process of its own: the runs of this one end with it, and hold on to the data dir until then."""
        if held := run_marks._working.pop(self.settings.root, None):
            held.close()
        use_build(self.settings, model_id, console)

    def builds(self) -> list[dict[str, Any]]:
        """The newest first."""
        return read_builds(self.settings)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    settings = Settings.load({"MALSUGOI_DATA_DIR": str(tmp_path / "data")})
    with dg.instance_for_test() as instance:
        made = World(settings, instance)
        made.grow(40)
        yield made


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    [event] = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def refuse_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        deep, "judged", lambda *_: Verdict(False, "refused: it is worse", 9, 2.0, "the other", 0.5, 0.4, 0.6)
    )


def last_words(result: dg.ExecuteInProcessResult) -> str:
    return next(
        event.step_failure_data.error.to_string()
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.error
    )


def test_builds_follow_each_other_past_the_gate_and_one_can_go_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(record=True, width=160)

    first = world.train()
    assert first.success
    told = metadata(first, "dnn_model")
    assert told["verdict"] == "accepted: it is the first build"
    assert told["stopped"] == "all 3 epochs ran"
    assert (told["device"], told["precision"]) == ("cpu", "float32")
    assert told["memory_peak_mib"] > 50
    assert not list(world.data_dir.checkpoints.iterdir())

    # More lists: another build, held against the first on ratings that neither saw.
    world.grow(50)
    assert world.train().success
    second, one = world.builds()
    assert (second["is_current"], one["is_current"]) == (True, False)
    assert (second["state"], second["compared_with"]) == ("accepted", one["model_id"])
    assert second["ci_low"] <= second["difference"] <= second["ci_high"]
    assert second["held_out"] == rows(world.data_dir, "SELECT max(n) FROM dnn_metrics WHERE segment = 'all'")[0][0]
    measured = rows(world.data_dir, "SELECT value FROM dnn_metrics WHERE segment = 'all' AND metric = 'mse' AND model = 'blend' AND versus = ''")  # fmt: skip
    assert told["predicts"].startswith("the blend: mean squared error")
    assert measured[0][0] == pytest.approx(second["mse"])

    segments = {str(row[0]) for row in rows(world.data_dir, "SELECT DISTINCT segment FROM dnn_metrics")}
    assert {"all", "year 2000-2004", "rating 7-8", "history 10-49", "title 10-49"} <= segments
    covered = rows(world.data_dir, "SELECT value FROM dnn_metrics WHERE segment = 'all' AND metric = 'covered@90'")
    assert 0.5 < float(str(covered[0][0])) <= 1

    # The same data once more: the same build, and nothing that was made from it is stale.
    before = world.data_dir.lake.content("dnn_model")
    assert world.train().success
    assert world.data_dir.lake.content("dnn_model") == before

    # A worse one: the run fails with the reason, nothing downstream is made, the second build goes on predicting.
    world.grow(60)
    with monkeypatch.context() as patched:
        refuse_all(patched)
        result = world.train()
    assert not result.success
    check = next(found for found in result.get_asset_check_evaluations() if found.check_name == "gate")
    third = world.builds()[0]
    assert not check.passed
    assert check.description == f"{third['model_id']} is refused: it is worse"
    assert not result.asset_materializations_for_node("dnn_metrics")
    assert [build["is_current"] for build in world.builds()] == [False, True, False]
    # `malsugoi run` trains no second time for the same data: it measures the build that predicts, and goes on.
    steps = list(_deep(world.instance, world.data_dir, None))  # type: ignore[arg-type]
    assert [(step.job, step.assets) for step in steps] == [("deep_model", ("dnn_metrics",))]
    execute_step(world.instance, world.definitions, steps[0])
    assert list(_deep(world.instance, world.data_dir, None)) == []  # type: ignore[arg-type]
    assert rows(world.data_dir, "SELECT DISTINCT model_id FROM dnn_metrics") == [(second["model_id"],)]

    # Taken all the same, and back again.
    world.use(third["model_id"], console)
    assert [build["is_current"] for build in world.builds()] == [True, False, False]
    assert [step.assets for step in _deep(world.instance, world.data_dir, None)] == [("dnn_metrics",)]  # type: ignore[arg-type]
    world.use(second["model_id"], console)
    world.use(second["model_id"], console)
    with pytest.raises(UserError, match="no longer kept"):
        world.use(one["model_id"], console)
    with pytest.raises(UserError, match="there is no such build"):
        world.use("dnn-of-my-dreams", console)
    show_builds(world.builds(), console)
    said = console.export_text()
    assert f"{third['model_id']} predicts from now on in place of {second['model_id']}" in said
    assert f"{second['model_id']} predicts already" in said
    assert f"{third['model_id']} is refused: it is worse" in said
    assert "accepted, file no longer kept" in said


def test_malsugoi_run_says_why_a_build_was_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_all(monkeypatch)
    monkeypatch.setattr(deep.PipelineDnnSettings.model_fields["epochs"], "default", 3)
    with pytest.raises(WorkError, match=r"check gate of dnn_model failed: dnn\S+ is refused: it is worse"):
        execute_step(world.instance, world.definitions, Step("deep_model"))


def test_a_training_that_was_killed_goes_on_in_the_next_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from malsugoi_assets.recommend import dnn, training

    whole = world.train()
    assert whole.success
    undisturbed = world.builds()[0]["sha256"]
    Builds(world.data_dir).path(world.builds()[0]["model_id"]).unlink()

    class Killed(BaseException):
        pass

    def killed(*arguments: Any, **more: Any) -> float:
        if more or len(arguments[3].curve) == 2:
            raise Killed
        return float(epoch(*arguments))

    epoch = training._epoch
    with monkeypatch.context() as patched:
        patched.setattr(training, "_epoch", killed)
        with pytest.raises(Killed):
            dnn.train(*_learnt(world), keep=world.data_dir.checkpoints / "cpu.safetensors")
    again = world.train()
    assert metadata(again, "dnn_model")["resumed_after_epoch"] == 2
    assert world.builds()[0]["sha256"] == undisturbed


def _learnt(world: World, lists: pl.DataFrame | None = None) -> tuple[Any, Any, Any]:
    from malsugoi_assets.evaluation.hold_out import hold_out
    from malsugoi_assets.recommend.dnn_settings import DnnSettings

    lake = world.data_dir.lake
    lists = lake.read("user_lists").collect() if lists is None else lists
    held = hold_out(lists, *(lake.read(n).collect() for n in ("anime_features", "anime_relations")))
    pipeline = deep.PipelineDnnSettings.model_validate(SMALL)
    settings = pipeline.model_dump(exclude={"seed", "tolerance", "kept_builds"})
    return held.train, held.items, DnnSettings.model_validate(settings)


def test_the_held_out_ratings_have_no_say_in_what_predicts(world: World) -> None:
    """They report and gate: turned round, the weights file and the choice of blend or network stay what they were."""
    assert world.train().success
    lake = world.data_dir.lake
    lists = lake.read("user_lists").collect()
    held, _, _ = _learnt(world, lists)
    train = set(zip(held.user.tolist(), held.item.tolist(), strict=True))
    names = {name: number for number, name in enumerate(lists["username"].unique().sort())}
    titles = {title: number for number, title in enumerate(lists["anime_id"].unique().sort())}
    turned = [
        11 - score if score and (names[user], titles[title]) not in train else score
        for user, title, score in lists.select("username", "anime_id", "score").iter_rows()
    ]
    scrambled = lists.with_columns(pl.Series("score", turned, dtype=lists.schema["score"]))
    assert (scrambled["score"] != lists["score"]).sum() > 100

    def chosen(held: Any) -> tuple[str, str]:
        blend = train_blend(held[0], held[1], BlendSettings(network=held[2]))
        return str(blend.save(world.data_dir.root / "weights")), blend.better()[1]

    assert chosen(_learnt(world, scrambled)) == chosen(_learnt(world, lists))


@pytest.mark.parametrize("case", ["another file", "missing", "of an older version"])
def test_a_build_that_cannot_be_used_is_one_sentence_and_the_next_one_replaces_it(
    world: World, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from malsugoi_assets.recommend import blend

    assert world.train().success
    build = world.builds()[0]
    path = Builds(world.data_dir).path(build["model_id"])
    if case == "another file":
        path.write_bytes(b"\x80\x04 a pickle, say")
    elif case == "missing":
        path.unlink()
    else:
        monkeypatch.setattr(blend, "KIND", "blend-99")
    with pytest.raises(UserError, match=r"not the file that was registered|cannot be read|holds a 'blend-3' model"):
        world.use(build["model_id"], Console())
    result = world.definitions.resolve_job_def("deep_model").execute_in_process(
        instance=world.instance, asset_selection=[dg.AssetKey("dnn_metrics")], raise_on_error=False
    )
    words = last_words(result)
    assert "The network cannot be used (" in words
    assert "go back to an earlier build" in words
    world.grow(45)
    assert world.train().success
    verdict = world.builds()[0]["verdict"]
    assert verdict.startswith("accepted: nothing to compare with, since models/")
    assert str(world.data_dir.root) not in verdict, "it named another folder once the data dir was copied"


def test_a_training_that_cannot_work_fails_with_one_sentence(world: World) -> None:
    result = world.train(learning_rate=1e38)
    assert not result.success
    assert "The network could not be trained: the loss is not finite in epoch 1, batch" in last_words(result)


def test_a_build_with_a_forgotten_person_is_replaced_whatever_the_next_one_is_worth(world: World) -> None:
    assert world.train().success
    first = world.builds()[0]["model_id"]
    Builds(world.data_dir).withdraw()
    world.grow(39)
    assert world.train(tolerance=0).success
    newest, withdrawn = world.builds()
    assert newest["is_current"]
    assert newest["verdict"] == (
        f"accepted: it replaces {first}, since it was learnt with the ratings of somebody who asked to be forgotten"
    )
    assert withdrawn["path"] is None
    assert not Builds(world.data_dir).path(first).exists()


def test_the_name_of_a_build_hangs_on_data_titles_and_settings_but_not_on_the_gate(world: World) -> None:
    assert world.train().success
    name = world.builds()[0]["model_id"]
    assert world.train(tolerance=0.5, kept_builds=3).success
    assert [build["model_id"] for build in world.builds()] == [name]
    features = world.data_dir.lake.read("anime_features").collect()
    world.data_dir.lake.write(TABLES["anime_features"], features.with_columns(score=pl.col("score") + 0.5))
    assert world.train(tolerance=1).success
    assert world.builds()[0]["model_id"] != name


def test_another_kind_of_file_is_another_version_of_the_code() -> None:
    """Kinds were once raised without it: builds that could not be read any more counted as current, and nothing was learnt."""
    from malsugoi_assets.assets.deep import dnn_model
    from malsugoi_assets.recommend import blend_settings, dnn_settings

    version = next(iter(dnn_model.specs)).code_version or ""
    assert {dnn_settings.KIND, blend_settings.KIND} <= set(version.split())


def test_what_a_build_says_of_a_hold_out_is_worked_out_once_while_file_and_rows_are_the_same() -> None:
    class Model:
        device = "cpu"
        asked = 0

        def parts(self, history: Any, user: Any, item: Any) -> tuple[dict[str, Any], Any]:
            self.asked += 1
            return {"dnn": user + float(self.asked)}, item

    ratings = small_ratings(12)
    rated = ratings.rated
    some = HoldOut(ratings, small_items(), rated.user[:3], rated.item[:3], rated.rating[:3])
    model = Model()
    first = said_of(some, model, "one")
    assert said_of(some, model, "one") is first
    assert model.asked == 1
    said_of(some, model, "two")
    said_of(HoldOut(ratings, small_items(), rated.user[:2], rated.item[:2], rated.rating[:2]), model, "two")
    said_of(some, model, "one")
    assert model.asked == 4, "another file, other rows, and what was asked long ago are asked for anew"
