"""Draws how the cost of collaborative filtering grows, from the lines that `whole_mal.py --csv` wrote.

    python benchmarks/plot_scale.py docs/scale.csv docs/img/scale.svg

On the left with the users, at one number of titles; on the right with the titles, at one number of list rows: processor
seconds, since the machine may have done other work too, and peak memory. Prints both as Markdown tables, with the power of
users or titles by which a stage's processor seconds grow between the two largest sizes, where what every run costs weighs
least.
"""

from __future__ import annotations

import argparse
from math import log
from pathlib import Path

import matplotlib as mpl
import polars as pl

mpl.use("svg")
import matplotlib.pyplot as plt

_TOGETHER = "all of it"


def over(figures: pl.DataFrame, by: str) -> pl.DataFrame:
    """The lines that differ in `by` (users or titles) and have the commonest titles (or rows), with their sums."""
    same = "titles" if by == "users" else "rows"
    figures = figures.filter(~pl.col("stage").str.contains("new users|similarity: "))
    sizes = figures.select("rows", "titles").unique()
    common = sizes.group_by(same).len().sort("len", same, descending=True)[same][0]
    lines = figures.filter(pl.col(same) == common)
    whole = lines.group_by("rows", "ratings", "users", "titles", maintain_order=True).agg(
        pl.col("cpu_seconds").sum(), pl.col("gib").max(), stage=pl.lit(_TOGETHER)
    )
    columns = ["rows", "users", "titles", "stage", "cpu_seconds", "gib"]
    return pl.concat([lines.select(columns), whole.select(columns)]).sort(by, maintain_order=True)


def power(x: pl.Series, y: pl.Series) -> float:
    """p of the y = c · x^p through the last two points."""
    return log(y[-1] / y[-2]) / log(x[-1] / x[-2])


def draw(figures: pl.DataFrame, path: Path) -> None:
    # Text as text and no date or random name: the same figures give the same file.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "malsugoi", "font.size": 9}
    shape, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained", sharex="col")
    for by, panels in zip(("users", "titles"), axes.T, strict=True):
        lines = over(figures, by)
        for (column, what), panel in zip(
            {"cpu_seconds": "processor seconds", "gib": "peak memory, GiB"}.items(), panels, strict=True
        ):
            for stage in lines["stage"].unique(maintain_order=True):
                line = lines.filter(pl.col("stage") == stage)
                style = {"color": "black", "linestyle": "--"} if stage == _TOGETHER else {}
                label = stage if panel is axes[0][0] else None
                panel.plot(line[by], line[column], marker="o", markersize=3, label=label, **style)
            panel.set(ylabel=what, xscale="log", yscale="log")
            panel.grid(visible=True, which="both", alpha=0.25)
        same = f"{lines['titles'][0]:,} titles" if by == "users" else f"{lines['rows'][0] / 1e6:g} million list rows"
        panels[0].set_title(f"with the {by}; {same}", fontsize=9)
        panels[1].set_xlabel(by)
    shape.legend(loc="outside right center", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    shape.savefig(path, metadata={"Date": None, "Creator": None})


def table(figures: pl.DataFrame, by: str) -> str:
    """Processor seconds of each stage at each size, and the power by which they grow, in Markdown."""
    lines = over(figures, by)
    sizes = lines[by].unique().sort()
    rows = [["processor seconds at … " + by, *(f"{size:,}" for size in sizes), "grows by the power"]]
    rows.append(["---"] * len(rows[0]))
    for stage in lines["stage"].unique(maintain_order=True):
        line = lines.filter(pl.col("stage") == stage)
        found = dict(line.select(by, "cpu_seconds").iter_rows())
        seconds = [f"{found[size]:.0f}" if size in found else "" for size in sizes]
        grows = f"{power(line[by], line['cpu_seconds']):.2f}" if len(line) > 1 else ""
        rows.append([f"`{stage}`" if stage != _TOGETHER else f"**{stage}**", *seconds, grows])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("picture", type=Path)
    asked = parser.parse_args()
    figures = pl.read_csv(asked.figures)
    draw(figures, asked.picture)
    print(table(figures, "users"), table(figures, "titles"), sep="\n\n")


if __name__ == "__main__":
    main()
