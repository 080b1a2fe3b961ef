"""`malsugoi run` on a site that is not the embedded one: stopped by Ctrl-C, refused, gone on with, and nobody named.

The story of docs/for-real.md: somebody stops it in the middle, goes on the next day, and the site refuses lists then.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from malsugoi_tests.support.processes import start
from malsugoi_tests.support.sites import Replica, running_replica

pytestmark = pytest.mark.slow


def asked_for_titles(replica: Replica) -> list[str]:
    return [path for path in replica.asked() if path.startswith("/anime/")]


def test_ctrl_c_ends_it_with_130_it_goes_on_where_it_was_and_no_event_names_a_user(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running_replica(n_anime=60, n_users=8) as replica:
        site = {"MALSUGOI_SOURCE": "live", "MALSUGOI_MAL_URL": replica.url, "MALSUGOI_REQUESTS_PER_SECOND": "20"}
        process = start(data_dir, "run", **site)
        until = time.monotonic() + 120
        while len(asked_for_titles(replica)) < 10 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 130, output
        assert "goes on from here" in " ".join(output.split())
        assert "Traceback" not in output
        assert len(asked_for_titles(replica)) < 60

        replica.fault(kind="status", status=404, path="/animelist/", count=1)
        replica.fault(kind="off_site", path="/animelist/")
        process = start(data_dir, "run", **site)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 1, output
        assert "lists" in output
        again = Counter(asked_for_titles(replica))
        assert len(again) == 60
        assert sum(again.values()) - 60 <= 1
        names = [user.username.lower().encode() for user in replica.world.users]
        events = [path for path in (data_dir / "dagster").rglob("*") if path.is_file()]
        assert any(path.suffix == ".db" for path in events)
        assert [(path, name) for path in events for name in names if name in path.read_bytes().lower()] == []
