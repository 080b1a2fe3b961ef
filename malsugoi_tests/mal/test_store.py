"""The page store: what was received stays, once, whoever else writes and whenever the process dies."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from malsugoi_assets.mal.client import Answer
from malsugoi_assets.mal.store import ListOutcome, MissingBody, PageStore

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def answer(body: bytes = b"<html>page</html>", minutes: int = 0, status: int = 200) -> Answer:
    moment = NOON + timedelta(minutes=minutes)
    return Answer("http://site/anime/1", status, body, moment, hashlib.sha256(body).hexdigest())


@pytest.fixture
def store(tmp_path: Path) -> PageStore:
    return PageStore(tmp_path)


def files(store: PageStore) -> list[Path]:
    return sorted(store.data_dir.glob("pages/??/*"))


def test_a_page_comes_back_as_it_was_received(store: PageStore) -> None:
    body = "∀ ☆ \r\n\x00".encode() + bytes(range(256))
    page = store.add("anime", "1", answer(body), good=True, note="airing")
    assert store.body(page) == body
    assert store.latest("anime", "1") == page == PageStore(store.data_dir).get(page.id)
    assert (page.fetched_at, page.http_status, page.bytes, page.note) == (NOON, 200, len(body), "airing")
    assert page.path is not None
    assert gzip.decompress((store.data_dir / page.path).read_bytes()) == body
    assert not Path(page.path).is_absolute()


def test_an_equal_body_is_written_once(store: PageStore) -> None:
    first = store.add("anime", "1", answer(), good=True)
    before = (store.data_dir / str(first.path)).stat().st_mtime_ns
    second = store.add("anime", "1", answer(minutes=9), good=True)
    assert (first.path, len(files(store))) == (second.path, 1)
    assert (store.data_dir / str(first.path)).stat().st_mtime_ns == before
    assert store.latest("anime", "1") == second != first


def test_the_newest_and_the_newest_good_page_are_told_apart(store: PageStore) -> None:
    good = store.add("list", "ann", answer(b"good"), good=True)
    bad = store.add("list", "ann", answer(b"404", 5, 404), good=False, note="a 404 page")
    failure = store.add_failure(
        "list", "ann", "http://site/x", at=NOON + timedelta(hours=1), http_status=None, note="reset"
    )
    store.add("list", "bob", answer(b"other"), good=True)
    assert store.latest("list", "ann") == failure
    assert store.last_good("list", "ann") == good
    assert store.newest("list")["ann"] == failure
    assert store.newest("list", good=True)["ann"] == good
    assert store.body(bad) == b"404"
    assert store.latest("top", "ann") is None
    with pytest.raises(MissingBody, match="reset"):
        store.body(failure)


@pytest.mark.parametrize("harm", ["gone", "cut", "empty", "other", "text"])
def test_a_broken_file_is_reported_and_can_be_fetched_again(store: PageStore, harm: str) -> None:
    page = store.add("anime", "1", answer(b"x" * 999), good=True)
    path = store.data_dir / str(page.path)
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": whole[:-9], "empty": b"", "other": gzip.compress(b"y"), "text": b"hello"}[harm])
    with pytest.raises(MissingBody, match="anime/1"):
        store.body(page)
    store.reject(page, "broken")
    assert store.last_good("anime", "1") is None
    assert store.body(store.add("anime", "1", answer(b"x" * 999), good=True)) == b"x" * 999


def test_a_broken_file_is_written_anew_when_its_body_comes_again(store: PageStore) -> None:
    """Also where nobody rejected the page first: else it would be fetched again for ever."""
    page = store.add("list", "ann", answer(), good=True)
    (store.data_dir / str(page.path)).write_bytes(b"rubbish")
    assert store.body(store.add("list", "ann", answer(), good=True)) == answer().body
    assert len(files(store)) == 1


def test_rejecting_a_page_for_what_it_says_keeps_its_file(store: PageStore) -> None:
    page = store.add("anime", "1", answer(), good=True)
    store.reject(page, "another anime")
    assert store.body(page) == answer().body


def test_an_outcome_is_one_a_user_whatever_the_case(store: PageStore) -> None:
    assert store.outcome("Ann") is None
    store.set_outcome(ListOutcome("Ann", "ok", NOON, NOON, None, (1, 2)))
    store.set_outcome(ListOutcome("ANN", "ok", NOON, NOON + timedelta(days=1), "timeout", (1, 2)))
    assert store.outcome("ann") == ListOutcome("ANN", "ok", NOON, NOON + timedelta(days=1), "timeout", (1, 2))


def test_a_walk_is_kept(store: PageStore) -> None:
    assert store.walk("users") == {}
    store.set_walk("users", {"names": ["a", "∀"]})
    assert PageStore(store.data_dir).walk("users") == {"names": ["a", "∀"]}


def test_forgetting_a_user_leaves_no_file_and_nobody_else_without_one(store: PageStore) -> None:
    shared = store.add("list", "ann", answer(b"[]"), good=True)
    own = store.add("list_json", "ann?offset=300", answer(b"[1]"), good=True)
    kept = store.add("list_json", "annabel?offset=300", answer(b"[]"), good=True)
    store.set_outcome(ListOutcome("Ann", "ok", NOON, NOON, None, (shared.id, own.id)))
    assert store.forget_user("ANN") == 2
    assert store.outcome("ann") is None
    assert store.latest("list", "ann") is None
    assert not (store.data_dir / str(own.path)).exists()
    assert store.body(kept) == b"[]"


WRITER = """
import hashlib, sys
from datetime import UTC, datetime
from pathlib import Path
from malsugoi_assets.mal.client import Answer
from malsugoi_assets.mal.store import PageStore
store = PageStore(Path(sys.argv[1]))
for i in range(int(sys.argv[3])):
    body = f"page {i} ".encode() * 50
    answer = Answer("u", 200, body, datetime.now(UTC), hashlib.sha256(body).hexdigest())
    store.add("anime", f"{sys.argv[2]}-{i}", answer, good=True)
    print(i, flush=True)
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)], stdout=subprocess.PIPE, text=True
    )


def test_processes_write_side_by_side(tmp_path: Path) -> None:
    workers = [writer(tmp_path, name, 80) for name in "ab"]
    assert [worker.wait(300) for worker in workers] == [0, 0]
    store = PageStore(tmp_path)
    assert len(store.newest("anime")) == 160
    assert len(files(store)) == 80
    assert all(store.body(page) for page in store.newest("anime").values())


def test_a_killed_writer_leaves_no_record_without_its_file(tmp_path: Path) -> None:
    for attempt in range(3):
        worker = writer(tmp_path, f"k{attempt}", 100_000)
        assert worker.stdout is not None
        for _ in range(20 * (attempt + 1)):
            worker.stdout.readline()
        time.sleep(0.003 * attempt)
        worker.kill()
        worker.wait()
    store = PageStore(tmp_path)
    pages = store.newest("anime")
    assert len(pages) >= 120
    assert all(store.body(page).startswith(b"page ") for page in pages.values())
