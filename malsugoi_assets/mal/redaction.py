"""A person's name in bytes that we keep: where it names them, and those bytes without it. Pure functions.

Names may be ordinary words ("One", "Action"), which a page is full of without meaning anybody. So a name counts as a
mention where it stands in an address (`/profile/NAME`), as the text of such a link, in a cell of a preview table, or
before "'s list"; a distinctive name, one with letters and a digit, counts wherever it stands as a word of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

_WORD = rb"A-Za-z0-9_-"
_PLACES = rb"profile|animelist|mangalist|history|users|reviews|recommendations|clubs|friends"
_LINKED = re.compile(rb"/(?:" + _PLACES + rb")/([" + _WORD + rb"]{2,64})")
_STAND_IN = re.compile(r"forgotten-person-\d+")
_BATCH = re.compile(r"batch-\d+")


def stand_in(body: bytes) -> bytes:
    """What is written in a name's place: longer than any name of the site, and not yet in `body`."""
    number = 1
    while b"forgotten-person-%d" % number in body:
        number += 1
    return b"forgotten-person-%d" % number


def is_stand_in(name: str) -> bool:
    """Whether a page shows this where a forgotten person's name stood."""
    return _STAND_IN.fullmatch(name) is not None


def is_distinctive(name: str) -> bool:
    """Whether the name can hardly be anything else than this name."""
    return (
        len(name) >= 5
        and re.search(r"[A-Za-z]", name) is not None
        and re.search(r"\d", name) is not None
        and _BATCH.fullmatch(name) is None
    )


@lru_cache(maxsize=256)
def _mentions(name: str) -> re.Pattern[bytes]:
    word = re.escape(name.encode())
    ends = rb"(?![" + _WORD + rb"])"
    if is_distinctive(name):
        return re.compile(rb"(?<![" + _WORD + rb"])" + word + ends, re.I)
    return re.compile(
        rb"(?:/(?:" + _PLACES + rb")/(?:" + word + ends + rb"[^<>]*>\s*)?|\| )" + word + ends
        + rb"|" + word + rb"(?='s (?:anime )?list)",
        re.I,
    )  # fmt: skip


def mentions(body: bytes, name: str) -> bool:
    """Whether the bytes name this person."""
    return _mentions(name).search(body) is not None


def without_name(body: bytes, name: str) -> bytes:
    """The bytes with a stand-in for the name wherever it names the person; the same object where it never does."""
    pattern = _mentions(name)
    if pattern.search(body) is None:
        return body
    instead = stand_in(body)
    word = re.compile(rb"(?<![" + _WORD + rb"])" + re.escape(name.encode()) + rb"(?![" + _WORD + rb"])", re.I)
    return pattern.sub(lambda found: word.sub(instead, found[0]), body)


def without_forgotten(body: bytes, is_forgotten: Callable[[str], bool]) -> bytes:
    """The bytes without the names of people who are linked to and who are to be forgotten."""
    for name in {found[1].decode() for found in _LINKED.finditer(body)}:
        if is_forgotten(name):
            body = without_name(body, name)
    return body
