"""The command line: options and words here, work elsewhere."""

from __future__ import annotations

import atexit
import gc
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from malsugoi_assets.app.errors import UserError, WorkError, fault_of_a_file, fault_of_the_machine
from malsugoi_assets.app.interrupts import ending_at_once
from malsugoi_assets.settings import Settings, SettingsError

_FIRST = ("run", "status", "recommend", "similar")
# Commands with a module of their own, imported when they are called.
_ELSEWHERE = {
    "dev": "malsugoi_assets.app.dev",
    "doctor": "malsugoi_assets.app.doctor",
    "evaluate": "malsugoi_assets.app.evaluate",
    "explain": "malsugoi_assets.app.recommend",
    "forget": "malsugoi_assets.app.forget",
    "import-list": "malsugoi_assets.app.import_list",
    "mark": "malsugoi_assets.app.recommend",
    "models": "malsugoi_assets.app.models",
    "recommend": "malsugoi_assets.app.recommend",
    "serve": "malsugoi_assets.app.serve",
}
# Commands that end within seconds, and load much of Dagster, torch and the catalogue until then.
_BRIEF = frozenset({"doctor", "explain", "import-list", "mark", "models", "recommend", "similar", "status"})
# Commands that a Ctrl-C ends with a sentence, also while what they need is imported.
_STOPPABLE = frozenset({"import-list", "run"})
_SELDOM = (200_000, 20, 100)
_WORDS_SHOWN = 4
_SERIES_SHOWN = 6
console = Console()


class _Ordered(click.Group):
    """Shows first what a newcomer needs first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_FIRST, *sorted({*super().list_commands(ctx), *_ELSEWHERE} - set(_FIRST))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            found: click.Command = getattr(import_module(_ELSEWHERE[cmd_name]), cmd_name.replace("-", "_"))
            return found
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in _BRIEF:
            ctx.with_resource(_collecting_seldom())
        if args[0] in _STOPPABLE:
            ctx.with_resource(ending_at_once(lambda: console.show_cursor(True)))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        typed = list(ctx.args)
        try:
            return super().invoke(ctx)
        except click.NoSuchOption as error:
            if error.option_name.startswith("--") or not _may_be_a_name(error.ctx, typed):
                raise
            told = f"{error.format_message()} A name that begins with '-' stands last, behind --."
            raise click.UsageError(told, error.ctx) from error
        except Exception as error:
            if said := fault_of_the_machine(error) or fault_of_a_file(error, lambda: load_settings().root):
                raise WorkError(said) from error
            raise


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """A block in which hardly anybody looks for garbage: what is loaded stays until the end, and to look through it every 700
    objects cost an import a sixth of its processor time.
    """
    atexit.register(gc.freeze)  # as it ends, Python would look through all of it once more, for a second
    usual = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _may_be_a_name(ctx: click.Context | None, typed: list[str]) -> bool:
    """Whether what no option is called would fit among the command's arguments; `typed`: the words after the first
    command's name.
    """
    if ctx is None:
        return False
    if ctx.parent is not None and ctx.parent.parent is not None and ctx.info_name in typed:
        typed = typed[typed.index(ctx.info_name) + 1 :]
    tolerant = click.Context(ctx.command, ignore_unknown_options=True, resilient_parsing=True)
    _, left, _ = ctx.command.make_parser(tolerant).parse_args(args=list(typed))
    return not left


@click.group(cls=_Ordered, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="malsugoi")
def main() -> None:
    """MALSugoi: from MyAnimeList's pages to recommendations.

    \b
    Start here:
      malsugoi run              make everything (a local stand-in for the site by default)
      malsugoi status           what there is, and how good it is
      malsugoi recommend USER   what a user may want to watch next, and why
      malsugoi similar TITLE    titles for those who like one
    """


def load_settings(load: Callable[[], Settings] | None = None) -> Settings:
    """The settings of the environment and of the data dir; a mistake in them ends in one line."""
    # What reads the data dir costs a tenth of a second at import; `--help` does without it.
    from malsugoi_assets.warehouse.data_dir import with_own_source

    try:
        settings = (load or with_own_source)()
    except SettingsError as error:
        raise UserError(str(error)) from error
    if fault := settings.fault_of_the_root():
        raise UserError(fault)
    return settings


@main.command()
@click.option("--source", type=click.Choice(["replica", "live", "files"]), help="Where titles and lists come from.")
def run(source: str | None) -> None:
    """Make everything: catalogue, users, lists, models, recommendations. What is current is left alone."""
    # Dagster costs a second at import; the other commands do without it.
    from malsugoi_assets.app.run import run_all

    # Nobody asks a site, or fills a data dir, by a source that was named another time.
    run_all(load_settings(lambda: Settings.load(source=source)), console)


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 = any free one.")
@click.option("--anime", type=click.IntRange(1), help="How many titles its world has.")
@click.option("--users", type=click.IntRange(1), help="How many users its world has at first.")
@click.option("--seed", type=int, help="Another seed, another world.")
def replica(port: int, anime: int | None, users: int | None, seed: int | None) -> None:
    """Serve the local stand-in for MyAnimeList alone, until Ctrl-C."""
    from malsugoi_assets.mal.replica import ReplicaError, serve

    try:
        serve(load_settings().root, port=port, n_anime=anime, n_users=users, seed=seed, say=click.echo)
    except ReplicaError as error:
        raise UserError(str(error)) from error


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def status(as_json: bool) -> None:
    """What there is: tables, users, metrics, the replica's address."""
    from malsugoi_assets.app.reports import read_status, show_status

    found = read_status(load_settings())
    if as_json:
        click.echo(json.dumps(found, default=str, indent=2))
    else:
        show_status(found, console)


@main.command()
@click.argument("title")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many titles.")
@click.option(
    "--series/--no-series", "own_series", default=False, help="Name other parts of the title's own series too."
)
@click.option("--json", "as_json", is_flag=True, help="For scripts; the names of the table's columns.")
def similar(title: str, top: int, own_series: bool, as_json: bool) -> None:
    """Titles that somebody who likes TITLE (any of its names, their initials, or its id) may like as well.

    They stand on the same lists, have genres, themes or studios in common, and are known; one of each series, and none of
    the title's own.
    """
    from malsugoi_assets.app.reports import read_similar

    found = read_similar(load_settings(), title, top, own_series=own_series)
    rows = found["neighbours"]
    if as_json:
        click.echo(json.dumps(rows, default=str, indent=2, ensure_ascii=False))
        return
    table = Table(title=Text(f"Like {found['title']}"), title_justify="left")
    for column in ("#", "title", "likeness", "rated both", "in common"):
        table.add_column(column, justify="left" if column in ("title", "in common") else "right")
    for row in rows:
        common = ", ".join(row["in_common"][:_WORDS_SHOWN])
        likeness, both = f"{row['similarity']:.2f}", str(row["support"] or "–")
        table.add_row(str(row["rank"]), Text(str(row["title"])), likeness, both, Text(common))
    console.print(table)
    if found["series"] and not own_series:
        more = f" and {len(found['series']) - _SERIES_SHOWN} more" if len(found["series"]) > _SERIES_SHOWN else ""
        console.print(f"Of the same series: {' · '.join(found['series'][:_SERIES_SHOWN])}{more}", markup=False)
    if found["did_you_mean"]:
        console.print(f"Or did you mean: {' · '.join(found['did_you_mean'])}?", style="dim", markup=False)
