"""What is shown can be downloaded as a plan that MyAnimeList imports."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import html
from starlette.testclient import TestClient

from malsugoi_assets.mal import parse_list_export
from malsugoi_assets.mal.plan_export import invented_titles
from malsugoi_tests.web.test_pages import words
from malsugoi_tests.web.world import EVIL_ID, EVIL_NAME, EVIL_TITLE, LIKES, USER, browsing, export, publish, send

PATH = "/recommendations/plan.xml"
NAMED = {"content-disposition": 'attachment; filename="plan-to-watch.xml"', "x-content-type-options": "nosniff"}


@pytest.mark.parametrize("query", ["", "?length=4", "?types=TV&genres=Drama,Comedy&length=6&per_franchise=2"])
def test_the_plan_is_what_the_page_shows_with_its_filters(client: TestClient, query: str) -> None:
    send(client, export(LIKES))
    page = html.fromstring(client.get(f"/recommendations{query}").text)
    [link] = page.xpath("//a[@download]/@href")
    answer = client.get(link)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml")
    assert NAMED.items() <= dict(answer.headers).items()
    found = parse_list_export(answer.content)
    shown = page.xpath("//li[@class='card']/h2/a/@href")
    assert [f"/title/{entry.anime_id}" for entry in found.entries] == shown
    assert shown
    assert {(entry.status, entry.score) for entry in found.entries} == {("plan_to_watch", None)}
    assert found.username == "me"


def test_a_users_plan_is_of_the_users_list(client: TestClient) -> None:
    items = client.get(f"/api/recommendations?user={USER}").json()["items"]
    found = parse_list_export(client.get(f"{PATH}?user={USER}").content)
    assert [entry.anime_id for entry in found.entries] == [item["anime"]["anime_id"] for item in items]
    assert found.username == USER


def test_a_title_and_a_name_that_mean_harm_are_text_and_name_no_file(client: TestClient) -> None:
    likes = {i: 9 for i in LIKES if i != EVIL_ID}
    send(client, export(likes, owner=EVIL_NAME), name="../../evil.html")
    answer = client.get(f"{PATH}?length=100&per_franchise=20")
    found = parse_list_export(answer.content)
    assert EVIL_TITLE in {entry.title for entry in found.entries}
    assert found.username == EVIL_NAME
    assert b"<script" not in answer.content
    assert b"<img" not in answer.content
    assert NAMED.items() <= dict(answer.headers).items()


@pytest.mark.parametrize(
    ("query", "code"),
    [("", 409), ("?user=nobody", 404), (f"?user={USER}&nonsense=1", 400), (f"?user={USER}&length=0", 400)],
)
def test_a_mistake_is_told_in_words_and_is_no_file(client: TestClient, query: str, code: int) -> None:
    answer = client.get(PATH + query)
    assert answer.status_code == code
    assert words(answer)
    assert "content-disposition" not in answer.headers


def test_invented_titles_are_not_planned(tmp_path: Path) -> None:
    publish(tmp_path / "data", "replica")
    with browsing(tmp_path / "data", source="replica") as visitor:
        page = visitor.get(f"/recommendations?user={USER}")
        assert not html.fromstring(page.text).xpath("//a[@download]")
        answer = visitor.get(f"{PATH}?user={USER}")
        assert answer.status_code == 409
        assert invented_titles(tmp_path / "data") in words(answer)
