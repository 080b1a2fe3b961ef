"""One published world for all tests of the page: nobody writes into it, but into a copy (`root`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from malsugoi_tests.web.world import browsing, publish


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data dir's path."""
    root = tmp_path_factory.mktemp("web") / "data"
    publish(root)
    return root


@pytest.fixture
def client(world: Path) -> Iterator[TestClient]:
    """A visitor without a list."""
    with browsing(world) as visitor:
        yield visitor


@pytest.fixture
def root(world: Path, tmp_path: Path) -> Path:
    """A copy of the world, to write into."""
    shutil.copytree(world, tmp_path / "data", symlinks=True)
    return tmp_path / "data"


@pytest.fixture
def visiting(root: Path) -> Iterator[TestClient]:
    """A visitor of the copy."""
    with browsing(root) as visitor:
        yield visitor
