"""Keeping a list that was brought along, where the visitor asks for it: what `malsugoi import-list` does with its file.

The command runs in a process of its own, so that its work stands in nobody's way here. What it reads is a file of the data
dir's folder `tmp` for nobody else's eyes, gone when the command ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace

from malsugoi_assets.mal.list_writing import write_list
from malsugoi_assets.mal.records import ListEntry
from malsugoi_assets.settings import PREFIX, Settings, variable
from malsugoi_assets.usernames import is_name
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.marks import Mark, MarksError
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.problems import Problem
from malsugoi_assets.web.sessions import Session

LONGEST_SECONDS = 1_800
_USERS_MISTAKE = 2


def keep(settings: Settings, knowledge: Knowledge, session: Session, name: str) -> str:
    """Make the list a user of the data dir, as yet without marks; what the command warned of, '' where of nothing.

    `Problem` (409, 422, 500) in the command's own words.
    """
    if not is_name(name):
        raise Problem(
            422, f"{name[:40]!r} cannot be a user's name here.", "Letters, digits, '_', '-' and '.', at most 64."
        )
    if (taken := _taken(settings, knowledge, name)) is not None:
        raise Problem(
            409,
            f"Somebody is called {taken} here already.",
            "Go back and choose another name. `malsugoi import-list` replaces a list that was imported before.",
        )
    entries = entries_of(session)
    if not entries:
        raise Problem(422, "None of the list's titles has a number of MyAnimeList's, so it cannot be kept.")
    return _import(settings, write_list(entries, name), name)


def keep_marks(knowledge: Knowledge, marks: Mapping[int, Mark], name: str) -> None:
    """Keep what the visitor marked for the user that the list has become. `Problem` (500)."""
    try:
        for anime_id, mark in marks.items():
            knowledge.marks.put(name, anime_id, mark)
    except (MarksError, OSError) as error:
        raise Problem(500, f"The list is kept, what you marked is not: {error}.") from error


def _taken(settings: Settings, knowledge: Knowledge, name: str) -> str | None:
    """Who is called so, or so that files would take the two for one; also who is not published yet."""
    known = DataDir(settings.root).ledger.spelling(name)
    if known is not None:
        return known
    found = knowledge.published.rows("SELECT username FROM users WHERE lower(username) = lower(?)", name)
    return str(found[0]["username"]) if found else None


def entries_of(session: Session) -> list[ListEntry]:
    """The list as it was sent, with what was rated on the page since; only titles that the site numbers."""
    sent = {entry.anime_id: entry for entry in session.sent}
    rows: Iterable[tuple[int, str, int | None, str | None]] = session.entries.select(
        "anime_id", "title", "score", "status"
    ).iter_rows()
    return [
        replace(sent[anime_id], score=score, status=status)  # type: ignore[arg-type]
        if anime_id in sent
        else ListEntry(anime_id, title or None, score, status)  # type: ignore[arg-type]
        for anime_id, title, score, status in rows
        if anime_id > 0
    ]


def _import(settings: Settings, export: bytes, name: str) -> str:
    folder = settings.root / "tmp"
    folder.mkdir(exist_ok=True)
    ours = {variable(field): str(value) for field, value in settings.without_secrets().items()}
    env = {key: value for key, value in os.environ.items() if not key.startswith((PREFIX, "DAGSTER_"))} | ours
    with tempfile.NamedTemporaryFile(dir=folder, prefix="list-", suffix=".xml") as file:
        file.write(export)
        file.flush()
        command = [sys.executable, "-m", "malsugoi_assets.app", "import-list", file.name, f"--as={name}"]
        try:
            done = subprocess.run(
                command, env=env, cwd=settings.root, capture_output=True, text=True, check=False,
                stdin=subprocess.DEVNULL, timeout=LONGEST_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise Problem(500, "Keeping the list took too long and was ended.", "Try again later.") from error
    if done.returncode:
        said = " ".join(done.stderr.split()).replace(file.name, "the list").removeprefix("Error: ")
        code = 422 if done.returncode == _USERS_MISTAKE else 500
        begun = DataDir(settings.root).ledger.spelling(name) is not None  # no second attempt can have the name
        then = (
            "`malsugoi run` goes on with it, or go back and choose another name."
            if begun
            else "Go back and try again."
        )
        raise Problem(code, f"The list was not kept: {said[-500:] or 'the command failed'}", then)
    warned = [line.removeprefix("Warning: ") for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    return " ".join(warned)[:500]
