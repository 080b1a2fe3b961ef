"""Draws how the cost of collaborative filtering grows, from the lines that `whole_mal.py --csv` wrote.

    python benchmarks/plot_scale.py docs/scale.csv docs/img/scale.svg

Processor seconds, since the machine may have done other work too, and peak memory, against the number of ratings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import polars as pl

mpl.use("svg")
import matplotlib.pyplot as plt


def draw(figures: pl.DataFrame, path: Path) -> None:
    # Text as text and no date or random name: the same figures give the same file.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "malsugoi", "font.size": 9}
    panels = {"cpu_seconds": "processor seconds", "gib": "peak memory, GiB"}
    panels = {column: what for column, what in panels.items() if figures[column].count()}
    shape, axes = plt.subplots(
        1, len(panels), figsize=(2 + 3.5 * len(panels), 3.6), layout="constrained", squeeze=False
    )
    for (column, what), panel in zip(panels.items(), axes[0], strict=True):
        for stage in figures["stage"].unique(maintain_order=True):
            line = figures.filter((pl.col("stage") == stage) & pl.col(column).is_not_null()).sort("ratings")
            label = stage if panel is axes[0][0] else None
            panel.plot(line["ratings"] / 1e6, line[column], marker="o", markersize=3, label=label)
        panel.set(xlabel="ratings, millions", ylabel=what, xscale="log", yscale="log")
        panel.grid(visible=True, which="both", alpha=0.25)
    shape.legend(loc="outside right center", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    shape.savefig(path, metadata={"Date": None, "Creator": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("picture", type=Path)
    asked = parser.parse_args()
    draw(pl.read_csv(asked.figures), asked.picture)


if __name__ == "__main__":
    main()
