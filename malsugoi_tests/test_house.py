"""The house's arrows: which room may import which, and what may not be imported at all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "malsugoi_assets"
NUMBERS_AND_SITE = {"mal", "recommend"}
# Below every room: files and locks, what the machine allows, and who is one user.
GROUND = {"disk", "machine", "usernames"}
ALLOWED = {
    "disk": set(),
    "machine": set(),
    "usernames": set(),
    "settings": set(),
    "mal": set(),
    "recommend": set(),
    "files": {"mal"},
    "evaluation": {"recommend"},
    "warehouse": {"settings"},
    "resources": {"settings", "files", "mal", "warehouse", "recommend", "evaluation"},
    "assets": {"settings", "automation", "resources", "files", "mal", "warehouse", "recommend", "evaluation"},
    "checks": {"settings", "automation", "resources", "warehouse"},
    "automation": {"settings", "resources", "warehouse"},
    "definitions": {"assembly"},
    "assembly": {"settings", "assets", "automation", "checks", "resources", "warehouse"},
    "reference": {"settings", "warehouse", "app"},
    "web": {"settings", "warehouse", "recommend", "mal"},
    "app": {
        "settings",
        "web",
        "resources",
        "warehouse",
        "files",
        "mal",
        "recommend",
        "evaluation",
        "automation",
        "assembly",
    },
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names if node.module == "malsugoi_assets"}
    return names


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    if room(path) == "__init__":
        return
    rooms = {n.split(".")[1] for n in imported(path) if n.startswith("malsugoi_assets.")} - {room(path)}
    allowed = ALLOWED[room(path)] | GROUND
    assert rooms <= allowed, f"{path} reaches into {rooms - allowed}"


@pytest.mark.parametrize("path", [p for p in modules() if room(p) in NUMBERS_AND_SITE], ids=str)
def test_the_site_and_the_numbers_know_neither_dagster_nor_duckdb(path: Path) -> None:
    assert not {n for n in imported(path) if n.split(".")[0].startswith(("dagster", "duckdb"))}


@pytest.mark.parametrize("path", modules(), ids=str)
def test_nobody_unpickles(path: Path) -> None:
    assert not imported(path) & {"pickle", "joblib", "cloudpickle", "shelve", "marshal"}
