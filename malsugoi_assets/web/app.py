"""The application: guard, pages, API and errors put together for one data dir."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import anyio
import anyio.to_thread
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Scope
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from malsugoi_assets.settings import MYANIMELIST, Settings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.web import api, pages
from malsugoi_assets.web.guard import Guard, problem_of
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.problems import Problem
from malsugoi_assets.web.published import Parts, States
from malsugoi_assets.web.sessions import Lru, Sessions
from malsugoi_assets.web.show import FILTERS, Once

_HERE = Path(__file__).parent


def build_app(
    settings: Settings, limits: Limits | None = None, ready: Callable[[], None] = lambda: None
) -> Starlette:
    """The page of the settings' data dir; it may be empty still. Raises `DataDirError` where it cannot be used.

    `ready` is called when the first state is made ready.
    """
    limits = limits or Limits()
    data_dir = DataDir(settings.root)
    claimed = data_dir.claimed_by()
    source = claimed[0] if claimed else None
    parts, answers = Parts(), Lru(limits.answers)
    site = None if source == "replica" else MYANIMELIST
    tell_once = cache(ready)

    def make_ready(knowledge: Knowledge) -> None:
        knowledge.make_ready()
        tell_once()

    states: States[Knowledge] = States(
        data_dir.publisher,
        lambda published: Knowledge(published, settings.root, parts, answers, site),
        make_ready,
        Knowledge.succeed,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = limits.threads
        app.state.uploads = anyio.CapacityLimiter(limits.uploads_at_once)
        app.state.parsing = anyio.CapacityLimiter(1)
        app.state.computing = anyio.CapacityLimiter(limits.computing)
        app.state.keeping = anyio.CapacityLimiter(1)
        states.watch()
        # Many small answers side by side: threads inside each of them would only wait for each other.
        with threadpool_limits(limits=1):
            yield
        states.close()

    app = Starlette(
        routes=[
            *pages.routes(),
            *api.routes(),
            Route("/favicon.ico", _icon),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ],
        middleware=[Middleware(Guard, limits=limits, answer=_answer)],
        exception_handlers={Problem: _on_problem, HTTPException: _on_http_error},
        lifespan=lifespan,
    )
    app.state.states = states
    app.state.limits = limits
    app.state.settings = settings
    app.state.sessions = Sessions(limits)
    app.state.source = source
    app.state.real_titles = source != "replica"
    app.state.templates = _templates()
    return app


def _templates() -> Jinja2Templates:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    environment.globals["once"] = Once()
    return Jinja2Templates(env=environment)


def _icon(request: Request) -> Response:
    """For what has no head to name it in: the API's answers, files."""
    return FileResponse(_HERE / "static" / "icon.svg", media_type="image/svg+xml")


def _answer(scope: Scope, problem: Problem) -> ASGIApp:
    """What is shown for a problem: a page for people, JSON under /api."""
    request = Request(scope)
    return api.complain(problem) if str(scope["path"]).startswith("/api/") else pages.complain(request, problem)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _answer(request.scope, error)  # type: ignore[return-value]


async def _on_http_error(request: Request, error: Exception) -> Response:
    return _answer(request.scope, problem_of(error))  # type: ignore[return-value]
