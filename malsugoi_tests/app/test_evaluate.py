"""`malsugoi evaluate` as a user meets it: figures out of files, and one line for a mistake."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from malsugoi_assets.app.evaluate import evaluate, results_table
from malsugoi_assets.evaluation import registry
from malsugoi_assets.evaluation.results import Result as ModelResult
from malsugoi_tests.support.shared import shared_path

METRICS = {
    "random5": {"mse", "rmse", "mae", "r2"},
    "ranking": {"ndcg@10", "recall@10", "recall@20", "map@10", "coverage@10", "novelty@10", "variety@10"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """20 users who like even or odd titles, by turns, with one title of each unrated."""
    lines = ["user_id,anime_id,score"]
    for user in range(20):
        for title in range(24):
            if (user * 7 + title * 5) % 6:
                score = (9 if (user + title) % 2 == 0 else 4) if (user + title) % 11 else 0
                lines.append(f"{user},{100 + title},{score}")
    (tmp_path / "ratings.csv").write_text("\n".join(lines) + "\n")
    rows = [
        f"{100 + t},Title {t},{'Action|Drama' if t % 2 else 'Comedy'},{6 + t % 3}.5,{1000 + t}" for t in range(24)
    ]
    (tmp_path / "anime.csv").write_text("anime_id,title,genres,score,members\n" + "\n".join(rows) + "\n")
    return tmp_path


def run(folder: Path, *options: str, protocol: str = "random5") -> Result:
    files = ["--ratings", str(folder / "ratings.csv"), "--anime", str(folder / "anime.csv")]
    return CliRunner().invoke(evaluate, [*files, "--protocol", protocol, *options])


@pytest.mark.parametrize("protocol", ["random5", "ranking"])
def test_the_file_holds_every_promised_figure(folder: Path, protocol: str) -> None:
    out = folder / "out.json"
    models = "bias,item-mean,cf" if protocol == "random5" else "popularity,ease"
    result = run(folder, "--models", models, "--json", str(out), protocol=protocol)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    every = [row for row in found if row["segment"] == "all"]
    sure = {row["metric"]: row["value"] for row in every if row["metric"].startswith(("covered", "width"))}
    if protocol == "random5":  # only `cf` says how sure it is
        assert 0 <= sure["covered@50"] <= sure["covered@90"] <= 1 <= sure["width@90"] <= 9
    whole = [row for row in every if row["metric"] not in sure]
    assert {(row["model"], row["metric"]) for row in whole} == {
        (model, metric) for model in models.split(",") for metric in METRICS[protocol]
    }
    for row in whole:
        assert row["protocol"] == protocol
        assert (row["ci_low"] is None) == (row["metric"] == "coverage@10")
        assert set(row["paired"]) == set(models.split(",")) - {row["model"]}
    assert all(model in result.output for model in models.split(","))


def test_progress_says_who_is_at_work_and_who_was_left_out(folder: Path) -> None:
    """Where the output is no terminal there are two lines a step, so that a log shows what the work is at."""
    result = run(folder, "--models", "bias,popularity")
    assert "popularity skipped: it ranks titles, but predicts no ratings" in result.stderr
    told = [line.split(":") for line in result.stderr.splitlines() if line.startswith("bias")]
    steps = [f"bias, fold {fold} of 5" for fold in range(1, 6)]
    assert [step for step, what in told if what == " at work"] == steps
    assert [step for step, what in told if what.endswith(" s")] == steps


def test_no_name_of_the_widest_table_is_cut_off_in_80_columns() -> None:
    """`recommendations` has the longest name of what ranks, and a ranking the most figures."""
    console = Console(width=80, record=True, file=io.StringIO())
    metrics = ["ndcg@10", "recall@10", "recall@20", "map@10", "novelty@10", "variety@10", "coverage@10"]
    console.print(
        results_table(
            [ModelResult("recommendations", "ranking", "all", m, 0.1234, 0.123, 0.124, 9, 1234.5) for m in metrics]
        )
    )
    shown = console.export_text()
    assert "…" not in shown
    for word in ("recommendations", "novelty", "variety", "coverage", "0.123–0.124", "1234.5"):
        assert word in shown


def test_the_same_seed_gives_the_same_figures(folder: Path) -> None:
    texts = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        run(folder, "--models", "bias", "--seed", seed, "--json", str(folder / name))
        texts.append([row["value"] for row in json.loads((folder / name).read_text())])
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--models", "bias,nonesuch"], "nonesuch"),
        (["--protocol", "random6"], "random6"),
        (["--ratings", "missing.csv"], "missing.csv"),
        (["--anime", "missing.parquet"], "missing.parquet"),
        (["--relations", "missing.csv"], "missing.csv"),
        (["--json", "no/such/folder/out.json"], "out.json"),
        (["--seed", "-1"], "-1"),
        (["--history", "some"], "some"),
        (["--models", "popularity"], "none of the models"),
    ],
)
def test_a_mistake_ends_in_one_line_and_status_2(folder: Path, options: list[str], said: str) -> None:
    result = run(folder, *options)
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output
    errors = [line for line in result.output.splitlines() if line.startswith("Error")]
    assert len(errors) == 1


@pytest.mark.parametrize("score", ["11", "7.5", "ten", "-2"])
def test_a_broken_score_names_its_line_and_nothing_is_written(folder: Path, score: str) -> None:
    lines = (folder / "ratings.csv").read_text().splitlines()
    lines[4] = lines[4].rsplit(",", 1)[0] + f",{score}"
    (folder / "ratings.csv").write_text("\n".join(lines))
    result = run(folder, "--json", str(folder / "out.json"))
    assert result.exit_code == 2
    assert "ratings.csv, line 5" in result.output
    assert not (folder / "out.json").exists()


def test_a_device_that_is_not_there_is_a_mistake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALSUGOI_DEVICE", "gpu7")
    result = run(folder, "--models", "dnn-original")
    assert (result.exit_code, "gpu7" in result.output) == (2, True)
    assert run(folder, "--models", "bias").exit_code == 0


def test_peers_that_are_not_installed_are_named_and_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: found(name) if name.startswith("malsugoi") else None)
    result = run(folder, "--models", "bias,peers", "--json", str(folder / "out.json"))
    assert result.exit_code == 0, result.output
    assert {row["model"] for row in json.loads((folder / "out.json").read_text())} == {"bias"}
    skipped = [line for line in result.stderr.splitlines() if "skipped" in line]
    assert any(line.startswith("myfm skipped: myfm is not installed (pip install") for line in skipped)
    assert len(skipped) == 5  # a line a library
    for models in ("peers", "bias,implicit-als"):
        result = run(folder, "--models", models)
        assert (result.exit_code, "pip install" in result.output, "Traceback" in result.output) == (2, True, False)


def test_the_bias_of_the_original_rows_is_what_others_measured(tmp_path: Path) -> None:
    """MSE of a ridge-regularised user and title offset on the same rows: 1.574 joined, 1.544 with all history."""
    original, catalogue = shared_path("malsugoi"), shared_path("catalogue")
    for history, expected in (("protocol", 1.574), ("all", 1.544)):
        out = tmp_path / f"{history}.json"
        options = ["--ratings", str(original / "anime_info.csv"), "--anime", str(original / "anime_data.csv")]
        options += ["--anime", str(catalogue / "anime_2021.parquet")]
        options += ["--protocol", str(shared_path("protocols/p1.csv")), "--history", history]
        result = CliRunner().invoke(evaluate, [*options, "--models", "bias", "--json", str(out)])
        assert result.exit_code == 0, result.output
        (mse,) = [r for r in json.loads(out.read_text()) if (r["segment"], r["metric"]) == ("all", "mse")]
        assert mse["value"] == pytest.approx(expected, abs=0.01)
        assert mse["n"] == 3080


@pytest.mark.slow
def test_the_originals_network_reaches_what_was_published(tmp_path: Path) -> None:
    """Published on its own split: MSE 1.6645; reproduced elsewhere over 8 seeds: 1.701 ± 0.025."""
    original, catalogue = shared_path("malsugoi"), shared_path("catalogue")
    out = tmp_path / "out.json"
    options = ["--ratings", str(original / "anime_info.csv"), "--anime", str(original / "anime_data.csv")]
    options += ["--anime", str(catalogue / "anime_all_ids.parquet")]
    options += ["--relations", str(catalogue / "relations_2021.parquet")]
    options += ["--protocol", str(shared_path("protocols/p1.csv")), "--history", "protocol"]
    result = CliRunner().invoke(evaluate, [*options, "--models", "dnn-original", "--json", str(out)])
    assert result.exit_code == 0, result.output
    (mse,) = [r for r in json.loads(out.read_text()) if (r["segment"], r["metric"]) == ("all", "mse")]
    assert 1.65 <= mse["value"] <= 1.75
