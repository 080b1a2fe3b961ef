"""`kill -9` at random moments of a real training: the one that goes on ends in the same file, byte for byte."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from malsugoi_tests.support.processes import environment

KILLS = int(os.environ.get("MALSUGOI_TEST_KILLS", "3"))


def start(state: Path, model: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "malsugoi_tests.recommend.train_once", str(state), str(model)],
        cwd=state.parent,
        env=environment(state.parent),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    return process


def test_training_that_is_killed_at_random_moments_ends_in_the_same_file(tmp_path: Path) -> None:
    process = start(tmp_path / "undisturbed", tmp_path / "expected")
    epochs: list[float] = []
    for line in process.stdout or ():
        epochs += [time.monotonic()] if line.strip().isdigit() else []
    assert process.wait() == 0
    one_epoch = (epochs[-1] - epochs[0]) / (len(epochs) - 1)
    chance = random.Random(5)
    moments: list[str] = []
    for _ in range(KILLS):
        process = start(tmp_path / "state", tmp_path / "model")
        said = [line.strip() for line, _ in zip(process.stdout or (), range(chance.randint(0, 2)), strict=False)]
        time.sleep(chance.uniform(0, 1.5 * one_epoch))
        process.kill()
        said += process.communicate()[0].split("\n")
        moments.append(([word for word in said if word] or ["before an epoch ended"])[-1])
    process = start(tmp_path / "state", tmp_path / "model")
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert (tmp_path / "model").read_bytes() == (tmp_path / "expected").read_bytes(), moments
    print(f"killed after epochs {moments}, at last {said.split(chr(10))[-2]}")
