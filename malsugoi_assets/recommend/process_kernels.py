"""Compiled loops of `gaussian_process`: a product for each user's block, and sums over ratings."""

from __future__ import annotations

from typing import Any

from malsugoi_assets.recommend.compiled import compiled, compiled_sums


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


@compiled_sums  # type: ignore[untyped-decorator]
def add_shared(others: Any, tastes: Any, item: Any, user: Any, product: Any) -> None:
    """product[r] += others[item[r]] · tastes[user[r]]."""
    for r in range(len(item)):
        one, two = others[item[r]], tastes[user[r]]
        total = product[r]
        for d in range(len(one)):
            total += one[d] * two[d]
        product[r] = total


@compiled  # type: ignore[untyped-decorator]
def add_by_title(weight: Any, tastes: Any, item: Any, user: Any, total: Any) -> None:
    """total[item[r]] += weight[r] · tastes[user[r]]."""
    for r in range(len(item)):
        into, taste, by = total[item[r]], tastes[user[r]], weight[r]
        for d in range(len(taste)):
            into[d] += by * taste[d]
