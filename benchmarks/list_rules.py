"""What the rules of the list cost, rule by rule, and the best that any order could do under them.

    python benchmarks/list_rules.py [--seeds 0,1] [--hides 1] [--members 1] [--epochs 8]

The rows of `protocols/ranking.csv` that it does not hide, a fifth of each user's ratings hidden anew; what it does hide
exists for nobody here. Complete lists. The order is learnt once a seed, and its scores are turned into probabilities of being
liked by a logistic regression on the other seed's split (score, log-sum-exp of the list's scores, length of the list).
`expected` is the nDCG@10 that these probabilities promise to the best ten titles there can be: of all, of those that the rules
allow. If the probabilities are right, no order does better. Needs the shared data, as `accuracy.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl
from accuracy import SHARED, read_rows
from diversity import inner

from malsugoi_assets.evaluation import metrics
from malsugoi_assets.evaluation.data import EvaluationRows
from malsugoi_assets.evaluation.intervals import resampled_totals
from malsugoi_assets.evaluation.protocols import learn_from, read_protocol
from malsugoi_assets.recommend.choosing import Catalogue
from malsugoi_assets.recommend.people import Person, people
from malsugoi_assets.recommend.ranking import Ranking, RankingSettings
from malsugoi_assets.recommend.ratings import FloatArray
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender, chosen_titles

Numbers = npt.NDArray[np.float64]
TEN = 1 / np.log2(np.arange(10) + 2)
LEAST = -99.0
"""Below it the order puts what is no candidate."""


@dataclass(frozen=True)
class Split:
    """Complete lists: people and what the order says of all titles, float32 (users, titles); what was hidden and liked."""

    owners: list[Person]
    scores: FloatArray
    liked: list[set[int]]
    titles: Catalogue

    def lists(self, titles: Catalogue, settings: RecommendationSettings) -> list[list[int]]:
        """The places of everybody's list by the rules."""
        return [
            [choice.place for choice in chosen_titles(owner, own, titles, settings)]
            for owner, own in zip(self.owners, self.scores, strict=True)
        ]

    def ndcg(self, lists: list[list[int]]) -> Numbers:
        """Of each user's first ten."""
        at = metrics.RANKINGS.index("ndcg@10")
        return np.array(
            [
                metrics.ranking_metrics(np.isin(places[:20], list(liked)), len(liked))[at]
                for places, liked in zip(lists, self.liked, strict=True)
            ]
        )


def learn(rows: EvaluationRows, seed: int, settings: RankingSettings) -> Split:
    """Hide, learn the order from the rest, and score."""
    outer = read_protocol(SHARED / "protocols" / "ranking.csv", rows)
    (fold,) = inner(rows, outer, seed).folds
    ratings, items = learn_from(rows, fold, "protocol"), rows.items
    model = Ranking(seed, settings).fit(ratings, items)
    features = items.features.with_columns(pl.Series("anime_id", items.anime_id)).unique("anime_id", keep="first")
    lists = pl.DataFrame(
        {
            "username": pl.Series(ratings.user).cast(pl.String),
            "anime_id": items.anime_id[ratings.item],
            "title": pl.Series([None] * len(ratings), dtype=pl.String),
            "score": pl.Series(ratings.rating, nan_to_null=True),
            "status": pl.Series([None] * len(ratings), dtype=pl.String),
        }
    )
    nothing = pl.DataFrame(schema={"anime_id": pl.Int32, "neighbour_id": pl.Int32, "weight": pl.Float32})
    recommender = Recommender(nothing, features, items.relations, lists.group_by("anime_id").len("lists"))
    titles = recommender.titles(RecommendationSettings())
    place = np.searchsorted(titles.ids, items.anime_id)
    known = {int(p.username): p for p in people(lists, titles.franchises, RecommendationSettings())}
    hidden = fold.targets[rows.rating[fold.targets] >= metrics.RELEVANT]
    complete = set(rows.user[outer.marks["complete-lists"]].tolist())
    users = np.array(sorted(set(rows.user[hidden].tolist()) & complete & known.keys()), dtype=np.int32)
    raw = model.scores(users)
    scores = np.full((len(users), len(titles.ids)), raw.min(), dtype=np.float32)
    for row, own in enumerate(raw):
        np.maximum.at(scores[row], place, own)
    liked = [set(place[rows.item[hidden[rows.user[hidden] == user]]].tolist()) for user in users.tolist()]
    return Split([known[user] for user in users.tolist()], scores, liked, titles)


def probabilities(split: Split, other: Split) -> Numbers:
    """How likely each title is to be hidden and liked, float64 (users, titles); 0 for what is no candidate."""
    weights, mean, spread = _logistic(*_cases(other))
    inputs, _ = _cases(split)
    found = np.zeros(split.scores.shape)
    found[split.scores > LEAST] = 1 / (
        1 + np.exp(-np.column_stack([(inputs - mean) / spread, np.ones(len(inputs))]) @ weights)
    )
    return found


def _cases(split: Split) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    there = split.scores > LEAST
    usual = [np.log(np.exp(own[own > LEAST].astype(np.float64)).sum()) for own in split.scores]
    length = [np.log1p(len(owner.listed)) for owner in split.owners]
    row = np.nonzero(there)[0]
    hit = np.zeros(there.shape, dtype=np.bool_)
    for at, liked in enumerate(split.liked):
        hit[at, list(liked)] = True
    return np.column_stack([split.scores[there], np.array(usual)[row], np.array(length)[row]]), hit[there]


def _logistic(inputs: Numbers, hit: npt.NDArray[np.bool_]) -> tuple[Numbers, Numbers, Numbers]:
    """Newton's steps; weights with the constant last, and the columns' mean and spread."""
    mean, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    x = np.column_stack([(inputs - mean) / spread, np.ones(len(inputs))])
    weights = np.zeros(x.shape[1])
    weights[-1] = -4.0
    for _ in range(25):
        likely = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (hit - likely) - 1e-3 * weights
        bend = (x * (likely * (1 - likely))[:, None]).T @ x + 1e-3 * np.eye(len(weights))
        weights = weights + np.linalg.solve(bend, slope)
    return weights, mean, spread


def promised(split: Split, likely: Numbers, lists: list[list[int]]) -> Numbers:
    """The nDCG@10 that the probabilities promise to lists."""
    return np.array(
        [
            (own[places[:10]] * TEN[: len(places[:10])]).sum() / TEN[: len(liked)].sum()
            for own, places, liked in zip(likely, lists, split.liked, strict=True)
        ]
    )


def best(split: Split, likely: Numbers, may: Callable[[Person, int], bool]) -> list[list[int]]:
    """The likeliest titles off the list that may stand there."""
    found = []
    for owner, own in zip(split.owners, likely, strict=True):
        listed = set(owner.listed)
        order = np.argsort(-own, kind="stable")[:400].tolist()
        found.append([p for p in order if int(split.titles.ids[p]) not in listed and may(owner, p)][:20])
    return found


def under_the_rules(split: Split, likely: Numbers) -> list[list[int]]:
    """The likeliest titles that the default rules allow, one a franchise."""
    franchises, ids = split.titles.franchises, split.titles.ids

    def may(owner: Person, place: int) -> bool:
        title = int(ids[place])
        group = franchises.franchise(title)
        return bool(
            not franchises.missing(title, owner.seen, owner.passed)
            and split.titles.allowed.always[place]
            and group not in owner.shunned
        )

    short = []
    for places in best(split, likely, may):
        first: dict[int, int] = {}
        for place in places:
            first.setdefault(franchises.franchise(int(ids[place])), place)
        short.append(list(first.values()))
    return short


def main() -> None:
    """Print a Markdown table, the mean of the seeds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", default="0,1")
    for name, default in (("--hides", 1), ("--members", 1), ("--epochs", 8)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    rows = read_rows()
    settings = RankingSettings(hides=options.hides, members=options.members, epochs=options.epochs)
    splits = [learn(rows, seed, settings) for seed in map(int, options.seeds.split(","))]
    usual, many = RecommendationSettings(), RecommendationSettings(per_franchise=99)
    table: dict[str, list[Numbers]] = {}
    for at, split in enumerate(splits):
        free = replace(split.titles, franchises=replace(split.titles.franchises, needs={}))
        likely = probabilities(split, splits[at - 1])
        alone, allowed = best(split, split.scores.astype(np.float64), _anything), under_the_rules(split, likely)
        measured = {
            "the order alone": alone,
            "all rules": split.lists(split.titles, usual),
            "… without that of prequels": split.lists(free, usual),
            "… any number a franchise": split.lists(split.titles, many),
            "… without both": split.lists(free, many),
            "… with `release_order`": split.lists(
                replace(split.titles, franchises=split.titles.franchises.in_release_order()), usual
            ),
        }
        for name, lists in measured.items():
            table.setdefault(name, []).append(split.ndcg(lists))
        table.setdefault("expected: the likeliest of all", []).append(
            promised(split, likely, best(split, likely, _anything))
        )
        table.setdefault("expected: the likeliest that the rules allow", []).append(promised(split, likely, allowed))
    print("| | nDCG@10 | less the first of its kind (95 %) |\n|---|---|---|")
    for name, values in table.items():
        first = table["expected: the likeliest of all" if name.startswith("expected") else "the order alone"]
        gain = np.concatenate(values) - np.concatenate(first)
        draws = resampled_totals(np.column_stack([np.ones(len(gain)), gain]), 0)
        low, high = np.quantile(draws[:, 1] / draws[:, 0], [0.025, 0.975])
        print(f"| {name} | {np.concatenate(values).mean():.3f} | {gain.mean():+.3f} ({low:+.3f} to {high:+.3f}) |")


def _anything(_owner: Person, _place: int) -> bool:
    return True


if __name__ == "__main__":
    main()
