"""The schedules, off until somebody switches them on."""

from __future__ import annotations

import dagster as dg

from malsugoi_assets.automation.jobs import JOBS

SCHEDULES = [
    dg.ScheduleDefinition(
        name="daily_discovery",
        job=JOBS["discover_users"],
        cron_schedule="0 4 * * *",
        description="New users every night; the sensors do the rest.",
    ),
    dg.ScheduleDefinition(
        name="weekly_catalogue",
        job=JOBS["catalogue"],
        cron_schedule="0 3 * * 1",
        description="The catalogue every Monday: what is not fresh is fetched again.",
    ),
]
