"""The loop keeps the best state, stops when told to, and survives a loss that is lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
import torch

from malsugoi_assets.recommend.training import Fit, TrainingError, fit_network, seeded

Batch = Callable[[], tuple[torch.Tensor, torch.Tensor, float]]


class Course:
    """One weight that each step raises by 1, so that its value tells how many steps are in the kept state."""

    def __init__(self, valid: list[float], *, bad: tuple[int, int] | None = None, steps: int = 2) -> None:
        self.network = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.network.weight)
        self.valid, self.bad, self.steps = valid, bad, steps
        self.epoch = 0
        self.seen: list[tuple[int, float, float]] = []

    def batches(self) -> Iterator[Batch]:
        self.epoch += 1
        for number in range(1, self.steps + 1):
            yield lambda number=number: self.step(number)  # type: ignore[misc]

    def step(self, number: int) -> tuple[torch.Tensor, torch.Tensor, float]:
        loss = -self.network.weight.sum()
        if (self.epoch, number) == self.bad:
            loss = loss * math.nan
        return loss, torch.tensor(float(number)), 1.0

    def run(self, **options: object) -> Fit:
        return fit_network(
            self.network,
            torch.optim.SGD(self.network.parameters(), lr=1.0),
            batches=self.batches,
            validate=lambda: self.valid[self.epoch - 1],
            epochs=len(self.valid),
            progress=lambda *report: self.seen.append(report),
            **options,  # type: ignore[arg-type]
        )

    @property
    def steps_kept(self) -> int:
        return int(self.network.weight.item())


def test_the_state_of_the_best_epoch_is_kept() -> None:
    course = Course([3.0, 1.0, 2.0, 2.5])
    fit = course.run(patience=5)
    assert (fit.best_epoch, fit.epochs, course.steps_kept) == (2, 4, 4)
    assert [point.valid_loss for point in fit.curve] == [3.0, 1.0, 2.0, 2.5]


def test_without_patience_the_last_epoch_is_kept() -> None:
    course = Course([1.0, 2.0, 3.0])
    assert course.run().best_epoch == 3
    assert course.steps_kept == 6


def test_training_stops_after_patience_epochs_without_a_better_one() -> None:
    fit = Course([3.0, 2.0, 2.0, 2.0, 0.0]).run(patience=2)
    assert (fit.best_epoch, fit.epochs) == (2, 4)
    assert "no better validation loss in 2 epochs" in fit.stopped


def test_progress_hears_of_every_epoch() -> None:
    course = Course([3.0, 2.0])
    course.run(patience=2)
    assert course.seen == [(1, 1.5, 3.0), (2, 1.5, 2.0)]


def test_a_loss_that_is_not_finite_stops_with_epoch_and_batch_and_keeps_the_last_good_state() -> None:
    course = Course([3.0, 2.0, 1.0], bad=(3, 2))
    fit = course.run(patience=9)
    assert fit.stopped == "the loss is not finite in epoch 3, batch 2; kept epoch 2"
    assert (fit.best_epoch, fit.epochs, course.steps_kept) == (2, 2, 4)


def test_a_loss_that_was_never_finite_is_an_error() -> None:
    with pytest.raises(TrainingError, match="epoch 1, batch 1: try a lower learning rate"):
        Course([1.0], bad=(1, 1)).run(patience=9)


def test_a_validation_loss_that_is_not_finite_stops_too() -> None:
    course = Course([3.0, math.inf, 1.0])
    assert course.run(patience=9).stopped == "the loss is not finite in epoch 2, validation; kept epoch 1"
    assert course.steps_kept == 2


@pytest.mark.parametrize(("budget", "epochs"), [(0.5, 1), (25.0, 2), (30.0, 3), (35.0, 3), (1000.0, 5)])
def test_an_epoch_that_would_exceed_the_budget_is_not_begun(budget: float, epochs: int) -> None:
    course = Course([5.0, 4.0, 3.0, 2.0, 1.0])
    fit = course.run(patience=9, time_budget_seconds=budget, clock=lambda: 10.0 * course.epoch)
    assert fit.epochs == epochs


def test_a_seed_gives_the_same_numbers_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    drawn = []
    for _ in range(2):
        with seeded(1, "cpu") as generator:
            drawn.append((torch.rand(2), torch.randperm(5, generator=generator)))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])
    assert torch.equal(torch.rand(3), expected)


def test_what_was_spent_before_the_training_counts_and_the_message_names_the_whole_budget() -> None:
    course = Course([5.0, 4.0, 3.0, 2.0])
    fit = course.run(patience=9, time_budget_seconds=40.0, spent_seconds=15.0, clock=lambda: 10.0 * course.epoch)
    assert fit.stopped == "the time budget of 40 s allowed 2 of 4 epochs"
