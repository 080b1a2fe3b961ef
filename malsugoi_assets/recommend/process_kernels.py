"""Compiled loops of `gaussian_process`: a product for each user's block, and one for each rating."""

from __future__ import annotations

from typing import Any

import numpy as np

from malsugoi_assets.recommend.compiled import compiled


@compiled  # type: ignore[untyped-decorator]
def block_products(blocks: Any, starts: Any, values: Any, product: Any) -> None:
    """product = B · values, B the symmetric blocks of the rows starts[k] … starts[k + 1], row after row in `blocks`.

    By columns, so that the sums of a block's rows grow side by side.
    """
    at = 0
    for k in range(len(starts) - 1):
        first, last = starts[k], starts[k + 1]
        n = last - first
        mine = product[first:last]
        mine[:] = 0
        for j in range(n):
            value = values[first + j]
            column = blocks[at : at + n]
            for i in range(n):
                mine[i] += value * column[i]
            at += n


@compiled  # type: ignore[untyped-decorator]
def add_shared(others: Any, tastes: Any, item: Any, user: Any, product: Any) -> None:
    """product[r] += others[item[r]] · tastes[user[r]]."""
    for r in range(len(item)):
        product[r] += np.dot(others[item[r]], tastes[user[r]])
