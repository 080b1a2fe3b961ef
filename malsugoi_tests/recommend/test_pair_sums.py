"""Sums that are kept: what was added and taken away must leave what a count of everything finds, to the last bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend import pair_kernels, pair_sums
from malsugoi_assets.recommend.pair_sums import PairSums, bytes_needed
from malsugoi_assets.recommend.pairs import Lists, by_popularity, lists_of
from malsugoi_assets.recommend.ratings import IntArray, Ratings
from malsugoi_assets.recommend.similarity import SimilaritySettings, as_neighbours, similar_titles

N_ITEMS = 9


def batch(rows: dict[tuple[int, int], int], n_items: int = N_ITEMS) -> Ratings:
    user, item = (np.array([pair[k] for pair in rows], np.int32) for k in (0, 1))
    rating = np.array(list(rows.values()), np.float32)
    return Ratings(user, item, rating, int(user.max(initial=-1)) + 1, n_items)


def lists(rows: dict[tuple[int, int], int], n_items: int = N_ITEMS, order: IntArray | None = None) -> Lists:
    return lists_of(batch(rows, n_items), np.arange(n_items, dtype=np.int32) if order is None else order)


def empty(n_items: int = N_ITEMS) -> PairSums:
    return PairSums(np.zeros(n_items, np.int64))


def assert_like_all_together(
    sums: PairSums,
    everything: Ratings,
    chosen: SimilaritySettings,
    order: IntArray | None = None,
    more: Lists | None = None,
) -> None:
    order = np.arange(sums.n_items, dtype=np.int32) if order is None else order
    kept = as_neighbours(sums.strongest(order, chosen.neighbours, chosen.shrinkage, chosen.min_support, more=more))
    anew = similar_titles(everything, chosen)
    for left, right in zip(vars(kept).values(), vars(anew).values(), strict=True):
        np.testing.assert_array_equal(left, right)


users = st.integers(0, 11)
rated = st.dictionaries(st.tuples(users, st.integers(0, N_ITEMS - 1)), st.integers(1, 10), max_size=60)


@settings(max_examples=40, deadline=None)
@given(
    rated, rated, st.sets(users), st.sampled_from([0.0, 3.0]), st.integers(1, 3), st.permutations(range(N_ITEMS)),
    st.sampled_from([2, 6_472]),
)  # fmt: skip
def test_users_added_and_fetched_again_and_gone_equal_a_count_from_scratch(
    first: dict[tuple[int, int], int],
    again: dict[tuple[int, int], int],
    gone: set[int],
    shrinkage: float,
    threads: int,
    places: list[int],
    most_in_a_word: int,
) -> None:
    """Two batches; the second is fetched again with other ratings; some users of the first vanish.

    Titles have any order, and rows of words any number of raters at which they become rows of sums.
    """
    order = np.array(places, np.int32)
    one = {pair: rating for pair, rating in first.items() if pair[0] < 6}
    two = {pair: rating for pair, rating in first.items() if pair[0] >= 6}
    two_again = {pair: rating for pair, rating in again.items() if pair[0] >= 6}
    left = {pair: rating for pair, rating in one.items() if pair[0] in gone}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_sums, "MOST_RATERS", most_in_a_word)
        sums = empty()
        sums.add(lists(two, order=order), threads)
        sums.add(lists(one, order=order), threads)
        sums.take_away(lists(two, order=order), threads)
        sums.add(lists(two_again, order=order), threads)
        sums.take_away(lists(left, order=order), threads)
    stays = {pair: rating for pair, rating in (one | two_again).items() if pair not in left}
    chosen = SimilaritySettings(shrinkage=shrinkage, min_support=1, neighbours=4)
    assert_like_all_together(sums, batch(stays), chosen, order)


@pytest.mark.parametrize("raters", [0, 6_400, 6_470, 6_480])
def test_lists_that_are_not_added_count_as_if_they_were(raters: int) -> None:
    """Also where a word would not hold both, and for titles that only they rate; what is kept stays as it is."""
    kept = {(u, i): 10 - 9 * (u % 3 > i) for u in range(raters) for i in (0, 1, 3)}
    kept |= {(u, 4): 1 + u % 10 for u in range(min(raters, 30))}
    more = {(raters + u, i): 1 + (u * (i + 2)) % 10 for u in range(12) for i in range(4) if u % (i + 1) == 0}
    sums = empty(5)
    sums.add(lists(kept, 5))
    before = (sums.words.copy(), sums.wide.copy(), sums.titles.count.copy())
    beside = lists({(u - raters, i): rating for (u, i), rating in more.items()}, 5)
    chosen = SimilaritySettings(min_support=1, shrinkage=2, neighbours=3)
    assert_like_all_together(sums, batch(kept | more, 5), chosen, more=beside)
    for old, new in zip(before, (sums.words, sums.wide, sums.titles.count), strict=True):
        np.testing.assert_array_equal(old, new)


def test_new_titles_go_to_the_end() -> None:
    random = np.random.default_rng(0)
    old = {(u, i): int(random.integers(1, 11)) for u in range(20) for i in range(5)}
    new = {(u, i): int(random.integers(1, 11)) for u in range(20, 30) for i in range(N_ITEMS)}
    sums = empty(5)
    sums.add(lists(old, 5))
    sums.grow(N_ITEMS)
    sums.add(lists(new))
    assert_like_all_together(sums, batch(old | new), SimilaritySettings(min_support=1))


def test_a_title_that_gets_more_raters_than_a_word_holds_moves_to_wider_numbers() -> None:
    """All tens by 6,000 users, then as many ones and tens again: past 6,472 the sums would run over."""
    half = {(u, i): 10 - 9 * (u % 2) for u in range(6_000) for i in (0, 1)}
    other = {(u + 6_000, i): 10 - 9 * (u % 2) for u in range(6_000) for i in (0, 1)}
    sums = empty(2)
    sums.add(lists(half, 2))
    assert not sums.is_wide.any()
    sums.add(lists(other, 2))
    assert sums.is_wide.all()
    assert_like_all_together(sums, batch(half | other, 2), SimilaritySettings(min_support=1))
    sums.take_away(lists(half, 2))
    assert_like_all_together(sums, batch(other, 2), SimilaritySettings(min_support=1))


def test_ratings_of_titles_without_room_are_refused() -> None:
    with pytest.raises(ValueError, match="beyond the 5 that there is room for"):
        empty(5).add(lists({(0, 7): 7}))


def test_a_pair_that_comes_twice_is_refused() -> None:
    twice = Ratings(np.zeros(2, np.int32), np.zeros(2, np.int32), np.full(2, 7, np.float32), 1, 1)
    with pytest.raises(ValueError, match="twice"):
        similar_titles(twice)


def test_taking_away_what_was_never_counted_changes_nothing() -> None:
    sums = empty()
    sums.add(lists({(0, 0): 7, (0, 1): 8}))
    before = sums.words.copy()
    with pytest.raises(ValueError, match="never counted"):
        sums.take_away(lists({(0, 0): 7, (0, 2): 8}))
    np.testing.assert_array_equal(sums.words, before)


def test_saved_sums_come_back(tmp_path: Path) -> None:
    rows = {(u, i): 1 + (u * i) % 10 for u in range(12) for i in range(N_ITEMS)}
    sums = PairSums(np.array([7_000] * 4 + [12] * 5))
    sums.add(lists(rows))
    sums.save(tmp_path / "sums", {"of": ["batch-000000"]})
    back, about = PairSums.load(tmp_path / "sums")
    assert about == {"of": ["batch-000000"]}
    assert_like_all_together(back, batch(rows), SimilaritySettings(min_support=1))
    back.add(lists({(12, 0): 3, (12, 8): 4}))
    assert_like_all_together(back, batch(rows | {(12, 0): 3, (12, 8): 4}), SimilaritySettings(min_support=1))


@pytest.mark.parametrize(
    "content", [b"", b"rubbish", b'{"kind": "pair sums 0"}\n'], ids=["empty", "rubbish", "older"]
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sums").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be used"):
        PairSums.load(tmp_path / "sums")


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_file_with_one_byte_changed_or_an_end_cut_off_is_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sums"
        sums = empty()
        sums.add(lists({(u, i): 1 + (u + i) % 10 for u in range(5) for i in range(N_ITEMS)}))
        sums.save(path, {})
        body = bytearray(path.read_bytes())
        # The numbers stand at the end, behind JSON and the arrays' own heads.
        place = data.draw(st.integers(len(body) - 8 * len(sums.words) - 128, len(body) - 129))
        body[place] ^= data.draw(st.integers(1, 255))
        path.write_bytes(body if data.draw(st.booleans()) else body[:place])
        with pytest.raises(ValueError, match="cannot be used"):
            PairSums.load(path)


def test_memory_is_eight_bytes_a_pair_and_sixteen_for_titles_of_many_raters() -> None:
    """20,000 titles: 199,990,000 pairs; of 3 titles the last with many raters: 1 pair and 2 wide ones."""
    assert bytes_needed(np.ones(20_000, np.int64)) == 8 * 199_990_000
    assert bytes_needed(np.array([9, 9, pair_kernels.MOST_RATERS + 1])) == 8 + 2 * 16


def test_the_most_rated_come_first() -> None:
    assert by_popularity(np.array([2, 5, 5, 0])).tolist() == [1, 2, 0, 3]
