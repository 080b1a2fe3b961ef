"""What one user's list says about what to recommend: the listed, the seen, the planned, the franchises to leave alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import polars as pl

from malsugoi_assets.recommend.franchises import NOTHING_PASSED, Franchises, Passed
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings

_FEW_ROWS = 10_000
_SEEN = {"completed", "watching", None}


@dataclass(frozen=True)
class Person:
    """`listed`: id → title as the list shows it, None where it shows ids alone; sets of ids, and of franchises.

    `passed`: what was not seen though it comes before something that was; `liked`: franchises with an entry that was completed and not scored low; `disliked`: titles that were dropped or
    scored low; `shunned`: franchises to leave alone, each with the entry that spoke against it.
    """

    username: str
    listed: dict[int, str | None]
    seen: set[int]
    planned: set[int]
    liked: set[int]
    disliked: set[int]
    shunned: dict[int, int]
    passed: Passed = NOTHING_PASSED

    def worth_naming(self, reasons: list[tuple[int, float]]) -> list[tuple[int, float]]:
        """Without what was dropped or scored low: also that adds to scores, but nobody watches a title because of it."""
        return [reason for reason in reasons if reason[0] not in self.disliked]


def people(lists: pl.DataFrame, franchises: Franchises, settings: RecommendationSettings) -> Iterator[Person]:
    """Everybody with a row in `lists` (username, anime_id, title, score, status), by name.

    Seen is what is completed, being watched, scored, or of no known status; a franchise is shunned for an entry that was
    dropped or scored `low_score` or less, under `forgiving` only where as many were as were completed or scored higher.
    """
    for username, rows in _by_name(lists):
        person = Person(username, {}, set(), set(), set(), set(), {})
        balance: Counter[int] = Counter()
        for _, anime_id, title, score, status in rows:
            person.listed[anime_id] = title
            if status == "plan_to_watch" and score is None:
                person.planned.add(anime_id)
                continue
            franchise = franchises.franchise(anime_id)
            if status in _SEEN or score is not None:
                person.seen.add(anime_id)
            if status == "dropped" or (score is not None and score <= settings.low_score):
                person.disliked.add(anime_id)
                person.shunned.setdefault(franchise, anime_id)
                balance[franchise] -= 1
            elif status in ("completed", None) or score is not None:
                person.liked.add(franchise)
                balance[franchise] += 1
        if settings.forgiving:
            for franchise in [franchise for franchise in person.shunned if balance[franchise] > 0]:
                del person.shunned[franchise]
        yield replace(person, passed=franchises.passed_over(person.seen))


def _by_name(lists: pl.DataFrame) -> Iterator[tuple[str, Iterator[tuple[Any, ...]]]]:
    """The rows (username, anime_id, title, score, status) of each user, by name and id."""
    columns = ("username", "anime_id", "title", "score", "status")
    if lists.height <= _FEW_ROWS:
        # A query over so few rows costs more than to sort them here.
        rows = sorted(zip(*(lists[name].to_list() for name in columns), strict=True), key=itemgetter(0, 1))
        yield from groupby(rows, key=itemgetter(0))
        return
    ordered = lists.sort("username", "anime_id").select(columns)
    for (username,), own in ordered.group_by("username", maintain_order=True):
        yield str(username), own.iter_rows()


def not_merely_planned() -> pl.Expr:
    """Which list rows say that somebody knows the title: all but those that are planned and not scored."""
    return (pl.col("status") != "plan_to_watch").fill_null(True) | pl.col("score").is_not_null()


def counting(lists: pl.DataFrame, settings: RecommendationSettings) -> pl.DataFrame:
    """The rows that add to scores: not what is merely planned; under `likes_only` not what was dropped or scored low."""
    if lists.height <= _FEW_ROWS:
        pairs = enumerate(zip(lists["score"].to_list(), lists["status"].to_list(), strict=True))
        counted = [place for place, (score, status) in pairs if _counts(score, status, settings)]
        return lists if len(counted) == lists.height else lists[counted]
    kept = not_merely_planned()
    if settings.likes_only:
        kept &= (pl.col("score") >= settings.liked_from).fill_null(True)
        kept &= (pl.col("status") != "dropped").fill_null(True)
    return lists.filter(kept)


def _counts(score: int | None, status: str | None, settings: RecommendationSettings) -> bool:
    """As `counting`, of one row."""
    known = status != "plan_to_watch" or score is not None
    disliked = status == "dropped" or (score is not None and score < settings.liked_from)
    return known and not (settings.likes_only and disliked)


def with_seen(lists: pl.DataFrame, features: pl.DataFrame, username: str, seen: Iterable[int]) -> pl.DataFrame:
    """One person's list with what was marked as seen: completed, also where it stands there as a plan."""
    marked = features.filter(pl.col("anime_id").is_in(sorted(seen))).select(
        pl.lit(username).alias("username"),
        "anime_id",
        "title",
        pl.lit(None, dtype=lists.schema["score"]).alias("score"),
        pl.lit("completed").alias("status"),
    )
    own = lists.join(marked, on="anime_id", how="left", suffix="_marked", maintain_order="left").select(
        "username", "anime_id", "title", "score", pl.coalesce("status_marked", "status").alias("status")
    )
    return pl.concat([own, marked.join(lists, on="anime_id", how="anti")])
