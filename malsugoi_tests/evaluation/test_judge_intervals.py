"""Coverage and width of stated intervals, on numbers that one can count."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.evaluation.judge_intervals import judge_intervals
from malsugoi_assets.evaluation.results import Result

ALL = {"all": np.ones(4, dtype=np.bool_)}


def figures(results: list[Result]) -> dict[tuple[str, str], float | None]:
    return {(r.segment, r.metric): r.value for r in results}


def test_ratings_inside_of_the_interval_are_counted() -> None:
    """With a deviation of 1, z is .67, 1.28, 1.64 and 1.96: errors of 0, 1, 1.5 and 3 fall out one after the other."""
    predicted = np.full(4, 5.0)
    found = figures(
        judge_intervals(
            predicted + np.array([0, 1, 1.5, 3]), np.arange(4), predicted, np.ones(4), ALL, model="m", protocol="p"
        )
    )
    assert found["all", "covered@50"] == 0.25
    assert found["all", "covered@80"] == 0.5
    assert found["all", "covered@90"] == 0.75
    assert found["all", "covered@95"] == 0.75
    assert found["all", "width@90"] == pytest.approx(2 * 1.6449, abs=1e-3)


def test_the_interval_ends_where_ratings_end() -> None:
    predicted = np.full(4, 9.5)
    found = figures(judge_intervals(predicted, np.arange(4), predicted, np.ones(4), ALL, model="m", protocol="p"))
    assert found["all", "width@90"] == pytest.approx(0.5 + 1.6449, abs=1e-3)


def test_segments_count_their_own_rows_and_an_empty_one_says_nothing() -> None:
    segments = {"first": np.array([1, 1, 0, 0], bool), "none": np.zeros(4, bool)}
    results = judge_intervals(
        np.array([5.0, 9, 9, 9]),
        np.array([0, 0, 1, 1]),
        np.full(4, 5.0),
        np.ones(4),
        segments,
        model="m",
        protocol="p",
    )
    assert {r.segment for r in results} == {"first"}
    assert figures(results)["first", "covered@90"] == 0.5
    assert results[0].n == 2


def test_a_model_that_is_as_unsure_as_it_errs_covers_what_it_states_and_its_interval_says_so() -> None:
    random = np.random.default_rng(0)
    n = 20_000
    deviation = random.uniform(0.5, 2, n)
    truth = 5.5 + deviation * random.normal(size=n)
    user = np.sort(random.integers(500, size=n))
    found = judge_intervals(
        truth, user, np.full(n, 5.5), deviation, {"all": np.ones(n, bool)}, model="m", protocol="p"
    )
    for result, level in zip(found, (0.5, 0.8, 0.9, 0.95), strict=False):
        assert result.value == pytest.approx(level, abs=0.01)
        assert (result.ci_low or 1) < level < (result.ci_high or 0)
