"""From a request to what it asks: the person, the settings, the uploaded file."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from malsugoi_assets.recommend.filters import unknown_word
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.web import forms
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.people import Person, find_user, visitor
from malsugoi_assets.web.problems import Problem
from malsugoi_assets.web.sessions import COOKIE, Lru, Sessions

T = TypeVar("T")

ID = re.compile(r"-?\d{1,10}")


def id_of(request: Request) -> int:
    """The title's id in the address; `Problem` (404) for what is none."""
    text = str(request.path_params["anime_id"])
    if not ID.fullmatch(text):
        raise Problem(404, "There is no such title: an id is a whole number.", "Look for the title by name.")
    return int(text)


def person_of(request: Request, knowledge: Knowledge) -> Person | None:
    """The user that the address names, or the visitor with a list of their own; None for neither."""
    sessions: Sessions = request.app.state.sessions
    limits: Limits = request.app.state.limits
    if name := request.query_params.get("user", "").strip():
        return find_user(knowledge, name, limits)
    token = request.cookies.get(COOKIE)
    session = sessions.get(token)
    return visitor(knowledge, token, session) if token and session else None


def needed_person(request: Request, knowledge: Knowledge) -> Person:
    """As `person_of`; `Problem` (409) for nobody."""
    person = person_of(request, knowledge)
    if person is None:
        raise Problem(
            409, "There is no list to go by.", "On the start page upload one, type a name, or rate a few titles."
        )
    return person


def settings_of(request: Request, knowledge: Knowledge) -> RecommendationSettings:
    """The settings of the list that the address's parameters but the person name. `Problem` (400) for what is none."""
    pairs = [(name, value) for name, value in request.query_params.multi_items() if name != "user"]
    settings = forms.read(RecommendationSettings, pairs)
    assert isinstance(settings, RecommendationSettings)
    if (found := unknown_word(knowledge.vocabulary, settings)) is not None:
        name, word, meant = found
        label = forms.label_of(RecommendationSettings, name)
        raise Problem(400, f"{label} ({name}): no title here is “{word}”.", f"Did you mean {meant}?")
    return settings


def wanted(request: Request) -> tuple[Knowledge, Person, RecommendationSettings]:
    """The state in use, and whose recommendations are asked for with which settings; `Problem` as `needed_person`."""
    knowledge: Knowledge = request.app.state.states.current()
    return knowledge, needed_person(request, knowledge), settings_of(request, knowledge)


async def asked_of(request: Request, read: Callable[[Request], T]) -> T:
    """What `read` makes of the request: at once for a visitor's list, which is in memory, else by a thread."""
    at_once = "user" not in request.query_params and request.app.state.states.is_open
    return read(request) if at_once else await run_in_threadpool(read, request)


async def kept_or_made(request: Request, answers: Lru, key: Hashable, make: Callable[[], T]) -> T:
    """The answer that is kept under the key; where none is, `make` waits its turn."""
    found: T | None = answers.kept(key)
    if found is not None:
        return found
    made: T = await anyio.to_thread.run_sync(lambda: answers.get(key, make), limiter=request.app.state.computing)
    return made


class _InMemory(MultiPartParser):
    """Writes no file: what is uploaded stays in memory, whose size the body's limit bounds."""

    spool_max_size = 2**31


async def uploaded(request: Request, limits: Limits, at_once: anyio.CapacityLimiter) -> bytes:
    """The file of the form's field `file`. `Problem` (400, 415) where there is none."""
    kind = request.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        raise Problem(415, "No file came with that.", "Choose your export's file on the start page.")
    async with at_once:
        parser = _InMemory(request.headers, request.stream(), max_files=1, max_fields=4, max_part_size=4096)
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise Problem(400, f"The upload can't be read: {error.message}") from error
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise Problem(400, "No file came with that.", "Choose your export's file on the start page.")
        body = await file.read()
        await form.close()
    if not body:
        raise Problem(422, "The file is empty, or none was chosen.", "Choose your export's file on the start page.")
    return body
