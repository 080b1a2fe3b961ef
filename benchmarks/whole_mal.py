"""The whole path of collaborative filtering on a folder of lists: time, processor time and peak memory of each stage.

    python benchmarks/generate_dump.py /tmp/dump --rows 109000000
    python benchmarks/whole_mal.py /tmp/dump /tmp/data --csv figures.csv

Each stage runs in a process of its own, with the pipeline's own jobs and publishing, on a data dir that must not exist
yet: import (catalogue, users, lists, ratings), baselines, similarity, ranking weights, metrics, predictions for every
user. Then 1,000 new users are counted into the kept sums, beside a count of everything, and the two are compared.
Last what the recommendations need beyond it: the learnt order where it is learnt, the network, and everybody's list.
`--csv` adds a line a stage to a file.

Up to 10 million ratings the pipeline predicts by another, dearer model than beyond; with `--alone` the similarity table
predicts at any size, so that sizes can be held against each other, and `cf_metrics` is left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from generate_dump import invented_lists

from malsugoi_assets.app.instance import open_instance
from malsugoi_assets.app.pipeline import Step, execute_step, quiet_logger
from malsugoi_assets.assembly import build_definitions
from malsugoi_assets.automation.jobs import JOB_ASSETS
from malsugoi_assets.resources.source import open_source
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.batches import Batches
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES

NEW_USERS = 1_000
_TOLD = (
    "counted",
    "predicted_by",
    "measured_on",
    "methods",
    "learnt",
    "learnt_from",
    "ranked_by",
    "rated_by",
    "users",
)
LEARNT = ("title_baselines", "similarity_matrix", "item_weights", "cf_metrics")
BEYOND = ("ranking_model", "dnn_model", "dnn_metrics", "recommendations")


class Pipeline:
    """The project on one data dir, in this process."""

    def __init__(self, settings: Settings) -> None:
        warnings.filterwarnings("ignore", module="dagster")
        self.settings = settings
        self.data_dir = DataDir(settings.root)
        self.instance = open_instance(settings)
        self.definitions = build_definitions(settings, loggers={"console": quiet_logger(lambda _: None)})

    def materialize(self, asset: str, config: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Run one asset with the config, over all batches where it has some; its metadata."""
        job = next(job for job, assets in JOB_ASSETS.items() if asset in assets)
        keys = self.data_dir.batches()
        tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(asset)],
            tags=tags if TABLES[asset].partitioned else {},
            run_config={"loggers": {"console": {}}, "ops": {asset: {"config": dict(config or {})}} if config else {}},
        )
        made = result.get_asset_materialization_events()[0]
        return {name: value.value for name, value in made.materialization.metadata.items()}


def import_lists(settings: Settings) -> dict[str, Any]:
    open_source(settings, lambda _: None)
    pipeline = Pipeline(settings)
    for job in ("catalogue", "discover_users"):
        execute_step(pipeline.instance, pipeline.definitions, Step(job))
    keys = pipeline.data_dir.batches()
    execute_step(pipeline.instance, pipeline.definitions, Step("user_batch", keys[0], keys[-1]))
    lake = pipeline.data_dir.lake
    titles = lake.read("rating_matrix").select(pl.col("anime_id").n_unique()).collect().item()
    return {
        "rows": lake.rows("user_lists"),
        "ratings": lake.rows("rating_matrix"),
        "users": lake.rows("users"),
        "titles": titles,
    }


def stored_asset(asset: str, config: Mapping[str, Any] | None = None) -> Callable[[Settings], dict[str, Any]]:
    """Materialize the asset; of its metadata what says how it was made."""

    def work(settings: Settings) -> dict[str, Any]:
        metadata = Pipeline(settings).materialize(asset, config)
        return {name: metadata[name] for name in _TOLD if name in metadata}

    return work


def new_users(settings: Settings) -> dict[str, Any]:
    """Count new users into what is kept, and everything anew elsewhere: seconds of both, and whether they are equal."""
    from malsugoi_assets.recommend.kept_sums import KeptSums

    data_dir = DataDir(settings.root)
    keys = data_dir.lake.partitions("rating_matrix")
    contents = {key: data_dir.lake.content("rating_matrix", key) or "" for key in keys}
    frames = {key: data_dir.lake.read("rating_matrix", [key]) for key in keys}
    ids = data_dir.lake.read("title_baselines").sort("ratings", descending=True).collect()["anime_id"].to_numpy()
    rows = invented_lists(np.random.default_rng(1), NEW_USERS, ids).filter(pl.col("rating") > 0)
    new = rows.select(pl.format("new user {}", "user_id").alias("username"), "anime_id", "rating")
    both = Batches(frames | {"batch-999999": new.lazy()}, contents | {"batch-999999": "new"})
    seconds = {}
    with data_dir.pair_sums() as folder:
        begun = time.perf_counter()
        updated = KeptSums(folder).similar_titles(both)
        seconds["update"] = round(time.perf_counter() - begun, 2)
    with tempfile.TemporaryDirectory(dir=settings.root) as elsewhere:
        begun = time.perf_counter()
        anew = KeptSums(Path(elsewhere) / "sums").similar_titles(both)
        seconds["anew"] = round(time.perf_counter() - begun, 2)
    columns = zip(vars(updated.neighbours).values(), vars(anew.neighbours).values(), strict=True)
    equal = all(np.array_equal(one, other) for one, other in columns)
    return {"counted": updated.how, "new_ratings": new.height, "equal": equal, **seconds}


STAGES: Mapping[str, Callable[[Settings], dict[str, Any]]] = {
    "import": import_lists,
    **{asset: stored_asset(asset) for asset in (*LEARNT, "cf_predictions")},
    "1,000 new users": new_users,
    **{asset: stored_asset(asset) for asset in BEYOND},
}


ALONE: Mapping[str, Callable[[Settings], dict[str, Any]]] = {
    asset: stored_asset(asset, {"most_joint": 0}) for asset in ("title_baselines", "cf_predictions")
}


def run_stage(name: str, folder: Path, data_dir: Path, *, alone: bool) -> dict[str, Any]:
    """Run the stage in a process of its own: what it says, wall and processor seconds, and its peak memory in GiB."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MALSUGOI_", "DAGSTER_"))}
    own = {"MALSUGOI_SOURCE": "files", "MALSUGOI_FILES_DIR": str(folder), "MALSUGOI_DATA_DIR": str(data_dir)}
    command = [sys.executable, __file__, str(folder), str(data_dir), "--stage", name, *["--alone"] * alone]
    done = subprocess.run(command, env=kept | own, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def work_on(name: str, *, alone: bool) -> None:
    begun = time.perf_counter()
    said = (ALONE.get(name, STAGES[name]) if alone else STAGES[name])(Settings.load())
    used = resource.getrusage(resource.RUSAGE_SELF)
    unit = 2**30 if sys.platform == "darwin" else 2**20
    measured = {
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "gib": round(used.ru_maxrss / unit, 2),
    }
    print(json.dumps(said | measured))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--stage", choices=list(STAGES), help="run only this, in this process (used by the others)")
    parser.add_argument("--from-stage", choices=list(STAGES), help="go on here on a data dir that is there")
    parser.add_argument("--last-stage", choices=list(STAGES), help="stop after this one")
    parser.add_argument("--alone", action="store_true", help="the similarity table predicts at any size")
    asked = parser.parse_args()
    folder, data_dir = asked.folder.absolute(), asked.data_dir.absolute()
    if asked.stage:
        work_on(asked.stage, alone=asked.alone)
        return
    if data_dir.exists() and not asked.from_stage:
        sys.exit(f"{data_dir} is there already; name another one")
    names = list(STAGES)
    if asked.last_stage:
        names = names[: names.index(asked.last_stage) + 1]
    size: dict[str, Any] = {}
    shape = data_dir / "measured_shape.json"
    if asked.from_stage:
        names = names[names.index(asked.from_stage) :]
        size = json.loads(shape.read_text())
    if asked.alone:
        names = [name for name in names if name != "cf_metrics"]
    for name in names:
        found = run_stage(name, folder, data_dir, alone=asked.alone)
        if name == "import":
            size = {key: found.pop(key) for key in ("rows", "ratings", "users", "titles")}
            shape.write_text(json.dumps(size))
            print(size, flush=True)
        seconds, cpu, gib = (found.pop(key) for key in ("seconds", "cpu_seconds", "gib"))
        print(f"{name:18} {seconds:8.1f} s {cpu:8.1f} s of processor {gib:6.2f} GiB  {found or ''}", flush=True)
        if asked.csv:
            is_new = not asked.csv.exists()
            with asked.csv.open("a", newline="") as file:
                lines = csv.writer(file)
                if is_new:
                    lines.writerow([*size, "stage", "seconds", "cpu_seconds", "gib"])
                lines.writerow([*size.values(), name, seconds, cpu, gib])
                for part in ("update", "anew"):
                    if part in found:
                        lines.writerow([*size.values(), f"similarity: {part}", found[part], "", gib])


if __name__ == "__main__":
    main()
