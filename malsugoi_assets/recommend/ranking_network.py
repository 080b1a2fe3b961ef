"""The small network that orders candidates: trained with torch, applied with numpy, so that applying costs no import.

What belongs here: layers, training, numbers in and out. What the inputs mean is the business of `ranking`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

Matrix = npt.NDArray[np.float32]
_LAYERS = 3
_NEVER = -1e9
"""Finite: what is filled up is never liked, and nothing times nothing has to be nothing."""


class NetworkSettings(BaseModel):
    """How the order of the candidates is learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(64, ge=2, description="Width of the network's first layer; the second has half of it.")
    dropout: float = Field(0.3, ge=0, lt=1, description="Share of the network's inner values left out in training.")
    decay: float = Field(0.1, ge=0, description="Weight decay.")
    rate: float = Field(3e-3, gt=0, description="Largest learning rate of the one-cycle schedule.")
    epochs: int = Field(12, ge=1, description="Times that the network sees every user.")
    members: int = Field(3, ge=1, le=16, description="Networks whose mean ranks.")
    users_a_batch: int = Field(16, ge=1, description="Users a step of training.")


@dataclass(frozen=True)
class RankingNetwork:
    """`mean`, `spread`: float32 (columns,), of the inputs; `members`: a network each, its layers' (weights, biases)."""

    mean: Matrix
    spread: Matrix
    members: tuple[tuple[tuple[Matrix, Matrix], ...], ...]

    def of(self, inputs: Matrix) -> Matrix:
        """Float32 (…): the members' mean for inputs (…, columns); higher = earlier."""
        flat = ((inputs - self.mean) / self.spread).reshape(-1, inputs.shape[-1]).astype(np.float32)
        total = np.zeros(len(flat), dtype=np.float32)
        for layers in self.members:
            x = flat
            for weights, biases in layers[:-1]:
                x = x @ weights.T + biases
                x = x / (1 + np.exp(-np.maximum(x, -80)))
            weights, biases = layers[-1]
            total += (x @ weights.T + biases)[:, 0]
        found: Matrix = (total / np.float32(len(self.members))).reshape(inputs.shape[:-1])
        return found

    def tensors(self) -> dict[str, Matrix]:
        """The arrays by name."""
        named = {"network.mean": self.mean, "network.spread": self.spread}
        for member, layers in enumerate(self.members):
            for layer, (weights, biases) in enumerate(layers):
                named[f"network.{member}.{layer}.weights"] = weights
                named[f"network.{member}.{layer}.biases"] = biases
        return named

    @classmethod
    def from_tensors(cls, tensors: dict[str, npt.NDArray[Any]], members: int) -> RankingNetwork:
        """The inverse of `tensors`; KeyError where something is missing."""
        return cls(
            tensors["network.mean"],
            tensors["network.spread"],
            tuple(
                tuple(
                    (tensors[f"network.{member}.{layer}.weights"], tensors[f"network.{member}.{layer}.biases"])
                    for layer in range(_LAYERS)
                )
                for member in range(members)
            ),
        )


def learn_network(
    inputs: Matrix,
    liked: npt.NDArray[np.bool_],
    settings: NetworkSettings,
    seed: int,
    there: npt.NDArray[np.bool_] | None = None,
) -> RankingNetwork:
    """Learn from `inputs` (users, candidates, columns) and which candidates were liked (users, candidates).

    `there`: which candidates are titles, where users with few of them have their rows filled up; None = all.

    Minimises - Σ_u Σ_{i liked} log softmax_i(f(x_u·)) / √n_u: the listwise loss of Cao et al. 2007 ("ListNet"), n_u = the
    user's liked candidates; the root keeps long lists from drowning the others.
    """
    import torch

    from malsugoi_assets.recommend.training import seeded

    there = np.ones(liked.shape, dtype=np.bool_) if there is None else there
    flat = inputs.reshape(-1, inputs.shape[-1])
    if not there.all():
        flat = flat[there.ravel()]
    mean, spread = flat.mean(axis=0), flat.std(axis=0) + np.float32(1e-6)
    x = torch.from_numpy((inputs - mean) / spread)
    y = torch.from_numpy(liked.astype(np.float32))
    filler = None if there.all() else torch.from_numpy(~there)
    steps = settings.epochs * -(-len(x) // settings.users_a_batch)
    members = []
    # One thread: the steps are small, and more threads wait for each other longer than they work.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for member in range(settings.members):
        with seeded(seed * 1_000 + member, "cpu") as generator:
            network = _network(inputs.shape[-1], settings)
            optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=max(steps, 2))
            for _ in range(settings.epochs):
                for rows in torch.split(torch.randperm(len(x), generator=generator), settings.users_a_batch):
                    score = network(x[rows])[..., 0]
                    if filler is not None:
                        score = score.masked_fill(filler[rows], _NEVER)
                    likely = torch.log_softmax(score, dim=1)
                    loss = -((likely * y[rows]).sum(1) / y[rows].sum(1).sqrt()).mean()
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    schedule.step()
        members.append(
            tuple(
                (layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())
                for layer in network
                if isinstance(layer, torch.nn.Linear)
            )
        )
    torch.set_num_threads(threads)
    return RankingNetwork(mean, spread, tuple(members))


def _network(columns: int, settings: NetworkSettings) -> Any:
    from torch import nn

    half = settings.width // 2
    return nn.Sequential(
        nn.Linear(columns, settings.width),
        nn.SiLU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.width, half),
        nn.SiLU(),
        nn.Dropout(settings.dropout),
        nn.Linear(half, 1),
    )
