"""The original's collaborative filtering gives the figures that it published."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.original import OriginalCf, original_similarity
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_tests.support.shared import shared_path

FEATURES = pl.DataFrame({"anime_id": [1], "title": ["A"], "synonyms": [["B"]]})
RELATIONS = pl.DataFrame(schema={"anime_id": pl.Int32, "relation": str, "related_kind": str, "related_id": pl.Int32})


def fitted(ratings: Ratings) -> OriginalCf:
    items = align_items(np.arange(ratings.n_items, dtype=np.int32), FEATURES, RELATIONS)
    return OriginalCf().fit(ratings, items)


def of(rows: list[tuple[int, int, float]], n_users: int, n_items: int) -> Ratings:
    user, item, rating = zip(*rows, strict=True) if rows else ((), (), ())
    return Ratings(np.array(user, np.int32), np.array(item, np.int32), np.array(rating, np.float32), n_users, n_items)


def test_it_reproduces_the_published_samples() -> None:
    """The later row of a (user, title) wins, titles are keyed by name: 5,915 titles of 601 users."""
    rows = pl.read_csv(shared_path("malsugoi/anime_info.csv"), infer_schema=False)
    rows = rows.unique(["username", "anime"], keep="last", maintain_order=True)
    titles, users = rows["anime"].unique().sort(), rows["username"].unique().sort()
    ratings = Ratings(
        users.search_sorted(rows["username"]).to_numpy().astype(np.int32),
        titles.search_sorted(rows["anime"]).to_numpy().astype(np.int32),
        rows["rating"].cast(pl.Float32, strict=False).fill_null(float("nan")).to_numpy(),
        len(users),
        len(titles),
    )
    assert (ratings.n_items, ratings.n_users) == (5915, 601)
    model = fitted(ratings)
    assert model._similarity is not None
    number = {title: place for place, title in enumerate(titles)}
    first = number['"Bungaku Shoujo" Kyou no Oyatsu: Hatsukoi']
    for other, published in (
        ('"Bungaku Shoujo" Memoire', 0.551202),
        ('"Bungaku Shoujo" Movie', 0.616530),
        (".hack//G.U. Returner", 0.271279),
        ("∀ Gundam", 0.166478),
    ):
        assert model._similarity[first, number[other]] == pytest.approx(published, abs=5e-7)
    asked = np.array([number["Ah My Buddha Katsu"]], dtype=np.int32)
    predicted = model.predict_for(users.to_list().index("user0002"), asked)
    assert predicted[0] == pytest.approx(7.558904144268643, abs=1e-9)


def test_similarity_is_the_cosine_of_raw_ratings() -> None:
    # (3, 4) and (4, 3): 24 / 25; the third title shares no rater.
    ratings = of([(0, 0, 3), (1, 0, 4), (0, 1, 4), (1, 1, 3), (2, 2, 9)], 3, 3)
    assert original_similarity(ratings) == pytest.approx(np.array([[1, 0.96, 0], [0.96, 1, 0], [0, 0, 1]]))


def test_a_title_without_common_raters_has_the_mean_of_all_ratings() -> None:
    ratings = of([(0, 0, 3), (1, 0, 4), (0, 1, 4), (1, 1, 3), (2, 2, 9)], 3, 4)
    model = fitted(ratings)
    asked = np.array([2, 3], dtype=np.int32)
    assert model.predict(np.zeros(2, np.int32), asked) == pytest.approx([4.6, 4.6])
    assert model.scores(np.array([0], np.int32))[0] == pytest.approx([4, 3, 4.6, 4.6])


def test_nothing_to_learn_from_predicts_the_middle() -> None:
    model = fitted(of([], 1, 2))
    assert model.predict(np.array([0], np.int32), np.array([1], np.int32)) == pytest.approx([5.5])


def test_too_large_a_catalogue_says_what_it_would_need() -> None:
    with pytest.raises(MemoryError, match="50,000 titles needs 19 GiB"):
        original_similarity(of([], 1, 50_000))
