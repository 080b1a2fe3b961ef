"""How long the similarity takes, and how much memory, beside other libraries, on invented ratings of MAL's shape.

    pip install -e '.[peers]'
    python benchmarks/similarity.py --ratings 5770000 --users 31000 --titles 17500 --repeats 5

Every contender keeps the 100 nearest of each title. Each measurement is a process of its own: it loads the ratings, runs
once on a few of them (compiling, starting threads), then once on all. The contenders take turns, so that what else the
machine does meets all alike; the medians count, also as ratios to ours, of wall time and of processor time. Memory is the
process' peak less what it held with the ratings loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
from generate_dump import USERS_A_BLOCK, invented_lists

from malsugoi_assets.recommend.ratings import Ratings

NEIGHBOURS = 100
FEW = 20_000
Work = Callable[[], object]


def invented(n_ratings: int, n_users: int, n_titles: int, seed: int = 0) -> Ratings:
    """Unique rated pairs of about so many: lists as `generate_dump` makes them, cut to the number asked for."""
    rng, blocks = np.random.default_rng(seed), []
    for first in range(0, n_users, USERS_A_BLOCK):
        rows = invented_lists(rng, min(USERS_A_BLOCK, n_users - first), np.arange(n_titles))
        rated = rows.filter(pl.col("rating") > 0).select("user_id", "anime_id", "rating")
        blocks.append(rated.with_columns(pl.col("user_id") + first))
    rows = pl.concat(blocks)
    if rows.height > n_ratings:
        kept = np.sort(np.random.default_rng(seed).choice(rows.height, n_ratings, replace=False))
        rows = rows[kept]
    columns = (rows[name].to_numpy() for name in ("user_id", "anime_id", "rating"))
    user, item, rating = columns
    return Ratings(user.astype(np.int32), item.astype(np.int32), rating.astype(np.float32), n_users, n_titles)


def ours(ratings: Ratings) -> Work:
    from malsugoi_assets.recommend.similarity import SimilaritySettings, similar_titles

    return lambda: similar_titles(ratings, SimilaritySettings(neighbours=NEIGHBOURS))


def ours_on_one_thread(ratings: Ratings) -> Work:
    from malsugoi_assets.recommend.similarity import SimilaritySettings, similar_titles

    return lambda: similar_titles(ratings, SimilaritySettings(neighbours=NEIGHBOURS), threads=1)


def implicit_cosine(ratings: Ratings) -> Work:
    from implicit.nearest_neighbours import CosineRecommender

    matrix = ratings.rated_matrix
    return lambda: CosineRecommender(K=NEIGHBOURS).fit(matrix, show_progress=False)


def lenskit_item_knn(ratings: Ratings) -> Work:
    from lenskit.data import from_interactions_df
    from lenskit.knn import ItemKNNScorer
    from lenskit.training import TrainingOptions

    columns = {"user_id": ratings.user, "item_id": ratings.item, "rating": ratings.rating}
    data = from_interactions_df(pl.DataFrame(columns).to_pandas())
    return lambda: ItemKNNScorer(save_nbrs=NEIGHBOURS).train(data, TrainingOptions())


def scipy_product(ratings: Ratings) -> Work:
    matrix = ratings.rated_matrix
    return lambda: matrix.T.tocsr() @ matrix


CONTENDERS: dict[str, tuple[Callable[[Ratings], Work], str]] = {
    "malsugoi": (ours, "numba"),
    "malsugoi, 1 thread": (ours_on_one_thread, "numba"),
    "implicit cosine": (implicit_cosine, "implicit"),
    "LensKit ItemKNN": (lenskit_item_knn, "lenskit"),
    "scipy X.T @ X": (scipy_product, "scipy"),
}


def measure(name: str, path: Path) -> dict[str, float]:
    """One run of a contender in this process: wall and processor seconds, and GiB."""
    unit = 2**30 if sys.platform == "darwin" else 2**20
    with np.load(path) as stored:
        columns, (n_users, n_titles) = (stored["user"], stored["item"], stored["rating"]), stored["shape"].tolist()
    ratings = Ratings(*columns, n_users, n_titles)
    prepare = CONTENDERS[name][0]
    prepare(ratings.take(np.arange(min(FEW, len(ratings)))))()
    work = prepare(ratings)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    taken = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    return taken | {"gib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ratings", type=int, default=400_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--titles", type=int, default=7_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=list(CONTENDERS), help="leave the others out")
    parser.add_argument("--one", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one, asked.data)))
        return
    names = [
        name for name, (_, package) in CONTENDERS.items() if find_spec(package) and name in (asked.only or CONTENDERS)
    ]
    ratings = invented(asked.ratings, asked.users, asked.titles)
    print(f"{len(ratings):,} ratings of {asked.users:,} users for {asked.titles:,} titles")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.npz"
        shape = np.array([ratings.n_users, ratings.n_items])
        np.savez(path, user=ratings.user, item=ratings.item, rating=ratings.rating, shape=shape)
        for _ in range(asked.repeats):
            for name in names:
                command = [sys.executable, __file__, "--one", name, "--data", str(path)]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=dict(os.environ))
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    table: dict[str, dict[str, Any]] = {
        name: {part: statistics.median(run[part] for run in runs) for part in ("wall", "cpu", "gib")}
        for name, runs in found.items()
    }
    own = table[names[0]]
    print(
        f"{'':20} {'seconds':>9} {'× ours':>7} {'of processor':>13} {'× ours':>7} {'GiB':>6}   spread of the seconds"
    )
    for name, row in table.items():
        low, high = (pick(run["wall"] for run in found[name]) for pick in (min, max))
        print(
            f"{name:20} {row['wall']:9.2f} {row['wall'] / own['wall']:7.2f} {row['cpu']:13.2f} "
            f"{row['cpu'] / own['cpu']:7.2f} {row['gib']:6.2f}   {low:.2f} … {high:.2f}"
        )
    print(f"median of {asked.repeats}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
