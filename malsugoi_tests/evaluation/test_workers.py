"""Calls side by side: the same answers, in processes that share the cores and leave none behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from malsugoi_assets.evaluation.protocols import make_protocol
from malsugoi_assets.evaluation.registry import MODELS
from malsugoi_assets.evaluation.run import predict
from malsugoi_assets.evaluation.workers import WorkerDied, answers, possible_workers
from malsugoi_tests.evaluation.small_lists import checkerboard, rows_of

two_cores = pytest.mark.skipif(possible_workers() < 2, reason="needs two cores that can be told apart")


def work(number: int) -> tuple[int, int, int]:
    if number == 3:
        raise ValueError("three is too much")
    return number, os.getpid(), len(os.sched_getaffinity(0))


def die() -> None:
    os._exit(9)


def given(call: Callable[[], Any]) -> Callable[[], Callable[[], Any] | None]:
    return lambda: call


@two_cores
def test_every_call_is_answered_in_its_own_process_and_a_failure_is_an_answer() -> None:
    cores = len(os.sched_getaffinity(0))
    found = dict(answers([(n, given(partial(work, n))) for n in range(5)], 2))
    assert sorted(found) == list(range(5))
    assert str(found.pop(3)) == "three is too much"
    assert [found[n][0] for n in found] == list(found)
    assert all(pid != os.getpid() for _, pid, _ in found.values())
    assert all(share < cores or cores == 1 for _, _, share in found.values())


def test_one_worker_is_this_process_and_a_call_may_be_dropped_when_its_turn_comes() -> None:
    found = dict(answers([(0, given(partial(work, 0))), (1, lambda: None)], 1))
    assert found[0][1] == os.getpid()
    assert list(found) == [0]


@two_cores
def test_a_worker_that_dies_is_said_in_a_sentence() -> None:
    with pytest.raises(WorkerDied, match="memory"):
        list(answers([(0, given(die))], 2))


@two_cores
def test_predictions_do_not_depend_on_the_number_of_workers() -> None:
    rows = rows_of(checkerboard())
    protocol = make_protocol("random5", rows, 0)
    models = {name: MODELS[name].make for name in ("bias", "cf", "popularity")}
    alone, together = (predict(rows, protocol, models, workers=n) for n in (1, 2))
    assert list(alone.by_model) == list(together.by_model) == ["bias", "cf"]
    for name in alone.by_model:
        np.testing.assert_allclose(alone.by_model[name], together.by_model[name], atol=1e-5)
