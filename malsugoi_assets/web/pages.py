"""The pages. Each takes what a request asks, gets a record, and shows it with the template of its name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlencode

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from malsugoi_assets.mal.plan_export import IMPORT_PAGE
from malsugoi_assets.settings import Settings
from malsugoi_assets.web import airing, keeping, mapping, planning, queries
from malsugoi_assets.web.asking import (
    ID,
    asked_of,
    id_of,
    kept_or_made,
    needed_person,
    person_of,
    uploaded,
    wanted,
)
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.marking import mark, marked_titles
from malsugoi_assets.web.people import (
    NOBODY,
    Person,
    find_user,
    list_frame,
    read_export,
    refuse_unknown_titles,
    visitor,
)
from malsugoi_assets.web.problems import HEADINGS, Problem
from malsugoi_assets.web.profile import profile
from malsugoi_assets.web.recommending import answer_key, expected, recommendations, speaks
from malsugoi_assets.web.sessions import COOKIE, Session, Sessions
from malsugoi_assets.web.show import Cards

ASKED_AT_ONCE = 12
FIRST = (
    "types",
    "genres",
    "without_genres",
    "first_year",
    "last_year",
    "least_score",
    "gems",
    "diversity",
    "next_in_series",
    "only_planned",
)
"""The settings that most people look for; the page folds the others away."""


def show(request: Request, template: str, person: Person | None = None, code: int = 200, **values: Any) -> Response:
    """A page. `link(path, …)` in the template keeps the user of the address."""
    user = person.name if person and person.stored else None

    def link(path: str, **more: object) -> str:
        query = {name: value for name, value in {"user": user, **more}.items() if value not in (None, "")}
        return f"{path}?{urlencode(query)}" if query else path

    templates: Jinja2Templates = request.app.state.templates
    here = str(request.scope["path"])
    back = f"{here}?{request.url.query}" if request.url.query else here
    context = {
        "person": person,
        "link": link,
        "here": here,
        "back": back,
        "can_keep": request.app.state.real_titles,
        **values,
    }
    return templates.TemplateResponse(request, template, context, status_code=code)


def complain(request: Request, problem: Problem) -> Response:
    """The error page."""
    heading = HEADINGS.get(problem.status, "That can't be answered")
    return show(request, "problem.html", None, problem.status, problem=problem, heading=heading)


def _knowledge(request: Request) -> Knowledge:
    knowledge: Knowledge = request.app.state.states.current()
    return knowledge


def start(request: Request) -> Response:
    """Where one begins: bring a list, type a name, or rate a few titles."""
    knowledge = _knowledge(request)
    return show(request, "start.html", person_of(request, knowledge), can_upload=request.app.state.real_titles)


def find_person(request: Request) -> Response:
    """From a typed name to that user's recommendations."""
    name = request.query_params.get("name", "").strip()
    if not name:
        raise Problem(400, "No name was typed.", "Type the name of a user on the start page.")
    person = find_user(_knowledge(request), name, request.app.state.limits)
    return RedirectResponse(f"/recommendations?{urlencode({'user': person.name})}", 303)


async def shown_recommendations(request: Request) -> Response:
    """What to watch next, and why."""
    knowledge, person, settings = await asked_of(request, wanted)

    def page() -> bytes:
        made = recommendations(knowledge, person, settings)
        controls = knowledge.form.controls(settings)
        has_plan = request.app.state.real_titles and any(item.anime.anime_id > 0 for item in made.items)
        shown = show(
            request,
            "recommendations.html",
            person,
            made=made,
            cards=person.answers.get((*answer_key(knowledge, person), "cards"), Cards),
            chosen=[control for control in controls.values() if not control.usual],
            first=[controls[name] for name in FIRST],
            more=[control for name, control in controls.items() if name not in FIRST],
            genres=controls["genres"].options,
            marked=marked_titles(knowledge, person),
            plan=f"{planning.PATH}?{request.url.query}" if has_plan else None,
            import_page=IMPORT_PAGE,
        )
        return bytes(shown.body)

    # The text is kept too: to make it costs as much as all else where the list is known already.
    key = (*answer_key(knowledge, person), "page", settings)
    return HTMLResponse(await kept_or_made(request, person.answers, key, page))


def shown_profile(request: Request) -> Response:
    """The taste profile."""
    knowledge = _knowledge(request)
    person = needed_person(request, knowledge)
    return show(request, "profile.html", person, profile=profile(knowledge, person))


def shown_season(request: Request) -> Response:
    """What airs next."""
    knowledge = _knowledge(request)
    person = needed_person(request, knowledge)
    asked = request.query_params.get("season")
    today = date.today()
    season = airing.next_season(knowledge, person, asked, today)
    return show(request, "season.html", person, season=season, year=today.year)


def shown_map(request: Request) -> Response:
    """The catalogue in two dimensions."""
    knowledge = _knowledge(request)
    person = person_of(request, knowledge)
    return show(request, "map.html", person, drawn=mapping.draw(knowledge, person))


def title(request: Request) -> Response:
    """A title's page."""
    knowledge = _knowledge(request)
    person = person_of(request, knowledge)
    anime_id = id_of(request)
    page = queries.title_page(knowledge, anime_id)
    rating = expected(knowledge, person, [anime_id]).get(anime_id) if person else None
    own = person.scores.get(anime_id) if person else None
    listed = person is not None and anime_id in person.listed
    said = person.marks.get(anime_id) if person else None
    for_it, against = speaks(knowledge, person, anime_id) if person and not listed else ([], [])
    return show(
        request,
        "title.html",
        person,
        page=page,
        rating=rating,
        own=own,
        listed=listed,
        said=said,
        because=for_it,
        though=against,
    )


def search(request: Request) -> Response:
    """From a typed title to its page, or to the titles that may be meant."""
    knowledge = _knowledge(request)
    person = person_of(request, knowledge)
    typed = request.query_params.get("q", "").strip()
    found = queries.find(knowledge, typed, request.app.state.limits) if typed else None
    if found and found.anime:
        user = {"user": person.name} if person and person.stored else {}
        query = f"?{urlencode(user)}" if user else ""
        return RedirectResponse(f"/title/{found.anime.anime_id}{query}", 303)
    return show(request, "search.html", person, typed=typed, found=found)


def pipeline(request: Request) -> Response:
    """The pipeline's state and metrics."""
    knowledge = _knowledge(request)
    status = queries.status(knowledge, request.app.state.source)
    return show(request, "pipeline.html", person_of(request, knowledge), status=status)


def rate(request: Request) -> Response:
    """A few titles to rate, for somebody without a list."""
    knowledge = _knowledge(request)
    text = request.query_params.get("page", "0")
    page = min(int(text), 100) if text.isdecimal() and len(text) < 4 else 0
    starters = knowledge.starters
    some = starters[page * ASKED_AT_ONCE : (page + 1) * ASKED_AT_ONCE]
    more = len(starters) > (page + 1) * ASKED_AT_ONCE
    titles = [knowledge.titles[i] for i in some]
    return show(request, "rate.html", person_of(request, knowledge), titles=titles, page=page, more=more)


async def upload(request: Request) -> Response:
    """Take an export into memory, and show what it leads to."""
    knowledge: Knowledge = await run_in_threadpool(_knowledge, request)
    limits: Limits = request.app.state.limits
    if not request.app.state.real_titles:
        raise Problem(
            409,
            "This data dir holds the replica's invented titles, among which no real list has a meaning.",
            "Type the name of one of its users, or rate a few titles. For your own list build a database of real titles: "
            "the README says how.",
        )
    body = await uploaded(request, limits, request.app.state.uploads)
    name, entries, sent = await anyio.to_thread.run_sync(read_export, body, limits, limiter=request.app.state.parsing)
    refuse_unknown_titles(knowledge, entries)
    return _begin(request, Session(name, entries, sent=sent))


async def rated(request: Request) -> Response:
    """Take the scores given on the page for a list; one that was brought along goes on with them."""
    knowledge: Knowledge = await run_in_threadpool(_knowledge, request)
    async with request.form(max_files=0, max_fields=200, max_part_size=4096) as form:
        given = {str(name): str(value) for name, value in form.multi_items()}
    scores: dict[int, int] = {}
    for name, value in given.items():
        if value and ID.fullmatch(name) and int(name) in knowledge.titles:
            if value not in {str(n) for n in range(1, 11)}:
                raise Problem(400, "A score is a whole number from 1 to 10.", "Go back and choose one of them.")
            scores[int(name)] = int(value)
    session = request.app.state.sessions.get(request.cookies.get(COOKIE))
    before = session.entries.rows() if session else []
    rows = [(NOBODY, i, knowledge.titles[i].title, score, "completed") for i, score in scores.items()]
    if not rows and not before:
        raise Problem(400, "No title was scored yet.", "Go back and score at least one; three or more say much more.")
    entries = list_frame([*before, *rows])
    begun = Session(session.name, entries, session.marks, session.sent) if session else Session(None, entries)
    return _begin(request, begun)


def forget(request: Request) -> Response:
    """Throw the visitor's list away."""
    request.app.state.sessions.forget(request.cookies.get(COOKIE))
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def keep_form(request: Request) -> Response:
    """What keeping the visitor's list means, and under which name."""
    return show(request, "keep.html", visitor(_knowledge(request), *_held(request)))


async def keep(request: Request) -> Response:
    """Make the visitor's list a user of the data dir."""
    async with request.form(max_files=0, max_fields=4, max_part_size=4096) as form:
        name = str(form.get("name", "")).strip()
    if not name:
        raise Problem(400, "No name was typed.", "Go back and type one.")
    token, session = _held(request)
    settings: Settings = request.app.state.settings

    def work() -> str:
        knowledge = _knowledge(request)
        warned = keeping.keep(settings, knowledge, session, name)
        try:
            request.app.state.states.refresh()
        finally:
            # From here on nothing can be marked on the list in memory; what another tab did meanwhile is kept with the rest.
            # The cookie stays: by now another tab may have begun a new list with it, and a token of none means nothing.
            request.app.state.sessions.forget(token)
            keeping.keep_marks(knowledge, session.marks, name)
        return warned

    warned = await anyio.to_thread.run_sync(work, limiter=request.app.state.keeping)
    there = f"/recommendations?{urlencode({'user': name})}"
    return (
        show(request, "kept.html", name=name, warned=warned, there=there) if warned else RedirectResponse(there, 303)
    )


def _held(request: Request) -> tuple[str, Session]:
    """The visitor's token and list; `Problem` (409) without one, or where it would meet no real titles."""
    if not request.app.state.real_titles:
        raise Problem(409, "This data dir holds invented titles, among which no list of yours has a meaning.")
    token = request.cookies.get(COOKIE)
    session = request.app.state.sessions.get(token)
    if token is None or session is None:
        raise Problem(409, "There is no list of yours in memory to keep.", "Upload one, or rate a few titles.")
    return token, session


def _begin(request: Request, session: Session) -> Response:
    """Hold the list and show its recommendations; an earlier list of the visitor is thrown away."""
    sessions: Sessions = request.app.state.sessions
    sessions.forget(request.cookies.get(COOKIE))
    answer = RedirectResponse("/recommendations", 303)
    answer.set_cookie(COOKIE, sessions.open(session), httponly=True, samesite="strict")
    return answer


Handler = Callable[[Request], Any]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/", start),
    ("GET", "/person", find_person),
    ("GET", "/recommendations", shown_recommendations),
    ("GET", planning.PATH, planning.plan),
    ("GET", "/profile", shown_profile),
    ("GET", "/season", shown_season),
    ("GET", "/map", shown_map),
    ("GET", "/title/{anime_id}", title),
    ("GET", "/search", search),
    ("GET", "/pipeline", pipeline),
    ("GET", "/rate", rate),
    ("POST", "/rate", rated),
    ("POST", "/upload", upload),
    ("POST", "/mark", mark),
    ("GET", "/keep", keep_form),
    ("POST", "/keep", keep),
    ("POST", "/forget", forget),
)


def routes() -> list[Route]:
    """The pages' routes."""
    return [Route(path, handler, methods=[method], name=handler.__name__) for method, path, handler in ROUTES]
