"""What training the blend costs by the number of ratings, with one Gaussian process over all users and without.

    python benchmarks/generate_dump.py /tmp/dump --rows 4000000
    python benchmarks/blend_size.py /tmp/dump [--ratings 250000,500000,1000000,2000000]

The dump's first users, each size and kind in a process of its own; the settings of `malsugoi evaluate` but for
`most_joint`, the number of ratings up to which the process is solved. Which of both errs less is another question, for real
ratings: `python benchmarks/blend.py --data mal_2016 --protocols random5 --folds 1 --set network.most_joint=0`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from malsugoi_assets.evaluation.data import evaluation_rows
from malsugoi_assets.files import load_evaluation
from malsugoi_assets.recommend.blend import Blend
from malsugoi_assets.recommend.blend_settings import BlendSettings


def first_users(dump: Path, rated: int) -> pl.DataFrame:
    """The lists of the first users who have so many ratings together."""
    part = pl.scan_csv(dump / "animelist.csv").head(4 * rated).collect()
    whole = part.filter(pl.col("user_id") != part["user_id"][-1])
    by_user = whole.group_by("user_id", maintain_order=True).agg((pl.col("rating") > 0).sum().alias("rated"))
    enough = by_user.filter(pl.col("rated").cum_sum() <= rated)
    return whole.join(enough, on="user_id", how="semi")


def train(dump: Path, rated: int, joint: bool) -> dict[str, float]:
    """Train once here; what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ratings.csv"
        first_users(dump, rated).write_csv(file)
        data = load_evaluation(file, [dump / "anime.csv"], None)
    rows = evaluation_rows(data.rows, data.catalogue, data.relations)
    ratings = rows.ratings(np.ones(len(rows), dtype=np.bool_))
    settings = BlendSettings()
    network = settings.network.model_copy(update={"most_joint": len(rows) if joint else 0})
    start, used = time.monotonic(), time.process_time()
    Blend(settings.model_copy(update={"network": network}), 0).fit(ratings, rows.items)
    return {
        "ratings": len(ratings.rated),
        "users": rows.n_users,
        "seconds": round(time.monotonic() - start, 1),
        "cpu_seconds": round(time.process_time() - used, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


def main() -> None:
    """A Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dump", type=Path)
    parser.add_argument("--ratings", default="250000,500000,1000000,2000000")
    parser.add_argument("--one", choices=["process", "lists"], help="Train once, in this process.")
    options = parser.parse_args()
    sizes = [int(size) for size in options.ratings.split(",")]
    if options.one:
        print(json.dumps(train(options.dump, sizes[0], options.one == "process")))
        return
    print(
        "| ratings | users | process over all users | seconds | of the processor | GiB |\n|---|---|---|---|---|---|"
    )
    for size in sizes:
        for kind in ("lists", "process"):
            command = [sys.executable, __file__, str(options.dump), "--ratings", str(size), "--one", kind]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"| {found['ratings']:,} | {found['users']:,} | {'yes' if kind == 'process' else 'no'} "
                f"| {found['seconds']:.0f} | {found['cpu_seconds']:.0f} | {found['peak_gib']:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
