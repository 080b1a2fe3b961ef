"""What the assets that learn from lists have in common."""

import polars as pl


def not_merely_planned(user_lists: pl.LazyFrame) -> pl.LazyFrame:
    """List rows but those that are planned and not rated."""
    return user_lists.filter((pl.col("status") != "plan_to_watch").fill_null(True) | pl.col("score").is_not_null())
