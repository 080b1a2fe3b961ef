"""`malsugoi recommend`, `explain` and `mark`: options and words; the work is in `recommending` and `reports`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.options import chosen, options_of
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.settings import Settings

if TYPE_CHECKING:
    from malsugoi_assets.app.recommending import Made


@click.command("recommend")
@click.argument("username")
@click.option("--top", type=click.IntRange(1, 1_000), default=10, show_default=True, help="How many titles.")
@click.option("--json", "as_json", is_flag=True, help="For scripts; the names of the table's columns.")
@click.option("--csv", "as_csv", is_flag=True, help="For spreadsheets.")
@click.option(
    "--xml",
    "plan",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write them into this file too, as a plan-to-watch list that MyAnimeList imports (gzipped if it ends in .gz). "
    "The import sets titles that are on the list there to planned.",
)
@click.option(
    "--fetch",
    is_flag=True,
    help="Ask the site for USERNAME's public list now, and recommend for that. Nothing of it is kept.",
)
@click.option("--keep-as", metavar="NAME", help="With --fetch: keep the list under this name, as import-list does.")
@options_of(RecommendationSettings, "length")
def recommend(
    username: str,
    top: int,
    as_json: bool,
    as_csv: bool,
    plan: Path | None,
    fetch: bool,
    keep_as: str | None,
    **given: Any,
) -> None:
    """What USERNAME may want to watch next, and what on their list speaks for it.

    Without further options it is the list that is stored; with any, a new one from the stored models. A list that the
    filters leave short is filled up by giving way, and says so.

    \b
    Examples:
      malsugoi recommend me --types Movie --first-year 2010
      malsugoi recommend me --genres Comedy --without-genres Ecchi --gems 0.5
      malsugoi recommend me --next-in-series
      malsugoi recommend me --only-planned
      malsugoi recommend me --top 25 --xml plan.xml
      malsugoi recommend SOMEBODY --fetch
    """
    from malsugoi_assets.app.cli import console, load_settings
    from malsugoi_assets.app.recommendation_output import print_csv, print_table, write_plan_file
    from malsugoi_assets.recommend.short_lists import GOES_BY_NOTHING, goes_by_nothing

    if as_json and as_csv:
        raise UserError("--json and --csv are two forms of the same: choose one")
    settings = load_settings()
    wanted = chosen(RecommendationSettings, given, length=top)
    (rows, notes), usual = (_fetched if fetch else _stored)(settings, username, wanted, keep_as)
    told = write_plan_file(settings, plan, username, rows) if plan else ""
    if as_json:
        click.echo(json.dumps(rows, default=str, indent=2, ensure_ascii=False))
    elif as_csv:
        print_csv(settings, rows)
    else:
        if rows:
            print_table(console, settings, username, rows)
        if 0 < len(rows) < top and not usual and not any(row["gave_way"] for row in rows):
            console.print(f"Only {len(rows)} title{'s fit' if len(rows) > 1 else ' fits'} what you asked for.")
    if goes_by_nothing(rows):
        notes = [*notes, GOES_BY_NOTHING]
    for note in notes:
        click.echo(note, err=as_json or as_csv)
    if told:
        click.echo(told, err=as_json or as_csv)


def _stored(
    settings: Settings, username: str, wanted: RecommendationSettings, keep_as: str | None
) -> tuple[Made, bool]:
    """The rows with what to say, and whether they are those of the table."""
    from malsugoi_assets.app.recommending import Made, has_marks, make_recommendations
    from malsugoi_assets.app.reports import read_recommendations

    if keep_as is not None:
        raise UserError("--keep-as keeps a list that --fetch fetches: add --fetch")
    usual = wanted == RecommendationSettings(length=wanted.length) and not has_marks(settings, username)
    if not usual:
        return make_recommendations(settings, username, wanted), False
    rows = read_recommendations(settings, username)[: wanted.length]
    # Of a list that came since the last run, and that could not be recommended for at once, nothing is stored.
    if not rows or len(rows) < wanted.length > RecommendationSettings().length:
        return make_recommendations(settings, username, wanted), True
    return Made(rows, []), True


def _fetched(
    settings: Settings, username: str, wanted: RecommendationSettings, keep_as: str | None
) -> tuple[Made, bool]:
    from malsugoi_assets.app.cli import console
    from malsugoi_assets.app.fetch_list import fetch_list
    from malsugoi_assets.app.import_list import keep_list
    from malsugoi_assets.app.recommending import recommend_list, refuse_unknown_words
    from malsugoi_assets.usernames import is_name

    if keep_as is not None and not is_name(keep_as):
        raise UserError(f"--keep-as: {keep_as[:40]!r} cannot be a user's name here")
    refuse_unknown_words(settings, wanted)
    with console.status(f"asking for {username}'s list …"):
        entries = fetch_list(settings, username)
    if keep_as is not None:
        keep_list(settings, keep_as, entries, console)
    return recommend_list(settings, username, entries, wanted), False


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
        lines.append(f"{found['title']} is not recommended to {found['username']}: {found['why_not']}.")
    else:
        lines.append(f"{found['title']} is number {found['place']} of what is recommended to {found['username']}.")
    if found["predicted_rating"] is not None:
        lines.append(f"The rating would probably be {found['predicted_rating']:.1f}.")
    for words, entries in (("Because you know", found["because"]), ("Though", found["though"])):
        if entries:
            lines.append(f"{words} {', '.join(map(_entry, entries))}.")
    if not found["because"] and found["score"] is not None and not found["listed"]:
        lines.append("No single title on the list speaks for it.")
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
    said = {"seen": f"{known} has seen {name}", "not interested": f"{known} is not interested in {name}"}
    console.print(f"{said.get(mark, f'{known} says nothing more of {name}')}.", markup=False)


def _entry(entry: dict[str, Any]) -> str:
    from malsugoi_assets.app.recommendation_output import entry_name

    rated = f" (you gave it {entry['score']})" if entry["score"] is not None else ""
    return f"{entry_name(entry)}{rated}"
