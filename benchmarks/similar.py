"""`malsugoi similar` beside plain cosine and popularity, judged by what people recommend to those who like a title.

    python benchmarks/similar.py DATA_DIR [DATA_DIR …] --pairs PAGES_OR_CSV [--half choose|report|all] [--fit]

The pairs: a folder of saved detail pages (`*.html.gz`), whose "Recommendations" name titles by members, or a CSV with two
columns of ids, read in both directions. The site lets nobody recommend a title's own franchise. DATA_DIR: where
`malsugoi run` has been. Titles are split in halves by the order of their ids: weights are chosen (`--fit`) on one and
reported on the other. precision@10 and recall@10, with 95 % intervals by bootstrap over titles (10,000 draws, seed 0).
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.optimize import minimize

from malsugoi_assets.mal import PageError, parse_anime_page
from malsugoi_assets.recommend.similar import SimilarTitles
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_assets.web.published import Published

LINK = re.compile(r"/recommendations/anime/(\d+)-(\d+)")
FEW = 10
Floats = npt.NDArray[np.float64]
Related = dict[int, set[int]]
Answer = Callable[[int], list[int]]


def pairs_of_pages(folder: Path) -> Related:
    """What each page's title is recommended with."""
    found: Related = {}
    for path in sorted(folder.glob("*.html.gz")):
        body = gzip.decompress(path.read_bytes())
        try:
            own = parse_anime_page(body).anime_id
        except PageError:
            continue
        ends = {(int(a), int(b)) for a, b in LINK.findall(body.decode("utf-8", "replace"))}
        others = {a if b == own else b for a, b in ends if own in (a, b)}
        if others:
            found.setdefault(own, set()).update(others)
    return found


def pairs_of_csv(path: Path) -> Related:
    """Both directions of each row's first two columns."""
    found: Related = defaultdict(set)
    with path.open(newline="") as file:
        for row in csv.reader(file):
            if row[0].strip().isdigit() and row[1].strip().isdigit():
                a, b = int(row[0]), int(row[1])
                found[a].add(b)
                found[b].add(a)
    return dict(found)


class World:
    """One data dir: our answers, and those of the others over the same titles."""

    def __init__(self, root: Path) -> None:
        state = Published(root / "malsugoi.duckdb")
        features = state.table("anime_features", TABLES["anime_features"].column_names).sort("anime_id")
        relations = state.table("anime_relations", TABLES["anime_relations"].column_names)
        known = state.table("title_baselines", ("anime_id", "ratings", "listing"))
        self.ours = SimilarTitles(features, relations, known)
        self.ids = self.ours.ids
        ratings = state.table("rating_matrix", ("username", "anime_id", "rating"))
        ratings = ratings.join(features.select("anime_id"), on="anime_id")  # an imported list may hold newer ones
        _, user = np.unique(ratings["username"].to_numpy().astype(str), return_inverse=True)
        item = np.searchsorted(self.ids, ratings["anime_id"].to_numpy())
        rating = ratings["rating"].to_numpy().astype(np.float32)
        matrix = sp.csc_matrix((rating, (user, item)), shape=(user.max() + 1, len(self.ids)))
        self.raters = np.diff(matrix.indptr)
        length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0))).ravel()
        self._unit = sp.csc_matrix(matrix @ sp.diags(1 / np.maximum(length, 1e-9)))
        self._members = features["members"].fill_null(0).to_numpy().astype(np.float64)
        self._franchise = np.array([self.ours.franchises.franchise(int(i)) for i in self.ids])

    def place(self, anime_id: int) -> int | None:
        """Where the catalogue has the title."""
        place = int(np.searchsorted(self.ids, anime_id))
        return place if place < len(self.ids) and self.ids[place] == anime_id else None

    def answers(self) -> dict[str, Answer]:
        """Ten titles for a title, by each way."""
        return {
            "similar": lambda i: [other.anime_id for other in self.ours.like(i, 10)],
            "cosine": lambda i: self._top(self._cosine(i), np.ones(len(self.ids), np.bool_), i, one=False),
            "cosine, one of each other franchise": lambda i: self._top(self._cosine(i), self.ours.candidates(i), i),
            "popularity, one of each other franchise": lambda i: self._top(self._members, self.ours.candidates(i), i),
        }

    def _cosine(self, anime_id: int) -> Floats:
        column = self._unit[:, [self.place(anime_id)]]
        return np.asarray((self._unit.T @ column).todense(), dtype=np.float64).ravel()

    def _top(self, score: Floats, allowed: npt.NDArray[np.bool_], own: int, *, one: bool = True) -> list[int]:
        found: list[int] = []
        met: set[int] = set()
        for place in np.argsort(-np.where(allowed, score, -np.inf), kind="stable"):
            if self.ids[place] == own or (one and self._franchise[place] in met):
                continue
            if len(found) == 10 or not allowed[place]:
                break
            met.add(int(self._franchise[place]))
            found.append(int(self.ids[place]))
        return found


def interval(values: Floats, seed: int = 0) -> tuple[float, float, float]:
    """The mean and its 95 % interval by bootstrap."""
    draws = np.random.default_rng(seed).integers(0, len(values), (10_000, len(values)))
    means = values[draws].mean(axis=1)
    return float(values.mean()), float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def report(world: World, related: Related, titles: list[int]) -> None:
    """Print each way's figures, and the difference to the first cosine and the second."""
    hits = {
        name: np.array([len(set(answer(i)) & related[i]) for i in titles], dtype=np.float64)
        for name, answer in world.answers().items()
    }
    few = np.array([world.raters[world.place(i)] < FEW for i in titles])
    sizes = np.array([len(related[i]) for i in titles], dtype=np.float64)
    for segment, rows in (("all", few | ~few), (f"fewer than {FEW} raters", few), (f"{FEW} raters or more", ~few)):
        if not rows.any():
            continue
        print(f"  {segment}: {rows.sum()} titles")
        for name, found in hits.items():
            precision, recall = interval(found[rows] / 10), interval(found[rows] / sizes[rows])
            print(
                f"    {name:42}  precision@10 {precision[0]:.3f} ({precision[1]:.3f} to {precision[2]:.3f})"
                f"  recall@10 {recall[0]:.3f} ({recall[1]:.3f} to {recall[2]:.3f})"
            )
        for name in [n for n in hits if n != "similar"]:
            gain, low, high = interval((hits["similar"] - hits[name])[rows] / 10)
            print(f"    similar less {name:29}  precision@10 {gain:+.3f} ({low:+.3f} to {high:+.3f})")


def fit(worlds: list[World], related: Related, titles: list[int]) -> dict[str, float]:
    """Weights under which, title by title, the recommended ones are most likely drawn: a softmax over all candidates."""
    names = ("listing", "words", "members", "type", "age")
    cases = []
    for world in worlds:
        for i in titles:
            if world.place(i) is None:
                continue
            allowed = world.ours.candidates(i)
            parts = world.ours.parts(i)
            inputs = np.stack([np.maximum(parts[name][allowed], 0) for name in names], axis=1).astype(np.float64)
            chosen = np.isin(world.ids[allowed], list(related[i]))
            if chosen.any():
                cases.append((inputs, chosen))

    def loss(weights: Floats) -> tuple[float, Floats]:
        value, slope = 1e-3 * float(weights @ weights), 2e-3 * weights
        for inputs, chosen in cases:
            score = inputs @ weights
            share = np.exp(score - score.max())
            share /= share.sum()
            value -= float(np.log(share[chosen]).mean()) / len(cases)
            slope = slope - (inputs[chosen].mean(axis=0) - share @ inputs) / len(cases)
        return value, slope

    found = minimize(loss, np.zeros(len(names)), jac=True, method="L-BFGS-B")
    return dict(zip(names, found.x.round(2).tolist(), strict=True))


@click.command()
@click.argument("roots", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--pairs", required=True, type=click.Path(path_type=Path, exists=True), help="Pages or a CSV.")
@click.option("--half", type=click.Choice(["choose", "report", "all"]), default="report", show_default=True)
@click.option("--fit", "fitted", is_flag=True, help="Print the weights that the half calls for.")
def main(roots: tuple[Path, ...], pairs: Path, half: str, fitted: bool) -> None:
    """Print the figures of each data dir."""
    related = pairs_of_pages(pairs) if pairs.is_dir() else pairs_of_csv(pairs)
    if not related:
        raise click.ClickException(f"{pairs} holds no page with recommendations (*.html.gz), or no row of two ids")
    start, step = {"choose": (0, 2), "report": (1, 2), "all": (0, 1)}[half]
    titles = sorted(related)[start::step]
    worlds = [World(root) for root in roots]
    for root, world in zip(roots, worlds, strict=True):
        there = [i for i in titles if world.place(i) is not None]
        print(f"{root}: {len(there)} titles of the half “{half}”")
        if there:
            report(world, related, there)
        else:
            print(f"  none of the {len(titles)} titles that somebody recommended is in this catalogue")
    if fitted and any(world.place(i) is not None for world in worlds for i in titles):
        print(fit(worlds, related, titles))


if __name__ == "__main__":
    main()
