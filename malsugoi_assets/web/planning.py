"""The recommendations as a file that MyAnimeList imports: what is shown becomes a plan to watch."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from malsugoi_assets.mal.plan_export import PlannedTitle, invented_titles, write_plan
from malsugoi_assets.web.asking import asked_of, kept_or_made, wanted
from malsugoi_assets.web.problems import Problem
from malsugoi_assets.web.recommending import answer_key, recommendations

PATH = "/recommendations/plan.xml"
# The file's name is ours whatever the list or the address says; it is nothing to look at in the browser.
_HEADERS = {"Content-Disposition": 'attachment; filename="plan-to-watch.xml"'}


async def plan(request: Request) -> Response:
    """The recommendations of the same address's filters, without the titles that have no id of the site.

    `Problem` (409) where all titles are invented.
    """
    if not request.app.state.real_titles:
        raise Problem(409, f"{invented_titles(request.app.state.settings.root)}.")
    knowledge, person, settings = await asked_of(request, wanted)

    def write() -> bytes:
        shown = [item.anime for item in recommendations(knowledge, person, settings).items]
        known = [title for title in shown if title.anime_id > 0]
        return write_plan(
            [PlannedTitle(title.anime_id, title.title, title.type, title.episodes) for title in known],
            person.name or "",
        )

    key = (*answer_key(knowledge, person), "plan", settings)
    written: Any = await kept_or_made(request, person.answers, key, write)
    return Response(written, headers=_HEADERS, media_type="application/xml")
