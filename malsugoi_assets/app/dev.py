"""`malsugoi dev`: Dagster's page on this data dir."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click

from malsugoi_assets.app.errors import UserError
from malsugoi_assets.app.ports import HOST, listen
from malsugoi_assets.settings import Settings, variable
from malsugoi_assets.warehouse.run_batches import FIRST_BATCH

# Only the address can choose a partition: without it the dialog for a launch opens with none, whatever we declare.
_LINEAGE = f"/asset-groups?partition={FIRST_BATCH}"
# The group without partitions: there the page launches all at once, and the sensors do the rest.
_SOURCES = "/locations/__repository__@malsugoi/asset-groups/sources"
# The processes of a page, as `ps` shows them; a group may hold others, of whoever started the page from a script.
_DAGSTERS = re.compile(r" -m dagster_webserver\b| -m dagster\._daemon\b|[ /]dagster (?:dev|api|code-server)\b")


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Of 127.0.0.1.")
def dev(port: int) -> None:
    """Open Dagster's page: the lineage, its runs, checks and plots. Ctrl-C ends it."""
    from malsugoi_assets.app.cli import console, load_settings
    from malsugoi_assets.app.instance import dot_env_names_another, open_instance, write_dot_env

    settings = load_settings()
    _ask_for(port)
    open_instance(settings)
    write_dot_env(settings, Path.cwd())
    page = f"http://{HOST}:{port}"
    console.print(f"Nothing there yet? Open {page}{_SOURCES} and click Materialize all.", soft_wrap=True)
    console.print(f"The whole lineage, first batch chosen: {page}{_LINEAGE}", soft_wrap=True)
    # What Dagster says of its own commands is no news for who typed ours.
    env = {"PYTHONWARNINGS": "ignore:Function `dev_command` is superseded"} | os.environ
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "--host", HOST, "--port", str(port)]
    env |= _source(settings)
    workspace = _workspace(here := Path.cwd())
    if workspace.parent == here and not dot_env_names_another(settings, here):
        _become(command, env, here)
    # Dagster reads `.env` from the working directory and lets it outrank the environment: start it elsewhere.
    _become([*command, "-w", str(workspace)], env | {variable("data_dir"): str(settings.root)}, settings.root)


def _source(settings: Settings) -> dict[str, str]:
    """Where titles and lists come from, for another process in another folder: Dagster's knows the environment alone."""
    found: dict[str, str] = {variable("source"): settings.source}
    if settings.source == "live":
        found[variable("mal_url")] = settings.mal_url
    if settings.files_dir:
        found[variable("files_dir")] = str(settings.files_dir.expanduser().absolute())
    return found


def _ask_for(port: int) -> None:
    """See that the port is free: Dagster itself would say so in a traceback, half a minute later."""
    try:
        listen(port).close()
    except UserError as error:
        if pids := page_at(_processes(), port):
            raise UserError(
                f"port {port} of {HOST} has Dagster's page already: open it, or end it with `kill {' '.join(pids)}` "
                "(what `make dev` starts outlives it when it is killed with -9), or use --port"
            ) from error
        raise


def _processes() -> str:
    """A line each: id, group, command; '' where there is no `ps`."""
    if not (ps := shutil.which("ps")):
        return ""
    return subprocess.run([ps, "-axo", "pid=,pgid=,command="], capture_output=True, text=True).stdout


def page_at(table: str, port: int) -> list[str]:
    """Ids of Dagster's page at the port and of what was started with it, by lines of id, group and command."""
    rows = [line.split(None, 2) for line in table.splitlines() if _DAGSTERS.search(line)]
    page = re.compile(rf"\bdagster_webserver\b.* --port {port}\b")
    groups = {group for _, group, command in rows if page.search(command)}
    others = {pid for pid, _, command in rows if "-m dagster_webserver" in command and not page.search(command)}
    return [pid for pid, group, _ in rows if group in groups and pid not in {*others, str(os.getpid())}]


def _become(command: list[str], env: dict[str, str], folder: Path) -> None:
    """Go on as this command: who ends the process (`kill`, a service manager) ends Dagster, and leaves no port taken."""
    os.chdir(folder)
    sys.stdout.flush()
    os.execve(command[0], command, env)  # noqa: S606 (no shell is wanted)


def _workspace(here: Path) -> Path:
    """workspace.yaml of this folder, or of the clone that is installed, so that the command works in any folder."""
    from malsugoi_assets.app.instance import has_our_workspace

    for folder in (here, Path(__file__).parents[2]):
        if has_our_workspace(folder):
            return folder / "workspace.yaml"
    raise UserError("no workspace.yaml of MALSugoi is here: start this in the folder of your clone of MALSugoi")
