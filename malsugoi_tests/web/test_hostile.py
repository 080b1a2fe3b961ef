"""Files that mean harm, and that nothing of any file is kept."""

from __future__ import annotations

import gc
import gzip
import tempfile
import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from malsugoi_assets.web.limits import Limits
from malsugoi_tests.web.test_pages import words
from malsugoi_tests.web.world import LIKES, OWN, browsing, export, send

BOMB = gzip.compress(b"<myanimelist>" + b" " * (80 * 2**20), 9)
ENTITIES = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<myanimelist><anime><series_animedb_id>1</series_animedb_id><series_title>&b;</series_title></anime></myanimelist>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>
<myanimelist><myinfo><user_name>&f;</user_name></myinfo></myanimelist>"""
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
FILES = {
    "a bomb": (BOMB, 422, "more than 32 MiB"),
    "a bomb in a bomb": (gzip.compress(BOMB), 422, "no list of anime"),
    "entities": (ENTITIES, 422, "a document type"),
    "an entity of a file": (OUTSIDE, 422, "a document type"),
    "a picture": (PNG, 422, "no list of anime"),
    "a web page": (b"<!doctype html><html><script>alert(1)</script></html>", 422, "no list of anime"),
    "another XML file": (b"<rss><script>x</script></rss>", 422, "an XML file of another kind"),
    "a manga list": (b"<myanimelist><manga/></myanimelist>", 422, "manga"),
    "half a file": (export(LIKES)[:-20], 422, "ends in the middle"),
    "damaged": (export(LIKES)[:40] + b"\0\0\0" + export(LIKES)[43:], 422, "no list of anime"),
    "nothing": (b"", 422, "empty"),
    "an empty list": (export({}), 422, "empty"),
    "strangers only": (export({5: 9}), 422, "None of the list's titles"),
    "ids out of bounds": (export({2**40: 9}, packed=False), 422, "no list of anime"),
    "deep nesting": (b"<a>" * 100_000, 422, "no list of anime"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_no_list_is_refused_in_words(client: TestClient, what: str) -> None:
    body, code, said = FILES[what]
    answer = send(client, body)
    assert answer.status_code == code
    assert said in words(answer)
    assert "root:" not in answer.text
    assert "set-cookie" not in answer.headers
    assert client.get("/recommendations").status_code == 409


@pytest.mark.parametrize("what", FILES)
def test_the_api_refuses_the_same(client: TestClient, what: str) -> None:
    body, code, said = FILES[what]
    if what == "strangers only":
        return
    answer = client.post("/api/recommendations", content=body, headers={"Content-Type": "application/xml"})
    assert answer.status_code == code
    assert said in answer.json()["error"]


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400),
        ({"data": {"file": "text in place of a file"}}, 415),
        ({"files": [("file", ("a", b"1")), ("file", ("b", b"2"))]}, 400),
        ({"files": {"other": ("a", b"1")}}, 400),
        ({"files": {"file": ("a", b"1")}, "data": {f"f{n}": "x" for n in range(50)}}, 400),
    ],
)
def test_a_form_that_is_none_is_refused_in_words(client: TestClient, form: dict[str, object], code: int) -> None:
    headers = OWN | dict(form.pop("headers", {}))  # type: ignore[call-overload]
    answer = client.post("/upload", headers=headers, **form)  # type: ignore[arg-type]
    assert answer.status_code == code
    assert words(answer)


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "C:\\evil.xml", "a\x00b.xml", "<script>.xml", "x" * 4000, ""]
)
def test_a_files_name_means_nothing(client: TestClient, name: str) -> None:
    answer = send(client, export(LIKES), name)
    assert answer.status_code in (200, 400)
    assert "<script>.xml" not in answer.text


def files_under(root: Path) -> dict[Path, tuple[int, float]]:
    return {path: (path.stat().st_size, path.stat().st_mtime) for path in root.rglob("*") if path.is_file()}


def test_nothing_of_a_list_is_kept(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = files_under(world)
    with browsing(world) as client:
        send(client, export(LIKES | dict.fromkeys(range(10000, 40000), 5), owner="only-in-the-file", packed=False))
        for path in ("/recommendations", "/profile", "/season", "/map", "/title/100"):
            assert client.get(path).status_code == 200
        client.post("/api/recommendations", content=export(LIKES), headers={"Content-Type": "application/gzip"})
        sessions = client.app.state.sessions  # type: ignore[attr-defined]
        assert len(sessions) == 1
        assert client.get("/person?name=only-in-the-file").status_code == 404
        assert client.post("/forget", headers=OWN).status_code == 200
        assert len(sessions) == 0
        assert client.get("/recommendations").status_code == 409
        assert not list(tmp_path.iterdir())
    assert files_under(world) == before
    gc.collect()


def test_one_visitors_list_is_not_anothers(world: Path) -> None:
    with browsing(world) as client:
        send(client, export(LIKES))
        stranger = TestClient(client.app, base_url=str(client.base_url))
        assert stranger.get("/recommendations").status_code == 409
        stranger.cookies.set("malsugoi_list", client.cookies["malsugoi_list"])
        assert stranger.get("/recommendations").status_code == 200


def test_a_list_of_more_entries_than_the_site_has_is_refused(world: Path) -> None:
    with browsing(world, Limits(entries=4)) as client:
        assert send(client, export(LIKES)).status_code == 413


def test_many_uploads_at_once_are_all_answered(client: TestClient) -> None:
    codes: list[int] = []

    def one() -> None:
        codes.append(
            client.post(
                "/upload", files={"file": ("a", export(LIKES))}, headers=OWN, follow_redirects=False
            ).status_code
        )

    threads = [threading.Thread(target=one) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [303] * 20
