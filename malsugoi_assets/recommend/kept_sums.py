"""Pair sums kept in a folder, with the batches that they counted: a run counts only what is new, changed or gone.

What belongs here: which batches have to be counted, and that what is on disk fits together. What does not: the counting
(`pair_sums`, `pairs`), and where batches come from.

In the folder lie `sums` and one file a batch with the ratings that were counted of it, 4 bytes each, so that they can be
taken away again when the batch has changed. Nobody is named in them: titles by number, users by nothing. `sums` says which
batches, by a hash of their content and of their file, it holds; files are written before it and deleted after it, so
that a run that is killed leaves the old state. Whatever does not fit is counted anew from all batches.

New batches that are few beside what is kept are not written: each run counts them again, which takes less time than
writing all the sums, until there are enough of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.disk import sweep_drafts
from malsugoi_assets.machine import memory_bytes
from malsugoi_assets.recommend.checked_arrays import checksum, read_arrays, write_arrays
from malsugoi_assets.recommend.pair_sums import PairSums, bytes_needed
from malsugoi_assets.recommend.pairs import Lists, by_popularity, lay_out, lists_of, strongest_pairs
from malsugoi_assets.recommend.ratings import IntArray, Ratings, count_titles, one_ahead, places_of, user_numbers
from malsugoi_assets.recommend.similarity import Neighbours, SimilaritySettings, as_neighbours
from malsugoi_assets.recommend.strongest import Strongest

_LISTS = "rated lists 1"
_AT_ONCE = 100_000_000
"""Ratings that are laid out for counting together: 12 bytes each."""
_FEW = 0.01
"""New ratings, as a share of those kept, up to which they are counted beside them and not written."""
_ALWAYS_KEPT, _KEPT_A_RATING = 64 * 2**20, 400
"""Sums are kept where they take at most so many bytes, or so many a rating: else counting anew is quicker."""


class Batches(Protocol):
    """Batches of ratings that can be read one at a time."""

    @property
    def contents(self) -> Mapping[str, str]:
        """Each batch's key, and a hash of its rows."""

    def __getitem__(self, key: str) -> pl.LazyFrame:
        """Its rows: username, anime_id, rating (1-10); a user and a title come once, a user in one batch only."""

    def is_unchanged(self, key: str) -> bool:
        """Whether the rows are still those of the hash: asked after reading."""


@dataclass(frozen=True)
class Counted:
    """The similar titles, over `anime_ids` (int32, ascending), how many rated each, and how all were counted, in words."""

    neighbours: Neighbours
    anime_ids: IntArray
    raters: IntArray
    how: str

    @classmethod
    def of(cls, found: Strongest, ids: IntArray, raters: npt.NDArray[np.integer], how: str) -> Counted:
        """`ids`, `raters`: by place."""
        by_id = np.argsort(ids, kind="stable")
        return cls(as_neighbours(found), ids[by_id], raters[by_id].astype(np.int32), how)


@dataclass(frozen=True)
class _Batch:
    """What was counted of a batch: the hash of its content, and of its file."""

    content: str
    lists: str


class KeptSums:
    """The pair sums of the batches of ratings that lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def similar_titles(
        self,
        batches: Batches,
        settings: SimilaritySettings | None = None,
        threads: int | None = None,
    ) -> Counted:
        """The similar titles of all batches, as `similarity.similar_titles` finds them in all their rows together.

        Reads no more batches than it must. Raises MemoryError, before counting, where there is too little of it, and
        ValueError where ratings are not whole numbers from 1 to 10.
        """
        chosen = settings or SimilaritySettings()
        sweep_drafts(self._folder.parent)
        try:
            state = _State.load(self._folder, _allowed(chosen))
            done = state.follow(batches, threads)
        except _Anew as reason:
            return self._anew(batches, chosen, threads, str(reason))
        how = f"updated by {done} {'batch' if done == 1 else 'batches'}"
        if done and state.beside is None:
            return state.save_and_rank(chosen, threads, how)
        return state.rank(chosen, threads, how)

    def _anew(self, batches: Batches, settings: SimilaritySettings, threads: int | None, why: str) -> Counted:
        ids, raters = _by_raters(batches)
        ratings = int(raters.sum())
        allowed = _allowed(settings)
        to_keep = bytes_needed(raters) + 16 * min(ratings, _AT_ONCE)
        to_count = 16 * ratings
        notes = 64 * len(ids) * min(settings.neighbours, len(ids))
        if min(to_keep, to_count) + notes > allowed:
            raise MemoryError(
                f"similarity of {len(ids):,} titles by {ratings:,} ratings needs "
                f"{(min(to_keep, to_count) + notes) / 2**30:.1f} GiB, {allowed / 2**30:.1f} are allowed: raise "
                "`memory_gib`, or keep fewer `neighbours`"
            )
        worth_it = bytes_needed(raters) <= max(_ALWAYS_KEPT, _KEPT_A_RATING * ratings)
        if worth_it and to_keep + notes <= allowed:
            state = _State(self._folder, ids, PairSums(raters), {})
            state.count(batches, batches.contents, threads)
            return state.save_and_rank(settings, threads, f"rebuilt: {why}")
        _State.clear(self._folder)
        layout = lay_out(Lists.together([_lists(batches[key].collect(), ids) for key in batches.contents]), len(ids))
        found = strongest_pairs(
            layout, _order(ids), settings.neighbours, settings.shrinkage, settings.min_support, threads
        )
        how = (
            "rebuilt: counting is quicker than keeping the sums"
            if not worth_it
            else "rebuilt: too little memory to keep sums"
        )
        return Counted.of(found, ids, raters, how)


class _Anew(Exception):
    """Everything has to be counted anew; the message says why."""


class _State:
    """What the folder holds: `ids` (place → anime_id), the sums, and the batches that they counted.

    `beside`: lists of few new batches that count as well.
    """

    def __init__(self, folder: Path, ids: IntArray, sums: PairSums, batches: dict[str, _Batch]) -> None:
        self.folder, self.ids, self.sums, self.batches = folder, ids, sums, batches
        self.beside: Lists | None = None

    @classmethod
    def load(cls, folder: Path, allowed: float) -> _State:
        """Raises `_Anew` where there is none that can be used, or none that fits into the allowed bytes."""
        if not (folder / "sums").exists():
            raise _Anew("nothing was kept yet")
        if (folder / "sums").stat().st_size > allowed:
            raise _Anew("what was kept needs more memory than is allowed")
        try:
            sums, about = PairSums.load(folder / "sums")
            batches = {str(key): _Batch(*map(str, names)) for key, names in about["batches"].items()}
            ids = np.array(about["anime_ids"], dtype=np.int32)
            if len(ids) != sums.n_items:
                raise ValueError(f"{len(ids)} titles for sums of {sums.n_items}")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise _Anew(f"what was kept is damaged ({error})") from error
        return cls(folder, ids, sums, batches)

    def save(self) -> None:
        """Write the sums, then delete the files of batches that are no longer in them."""
        batches = {key: [batch.content, batch.lists] for key, batch in sorted(self.batches.items())}
        self.sums.save(self.folder / "sums", {"anime_ids": self.ids.tolist(), "batches": batches})
        named = {self._file(key, batch.lists) for key, batch in self.batches.items()}
        for path in self.folder.glob("*.lists"):
            if path not in named:
                path.unlink(missing_ok=True)

    @staticmethod
    def clear(folder: Path) -> None:
        """Delete all of it, the sums first."""
        (folder / "sums").unlink(missing_ok=True)
        for path in folder.glob("*.lists"):
            path.unlink(missing_ok=True)

    def save_and_rank(self, settings: SimilaritySettings, threads: int | None, how: str) -> Counted:
        """Both at once: the one waits for the system, the other for the processor."""
        with ThreadPoolExecutor(1) as pool:
            saved = pool.submit(self.save)
            counted = self.rank(settings, threads, how)
            saved.result()
        return counted

    def rank(self, settings: SimilaritySettings, threads: int | None, how: str) -> Counted:
        """The similar titles by what is counted now."""
        found = self.sums.strongest(
            _order(self.ids), settings.neighbours, settings.shrinkage, settings.min_support, threads, self.beside
        )
        return Counted.of(found, self.ids, self.sums.with_lists(self.beside).count, how)

    def follow(self, batches: Batches, threads: int | None) -> int:
        """Count what has changed since; in how many batches it had. Raises `_Anew` where that is not possible."""
        wanted = batches.contents
        stale = [key for key, batch in self.batches.items() if wanted.get(key) != batch.content]
        new = [key for key in wanted if key not in self.batches or key in stale]
        changed = len({*new, *stale})
        if new and not stale:
            self.beside = self._few(batches, new)
            if self.beside is not None:
                return changed
        if changed > max(1, len(wanted) // 2):
            raise _Anew(f"{changed:,} of {len(wanted):,} batches are new or changed")
        try:
            for group in _groups((self._read_counted(key) for key in stale), _AT_ONCE):
                self.sums.take_away(Lists.together(group), threads)
        except ValueError as error:
            raise _Anew(f"what was kept does not fit together ({error})") from error
        for key in stale:
            del self.batches[key]
        self.count(batches, new, threads)
        return changed

    def _few(self, batches: Batches, keys: Iterable[str]) -> Lists | None:
        """The lists of these batches, where they are few and hold no title that is new; else None."""
        room = _FEW * self.sums.titles.count.sum()
        parts = []
        for key in keys:
            rows = batches[key].select("username", "anime_id", "rating").collect()
            room -= rows.height
            if room < 0 or not np.isin(rows["anime_id"].unique().to_numpy(), self.ids).all():
                return None
            parts.append(_lists(rows, self.ids))
        return Lists.together(parts)

    def count(self, batches: Batches, keys: Iterable[str], threads: int | None) -> None:
        """Add batches that are not counted yet, titles that are new at the end."""

        def lists() -> Iterator[Lists]:
            wanted = list(keys)
            read = one_ahead(batches[key].select("username", "anime_id", "rating") for key in wanted)
            for key, rows in zip(wanted, read, strict=True):
                # A batch that was written again meanwhile counts as what was read, under no name: next time it differs.
                content = batches.contents[key] if batches.is_unchanged(key) else ""
                strangers = np.setdiff1d(rows["anime_id"].unique().to_numpy(), self.ids)
                self.ids = np.concatenate([self.ids, strangers.astype(np.int32)])
                found = _lists(rows, self.ids)
                self.batches[key] = _Batch(content, self._write_counted(key, found))
                yield found

        for group in _groups(lists(), _AT_ONCE):
            self.sums.grow(len(self.ids))
            self.sums.add(Lists.together(group), threads)

    def _file(self, key: str, name: str) -> Path:
        return self.folder / f"{key}-{name}.lists"

    def _write_counted(self, key: str, lists: Lists) -> str:
        name = _name(lists)
        write_arrays(self._file(key, name), _LISTS, {}, [lists.entries, lists.starts])
        return name

    def _read_counted(self, key: str) -> Lists:
        name = self.batches[key].lists
        try:
            lists = Lists(*read_arrays(self._file(key, name), _LISTS)[1])
            if _name(lists) != name:
                raise ValueError("it is another batch's")
        except (ValueError, TypeError) as error:
            raise _Anew(f"what was counted of {key} is not known ({error})") from error
        return lists


def _name(lists: Lists) -> str:
    """What tells the lists of a batch from all others."""
    return f"{checksum(lists.entries)}-{checksum(lists.starts)}"


def _groups(parts: Iterator[Lists], size: int) -> Iterator[list[Lists]]:
    """The parts, some at a time: as many as hold about `size` ratings."""
    group: list[Lists] = []
    for part in parts:
        group.append(part)
        if sum(map(len, group)) >= size:
            yield group
            group = []
    if group:
        yield group


def _allowed(settings: SimilaritySettings) -> float:
    """Bytes that counting may take."""
    return settings.memory_gib * 2**30 if settings.memory_gib else 0.8 * memory_bytes()


def _by_raters(batches: Batches) -> tuple[IntArray, npt.NDArray[np.int64]]:
    """The titles and how many rated them, the most rated first (ties: the lower id)."""
    ids, raters = count_titles(batches[key] for key in batches.contents)
    order = by_popularity(raters)
    return ids[order], raters[order].astype(np.int64)


def _lists(rows: pl.DataFrame, ids: IntArray) -> Lists:
    """Rows of a batch with titles numbered as in `ids`, all of which are known there."""
    user = user_numbers(rows["username"])
    place = places_of(rows["anime_id"].to_numpy(), ids)
    rating = rows["rating"].cast(pl.Float32).to_numpy()
    n_users = int(user.max(initial=-1)) + 1
    return lists_of(Ratings(user, place, rating, n_users, len(ids)), np.arange(len(ids), dtype=np.int32))


def _order(ids: IntArray) -> IntArray:
    """Place → index among the ascending ids."""
    order = np.empty(len(ids), dtype=np.int32)
    order[np.argsort(ids, kind="stable")] = np.arange(len(ids), dtype=np.int32)
    return order
