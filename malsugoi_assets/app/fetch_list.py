"""One public list from the site, asked for now: politely, and kept nowhere."""

from __future__ import annotations

import tempfile
from pathlib import Path

import dagster as dg

from malsugoi_assets.app.errors import UserError, WorkError
from malsugoi_assets.mal.browser import BrowserMissing
from malsugoi_assets.mal.fetching import SiteStopped
from malsugoi_assets.mal.lists import UserList
from malsugoi_assets.mal.records import ListEntry
from malsugoi_assets.mal.store import PageStore
from malsugoi_assets.resources.site_source import open_site
from malsugoi_assets.settings import Settings
from malsugoi_assets.usernames import is_name
from malsugoi_assets.warehouse.data_dir import DataDir, DataDirError


def fetch_list(settings: Settings, username: str) -> tuple[ListEntry, ...]:
    """The whole list of a user of the site, which has at least one entry. The pages are gone when it is read.

    Raises `UserError` where there is no list to go by, or no site to ask; `WorkError` where the site does not answer.
    """
    data_dir = DataDir(settings.root)
    _check(settings, data_dir, username)
    try:
        with tempfile.TemporaryDirectory(prefix="malsugoi-") as folder:
            site = open_site(settings, data_dir, PageStore(Path(folder)))
            [found] = site.fetch_lists([username])
    except (SiteStopped, BrowserMissing) as error:
        cause = error.cause if isinstance(error, SiteStopped) else error
        raise WorkError(f"{username}: the site does not give the list now ({cause}): try again later") from error
    except dg.Failure as error:
        raise WorkError(str(error.description)) from error
    _check_outcome(found)
    return found.entries


def _check(settings: Settings, data_dir: DataDir, username: str) -> None:
    try:
        data_dir.check(settings)
    except DataDirError as error:
        raise UserError(str(error)) from error
    if settings.source == "files" and "mal_url" not in settings.model_fields_set:
        raise UserError(
            f"{settings.root} is made of files and belongs to no site: set MALSUGOI_MAL_URL to the one to ask, such as "
            "https://myanimelist.net, or import an export with `malsugoi import-list`"
        )
    if not is_name(username):
        raise UserError(f"{username[:40]!r} cannot be a user's name: letters, digits, '_', '-' and '.', at most 64")
    if data_dir.ledger.forgotten.has(username):
        raise UserError(f"{username} asked to be forgotten in {settings.root}, and is not asked for again")


def _check_outcome(found: UserList) -> None:
    name = found.username
    if found.list_status == "private":
        raise UserError(f"{name}: the owner does not share the list; an export of it can be imported (import-list)")
    if found.list_status == "missing":
        raise UserError(f"{name}: the site has no such user ({found.error}); check the spelling")
    if found.list_status == "empty":
        raise UserError(f"{name}: the list has no titles, so there is nothing to go by")
    if found.list_status == "error" or not found.entries:
        raise WorkError(f"{name}: the list could not be read ({found.error}): try again later")
