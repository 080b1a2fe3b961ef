"""Real processes for tests: `malsugoi run`, `dagster job execute`, and what the replica was asked for meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import duckdb

from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.support.shared import REPO

Rows = list[tuple[object, ...]]
DAGSTER = (sys.executable, "-m", "dagster")


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """The surroundings of a process that works on `data_dir`, wherever it is started."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MALSUGOI_", "DAGSTER_"))}
    return {
        **keep,
        "PYTHONPATH": str(REPO),
        "PYTHONWARNINGS": "ignore",
        "MALSUGOI_DATA_DIR": str(data_dir),
        "OMP_NUM_THREADS": "1",
        **more,
    }


def start(data_dir: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    """`malsugoi ARGUMENTS` (`run`, where there are none), its output in one stream."""
    return subprocess.Popen(
        [sys.executable, "-m", "malsugoi_assets.app", *(arguments or ("run",))],
        cwd=data_dir.parent,
        env=environment(data_dir, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(data_dir: Path, **more: str) -> str:
    """`malsugoi run` to its end; what it said."""
    process = start(data_dir, **more)
    output, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, output
    return output


def execute(data_dir: Path, job: str, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    """`dagster job execute` of a job on the data dir's own instance."""
    return subprocess.run(
        [*DAGSTER, "job", "execute", "-m", "malsugoi_assets.definitions", "-j", job, *options],
        cwd=data_dir.parent,
        env=environment(data_dir, DAGSTER_HOME=str(data_dir / "dagster"), **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


def batch(key: str) -> tuple[str, str]:
    """The options that name a batch."""
    return "--tags", json.dumps({"dagster/partition": key})


def control(url: str, door: str, payload: object = None, method: str = "GET") -> Any:
    """Knock at the replica's control door."""
    body = None if payload is None else json.dumps(payload).encode()
    request = urllib.request.Request(f"{url}/_control/{door}", data=body, method="POST" if body else method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def pages_asked(url: str) -> list[str]:
    """The paths that were asked of the replica since its log was last cleared, in order."""
    return [str(entry["path"]) for entry in control(url, "log")]


CHANCE = {
    "raw_anime_pages": ("url",),  # the port that the replica happened to get
}


def contents(data_dir: Path) -> dict[str, Rows]:
    """Every table without the columns that say when, and those that depend on chance."""
    path = DataDir(data_dir).publisher.current()
    assert path is not None
    with duckdb.connect(str(path), read_only=True) as con:
        chance = {name: (*table.volatile, *CHANCE.get(name, ())) for name, table in TABLES.items()}
        return {
            name: con.execute(
                f"SELECT * EXCLUDE ({', '.join(chance[name])}) FROM {name} ORDER BY ALL"
                if chance[name]
                else f"FROM {name} ORDER BY ALL"
            ).fetchall()
            for name, table in TABLES.items()
            if table.published
        }


def query(data_dir: Path, sql: str) -> Rows:
    """Rows of the published state, asked for as any process would."""
    path = DataDir(data_dir).publisher.current()
    assert path is not None
    with duckdb.connect(str(path), read_only=True) as con:
        return con.execute(sql).fetchall()
