"""A comparison in several sittings has the figures of one, and asks no model twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from malsugoi_assets.evaluation.kept_answers import evaluate_kept
from malsugoi_assets.evaluation.protocols import Protocol, make_protocol
from malsugoi_assets.evaluation.registry import MODELS
from malsugoi_assets.evaluation.results import Result
from malsugoi_assets.evaluation.run import EvaluationError, evaluate
from malsugoi_tests.evaluation.small_lists import Lines
from malsugoi_tests.evaluation.worlds import checkerboard, world

ROWS = world(checkerboard())
MODELS_OF = {"random5": ("bias", "user-mean", "cf"), "ranking": ("popularity", "ease")}


def files(folder: Path, names: Any) -> dict[str, Path]:
    return {name: folder / f"{name}.npz" for name in names}


def figures(results: list[Result]) -> list[Any]:
    return [replace(result, seconds=0.0) for result in results]


@pytest.mark.parametrize("name", MODELS_OF)
def test_the_figures_are_those_of_one_sitting(tmp_path: Path, name: str) -> None:
    protocol = make_protocol(name, ROWS, 0)
    models = {model: MODELS[model].make for model in MODELS_OF[name]}
    first = dict(list(models.items())[:1])
    evaluate_kept(ROWS, protocol, first, files(tmp_path, models))
    lines: list[str] = []
    found = evaluate_kept(ROWS, protocol, models, files(tmp_path, models), progress=Lines(lines))
    assert not [line for line in lines if line.startswith(next(iter(first)))]
    assert figures(found) == figures(evaluate(ROWS, protocol, models))
    again = evaluate_kept(ROWS, protocol, dict.fromkeys(models, _never), files(tmp_path, models))
    assert again == found


def test_a_model_that_cannot_is_left_out_and_keeps_nothing(tmp_path: Path) -> None:
    protocol = make_protocol("random5", ROWS, 0)
    models = {"popularity": MODELS["popularity"].make, "bias": MODELS["bias"].make}
    lines: list[str] = []
    found = evaluate_kept(ROWS, protocol, models, files(tmp_path, models), progress=Lines(lines))
    assert {result.model for result in found} == {"bias"}
    assert "popularity skipped: it ranks titles, but predicts no ratings" in lines
    assert [file.name for file in tmp_path.iterdir()] == ["bias.npz"]
    with pytest.raises(EvaluationError, match="none of the models"):
        evaluate_kept(ROWS, protocol, {"popularity": MODELS["popularity"].make}, files(tmp_path, models))


def test_answers_to_other_questions_are_refused(tmp_path: Path) -> None:
    protocol = make_protocol("random5", ROWS, 0)
    models = {"bias": MODELS["bias"].make}
    evaluate_kept(ROWS, Protocol(protocol.name, "rating", protocol.folds[:1]), models, files(tmp_path, models))
    with pytest.raises(EvaluationError, match=r"bias.npz answers other questions; delete it"):
        evaluate_kept(ROWS, protocol, models, files(tmp_path, models))


def _never(seed: int) -> Any:
    raise AssertionError("asked twice")


def test_what_is_kept_holds_numbers_only(tmp_path: Path) -> None:
    evaluate_kept(ROWS, make_protocol("random5", ROWS, 0), {"cf": MODELS["cf"].make}, files(tmp_path, ["cf"]))
    with np.load(tmp_path / "cf.npz", allow_pickle=False) as kept:
        assert {"asked", "predicted", "deviation", "seconds"} == set(kept)
