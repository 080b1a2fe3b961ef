"""The environment variables, each declared once: name, default, meaning, bounds.

The rest of the package asks `Settings.load()`; `docs/configuration.md` is generated from this declaration.
Hyper-parameters do not belong here: they are settings of the models in `recommend`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

PREFIX = "MALSUGOI_"
MYANIMELIST = "https://myanimelist.net"
OFFICIAL_API = "https://api.myanimelist.net/v2"
SECRETS = frozenset({"mal_client_id"})
Source = Literal["replica", "live", "files"]
_SHOWN = 200
"""Characters of a path that is too long for a folder's which are shown."""
_BY_SOURCE: dict[object, dict[str, int]] = {
    "live": {"max_anime": 5_000, "max_users": 1_000},
    "files": {"batch_size": 1_000},
}


class SettingsError(ValueError):
    """A setting that cannot be used; the message is one line that says which and what to do."""


class Settings(BaseModel):
    """What the environment decides. A field `x_y` is the variable `MALSUGOI_X_Y`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Path = Field(
        Path("data"),
        description="Everything that is written lies under it; a data dir belongs to one source, which every command but "
        "`run` knows from it.",
    )
    source: Source = Field(
        "replica",
        description="`replica`: the local MAL-compatible site, started by itself; `live`: the site at "
        "`MALSUGOI_MAL_URL`; `files`: the folder `MALSUGOI_FILES_DIR`.",
    )
    mal_url: str = Field(MYANIMELIST, description="Base URL under `live`.")
    mal_client_id: SecretStr | None = Field(
        None,
        description="Client ID of MAL's official API, where you have one: ranking, titles and lists then come from the "
        "API. It is sent to the API alone and never shown.",
    )
    mal_api_url: str = Field(OFFICIAL_API, description="Base URL of MAL's official API; the replica has its own.")
    browser: Literal["off", "auto", "always"] = Field(
        "auto",
        description="Headless Chromium for pages: `auto`: for those that only scripts fill; `always`; `off`.",
    )
    files_dir: Path | None = Field(None, description="The folder to read under `files`.")
    max_anime: int | None = Field(
        None,
        ge=1,
        description="How many titles to fetch, from the top of the ranking (5,000 under `live`). A later "
        "command that doesn't see this setting goes on to the usual number.",
    )
    max_users: int | None = Field(
        None,
        ge=1,
        description="How many users to discover (1,000 under `live`). A later command that doesn't see this setting "
        "goes on to the usual number.",
    )
    batch_size: int = Field(100, ge=1, le=100_000, description="Users per batch (1,000 under `files`).")
    requests_per_second: float | None = Field(
        None,
        gt=0,
        description="The limit across all processes together: 1 by default, none for a site on 127.0.0.1.",
    )
    contact: str | None = Field(None, description="A contact for the User-Agent: an address or a URL.")
    device: str = Field(
        "auto",
        description="`auto`, `cpu`, `cuda`, `cuda:1` …; one that is asked for and not there is an error.",
    )
    accept_changes: str | None = Field(
        None,
        description="For one run: tables, separated by commas (`all`: every one), whose new build may lose members or "
        "fields that the last one had. Without it a build that lost much is stopped before it is published.",
    )

    @field_validator("mal_client_id", mode="after")
    @classmethod
    def _fits_in_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        text = value.get_secret_value().strip()
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("it holds characters that no client id has")
        return SecretStr(text)

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_source(cls, values: dict[str, object]) -> dict[str, object]:
        return {**_BY_SOURCE.get(values.get("source"), {}), **values}

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
        """Read the environment; `overrides` win over it. Raises `SettingsError` naming the variable at fault."""
        environ = os.environ if environ is None else environ
        values: dict[str, object] = {
            name: environ[variable(name)] for name in cls.model_fields if environ.get(variable(name))
        }
        values |= {name: value for name, value in overrides.items() if value is not None}
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0]) if first["loc"] else ""
            if field in SECRETS:
                raise SettingsError(f"{variable(field)}: {first['msg']}") from None
            raise SettingsError(f"{variable(field)}={first['input']}: {first['msg']}") from error
        if settings.source == "files" and settings.files_dir is None:
            raise SettingsError("MALSUGOI_SOURCE=files needs MALSUGOI_FILES_DIR: the folder to read")
        if settings._asks_two_sites():
            raise SettingsError(
                f"MALSUGOI_MAL_CLIENT_ID is set and MALSUGOI_MAL_URL is {settings.mal_url}: set MALSUGOI_MAL_API_URL to "
                "that site's API as well, or unset MALSUGOI_MAL_CLIENT_ID"
            )
        return settings

    def _asks_two_sites(self) -> bool:
        """Whether pages would come from another site than the API's answers."""
        elsewhere = self.mal_url.rstrip("/") != MYANIMELIST and self.mal_api_url.rstrip("/") == OFFICIAL_API
        return self.source == "live" and self.mal_client_id is not None and elsewhere

    def without_secrets(self) -> dict[str, Any]:
        """The settings as JSON values, for places that are shown or stored; see `secrets_of_the_environment`."""
        return self.model_dump(mode="json", exclude_none=True, exclude=set(SECRETS))

    @property
    def root(self) -> Path:
        """The data dir as an absolute path."""
        return self.data_dir.expanduser().absolute()

    def fault_of_the_root(self) -> str:
        """Why the data dir cannot be one, with what to do; '' where it can.

        It, or what it would lie in, is a file or closed to who asks, or no folder can have its name.
        """
        try:
            for place in (self.root, *self.root.parents):
                if place.exists():
                    if not place.is_dir():
                        return f"MALSUGOI_DATA_DIR: {place} is a file; name a folder"
                    if place == self.root and not os.access(place, os.R_OK | os.X_OK):
                        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
                    return ""
        except (OSError, RuntimeError) as error:  # RuntimeError: whose home "~name" would be
            reason = getattr(error, "strerror", None) or error
            named = str(self.data_dir)[:_SHOWN]
            return f"MALSUGOI_DATA_DIR: {named} cannot be looked at ({reason}); name a folder of your own"
        return ""

    @property
    def dagster_home(self) -> Path:
        """Where Dagster's instance of this data dir lives."""
        return self.root / "dagster"

    @property
    def site(self) -> str:
        """What the data dir is bound to, beside the source: the site's URL, or the folder."""
        if self.source == "live":
            return self.mal_url.rstrip("/")
        if self.source == "files" and self.files_dir is not None:
            return str(self.files_dir.expanduser().resolve())
        return "replica"


def secrets_of_the_environment() -> dict[str, str]:
    """What `Settings.without_secrets` leaves out, read where it is used."""
    return {name: value for name in SECRETS if (value := os.environ.get(variable(name)))}


def limits_of_the_environment(settings: Settings) -> dict[str, str]:
    """The variables that are set now and say how much to take of the source, each with what whoever does not see it takes:
    "1,000 users", "all users". Not those that change nothing.
    """
    # A folder's catalogue is read whole.
    heeded = {"max_users": "users"} if settings.source == "files" else {"max_anime": "titles", "max_users": "users"}
    found = {}
    for field, counted in heeded.items():
        usual = _BY_SOURCE.get(settings.source, {}).get(field)
        if os.environ.get(name := variable(field)) and getattr(settings, field) != usual:
            found[name] = f"{f'{usual:,}' if usual else 'all'} {counted}"
    return found


def place_of_the_environment() -> dict[str, str]:
    """The variable that says where the data lies, with its value, where it is set now: a command that does not see it
    works elsewhere. What the data comes from the data dir knows.
    """
    name = variable("data_dir")
    return {name: value} if (value := os.environ.get(name)) else {}


def variable(field: str) -> str:
    """The environment variable of a field of `Settings`."""
    return PREFIX + field.upper()
