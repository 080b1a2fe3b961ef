"""Marks from the page's buttons: lasting for a user of the data dir, with the list in memory for everybody else."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from malsugoi_assets.warehouse.marks import Marks
from malsugoi_tests.web.test_pages import tree, words
from malsugoi_tests.web.world import LIKES, OWN, USER, browsing, export, send


def shown(answer: object) -> list[int]:
    """The titles recommended, the best first."""
    links = tree(answer).xpath("//li[@class='card']/h2/a/@href")
    return [int(link.removeprefix("/title/").partition("?")[0]) for link in links]


def press(client: TestClient, form: object, value: str) -> object:
    """Press one of a form's buttons as a browser does."""
    fields = {i.get("name"): i.get("value") for i in form.xpath(".//input")}  # type: ignore[attr-defined]
    return client.post(form.get("action"), data={**fields, "mark": value}, headers=OWN)  # type: ignore[attr-defined]


def first_form(answer: object) -> object:
    return tree(answer).xpath("//li[@class='card']//form[@class='marks']")[0]


@pytest.mark.parametrize("value", ["seen", "not interested"])
def test_a_marked_title_leaves_the_list_and_comes_back_when_the_mark_is_taken_back(
    visiting: TestClient, root: Path, value: str
) -> None:
    page = send(visiting, export(LIKES))
    before = shown(page)
    page = press(visiting, first_form(page), value)
    assert page.url.path == "/recommendations"  # type: ignore[attr-defined]
    assert before[0] not in shown(page)
    assert f"You marked it: {value}." in words(visiting.get(f"/title/{before[0]}"))
    [taking_back] = tree(page).xpath("//ul[@class='marked']//form")
    assert before[0] in shown(press(visiting, taking_back, "neither"))
    assert not (root / "state" / "marks.json").exists(), "nothing of a list that was brought along lasts"


def test_what_was_seen_counts_as_listed(visiting: TestClient) -> None:
    page = send(visiting, export(LIKES))
    press(visiting, first_form(page), "seen")
    assert f"{len(LIKES) + 1} titles" in words(visiting.get("/profile"))


def test_marks_go_with_the_list_and_stay_while_more_is_rated(visiting: TestClient) -> None:
    marked = shown(page := send(visiting, export(LIKES)))[0]
    press(visiting, first_form(page), "not interested")
    page = visiting.post("/rate", data={"112": "7"}, headers=OWN)
    assert marked not in shown(page)
    visiting.post("/forget", headers=OWN)
    assert marked in shown(send(visiting, export(LIKES)))


def test_a_users_marks_last_and_the_list_is_made_anew_by_them(visiting: TestClient, root: Path) -> None:
    page = visiting.get(f"/recommendations?user={USER}")
    before = shown(page)
    assert "ranked by the last run, which stored this list" in words(page)
    page = press(visiting, first_form(page), "not interested")
    assert Marks(root).of(USER) == {before[0]: "not interested"}
    assert str(page.url).endswith(f"?user={USER}#rank-1")  # type: ignore[attr-defined]
    assert before[0] not in shown(page)
    assert shown(page)
    for title, badge in zip(shown(page), tree(page).xpath("//p[@class='rating']"), strict=True):
        [own] = tree(visiting.get(f"/title/{title}?user={USER}")).xpath("//p[@class='rating']")
        assert own.text_content() == badge.text_content(), "the same rating on the list under marks and by itself"
    with browsing(root) as later:
        assert before[0] not in shown(later.get(f"/recommendations?user={USER}"))


@pytest.mark.parametrize(
    ("back", "leads_to"),
    [
        ("/title/100?user=x#rank-2", "/title/100?user=x#rank-2"),
        ("//evil.example/recommendations", "/recommendations?"),
        ("https://evil.example/recommendations", "/recommendations?"),
        ("/\\evil.example", "/recommendations?"),
        ("/upload", "/recommendations?"),
        ("http://[", "/recommendations?"),
        ("/recommendations?" + "x" * 4000, "/recommendations?"),
    ],
)
def test_one_is_led_back_within_this_page_only(visiting: TestClient, back: str, leads_to: str) -> None:
    send(visiting, export(LIKES))
    answer = visiting.post(
        "/mark", data={"anime_id": "110", "mark": "seen", "back": back}, headers=OWN, follow_redirects=False
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == leads_to


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"anime_id": "110"}, 400),
        ({"anime_id": "110", "mark": "loved"}, 400),
        ({"anime_id": "1 OR 1", "mark": "seen"}, 404),
        ({"anime_id": "9999999999", "mark": "seen"}, 404),
        ({"mark": "seen"}, 404),
    ],
)
def test_what_is_no_mark_is_refused_in_words(visiting: TestClient, form: dict[str, str], code: int) -> None:
    send(visiting, export(LIKES))
    answer = visiting.post("/mark", data=form, headers=OWN)
    assert answer.status_code == code
    assert words(answer)


def test_without_a_list_nothing_is_marked_and_another_site_marks_nothing(visiting: TestClient, root: Path) -> None:
    form = {"anime_id": "110", "mark": "seen"}
    assert visiting.post("/mark", data=form, headers=OWN).status_code == 409
    assert visiting.post(f"/mark?user={quote('nobody else')}", data=form, headers=OWN).status_code == 404
    stranger = {"Origin": "http://evil.example"}
    assert visiting.post(f"/mark?user={USER}", data=form, headers=stranger).status_code == 403
    assert Marks(root).of(USER) == {}


def test_marks_that_cannot_be_read_are_told(visiting: TestClient, root: Path) -> None:
    (root / "state").mkdir(exist_ok=True)
    (root / "state" / "marks.json").write_text("[]")
    answer = visiting.get(f"/recommendations?user={USER}")
    assert answer.status_code == 500
    assert "mend or delete it" in words(answer)
