"""Lists in memory: bounded in number, size and time."""

from __future__ import annotations

from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.people import list_frame
from malsugoi_assets.web.sessions import Lru, Session, Sessions

TWO = list_frame([("", 1, "a", 9, None), ("", 2, "b", None, None)])


def test_a_list_is_found_by_its_token_until_it_is_forgotten() -> None:
    sessions = Sessions(Limits())
    token = sessions.open(Session("me", TWO))
    found = sessions.get(token)
    assert found is not None
    assert found.name == "me"
    sessions.forget(token)
    assert sessions.get(token) is None
    assert sessions.get(None) is None


def test_a_list_nobody_looks_at_is_thrown_away() -> None:
    now = [0.0]
    sessions = Sessions(Limits(session_seconds=10), lambda: now[0])
    used, unused = sessions.open(Session(None, TWO)), sessions.open(Session(None, TWO))
    now[0] = 9
    assert sessions.get(used) is not None
    now[0] = 15
    assert sessions.get(unused) is None
    assert sessions.get(used) is not None
    assert len(sessions) == 1


def test_the_oldest_make_room() -> None:
    sessions = Sessions(Limits(sessions=3))
    tokens = [sessions.open(Session(None, TWO)) for _ in range(5)]
    assert [sessions.get(token) is not None for token in tokens] == [False, False, True, True, True]
    by_size = Sessions(Limits(session_entries=5))
    tokens = [by_size.open(Session(None, TWO)) for _ in range(4)]
    assert [by_size.get(token) is not None for token in tokens] == [False, False, True, True]


def test_what_was_worked_out_of_a_list_goes_when_a_title_was_seen() -> None:
    sessions = Sessions(Limits())
    token = sessions.open(Session(None, TWO))
    found = sessions.get(token)
    assert found is not None
    found.answers.get("key", lambda: "large")
    sessions.mark(token, 5, "not interested")
    assert found.answers.kept("key") == "large"
    for mark in ("seen", None):
        found.answers.get("key", lambda: "large")
        sessions.mark(token, 6, mark)  # type: ignore[arg-type]
        assert found.answers.kept("key") is None
    assert found.marks == {5: "not interested"}


def test_the_last_answers_are_kept() -> None:
    made: list[int] = []
    answers = Lru(2)
    for key in (1, 2, 1, 3, 1, 2):
        answers.get(key, lambda key=key: made.append(key))
    assert made == [1, 2, 3, 2]
    assert answers.kept(9) is None
    answers.get(9, lambda: "nine")
    assert answers.kept(9) == "nine"
