"""Members keep users apart to validate on, and learn nothing from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend.dnn_settings import DnnSettings
from malsugoi_assets.recommend.ensemble import train_ensemble, validation_rows
from malsugoi_assets.recommend.features import Inputs
from malsugoi_assets.recommend.layers import Dropout
from malsugoi_assets.recommend.near_titles import COLUMNS

SETTINGS = DnnSettings(hidden_units=8, epochs=3, members=1, batch_size=16, valid_share=0.25)


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 5), st.floats(0.01, 0.49))
def test_a_member_validates_on_whole_users_and_always_has_some_to_learn_from(
    users: list[int], members: int, share: float
) -> None:
    user = np.array(users, dtype=np.int32)
    held = validation_rows(user, members, share, seed=0)
    for mine in held:
        assert not set(user[mine]) & set(user[~mine])
        assert (~mine).any()
        assert mine.any() == (len(set(users)) > 1)


def test_members_validate_on_different_users() -> None:
    user = np.repeat(np.arange(40, dtype=np.int32), 3)
    held = validation_rows(user, 4, 0.1, seed=0)
    assert held.sum(axis=1).tolist() == [12] * 4
    assert held.sum(axis=0).max() == 1


@pytest.mark.parametrize("patience", [None, 9])
def test_ratings_of_the_users_that_a_member_validates_on_teach_it_nothing(patience: int | None) -> None:
    """Turned round, they change what is reported of each epoch, and no weight as long as the last epoch is the kept one."""
    random = np.random.default_rng(0)
    user = np.repeat(np.arange(20, dtype=np.int32), 10)
    inputs = Inputs(
        random.normal(size=(200, 5)).astype(np.float32),
        random.normal(size=(200, 3, len(COLUMNS))).astype(np.float16),
        np.full(200, 7, np.float32),
        np.ones(200, np.float32),
    )
    rating = random.integers(1, 11, 200).astype(np.float32)
    turned = rating.copy()
    held = validation_rows(user, 1, SETTINGS.valid_share, seed=0)[0]
    turned[held] = 11 - turned[held]
    chosen = SETTINGS.model_copy(update={"patience": patience})
    (one, first), (two, second) = (train_ensemble(inputs, y, user, chosen, seed=0) for y in (rating, turned))
    assert [e.train_loss for e in first.curve] == [e.train_loss for e in second.curve]
    assert [e.valid_loss for e in first.curve] != [e.valid_loss for e in second.curve]
    if patience is None:
        for name, value in one.state_dict().items():
            assert torch.equal(value, two.state_dict()[name]), name


@settings(deadline=None)
@given(st.floats(0, 0.95), st.integers(1, 9), st.integers(1, 301))
def test_dropout_leaves_out_its_share_and_scales_the_rest_up(share: float, rows: int, units: int) -> None:
    torch.manual_seed(0)
    layer = Dropout(share)
    x = torch.ones(40, rows, units)
    out = layer(x)
    kept = out > 0
    n = x.numel()
    assert float(kept.float().mean()) == pytest.approx(1 - share, abs=5 * (share * (1 - share) / n) ** 0.5 + 2**-15)
    assert torch.allclose(out[kept], torch.tensor(1 / (1 - share)))
    assert torch.equal(layer.eval()(x), x)


def test_dropout_lets_gradients_through_the_kept_units_only() -> None:
    torch.manual_seed(0)
    x = torch.ones(7, 9, requires_grad=True)
    out = Dropout(0.5)(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
