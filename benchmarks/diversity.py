"""What the list's setting `diversity` costs and brings, on rows that no reported figure comes from.

    python benchmarks/diversity.py [--values 0,0.3,1] [--seed 0] [--hides 1] [--epochs 8]

The rows of `protocols/ranking.csv` that it does not hide, a fifth of each user's ratings hidden anew. The order is learnt
once and the list made with each value. Likeness within a list: the mean cosine of the genres of any two of its first ten.
Needs the shared data, as `accuracy.py`.
"""

from __future__ import annotations

import argparse
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from accuracy import SHARED, read_rows

from malsugoi_assets.evaluation.data import EvaluationRows
from malsugoi_assets.evaluation.judge_rankings import Rankings, judge_rankings
from malsugoi_assets.evaluation.protocols import Fold, Protocol, read_protocol
from malsugoi_assets.evaluation.run import rank
from malsugoi_assets.recommend.content import genre_sets
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ranking import Ranking, RankingSettings
from malsugoi_assets.recommend.ratings import FloatArray, IntArray, Ratings
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommended import Recommended

MEASURES = ("ndcg@10", "recall@20", "variety@10", "coverage@10", "novelty@10")


class LearntOnce:
    """An order that is learnt at the first `fit`, and kept for the others of the same rows."""

    def __init__(self, ranking: Ranking) -> None:
        self._ranking, self._is_learnt = ranking, False

    def fit(self, ratings: Ratings, items: Items) -> Self:
        """As the ranking, once."""
        if not self._is_learnt:
            self._ranking.fit(ratings, items)
            self._is_learnt = True
        return self

    def scores(self, users: IntArray) -> FloatArray:
        """As the ranking."""
        return self._ranking.scores(users)


def inner(rows: EvaluationRows, outer: Protocol, seed: int) -> Protocol:
    """A fifth of each user's rated train rows (with ten or more) hidden, the outer protocol's targets nowhere."""
    (fold,) = outer.folds
    free = fold.train & ~np.isnan(rows.rating)
    free[rows.repeats(fold.targets)] = False
    rated = np.flatnonzero(free)
    count = np.bincount(rows.user[rated], minlength=rows.n_users)
    random = np.random.default_rng(seed)
    targets = []
    for user in np.flatnonzero(count >= 10):
        own = rated[rows.user[rated] == user]
        targets.append(random.choice(own, len(own) // 5, replace=False))
    hidden = np.sort(np.concatenate(targets))
    train = fold.train.copy()
    train[hidden] = False
    return Protocol("inner", "ranking", (Fold(hidden, train),), outer.marks)


def likeness_within(rankings: Rankings, items: Items) -> dict[str, float]:
    """For each model the mean over users of the mean cosine of the genres of two titles of the first ten."""
    sets = genre_sets(items.features)
    number = {word: place for place, word in enumerate(sorted(set().union(*sets)))}
    rows = np.zeros((len(sets), len(number)), dtype=np.float32)
    for place, words in enumerate(sets):
        rows[place, [number[word] for word in words]] = 1
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return {
        name: float(np.mean([_pairwise(rows[ten[ten >= 0]]) for ten in best[:, :10]]))
        for name, best in rankings.tops.items()
    }


def _pairwise(vectors: npt.NDArray[np.float32]) -> float:
    both = vectors @ vectors.T
    n = len(vectors)
    return float((both.sum() - np.trace(both)) / max(n * (n - 1), 1))


def main() -> None:
    """Print a Markdown table: a row a value."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--values", default="0,0.3,1")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hides", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    rows = read_rows()
    protocol = inner(rows, read_protocol(SHARED / "protocols" / "ranking.csv", rows), options.seed)
    settings = RankingSettings(hides=options.hides, epochs=options.epochs, members=1)
    order = LearntOnce(Ranking(options.seed, settings))

    def make(value: float) -> Any:
        def made(seed: int) -> Recommended:
            model = Recommended(seed, RecommendationSettings(diversity=value))
            model.ranking = order  # type: ignore[assignment]
            return model

        return made

    values = [float(value) for value in options.values.split(",")]
    rankings = rank(
        rows, protocol, {f"{value:g}": make(value) for value in values}, history="protocol", seed=options.seed
    )
    results = judge_rankings(rankings, protocol="inner", seed=options.seed)
    found = {(r.model, r.metric): r for r in results if r.segment == "all"}
    alike = likeness_within(rankings, rows.items)
    print(f"| diversity | {' | '.join(MEASURES)} | genre likeness within | ndcg@10 less that of {values[0]:g} |")
    print("|" + "---|" * (len(MEASURES) + 3))
    for value in values:
        name = f"{value:g}"
        cells = [f"{found[name, measure].value:.3f}" for measure in MEASURES]
        paired = found[name, "ndcg@10"].paired.get(f"{values[0]:g}")
        less = f"{paired.difference:+.3f} ({paired.ci_low:+.3f} to {paired.ci_high:+.3f})" if paired else "–"
        print(f"| {name} | {' | '.join(cells)} | {alike[name]:.3f} | {less} |")


if __name__ == "__main__":
    main()
