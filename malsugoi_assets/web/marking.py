"""“Seen it” and “Not interested”: lasting for a user of the data dir, in memory for a list that was brought along."""

from __future__ import annotations

import re
from urllib.parse import urlencode, urlsplit, urlunsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from malsugoi_assets.disk import LockedError
from malsugoi_assets.warehouse.marks import Mark, MarksError
from malsugoi_assets.web.asking import ID, needed_person
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.people import Person
from malsugoi_assets.web.problems import Problem
from malsugoi_assets.web.records import Title
from malsugoi_assets.web.sessions import COOKIE

_MARKS: dict[str, Mark | None] = {"seen": "seen", "not interested": "not interested", "neither": None}
_LONGEST_ADDRESS = 4_000


def marked_titles(knowledge: Knowledge, person: Person) -> list[tuple[Title, Mark]]:
    """What the person said of titles, by name."""
    known = [(knowledge.titles[i], said) for i, said in person.marks.items() if i in knowledge.titles]
    return sorted(known, key=lambda pair: pair[0].title.casefold())


async def mark(request: Request) -> Response:
    """Note that the person has seen a title or is not interested: for a user of the data dir in its marks, else with the
    list in memory.
    """
    async with request.form(max_files=0, max_fields=8, max_part_size=4096) as form:
        given = {str(name): str(value) for name, value in form.multi_items()}
    person, back = await run_in_threadpool(_mark, request, given)
    name = {"user": person.name} if person.stored else {}
    return RedirectResponse(back or f"/recommendations?{urlencode(name)}", 303)


def _mark(request: Request, given: dict[str, str]) -> tuple[Person, str]:
    knowledge: Knowledge = request.app.state.states.current()
    person = needed_person(request, knowledge)
    text, said = given.get("anime_id", ""), given.get("mark", "")
    if not ID.fullmatch(text) or int(text) not in knowledge.titles:
        raise Problem(404, "The catalogue holds no such title.", "Look for it by name.")
    if said not in _MARKS:
        raise Problem(400, "A title is seen, or does not interest you, or is neither.", "Use the page's buttons.")
    if person.stored and person.name is not None:
        try:
            knowledge.marks.put(person.name, int(text), _MARKS[said])
        except (MarksError, LockedError, OSError) as error:
            raise Problem(500, f"The mark could not be kept: {error}.", "Try again.") from error
    elif not request.app.state.sessions.mark(request.cookies[COOKIE], int(text), _MARKS[said]):
        raise Problem(409, "Your list is no longer in memory.", "Was it kept meanwhile, or thrown away? Begin anew.")
    return person, _own_address(given.get("back", ""))


def _own_address(text: str) -> str:
    """The address within this page to go back to; '' for any other."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    own = not parts.scheme and not parts.netloc and re.fullmatch(r"/(recommendations|title/-?\d{1,10})", parts.path)
    if not own or len(text) > _LONGEST_ADDRESS:
        return ""
    return urlunsplit(("", "", parts.path, parts.query, parts.fragment))
