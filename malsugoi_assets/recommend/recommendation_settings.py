"""The recommendation list's settings. Apart from `recommendations`, so that reading them costs nothing."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RecommendationSettings(BaseModel):
    """Which titles may stand on a list, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(20, ge=1, le=1_000, description="Titles a user.")
    per_franchise: int = Field(1, ge=1, description="At most so many of one franchise.")
    reasons: int = Field(3, ge=0, le=20, description="Entries of the own list named as reasons, at most.")
    adult: bool = Field(False, description="Recommend titles rated Rx too.")
    planned: bool = Field(False, description="Recommend titles that the user already plans to watch.")
    low_score: int = Field(
        4, ge=1, le=10, description="A franchise with an entry scored this or lower is left alone."
    )
