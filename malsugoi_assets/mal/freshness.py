"""How long what we have is good for, as settings and as decisions about stored records. No request, no clock."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.mal.store import ListOutcome, StoredPage

AIRING = "airing"
"""The note on a stored anime page whose figures and episodes still change."""

GONE = (404, 410)


class SiteSettings(BaseModel):
    """How often the site is asked again, and when a flow gives up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    airing_title_days: float = Field(3, ge=0, description="A title that airs or is announced is fetched again after.")
    finished_title_days: float = Field(60, ge=0, description="A finished title is fetched again after.")
    ranking_days: float = Field(1, ge=0, description="The ranking is walked again after.")
    discovery_days: float = Field(1, ge=0, description="The user search counts as up to date for.")
    list_days: float = Field(30, ge=0, description="A list, also an empty one, is fetched again after.")
    closed_list_days: float = Field(90, ge=0, description="A private or missing list is asked for again after.")
    resume_hours: float = Field(
        6, ge=0, description="Pages of an interrupted walk or list are used again for so long."
    )
    ranking_passes: int = Field(3, ge=1, le=10, description="Walks of the ranking, at most, while it moves under us.")
    lowest_age: int = Field(18, ge=0, le=120, description="Youngest users looked for where a search is capped.")
    highest_age: int = Field(90, ge=0, le=120, description="Oldest users looked for where a search is capped.")
    failures_in_a_row: int = Field(3, ge=1, description="A flow stops after so many pages that the site refused.")


def age_days(moment: datetime, now: datetime) -> float:
    """Days from `moment` to `now`."""
    return (now - moment) / timedelta(days=1)


def title_is_due(page: StoredPage | None, settings: SiteSettings, now: datetime) -> bool:
    """Whether a detail page should be fetched, given its newest record: errors always, 404s and pages by age."""
    if page is None:
        return True
    if not page.good:
        return page.http_status not in GONE or age_days(page.fetched_at, now) >= settings.finished_title_days
    limit = settings.airing_title_days if page.note == AIRING else settings.finished_title_days
    return age_days(page.fetched_at, now) >= limit


def list_is_due(outcome: ListOutcome | None, settings: SiteSettings, now: datetime) -> bool:
    """Whether a list should be fetched, given its last outcome: whatever failed last time always is."""
    if outcome is None or outcome.list_status == "error":
        return True
    closed = outcome.list_status in ("private", "missing")
    # A closed list has its reason where others have none; there a later visit that failed shows by its time.
    if outcome.error is not None and not (closed and outcome.tried_at == outcome.fetched_at):
        return True
    return age_days(outcome.tried_at, now) >= (settings.closed_list_days if closed else settings.list_days)
