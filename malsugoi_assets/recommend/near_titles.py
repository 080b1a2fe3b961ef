"""The titles of a list that are nearest to the one asked about, each with how it is like it and what the user thinks of it.

What belongs here: what the network attends to (`attention`), one row of numbers a title. All inputs that are one number a
pair stand in `features`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from malsugoi_assets.recommend.content import NUMBERS
from malsugoi_assets.recommend.ratings import FloatArray
from malsugoi_assets.recommend.user_kernel import PARTS

Matrix = npt.NDArray[np.float32]
Near = npt.NDArray[np.float16]
DIFFERENCES = ("score", "log_members", "year")
COLUMNS = (*PARTS, "kernel", *(f"{name}_less" for name in DIFFERENCES), "residual", "left_out", "there")
"""Names of the numbers of each title: first how it is like the asked one, last 1 where there is such a title."""
RESIDUAL = COLUMNS.index("residual")
THERE = COLUMNS.index("there")
_NUMBERS = [NUMBERS.index(name) for name in DIFFERENCES]


def nearest(total: Matrix, places: int) -> npt.NDArray[np.int64]:
    """The columns with the largest entries of each row, largest first, (rows, ≤ places); the former one where alike."""
    from malsugoi_assets.recommend.row_kernels import largest_of_rows  # compiled code takes a moment to load

    found = np.empty((len(total), min(places, total.shape[1])), dtype=np.int64)
    if found.size:
        largest_of_rows(total, found)
    return found


def near_titles(
    chosen: npt.NDArray[np.int64],
    places: int,
    parts: Matrix,
    total: Matrix,
    numbers: tuple[Matrix, Matrix],
    residual: FloatArray,
    left_out: FloatArray,
) -> Near:
    """The numbers of the `chosen` titles (m, ≤ places) of a list of n for m asked ones, float16 (m, places, columns).

    `parts`, `total`: the kernel's parts (parts, m, n) and their sum; `numbers`: the content of the asked titles (m, …) and
    of the list's (n, …); `residual`, `left_out`: (n,), what the ratings are off the offsets, and off what the process says
    without them. Zeros where the list is shorter.
    """
    count = chosen.shape[1]
    rows = np.arange(len(chosen))[:, None]
    result = np.zeros((len(chosen), places, len(COLUMNS)), dtype=np.float16)
    known = result[:, :count]
    known[..., : len(PARTS)] = np.moveaxis(parts[:, rows, chosen], 0, 2)
    known[..., len(PARTS)] = total[rows, chosen]
    asked, listed = (side[:, _NUMBERS] for side in numbers)
    known[..., len(PARTS) + 1 : RESIDUAL] = asked[:, None] - listed[chosen]
    known[..., RESIDUAL] = residual[chosen]
    known[..., RESIDUAL + 1] = left_out[chosen]
    known[..., THERE] = 1
    return result


def no_titles(pairs: int, places: int) -> Near:
    """As `near_titles` where there is nothing: float16 (pairs, places, columns)."""
    return np.zeros((pairs, places, len(COLUMNS)), dtype=np.float16)
