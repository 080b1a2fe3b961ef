"""What should run next, decided from what there is. Pure functions: no instance, no files, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from malsugoi_assets.automation.state import State, Target

RESTS = (timedelta(0), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=6))
"""How long to wait after the first, second, … failed run in a row; a site may be away for hours."""
MOST_ATTEMPTS = len(RESTS) + 1
"""Runs for one thing that may fail in a row before a person has to look."""
RELEARN_SHARE = 0.1
"""The share of ratings that a model has not seen from which it is learnt again."""


def may_run(state: State, target: Target) -> bool:
    """Whether nobody is at it, and it has not just failed, or failed too often."""
    failures = state.failures.get(target, ())
    if target in state.under_way or len(failures) >= MOST_ATTEMPTS:
        return False
    return not failures or state.now - max(failures) >= RESTS[len(failures) - 1]


def batches_to_read(state: State) -> list[str]:
    """Batches without lists that nobody is reading; those that failed too often wait for a person."""
    return [
        batch.key
        for batch in state.batches
        if not batch.has_lists and not batch.is_outdated and may_run(state, ("user_batch", batch.key))
    ]


def batches_to_read_again(state: State) -> list[str]:
    """Those that no discovery rings for: what failed to be read, and lists that older code made."""
    return [
        batch.key
        for batch in state.batches
        if (batch.is_outdated or (not batch.has_lists and state.failures.get(("user_batch", batch.key))))
        and may_run(state, ("user_batch", batch.key))
    ]


def jobs_to_repeat(state: State) -> list[str]:
    """A discovery whose run failed: without another, its new users would wait for the next day's."""
    target = ("discover_users", "")
    return ["discover_users"] if state.failures.get(target) and may_run(state, target) else []


def jobs_to_learn(state: State) -> list[str]:
    """Learning jobs whose ratings changed enough, once no batch is being read or waits to be."""
    waiting = batches_to_read(state) or batches_to_read_again(state)
    if state.ratings == 0 or waiting or any(job == "user_batch" for job, _ in state.under_way):
        return []
    return [job for job, share in state.unseen_share.items() if share >= RELEARN_SHARE and may_run(state, (job, ""))]


def builds_to_measure(state: State) -> bool:
    """Whether `dnn_metrics` alone is to be made anew: the network stands, and is another one than was measured."""
    return state.unmeasured_build and "deep_model" not in jobs_to_learn(state) and may_run(state, ("deep_model", ""))


def batches_to_predict(state: State) -> list[str]:
    """Batches with lists whose predictions are not made from what there is now. None while models are being learnt."""
    busy = {job for job, _ in state.under_way}
    if state.missing_models or busy & {"collaborative_filtering", "deep_model"}:
        return []
    return [
        batch.key
        for batch in state.batches
        if batch.has_lists
        and not batch.is_outdated
        and not batch.is_predicted
        and ("user_batch", batch.key) not in state.under_way
        and may_run(state, ("batch_predictions", batch.key))
    ]


def held_up(state: State, *jobs: str) -> list[str]:
    """What is wanted of these jobs (none: of all) and failed too often to be tried right now, each in words with what to do."""
    wanted: list[Target] = [("discover_users", "")]
    wanted += [("user_batch", batch.key) for batch in state.batches if not batch.has_lists or batch.is_outdated]
    wanted += [(job, "") for job, share in state.unseen_share.items() if share >= RELEARN_SHARE]
    wanted += [
        ("batch_predictions", batch.key) for batch in state.batches if batch.has_lists and not batch.is_predicted
    ]
    found = []
    for target in wanted:
        failures = state.failures.get(target, ())
        if not failures or target in state.under_way or may_run(state, target) or (jobs and target[0] not in jobs):
            continue
        name = " ".join(filter(None, target))
        times = f"{name} failed {len(failures)} times in a row"
        if len(failures) >= MOST_ATTEMPTS:
            found.append(f"{times}: look at its last run, and run it by hand")
        else:
            found.append(f"{times}: again at {max(failures) + RESTS[len(failures) - 1]:%H:%M} UTC")
    return found


def unseen(state: State) -> list[str]:
    """Learning jobs with ratings that they have not seen, too few to learn again for, in words."""
    return [
        f"{job} has not seen {100 * share:.2g} % of the ratings, and learns again from {100 * RELEARN_SHARE:.0f} % on"
        for job, share in state.unseen_share.items()
        if 0 < share < RELEARN_SHARE
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
