"""Measures of ranked lists in every segment, over the users with at least one relevant hidden title."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from malsugoi_assets.evaluation import metrics
from malsugoi_assets.evaluation.intervals import Numbers, resampled_totals
from malsugoi_assets.evaluation.results import Difference, Mask, Result, Sample, buckets
from malsugoi_assets.recommend.ratings import IntArray, Ratings


@dataclass(frozen=True)
class Rankings:
    """The first titles of each user by each model, and what they are held against.

    `users`: int32 (n,), those with a relevant title; `relevant`: CSR (n_users, n_items), the hidden titles that count;
    `tops`: model → int64 (n, metrics.DEPTH), titles best first, -1 = none left; `marks`: segment → mask (n,);
    `franchise`: a number a title, the same for titles of one franchise, int64 (n_items,).
    """

    users: IntArray
    relevant: sp.csr_matrix
    learnt: Ratings
    marks: dict[str, Mask]
    tops: dict[str, npt.NDArray[np.int64]]
    seconds: dict[str, float]
    franchise: npt.NDArray[np.int64]


def judge_rankings(rankings: Rankings, *, protocol: str, seed: int = 0) -> list[Result]:
    """The metrics of `metrics.RANKINGS`, novelty, variety and coverage, in each segment of users and of titles.

    A segment of titles counts only the relevant titles of its kind; the last three have no meaning there.
    """
    learnt, users = rankings.learnt, rankings.users
    listed = np.bincount(learnt.item, minlength=learnt.n_items)
    novelty = -np.log2((listed + 1) / (learnt.n_users + 1))
    everybody = np.ones(len(users), dtype=np.bool_)
    entries = np.bincount(learnt.user, minlength=learnt.n_users)[users]
    results = []
    for segment, chosen in ({"all": everybody} | rankings.marks | buckets("history", entries)).items():
        sought = _sought(rankings, np.ones(learnt.n_items, dtype=np.bool_))
        results += _judge(rankings, sought, chosen, segment, protocol, novelty, seed)
    support = np.bincount(learnt.rated.item, minlength=learnt.n_items)
    for segment, titles in buckets("title", support).items():
        results += _judge(rankings, _sought(rankings, titles), everybody, segment, protocol, None, seed)
    return results


def _sought(rankings: Rankings, titles: Mask) -> list[npt.NDArray[np.int32]]:
    """Each user's relevant titles among `titles`."""
    starts = rankings.relevant.indptr
    own = [rankings.relevant.indices[starts[user] : starts[user + 1]] for user in rankings.users]
    return [items[titles[items]] for items in own]


def _judge(
    rankings: Rankings,
    sought: list[npt.NDArray[np.int32]],
    chosen: Mask,
    segment: str,
    protocol: str,
    novelty: Numbers | None,
    seed: int,
) -> list[Result]:
    """The measures over those chosen users who seek anything."""
    places = [place for place in np.flatnonzero(chosen) if len(sought[place])]
    sample = Sample(protocol, segment, len(places), len(places), rankings.seconds)
    measures = (*metrics.RANKINGS, *(("novelty@10", "variety@10") if novelty is not None else ()))
    if not places:
        reason = "no user with a relevant title in this segment"
        return [sample.nothing(name, measure, reason) for name in rankings.tops for measure in measures]
    columns = [np.ones((len(places), 1))]
    for best in rankings.tops.values():
        columns.append(
            np.array(
                [metrics.ranking_metrics(np.isin(best[p][best[p] >= 0], sought[p]), len(sought[p])) for p in places]
            )
        )
        if novelty is not None:
            ten = best[places][:, :10]
            there = ten >= 0
            columns.append((np.where(there, novelty[ten], 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))[:, None])
            columns.append(_variety(rankings.franchise, ten)[:, None])
    table = np.concatenate(columns, axis=1)
    width = len(measures)
    values, draws = (
        {
            name: {m: totals[..., 1 + k * width + j] / totals[..., 0] for j, m in enumerate(measures)}
            for k, name in enumerate(rankings.tops)
        }
        for totals in (table.sum(axis=0), resampled_totals(table, seed))
    )
    results = sample.figures(measures, values, draws)
    if novelty is not None:
        results += _coverage(
            sample, {name: best[places][:, :10] for name, best in rankings.tops.items()}, len(novelty)
        )
    return results


def _variety(franchise: npt.NDArray[np.int64], ten: npt.NDArray[np.int64]) -> Numbers:
    """For each user the franchises among the titles of `ten` (-1 = none) as a share of the titles."""
    own = [np.unique(franchise[row[row >= 0]]).size / max(int((row >= 0).sum()), 1) for row in ten]
    return np.array(own, dtype=np.float64)


def _coverage(sample: Sample, shown: Mapping[str, npt.NDArray[np.int64]], n_items: int) -> list[Result]:
    """The share of all titles that stand in anybody's first ten: of the users together, so it has no interval."""
    share = {name: len(np.unique(first[first >= 0])) / n_items for name, first in shown.items()}
    results = []
    for name in share:
        found = sample.result(name, "coverage@10", share[name], (None, None))
        found.paired.update({o: Difference(share[name] - share[o], None, None) for o in share if o != name})
        results.append(found)
    return results
