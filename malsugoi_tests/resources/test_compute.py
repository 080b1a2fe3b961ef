"""One training at a time a device: a slot that others wait for, and that a killed process lets go of."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from malsugoi_assets.resources.compute import Compute
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_tests.support.processes import environment

HOLDER = """
import sys, time
from pathlib import Path
from malsugoi_assets.resources.compute import Compute
from malsugoi_assets.warehouse.data_dir import DataDir
with Compute().slot(DataDir(Path(sys.argv[1])), "cpu", print):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_training_lets_go_of_the_slot_that_another_waits_for(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waits, has = threading.Event(), threading.Event()
    said: list[str] = []

    def tell(words: str) -> None:
        said.append(words)
        waits.set()

    def train() -> None:
        with Compute().slot(DataDir(tmp_path), "cpu", tell):
            has.set()

    other = threading.Thread(target=train, daemon=True)
    other.start()
    assert waits.wait(60)
    assert said == [f"a training on cpu is already under way (process {holder.pid}); waiting for its end"]
    assert not has.is_set()
    holder.kill()
    holder.wait()
    assert has.wait(60)


def test_two_devices_have_a_slot_each(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        Compute().slot(DataDir(tmp_path), "cpu", said.append),
        Compute().slot(DataDir(tmp_path), "cuda:1", said.append),
    ):
        assert not said
