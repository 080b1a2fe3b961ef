"""The training loop: epochs, early stopping, going on after a kill, and what happens when a loss or memory is lost.

What belongs here: when to go on and which state to keep. What is learnt stands with each network, how a state is kept
in a file in `checkpoints`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import torch

from malsugoi_assets.recommend.checkpoints import Checkpoint, capture, restore
from malsugoi_assets.recommend.devices import is_out_of_memory
from malsugoi_assets.recommend.weights import Tensors

Progress = Callable[[int, float, float], None]
Batch = Callable[[], tuple[torch.Tensor, torch.Tensor, float]]
"""A step's forward pass: gives the loss to descend, the loss to report, and its weight."""


class TrainingError(RuntimeError):
    """Training that cannot give a usable network; the message says where it failed and what to try."""


class _LossLost(Exception):
    """A loss that is not finite, and where."""


@dataclass(frozen=True)
class EpochLoss:
    """Losses of one epoch (counted from 1), in the unit of the training's own loss."""

    epoch: int
    train_loss: float
    valid_loss: float


@dataclass(frozen=True)
class Fit:
    """What a training run went through; `stopped` says in words why it ended, `notes` what else a person should know.

    `resumed_after`: the epoch after which this process took over from a killed one, 0 = it began itself.
    """

    curve: tuple[EpochLoss, ...]
    best_epoch: int
    stopped: str
    notes: tuple[str, ...] = ()
    resumed_after: int = 0

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


@dataclass
class _Course:
    """Where a training stands: all that decides how it goes on, apart from the network's and optimizer's numbers."""

    batch_size: int
    curve: list[EpochLoss] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf
    notes: list[str] = field(default_factory=list)

    def over(self, epochs: int, patience: int | None) -> str | None:
        """Why no further epoch is run, None = one is."""
        if len(self.curve) >= epochs:
            return f"all {epochs} epochs ran"
        if patience is not None and self.curve and len(self.curve) - self.best_epoch >= patience:
            return f"no better validation loss in {patience} epochs"
        return None

    def header(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def of(cls, header: dict[str, object]) -> _Course:
        course = cls(**header)  # type: ignore[arg-type]
        course.curve = [EpochLoss(**epoch) for epoch in course.curve]  # type: ignore[arg-type]
        return course


def fit_network(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    *,
    batches: Callable[[int], Sequence[Batch]],
    validate: Callable[[], float],
    epochs: int,
    batch_size: int,
    patience: int | None = None,
    schedule: Callable[[int, int], None] | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Fit:
    """Train `network` in place and leave it in the state of its best epoch.

    `batches(rows)` gives an epoch's batches of so many rows, in an order drawn from `generator`; `validate()` gives the
    validation loss; with `patience=None` the last epoch is kept instead of the best. `schedule(step, steps)` is called
    before each step, counted from 0 over the whole training.

    With a `checkpoint` the state after each epoch is kept; where it holds that of this same training, training goes on
    from there, with the result that it would have had undisturbed. A loss that is not finite ends the training, its
    state is dropped and the last good one kept; if there is none yet, `TrainingError`. Where memory runs out the epoch
    is begun anew with half the batch; `tell` says so.
    """
    tell = tell or (lambda _: None)
    course = _Course(batch_size)
    best: Tensors = {}
    if checkpoint is not None and (found := _resume(checkpoint, network, optimizer, generator)):
        course, best = found
        tell(f"going on after epoch {len(course.curve)}, where an earlier run was cut off")
    resumed_after = len(course.curve)
    while (stopped := course.over(epochs, patience)) is None:
        epoch = len(course.curve) + 1
        try:
            train_loss = _epoch(network, optimizer, generator, course, epochs, batches, schedule, tell)
            valid_loss = validate()
            if not math.isfinite(valid_loss):
                raise _LossLost(f"epoch {epoch}, validation")
        except _LossLost as lost:
            if not course.best_epoch:
                raise TrainingError(f"the loss is not finite in {lost}: try a lower learning rate") from None
            stopped = f"the loss is not finite in {lost}; kept epoch {course.best_epoch}"
            break
        course.curve.append(EpochLoss(epoch, train_loss, valid_loss))
        state = capture(network, optimizer, generator)
        if patience is None or valid_loss < course.best_loss:
            course.best_epoch, course.best_loss = epoch, valid_loss
            best = _of_network(state)
        if checkpoint is not None:
            checkpoint.write(state | {f"best.{name}": value for name, value in best.items()}, course.header())
        if progress is not None:
            progress(epoch, train_loss, valid_loss)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in best.items()})
    network.eval()
    return Fit(tuple(course.curve), course.best_epoch, stopped, tuple(course.notes), resumed_after)


def _resume(
    checkpoint: Checkpoint, network: torch.nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> tuple[_Course, Tensors] | None:
    """Put back what an earlier run kept; None, with everything as it was, where it kept nothing that fits."""
    found = checkpoint.read()
    if found is None:
        return None
    tensors, header = found
    before = capture(network, optimizer, generator)
    try:
        course = _Course.of(header)
        restore(tensors, network, optimizer, generator)
    except (KeyError, TypeError, ValueError, RuntimeError):
        restore(before, network, optimizer, generator)
        return None
    return course, {n.removeprefix("best."): v for n, v in tensors.items() if n.startswith("best.")}


def _epoch(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    course: _Course,
    epochs: int,
    batches: Callable[[int], Sequence[Batch]],
    schedule: Callable[[int, int], None] | None,
    tell: Callable[[str], None],
) -> float:
    """Mean reported loss of one epoch. Raises `_LossLost`; out of memory, it starts anew with half the batch."""
    epoch = len(course.curve) + 1
    start = capture(network, optimizer, generator)
    while True:
        number = 0
        try:
            network.train()
            total: torch.Tensor | float = 0.0
            weights = 0.0
            steps = batches(course.batch_size)
            for number, batch in enumerate(steps, start=1):
                if schedule is not None:
                    schedule((epoch - 1) * len(steps) + number - 1, epochs * len(steps))
                optimizer.zero_grad(set_to_none=True)
                loss, reported, weight = batch()
                if not torch.isfinite(loss.detach()):
                    raise _LossLost(f"epoch {epoch}, batch {number}")
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total = total + reported.detach() * weight
                weights += weight
            mean = float(total) / max(weights, 1e-12)
            if not math.isfinite(mean):
                raise _LossLost(f"epoch {epoch}")
            return mean
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if course.batch_size < 2:
                raise TrainingError(
                    f"out of memory in epoch {epoch} even with one row a batch: try fewer members or hidden units"
                ) from error
            course.batch_size //= 2
            note = f"out of memory in epoch {epoch}, batch {number}: from there on {course.batch_size} rows a batch"
            course.notes.append(note)
        # Outside of the handler, which would hold on to the memory that the failed step had.
        tell(note)
        optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        restore(start, network, optimizer, generator)


def _of_network(state: Tensors) -> Tensors:
    return {n.removeprefix("network."): v for n, v in state.items() if n.startswith("network.")}
