"""The generated pages of docs/ say what the declarations say, and every public document is reachable."""

from __future__ import annotations

import subprocess
import sys

import pytest

from malsugoi_assets.reference import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    # In a process of its own: click remembers options of commands that other tests have run.
    code = f"from malsugoi_assets.reference import PAGES; print(PAGES[{name!r}](), end='')"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert (DOCS / name).read_text() == made, "run: python -m malsugoi_assets.reference"


def test_the_readme_links_to_every_page_of_the_docs() -> None:
    readme = (DOCS.parent / "README.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if f"docs/{page.name}" not in readme] == []
