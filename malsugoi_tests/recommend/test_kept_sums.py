"""Sums that are kept between runs: whatever happens to the batches, the similar titles are those of a fresh count."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend import kept_sums
from malsugoi_assets.recommend.kept_sums import Counted, KeptSums
from malsugoi_assets.recommend.ratings import index_ratings
from malsugoi_assets.recommend.similarity import SimilaritySettings, similar_titles

EASY = SimilaritySettings(min_support=1, shrinkage=1, neighbours=3)
Rows = dict[tuple[str, int], int]
"""(username, anime_id) → rating."""


def frame(rows: Rows) -> pl.DataFrame:
    names, ids = [name for name, _ in rows], [anime_id for _, anime_id in rows]
    columns = {"username": names, "anime_id": ids, "rating": list(rows.values())}
    return pl.DataFrame(columns, schema={"username": pl.String, "anime_id": pl.Int32, "rating": pl.Int8})


class Stored:
    """Batches as a run finds them; remembers which were read, and may change one while it is read."""

    def __init__(self, batches: Mapping[str, Rows], changing: frozenset[str] = frozenset()) -> None:
        self.batches = batches
        self.contents = {
            key: sha256(repr(sorted(rows.items())).encode()).hexdigest() for key, rows in batches.items()
        }
        self.read: list[str] = []
        self.changing = changing

    def __getitem__(self, key: str) -> pl.LazyFrame:
        self.read.append(key)
        return frame(self.batches[key]).lazy()

    def is_unchanged(self, key: str) -> bool:
        return key not in self.changing

    def fresh_count(self, chosen: SimilaritySettings) -> list[tuple[object, ...]]:
        together = pl.concat([frame({}), *map(frame, self.batches.values())])
        ratings, index = index_ratings(together, rating="rating")
        return table(similar_titles(ratings, chosen), index.anime_ids)


def table(found: object, ids: np.ndarray) -> list[tuple[object, ...]]:
    item, neighbour, rank, similarity, support = vars(found).values()
    return list(zip(ids[item], ids[neighbour], rank, similarity, support, strict=True))


def rows_of(counted: Counted) -> list[tuple[object, ...]]:
    return table(counted.neighbours, counted.anime_ids)


def people(names: str, ids: range, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    return {
        (f"{name} of {names}", i): int(random.integers(1, 11)) for name in names for i in ids if random.random() < 0.8
    }


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Rows]]:
    """What a data dir holds at one run after another: batches come, change and go; users stay in theirs."""

    def batch(key: int) -> Rows:
        pairs = st.tuples(st.sampled_from([f"{name}{key}" for name in "abc"]), st.sampled_from([-7, 1, 5, 20, 21, 3]))
        return draw(st.dictionaries(pairs, st.integers(1, 10), max_size=12))

    state: dict[str, Rows] = {}
    seen = []
    for _ in range(draw(st.integers(1, 4))):
        for number in draw(st.sets(st.integers(0, 4))):
            state[f"batch-{number:06}"] = batch(number)
        for key in draw(st.sets(st.sampled_from(sorted(state)))) if state else ():
            del state[key]
        shuffled = draw(st.permutations(sorted(state)))
        seen.append({key: state[key] for key in shuffled})
    return seen


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(1, 2), st.sampled_from([0.01, 0.5, 1e9]))
def test_after_any_history_the_table_is_that_of_a_fresh_count(
    history: list[dict[str, Rows]], threads: int, few: float
) -> None:
    """However many new ratings count as few, and so are counted beside what is kept."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_sums, "_FEW", few)
        for batches in history:
            stored = Stored(batches)
            counted = KeptSums(Path(folder) / "sums").similar_titles(stored, EASY, threads)
            assert rows_of(counted) == stored.fresh_count(EASY)


def test_only_what_is_new_or_changed_is_read(tmp_path: Path) -> None:
    kept = KeptSums(tmp_path)
    batches = {f"batch-{n:06}": people(f"abcd{n}", range(6), n) for n in range(4)}
    assert kept.similar_titles(Stored(batches)).how == "rebuilt: nothing was kept yet"
    again = Stored(batches)
    assert kept.similar_titles(again).how == "updated by 0 batches"
    assert again.read == []
    more = Stored(
        batches | {"batch-000004": people("z", range(3, 9), 9), "batch-000001": people("abcd1", range(6), 8)}
    )
    counted = kept.similar_titles(more, EASY)
    assert counted.how == "updated by 2 batches"
    assert set(more.read) == {"batch-000001", "batch-000004"}
    assert rows_of(counted) == more.fresh_count(EASY)


def test_few_new_ratings_are_counted_beside_what_is_kept_until_there_are_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_sums, "_FEW", 0.3)
    kept = KeptSums(tmp_path)
    batches = {f"batch-{n:06}": people(f"abcd{n}", range(6), n) for n in range(4)}
    kept.similar_titles(Stored(batches))
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    few = Stored(batches | {"batch-000004": people("z", range(6), 9)})
    for _ in range(2):
        counted = kept.similar_titles(few, EASY)
        assert counted.how == "updated by 1 batch"
        assert rows_of(counted) == few.fresh_count(EASY)
        assert counted.raters.sum() == sum(map(len, few.batches.values()))
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files
    # Somebody who was counted and goes has to go from the file too, whatever it takes.
    forgotten = Stored(few.batches | {"batch-000000": people("ab", range(6))})
    assert rows_of(kept.similar_titles(forgotten, EASY)) == forgotten.fresh_count(EASY)
    assert kept.similar_titles(forgotten).how == "updated by 0 batches"
    strangers = Stored(forgotten.batches | {"batch-000005": {("y", 77): 5}})
    assert rows_of(kept.similar_titles(strangers, EASY)) == strangers.fresh_count(EASY)
    assert kept.similar_titles(strangers).how == "updated by 0 batches"


def test_many_batches_that_hold_few_ratings_are_counted_beside_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_sums, "_FEW", 0.5)
    kept = KeptSums(tmp_path)
    batches = {f"batch-{n:06}": people(f"abcdefgh{n}", range(6), n) for n in range(4)}
    kept.similar_titles(Stored(batches))
    more = Stored(batches | {f"batch-{n:06}": {(f"z{n}", n % 6): 7} for n in range(4, 10)})
    counted = kept.similar_titles(more, EASY)
    assert counted.how == "updated by 6 batches"
    assert rows_of(counted) == more.fresh_count(EASY)


def test_a_forgotten_user_and_a_batch_that_is_gone_are_taken_away(tmp_path: Path) -> None:
    kept = KeptSums(tmp_path)
    batches = {f"batch-{n:06}": people(f"abcd{n}", range(6), n) for n in range(4)}
    kept.similar_titles(Stored(batches))
    without = {pair: rating for pair, rating in batches["batch-000002"].items() if pair[0] != "b of abcd2"}
    left = Stored(
        {"batch-000000": batches["batch-000000"], "batch-000001": batches["batch-000001"], "batch-000002": without}
    )
    assert kept.similar_titles(left, EASY).how == "rebuilt: 2 of 3 batches are new or changed"
    assert rows_of(kept.similar_titles(left, EASY)) == left.fresh_count(EASY)
    fewer = Stored({key: left.batches[key] for key in ("batch-000000", "batch-000001")})
    counted = kept.similar_titles(fewer, EASY)
    assert counted.how == "updated by 1 batch"
    assert rows_of(counted) == fewer.fresh_count(EASY)
    assert len(list(tmp_path.glob("*.lists"))) == 2


def test_nobody_is_named_in_what_is_kept(tmp_path: Path) -> None:
    rows = {("Some_Distinctive_Name", i): 1 + i for i in range(6)} | people("abc", range(6))
    KeptSums(tmp_path).similar_titles(Stored({"batch-000000": rows}))
    assert {path.suffix for path in tmp_path.iterdir()} == {"", ".lists"}
    assert not any(b"Distinctive" in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["a changed byte", "another file", "half a file", "no lists", "wrong lists"])
def test_what_does_not_fit_is_counted_anew(tmp_path: Path, damage: str) -> None:
    kept = KeptSums(tmp_path)
    batches = {f"batch-{n:06}": people(f"abcd{n}", range(6), n) for n in range(3)}
    kept.similar_titles(Stored(batches))
    sums, lists = tmp_path / "sums", sorted(tmp_path.glob("*.lists"))
    body = bytearray(sums.read_bytes())
    body[-140] ^= 1
    if damage == "a changed byte":
        sums.write_bytes(body)
    elif damage == "another file":
        sums.write_bytes(b"rubbish")
    elif damage == "half a file":
        sums.write_bytes(sums.read_bytes()[:-50])
    elif damage == "no lists":
        lists[0].unlink()
    else:
        lists[1].replace(lists[0])
    changed = Stored(batches | {"batch-000000": people("abcd0", range(6), 7)})
    counted = kept.similar_titles(changed, EASY)
    assert counted.how.startswith("rebuilt: what was ")
    assert rows_of(counted) == changed.fresh_count(EASY)
    assert kept.similar_titles(changed).how == "updated by 0 batches"


def test_a_batch_that_changed_while_it_was_read_is_looked_at_again(tmp_path: Path) -> None:
    kept = KeptSums(tmp_path)
    batches = {f"batch-{n:06}": people(f"abcd{n}", range(6), n) for n in range(3)}
    kept.similar_titles(Stored(batches, changing=frozenset({"batch-000001"})))
    after = Stored(batches)
    assert kept.similar_titles(after).how == "updated by 1 batch"
    assert after.read == ["batch-000001"]


def test_a_run_that_dies_before_it_is_done_leaves_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptSums(tmp_path)
    batches = {f"batch-{n:06}": people(f"abcd{n}", range(6), n) for n in range(3)}
    kept.similar_titles(Stored(batches))
    more = Stored(batches | {"batch-000003": people("z", range(6), 5)})
    with monkeypatch.context() as patch:
        patch.setattr(kept_sums.PairSums, "save", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            kept.similar_titles(more)
    counted = kept.similar_titles(more, EASY)
    assert counted.how == "updated by 1 batch"
    assert rows_of(counted) == more.fresh_count(EASY)


def test_sums_that_cost_more_than_they_save_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_sums, "_ALWAYS_KEPT", 0)
    monkeypatch.setattr(kept_sums, "_KEPT_A_RATING", 0)
    stored = Stored({"batch-000000": people("abcd", range(6))})
    counted = KeptSums(tmp_path).similar_titles(stored, EASY)
    assert "counting is quicker" in counted.how
    assert rows_of(counted) == stored.fresh_count(EASY)
    assert not list(tmp_path.iterdir())


def test_where_sums_do_not_fit_the_memory_all_is_counted_without_keeping_them(tmp_path: Path) -> None:
    """400 titles: 79,800 pairs of 8 bytes; their 900 ratings take 14,400 bytes."""
    stored = Stored({"batch-000000": people("abc", range(400))})
    little = SimilaritySettings(neighbours=3, min_support=1, memory_gib=100_000 / 2**30)
    counted = KeptSums(tmp_path).similar_titles(stored, little)
    assert "too little memory" in counted.how
    assert rows_of(counted) == stored.fresh_count(little)


def test_too_little_memory_is_said_before_counting(tmp_path: Path) -> None:
    stored = Stored({"batch-000000": people("abc", range(400))})
    with pytest.raises(
        MemoryError, match=r"3\d\d titles by .* ratings needs 0\.0 GiB, 0\.0 are allowed: raise `memory_gib`"
    ):
        KeptSums(tmp_path).similar_titles(stored, SimilaritySettings(memory_gib=1e-9))


def test_no_batches_at_all_and_empty_ones_have_no_similar_titles(tmp_path: Path) -> None:
    assert not rows_of(KeptSums(tmp_path).similar_titles(Stored({})))
    assert not rows_of(KeptSums(tmp_path).similar_titles(Stored({"batch-000000": {}})))
