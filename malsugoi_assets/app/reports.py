"""What commands show, read from the published database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from rich.console import Console
from rich.table import Table

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.next_steps import argument, called
from malsugoi_assets.recommend.search import find_title
from malsugoi_assets.recommend.similar import SimilarTitles
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir, DataDirError
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_assets.web.published import Published
from malsugoi_assets.web.similar import like

Ask = Callable[..., list[dict[str, Any]]]
"""Takes SQL and its values, answers rows."""
_ALIKE = 0.88
"""Jaro-Winkler similarity from which on one name may be meant by another."""
_NAMES_LIKE = """
    SELECT username FROM (SELECT username, lower(username) AS name, lower(?) AS asked FROM users)
    WHERE starts_with(name, asked) OR jaro_winkler_similarity(name, asked) >= ?
    ORDER BY jaro_winkler_similarity(name, asked) DESC, username LIMIT 3"""


@contextmanager
def published(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A read-only connection to the published database; `UserError` before the first run."""
    with duckdb.connect(str(published_file(settings)), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


def published_file(settings: Settings) -> Path:
    """The published database; `UserError` before the first run."""
    path = DataDir(settings.root).publisher.current()
    if path is None:
        raise UserError(f"nothing is in {settings.root} yet: `malsugoi run` first (or set MALSUGOI_DATA_DIR)")
    return path


def rows(con: duckdb.DuckDBPyConnection, sql: str, *values: object) -> list[dict[str, Any]]:
    """The result's rows as dictionaries."""
    result = con.execute(sql, list(values))
    names = [column[0] for column in result.description or []]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def read_status(settings: Settings) -> dict[str, Any]:
    """Tables with their row counts, users by status, headline figures, where things are."""
    replica = None
    try:
        source = DataDir(settings.root).source(settings)
    except DataDirError as error:
        raise UserError(str(error)) from error
    if source == "replica":
        from malsugoi_assets.mal.replica import replica_status

        replica = replica_status(settings.root)
    with published(settings) as con:
        # An older version's database lacks what it did not know, until the next run.
        there = {row["table_name"] for row in rows(con, "SELECT table_name FROM duckdb_tables()")}
        tables = {
            name: con.table(name).aggregate("count(*)").fetchall()[0][0]
            for name, t in TABLES.items()
            if t.published and name in there
        }
        return {
            "data_dir": str(settings.root),
            "source": source,
            "database": str(DataDir(settings.root).publisher.current()),
            "replica": replica["url"] if replica else None,
            "tables": tables,
            "users_by_status": {r["s"]: r["n"] for r in rows(con, "SELECT coalesce(list_status, 'not read yet') AS s, count(*) AS n FROM users GROUP BY 1 ORDER BY 1")},
            "headline": {r["what"]: r["figure"] for r in rows(con, "FROM headline")},
            "example_user": next(
                iter(r["username"] for r in rows(con, "SELECT username FROM recommendations GROUP BY 1 ORDER BY min(user_batch), 1 LIMIT 1")),
                None,
            ),
        }  # fmt: skip


def show_status(found: dict[str, Any], console: Console) -> None:
    """The status for a person."""
    console.print(f"{found['source']} in {found['data_dir']}", markup=False, soft_wrap=True)
    if found["replica"]:
        console.print(f"replica at {found['replica']}")
    show_tables(found, console)
    console.print("users: " + ", ".join(f"{n} {status}" for status, n in found["users_by_status"].items()))
    if found["example_user"]:
        command = f"{called()} recommend {argument(found['example_user'])}"
        console.print(f"try: {command}", markup=False, soft_wrap=True)


def show_tables(found: dict[str, Any], console: Console) -> None:
    """Row counts and headline figures."""
    table = Table(title="Tables", title_justify="left")
    table.add_column("table")
    table.add_column("rows", justify="right")
    table.add_column("what it holds", style="dim")
    for name, count in found["tables"].items():
        table.add_row(name, f"{count:,}", TABLES[name].comment.split(":")[0].split(";")[0])
    console.print(table)
    errors = _errors(found["headline"])
    if errors:
        said = " · ".join(f"{model} {mae:.2f} ({mse:.3f})" for model, mae, mse in errors)
        console.print(f"On ratings that no model saw, off by (in points of 1 to 10; mean squared error): {said}")


def _errors(headline: dict[str, float | None]) -> list[tuple[str, float, float]]:
    """Model, mean absolute error and MSE, the best first, of those that have both."""
    found = [
        (name.removesuffix(" mse"), headline.get(f"{name.removesuffix(' mse')} mae"), mse)
        for name, mse in headline.items()
        if name.endswith(" mse")
    ]
    return sorted(
        ((model, mae, mse) for model, mae, mse in found if mae is not None and mse is not None), key=lambda f: f[2]
    )


def read_recommendations(settings: Settings, username: str) -> list[dict[str, Any]]:
    """A user's recommendations by rank, with titles. Raises `UserError` for one who is not there."""
    with published(settings) as con:
        return rows(
            con,
            "SELECT r.*, f.title, '' AS gave_way FROM recommendations r JOIN anime_features f USING (anime_id) "
            "WHERE username = ? ORDER BY rank",
            known_user(settings, partial(rows, con), username),
        )


def known_user(settings: Settings, ask: Ask, username: str, *, needs_list: bool = True) -> str:
    """The user as the data dir spells the name. Raises `UserError` for one who is not there, or has no list."""
    username = readable(username)
    if not username.strip():
        raise UserError(f"no user was named: `{called()} status` names one, the table `users` lists all")
    known = ask(
        "SELECT username, list_status, error FROM users WHERE lower(username) = lower(?) ORDER BY username != ?",
        username,
        username,
    )
    if not known:
        close = [row["username"] for row in ask(_NAMES_LIKE, username, _ALIKE)]
        hint = (
            f"did you mean {', '.join(close)}?"
            if close
            else "the table `users` lists who there is, `malsugoi import-list` adds your own list"
        )
        raise UserError(f"{username}: no such user in {settings.root}; {hint}")
    if needs_list and known[0]["list_status"] != "ok":
        state = known[0]["list_status"] or "not read yet"
        raise UserError(f"{username}: nothing to go by, the list is {state}")
    return str(known[0]["username"])


def readable(typed: str) -> str:
    """What was typed, with bytes that are no UTF-8 as `\\xff`: neither the database nor Polars takes them otherwise."""
    return typed.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def meant_title(features: pl.DataFrame, title: str) -> tuple[int, tuple[str, ...]]:
    """The title that is meant, and others that may be. Raises `UserError` with these where none is near enough."""
    title = readable(title)
    if not title.strip():
        raise UserError("no title was named")
    found = find_title(title, features)
    if found.anime_id is None:
        hint = f"did you mean {' · '.join(found.suggestions)}?" if found.suggestions else "check the spelling"
        if title.lstrip("-").isdecimal():
            hint = "none has that id, and none is called so"
        raise UserError(f"{title}: no such title; {hint}")
    return found.anime_id, found.suggestions


def read_similar(settings: Settings, title: str, top: int = 10, *, own_series: bool = False) -> dict[str, Any]:
    """The title that is meant, the titles most like it by rank, its own series, and what else may have been meant.

    A neighbour has the columns of `similarity_matrix` (`support` 0 where nobody rated both), its title, and what the
    order goes by: `score`, `on_lists`, `in_common`; its `similarity` is that of `recommend.similar`.
    """
    state = Published(published_file(settings))
    features = state.table("anime_features", TABLES["anime_features"].column_names).sort("anime_id")
    anime_id, suggestions = meant_title(features, title)
    relations = state.table("anime_relations", TABLES["anime_relations"].column_names)
    titles = SimilarTitles(features, relations, state.table("title_baselines", ("anime_id", "ratings", "listing")))
    names = dict(features.select("anime_id", "title").iter_rows())
    near = like(state, titles, anime_id, top, own_franchise=own_series)
    if not near.titles:
        raise UserError(f"{names[anime_id]}: there is no other title to compare it with")
    neighbours = [
        {
            "anime_id": anime_id,
            "neighbour_id": other.anime_id,
            "rank": rank,
            "similarity": round(other.similarity, 6),
            "support": near.rated_both.get(other.anime_id, 0),
            "title": names[other.anime_id],
            "score": round(other.score, 6),
            "on_lists": round(other.on_lists, 6),
            "in_common": list(other.in_common),
        }
        for rank, other in enumerate(near.titles, 1)
    ]
    return {
        "title": names[anime_id],
        "neighbours": neighbours,
        "series": [names[other] for other in near.series],
        "did_you_mean": suggestions,
    }
