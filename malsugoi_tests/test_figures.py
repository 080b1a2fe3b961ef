"""README's figures, and those that one page of `docs/` takes over from another, are those of the page that measured them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
README = (REPO / "README.md").read_text()
Row = dict[str, str]


def tables(text: str) -> list[dict[str, Row]]:
    """The tables of a page: by the plain text of a row's first cell, its cells under the table's headings."""
    found: list[dict[str, Row]] = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines())
        found.append({re.sub(r"[*`]", "", row[0]): dict(zip(head, row, strict=False)) for row in rows})
    return found


def rows(page: str, section: str, column: str = "") -> dict[str, Row]:
    """The rows of those tables in a section of a page that have the column, the last one's where several have the same."""
    text = (REPO / "docs" / page).read_text()
    start = re.search(rf"^#+ {re.escape(section)}.*$", text, re.MULTILINE)
    assert start, f"docs/{page} has no section {section!r}"
    rest = text[start.end() :]
    end = re.search(r"^## ", rest, re.MULTILINE)
    section = rest[: end.start() if end else None] + "\n"
    found = (item for table in tables(section) for item in table.items())
    return {name: row for name, row in found if not column or column in row}


def number(cell: str) -> float:
    """The first number of a cell: `.444 [.416, .472]` is 0.444."""
    found = re.search(r"\d*\.?\d+", cell.replace(",", ""))
    assert found, cell
    return float(found[0])


def readme_row(begins: str) -> float:
    [row] = [r for table in tables(README) for name, r in table.items() if name.startswith(begins) and "MSE" in r]
    return number(row["MSE"])


def said(pattern: str) -> float:
    """The number that README says where the pattern's group stands; lines may break anywhere."""
    found = re.search(pattern.replace(" ", r"\s+"), README)
    assert found, f"README no longer says {pattern!r}"
    return float(found[1])


ON_P1 = rows("peers.md", "p1: ")
ORDERS = rows("peers.md", "ranking: ")


@pytest.mark.parametrize(
    ("begins", "measured"),
    [
        ("blend", rows("blend.md", "Figures")["blend"]["own split (p1)"]),
        ("dnn", rows("blend.md", "Figures")["dnn"]["own split (p1)"]),
        ("cf", ON_P1["cf"]["mse"]),
        ("myFM", ON_P1["myfm"]["mse"]),
        ("Surprise", min((row["mse"] for name, row in ON_P1.items() if name.startswith("surprise")), key=number)),
        ("user and title averages", ON_P1["bias"]["mse"]),
    ],
)
def test_readmes_table_of_errors_says_what_was_measured(begins: str, measured: str) -> None:
    assert readme_row(begins) == number(measured)


def test_no_library_is_better_than_the_one_that_readme_calls_the_best() -> None:
    libraries = [number(row["mse"]) for name, row in ON_P1.items() if name not in ("cf", "bias")]
    assert readme_row("myFM") == min(libraries)
    original = rows("evaluation.md", "Figures")["dnn-original"]["own split, joined (p1)"]
    assert readme_row("the original") == round(number(original), 1)


def test_readmes_nearest_competitor_has_the_figures_of_the_peers_page() -> None:
    trees = rows("peers.md", "p2-trees: ")
    assert said(r"over five random folds it has ([\d.]+)") == number(trees["lightgbm"]["mse"])
    assert said(r"where the blend has ([\d.]+\d)") == number(trees["blend"]["mse"])


def test_readmes_orders_have_the_figures_of_the_pages() -> None:
    ours = rows("collaborative-filtering.md", "The learnt order")
    libraries = {name: number(row["ndcg@10"]) for name, row in ORDERS.items() if "**" not in row["model"]}
    assert said(r"\*\*`ranking`\*\* ([\d.]+),") == number(ours["ranking"]["NDCG@10"])
    assert said(r"our SLIM ([\d.]+),") == number(ours["slim"]["NDCG@10"])
    assert said(r"popularity ([\d.]+\d)") == libraries.pop("popularity")
    assert said(r"the best library ([\d.]+),") == max(libraries.values())


def test_readmes_whole_of_mal_is_the_one_that_was_measured() -> None:
    measured = rows("collaborative-filtering.md", "Size", "GiB at most")["all of it"]
    halves = round(number(measured["seconds"]) / 30)
    assert {13: "six and a half", 12: "six", 11: "five and a half", 10: "five"}[halves] + " minutes" in README
    assert said(r"minutes and ([\d.]+) GiB on two cores") == number(measured["GiB at most"])


@pytest.mark.parametrize("model", ["blend", "dnn"])
def test_the_page_on_evaluation_takes_over_the_blends_figures_as_they_are(model: str) -> None:
    there, here = rows("blend.md", "Figures")[model], rows("evaluation.md", "Figures")
    [row] = [row for name, row in here.items() if name.split()[0] == model]
    assert [number(cell) for cell in list(row.values())[1:]] == [number(cell) for cell in list(there.values())[1:]]


@pytest.mark.parametrize(("part", "column"), [("p1-joined: ", "own split, joined (p1)"), ("p1: ", "own split (p1)")])
@pytest.mark.parametrize("model", ["cf", "bias"])
def test_the_page_on_evaluation_and_the_one_on_peers_agree(part: str, column: str, model: str) -> None:
    assert number(rows("evaluation.md", "Figures")[model][column]) == number(rows("peers.md", part)[model]["mse"])
