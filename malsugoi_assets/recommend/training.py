"""The training loop: epochs, early stopping, the time budget, and what happens when the loss is lost.

What belongs here: when to go on and which state to keep. What is learnt stands with each network.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

Progress = Callable[[int, float, float], None]


class TrainingError(RuntimeError):
    """Training that cannot give a usable network; the message says where it failed and what to try."""


@dataclass(frozen=True)
class EpochLoss:
    """Losses of one epoch (counted from 1), in the unit of the training's own loss."""

    epoch: int
    train_loss: float
    valid_loss: float


@dataclass(frozen=True)
class Fit:
    """What a training run went through; `stopped` says in words why it ended."""

    curve: tuple[EpochLoss, ...]
    best_epoch: int
    stopped: str

    @property
    def epochs(self) -> int:
        """Epochs that ran to their end."""
        return len(self.curve)


@contextmanager
def seeded(seed: int, device: str) -> Iterator[torch.Generator]:
    """Within the block torch's own generators start from `seed`; afterwards they are as they were before.

    Yields a generator on the CPU for shuffling, apart from those that dropout draws from.
    """
    devices = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield torch.Generator().manual_seed(seed)


def fit_network(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    batches: Callable[[], Iterator[Callable[[], tuple[torch.Tensor, torch.Tensor, float]]]],
    validate: Callable[[], float],
    epochs: int,
    patience: int | None = None,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
    time_budget_seconds: float | None = None,
    spent_seconds: float = 0.0,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Fit:
    """Train `network` in place and leave it in the state of its best epoch.

    `batches()` yields an epoch's batches, each a function that gives (loss to descend, loss to report, weight);
    `validate()` gives the validation loss; with `patience=None` the last epoch is kept instead of the best.
    A loss that is not finite ends the training, its state is dropped and the last good one kept; if there
    is none yet, `TrainingError`. The first epoch always runs; a later one only if one as long as the
    longest so far still fits into `time_budget_seconds`, of which `spent_seconds` are gone before the start.
    """
    curve: list[EpochLoss] = []
    best_epoch, best_loss, best_state = 0, math.inf, _copy(network)
    stopped = f"all {epochs} epochs ran"
    start, longest = clock() - spent_seconds, 0.0
    for epoch in range(1, epochs + 1):
        epoch_start = clock()
        if time_budget_seconds is not None and epoch > 1 and epoch_start - start + longest > time_budget_seconds:
            stopped = f"the time budget of {time_budget_seconds:g} s allowed {epoch - 1} of {epochs} epochs"
            break
        train_loss, bad_batch = _run_epoch(network, optimizer, batches(), scheduler)
        valid_loss = validate() if bad_batch is None else math.nan
        if bad_batch is not None or not math.isfinite(valid_loss):
            where = f"epoch {epoch}" + (f", batch {bad_batch}" if bad_batch is not None else ", validation")
            if not best_epoch:
                raise TrainingError(f"the loss is not finite in {where}: try a lower learning rate")
            stopped = f"the loss is not finite in {where}; kept epoch {best_epoch}"
            break
        curve.append(EpochLoss(epoch, train_loss, valid_loss))
        if progress is not None:
            progress(epoch, train_loss, valid_loss)
        if patience is None or valid_loss < best_loss:
            best_epoch, best_loss, best_state = epoch, valid_loss, _copy(network)
        elif epoch - best_epoch >= patience:
            stopped = f"no better validation loss in {patience} epochs"
            break
        longest = max(longest, clock() - epoch_start)
    network.load_state_dict(best_state)
    network.eval()
    return Fit(tuple(curve), best_epoch, stopped)


def _run_epoch(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Callable[[], tuple[torch.Tensor, torch.Tensor, float]]],
    scheduler: torch.optim.lr_scheduler.LRScheduler | None,
) -> tuple[float, int | None]:
    """Mean reported loss of one epoch, and the number (from 1) of the batch whose loss was not finite."""
    network.train()
    total: torch.Tensor | float = 0.0
    weights = 0.0
    for number, batch in enumerate(batches, start=1):
        optimizer.zero_grad(set_to_none=True)
        loss, reported, weight = batch()
        if not torch.isfinite(loss.detach()):
            return math.nan, number
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        total = total + reported.detach() * weight
        weights += weight
    return float(total) / max(weights, 1e-12), None


def _copy(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
