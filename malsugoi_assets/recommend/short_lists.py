"""Why a list came out empty or goes by nothing, and which filters asked for nothing: what to tell somebody beside it.

What belongs here: which settings are at fault, by name. How they are called is a matter of who tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings

_MAY_LEAVE_NONE = (
    "only_planned",
    "next_in_series",
    "types",
    "states",
    "ages",
    "without_genres",
    "low_score",
)
"""The settings that never give way and may leave nothing; those that people change least last."""
_GOES_BY = {
    "types": ("type",),
    "states": ("status",),
    "ages": ("age_rating",),
    "first_year": ("aired_from",),
    "last_year": ("aired_from",),
    "least_score": ("score",),
    "least_members": ("members",),
    "least_episodes": ("episodes",),
    "most_episodes": ("episodes",),
    "least_minutes": ("episode_minutes",),
    "most_minutes": ("episode_minutes",),
    "least_hours": ("episode_minutes", "episodes"),
    "most_hours": ("episode_minutes", "episodes"),
}
"""The columns of `anime_features` that a filter needs."""


GOES_BY_NOTHING = "Nothing on this list is known to what ranks: these are titles that many know."


class AtFault(NamedTuple):
    """Names of settings; `each`: whether to leave out any one of them does, else all have to go."""

    settings: tuple[str, ...]
    each: bool


def at_fault(leaves_some: Callable[[RecommendationSettings], bool], settings: RecommendationSettings) -> AtFault:
    """Which settings left nothing, where `settings` did; none where without them nothing is left either.

    `leaves_some`: whether by these settings there is a title.
    """
    usual = RecommendationSettings()
    asked = [name for name in _MAY_LEAVE_NONE if getattr(settings, name) != getattr(usual, name)]

    def without(*names: str) -> bool:
        return leaves_some(settings.model_copy(update={name: getattr(usual, name) for name in names}))

    if alone := [name for name in asked if without(name)]:
        return AtFault(tuple(alone), each=True)
    return AtFault(tuple(asked) if asked and without(*asked) else (), each=False)


def goes_by_nothing(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether popularity alone made the list (`score` and `because` of its rows): one score for all, and no reason."""
    return len(rows) > 1 and len({row["score"] for row in rows}) == 1 and not any(row["because"] for row in rows)


def without_effect(features: pl.DataFrame, settings: RecommendationSettings) -> list[str]:
    """The filters asked for that go by what the catalogue knows of no title, and so keep none out."""
    usual = RecommendationSettings()
    return [
        name
        for name, columns in _GOES_BY.items()
        if getattr(settings, name) != getattr(usual, name)
        and any(column not in features.columns or not features[column].count() for column in columns)
    ]
