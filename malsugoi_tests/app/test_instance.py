"""docs/running.md: jobs from the shell find the instance that the user has, or else that of the data dir."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from malsugoi_tests.support.shared import REPO


def home_after_the_first_line(folder: Path, **environ: str) -> str:
    """The DAGSTER_HOME that the page's jobs would have, begun in this folder."""
    page = (REPO / "docs" / "running.md").read_text()
    line = re.search(r"```sh\n(.*DAGSTER_HOME.*)\ndagster job execute", page)
    assert line is not None
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALSUGOI_", "DAGSTER_HOME"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
    told = subprocess.run(
        ["sh", "-c", f'{line[1]}\nprintf "%s" "$DAGSTER_HOME"'],
        cwd=folder,
        env={**own, "PATH": path, "PYTHONPATH": str(REPO), **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_without_any_it_is_that_of_the_data_dir_with_our_settings(tmp_path: Path) -> None:
    """It was a folder below the working directory, wherever the data dir was, and Dagster's telemetry was on."""
    home = tmp_path / "mine" / "dagster"
    assert home_after_the_first_line(tmp_path, MALSUGOI_DATA_DIR="mine") == str(home)
    assert "telemetry:\n  enabled: false\n" in (home / "dagster.yaml").read_text()


def test_the_shells_own_stays(tmp_path: Path) -> None:
    """It was overridden."""
    assert home_after_the_first_line(tmp_path, DAGSTER_HOME="/srv/dagster") == "/srv/dagster"
    assert list(tmp_path.iterdir()) == []


def test_that_of_the_env_file_is_left_to_dagster_which_reads_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DAGSTER_HOME=/srv/dagster\n")
    assert home_after_the_first_line(tmp_path) == ""
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
