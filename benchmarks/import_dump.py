"""How long a folder of list files takes to become `user_lists` and `rating_matrix`, and how much memory.

    python benchmarks/generate_dump.py /tmp/dump --rows 109000000
    python benchmarks/import_dump.py /tmp/dump /tmp/data

Runs the jobs `catalogue`, `discover_users` and `user_batch` (every batch) on a data dir that must not exist yet. Where
the folder was generated, the published counts are held against what was generated.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
import warnings
from pathlib import Path

import duckdb

from malsugoi_assets.app.instance import open_instance
from malsugoi_assets.app.pipeline import Step, execute_step, quiet_logger
from malsugoi_assets.assembly import build_definitions
from malsugoi_assets.resources.source import open_source
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data_dir", type=Path)
    asked = parser.parse_args()
    if asked.data_dir.exists():
        sys.exit(f"{asked.data_dir} is there already; name another one")
    warnings.filterwarnings("ignore", module="dagster")
    begun, said = time.monotonic(), [0.0]

    def say(text: str) -> None:
        if time.monotonic() - said[0] > 10:
            said[0] = time.monotonic()
            print(f"{time.monotonic() - begun:6.0f} s  {text}", flush=True)

    for name in [name for name in os.environ if name.startswith(("MALSUGOI_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ |= {
        "MALSUGOI_SOURCE": "files",
        "MALSUGOI_FILES_DIR": str(asked.folder.absolute()),
        "MALSUGOI_DATA_DIR": str(asked.data_dir.absolute()),
    }
    settings = Settings.load()
    open_source(settings, say)
    print(f"{time.monotonic() - begun:6.0f} s  the folder is read")
    instance, data_dir = open_instance(settings), DataDir(settings.root)
    definitions = build_definitions(settings, loggers={"console": quiet_logger(say)})
    for job in ("catalogue", "discover_users"):
        execute_step(instance, definitions, Step(job))
    batches = data_dir.batches()
    execute_step(instance, definitions, Step("user_batch", batches[0], batches[-1]))
    seconds = time.monotonic() - begun
    unit = 2**30 if sys.platform == "darwin" else 2**20
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    with duckdb.connect(str(data_dir.publisher.current()), read_only=True) as con:
        counts = con.execute(
            "SELECT (SELECT count(*) FROM user_lists), (SELECT count(*) FROM rating_matrix), "
            "(SELECT count(*) FROM users WHERE list_status = 'ok')"
        ).fetchall()[0]
    published = dict(zip(("rows", "rated", "users"), counts, strict=True))
    print(f"{published}, {len(batches)} batches: {seconds:.0f} s, {gib:.2f} GiB at most")
    generated = asked.folder / "generated.json"
    if generated.exists():
        wanted = {name: json.loads(generated.read_text())[name] for name in published}
        print("as generated" if wanted == published else f"NOT as generated: {wanted}")


if __name__ == "__main__":
    main()
