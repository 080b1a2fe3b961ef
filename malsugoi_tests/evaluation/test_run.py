"""The runner: shape of results, segments, pairs, ties, and what happens where there is nothing to measure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.evaluation.protocols import make_protocol
from malsugoi_assets.evaluation.registry import MODELS
from malsugoi_assets.evaluation.reports import (
    write_json,
)
from malsugoi_assets.evaluation.results import Result
from malsugoi_assets.evaluation.run import EvaluationError, evaluate
from malsugoi_assets.files import load_evaluation
from malsugoi_tests.evaluation.small_lists import Lines
from malsugoi_tests.evaluation.worlds import checkerboard, world
from malsugoi_tests.support.shared import shared_path

SIMPLE = {name: MODELS[name].make for name in ("bias", "user-mean", "global-mean")}


class Constant:
    """Scores every title alike."""

    def __init__(self, seed: int) -> None: ...

    def fit(self, ratings: Any, items: Any) -> Constant:
        self.n_items = ratings.n_items
        return self

    def scores(self, users: Any) -> Any:
        return np.zeros((len(users), self.n_items), dtype=np.float32)


class Broken(Constant):
    """Cannot learn from this."""

    def fit(self, ratings: Any, items: Any) -> Constant:
        raise ValueError("too little to learn from")

    def predict(self, user: Any, item: Any) -> Any:
        raise AssertionError


def value(results: list[Result], model: str, metric: str, segment: str = "all") -> Result:
    return next(r for r in results if (r.model, r.metric, r.segment) == (model, metric, segment))


class Whole(Constant):
    """Says 5, and that a part of it says 4."""

    fits = 0

    def fit(self, ratings: Any, items: Any) -> Constant:
        Whole.fits += 1
        return self

    def predict(self, user: Any, item: Any) -> Any:
        return np.full(len(user), 5.0)

    def parts_with_deviation(self, user: Any, item: Any) -> Any:
        nothing = np.full(len(user), np.nan)
        return {"whole": (self.predict(user, item), nothing), "part": (self.predict(user, item) - 1, nothing)}


def test_a_part_of_a_model_that_is_asked_for_too_costs_no_training_of_its_own() -> None:
    rows, Whole.fits = world(checkerboard()), 0
    models = {"part": Broken, "bias": SIMPLE["bias"], "whole": Whole}
    protocol = make_protocol("random5", rows, 0)
    results = evaluate(rows, protocol, models, shared={"part": "whole"})
    assert Whole.fits == 5
    assert list(dict.fromkeys(r.model for r in results)) == ["part", "bias", "whole"]
    truth = rows.rating[np.concatenate([fold.targets for fold in protocol.folds])]
    assert value(results, "part", "mse").value == pytest.approx(float(((truth - 4) ** 2).mean()))
    assert value(results, "whole", "mse").value == pytest.approx(float(((truth - 5) ** 2).mean()))
    assert value(results, "part", "mse").seconds == value(results, "whole", "mse").seconds
    # Without the whole the part is a model like any other.
    alone = evaluate(rows, protocol, {"part": Broken, "bias": SIMPLE["bias"]}, shared={"part": "whole"})
    assert {r.model for r in alone} == {"bias"}


class FailsLater(Whole):
    """A whole that can no longer learn once it has done so twice."""

    def fit(self, ratings: Any, items: Any) -> Constant:
        if Whole.fits == 2:
            raise ValueError("too little to learn from")
        return super().fit(ratings, items)

    def parts_with_deviation(self, user: Any, item: Any) -> Any:
        said = super().parts_with_deviation(user, item)
        return said | {"hopeless": said["part"]}


@pytest.mark.parametrize("whole", [Broken, FailsLater], ids=["at once", "in the third fold"])
@pytest.mark.parametrize("workers", [1, 2])
def test_parts_of_a_model_that_fails_are_measured_by_themselves(whole: type[Constant], workers: int) -> None:
    """`gp` was dropped with the blend whose network had too few rows, though a process needs hardly any."""
    rows, Whole.fits = world(checkerboard()), 0
    told: list[str] = []
    models = {"part": SIMPLE["user-mean"], "hopeless": Broken, "bias": SIMPLE["bias"], "whole": whole}
    protocol = make_protocol("random5", rows, 0)
    shared = {"part": "whole", "hopeless": "whole"}
    results = evaluate(rows, protocol, models, progress=Lines(told), shared=shared, workers=workers)
    assert list(dict.fromkeys(r.model for r in results)) == ["part", "bias"]
    alone = evaluate(rows, protocol, {"part": SIMPLE["user-mean"]})
    assert value(results, "part", "mse").value == value(alone, "part", "mse").value
    assert sum("skipped" in line for line in told) == 2
    assert "whole skipped: too little to learn from" in told
    assert "hopeless skipped: too little to learn from" in told


def test_every_model_is_measured_in_every_segment_and_paired_with_every_other(tmp_path: Path) -> None:
    rows = world(checkerboard())
    results = evaluate(rows, make_protocol("random5", rows, 0), SIMPLE)
    mse = value(results, "bias", "mse")
    assert set(mse.paired) == {"user-mean", "global-mean"}
    assert mse.n == len(rows)
    assert mse.ci_low is not None
    assert mse.value is not None
    assert mse.ci_high is not None
    assert mse.ci_low <= mse.value <= mse.ci_high
    other = value(results, "user-mean", "mse")
    assert other.value is not None
    assert mse.paired["user-mean"].difference == pytest.approx(mse.value - other.value)
    history = [r for r in results if r.model == "bias" and r.metric == "mse" and r.segment.startswith("history ")]
    assert sum(r.n for r in history) == len(rows)
    empty = next(r for r in history if r.n == 0)
    assert empty.value is None
    assert empty.reason
    write_json(results, tmp_path / "out.json")
    plain = json.loads((tmp_path / "out.json").read_text())
    assert len(plain) == len(results)
    keys = {"model", "protocol", "segment", "metric", "value", "ci_low", "ci_high", "n", "seconds", "paired"}
    assert all(keys <= set(row) <= keys | {"reason"} for row in plain)
    assert list(tmp_path.iterdir()) == [tmp_path / "out.json"]


@pytest.mark.parametrize("name", ["random5", "cold-users", "ranking"])
def test_results_do_not_depend_on_the_order_of_the_rows(name: str) -> None:
    frame = checkerboard(seed=3)
    models = {**SIMPLE, "popularity": MODELS["popularity"].make, "constant": Constant}
    first, second = (
        [(r.model, r.segment, r.metric, r.value, r.n) for r in evaluate(rows, make_protocol(name, rows, 0), models)]
        for rows in (world(frame), world(frame.sample(fraction=1.0, shuffle=True, seed=9)))
    )
    assert [r[:3] + r[4:] for r in first] == [r[:3] + r[4:] for r in second]
    for one, other in zip(first, second, strict=True):
        assert one[3] == pytest.approx(other[3], abs=1e-6)


def test_a_model_that_scores_all_titles_alike_ranks_at_random() -> None:
    """Ties that fall by position would make it as good as the order of the titles."""
    rng = np.random.default_rng(0)
    picks = [
        (f"u{u:03}", f"t{t:03}", 9) for u in range(300) for t in rng.choice(200, 20, replace=False, p=_skewed(200))
    ]
    frame = pl.DataFrame(picks, schema={"username": pl.String, "key": pl.String, "score": pl.Int8}, orient="row")
    rows = world(frame)
    results = evaluate(
        rows, make_protocol("ranking", rows, 0), {"constant": Constant, "popularity": MODELS["popularity"].make}
    )
    recall = value(results, "constant", "recall@20").value
    assert recall == pytest.approx(20 / (rows.n_items - 16), abs=0.03)
    best = value(results, "popularity", "recall@20").value
    assert best is not None
    assert recall is not None
    assert best > 2 * recall
    coverage = value(results, "constant", "coverage@10")
    assert coverage.value == 1
    assert coverage.ci_low is None


def test_a_model_that_cannot_is_skipped_with_a_line_and_the_others_go_on() -> None:
    rows = world(checkerboard())
    lines: list[str] = []
    results = evaluate(
        rows, make_protocol("random5", rows, 0), {"no": Constant, "broken": Broken, **SIMPLE}, progress=Lines(lines)
    )
    assert {r.model for r in results} == set(SIMPLE)
    assert "no skipped: it ranks titles, but predicts no ratings" in lines
    assert "broken skipped: too little to learn from" in lines
    with pytest.raises(EvaluationError, match="none of the models"):
        evaluate(rows, make_protocol("random5", rows, 0), {"broken": Broken})


def test_nothing_to_predict_is_said_in_words() -> None:
    rows = world(checkerboard(4, 6))
    with pytest.raises(EvaluationError, match="no row to predict"):
        evaluate(rows, make_protocol("ranking", rows, 0), {"constant": Constant})
    low = world(checkerboard().with_columns(score=pl.lit(3, pl.Int8)))
    with pytest.raises(EvaluationError, match="no hidden row is rated 8 or more"):
        evaluate(low, make_protocol("ranking", low, 0), {"constant": Constant})
    results = evaluate(low, make_protocol("random5", low, 0), SIMPLE)
    assert value(results, "bias", "r2").value is None
    assert value(results, "bias", "r2").reason == "all ratings here are equal"


def test_known_figures_are_reproduced_on_the_originals_rows() -> None:
    """A ridge on user and title offsets has MSE 1.574 (joined), 1.544, 1.673, 1.656; popularity NDCG@10 .164, R@20 .223."""
    folder, protocols = shared_path("malsugoi"), shared_path("protocols")
    catalogues = [folder / "anime_data.csv", shared_path("catalogue/anime_2021.parquet")]
    data = load_evaluation(folder / "anime_info.csv", catalogues)
    from malsugoi_assets.evaluation.data import evaluation_rows

    rows = evaluation_rows(data.rows, data.catalogue, data.relations)
    for name, history, expected in (
        ("p1", "protocol", 1.574), ("p1", "all", 1.544), ("p2", "all", 1.673), ("p3", "all", 1.656),
    ):  # fmt: skip
        protocol = make_protocol(str(protocols / f"{name}.csv"), rows, 0)
        results = evaluate(rows, protocol, {"bias": MODELS["bias"].make}, history=history)  # type: ignore[arg-type]
        assert value(results, "bias", "mse").value == pytest.approx(expected, abs=0.01)
    ranking = make_protocol(str(protocols / "ranking.csv"), rows, 0)
    results = evaluate(rows, ranking, {"popularity": MODELS["popularity"].make})
    found = [value(results, "popularity", m, "complete-lists").value for m in ("ndcg@10", "recall@20")]
    assert found == pytest.approx([0.164, 0.223], abs=0.002)


def _skewed(n: int) -> Any:
    weight = 1 / np.arange(1, n + 1)
    return weight / weight.sum()
