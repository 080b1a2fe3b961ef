"""Sums that are kept: what was added and taken away must leave what a count of everything finds, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend import pair_sums
from malsugoi_assets.recommend.pair_sums import PairSums
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.similarity import SimilaritySettings, as_neighbours, similar_titles

N_ITEMS = 9


def batch(rows: dict[tuple[int, int], int], n_items: int = N_ITEMS) -> Ratings:
    user, item = (np.array([pair[k] for pair in rows], np.int32) for k in (0, 1))
    rating = np.array(list(rows.values()), np.float32)
    return Ratings(user, item, rating, int(user.max(initial=-1)) + 1, n_items)


def assert_like_all_together(sums: PairSums, everything: Ratings, chosen: SimilaritySettings) -> None:
    kept = as_neighbours(sums.strongest(chosen.neighbours, chosen.shrinkage, chosen.min_support))
    anew = similar_titles(everything, chosen)
    for left, right in zip(vars(kept).values(), vars(anew).values(), strict=True):
        np.testing.assert_array_equal(left, right)


users = st.integers(0, 11)
lists = st.dictionaries(st.tuples(users, st.integers(0, N_ITEMS - 1)), st.integers(1, 10), max_size=60)


@settings(max_examples=40, deadline=None)
@given(lists, lists, st.sets(users), st.sampled_from([0.0, 3.0]), st.integers(1, 3))
def test_users_added_and_fetched_again_and_gone_equal_a_count_from_scratch(
    first: dict[tuple[int, int], int],
    again: dict[tuple[int, int], int],
    gone: set[int],
    shrinkage: float,
    threads: int,
) -> None:
    """Two batches; the second is fetched again with other ratings; some users of the first vanish."""
    one = {pair: rating for pair, rating in first.items() if pair[0] < 6}
    two = {pair: rating for pair, rating in first.items() if pair[0] >= 6}
    two_again = {pair: rating for pair, rating in again.items() if pair[0] >= 6}
    left = {pair: rating for pair, rating in one.items() if pair[0] in gone}
    sums = PairSums(N_ITEMS)
    sums.add(batch(two), threads)
    sums.add(batch(one), threads)
    sums.take_away(batch(two), threads)
    sums.add(batch(two_again), threads)
    sums.take_away(batch(left), threads)
    stays = {pair: rating for pair, rating in (one | two_again).items() if pair not in left}
    assert_like_all_together(sums, batch(stays), SimilaritySettings(shrinkage=shrinkage, min_support=1, neighbours=4))


def test_new_titles_go_to_the_end() -> None:
    random = np.random.default_rng(0)
    old = {(u, i): int(random.integers(1, 11)) for u in range(20) for i in range(5)}
    new = {(u, i): int(random.integers(1, 11)) for u in range(20, 30) for i in range(N_ITEMS)}
    sums = PairSums(5)
    sums.add(batch(old, 5))
    sums.grow(N_ITEMS)
    sums.add(batch(new))
    assert_like_all_together(sums, batch(old | new), SimilaritySettings(min_support=1))


def test_ratings_of_titles_without_room_are_refused() -> None:
    with pytest.raises(ValueError, match="grow"):
        PairSums(5).add(batch({(0, 0): 7}))


def test_taking_away_what_was_never_counted_changes_nothing() -> None:
    sums = PairSums(N_ITEMS)
    sums.add(batch({(0, 0): 7, (0, 1): 8}))
    before = sums.pairs.copy()
    with pytest.raises(ValueError, match="never counted"):
        sums.take_away(batch({(0, 0): 7, (0, 2): 8}))
    np.testing.assert_array_equal(sums.pairs, before)


def test_saved_sums_come_back(tmp_path: Path) -> None:
    rows = {(u, i): 1 + (u * i) % 10 for u in range(12) for i in range(N_ITEMS)}
    sums = PairSums(N_ITEMS)
    sums.add(batch(rows))
    sums.save(tmp_path / "sums")
    assert_like_all_together(PairSums.load(tmp_path / "sums"), batch(rows), SimilaritySettings(min_support=1))


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x93NUMPY\x01\x00"], ids=["empty", "rubbish", "cut off"])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sums").write_bytes(content)
    with pytest.raises(ValueError, match="holds no pair sums"):
        PairSums.load(tmp_path / "sums")


def test_sums_that_would_not_fit_the_machine_are_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_sums, "memory_bytes", lambda: 2**30)
    with pytest.raises(MemoryError, match=r"20,000 titles need 3\.0 GiB, the machine has 1\.0"):
        PairSums(20_000)
