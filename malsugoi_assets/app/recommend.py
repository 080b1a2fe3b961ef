"""`malsugoi recommend`, `explain` and `mark`: options and words; the work is in `recommending` and `reports`."""

from __future__ import annotations

import csv
import json
import sys
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.options import chosen, options_of
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings

# What giving way means, by the rule that did.
_GAVE_WAY = {
    "per_franchise": "more of one franchise",
    "least_members": "fewer members",
    "least_episodes": "fewer episodes",
    "most_episodes": "more episodes",
    "least_score": "a lower score on the site",
    "years": "other years",
    "genres": "other genres",
}
_CSV = ("rank", "anime_id", "title", "score", "predicted_rating", "because", "gave_way", "url")


@click.command("recommend")
@click.argument("username")
@click.option("--top", type=click.IntRange(1, 1_000), default=10, show_default=True, help="How many titles.")
@click.option("--json", "as_json", is_flag=True, help="For scripts; the names of the table's columns.")
@click.option("--csv", "as_csv", is_flag=True, help="For spreadsheets.")
@options_of(RecommendationSettings, "length")
def recommend(username: str, top: int, as_json: bool, as_csv: bool, **given: Any) -> None:
    """What USERNAME may want to watch next, and what on their list speaks for it.

    Without further options it is the list that is stored; with any, a new one from the stored models. A list that the
    filters leave short is filled up by giving way, and says so.

    \b
    Examples:
      malsugoi recommend me --types Movie --first-year 2010
      malsugoi recommend me --genres Comedy --without-genres Ecchi --gems 0.5
      malsugoi recommend me --next-in-series
      malsugoi recommend me --only-planned
    """
    from malsugoi_assets.app.cli import console, load_settings
    from malsugoi_assets.app.recommending import has_marks, make_recommendations
    from malsugoi_assets.app.reports import read_recommendations

    settings = load_settings()
    wanted = chosen(RecommendationSettings, given, length=top)
    usual = wanted == RecommendationSettings(length=top) and not has_marks(settings, username)
    rows = (
        read_recommendations(settings, username)[:top] if usual else make_recommendations(settings, username, wanted)
    )
    if usual and len(rows) < top and top > RecommendationSettings().length:
        rows = make_recommendations(settings, username, wanted)
    if as_json:
        click.echo(json.dumps(rows, default=str, indent=2, ensure_ascii=False))
        return
    if as_csv:
        writer = csv.DictWriter(sys.stdout, _CSV, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "because": _because(row), "url": _address(settings, row) or ""} for row in rows)
        return
    table = Table(title=f"For {username}", title_justify="left")
    for column in ("#", "title", "rating", "because you know"):
        table.add_column(column, justify="right" if column in ("#", "rating") else "left")
    for row in rows:
        rating = f"{row['predicted_rating']:.1f}" if row["predicted_rating"] is not None else "–"
        address = _address(settings, row)
        title = Text(str(row["title"]), style=f"link {address}" if address else "")
        table.add_row(f"{row['rank']}{'*' if row['gave_way'] else ''}", title, rating, Text(_because(row)))
    console.print(table)
    if gave_way := [rule for rule in _GAVE_WAY if any(row["gave_way"] == rule for row in rows)]:
        told = ", ".join(_GAVE_WAY[rule] for rule in gave_way)
        console.print(f"* Too few titles fit, so these have {told} than you asked for.", markup=False, soft_wrap=True)
    elif len(rows) < top and not usual:
        console.print(f"Only {len(rows)} titles fit what you asked for.")


@click.command("explain")
@click.argument("username")
@click.argument("title")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@options_of(RecommendationSettings, "reasons")
def explain(username: str, title: str, as_json: bool, **given: Any) -> None:
    """Why TITLE (any of its names, or its id) is, or is not, recommended to USERNAME.

    \b
    Example:
      malsugoi explain me "Cowboy Bebop"
    """
    from malsugoi_assets.app.cli import console, load_settings
    from malsugoi_assets.app.recommending import explain_title

    found = explain_title(load_settings(), username, title, chosen(RecommendationSettings, given))
    if as_json:
        click.echo(json.dumps(found, default=str, indent=2, ensure_ascii=False))
        return
    lines = []
    if found["why_not"]:
        lines.append(f"{found['title']} is not on {found['username']}'s list: {found['why_not']}.")
    else:
        lines.append(f"{found['title']} is number {found['place']} on {found['username']}'s list.")
    if found["predicted_rating"] is not None:
        lines.append(f"They would probably rate it {found['predicted_rating']:.1f}.")
    for words, entries in (("Because you know", found["because"]), ("Though", found["though"])):
        if entries:
            lines.append(f"{words} {', '.join(map(_entry, entries))}.")
    if not found["because"] and found["score"] is not None:
        lines.append("Nothing on the list speaks for it.")
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


@click.command("mark")
@click.argument("username")
@click.argument("title")
@click.option("--seen", "mark", flag_value="seen", help="Seen it: it counts like a completed title.")
@click.option("--not-interested", "mark", flag_value="not interested", help="Never recommend it.")
@click.option("--undo", "mark", flag_value="undo", help="Take back what was said.")
def mark(username: str, title: str, mark: str | None) -> None:
    """Say for good that USERNAME has seen TITLE, or does not want it; `recommend` and `explain` go by it.

    \b
    Example:
      malsugoi mark me "Cowboy Bebop" --seen
    """
    from malsugoi_assets.app.cli import console, load_settings
    from malsugoi_assets.app.recommending import mark_title

    if mark is None:
        raise UserError("say which: --seen, --not-interested or --undo")
    known, name = mark_title(load_settings(), username, title, None if mark == "undo" else mark)
    console.print(f"{known}: {name} {'is as before' if mark == 'undo' else f'is {mark}'}.", markup=False)


def _because(row: dict[str, Any]) -> str:
    return ", ".join(str(reason["title"]) for reason in row["because"] or [])


def _entry(entry: dict[str, Any]) -> str:
    rated = f" (you gave it {entry['score']})" if entry["score"] is not None else ""
    return f"{entry['title']}{rated}"


def _address(settings: Any, row: dict[str, Any]) -> str | None:
    """The title's page on the site; none for the replica's inventions and titles without an id."""
    if settings.source == "replica" or row["anime_id"] <= 0:
        return None
    return f"https://myanimelist.net/anime/{row['anime_id']}"
