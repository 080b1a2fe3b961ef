"""Attention: what a head says of one title by hand, and that neither order nor empty places matter."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from malsugoi_assets.recommend.attention import HEADS, MOST, Attention
from malsugoi_assets.recommend.near_titles import COLUMNS, RESIDUAL, THERE


def some_titles(rows: int, places: int) -> Tensor:
    near = torch.randn(2, rows, places, len(COLUMNS))
    near[..., THERE] = 1
    return near


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(2)


@pytest.mark.parametrize(("score", "weight"), [(0.0, 0.5), (math.log(3), 0.75), (50.0, 1 / (1 + math.exp(-MOST)))])
def test_one_title_weighs_its_score_beside_nothing(attention: Attention, score: float, weight: float) -> None:
    """With all else at zero a head says weight x residual, the weight being exp(score) / (1 + exp(score))."""
    with torch.no_grad():
        for value in attention.parameters():
            value.zero_()
        attention.heads.bias[..., :HEADS] = score
    near = torch.zeros(2, 1, 1, len(COLUMNS))
    near[..., THERE], near[..., RESIDUAL] = 1, -2
    said = attention(near)
    assert said.shape == (2, 1, Attention.outputs)
    torch.testing.assert_close(said[..., :HEADS], torch.full((2, 1, HEADS), -2 * weight))
    torch.testing.assert_close(said[..., HEADS:], torch.full((2, 1, HEADS), weight))


def test_neither_the_order_of_the_titles_nor_empty_places_matter(attention: Attention) -> None:
    near = some_titles(5, 4)
    said = attention(near)
    torch.testing.assert_close(attention(near[:, :, [2, 0, 3, 1]]), said)
    wider = torch.cat([near, torch.zeros(2, 5, 3, len(COLUMNS))], dim=2)
    torch.testing.assert_close(attention(wider), said)


def test_no_title_says_nothing(attention: Attention) -> None:
    assert not attention(torch.zeros(2, 3, 4, len(COLUMNS))).any()


def test_a_row_hangs_on_its_own_titles_and_its_own_member_alone(attention: Attention) -> None:
    near = some_titles(3, 4)
    changed = near.clone()
    changed[1, 2] = 0
    one, other = attention(near), attention(changed)
    same = torch.ones(2, 3, dtype=torch.bool)
    same[1, 2] = False
    torch.testing.assert_close(one[same], other[same])
    assert not torch.allclose(one[1, 2], other[1, 2])
