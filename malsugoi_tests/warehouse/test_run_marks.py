"""The marks of living runs: seen while the process lives, however it dies, and swept when they are nobody's."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path

from malsugoi_assets.warehouse.run_marks import forget_runs, hold_run, is_dead, is_marked, marks


def _hold(root: str, run_id: str, held: Event) -> None:
    import time

    hold_run(Path(root), run_id)
    held.set()
    time.sleep(60)


def test_a_run_is_dead_once_its_process_is_killed_and_not_before(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    process = spawn.Process(target=_hold, args=(str(tmp_path), "run", held))
    process.start()
    assert held.wait(60)
    assert is_marked(tmp_path, "run")
    assert not is_dead(tmp_path, "run")
    forget_runs(tmp_path, ["run"])
    assert marks(tmp_path) == ["run"]
    process.kill()
    process.join()
    assert is_dead(tmp_path, "run")
    forget_runs(tmp_path, ["run"])
    assert marks(tmp_path) == []


def test_a_run_without_a_mark_is_not_known_to_be_dead(tmp_path: Path) -> None:
    assert not is_dead(tmp_path, "never seen")


def test_holding_a_run_twice_is_holding_it_once(tmp_path: Path) -> None:
    hold_run(tmp_path, "twice")
    hold_run(tmp_path, "twice")
    assert [path.name for path in (tmp_path / "locks" / "runs").iterdir()] == ["twice.lock"]
