"""Which held-out ratings belong together: cold users and titles, the title's year, the level of the rating.

Masks over the targets, by name. Those by what could be learnt of user and title (`history`, `title`) stand with the
errors, since `malsugoi evaluate` has them too; these here are of the pipeline's hold-out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.evaluation.hold_out import HoldOut
from malsugoi_assets.evaluation.judge_errors import learnt_around
from malsugoi_assets.evaluation.results import Mask
from malsugoi_assets.recommend.items import Items

COLD = 5
"""A user, or a title, of whom fewer ratings could be learnt is called cold."""
YEARS = (1900, 2000, 2005, 2010, 2015, 2020)
LEVELS = ((1, 4), (5, 6), (7, 8), (9, 10))


def hold_out_segments(held: HoldOut) -> dict[str, Mask]:
    """All the segments of the module's subject."""
    history, support = learnt_around(held.train, held.user, held.item)
    year = title_years(held.items)[held.item]
    return {
        "cold users": history < COLD,
        "cold titles": support < COLD,
        **_by_year(year),
        **{f"rating {low}-{high}": (held.rating >= low) & (held.rating <= high) for low, high in LEVELS},
    }


def title_years(items: Items) -> npt.NDArray[np.int64]:
    """The year in which each title began to be shown, from its date, else its season; 0 = not known."""
    season = pl.col("season").str.extract(r"(\d{4})$").cast(pl.Int32)
    year = items.features.select(year=pl.coalesce(pl.col("aired_from").dt.year(), season).fill_null(0))["year"]
    return year.to_numpy().astype(np.int64)


def _by_year(year: npt.NDArray[np.int64]) -> dict[str, Mask]:
    found = {"unknown year": year == 0}
    for low, following in zip(YEARS, (*YEARS[1:], None), strict=True):
        name = f"year {low}+" if following is None else f"year {low}-{following - 1}"
        found[name] = (year >= low) & (year < (following or np.inf))
    return found
