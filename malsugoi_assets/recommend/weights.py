"""A network's file: safetensors with a JSON header, written by rename, read with suspicion. No pickle anywhere.

What belongs here: bytes to arrays and back, and every way in which a file can be wrong. What the arrays mean
is the model's business.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from malsugoi_assets.disk import replace_file

Tensors = dict[str, npt.NDArray[Any]]


class WeightsError(ValueError):
    """A weights file that is missing, broken, or not of the kind that was asked for; the message names it."""


def write_weights(path: Path, tensors: Tensors, header: dict[str, Any], *, kind: str) -> str:
    """Write `tensors` and `header` (JSON) to `path` by rename and return the file's sha256.

    The same input gives the same bytes. A reader sees the old file or the new one, never a part.
    """
    contiguous = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    metadata = json.dumps({"kind": kind, **header}, sort_keys=True, ensure_ascii=True, allow_nan=False)
    data = save(contiguous, metadata={"malsugoi": metadata})
    with replace_file(path) as draft:
        draft.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def kind_of(path: Path) -> str | None:
    """What kind of model the file says that it holds; None where it cannot be read as such (`read_weights` says why)."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            return str(json.loads(file.metadata()["malsugoi"])["kind"])
    except (SafetensorError, OSError, ValueError, TypeError, KeyError):
        return None


def read_weights(path: Path, *, kind: str) -> tuple[Tensors, dict[str, Any]]:
    """Arrays and header of a file that `write_weights` wrote as `kind`; anything else is a `WeightsError`."""
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such weights file; train the model first")
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise WeightsError(f"{path}: not a readable safetensors file ({error}); train the model again") from error
    try:
        header = json.loads(metadata["malsugoi"])
        found = header.pop("kind")
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: a safetensors file, but not one that malsugoi wrote") from error
    if found != kind:
        raise WeightsError(f"{path}: holds a {found!r} model, a {kind!r} is needed")
    bad = [name for name, values in tensors.items() if values.dtype.kind == "f" and not np.isfinite(values).all()]
    if bad:
        raise WeightsError(
            f"{path}: {', '.join(sorted(bad))} holds values that are not finite; train the model again"
        )
    return tensors, header
