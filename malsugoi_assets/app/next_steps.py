"""Commands to go on with, as they work when they are copied: also where `malsugoi` or `duckdb` is not on the PATH."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path


def called() -> str:
    """How this program is called from here: by its name where that finds it, else as it was typed."""
    typed = Path(sys.argv[0])
    if typed.name != "malsugoi" or not typed.exists():
        return "malsugoi"
    found = shutil.which("malsugoi")
    return "malsugoi" if found and os.path.samefile(found, typed) else shlex.quote(sys.argv[0])


def argument(name: str) -> str:
    """A name as the last argument of a command: one that begins with "-" would be taken for an option."""
    return f"-- {shlex.quote(name)}" if name.startswith("-") else shlex.quote(name)


def query(database: Path, sql: str) -> str:
    """A command that shows what `sql` (without double quotes) finds, by DuckDB's own program where there is one."""
    if shutil.which("duckdb"):
        return f'duckdb -readonly {shlex.quote(str(database))} -c "{sql}"'
    python = Path(sys.executable)
    here = Path.cwd()
    shown = python.relative_to(here) if python.is_relative_to(here) else python
    asked = f"import duckdb; duckdb.connect({str(database)!r}, read_only=True).sql({sql!r}).show()"
    plain = not set(asked) & set('"$`\\!')
    return f"{shlex.quote(str(shown))} -c " + (f'"{asked}"' if plain else shlex.quote(asked))


def held_only_here(limits: Mapping[str, str]) -> str:
    """What to say after a run under limits (`limits_of_the_environment`): the steps above don't know of them."""
    if not limits:
        return ""
    them = "them" if len(limits) > 1 else "it"
    return (
        f"{' and '.join(limits)} held for this run: a later one without {them} goes for {' and '.join(limits.values())} "
        f"(`export` keeps {them})."
    )


def only_with(place: Mapping[str, str]) -> str:
    """What to say after a run in a place of its own (`place_of_the_environment`), of which other terminals know nothing."""
    if not place:
        return ""
    told = " ".join(f"{name}={shlex.quote(value)}" for name, value in place.items())
    return f"They need what this run was given; where it isn't exported yet: export {told}"


def steps(someone: str | None, database: Path) -> list[tuple[str, str]]:
    """After a run: what to type, and what it shows. `someone`: a user with recommendations."""
    me = called()
    first = [(f"{me} recommend {argument(someone)}", "what to watch next, and why")] if someone else []
    return [
        *first,
        (f"{me} serve", "the same in a browser"),
        (f"{me} dev", "the lineage in Dagster's page"),
        (query(database, "FROM headline"), "the figures"),
    ]
