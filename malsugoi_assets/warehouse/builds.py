"""The network's builds: a row each in `dnn_model`, a file each under `models/`; which one predicts, which may again.

What belongs here: keeping rows and files in step. Whether a build is good enough is decided elsewhere (evaluation.gate).
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import polars as pl

from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.registered import ForeignFileError, check_registered
from malsugoi_assets.warehouse.schema import conform, polars_schema
from malsugoi_assets.warehouse.tables import TABLES

TABLE = TABLES["dnn_model"]
ACCEPTED, REFUSED, WITHDRAWN = "accepted", "refused", "withdrawn"


class BuildError(ValueError):
    """A build that is not there, or may not or cannot predict; the message says why, in one sentence."""


class Builds:
    """The registry of a data dir."""

    def __init__(self, data_dir: DataDir) -> None:
        self._dir = data_dir

    def rows(self) -> pl.DataFrame:
        """All builds, the oldest first; no row where there is none yet."""
        if self._dir.lake.provenance(TABLE.name) is None:
            return pl.DataFrame(schema=polars_schema(TABLE))
        return self._dir.lake.read(TABLE.name).collect().sort("created_at", "model_id")

    def file(self, build: dict[str, Any]) -> Path:
        """The build's weights. Raises `BuildError` where they are no longer kept, or not what was registered."""
        if build["path"] is None:
            raise BuildError(f"the weights of {build['model_id']} are no longer kept")
        path = self._dir.root / str(build["path"])
        try:
            check_registered(path, build["sha256"])
        except ForeignFileError as error:
            raise BuildError(str(error)) from error
        return path

    def replace(self, rows: pl.DataFrame) -> None:
        """Write these rows in place of the table's, made from what the last build was made from."""
        made = self._dir.lake.provenance(TABLE.name)
        if made is not None:
            self._dir.lake.write(
                TABLE,
                conform(TABLE, rows),
                code_version=made.code_version,
                inputs=made.inputs,
                input_rows=made.input_rows,
                run_id=made.run_id,
            )

    def sweep(self) -> None:
        """Delete the files of the builds whose rows no longer name one."""
        for model_id in self.rows().filter(pl.col("path").is_null())["model_id"]:
            self.path(str(model_id)).unlink(missing_ok=True)

    def path(self, model_id: str) -> Path:
        """Where a build's weights lie."""
        return self._dir.models / f"{model_id}.safetensors"

    def told(self, error: Exception) -> str:
        """What the error says, to be kept: paths begin in the data dir, which may be moved."""
        return str(error).replace(f"{self._dir.root}/", "")

    def withdraw(self) -> None:
        """Somebody is forgotten: what was learnt with them never predicts again once it is replaced, and the next
        build replaces it whatever it is worth. All files but that of the current build are deleted.
        """
        rows = self.rows()
        if rows.height:
            kept = pl.when(pl.col("is_current"))
            self.replace(
                rows.with_columns(
                    state=pl.lit(WITHDRAWN),
                    path=kept.then("path"),
                    sha256=kept.then("sha256"),
                    verdict=pl.lit("it was learnt with the ratings of somebody who asked to be forgotten"),
                )
            )
            self.sweep()


def current_build(rows: pl.DataFrame) -> dict[str, Any] | None:
    """The build that predicts, None where there is none yet."""
    found = rows.filter("is_current")
    return found.row(0, named=True) if found.height else None


def find_build(rows: pl.DataFrame, model_id: str) -> dict[str, Any]:
    """The build of that id. Raises `BuildError`, with those that are spelt alike."""
    found = rows.filter(pl.col("model_id") == model_id)
    if found.height:
        return found.row(0, named=True)
    close = difflib.get_close_matches(model_id, rows["model_id"].to_list(), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`malsugoi models` lists those that there are"
    raise BuildError(f"{model_id}: there is no such build; {hint}")


def with_build(rows: pl.DataFrame, build: pl.DataFrame, kept_files: int) -> pl.DataFrame:
    """The rows with a new build (one row), which replaces one of the same id. It is current where it was accepted.

    Only the newest `kept_files` builds that may predict keep their files, and the current one in any case; a withdrawn
    build loses its file as soon as it is not the current one.
    """
    build = conform(TABLE, build)
    others = rows.filter(pl.col("model_id") != build["model_id"][0])
    if build["is_current"][0]:
        others = others.with_columns(is_current=pl.lit(False))
    together = pl.concat([others, build]).sort("created_at", "model_id")
    usable = pl.col("path").is_not_null() & (pl.col("state") != WITHDRAWN)
    # The newest counts as 1.
    place = usable.cast(pl.Int32).cum_sum(reverse=True)
    keeps = pl.when(pl.col("is_current") | (usable & (place <= kept_files)))
    return together.with_columns(path=keeps.then("path"), sha256=keeps.then("sha256"))


def with_current(rows: pl.DataFrame, model_id: str) -> pl.DataFrame:
    """The rows with that build as the current one. Raises `BuildError` for one that may not predict."""
    build = find_build(rows, model_id)
    if build["state"] == WITHDRAWN:
        raise BuildError(f"{model_id} cannot be taken back: {build['verdict']}")
    return rows.with_columns(is_current=pl.col("model_id") == model_id)
