"""The JSON API: the answers of the pages, and their description in OpenAPI 3.1, from one declaration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import Any

import anyio
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.web import airing, mapping, queries
from malsugoi_assets.web.asking import asked_of, id_of, kept_or_made, needed_person, person_of, settings_of, wanted
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.people import NOBODY, OwnList, Person, list_frame, read_export, refuse_unknown_titles
from malsugoi_assets.web.problems import Problem
from malsugoi_assets.web.profile import profile
from malsugoi_assets.web.recommending import answer_key, recommendations
from malsugoi_assets.web.records import (
    Complaint,
    Found,
    Map,
    NextSeason,
    Profile,
    Recommendations,
    SentList,
    Status,
    TitlePage,
)
from malsugoi_assets.web.sessions import Lru

_EXPORTS = ("application/xml", "text/xml", "application/gzip")
_USER = "A user of the data dir; without it the list that the browser brought along, where there is one."


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked: how, what for, and what the answer is."""

    method: str
    path: str
    summary: str
    handler: Callable[[Request], Any]
    answer: type[BaseModel]
    asks: tuple[tuple[str, str], ...] = ()
    settings: type[BaseModel] | None = None
    body: type[BaseModel] | None = None


def complain(problem: Problem) -> Response:
    """A problem in JSON."""
    return _json(Complaint(error=problem.sentence, remedy=problem.remedy), problem.status)


def _json(record: BaseModel, status: int = 200) -> Response:
    return Response(record.model_dump_json(), status, media_type="application/json")


def _knowledge(request: Request) -> Knowledge:
    knowledge: Knowledge = request.app.state.states.current()
    return knowledge


async def _recommendations(request: Request) -> Response:
    knowledge, person, settings = await asked_of(request, wanted)
    key = (*answer_key(knowledge, person), "json", settings)
    made = await kept_or_made(request, person.answers, key, lambda: recommendations(knowledge, person, settings))
    return _json(made)


async def _recommend_for_list(request: Request) -> Response:
    """A list in the body: nothing of it is kept, not even for the next request."""
    knowledge: Knowledge = await run_in_threadpool(_knowledge, request)
    settings = settings_of(request, knowledge)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (*_EXPORTS, "application/json"):
        raise Problem(415, "The body is no list.", f"Send JSON, or an export as {' or '.join(_EXPORTS)}.")
    if kind in _EXPORTS and not request.app.state.real_titles:
        raise Problem(409, "This data dir holds invented titles, among which no real list has a meaning.")
    async with request.app.state.uploads:
        body = await request.body()

    def answer() -> Response:
        name, entries = (
            (None, _sent(body)) if kind == "application/json" else read_export(body, request.app.state.limits)[:2]
        )
        refuse_unknown_titles(knowledge, entries)
        person = Person(name, OwnList(entries), "", stored=False, answers=Lru(0))
        return _json(recommendations(knowledge, person, settings))

    made: Response = await anyio.to_thread.run_sync(answer, limiter=request.app.state.parsing)
    return made


def _sent(body: bytes) -> Any:
    try:
        sent = SentList.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(422, f"{where}: {first['msg']}.", "The list's form stands in /api/openapi.json.") from error
    return list_frame((NOBODY, e.anime_id, "", e.score, e.status) for e in sent.entries)


def _profile(request: Request) -> Response:
    knowledge = _knowledge(request)
    return _json(profile(knowledge, needed_person(request, knowledge)))


def _season(request: Request) -> Response:
    knowledge = _knowledge(request)
    person = needed_person(request, knowledge)
    return _json(airing.next_season(knowledge, person, request.query_params.get("season"), date.today()))


def _map(request: Request) -> Response:
    knowledge = _knowledge(request)
    return _json(mapping.draw(knowledge, person_of(request, knowledge)))


def _title(request: Request) -> Response:
    return _json(queries.title_page(_knowledge(request), id_of(request)))


def _search(request: Request) -> Response:
    return _json(queries.find(_knowledge(request), request.query_params.get("q", ""), request.app.state.limits))


def _status(request: Request) -> Response:
    return _json(queries.status(_knowledge(request), request.app.state.source))


_OF_A_USER = (("user", _USER),)
OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "/api/recommendations", "What a user may want to watch next, and why", _recommendations,
              Recommendations, _OF_A_USER, RecommendationSettings),
    Operation("POST", "/api/recommendations", "The same for a list in the body: JSON, or an export (XML, gzipped or not)",
              _recommend_for_list, Recommendations, (), RecommendationSettings, SentList),
    Operation("GET", "/api/profile", "What a list says of its owner", _profile, Profile, _OF_A_USER),
    Operation("GET", "/api/season", "What is to air, the best fit first", _season, NextSeason,
              (*_OF_A_USER, ("season", "One of the answer's `seasons`; else the next one."))),
    Operation("GET", "/api/map", "The catalogue in two dimensions", _map, Map, _OF_A_USER),
    Operation("GET", "/api/titles/{anime_id}", "A title with its relatives, its series and the titles like it", _title, TitlePage),
    Operation("GET", "/api/titles", "Titles by any of their names", _search, Found, (("q", "What was typed."),)),
    Operation("GET", "/api/status", "The pipeline's state and metrics", _status, Status),
)  # fmt: skip


def openapi() -> dict[str, Any]:
    """The description of all operations."""
    models = [op.answer for op in OPERATIONS] + [op.body for op in OPERATIONS if op.body] + [Complaint]
    _, schemas = models_json_schema(
        [(model, "serialization") for model in dict.fromkeys(models)], ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for op in OPERATIONS:
        paths.setdefault(op.path, {})[op.method.lower()] = _described(op)
    return {
        "openapi": "3.1.0",
        "info": {"title": "MALSugoi", "version": version("malsugoi")},
        "paths": paths,
        "components": {"schemas": schemas["$defs"]},
    }


def _described(op: Operation) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}} for name, text in op.asks
    ]
    if op.settings is not None:
        properties = op.settings.model_json_schema()["properties"]
        parameters += [
            {"name": name, "in": "query", "description": schema.get("description", ""), "schema": schema}
            for name, schema in properties.items()
        ]
    if "{anime_id}" in op.path:
        parameters.append({"name": "anime_id", "in": "path", "required": True, "schema": {"type": "integer"}})
    described: dict[str, Any] = {
        "summary": op.summary,
        "operationId": f"{op.method.lower()}_{op.answer.__name__.lower()}",
        "parameters": parameters,
        "responses": {
            "200": {"description": "The answer", "content": _content(op.answer)},
            "default": {"description": "Why there is none", "content": _content(Complaint)},
        },
    }
    if op.body is not None:
        exports = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _EXPORTS}
        described["requestBody"] = {"required": True, "content": _content(op.body) | exports}
    return described


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _openapi(request: Request) -> Response:
    return JSONResponse(openapi())


def routes() -> list[Route]:
    """The API's routes."""
    return [
        Route("/api/openapi.json", _openapi, methods=["GET"]),
        *(Route(op.path, op.handler, methods=[op.method], name=f"{op.method} {op.path}") for op in OPERATIONS),
    ]
