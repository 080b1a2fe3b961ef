"""The state of a training between two epochs: as arrays, and in one file, so that a killed training can go on.

What belongs here: what a state is made of, and whether a file holds the one that is wanted. When to keep one stands in
`training`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from malsugoi_assets.recommend.weights import Tensors, WeightsError, read_weights, write_weights

KIND = "training-1"


class Checkpoint:
    """The file of one training: safetensors, replaced as a whole after each epoch, no pickle.

    `identity` names everything that the result depends on (inputs, settings, seed, threads …): a file of another
    training counts as none, and so does one that cannot be read. Training anew is safe, going on from it is not.
    """

    def __init__(self, path: Path, identity: str, tell: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.identity = identity
        self._tell = tell or (lambda _: None)

    def read(self) -> tuple[Tensors, dict[str, Any]] | None:
        """Arrays and header that an earlier run of this training kept; None where there is nothing to go on from."""
        if not self.path.exists():
            return None
        try:
            tensors, header = read_weights(self.path, kind=KIND)
        except WeightsError as error:
            self._tell(f"training begins anew, what an earlier run kept cannot be used: {error}")
            return None
        if header.pop("identity", None) != self.identity:
            self._tell("training begins anew: the state that was kept is of other data, settings or threads")
            return None
        return tensors, header

    def write(self, tensors: Tensors, header: dict[str, Any]) -> None:
        """Replace the file by this state, in one step."""
        write_weights(self.path, tensors, {**header, "identity": self.identity}, kind=KIND)

    def remove(self) -> None:
        """Delete the file: the training's result is kept elsewhere."""
        self.path.unlink(missing_ok=True)


def capture(network: torch.nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> Tensors:
    """Copies of all numbers that the next step depends on: weights, the optimizer's moments, random generators."""
    state = {f"network.{name}": _array(value) for name, value in network.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{index}.{name}": _array(value) for name, value in values.items()}
    state["random.order"] = _array(generator.get_state())
    state["random.layers"] = _array(torch.get_rng_state())
    if (device := _device(network)).type == "cuda":
        state["random.device"] = _array(torch.cuda.get_rng_state(device))
    return state


def restore(
    state: Tensors, network: torch.nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> None:
    """Put back what `capture` copied. Raises KeyError, ValueError or RuntimeError where it does not fit."""
    own = network.state_dict()
    network.load_state_dict(
        {name: torch.from_numpy(state[f"network.{name}"]).reshape(value.shape) for name, value in own.items()}
    )
    shapes = [value.shape for group in optimizer.param_groups for value in group["params"]]
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, array in state.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            # A file knows no array without dimensions: the count of steps comes back as one of one entry.
            shape = () if name == "step" else shapes[int(index)]
            moments.setdefault(int(index), {})[name] = torch.from_numpy(array.copy()).reshape(shape)
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    generator.set_state(torch.from_numpy(state["random.order"].copy()))
    torch.set_rng_state(torch.from_numpy(state["random.layers"].copy()))
    if (device := _device(network)).type == "cuda":
        torch.cuda.set_rng_state(torch.from_numpy(state["random.device"].copy()), device)


def _array(value: torch.Tensor) -> np.ndarray[Any, Any]:
    return value.detach().cpu().numpy().copy()


def _device(network: torch.nn.Module) -> torch.device:
    return next(iter(network.parameters())).device
