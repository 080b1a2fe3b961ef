"""The learnt order ranks a list that was brought along, where its file is the one that was registered."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.assets.test_ranking import learnt
from malsugoi_tests.web.world import LIKES, browsing, export, send


@pytest.fixture
def ordered(world: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the world with a learnt order, and the order's file."""
    root = tmp_path / "data"
    shutil.copytree(world, root, symlinks=True)
    builds, _ = learnt(root)
    data_dir = DataDir(root)
    data_dir.lake.write(TABLES["ranking_model"], builds)
    data_dir.publisher.publish()
    return root, root / str(builds["path"][0])


def test_the_learnt_order_ranks_and_gives_reasons(ordered: tuple[Path, Path]) -> None:
    with browsing(ordered[0]) as client:
        page = send(client, export(LIKES))
        assert "ranked by the learnt order" in page.text
        answer = client.get("/api/recommendations").json()
        assert answer["items"]
        for item in answer["items"]:
            assert {reason["anime_id"] for reason in item["because"]} <= LIKES.keys()
            assert all(reason["weight"] > 0 for reason in item["because"])


@pytest.mark.parametrize("harm", ["missing", "another"])
def test_another_file_is_not_used_and_the_weights_rank(ordered: tuple[Path, Path], harm: str) -> None:
    root, file = ordered
    file.unlink()
    if harm == "another":
        file.write_bytes(b"not the file")
    with browsing(root) as client:
        assert "ranked by the weights of ease (" in send(client, export(LIKES)).text
