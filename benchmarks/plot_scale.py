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

NAMES = {
    "import": "import",
    "title_baselines": "baselines",
    "similarity_matrix": "similarity",
    "item_weights": "ranking weights",
    "cf_metrics": "metrics",
    "cf_predictions": "predictions",
    "1,000 new users": "1,000 new users, both ways",
}


def draw(figures: pl.DataFrame, path: Path) -> None:
    # Text as text and no date or random name: the same figures give the same file.
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "malsugoi", "font.size": 9}
    shape, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for stage, name in NAMES.items():
        line = figures.filter(stage=stage).sort("ratings")
        millions = line["ratings"] / 1e6
        left.plot(millions, line["cpu_seconds"], marker="o", markersize=3)
        right.plot(millions, line["gib"], marker="o", markersize=3, label=name)
    for axes, what in ((left, "processor seconds"), (right, "peak memory, GiB")):
        axes.set(xlabel="ratings, millions", ylabel=what, xscale="log", yscale="log")
        axes.grid(visible=True, which="both", alpha=0.25)
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
