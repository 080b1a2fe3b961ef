"""A stranger who opens the published database 100 times a second, and says what was wrong with it.

A process of its own (`python -m malsugoi_tests.support.reader DATABASE REPORT`) that goes on until its standard
input ends, then writes what it saw as JSON.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path

import duckdb

INTERVAL_SECONDS = 0.01
FULL_LOOK = 25
"""Every new state is looked at in full, and so is the state of each so-manieth open."""
KEPT_OPENS = 50
"""For so many opens one connection stays open: it must go on seeing the state that it was opened on."""

LIGHT = (
    "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM user_lists), (SELECT count(*) FROM recommendations)"
)
BROKEN = {
    "a list row of nobody": "FROM user_lists ANTI JOIN users USING (username, user_batch)",
    "a list row of no title": "FROM user_lists ANTI JOIN anime_features USING (anime_id)",
    "a rating that stands in no list": "FROM rating_matrix ANTI JOIN user_lists USING (username, user_batch, anime_id)",
    "a prediction for nobody": "FROM cf_predictions ANTI JOIN users USING (username, user_batch)",
    "a prediction of an unrated title": "FROM cf_predictions ANTI JOIN rating_matrix USING (anime_id)",
    "a recommendation for nobody": "FROM recommendations ANTI JOIN users USING (username, user_batch)",
    "a recommendation of no title": "FROM recommendations ANTI JOIN anime_features USING (anime_id)",
    "a similarity of an unrated title": "FROM similarity_matrix ANTI JOIN rating_matrix USING (anime_id)",
    "a weight of an unlisted title": "FROM item_weights ANTI JOIN user_lists USING (anime_id)",
    "a relation of no title": "FROM anime_relations ANTI JOIN anime_features USING (anime_id)",
    "a user whose rows are not as many as said": "FROM users u JOIN (SELECT username, count(*) AS entries, "
    "count(score) AS rated FROM user_lists GROUP BY ALL) l USING (username) "
    "WHERE (u.entries, u.rated) IS DISTINCT FROM (l.entries, l.rated) OR u.list_status IS DISTINCT FROM 'ok'",
    "a user with a list and no rows": "FROM (FROM users WHERE list_status = 'ok') "
    "ANTI JOIN user_lists USING (username)",
    "a batch of which only some was read": "FROM (SELECT user_batch FROM users GROUP BY 1 "
    "HAVING count(list_status) NOT IN (0, count(*)))",
    "a batch of which only some ratings are there": "FROM (SELECT user_batch, count(score) AS n FROM user_lists "
    "GROUP BY 1) l JOIN (SELECT user_batch, count(*) AS n FROM rating_matrix GROUP BY 1) r USING (user_batch) "
    "WHERE l.n <> r.n",
    "a user with some of the predictions": "FROM (SELECT username FROM cf_predictions GROUP BY 1 "
    "HAVING max(rank) <> count(*))",
    "a user with some of the recommendations": "FROM (SELECT username FROM recommendations GROUP BY 1 "
    "HAVING max(rank) <> count(*))",
}


def watch(database: Path) -> dict[str, object]:
    """Open, look and close until standard input ends."""
    opens, wrong, seen = 0, dict[str, int](), set[str]()
    kept: tuple[duckdb.DuckDBPyConnection, tuple[int, ...]] | None = None
    begun = due = time.monotonic()

    def note(what: str) -> None:
        wrong[what] = wrong.get(what, 0) + 1

    while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
        due = max(due + INTERVAL_SECONDS, time.monotonic() - 1)
        if not database.is_symlink():
            begun = due = time.monotonic()
            continue
        try:
            generation = os.readlink(database)
            with duckdb.connect(str(database), read_only=True) as con:
                opens += 1
                con.execute(LIGHT).fetchall()
                if generation not in seen or opens % FULL_LOOK == 0:
                    for what, sql in BROKEN.items():
                        if con.execute(f"SELECT count(*) {sql}").fetchall()[0][0]:
                            note(what)
            seen.add(generation)
            if kept is None:
                # By its own name: DuckDB caches open files by name, and the link must go on showing what is new.
                con = duckdb.connect(str(database.resolve()), read_only=True)
                kept = con, con.execute(LIGHT).fetchall()[0]
            elif opens % KEPT_OPENS == 0:
                if kept[0].execute(LIGHT).fetchall()[0] != kept[1]:
                    note("an open connection saw another state")
                kept[0].close()
                kept = None
        except (duckdb.Error, OSError) as error:
            note(f"{type(error).__name__}: {str(error)[:300]}")
    return {"opens": opens, "seconds": time.monotonic() - begun, "states": len(seen), "wrong": wrong}


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(watch(Path(sys.argv[1]))))
