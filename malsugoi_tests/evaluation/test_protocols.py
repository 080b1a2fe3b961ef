"""Which rows are targets, and that nothing of a target is learnt from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.evaluation.protocols import (
    NAMES,
    ProtocolError,
    learn_from,
    make_protocol,
)
from malsugoi_tests.evaluation.worlds import checkerboard, world

ROWS = {"username": ["a", "a", "a", "b", "b"], "key": ["x", "y", "z", "x", "y"], "score": [5, None, 7, 8, 9]}


def protocol_file(path: Path, text: str) -> str:
    (path / "p.csv").write_text(text)
    return str(path / "p.csv")


def test_history_all_takes_unrated_and_unnamed_rows_and_protocol_only_named_ones(tmp_path: Path) -> None:
    rows = world(pl.DataFrame(ROWS))
    protocol = make_protocol(protocol_file(tmp_path, "row,split\n0,test\n3,train\n"), rows, 0)
    (fold,) = protocol.folds
    assert fold.targets.tolist() == [0]
    everything = learn_from(rows, fold, "all")
    assert list(zip(everything.user.tolist(), everything.item.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 1),
    ]
    assert np.isnan(everything.rating[0])
    named = learn_from(rows, fold, "protocol")
    assert (named.user.tolist(), named.item.tolist(), named.rating.tolist()) == ([1], [0], [8.0])


def test_a_row_of_the_targets_title_or_id_is_not_learnt_from_even_when_named_as_train(tmp_path: Path) -> None:
    """The catalogue knows one anime under two titles: the other row gives the rating away."""
    frame = pl.DataFrame({"username": list("aaaab"), "key": list("xxyzx"), "score": [5, 6, 7, 8, 9]})
    rows = world(frame, ids={"x": 1, "y": 1, "z": 2})
    protocol = make_protocol(
        protocol_file(tmp_path, "row,split\n0,test\n1,train\n2,train\n3,train\n4,train\n"), rows, 0
    )
    for history in ("all", "protocol"):
        learnt = learn_from(rows, protocol.folds[0], history)  # type: ignore[arg-type]
        assert list(zip(learnt.user.tolist(), learnt.item.tolist(), strict=True)) == [(0, 2), (1, 0)]


def test_of_repeated_rows_the_last_is_learnt(tmp_path: Path) -> None:
    rows = world(pl.DataFrame({"username": list("aab"), "key": list("xxx"), "score": [5, 6, 7]}))
    protocol = make_protocol(protocol_file(tmp_path, "row,fold\n2,0\n0,-1\n1,-1\n"), rows, 0)
    assert learn_from(rows, protocol.folds[0], "all").rating.tolist() == [6.0]


def test_folds_of_a_file_are_targets_once_and_history_otherwise(tmp_path: Path) -> None:
    rows = world(pl.DataFrame(ROWS))
    protocol = make_protocol(protocol_file(tmp_path, "row,fold\n0,0\n2,1\n3,-1\n4,1\n"), rows, 0)
    assert [fold.targets.tolist() for fold in protocol.folds] == [[0], [2, 4]]
    assert len(learn_from(rows, protocol.folds[1], "protocol")) == 2


def test_complete_lists_are_marked(tmp_path: Path) -> None:
    rows = world(pl.DataFrame(ROWS))
    protocol = make_protocol(protocol_file(tmp_path, "row,hidden,complete_list\n0,1,1\n3,1,0\n4,0,0\n"), rows, 0)
    assert protocol.kind == "ranking"
    assert np.flatnonzero(protocol.marks["complete-lists"]).tolist() == [0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row\n1\n", "line 1: needs the columns row and one of split, fold, hidden"),
        ("row,split,fold\n1,test,0\n", "line 1: needs the columns"),
        ("row,split\n9,test\n", "line 2: row is not among the 5 rows"),
        ("row,split\n0,train\nx,test\n", "line 3: row is no whole number"),
        ("row,split\n0,valid\n", "line 2: split is neither"),
        ("row,split\n1,test\n", "line 2: a target without a rating"),
        ("row,fold\n0,0\n0,1\n", "line 3: row stands in the file before"),
        ("row,fold\n0,-2\n", "line 2: fold is below -1"),
        ("row,hidden\n0,2\n", "line 2: hidden is neither"),
        ("row,split\n0,train\n", "names no target"),
        ("", "cannot be read as CSV"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        make_protocol(protocol_file(tmp_path, text), world(pl.DataFrame(ROWS)), 0)


def test_an_unknown_name_lists_those_that_are_known() -> None:
    with pytest.raises(ProtocolError, match="random5, cold-users, ranking"):
        make_protocol("random7", world(pl.DataFrame(ROWS)), 0)


@given(seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_our_protocols_depend_on_names_and_seed_not_on_the_order_of_the_rows(seed: int, order: object) -> None:
    frame = checkerboard(12, 14)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=seed)
    for name in NAMES:
        chosen = [
            [set(map(tuple, np.stack([rows.user, rows.item], 1)[fold.targets].tolist())) for fold in p.folds]
            for rows in (world(frame), world(shuffled))
            for p in [make_protocol(name, rows, seed)]
        ]
        assert chosen[0] == chosen[1]


def test_random5_takes_each_rated_row_once_and_cold_users_half_of_a_users_rows() -> None:
    frame = checkerboard()
    rows = world(frame)
    five = make_protocol("random5", rows, 0)
    assert sorted(np.concatenate([f.targets for f in five.folds]).tolist()) == list(range(frame.height))
    assert max(len(f.targets) for f in five.folds) - min(len(f.targets) for f in five.folds) <= 1
    cold = make_protocol("cold-users", rows, 0)
    assert len(cold.folds) == 5
    count = np.bincount(rows.user)
    for fold in cold.folds:
        users = np.unique(rows.user[fold.targets])
        assert len(users) == 6
        assert np.bincount(rows.user[fold.targets], minlength=30)[users].tolist() == (count[users] // 2).tolist()
    hidden = make_protocol("ranking", rows, 0).folds[0].targets
    expected = np.where(count >= 10, np.floor(count * 0.2), 0)
    assert np.bincount(rows.user[hidden], minlength=30).tolist() == expected.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_models_are_shown_the_same_arrays_whatever_the_order_of_the_file(name: str) -> None:
    """So no model, whatever it does with the order, can give other figures for a file that was sorted anew."""
    frame = checkerboard(seed=5)
    shown = [
        learn_from(rows, make_protocol(name, rows, 0).folds[0], "all")
        for rows in (world(frame), world(frame.sample(fraction=1.0, shuffle=True, seed=2)))
    ]
    for one, other in zip(*((r.user, r.item, r.rating) for r in shown), strict=True):
        np.testing.assert_array_equal(one, other)
