"""The JSON API answers as its own description says, and as the pages do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.web.api import OPERATIONS, openapi
from malsugoi_assets.web.records import Recommendations, TitlePage
from malsugoi_tests.web.world import EVIL_ID, EVIL_TITLE, LIKES, USER, export, send

GETS = [op for op in OPERATIONS if op.method == "GET"]
BODY = {"entries": [{"anime_id": i, "score": score} for i, score in LIKES.items()]}


@pytest.mark.parametrize("operation", GETS, ids=lambda op: op.path)
def test_every_answer_has_the_declared_form(client: TestClient, operation: Any) -> None:
    asks = {"user": USER, "q": "lantern"}
    query = {name: asks[name] for name, _ in operation.asks if name in asks}
    answer = client.get(operation.path.replace("{anime_id}", "100"), params=query)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    operation.answer.model_validate(answer.json())


def test_the_description_names_every_operation_and_resolves(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    assert described == openapi()
    named = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert named == {(op.method, op.path) for op in OPERATIONS}
    schemas = described["components"]["schemas"]
    for reference in re.findall(r"#/components/schemas/([\w-]+)", str(described)):
        assert reference in schemas
    ids = [op["operationId"] for methods in described["paths"].values() for op in methods.values()]
    assert len(ids) == len(set(ids))
    asked = {p["name"] for p in described["paths"]["/api/recommendations"]["get"]["parameters"]}
    assert asked == {"user", *RecommendationSettings.model_fields}


def test_a_list_in_json_an_export_and_the_page_lead_to_the_same(client: TestClient) -> None:
    sent = client.post("/api/recommendations", json=BODY)
    packed = client.post("/api/recommendations", content=export(LIKES), headers={"Content-Type": "application/gzip"})
    send(client, export(LIKES))
    held = client.get("/api/recommendations")
    answers = [Recommendations.model_validate(a.json()) for a in (sent, packed, held)]
    ranked = [[(i.anime.anime_id, i.score, i.rating) for i in answer.items] for answer in answers]
    assert ranked[0]
    assert ranked[0] == ranked[1] == ranked[2]
    assert "set-cookie" not in sent.headers


def test_the_published_list_is_the_tables(client: TestClient) -> None:
    answer = Recommendations.model_validate(client.get(f"/api/recommendations?user={USER}&length=3").json())
    assert [item.rank for item in answer.items] == [1, 2, 3]
    assert answer.username == USER


def test_what_is_read_is_what_is_stored(client: TestClient) -> None:
    page = TitlePage.model_validate(client.get(f"/api/titles/{EVIL_ID}").json())
    assert page.anime.title == EVIL_TITLE
    assert page.ratings > 0
    assert [n.rank for n in page.similar] == list(range(1, len(page.similar) + 1))
    assert {r.related_id for r in page.relations} == {EVIL_ID + 6}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 422),
        ({"entries": []}, 422),
        ({"entries": [{"anime_id": 1, "score": 11}]}, 422),
        ({"entries": [{"anime_id": 2**40}]}, 422),
        ({"entries": [{"anime_id": 1, "status": "x"}]}, 422),
        ({"entries": [{"anime_id": 1, "more": 1}]}, 422),
        ([1, 2], 422),
        ("text", 422),
    ],
)
def test_a_body_that_is_no_list_is_refused_in_words(client: TestClient, body: object, code: int) -> None:
    answer = client.post("/api/recommendations", json=body)
    assert answer.status_code == code
    assert set(answer.json()) == {"error", "remedy"}


def test_mistakes_are_json(client: TestClient) -> None:
    for path, code in {
        "/api/nothing": 404,
        "/api/titles/1": 404,
        "/api/titles/x": 404,
        "/api/recommendations": 409,
        "/api/recommendations?user=nobody": 404,
        f"/api/recommendations?user={USER}&length=x": 400,
    }.items():
        answer = client.get(path)
        assert (answer.status_code, set(answer.json())) == (code, {"error", "remedy"}), path
    assert client.post("/api/recommendations", content=b"x").status_code == 415
    deep = b'{"entries":' + b"[" * 50_000
    assert (
        client.post("/api/recommendations", content=deep, headers={"Content-Type": "application/json"}).status_code
        == 422
    )


@pytest.mark.parametrize(
    ("asked", "error", "remedy"),
    [
        ({"first_year": 2020, "last_year": 2010}, "The first year (2020) is after the last (2010).", "Change one"),
        ({"genres": "Drama", "without_genres": "drama"}, "Drama is asked for and to be avoided.", "Change one"),
        ({"genres": "Dramma"}, "Genres (genres): no title here is “Dramma”.", "Did you mean Drama?"),
        ({"types": "Film"}, "Types (types): no title here is “Film”.", "Did you mean"),
    ],
)
def test_what_no_title_can_fit_is_refused_alike_everywhere(
    client: TestClient, asked: dict[str, Any], error: str, remedy: str
) -> None:
    for answer in (
        client.get("/api/recommendations", params={"user": USER, **asked}),
        client.post("/api/recommendations", params=asked, json=BODY),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"] == error
        assert answer.json()["remedy"].startswith(remedy)
    page = client.get("/recommendations", params={"user": USER, **asked})
    assert (page.status_code, error in page.text) == (400, True)


def test_a_list_of_strangers_only_is_refused_as_the_upload_is(client: TestClient) -> None:
    answer = client.post("/api/recommendations", json={"entries": [{"anime_id": 5, "score": 9}]})
    assert answer.status_code == 422
    assert answer.json()["error"] == "None of the list's titles is in this catalogue, so there is nothing to go by."
