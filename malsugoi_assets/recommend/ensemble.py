"""Several small networks side by side: one batched multiplication trains them all.

What belongs here: the layers, their loss and how they are fitted to inputs that are ready. Where the inputs
come from stands in `features`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from malsugoi_assets.recommend.attention import Attention
from malsugoi_assets.recommend.checkpoints import Checkpoint
from malsugoi_assets.recommend.dnn_settings import DnnSettings
from malsugoi_assets.recommend.features import Inputs
from malsugoi_assets.recommend.layers import Dropout, MemberLinear, MemberNorm
from malsugoi_assets.recommend.ratings import FloatArray, IntArray
from malsugoi_assets.recommend.training import Batch, Fit, Progress, fit_network, seeded

PREDICT_ROWS = 4096
CLIP = 5.0
LEAST_EPOCHS = 3


class Ensemble(nn.Module):
    """`settings.members` networks inputs-256-128-2; SiLU, LayerNorm, dropout; mean and log variance out.

    What `Attention` sums up of the nearest titles of the list stands beside the inputs.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, inputs: int, settings: DnnSettings) -> None:
        super().__init__()
        members, first, second = settings.members, settings.hidden_units, max(2, settings.hidden_units // 2)
        self.members = members
        self.noise = settings.input_noise
        self.attention = Attention(members) if settings.near_titles else None
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))
        self.first = MemberLinear(members, inputs, first)
        self.near = MemberLinear(members, Attention.outputs, first) if settings.near_titles else None
        self.body = nn.Sequential(
            MemberNorm(members, first),
            nn.SiLU(),
            Dropout(settings.dropout),
            MemberLinear(members, first, second),
            MemberNorm(members, second),
            nn.SiLU(),
            Dropout(settings.dropout),
        )
        self.head = MemberLinear(members, second, 2)
        with torch.no_grad():
            self.head.weight.mul_(0.1)

    def standardise(self, matrix: Tensor) -> Tensor:
        """Inputs at mean 0 and spread 1 of the training rows, cut at ±5."""
        return ((matrix - self.mean) / self.spread).clamp(-CLIP, CLIP)

    def forward(self, x: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised inputs (members, rows, inputs) to correction and log variance, each (members, rows).

        `near`: (members, rows, places, columns), see `near_titles`.
        """
        if self.training and self.noise:
            x = x + self.noise * torch.randn_like(x)
        x = self.first(x)
        if self.attention is not None and self.near is not None:
            x = x + self.near(self.attention(near.float()))
        out = self.head(self.body(x)).float()
        return out[..., 0], out[..., 1].clamp(-5, 3)

    @torch.no_grad()
    def correct(self, inputs: Inputs, device: str) -> tuple[FloatArray, FloatArray]:
        """Mean correction and deviation, (n,) each, in units of the user's scale.

        The variance of a mixture: mean variance plus variance of the members' means.
        """
        correction = np.zeros(len(inputs.base), dtype=np.float32)
        deviation = np.zeros(len(inputs.base), dtype=np.float32)
        for chunk, mean, variance in self._by_member(inputs, device):
            correction[chunk] = mean.mean(0).cpu().numpy()
            deviation[chunk] = (variance.mean(0) + mean.var(0, unbiased=False)).sqrt().cpu().numpy()
        return correction, deviation

    @torch.no_grad()
    def correct_by_member(self, inputs: Inputs, device: str) -> tuple[FloatArray, FloatArray]:
        """Each member's correction and deviation, (members, n); see `correct`."""
        shape = (self.members, len(inputs.base))
        correction, deviation = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        for chunk, mean, variance in self._by_member(inputs, device):
            correction[:, chunk], deviation[:, chunk] = mean.cpu().numpy(), variance.sqrt().cpu().numpy()
        return correction, deviation

    def correct_apart(
        self, inputs: Inputs, held: npt.NDArray[np.bool_], device: str
    ) -> tuple[FloatArray, FloatArray]:
        """Correction and deviation by each member of the rows that it learnt nothing from, one member after the other.

        `held`: (members, n), see `validation_rows`.
        """
        said = [self.correct_by_member(inputs.take(np.flatnonzero(mine)), device) for mine in held]
        correction, deviation = (
            np.concatenate([both[part][member] for member, both in enumerate(said)]) for part in (0, 1)
        )
        return correction, deviation

    def _by_member(self, inputs: Inputs, device: str) -> Iterator[tuple[slice, Tensor, Tensor]]:
        self.eval()
        for start in range(0, len(inputs.base), PREDICT_ROWS):
            chunk = slice(start, start + PREDICT_ROWS)
            rows = self.standardise(torch.from_numpy(inputs.matrix[chunk]).to(device))
            mean, log_variance = self.each(rows, torch.from_numpy(inputs.near[chunk]).to(device))
            yield chunk, mean, log_variance.exp()

    def each(self, rows: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
        """What every member says of the same standardised rows (n, inputs): mean and log variance, (members, n)."""
        both: tuple[Tensor, Tensor] = self(
            rows.expand(self.members, *rows.shape), near.expand(self.members, *near.shape)
        )
        return both


def beta_nll(mean: Tensor, log_variance: Tensor, target: Tensor, beta: float) -> Tensor:
    """Gaussian negative log likelihood a row, times variance^β (Seitzer et al. 2022, β-NLL)."""
    nll = 0.5 * (log_variance + (target - mean) ** 2 * (-log_variance).exp())
    return nll * (beta * log_variance.detach()).exp()


def validation_rows(user: IntArray, members: int, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which rows each member validates on, bool (members, rows): other users for each, at least one user.

    With a single user there is nobody to keep apart: no row validates.
    """
    users = np.random.default_rng(seed).permutation(np.unique(user))
    chosen = np.zeros((members, len(user)), dtype=bool)
    if len(users) < 2:
        return chosen
    count = max(1, min(round(share * len(users)), len(users) - 1))
    for member in range(members):
        mine = np.take(users, range(member * count, (member + 1) * count), mode="wrap")
        chosen[member] = np.isin(user, mine)
    return chosen


def one_cycle(step: int, steps: int, peak: float) -> tuple[float, float]:
    """Learning rate and momentum of a step: up for 30 % of the steps, then down (Smith and Topin 2018), by cosines.

    As torch's OneCycleLR by default, but a function of the step alone, so that there is no state to keep.
    """
    steps = max(steps, 2)
    turn, last = 0.3 * steps - 1, steps - 1
    start, bottom = peak / 25, peak / 25 / 1e4

    def between(high: float, low: float, way: float) -> float:
        return low + (high - low) / 2 * (1 + math.cos(math.pi * way))

    if step <= turn:
        return between(start, peak, step / turn), between(0.95, 0.85, step / turn)
    way = (step - turn) / (last - turn)
    return between(peak, bottom, way), between(0.85, 0.95, way)


def training_identity(inputs: Inputs, rating: FloatArray, user: IntArray, *circumstances: object) -> str:
    """A name for a training: a hash of all that it learns from, and of the circumstances that its result depends on."""
    digest = hashlib.sha256(repr((torch.__version__, *circumstances)).encode())
    for array in (inputs.matrix, inputs.near, inputs.base, inputs.scale, rating, user):
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def train_ensemble(
    inputs: Inputs,
    rating: FloatArray,
    user: IntArray,
    settings: DnnSettings,
    *,
    seed: int,
    device: str = "cpu",
    keep: Path | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[Ensemble, Fit]:
    """Fit an `Ensemble` to (rating - base) / scale; losses reported are mean squared errors in rating points.

    `keep`: the file that holds the state between epochs; a training that was killed goes on from it.
    """
    with seeded(seed, device) as generator:
        network = Ensemble(inputs.matrix.shape[1], settings)
        matrix = torch.from_numpy(inputs.matrix).to(device)
        spread = torch.std(matrix, dim=0, unbiased=False)
        network.to(device)
        network.mean.copy_(matrix.mean(dim=0))
        network.spread.copy_(torch.where(spread > 1e-4, spread, torch.ones_like(spread)))
        matrix, near = network.standardise(matrix), torch.from_numpy(inputs.near).to(device)
        target = torch.from_numpy((rating - inputs.base) / inputs.scale).to(device)
        square = torch.from_numpy(inputs.scale**2).to(device)
        held = validation_rows(user, settings.members, settings.valid_share, seed)
        learnt = torch.from_numpy(~held).to(device)
        count = len(rating)
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )

        def schedule(number: int, steps: int) -> None:
            rate, momentum = one_cycle(number, steps, settings.learning_rate)
            for group in optimizer.param_groups:
                group["lr"], group["betas"] = rate, (momentum, group["betas"][1])

        def batches(size: int) -> list[Batch]:
            order = torch.stack([torch.randperm(count, generator=generator) for _ in range(settings.members)])
            order = order.to(device)
            return [
                lambda rows=order[:, start : start + size]: step(rows)  # type: ignore[misc]
                for start in range(0, count, size)
            ]

        def step(rows: Tensor) -> tuple[Tensor, Tensor, float]:
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=settings.precision == "mixed"):
                mean, log_variance = network(matrix[rows], near[rows])
            wanted, weight = target[rows], torch.gather(learnt, 1, rows).float()
            total = weight.sum().clamp(min=1)
            loss = (beta_nll(mean, log_variance, wanted, settings.beta) * weight).sum() / total * network.members
            error = ((mean.detach() - wanted) ** 2 * square[rows] * weight).sum() / total
            return loss, error, float(rows.shape[1])

        @torch.no_grad()
        def validate() -> float:
            network.eval()
            total, rows_seen = 0.0, 0
            for member in range(settings.members):
                mine = np.flatnonzero(held[member]) if held[member].any() else np.arange(count)
                for start in range(0, len(mine), PREDICT_ROWS):
                    rows = torch.from_numpy(mine[start : start + PREDICT_ROWS]).to(device)
                    mean = network.each(matrix[rows], near[rows])[0][member]
                    total += float(((mean - target[rows]) ** 2 * square[rows]).sum())
                rows_seen += len(mine)
            return total / rows_seen

        checkpoint = None
        if keep is not None:
            circumstances = (settings.model_dump_json(), seed, device, torch.get_num_threads())
            checkpoint = Checkpoint(keep, training_identity(inputs, rating, user, *circumstances), tell)
        fit = fit_network(
            network,
            optimizer,
            generator,
            batches=batches,
            validate=validate,
            epochs=epochs_for(count, settings),
            batch_size=min(settings.batch_size, count),
            patience=settings.patience,
            schedule=schedule,
            checkpoint=checkpoint,
            progress=progress,
            tell=tell,
        )
    return network, fit


def epochs_for(rows: int, settings: DnnSettings) -> int:
    """Epochs over so many rows: all of `settings.epochs`, or as many as `most_row_passes` allows, at least 3.

    A bound by what there is to learn, not by the clock: the same data give the same network on a busy machine.
    """
    if settings.most_row_passes is None:
        return settings.epochs
    allowed = settings.most_row_passes // max(1, rows * settings.members)
    return min(settings.epochs, max(LEAST_EPOCHS, allowed))
