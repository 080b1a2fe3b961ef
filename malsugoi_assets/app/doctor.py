"""`malsugoi doctor`: what is fine and what is wrong with this installation and data dir, each in a sentence.

What belongs here: looking, and saying what to do. Nothing is written or mended, nobody is asked on the network.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Literal

import click

from malsugoi_assets.app.errors import UserError, fault_of_the_machine
from malsugoi_assets.app.ports import listen
from malsugoi_assets.settings import Settings, SettingsError
from malsugoi_assets.warehouse.data_dir import DataDir, DataDirError, check_dagster_home, with_own_source
from malsugoi_assets.warehouse.marks import Marks, MarksError
from malsugoi_assets.warehouse.registered import ForeignFileError, check_registered

LEAST_FREE = 2**30
"""Bytes below which a run may not end: the replica's data take a tenth of it, the 2016 lists half."""
PORTS = {3000: "`make dev`", 8000: "`malsugoi serve`"}
PINS = Path(__file__).resolve().parents[2] / "constraints.txt"
State = Literal["fine", "note", "wrong"]
_SIGNS = {"fine": "[green]✓[/]", "note": "[yellow]·[/]", "wrong": "[red]✗[/]"}
_HOUR = 3600.0


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is (`wrong`: something will not work), and that in words with what to do."""

    what: str
    state: State
    words: str


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def doctor(as_json: bool) -> None:
    """Say what is fine and what is wrong with this installation and data dir; exit status 1 where something is wrong."""
    from malsugoi_assets.app.cli import console

    found = examine()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2, ensure_ascii=False))
    else:
        for finding in found:
            console.print(_SIGNS[finding.state], finding.what + ":", finding.words, soft_wrap=True, highlight=False)
    if any(finding.state == "wrong" for finding in found):
        raise SystemExit(1)
    if not as_json:
        console.print("Nothing is wrong.")


def examine(environ: dict[str, str] | None = None) -> list[Finding]:
    """Everything that is looked at, in order; where the settings are wrong, only what does not hang on them."""
    found = [python(), packages()]
    try:
        settings = with_own_source(environ)
    except SettingsError as error:
        return [*found, Finding("settings", "wrong", str(error))]
    if fault := settings.fault_of_the_root():
        return [*found, Finding("data dir", "wrong", fault)]
    checks: dict[str, Callable[[Settings], Finding]] = {
        "settings": sources,
        "data dir": data_dir,
        "disk": disk,
        "instance": instance,
        "device": device,
        "browser": browser,
        "ports": lambda _: ports(),
        "state": state,
        "pages": pages,
        "database": database,
        "models": models,
        "runs": runs,
    }
    for what, look in checks.items():
        try:
            found.append(look(settings))
        except Exception as error:  # what cannot even be looked at is a finding
            # What SQLAlchemy says goes on with the statement and an address.
            said = fault_of_the_machine(error) or str(error).strip().split("\n")[0]
            found.append(Finding(what, "wrong", f"cannot be looked at ({said or type(error).__name__})"))
    return found


def python() -> Finding:
    """The interpreter."""
    from packaging.specifiers import SpecifierSet

    have = platform.python_version()
    words = f"{have} ({sys.executable})"
    try:
        known = metadata("malsugoi")
        needed = known["Requires-Python"] if "Requires-Python" in known else ""  # noqa: SIM401
    except PackageNotFoundError:
        needed = ""
    if not SpecifierSet(needed).contains(have, prereleases=True):
        return Finding("python", "wrong", f"{words}: {needed} is needed")
    return Finding("python", "fine", words)


def packages(pins: Path = PINS) -> Finding:
    """What is needed and not there or of a version that does not do; else what differs from those tested together."""
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(line) for line in requires("malsugoi") or []]
    except PackageNotFoundError:
        return Finding(
            "packages", "note", "malsugoi itself is not installed here, only its code is: `make run` installs it"
        )
    wrong = []
    for one in needed:
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            have = _installed(one.name)
            if have is None or not one.specifier.contains(have, prereleases=True):
                wrong.append(f"{one.name} {have or 'missing'} (needed: {one.specifier or 'any'})")
    if wrong:
        return Finding(
            "packages", "wrong", f"{', '.join(wrong)}: install them anew, with `pip install -c constraints.txt -e .`"
        )
    tested = dict(re.findall(r"^([\w.-]+)==(\S+)", pins.read_text(), re.MULTILINE)) if pins.exists() else {}
    # A build of the same version for another device ("+cpu") is the same version.
    other = [
        f"{name} {have}"
        for name, pin in tested.items()
        if (have := _installed(name)) is not None and have.split("+")[0] != pin
    ]
    if other:
        return Finding("packages", "note", f"all are there; others than those tested together: {', '.join(other)}")
    return Finding("packages", "fine", f"{len(needed)} requirements are met")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def sources(settings: Settings) -> Finding:
    """Where titles and lists come from."""
    words = f"source {settings.source} ({settings.site})"
    if settings.source == "files":
        folder = Path(settings.site)
        if not folder.is_dir():
            return Finding("settings", "wrong", f"MALSUGOI_FILES_DIR={folder}: there is no such folder")
        if not os.access(folder, os.R_OK | os.X_OK):
            return Finding("settings", "wrong", f"MALSUGOI_FILES_DIR={folder} cannot be read")
    return Finding("settings", "fine", words)


def data_dir(settings: Settings) -> Finding:
    """Whether it can be written, and belongs to this source."""
    place = _nearest(settings.root)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Finding(
            "data dir", "wrong", f"{place} cannot be written: set MALSUGOI_DATA_DIR to a folder of your own"
        )
    try:
        DataDir(settings.root).check(settings)
    except DataDirError as error:
        return Finding("data dir", "wrong", str(error))
    made = "can be written" if settings.root.exists() else "is not there yet, and can be made"
    return Finding("data dir", "fine", f"{settings.root} {made}")


def disk(settings: Settings) -> Finding:
    """Room for another run."""
    free = shutil.disk_usage(_nearest(settings.root)).free
    words = f"{free / 2**30:.1f} GiB free for {settings.root}"
    if free < LEAST_FREE:
        return Finding("disk", "wrong", f"{words}: a run needs {LEAST_FREE / 2**30:.0f} GiB, make room")
    return Finding("disk", "fine", words)


def instance(settings: Settings) -> Finding:
    """Whether Dagster sees the same data dir as the commands, by DAGSTER_HOME and `.env`."""
    try:
        check_dagster_home(settings)
    except DataDirError as error:
        return Finding("dagster", "wrong", str(error))
    from malsugoi_assets.app.instance import dot_env_names_another, home_in_dot_env

    here = Path.cwd()
    if not (here / ".env").exists():
        return Finding(
            "dagster", "fine", f"{settings.dagster_home}; no .env here, the first `malsugoi run` writes it"
        )
    home = home_in_dot_env(here)
    if dot_env_names_another(settings, here):
        return Finding(
            "dagster",
            "note",
            f"`dagster …` started here uses {home} (.env outranks the shell), the commands {settings.dagster_home}: "
            "change DAGSTER_HOME in .env, or unset MALSUGOI_DATA_DIR",
        )
    return Finding("dagster", "fine", f"{settings.dagster_home}{', as .env says' if home else ''}")


def device(settings: Settings) -> Finding:
    """Whether the device that is asked for is there."""
    from malsugoi_assets.recommend.devices import DeviceError, resolve_device

    try:
        return Finding("device", "fine", f"{resolve_device(settings.device)} (asked for: {settings.device})")
    except DeviceError as error:
        return Finding("device", "wrong", f"MALSUGOI_DEVICE={settings.device}: {error}")


def browser(settings: Settings) -> Finding:
    """Whether Chromium and its driver are there, where pages may need them."""
    from malsugoi_assets.mal.browser import MISSING, installed

    found = installed()
    if found:
        return Finding("browser", "fine", found[0])
    if settings.browser == "always":
        return Finding("browser", "wrong", f"MALSUGOI_BROWSER=always: {MISSING}")
    if settings.browser == "off":
        return Finding("browser", "fine", "none, and MALSUGOI_BROWSER=off asks for none")
    return Finding("browser", "fine", "none; only pages that scripts fill would need one")


def ports() -> Finding:
    """Whether somebody listens where ours would."""
    taken = [f"{port} ({what})" for port, what in PORTS.items() if _is_taken(port)]
    if taken:
        return Finding(
            "ports", "note", f"in use: {', '.join(taken)}; if not by MALSugoi itself, choose another by --port"
        )
    return Finding("ports", "fine", f"{' and '.join(map(str, PORTS))} are free")


def _is_taken(port: int) -> bool:
    try:
        listen(port).close()
    except UserError:
        return True
    return False


def state(settings: Settings) -> Finding:
    """What is kept of people beside the lists: who is known, and what they marked."""
    place = DataDir(settings.root)
    if fault := place.fault_of_the_ledger():
        return Finding("state", "wrong", fault)
    try:
        Marks(settings.root).rows(())
    except MarksError as error:
        return Finding("state", "wrong", str(error))
    return Finding("state", "fine", f"users known: {place.ledger.users().height:,}; what they marked can be read")


def pages(settings: Settings) -> Finding:
    """Whether the index of the fetched pages can be read, which a run builds the tables from."""
    from malsugoi_assets.mal.page_index import DamagedStore, index_file, look_through

    file = index_file(settings.root)
    if not file.exists():
        return Finding("pages", "fine", "none were fetched")
    try:
        look_through(file)
    except DamagedStore as error:
        return Finding("pages", "wrong", str(error))
    if not file.stat().st_size and any(file.parent.glob("??/*.gz")):
        return Finding("pages", "note", f"{file} is empty: restore it, or the next run fetches every page again")
    return Finding("pages", "fine", "the index of what was fetched is whole")


def models(settings: Settings) -> Finding:
    """Whether the files of the models that rank and predict are there, and are those that were registered."""
    import duckdb

    place = DataDir(settings.root)
    current = place.publisher.current()
    if current is None:
        return Finding("models", "note", "nothing was published yet")
    wrong, fine = [], []
    with duckdb.connect(str(current), read_only=True) as con:
        for table, where in (("ranking_model", "TRUE"), ("dnn_model", "is_current")):
            try:
                rows = con.execute(f"SELECT path, sha256 FROM {table} WHERE {where}").fetchall()  # noqa: S608
            except duckdb.CatalogException:
                continue  # an older version's database
            for path, sha256 in rows:
                try:
                    check_registered(place.root / str(path), sha256)
                    fine.append(str(path))
                except ForeignFileError as error:
                    wrong.append(f"{error}: `malsugoi run` makes it anew")
    if wrong:
        return Finding("models", "wrong", "; ".join(wrong))
    return Finding("models", "fine", f"{' and '.join(fine)} as registered" if fine else "none has a file")


def database(settings: Settings) -> Finding:
    """The published database: there, readable, how old, and what it lags behind."""
    import duckdb

    place = DataDir(settings.root)
    current = place.publisher.current()
    if current is None:
        if place.publisher.link.is_symlink():
            return Finding("database", "wrong", f"{place.publisher.link} leads nowhere: `malsugoi run` makes it anew")
        if any(place.publisher.generations.glob("malsugoi-*.duckdb")):
            return Finding("database", "wrong", f"{place.publisher.link} is gone: `malsugoi run` makes it anew")
        return Finding("database", "note", "nothing was published yet: `malsugoi run`")
    try:
        with duckdb.connect(str(current), read_only=True) as con:
            con.execute("SELECT count(*) FROM users").fetchone()
    except duckdb.Error as error:
        return Finding("database", "wrong", place.publisher.unreadable(error) or f"{current}: {error}")
    hours = (time.time() - current.stat().st_mtime) / _HOUR
    age = f"{hours / 24:.0f} days" if hours >= 48 else f"{hours:.0f} hours" if hours >= 1.5 else "less than two hours"
    stale = _stale(place, settings)
    if stale:
        return Finding(
            "database",
            "note",
            f"{age} old; made from what has changed, or by older code: {', '.join(stale)}; `malsugoi run`",
        )
    return Finding("database", "fine", f"{age} old, and up to date with what was read")


def _stale(place: DataDir, settings: Settings) -> list[str]:
    """Tables of which a file was made from other files than there are, or by another version of the code.

    Lists are read again when they are old, not when somebody joins or a title changes.
    """
    with contextlib.suppress(click.ClickException):  # settings that do not fit are another finding
        from malsugoi_assets.assembly import build_definitions

        build_definitions(settings)  # notes the versions of the code

    def is_old(name: str, partition: str) -> bool:
        lists = name in ("user_lists", "list_outcomes")
        return place.lake.is_outdated(name, partition) if lists else not place.lake.is_current(name, partition)

    return [
        name for name, files in place.lake.snapshot().items() if any(is_old(name, partition) for partition in files)
    ]


def runs(settings: Settings) -> Finding:
    """Whether somebody works on the data dir, and whether somebody died at it."""
    from malsugoi_assets.warehouse.run_marks import is_dead, marks

    root = settings.root
    alive = sum(not is_dead(root, run) for run in marks(root))
    words = f"{alive} under way" if alive else "none under way"
    if dead := [run for run in _under_way(settings.dagster_home) if is_dead(root, run)]:
        gone = f"{len(dead)} still shown as under way whose process died (nothing is lost, nothing held up)"
        return Finding("runs", "note", f"{words}; {gone}: `malsugoi run` goes on where it was")
    return Finding("runs", "fine", words)


def _under_way(home: Path) -> list[str]:
    """Ids of the runs that Dagster takes for queued or at work."""
    if not (home / "dagster.yaml").exists():
        return []
    import dagster as dg

    from malsugoi_assets.automation.state import UNDER_WAY

    with dg.DagsterInstance.from_config(str(home)) as instance:
        return [run.run_id for run in instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY))]


def _nearest(path: Path) -> Path:
    """The path, or the first folder above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
