"""Inputs tell what the rest of a list says about a title, and never the answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.recommend.content import NUMBERS, encode, learn_code
from malsugoi_assets.recommend.devices import compute_threads
from malsugoi_assets.recommend.dnn import assign_folds, out_of_fold_inputs
from malsugoi_assets.recommend.dnn_settings import DnnSettings
from malsugoi_assets.recommend.features import Catalogue, Inputs, column_names, pair_inputs
from malsugoi_assets.recommend.item_state import learn_item_state
from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.likeness import learn_likeness, prefix_kernel, relation_kernel
from malsugoi_assets.recommend.name_kernel import title_kernel
from malsugoi_assets.recommend.near_titles import COLUMNS as NEAR
from malsugoi_assets.recommend.ratings import Ratings
from malsugoi_tests.recommend.deep_world import small_items, small_ratings, without_features

SETTINGS = DnnSettings(folds=4, embedding_size=8)


def catalogue_of(ratings: Ratings, items: Items) -> Catalogue:
    content = encode(items, learn_code(items))
    state = learn_item_state(ratings, content.matrix, embedding_size=8, seed=0)
    return Catalogue(state, content, learn_likeness(items))


def out_of_fold(ratings: Ratings, items: Items, settings: DnnSettings) -> tuple[np.ndarray, Inputs]:
    # As `training_rows`: else the fold that ends first gives BLAS its threads back, and the others round otherwise.
    with compute_threads(1), ThreadPoolExecutor(2) as pool:
        return out_of_fold_inputs(
            ratings, encode(items, learn_code(items)), learn_likeness(items), settings, seed=0, pool=pool
        )


each_process = pytest.mark.parametrize(
    "settings", [SETTINGS, SETTINGS.model_copy(update={"most_joint": 0})], ids=["over all users", "over each list"]
)


@pytest.fixture(scope="module")
def items() -> Items:
    return small_items()


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return small_ratings()


@pytest.fixture(scope="module")
def catalogue(ratings: Ratings, items: Items) -> Catalogue:
    return catalogue_of(ratings, items)


def test_the_columns_are_named_one_by_one_and_never_twice(catalogue: Catalogue, items: Items) -> None:
    names = column_names(learn_code(items).columns)
    inputs = pair_inputs(catalogue, small_ratings(), np.array([0], np.int32), np.array([0], np.int32), 100)
    assert inputs.matrix.shape == (1, len(names))
    assert len(set(names)) == len(names)


@each_process
def test_an_own_rating_does_not_enter_its_own_training_inputs(
    ratings: Ratings, items: Items, settings: DnnSettings
) -> None:
    """The published leave-one-out history carried it; here changing one rating must leave its row as it was."""
    rows, before = out_of_fold(ratings, items, settings)
    for position in (0, 100, 250):
        changed = ratings.rating.copy()
        changed[rows[position]] = 1 if changed[rows[position]] > 5 else 10
        other = Ratings(ratings.user, ratings.item, changed, ratings.n_users, ratings.n_items)
        _, after = out_of_fold(other, items, settings)
        np.testing.assert_array_equal(before.matrix[position], after.matrix[position])
        np.testing.assert_array_equal(before.near[position], after.near[position])
        assert before.base[position] == after.base[position]
        assert not np.array_equal(before.matrix, after.matrix)


@each_process
def test_a_whole_folds_ratings_say_nothing_about_that_fold(
    ratings: Ratings, items: Items, settings: DnnSettings
) -> None:
    rows, before = out_of_fold(ratings, items, settings)
    fold = assign_folds(ratings.user[rows], SETTINGS.folds, seed=0)
    changed = ratings.rating.copy()
    changed[rows[fold == 1]] = np.random.default_rng(1).integers(1, 11, int((fold == 1).sum()))
    other = Ratings(ratings.user, ratings.item, changed, ratings.n_users, ratings.n_items)
    _, after = out_of_fold(other, items, settings)
    np.testing.assert_array_equal(before.matrix[fold == 1], after.matrix[fold == 1])
    np.testing.assert_array_equal(before.near[fold == 1], after.near[fold == 1])
    assert not np.array_equal(before.near, after.near)


def test_a_row_of_the_pair_itself_is_not_used(catalogue: Catalogue, ratings: Ratings) -> None:
    """Asking about a title on the list must give what asking without that row gives, rated or only listed."""
    for row in (int(np.flatnonzero(ratings.is_rated)[7]), int(np.flatnonzero(~ratings.is_rated)[3])):
        pair = ratings.user[row : row + 1], ratings.item[row : row + 1]
        without = ratings.take(np.arange(len(ratings)) != row)
        inside, outside = (pair_inputs(catalogue, history, *pair, 100, near=3) for history in (ratings, without))
        np.testing.assert_allclose(inside.matrix, outside.matrix, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(inside.near, outside.near, rtol=1e-3, atol=1e-3)


def test_neither_the_order_of_the_rows_nor_the_other_pairs_matter(catalogue: Catalogue, ratings: Ratings) -> None:
    user, item = np.array([3, 5, 3, 8], np.int32), np.array([1, 2, 30, 4], np.int32)
    shuffled = ratings.take(np.random.default_rng(0).permutation(len(ratings)))
    ordered, other = (pair_inputs(catalogue, lists, user, item, 100, near=3) for lists in (ratings, shuffled))
    together = ordered.matrix
    np.testing.assert_array_equal(together, other.matrix)
    np.testing.assert_array_equal(ordered.near, other.near)
    for pair in range(4):
        alone = pair_inputs(catalogue, ratings, user[pair : pair + 1], item[pair : pair + 1], 100).matrix
        np.testing.assert_allclose(together[pair], alone[0], rtol=1e-4, atol=1e-5)


def test_the_titles_looked_at_are_the_nearest_with_what_was_thought_of_them(catalogue: Catalogue) -> None:
    """Titles 0, 6, 12 … are one series: asked about title 12, the list's titles of it come first."""
    history = Ratings(
        np.zeros(4, np.int32), np.array([0, 6, 1, 7], np.int32), np.array([10, 9, 3, 3], np.float32), 1, 36
    )
    near = pair_inputs(catalogue, history, np.zeros(1, np.int32), np.array([12], np.int32), 100, near=6).near[0]
    kernel, residual, there = (near[:, NEAR.index(name)] for name in ("kernel", "residual", "there"))
    assert there.tolist() == [1, 1, 1, 1, 0, 0]
    assert (np.diff(kernel[:4]) <= 0).all()
    assert (residual[:2] > 0).all()
    assert (residual[2:4] < 0).all()


def test_a_liked_series_lifts_its_other_titles(catalogue: Catalogue) -> None:
    """User 0 gave the first series 10 and the second 3: their sequels must follow."""
    history = Ratings(
        np.zeros(4, np.int32), np.array([0, 6, 1, 7], np.int32), np.array([10, 10, 3, 3], np.float32), 1, 36
    )
    base = pair_inputs(catalogue, history, np.zeros(2, np.int32), np.array([12, 13], np.int32), 100).base
    assert base[0] > base[1] + 1


@pytest.mark.parametrize(
    "rows",
    [[], [(0, 5.0)], [(0, np.nan)], [(0, np.nan), (3, np.nan), (9, np.nan)], [(n, 10.0) for n in range(36)]],
    ids=["nothing", "one rating", "one unrated row", "only unrated rows", "every title the same"],
)
def test_every_history_gives_finite_inputs(catalogue: Catalogue, rows: list[tuple[int, float]]) -> None:
    history = Ratings(
        np.zeros(len(rows), np.int32),
        np.array([item for item, _ in rows], dtype=np.int32),
        np.array([rating for _, rating in rows], dtype=np.float32),
        1,
        36,
    )
    inputs = pair_inputs(catalogue, history, np.zeros(36, np.int32), np.arange(36, dtype=np.int32), 100, near=3)
    assert np.isfinite(inputs.matrix).all()
    assert np.isfinite(inputs.near).all()
    assert np.isfinite(inputs.base).all()
    assert (inputs.scale > 0).all()


def test_a_title_of_which_nothing_is_known_gets_zeros_and_flags_not_guesses(ratings: Ratings) -> None:
    items = without_features(small_items(), 4)
    content = encode(items, learn_code(items))
    assert not content.numbers[4].any()
    assert not content.known[4].any()
    assert (content.classes[4] == -1).all()
    inputs = pair_inputs(catalogue_of(ratings, items), ratings, np.array([0], np.int32), np.array([4], np.int32), 9)
    assert np.isfinite(inputs.matrix).all()


def test_a_catalogue_without_any_known_column_still_has_a_code() -> None:
    bare = Items(
        np.arange(3, dtype=np.int32),
        pl.DataFrame({"anime_id": [0, 1, 2]}),
        [[], [], []],
        small_items().relations.head(0),
    )
    content = encode(bare, learn_code(bare))
    assert content.numbers.shape == (3, len(NUMBERS))
    assert np.isfinite(content.matrix).all()
    assert learn_likeness(bare).titles.shape == (3, 3)


def test_folds_split_every_users_rows_evenly_whatever_the_seed() -> None:
    user = np.repeat(np.arange(5, dtype=np.int32), [1, 2, 7, 16, 40])
    for seed in range(3):
        fold = assign_folds(user, 8, seed)
        for number in range(5):
            counts = np.bincount(fold[user == number], minlength=8)
            assert counts.max() - counts.min() <= 1


def test_names_that_share_a_series_are_alike_and_bare_season_words_are_not() -> None:
    names = [
        ["Copper Tide"],
        ["Copper Tide 2nd Season"],
        ["Copper Moon"],
        ["The Movie"],
        ["Season Movie"],
        ["蒸気の街"],
    ]
    prefix = prefix_kernel(names).toarray()
    assert prefix[0, 1] == 1
    assert prefix[0, 2] == pytest.approx(0.4)
    assert prefix[3, 4] == 0
    np.testing.assert_array_equal(prefix, prefix.T)
    titles = title_kernel(names).toarray()
    assert titles[0, 1] > titles[0, 2] > titles[0, 5] == 0
    np.testing.assert_allclose(titles.diagonal(), 1, rtol=1e-6)


def test_likeness_along_relations_is_the_best_product_of_a_path() -> None:
    """1 -sequel- 2 -side story- 3 through to 5; 4 shares only a manga with 1."""
    edges = [
        (1, "Sequel", "anime", 2),
        (2, "Side story", "anime", 3),
        (3, "Character", "anime", 5),
        (1, "Adaptation", "manga", 2),
        (4, "Adaptation", "manga", 2),
        (6, "Character", "anime", 1),
    ]
    relations = pl.DataFrame(edges, schema=["anime_id", "relation", "related_kind", "related_id"], orient="row")
    kernel = relation_kernel(np.array([1, 2, 3, 4, 5, 6, 1], dtype=np.int32), relations).toarray()
    assert kernel[0, 1] == pytest.approx(1)
    assert kernel[0, 2] == pytest.approx(1 * 0.8 * 0.85)
    assert kernel[0, 3] == pytest.approx(0.8 * 0.8 * 0.85)
    assert kernel[0, 4] == 0
    assert kernel[5, 0] == pytest.approx(0.15)
    assert kernel[0, 6] == 1
    np.testing.assert_array_equal(kernel, kernel.T)


def test_a_title_effect_rests_on_content_where_few_have_rated() -> None:
    """One rating of 10 for a title with the site's lowest score lifts it a little, not to 10."""
    items = small_items()
    score = items.features["score"].to_numpy()
    everyone = np.argwhere(np.ones((20, 36), dtype=bool)).astype(np.int32)
    lowest = int(score.argmin())
    kept = everyone[(everyone[:, 1] != lowest) | (everyone[:, 0] == 0)]
    rating = np.where(kept[:, 1] == lowest, 10, score[kept[:, 1]]).astype(np.float32)
    state = catalogue_of(Ratings(kept[:, 0], kept[:, 1], rating, 20, 36), items).state
    others = np.delete(np.arange(36), lowest)
    assert np.corrcoef(state.effect[others], score[others])[0, 1] > 0.99
    assert state.content_effect[lowest] < state.effect[lowest] < np.median(state.effect)


def test_without_relations_a_title_is_like_itself_and_what_means_the_same() -> None:
    nothing = pl.DataFrame(
        schema={"anime_id": pl.Int32, "relation": pl.String, "related_kind": pl.String, "related_id": pl.Int32}
    )
    kernel = relation_kernel(np.array([7, -3, 7], dtype=np.int32), nothing).toarray()
    assert kernel.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
