"""Attention over the titles of a list that are nearest to the one asked about.

    a_hj = exp(s_h(t_j)) / (1 + Σ_j exp(s_h(t_j))),   out = Σ_j a_hj (residual_j + v_h(t_j)) and Σ_j a_hj, a head h

t_j: what is known of the j-th title, how it is like the asked one first of all (`near_titles`); s and v: one small network. It
is the attention of Vaswani et al. 2017 with likenesses in the place of keys and queries, and a title too many that says
nothing. The Gaussian process weighs likenesses alike for everybody and everything; these weights are learnt, and may hang on
each other.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from malsugoi_assets.recommend.layers import MemberLinear
from malsugoi_assets.recommend.near_titles import COLUMNS, RESIDUAL, THERE

HEADS = 8
HIDDEN = 16
MOST = 8.0


class Attention(nn.Module):
    """One for each member: (members, rows, places, columns) to (members, rows, `outputs`)."""

    outputs = 2 * HEADS

    def __init__(self, members: int) -> None:
        super().__init__()
        self.hidden = MemberLinear(members, len(COLUMNS), HIDDEN)
        self.heads = MemberLinear(members, HIDDEN, 2 * HEADS)
        with torch.no_grad():
            self.heads.weight[..., HEADS:] *= 0.1

    def forward(self, near: Tensor) -> Tensor:
        """Each head's weighted residual, and how much weight the titles have in it."""
        members, rows, places, columns = near.shape
        hidden = nn.functional.silu(self.hidden(near.reshape(members, rows * places, columns)))
        score, value = self.heads(hidden).view(members, rows, places, 2 * HEADS).split(HEADS, dim=-1)
        # By hand: torch's softmax over any but the last dimension takes three times as long as all of this.
        weight = score.clamp(max=MOST).exp() * near[..., THERE:]
        total = weight.sum(dim=2)
        said = (weight * (value + near[..., RESIDUAL : RESIDUAL + 1])).sum(dim=2)
        both: Tensor = torch.cat([said, total], dim=-1) / (total + 1).repeat(1, 1, 2)
        return both
