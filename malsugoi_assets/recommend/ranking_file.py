"""The learnt order as a file: arrays and a header in safetensors (`weights`), and back.

What belongs here: names of arrays, and that they fit each other. What the arrays mean stands in `list_scores`,
`ranking_network` and `boosting`. The file holds titles only, no row of a user.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from malsugoi_assets.recommend.boosting import Trees
from malsugoi_assets.recommend.list_scores import SCORES, WEIGHTED, TitleScores
from malsugoi_assets.recommend.neighbourhood import TitleBaselines
from malsugoi_assets.recommend.ranking import LearntOrder
from malsugoi_assets.recommend.ranking_network import RankingNetwork
from malsugoi_assets.recommend.ratings import IntArray
from malsugoi_assets.recommend.series import FACTS, Series
from malsugoi_assets.recommend.similarity import Neighbours
from malsugoi_assets.recommend.weights import Tensors, WeightsError, read_weights, write_weights

KIND = "ranking"
_OF_SERIES = ("needed", "franchise", "kind")
_PLAIN = ("genres", "item_bias", "numbers")


def save_order(path: Path, order: LearntOrder, anime_ids: IntArray) -> str:
    """Write the order of the titles `anime_ids` (sorted) by rename; the file's sha256."""
    titles = order.titles
    tensors: Tensors = {"anime_ids": np.asarray(anime_ids, dtype=np.int32), **order.network.tensors()}
    tensors |= order.trees.tensors("trees.")
    tensors |= {name: getattr(titles, name) for name in _PLAIN}
    for part in ("baselines", "neighbours"):
        tensors |= {
            f"{part}.{field.name}": value
            for field in dataclasses.fields(getattr(titles, part))
            if isinstance(value := getattr(getattr(titles, part), field.name), np.ndarray)
        }
    # The file holds finite values only; a title without ratings has no mean, and says so by their number.
    tensors["baselines.mean"] = np.nan_to_num(titles.baselines.mean)
    for number, name in enumerate(WEIGHTED):
        tensors |= _sparse(f"weights.{number}", titles.weights[name])
    series = titles.series
    tensors |= _sparse("series.needs", series.needs)
    tensors |= {f"series.{name}": getattr(series, name) for name in _OF_SERIES}
    header = {
        "scores": list(SCORES),
        "facts": list(FACTS),
        "weights": list(WEIGHTED),
        "candidates": order.candidates,
        "trees_weight": order.trees_weight,
        "members": len(order.network.members),
        "mu": titles.mu,
        "global_mean": titles.baselines.global_mean,
    }
    return write_weights(path, tensors, header, kind=KIND)


def load_order(path: Path) -> tuple[LearntOrder, IntArray]:
    """The order and the titles (anime ids, sorted) that it knows. `WeightsError` in a sentence for any other file."""
    tensors, header = read_weights(path, kind=KIND)
    try:
        known = {"scores": list(SCORES), "facts": list(FACTS), "weights": list(WEIGHTED)}
        if any(header.get(name) != expected for name, expected in known.items()):
            raise WeightsError(f"{path}: was learnt by another version, on other scores; learn the ranking again")
        titles = _titles(tensors, header)
        order = LearntOrder(
            titles,
            RankingNetwork.from_tensors(tensors, int(header["members"])),
            Trees.from_tensors(tensors, "trees."),
            float(header["trees_weight"]),
            int(header["candidates"]),
        )
        columns = len(SCORES) + len(FACTS) + titles.numbers.shape[1]
        if not columns < len(order.network.mean) or any(
            len(m[0][0][0]) != len(order.network.mean) for m in order.network.members
        ):
            raise ValueError("the network sees another number of columns")
        if not ((order.trees.column >= -1) & (order.trees.column < len(order.network.mean))).all():
            raise ValueError("the trees ask for columns that there are not")
        return order, tensors["anime_ids"].astype(np.int32)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path}: its parts do not fit each other ({error}); learn the ranking again") from error


def _titles(tensors: Tensors, header: dict[str, Any]) -> TitleScores:
    n = len(tensors["anime_ids"])
    weights = {name: _matrix(tensors, f"weights.{number}", n) for number, name in enumerate(WEIGHTED)}
    baselines = TitleBaselines(
        **{name: tensors[f"baselines.{name}"] for name in ("ratings", "mean", "shrunk_mean", "bias")},
        global_mean=float(header["global_mean"]),
    )
    baselines.mean[baselines.ratings == 0] = np.nan
    neighbours = Neighbours(*(tensors[f"neighbours.{f.name}"] for f in dataclasses.fields(Neighbours)))
    titles = TitleScores(
        weights,
        tensors["genres"],
        float(header["mu"]),
        tensors["item_bias"],
        baselines,
        neighbours,
        tensors["numbers"],
        Series(_matrix(tensors, "series.needs", n), *(tensors[f"series.{name}"] for name in _OF_SERIES)),
    )
    series = titles.series
    if {n} != {
        len(a) for a in (titles.item_bias, titles.numbers, titles.genres, baselines.bias, series.needed, series.kind)
    }:
        raise ValueError("arrays over different numbers of titles")
    if len(series.franchise) != n or not ((series.franchise >= 0) & (series.franchise < n)).all():
        raise ValueError("franchises without a title")
    return titles


def _sparse(name: str, matrix: sp.csr_matrix) -> Tensors:
    """The arrays of a CSR matrix under their names in the file."""
    rows = sp.csr_matrix(matrix)
    return {
        f"{name}.data": rows.data.astype(np.float32),
        f"{name}.indices": rows.indices.astype(np.int32),
        f"{name}.indptr": rows.indptr.astype(np.int64),
    }


def _matrix(tensors: Tensors, name: str, n: int) -> sp.csr_matrix:
    """The inverse of `_sparse`, (n, n); ValueError where the arrays make no matrix."""
    data, indices, indptr = (tensors[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    matrix = sp.csr_matrix((data, indices, indptr), shape=(n, n))
    matrix.check_format(full_check=True)
    return matrix
