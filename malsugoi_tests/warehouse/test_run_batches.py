"""Which batches a run works on: any string may come as a key, and a range backwards ran as a success without work."""

from __future__ import annotations

import pytest

from malsugoi_assets.warehouse.run_batches import BatchError, batches_of, named_batches

A, B, C, D = (f"batch-00000{n}" for n in range(4))
FIRST, LAST = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def test_one_batch_or_a_range_of_them() -> None:
    assert batches_of({"dagster/partition": B}, [A, B, C], [A, B, C]) == [B]
    assert batches_of({FIRST: A, LAST: C}, [A, B, C], [A, B, C]) == [A, B, C]


def test_ranges_follow_the_order_of_registration_and_come_sorted() -> None:
    """Batches that were registered out of order: the range from 2 to 1 holds all three."""
    assert batches_of({FIRST: C, LAST: B}, [C, A, B], [A, B, C]) == [A, B, C]


def test_the_first_batch_may_be_empty_since_a_new_instance_has_it() -> None:
    assert batches_of({"dagster/partition": A}, [A], []) == [A]


def test_a_batch_that_another_instance_registered_says_what_is_missing() -> None:
    """Without DAGSTER_HOME each `dagster job execute` forgot what the one before had registered: "discover users first"."""
    with pytest.raises(BatchError, match=r"has users, and is not registered in this instance .* DAGSTER_HOME"):
        batches_of({"dagster/partition": B}, [A], [A, B])


@pytest.mark.parametrize(
    ("tags", "sentence"),
    [
        ({}, "name one partition, e.g. batch-000000"),
        ({"dagster/partition": ""}, "'' is not a batch of users"),
        ({"dagster/partition": "../../x"}, "'../../x' is not a batch of users"),
        ({"dagster/partition": "batch-1"}, "'batch-1' is not a batch of users"),
        ({"dagster/partition": f"{A}\n"}, "is not a batch of users"),
        ({"dagster/partition": D}, "'batch-000003' is not registered"),
        ({"dagster/partition": C}, "'batch-000002' has no users"),
        ({FIRST: B, LAST: A}, "The range of partitions is empty: batch-000001 comes after batch-000000"),
        ({FIRST: A, LAST: D}, "'batch-000003' is not registered"),
        ({FIRST: A, LAST: C}, "'batch-000002' has no users"),
    ],
)
def test_a_key_that_is_not_ours_is_named_in_one_sentence(tags: dict[str, str], sentence: str) -> None:
    with pytest.raises(BatchError) as refused:
        batches_of(tags, [A, B, C], [A, B])
    assert sentence in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_half_a_range_is_one_batch() -> None:
    assert named_batches({FIRST: A}) == (A, A)
    assert named_batches({LAST: B}) == (B, B)
    assert named_batches({}) is None
