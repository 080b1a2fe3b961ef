"""What the sensors decide: each batch once, failures bounded, nothing predicted from models that are being learnt.

The event of a discovery only rings; three discoveries may ring once. So everything is decided from the state.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from malsugoi_assets.automation.decisions import (
    MOST_ATTEMPTS,
    batches_to_predict,
    batches_to_read,
    batches_to_read_again,
    builds_to_measure,
    contiguous,
    held_up,
    jobs_to_learn,
    jobs_to_repeat,
    unseen,
)
from malsugoi_assets.automation.state import BatchState, State

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B, C = "batch-000000", "batch-000001", "batch-000002"


def state(*batches: BatchState, **changes: object) -> State:
    settled = State(batches, NOON, frozenset(), {}, (), {"collaborative_filtering": 0.0, "deep_model": 0.0}, 100)
    return replace(settled, **changes)  # type: ignore[arg-type]


def done(key: str) -> BatchState:
    return BatchState(key, True, True)


def unread(key: str) -> BatchState:
    return BatchState(key, False, False)


def stale(key: str) -> BatchState:
    return BatchState(key, True, False)


def test_every_batch_without_lists_is_read_however_many_discoveries_rang() -> None:
    assert batches_to_read(state(done(A), unread(B), unread(C))) == [B, C]


def test_a_batch_in_flight_is_not_requested_twice() -> None:
    assert batches_to_read(state(unread(A), unread(B), under_way=frozenset({("user_batch", A)}))) == [B]


def failed(times: int, before: timedelta) -> tuple[datetime, ...]:
    """So many failures an hour apart, the last one `before` noon."""
    return tuple(NOON - before - timedelta(hours=n) for n in range(times))


def test_a_batch_that_failed_is_tried_again_but_not_for_ever() -> None:
    long_ago = timedelta(days=1)
    failures = {("user_batch", A): failed(1, long_ago), ("user_batch", B): failed(MOST_ATTEMPTS, long_ago)}
    assert batches_to_read_again(state(unread(A), unread(B), unread(C), failures=failures)) == [A]


def test_what_fails_again_and_again_is_tried_less_and_less_often() -> None:
    """A site that was away for an hour used up all attempts within two minutes, and the batch waited for a person."""

    def again(times: int, minutes: float) -> bool:
        failures = {("user_batch", A): failed(times, timedelta(minutes=minutes))}
        return batches_to_read(state(unread(A), failures=failures)) == [A]

    assert again(1, 0)
    assert (again(2, 4), again(2, 5)) == (False, True)
    assert (again(3, 29), again(3, 30)) == (False, True)
    assert (again(5, 359), again(5, 360)) == (False, True)
    assert not again(6, 100_000)


def test_a_discovery_that_failed_is_repeated() -> None:
    """Killed between finding users and registering their batches, it left them waiting for the next day."""
    target = ("discover_users", "")
    cut_off = {target: failed(1, timedelta(minutes=1))}
    assert jobs_to_repeat(state(done(A))) == []
    assert jobs_to_repeat(state(done(A), failures=cut_off)) == ["discover_users"]
    assert jobs_to_repeat(state(done(A), failures=cut_off, under_way=frozenset({target}))) == []


def test_lists_that_older_code_made_are_read_again_without_a_ring_and_predicted_after_that() -> None:
    """A column that was added to `user_lists` stayed NULL for good, since only what depends on the lists was looked at."""
    old = BatchState(B, True, False, is_outdated=True)
    assert batches_to_read_again(state(done(A), old, unread(C))) == [B]
    assert batches_to_read(state(done(A), old, unread(C))) == [C], "two sensors would else ask for the same"
    assert jobs_to_learn(state(done(A), old, unseen_share={"deep_model": 1.0})) == []
    assert batches_to_predict(state(stale(A), old)) == [A]


def test_what_failed_and_rests_is_named_with_its_hour() -> None:
    """The sensor said that everything was made while a discovery waited to be repeated."""
    discovery, list_of_a = ("discover_users", ""), ("user_batch", A)
    failures = {discovery: failed(2, timedelta(minutes=1)), list_of_a: failed(MOST_ATTEMPTS, timedelta(days=1))}
    assert held_up(state(unread(A), failures=failures)) == [
        "discover_users failed 2 times in a row: again at 12:04 UTC",
        "user_batch batch-000000 failed 6 times in a row: look at its last run, and run it by hand",
    ]
    assert len(held_up(state(unread(A), failures=failures), "user_batch")) == 1
    assert held_up(state(done(A), failures={list_of_a: failures[list_of_a]})) == [], "its lists are there"
    assert held_up(state(failures=failures, under_way=frozenset({discovery}))) == []


def test_ratings_that_are_too_few_to_learn_again_for_are_named() -> None:
    share = {"collaborative_filtering": 0.0125, "deep_model": 0.0}
    assert unseen(state(done(A), unseen_share=share)) == [
        "collaborative_filtering has not seen 1.2 % of the ratings, and learns again from 10 % on"
    ]


def test_predictions_wait_for_the_models() -> None:
    assert batches_to_predict(state(stale(A), missing_models=("dnn_model",))) == []
    assert batches_to_predict(state(stale(A), under_way=frozenset({("deep_model", "")}))) == []
    assert batches_to_predict(state(stale(A), done(B), unread(C))) == [A]


def test_predictions_wait_for_a_list_that_is_being_read() -> None:
    assert batches_to_predict(state(stale(A), stale(B), under_way=frozenset({("user_batch", A)}))) == [B]


def test_models_are_learnt_again_when_enough_is_new_and_nothing_more_is_coming() -> None:
    much = {"collaborative_filtering": 0.2, "deep_model": 0.05}
    assert jobs_to_learn(state(done(A), unseen_share=much)) == ["collaborative_filtering"]
    assert jobs_to_learn(state(done(A), unseen_share=much, under_way=frozenset({("user_batch", B)}))) == []
    assert jobs_to_learn(state(done(A), unread(B), unseen_share=much)) == []
    assert jobs_to_learn(state(unseen_share={"deep_model": 1.0}, ratings=0)) == []


def test_ranges_follow_the_order_of_registration() -> None:
    assert contiguous([A, C, B], [A, B, C]) == [(A, C)]
    assert contiguous([A, B], [C, A, B]) == [(A, B)]
    assert contiguous([A, C], [A, B, C]) == [(A, A), (C, C)]


def test_another_network_than_the_measured_one_is_measured_once_nobody_is_at_it_or_about_to_learn() -> None:
    assert builds_to_measure(state(unmeasured_build=True))
    assert not builds_to_measure(state())
    assert not builds_to_measure(state(unmeasured_build=True, under_way=frozenset({("deep_model", "")})))
    assert not builds_to_measure(state(unmeasured_build=True, unseen_share={"deep_model": 0.5}))
