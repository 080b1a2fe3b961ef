"""The map puts together what belongs together, and is the same for the same weights."""

from __future__ import annotations

import numpy as np
import pytest

from malsugoi_assets.recommend.catalogue_map import CatalogueMap, draw_map
from malsugoi_assets.recommend.ratings import FloatArray, IntArray


def clusters(per_cluster: int = 12, n_clusters: int = 3) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """Titles of a cluster speak strongly for each other, neighbours of a ring of clusters faintly."""
    n = per_cluster * n_clusters
    row, column = np.divmod(np.arange(n * n), n)
    same = row // per_cluster == column // per_cluster
    weight = np.where(same, 0.5, 0.01).astype(np.float32)
    titles = (np.arange(n, dtype=np.int32) * 3) + 7
    kept = row != column
    return titles[row[kept]], titles[column[kept]], weight[kept], titles


def drawn(*arrays: object) -> CatalogueMap:
    return draw_map(*arrays)  # type: ignore[arg-type]


def test_clusters_lie_apart() -> None:
    found = drawn(*clusters())
    cluster = np.arange(len(found.anime_id)) // 12
    centres = np.array([found.place[cluster == c].mean(axis=0) for c in range(3)])
    inside = max(np.linalg.norm(found.place[cluster == c] - centres[c], axis=1).mean() for c in range(3))
    between = min(np.linalg.norm(centres[a] - centres[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert between > inside


def test_both_axes_are_filled_evenly() -> None:
    place = drawn(*clusters()).place
    for axis in place.T:
        np.testing.assert_allclose(np.sort(axis), (np.arange(36) + 0.5) / 36, atol=1e-6)


def test_the_same_weights_in_any_order_give_the_same_map() -> None:
    anime_id, neighbour_id, weight, titles = clusters()
    order = np.random.default_rng(1).permutation(len(weight))
    one, other = (
        drawn(anime_id, neighbour_id, weight, titles),
        drawn(anime_id[order], neighbour_id[order], weight[order], titles),
    )
    np.testing.assert_array_equal(one.anime_id, other.anime_id)
    np.testing.assert_allclose(one.place, other.place, atol=0.5)


def test_titles_without_ties_have_no_place_and_negative_weights_are_none() -> None:
    anime_id, neighbour_id, weight, titles = clusters()
    alone = np.append(titles, np.int32(1000))
    more = (np.append(anime_id, 1000), np.append(neighbour_id, 7), np.append(weight, np.float32(-1)))
    assert 1000 not in drawn(*more, alone).anime_id
    assert (
        9999
        not in drawn(np.append(anime_id, 9999), np.append(neighbour_id, 7), np.append(weight, 1), titles).anime_id
    )


@pytest.mark.parametrize("n", [0, 1, 7])
def test_too_few_titles_give_no_map(n: int) -> None:
    anime_id, neighbour_id, weight, titles = clusters(max(n, 1), 1)
    found = drawn(anime_id, neighbour_id, weight, titles[:n])
    assert len(found.anime_id) == len(found.place) == 0
