"""The pages as a visitor meets them: three ways in, then recommendations with reasons, and everything they lead to."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from lxml import html
from starlette.testclient import TestClient

from malsugoi_assets.web.airing import next_season
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.people import find_user
from malsugoi_assets.web.published import Published
from malsugoi_tests.web.world import (
    EVIL_ID,
    EVIL_NAME,
    EVIL_TITLE,
    LIKES,
    OWN,
    UPCOMING,
    USER,
    browsing,
    export,
    publish,
    send,
)

PATHS = ("/", "/recommendations", "/profile", "/season", "/map", "/title/100", "/search?q=lant", "/pipeline", "/rate")


def tree(answer: object) -> html.HtmlElement:
    return html.fromstring(answer.text)  # type: ignore[attr-defined]


def words(answer: object) -> str:
    return re.sub(r"\s+", " ", tree(answer).find(".//main").text_content()).strip()


def of_user(path: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}user={USER}"


@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_one_heading_landmarks_and_labels(client: TestClient, path: str) -> None:
    answer = client.get(of_user(path))
    assert answer.status_code == 200
    page = tree(answer)
    assert page.get("lang") == "en"
    assert len(page.findall(".//h1")) == len(page.findall(".//main")) == len(page.findall(".//header")) == 1
    assert page.find(".//title").text.endswith("· MALSugoi")
    for field in page.xpath("//input[not(@type='hidden')] | //select"):
        assert page.xpath(f"//label[@for='{field.get('id')}']"), f"{field.get('name')} has no label"
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert not page.xpath("//script | //*[@style] | //*[starts-with(name(@*), 'on')]")
    for address in page.xpath("//@src | //link/@href"):
        assert address.startswith("/"), "nothing comes from elsewhere"


@pytest.mark.parametrize("path", PATHS)
def test_every_link_of_every_page_leads_somewhere(client: TestClient, path: str) -> None:
    links = {a.get("href") for a in tree(client.get(of_user(path))).xpath("//a[starts-with(@href, '/')]")}
    assert links
    answers = {link: client.get(link).status_code for link in links}
    without_person = {"/recommendations", "/profile", "/season"}
    assert {link for link, code in answers.items() if code != 200} <= without_person


def test_a_stored_list_is_read_once_of_a_state_however_often_it_is_asked_about(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = Published.table

    def counting(self: Published, name: str, *rest: object) -> object:
        asked.append(name)
        return read(self, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Published, "table", counting)
    for path in (
        "/recommendations",
        "/recommendations?least_score=6.125",
        "/profile",
        "/recommendations?least_score=6.25",
    ):
        assert client.get(of_user(path)).status_code == 200
    assert asked.count("user_lists") <= 1


def test_from_an_export_to_recommendations_and_a_title_page(client: TestClient) -> None:
    answer = send(client, export(LIKES))
    assert (answer.status_code, answer.url.path) == (200, "/recommendations")
    text = words(answer)
    assert text.startswith("For me")
    assert "Because you rated" in text
    listed = {f"/title/{i}" for i in LIKES}
    shown = [a.get("href") for a in tree(answer).xpath("//li[@class='card']/h2/a")]
    assert shown
    assert not listed & set(shown), "what is on the list is not recommended"
    title = client.get(shown[0])
    assert "The score that you would probably give" in words(title)
    assert f"You rated it {LIKES[100]}." in words(client.get("/title/100"))


def test_a_users_page_is_the_published_list(client: TestClient) -> None:
    page = client.get(f"/person?name={USER.upper()}")
    assert page.url.path == "/recommendations"
    assert "ranked by the last run, which stored this list" in words(page)
    cards = len(tree(page).xpath("//li[@class='card']"))
    changed = client.get(f"/recommendations?user={USER}&per_franchise=2&length=5")
    assert "ranked by the weights of ease" in words(changed)
    assert 0 < len(tree(changed).xpath("//li[@class='card']")) <= min(5, cards)
    assert "Filters: " in words(changed), "what is set is said without opening them"


@pytest.mark.parametrize("path", ["/recommendations", f"/recommendations?user={USER}"])
def test_a_rating_comes_with_its_interval(client: TestClient, path: str) -> None:
    send(client, export(LIKES))
    badges = [b.text_content() for b in tree(client.get(path)).xpath("//p[@class='rating']")]
    assert badges
    for badge in badges:
        value, low, high = (float(n) for n in re.findall(r"\d+\.\d", badge))
        assert 1 <= low <= value <= high <= 10


def test_somebody_without_a_list_rates_titles(client: TestClient) -> None:
    first = tree(client.get("/rate"))
    asked = [s.get("name") for s in first.xpath("//main//select")]
    assert len(asked) == len(set(asked))
    assert asked
    empty = client.post("/rate", data=dict.fromkeys(asked, ""), headers=OWN)
    assert (empty.status_code, "No title was scored yet" in words(empty)) == (400, True)
    answer = client.post("/rate", data={asked[0]: "10", asked[1]: "2"}, headers=OWN)
    assert (answer.status_code, answer.url.path) == (200, "/recommendations")
    client.post("/rate", data={asked[2]: "7"}, headers=OWN)
    assert "3 titles, 3 scored" in words(client.get("/profile")), "what is scored later goes on with the list"


@pytest.mark.parametrize("score", ["11", "0", "-1", "9.5", "ten", "1e1"])
def test_only_whole_scores_from_1_to_10_are_taken(client: TestClient, score: str) -> None:
    assert client.post("/rate", data={"100": score}, headers=OWN).status_code == 400


def test_the_profile_tells_what_the_list_says(client: TestClient) -> None:
    send(client, export(LIKES))
    text = words(client.get("/profile"))
    assert "5 titles, 5 scored, 8.0 on average" in text
    assert "TV" in text


def test_what_airs_next_goes_on_with_what_was_liked(client: TestClient) -> None:
    send(client, export(LIKES))
    page = client.get("/season")
    assert "What airs next: Spring 2031" in words(page)
    assert "Goes on with Wandering Lantern" in words(page)
    assert tree(page).xpath(f"//a[@href='/title/{UPCOMING}']")
    assert "Next Year's Comet" in words(client.get("/season?season=Fall+2032"))
    assert "Spring 2031" in words(client.get("/season?season=nonsense")), "an unknown season is the next one"


def test_what_goes_on_with_something_unseen_airs_last_and_says_with_what_to_begin(client: TestClient) -> None:
    """A special of a series that nobody had seen stood fourth, for its genre."""
    # Neither the series nor what goes on with it, else it would count as passed over.
    send(client, export({anime_id: score for anime_id, score in LIKES.items() if anime_id not in (100, 112)}))
    told = words(client.get("/season"))
    assert "First comes Wandering Lantern, which you have not seen." in told
    [item] = client.get("/api/season").json()["items"]
    assert (item["anime"]["anime_id"], item["needs"]["anime_id"]) == (UPCOMING, 100)
    send(client, export(LIKES))
    [item] = client.get("/api/season").json()["items"]
    assert (item["waits"], item["needs"]) == (False, None)


def test_what_waits_for_a_title_that_the_catalogue_does_not_hold_says_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = client.app.state.states.current().franchises  # type: ignore[attr-defined]
    monkeypatch.setattr(Knowledge, "franchises", replace(known, needs={UPCOMING: frozenset({77_777})}))
    send(client, export(LIKES))
    [item] = client.get("/api/season").json()["items"]
    assert (item["waits"], item["needs"]) == (True, None)
    assert "Something that you have not seen comes before it." in words(client.get("/season"))


@pytest.mark.parametrize(
    ("today", "first", "last"),
    [
        (date(2030, 1, 1), "Spring 2031", "Fall 2032"),
        (date(2031, 8, 1), "Fall 2032", "Spring 2031"),  # what was to air in spring never came
        (date(2040, 1, 1), "Spring 2031", "Fall 2032"),  # an old catalogue: its own next season
    ],
)
def test_the_next_season_is_the_next_from_today(client: TestClient, today: date, first: str, last: str) -> None:
    """In November 2026 what had been to air in spring 2025 was next."""
    knowledge = client.app.state.states.current()  # type: ignore[attr-defined]
    found = next_season(knowledge, find_user(knowledge, USER, Limits()), None, today)
    assert (found.season, found.seasons[0], found.seasons[-1]) == (first, first, last)


def test_what_has_no_head_of_its_own_gets_the_icon_too(client: TestClient) -> None:
    """Browsers ask for it beside the API's answers and the plan."""
    icon = client.get("/favicon.ico")
    assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
    assert icon.text == client.get("/static/icon.svg").text


def test_the_map_marks_the_list_and_says_it_in_words(client: TestClient) -> None:
    send(client, export(LIKES))
    page = tree(client.get("/map"))
    assert len(page.xpath("//*[name()='circle'][contains(@class, 'mine')]")) == len(LIKES)
    marked = [int(row[3].text_content()) for row in page.xpath("//tbody/tr")]
    assert sum(marked) == len(LIKES)


@pytest.mark.parametrize("settings", ["", "&per_franchise=3", "&gems=1", "&likes_only=true"])
def test_a_titles_page_expects_what_the_list_does(client: TestClient, settings: str) -> None:
    for card in tree(client.get(f"/recommendations?user={USER}{settings}")).xpath("//li[@class='card']")[:5]:
        badge = card.xpath("./p[@class='rating']")[0].text_content()
        page = tree(client.get(card.xpath("./h2/a/@href")[0]))
        assert page.xpath("//p[@class='rating']")[0].text_content() == badge


def test_filters_that_had_to_give_way_are_said_first(client: TestClient) -> None:
    send(client, export(LIKES))
    page = words(client.get("/recommendations?genres=Action,Comedy&types=TV"))
    assert "Filters: Types TV; Genres Action, Comedy" in page
    assert "No title fits all you asked for." in page
    assert "Here to fill the list, with another genre than asked for." in page
    assert "fits all you asked for" not in words(client.get("/recommendations?types=TV&length=2"))


def test_an_empty_list_names_what_left_none_and_a_filter_without_effect_is_told(client: TestClient) -> None:
    empty = words(client.get(of_user("/recommendations?only_planned=true&least_minutes=300")))
    assert "No title fits all of this. Some would without “Only what is planned”." in empty
    assert "“Minutes an episode, from” changes nothing" in empty
    told = client.get(of_user("/api/recommendations?only_planned=true&next_in_series=true")).json()
    assert (told["items"], told["notes"]) == (
        [],
        ["No title fits all of this. Some would without “Only what is planned”."],
    )


def test_a_title_is_found_by_a_name_and_guessed_by_a_part(client: TestClient) -> None:
    assert client.get("/search?q=copper+tide").url.path == "/title/101"
    assert client.get("/search?q=100").url.path == "/title/100"
    guessed = client.get("/search?q=moss+lantern")
    assert "Did you mean" in words(guessed) or guessed.url.path.startswith("/title/")
    assert "No title comes close" in words(client.get("/search?q=%F0%9F%A6%86%F0%9F%A6%86"))


def test_a_title_is_like_others_by_what_they_share_and_who_rated_both(client: TestClient) -> None:
    near = [
        li.text_content() for li in tree(client.get("/title/100")).xpath("//section[@aria-labelledby='similar']//li")
    ]
    assert any(re.search(r"Action.* · \d+ rated both", words_of_it) for words_of_it in near)
    unrated = tree(client.get(f"/title/{UPCOMING}")).xpath("//section[@aria-labelledby='similar']")[0]
    said = unrated.text_content()
    assert "Action" in said
    assert "rated both" not in said
    assert "Of its own series: Wandering Lantern" in said
    listed = unrated.xpath("./ol//a/@href")
    assert not set(listed) & set(unrated.xpath("./p/a/@href")), "the own series is not among the others"


def test_titles_and_names_that_mean_harm_are_text(client: TestClient) -> None:
    send(client, export(LIKES, owner=EVIL_NAME))
    pages = [client.get(path) for path in ("/recommendations", "/profile", "/map", f"/title/{EVIL_ID}", "/title/109")]
    pages.append(client.get("/search", params={"q": EVIL_NAME}))
    pages.append(client.get("/recommendations", params={"user": EVIL_NAME}))
    pages.append(client.get("/person", params={"name": EVIL_TITLE}))
    for page in pages:
        assert not tree(page).xpath("//script | //img"), page.url
        assert "<script>alert" not in page.text
        assert "onerror=alert(1)>" not in page.text.replace("&gt;", "»")
    assert EVIL_TITLE in words(pages[3])


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        ("/recommendations", 409, "There is no list to go by"),
        ("/person?name=", 400, "No name was typed"),
        ("/person?name=user0", 404, "Did you mean user0"),
        ("/person?name=hidden", 409, "the list of hidden is private"),
        ("/recommendations?user=" + "x" * 201, 400, "No name has more than 200 characters"),
        (f"/recommendations?user={USER}&length=0", 400, "How many titles (length) can't be"),
        (f"/recommendations?user={USER}&length=9999999", 400, "How many titles (length) can't be"),
        (f"/recommendations?user={USER}&nonsense=1", 400, "There is no setting"),
        ("/title/424242", 404, "no such title"),
        ("/title/12345678901", 404, "no such title"),
        ("/title/drop%20table", 404, "no such title"),
        ("/title/..%2f..%2fetc%2fpasswd", 404, "no such"),
        ("/static/..%2f..%2fapp.py", 404, "no such page"),
        ("/static/%2e%2e/app.py", 404, "no such page"),
        ("/search?q=" + "x" * 201, 400, "No title has more than 200 characters"),
        ("/nowhere", 404, "no such page"),
    ],
)
def test_a_mistake_is_told_in_words(client: TestClient, path: str, code: int, said: str) -> None:
    answer = client.get(path)
    assert answer.status_code == code
    assert said in words(answer)
    assert tree(answer).xpath("//main//a[@href='/']")


@pytest.mark.parametrize(
    "name", ["'; DROP TABLE users; --", "%", "_", "\x00", "user00\n", "🦆" * 60, "../../etc/passwd", "{{7*7}}"]
)
def test_any_name_is_a_name(client: TestClient, name: str) -> None:
    answer = client.get("/person", params={"name": name})
    assert answer.status_code in (200, 404)
    assert "49" not in words(answer)
    assert client.get(f"/recommendations?user={USER}").status_code == 200


def test_before_anything_is_published_the_page_says_so(tmp_path: Path) -> None:
    with browsing(tmp_path / "data") as visitor:
        answer = visitor.get("/")
        assert answer.status_code == 503
        assert "malsugoi run" in words(answer)
        publish(tmp_path / "data")
        assert visitor.get("/").status_code == 200


def test_no_real_list_is_taken_among_invented_titles(tmp_path: Path) -> None:
    publish(tmp_path / "data", "replica")
    with browsing(tmp_path / "data", source="replica") as visitor:
        assert not tree(visitor.get("/")).xpath("//input[@type='file']")
        assert send(visitor, export(LIKES)).status_code == 409
        assert not tree(visitor.get("/title/100")).xpath("//a[contains(@href, 'myanimelist')]")


def test_links_to_the_site_tell_it_nothing(client: TestClient) -> None:
    links = tree(client.get("/title/100")).xpath("//a[starts-with(@href, 'http')]")
    assert [link.get("href") for link in links] == ["https://myanimelist.net/anime/100"]
    assert "noopener" in links[0].get("rel")
