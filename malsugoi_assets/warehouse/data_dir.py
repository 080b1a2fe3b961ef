"""A data dir: what lies where in it, and the one source and site that it belongs to."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from malsugoi_assets.disk import file_lock, replace_file
from malsugoi_assets.settings import Settings, variable
from malsugoi_assets.warehouse.lake import Lake
from malsugoi_assets.warehouse.ledger import UserLedger
from malsugoi_assets.warehouse.publish import Publisher

PAIR_SUMS = "pair_sums"
"""The folder with the numbers that `similarity_matrix` keeps between runs; nobody is named in it."""


class DataDirError(RuntimeError):
    """The data dir cannot be used with these settings; the message is one line that says what to do."""


class DataDir:
    """The rooms of one data dir."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lake = Lake(root / "lake")
        self.publisher = Publisher(root, self.lake)
        self.ledger = UserLedger(root)
        self.models = root / "models"
        self.checkpoints = root / "checkpoints"
        self._claim = root / "source.json"

    def claim(self, settings: Settings) -> None:
        """Bind the dir to the settings' source and site, or raise `DataDirError` where it belongs to another."""
        wanted = {"source": settings.source, "site": settings.site}
        try:
            with file_lock(self.root / "locks" / "claim.lock", what="claiming the data dir"):
                if not self.is_claimed:
                    with replace_file(self._claim) as draft:
                        draft.write_text(json.dumps(wanted))
        except OSError as error:
            raise DataDirError(
                f"{self.root} cannot be written ({error}); choose another MALSUGOI_DATA_DIR"
            ) from error
        self.check(settings)

    @property
    def is_claimed(self) -> bool:
        """Whether anything was ever in it."""
        return self._claim.exists()

    def claimed_by(self) -> tuple[str, str] | None:
        """The source and the site that the dir belongs to, None where nothing was ever in it. Raises `DataDirError`."""
        if not self.is_claimed:
            return None
        try:
            found = json.loads(self._claim.read_text())
            source, site = found["source"], found["site"]
            if not isinstance(source, str) or not isinstance(site, str):
                raise TypeError("source and site are to be two texts")
            return source, site
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise DataDirError(
                f"{self._claim} cannot be read ({error!r}), so the source of {self.root} is not known: "
                "restore it, or set MALSUGOI_DATA_DIR to another folder"
            ) from error

    def source(self, settings: Settings) -> str:
        """Where its titles come from: what it is bound to, else what the settings say. Raises `DataDirError`."""
        claimed = self.claimed_by()
        return claimed[0] if claimed else settings.source

    def check(self, settings: Settings) -> None:
        """Raise `DataDirError` where the dir belongs to another source or site; nothing is written."""
        found = self.claimed_by()
        if found is not None and found != (settings.source, settings.site):
            raise DataDirError(
                f"{self.root} holds data of {found[0]} ({found[1]}), not of {settings.source} "
                f"({settings.site}): set MALSUGOI_DATA_DIR to another folder, or {_told(_variables(*found))}"
            )

    def fault_of_the_ledger(self) -> str:
        """Why the file of who is known cannot be gone by, with what to do: it is damaged, or gone; '' where it can.

        Whoever went on without would take everybody for new, or for nobody.
        """
        file, copy = self.ledger.file, self.lake.path("users")
        # The table holds the same rows, in the same columns; their order says nothing.
        remedy = f"copy {copy} there, then `malsugoi run`" if copy.exists() else "delete it, then `malsugoi run`"
        try:
            users = self.ledger.users().height
        except Exception as error:  # what Polars makes of a damaged file is of many kinds
            return f"{file} cannot be read ({error}): {remedy}"
        if not users and copy.exists() and self.lake.rows("users"):
            return f"{file} names nobody, and users were read: {remedy}"
        return ""

    def batches(self) -> list[str]:
        """The batches that have users, as `users` has them."""
        known = self.lake.read("users").select("user_batch").unique().sort("user_batch").collect()
        return [str(key) for key in known["user_batch"]]

    def alone(self, command: str) -> AbstractContextManager[None]:
        """Hold the dir as `malsugoi run` does; `LockedError` with the command that holds it where another one does."""
        return file_lock(self.lock("run"), what=f"`malsugoi {command}` on {self.root}", wait_seconds=0)

    @contextmanager
    def pair_sums(self) -> Iterator[Path]:
        """The folder of the asset `similarity_matrix`, for one run at a time: the others wait."""
        with file_lock(self.lock("pair_sums"), what="counting pairs of titles"):
            yield self.root / PAIR_SUMS

    def lock(self, name: str) -> Path:
        """The path of a lock file of this dir."""
        return self.root / "locks" / f"{name}.lock"


def with_own_source(environ: Mapping[str, str] | None = None) -> Settings:
    """The environment's settings, with what the data dir was built from where the environment says nothing of that: for
    whatever follows a run. One that contradicts the data dir stays as it is, for `check` to tell; so does all where the
    data dir does not say, or cannot be one.

    Raises `SettingsError`.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in environ.items() if value}
    name = variable("data_dir")
    place = Settings.load({name: given[name]} if name in given else {})
    if not place.fault_of_the_root():
        try:
            own = _variables(*(DataDir(place.root).claimed_by() or ("", "")))
        except (DataDirError, OSError):  # told by whoever needs to know
            own = {}
        if given.get(source := variable("source")) in (None, own.get(source)):
            given = own | given
    return Settings.load(given)


def _variables(source: str, site: str) -> dict[str, str]:
    """What to set for a source and site; {} for a source that there is not."""
    of_the_site = {"replica": {}, "live": {variable("mal_url"): site}, "files": {variable("files_dir"): site}}
    return {variable("source"): source, **of_the_site[source]} if source in of_the_site else {}


def _told(variables: Mapping[str, str]) -> str:
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())


def check_dagster_home(settings: Settings) -> None:
    """Raise `DataDirError` where DAGSTER_HOME is the instance of another data dir of ours."""
    home = os.environ.get("DAGSTER_HOME")
    if not home or Path(home).resolve() == settings.dagster_home.resolve():
        return
    if Path(home).name == "dagster" and (Path(home).parent / "source.json").exists():
        raise DataDirError(
            f"DAGSTER_HOME={home} belongs to another data dir than {settings.root}: unset MALSUGOI_DATA_DIR, or set "
            f"DAGSTER_HOME={settings.dagster_home} (in .env too, which outranks the shell)"
        )
