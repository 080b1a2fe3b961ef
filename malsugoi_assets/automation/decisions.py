"""What should run next, decided from what there is. Pure functions: no instance, no files, no clock."""

from __future__ import annotations

from collections.abc import Sequence

from malsugoi_assets.automation.state import State

MOST_ATTEMPTS = 4
"""Runs of one batch that may fail in a row before a person has to look."""
RELEARN_SHARE = 0.1
"""The share of ratings that a model has not seen from which it is learnt again."""


def batches_to_read(state: State, *, failed_only: bool = False) -> list[str]:
    """Batches without lists that nobody is reading; those that failed too often wait for a person."""
    return [
        batch.key
        for batch in state.batches
        if not batch.has_lists
        and ("user_batch", batch.key) not in state.under_way
        and state.failures.get(("user_batch", batch.key), 0) < MOST_ATTEMPTS
        and (not failed_only or state.failures.get(("user_batch", batch.key), 0) > 0)
    ]


def jobs_to_learn(state: State) -> list[str]:
    """Learning jobs whose ratings changed enough, once no batch is being read or waits to be."""
    if state.ratings == 0 or batches_to_read(state) or any(job == "user_batch" for job, _ in state.under_way):
        return []
    return [
        job
        for job, share in state.unseen_share.items()
        if share >= RELEARN_SHARE
        and (job, "") not in state.under_way
        and state.failures.get((job, ""), 0) < MOST_ATTEMPTS
    ]


def batches_to_predict(state: State) -> list[str]:
    """Batches with lists whose predictions are not made from what there is now. None while models are being learnt."""
    busy = {job for job, _ in state.under_way}
    if state.missing_models or busy & {"collaborative_filtering", "deep_model"}:
        return []
    return [
        batch.key
        for batch in state.batches
        if batch.has_lists
        and not batch.is_predicted
        and not {("user_batch", batch.key), ("batch_predictions", batch.key)} & state.under_way
        and state.failures.get(("batch_predictions", batch.key), 0) < MOST_ATTEMPTS
    ]


def contiguous(keys: Sequence[str], registered: Sequence[str]) -> list[tuple[str, str]]:
    """The keys as ranges (first, last) in the order of registration, since one run may take a range."""
    places = sorted(registered.index(key) for key in keys)
    ranges: list[tuple[int, int]] = []
    for place in places:
        if ranges and ranges[-1][1] == place - 1:
            ranges[-1] = (ranges[-1][0], place)
        else:
            ranges.append((place, place))
    return [(registered[first], registered[last]) for first, last in ranges]
