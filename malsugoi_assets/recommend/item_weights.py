"""Which ranking weights are learnt of a set of lists, by its measured size: EASE's and SLIM's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from malsugoi_assets.recommend.ease import (
    EaseSettings,
    ItemWeights,
    ease_memory_gib,
    ease_top_of,
    most_of,
    need_memory,
)
from malsugoi_assets.recommend.ratings import IntArray, Ratings
from malsugoi_assets.recommend.slim import SlimSettings, slim_memory_gib, slim_top_of


class ItemWeightsSettings(EaseSettings):
    """How the ranking weights are learnt: EASE's settings, and SLIM's where they differ."""

    slim: bool = Field(True, description="Learn SLIM's weights too; the recommendations prefer them.")
    slim_lasso: float = Field(2.0, ge=0, description="λ₁ of SLIM: the larger, the fewer titles have a weight.")
    slim_ridge: float = Field(20.0, ge=0, description="λ₂ of SLIM: how strongly weights are drawn to zero.")
    slim_candidates: int = Field(400, ge=1, description="Titles that may have a weight for a title, by SLIM.")

    @property
    def for_slim(self) -> SlimSettings:
        """What SLIM takes of them."""
        return SlimSettings(
            liked=self.liked,
            liked_from=self.liked_from,
            lasso=self.slim_lasso,
            ridge=self.slim_ridge,
            candidates=self.slim_candidates,
            max_titles=self.max_titles,
            memory_gib=self.memory_gib,
        )


@dataclass(frozen=True)
class LearntWeights:
    """`weights`: by method, the one to prefer last; `left_out`: in words, what was not learnt and why ('' = nothing).

    `gib_needed`: the memory of the dense matrices, the largest of the methods' learnt, in GiB.
    """

    weights: dict[str, ItemWeights]
    left_out: str
    gib_needed: float


def learn_item_weights(
    listed: IntArray, lists: Iterable[Ratings], settings: ItemWeightsSettings | None = None
) -> LearntWeights:
    """EASE's weights and SLIM's; one whose matrices would not fit `memory_gib` is left out, and it says so.

    `listed`: on how many lists each title stands; `lists`: all of them, some users at a time, read once. SLIM needs a
    quarter of EASE's memory. Raises MemoryError, before any work, where neither fits.
    """
    from malsugoi_assets.recommend.co_listing import CoListing  # compiled code takes a moment to load

    settings = settings or ItemWeightsSettings()
    chosen = most_of(listed, settings.max_titles)
    n_titles = len(chosen)
    ease, slim = ease_memory_gib(n_titles), slim_memory_gib(n_titles)
    weights: dict[str, ItemWeights] = {}
    left_out, needed = "", 0.0
    need_memory("Ranking weights", n_titles, min(ease, slim), settings.memory_gib)
    counted = CoListing(listed, chosen, settings.liked, settings.liked_from)
    for part in lists:
        counted.add(part)
    gram = counted.gram()
    del counted
    if ease <= settings.memory_gib or not settings.slim or slim > settings.memory_gib:
        own = EaseSettings.model_validate(settings.model_dump(include=set(EaseSettings.model_fields)))
        weights["ease"], needed = ease_top_of(chosen, gram, own), ease
    else:
        left_out = f"ease: needs {ease:.1f} GiB, {settings.memory_gib:g} are allowed"
    if settings.slim:
        weights["slim"], needed = slim_top_of(chosen, gram, settings.for_slim), max(needed, slim)
    return LearntWeights(weights, left_out, needed)
