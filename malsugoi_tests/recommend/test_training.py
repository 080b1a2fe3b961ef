"""The loop keeps the best state, stops when told to, goes on after a kill, and survives lost losses and lost memory."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from malsugoi_assets.recommend.checkpoints import Checkpoint
from malsugoi_assets.recommend.training import Batch, Fit, TrainingError, fit_network, seeded
from malsugoi_assets.recommend.weights import read_weights, write_weights


class Course:
    """One weight that each step raises by 1, so that its value tells how many steps are in the kept state."""

    def __init__(self, valid: list[float], *, bad: tuple[int, int] | None = None, steps: int = 2) -> None:
        self.network = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.network.weight)
        self.valid, self.bad, self.steps = valid, bad, steps
        self.epoch = 0
        self.seen: list[tuple[int, float, float]] = []

    def batches(self, size: int) -> list[Batch]:
        self.epoch += 1
        return [lambda number=number: self.step(number) for number in range(1, self.steps + 1)]  # type: ignore[misc]

    def step(self, number: int) -> tuple[torch.Tensor, torch.Tensor, float]:
        loss = -self.network.weight.sum()
        if (self.epoch, number) == self.bad:
            loss = loss * math.nan
        return loss, torch.tensor(float(number)), 1.0

    def run(self, **options: object) -> Fit:
        return fit_network(
            self.network,
            torch.optim.SGD(self.network.parameters(), lr=1.0),
            torch.Generator(),
            batches=self.batches,
            batch_size=8,
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


class Killed(BaseException):
    """Stands for a kill: nothing in the loop may catch it."""


class Learner:
    """A small regression with dropout, shuffled batches and AdamW: all that a resumed training has to take up again."""

    def __init__(self, path: Path, *, killed_at: int | None = None, most_rows: int = 99) -> None:
        self.path, self.killed_at, self.most_rows = path, killed_at, most_rows
        self.steps = itertools.count()
        self.said: list[str] = []
        self.rates: list[tuple[int, int]] = []

    def run(self, epochs: int = 4, identity: str = "this") -> tuple[dict[str, torch.Tensor], Fit]:
        with seeded(3, "cpu") as generator:
            x = torch.randn(20, 4)
            y = x.sum(1)
            network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1))
            optimizer = torch.optim.AdamW(network.parameters(), lr=0.05)

            def batches(size: int) -> list[Batch]:
                return [lambda rows=rows: step(rows) for rows in torch.randperm(20, generator=generator).split(size)]  # type: ignore[misc]

            def step(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
                if next(self.steps) == self.killed_at:
                    raise Killed
                if len(rows) > self.most_rows:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 EiB")
                loss = ((network(x[rows]).squeeze(1) - y[rows]) ** 2).mean()
                return loss, loss, float(len(rows))

            @torch.no_grad()
            def validate() -> float:
                network.eval()
                return float(((network(x).squeeze(1) - y) ** 2).mean())

            fit = fit_network(
                network,
                optimizer,
                generator,
                batches=batches,
                validate=validate,
                epochs=epochs,
                batch_size=8,
                patience=2,
                schedule=lambda step, steps: self.rates.append((step, steps)),
                checkpoint=Checkpoint(self.path, identity, self.said.append),
                tell=self.said.append,
            )
        return {name: value.clone() for name, value in network.state_dict().items()}, fit


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("killed_at", range(12))
def test_cut_off_in_any_step_it_goes_on_to_the_very_same_end(tmp_path: Path, killed_at: int) -> None:
    """Three steps an epoch: what was kept is the last whole epoch, and the rest is repeated from there."""
    weights, fit = Learner(tmp_path / "whole").run()
    with pytest.raises(Killed):
        Learner(tmp_path / "cut", killed_at=killed_at).run()
    again = Learner(tmp_path / "cut")
    found, resumed = again.run()
    assert same(found, weights)
    assert (resumed.curve, resumed.best_epoch, resumed.stopped) == (fit.curve, fit.best_epoch, fit.stopped)
    assert resumed.resumed_after == killed_at // 3
    assert next(again.steps) == 12 - 3 * (killed_at // 3)


def test_cut_off_again_and_again_it_arrives_too(tmp_path: Path) -> None:
    weights, _ = Learner(tmp_path / "whole").run()
    for killed_at in (2, 4, 1, 5):
        with pytest.raises(Killed):
            Learner(tmp_path / "cut", killed_at=killed_at).run()
    assert same(Learner(tmp_path / "cut").run()[0], weights)


def test_cut_off_after_its_end_nothing_is_run_again(tmp_path: Path) -> None:
    weights, fit = Learner(tmp_path / "m").run()
    again = Learner(tmp_path / "m")
    found, resumed = again.run()
    assert next(again.steps) == 0
    assert same(found, weights)
    assert (resumed.curve, resumed.stopped) == (fit.curve, fit.stopped)


def spoil(path: Path, case: str) -> None:
    if case == "not ours":
        path.write_bytes(b"\x80\x04 a pickle, say")
        return
    if case == "cut short":
        path.write_bytes(path.read_bytes()[:-9])
        return
    tensors, header = read_weights(path, kind="training-1")
    if case == "another layer":
        tensors["network.0.weight"] = np.zeros((3, 3), np.float32)
    elif case == "no moments of a layer":
        tensors = {name: value for name, value in tensors.items() if not name.endswith("exp_avg")}
    elif case == "nonsense in the header":
        header["curve"] = [{"colour": "blue"}]
    elif case == "no random state":
        del tensors["random.order"]
    write_weights(path, tensors, header, kind="training-1")


@pytest.mark.parametrize(
    "case", ["not ours", "cut short", "another layer", "nonsense in the header", "no random state"]
)
def test_a_state_that_cannot_be_used_makes_training_begin_anew(tmp_path: Path, case: str) -> None:
    weights, _ = Learner(tmp_path / "whole").run()
    with pytest.raises(Killed):
        Learner(tmp_path / "cut", killed_at=7).run()
    spoil(tmp_path / "cut", case)
    found, fit = Learner(tmp_path / "cut").run()
    assert same(found, weights)
    assert fit.resumed_after == 0


def test_the_state_of_another_training_is_not_taken_up_and_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        Learner(tmp_path / "m", killed_at=7).run(identity="other data")
    learner = Learner(tmp_path / "m")
    assert learner.run()[1].resumed_after == 0
    assert learner.said == ["training begins anew: the state that was kept is of other data, settings or threads"]


def test_out_of_memory_halves_the_batch_says_so_and_begins_the_epoch_anew(tmp_path: Path) -> None:
    learner = Learner(tmp_path / "m", most_rows=3)
    weights, fit = learner.run()
    assert fit.notes == (
        "out of memory in epoch 1, batch 1: from there on 4 rows a batch",
        "out of memory in epoch 1, batch 1: from there on 2 rows a batch",
    )
    assert list(fit.notes) == learner.said
    assert fit.epochs == 4
    # The schedule follows: ten steps an epoch now, and each epoch begins where its part of the whole does.
    assert learner.rates[-40:] == [(step, 40) for step in range(40)]
    with pytest.raises(Killed):
        Learner(tmp_path / "cut", most_rows=3, killed_at=30).run()
    found, resumed = Learner(tmp_path / "cut", most_rows=3).run()
    assert same(found, weights)
    assert resumed.notes == fit.notes


def test_out_of_memory_with_a_single_row_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="even with one row a batch"):
        Learner(tmp_path / "m", most_rows=0).run()


def test_another_error_of_torch_is_not_taken_for_lack_of_memory() -> None:
    course = Course([1.0])
    course.step = lambda number: (_ for _ in ()).throw(RuntimeError("shapes do not match"))  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="shapes do not match"):
        course.run()


def test_a_lost_loss_leaves_the_last_good_state_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m"
    course = Course([3.0, 2.0, 1.0], bad=(3, 1))
    course.run(patience=9, checkpoint=Checkpoint(path, "x"))
    tensors, header = read_weights(path, kind="training-1")
    assert tensors["best.weight"].item() == 4
    assert [epoch["epoch"] for epoch in header["curve"]] == [1, 2]
