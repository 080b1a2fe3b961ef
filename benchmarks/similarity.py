"""How long the similarity takes, and how much memory, on invented ratings with MAL's popularity curve.

    python benchmarks/similarity.py --ratings 5770000 --users 31000 --titles 17500

Each runs `--repeats` times; the median counts. Beside it runs scipy's plain product, and implicit's cosine where that
package is installed.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_assets.recommend.similarity import similar_titles


def invented(n_ratings: int, n_users: int, n_titles: int, seed: int = 0) -> Ratings:
    """Unique (user, title) pairs: activity log-normal over users, popularity as 1 / (rank + 20) over titles."""
    random = np.random.default_rng(seed)
    activity = random.lognormal(0, 1.2, n_users)
    popularity = 1 / (np.arange(n_titles) + 20.0)
    pairs = np.empty(0, dtype=np.int64)
    while len(pairs) < n_ratings:
        wanted = n_ratings - len(pairs)
        user = random.choice(n_users, wanted, p=activity / activity.sum())
        item = random.choice(n_titles, wanted, p=popularity / popularity.sum())
        before = len(pairs)
        pairs = np.union1d(pairs, user.astype(np.int64) * n_titles + item)
        if len(pairs) - before < wanted // 20:
            break
    rating = np.clip(np.round(random.normal(7.5, 1.7, len(pairs))), 1, 10).astype(np.float32)
    return Ratings(
        (pairs // n_titles).astype(np.int32), (pairs % n_titles).astype(np.int32), rating, n_users, n_titles
    )


def seconds(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def peers(ratings: Ratings) -> dict[str, Callable[[], object]]:
    matrix = ratings.rated_matrix
    found: dict[str, Callable[[], object]] = {"scipy X.T @ X": lambda: matrix.T.tocsr() @ matrix}
    try:
        from implicit.nearest_neighbours import CosineRecommender
    except ImportError:
        return found
    return found | {"implicit cosine": lambda: CosineRecommender(K=100).fit(matrix, show_progress=False)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=int, default=400_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--titles", type=int, default=7_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    ratings = invented(asked.ratings, asked.users, asked.titles)
    print(f"{len(ratings):,} ratings of {asked.users:,} users for {asked.titles:,} titles")
    own = seconds(lambda: similar_titles(ratings), asked.repeats)
    print(f"{'malsugoi':16} {own:8.2f} s")
    for name, work in peers(ratings).items():
        other = seconds(work, asked.repeats)
        print(f"{name:16} {other:8.2f} s   ({other / own:.2f} × ours)")
    unit = 2**30 if sys.platform == "darwin" else 2**20
    print(f"most memory of the whole run: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit:.2f} GiB")


if __name__ == "__main__":
    main()
