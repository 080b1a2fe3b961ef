"""The one place between an asset's frames and the data dir: loads what is upstream, writes, publishes.

An asset returns a frame (or a dict of frames, its own table's and those of its companions); the manager holds it
against the declaration, writes each partition by rename with what it was made from, and publishes the database.
Where all batches of a run are more than memory holds, both ways go one batch at a time (`batches`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import polars as pl
from pydantic import Field, PrivateAttr

from malsugoi_assets.warehouse.batches import Batches, ByBatch
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.guards import GUARDS, GuardError, check
from malsugoi_assets.warehouse.lake import EVERY, WHOLE, LakeError, WithAdded
from malsugoi_assets.warehouse.own_lists import without_own_lists
from malsugoi_assets.warehouse.publish import PublishError
from malsugoi_assets.warehouse.run_batches import BatchError, batches_of
from malsugoi_assets.warehouse.run_marks import hold_run
from malsugoi_assets.warehouse.schema import SchemaError
from malsugoi_assets.warehouse.tables import TABLES, Table

Frames = pl.DataFrame | pl.LazyFrame | Mapping[str, pl.DataFrame | pl.LazyFrame] | ByBatch | WithAdded
Inputs = dict[str, tuple[str, str]]


class LakeIOManager(dg.ConfigurableIOManager):
    """Reads and writes the partition files of a data dir and publishes its database."""

    data_dir: str
    accepted_changes: list[str] = Field(default_factory=list)
    publishes_after: list[str] | None = Field(
        default=None,
        description="Tables after which the database is published; None = after each. Another's file waits for theirs.",
    )
    _loaded: dict[tuple[str, str], dict[str, dict[str, tuple[str, str]]]] = PrivateAttr(default_factory=dict)

    @property
    def _dir(self) -> DataDir:
        return DataDir(Path(self.data_dir))

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Show that this run's process is alive, for as long as it is."""
        if context.run_id:
            hold_run(DataDir(Path(self.data_dir)).root, context.run_id)

    def load_input(self, context: dg.InputContext) -> pl.LazyFrame | Batches:
        """The upstream table's rows: of the same batches for a batch, of all that exist otherwise.

        A run over a batch may hold assets without partitions too: it is the asset that counts, not the run.
        """
        lake, name = self._dir.lake, context.asset_key.to_python_identifier()
        seen: dict[str, tuple[str, str]]
        frame: pl.LazyFrame | Batches
        one_by_one = context.dagster_type.typing_type is Batches
        try:
            keys = self._batches(context)
            if not TABLES[name].partitioned:
                frame = lake.read(name, [WHOLE])
                seen = {EVERY: (WHOLE, lake.content(name, WHOLE) or "")}
            elif keys is not None:
                contents = {key: lake.content(name, key) or "" for key in keys}
                seen = {key: (key, content) for key, content in contents.items()}
                frame = Batches.of(lake, name, contents) if one_by_one else lake.read(name, keys)
            else:
                # Batches that were registered and not read yet have no file: what exists is what there is to learn.
                contents = {key: lake.content(name, key) or "" for key in lake.partitions(name)} if one_by_one else {}
                frame = Batches.of(lake, name, contents) if one_by_one else lake.read(name)
                seen = {EVERY: (EVERY, lake.content(name) or "")}
        except BatchError as error:
            raise dg.Failure(str(error)) from None
        except LakeError as error:
            raise dg.Failure(str(error)) from error
        step = (context.step_context.run_id, context.step_context.step.key)
        self._loaded.setdefault(step, {})[name] = seen
        return frame

    def _batches(self, context: dg.InputContext) -> list[str] | None:
        """The batches that the step works on, None where it has no partitions. Raises `BatchError`."""
        step = context.step_context
        if not TABLES[step.step.key].partitioned:
            return None
        registered = step.instance.get_dynamic_partitions("user_batches")
        return batches_of(step.dagster_run.tags, registered, self._dir.batches())

    def handle_output(self, context: dg.OutputContext, obj: Frames) -> None:
        """Write the asset's partitions, then publish (see `publishes_after`). Nothing is published that breaks a declaration."""
        name = context.asset_key.to_python_identifier()
        loaded = self._loaded.pop((context.run_id, context.step_key), {})
        data_dir = self._dir
        added = obj.added if isinstance(obj, WithAdded) else frozenset()
        obj = obj.rows if isinstance(obj, WithAdded) else obj
        try:
            if isinstance(obj, ByBatch):
                self._write_by_batch(data_dir, context, name, obj, loaded)
            else:
                made = obj if isinstance(obj, Mapping) else {name: obj}
                frames = {n: f.collect() if isinstance(f, pl.LazyFrame) else f for n, f in made.items()}
                self._guard(data_dir, context, frames)
                # Companions first: the asset's own table is what makes a partition count as done.
                for table_name in sorted(frames, key=lambda n: n == name):
                    self._write(data_dir, context, TABLES[table_name], frames[table_name], loaded, added)
            if self.publishes_after is not None and name not in self.publishes_after:
                return
            published = data_dir.publisher.publish()
        except (GuardError, SchemaError, LakeError, PublishError, OSError) as error:
            raise dg.Failure(f"{name}: {str(error)[:2000]}") from error
        context.add_output_metadata(
            {
                "generation": dg.MetadataValue.path(str(published.path)),
                **({"left_out_as_orphans": dg.MetadataValue.json(published.orphans)} if published.orphans else {}),
            }
        )

    def _guard(
        self, data_dir: DataDir, context: dg.OutputContext, frames: Mapping[str, pl.DataFrame], key: str | None = None
    ) -> None:
        """Hold what is to be written against what it replaces, before any of it is. Raises `GuardError`."""
        for name, frame in frames.items():
            wanted = [WHOLE]
            if TABLES[name].partitioned:
                wanted = [key] if key is not None else sorted(context.asset_partition_keys)
            there = [part for part in wanted if data_dir.lake.provenance(name, part) is not None]
            if name in GUARDS and there:
                before = data_dir.lake.read(name, there).collect()
                now = frame
                if TABLES[name].partitioned:
                    now = frame.filter(pl.col("user_batch").is_in(there))
                    before, now = (without_own_lists(data_dir.root, rows) for rows in (before, now))
                if lost := check(name, before, now, self.accepted_changes):
                    context.add_output_metadata({"accepted_losses": lost})

    def _write(
        self,
        data_dir: DataDir,
        context: dg.OutputContext,
        table: Table,
        frame: pl.DataFrame | pl.LazyFrame,
        loaded: dict[str, dict[str, tuple[str, str]]],
        added: Collection[int],
    ) -> None:
        collected = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
        code_version = _code_version(context)
        rows = {name: data_dir.lake.rows(name) for name in loaded}
        if not table.partitioned:
            inputs = {name: seen[EVERY] for name, seen in loaded.items() if EVERY in seen}
            data_dir.lake.write(
                table,
                collected,
                code_version=code_version,
                inputs=inputs,
                input_rows=rows,
                run_id=context.run_id,
                added=added,
            )
            return
        keys = sorted(context.asset_partition_keys)
        by_batch = {str(key[0]): part for key, part in collected.partition_by("user_batch", as_dict=True).items()}
        if strangers := sorted(set(by_batch) - set(keys)):
            raise SchemaError(f"{table.name}: rows of {strangers[:3]}, which are not being written")
        for key in keys:
            part = by_batch.get(key, collected.clear())
            data_dir.lake.write(
                table,
                part,
                key,
                code_version=code_version,
                inputs=_inputs(loaded, key),
                input_rows=rows,
                run_id=context.run_id,
            )

    def _write_by_batch(
        self, data_dir: DataDir, context: dg.OutputContext, name: str, obj: ByBatch, loaded: dict[str, Inputs]
    ) -> None:
        rows = {upstream: data_dir.lake.rows(upstream) for upstream in loaded}
        version = _code_version(context)

        def write(key: str, frames: Mapping[str, pl.DataFrame]) -> int:
            self._guard(data_dir, context, frames, key)
            written = 0
            for table_name in sorted(frames, key=lambda n: n == name):
                if strangers := set(frames[table_name]["user_batch"].unique()) - {key}:
                    raise SchemaError(f"{table_name}: rows of {sorted(strangers)[:3]} among those of {key}")
                made = data_dir.lake.write(
                    TABLES[table_name],
                    frames[table_name],
                    key,
                    code_version=version,
                    inputs=_inputs(loaded, key),
                    input_rows=rows,
                    run_id=context.run_id,
                )
                written = made.rows
            return written

        # One batch is written while the next one is made; never more than these two are held.
        written, before = 0, Future[int]()
        before.set_result(0)
        with ThreadPoolExecutor(1) as writer:
            for key in sorted(context.asset_partition_keys):
                frames = obj.make(key)
                written += before.result()
                before = writer.submit(write, key, frames)
            written += before.result()
        context.add_output_metadata({"dagster/row_count": written, **obj.summary()})


def _inputs(loaded: dict[str, Inputs], key: str) -> Inputs:
    return {name: seen.get(key) or seen[EVERY] for name, seen in loaded.items() if key in seen or EVERY in seen}


def _code_version(context: dg.OutputContext) -> str:
    return context.asset_spec.code_version or "" if context.has_asset_key else ""
