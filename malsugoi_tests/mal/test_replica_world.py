"""The replica's world: the same for the same seed, as awkward as the real site, with tastes that can be learnt."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from malsugoi_assets.mal.replica.world import FIRST_ANIME_ID, NOISE, PLANNED, World
from malsugoi_assets.recommend.baselines import Bias
from malsugoi_assets.recommend.items import Items, align_items
from malsugoi_assets.recommend.joint import JointNeighbourhood
from malsugoi_assets.recommend.ratings import Ratings, index_ratings


@pytest.fixture(scope="module")
def world() -> World:
    return World(0, 700, 300)


def test_the_same_seed_and_sizes_make_the_same_world() -> None:
    one, other = World(3, 80, 12), World(3, 80, 12)
    assert one.titles == other.titles
    assert one.users == other.users
    assert one.figures == other.figures
    assert one.ranking == other.ranking
    assert World(4, 80, 12).titles != one.titles


def test_users_that_come_later_are_the_same_whenever_they_come() -> None:
    at_once, in_steps, later = World(0, 60, 12), World(0, 60, 10), World(0, 60, 10)
    in_steps.add_users(1)
    in_steps.add_users(1)
    later.add_users(2)
    assert at_once.users == in_steps.users == later.users


def test_added_users_leave_the_titles_figures_as_they_were() -> None:
    world, untouched = World(0, 60, 10), World(0, 60, 10)
    world.add_users(5)
    assert world.figures == untouched.figures


@pytest.mark.parametrize("n_anime", [1, 2, 3, 17])
def test_the_smallest_worlds_stand(n_anime: int) -> None:
    world = World(0, n_anime, 2)
    assert len(world.titles) == len(world.figures) == len(world.ranking) == n_anime
    assert World(0, n_anime, 0).users == []


def test_every_kind_of_user_and_list_is_in_the_first_world(world: World) -> None:
    kinds, styles = Counter(user.kind for user in world.users), Counter(user.style for user in world.users)
    assert min(kinds[kind] for kind in ("private", "missing", "empty")) >= 5
    assert kinds["ok"] >= 240
    assert min(styles[style] for style in ("modern", "classic", "one_tab")) >= 20
    sizes = {style: [len(u.entries) for u in world.users if u.style == style and u.kind == "ok"] for style in styles}
    assert max(sizes["modern"]) > 300
    assert min(min(s) for s in sizes.values()) >= 40
    assert not any(user.entries for user in world.users if user.kind in ("missing", "empty"))
    every = [entry for user in world.users for entry in user.entries]
    assert {entry.status for entry in every} == {1, 2, 3, 4, PLANNED}
    assert not any(entry.score for entry in every if entry.status == PLANNED)
    assert 0.1 < np.mean([entry.score == 0 for entry in every]) < 0.5
    assert {entry.score for entry in every} >= set(range(2, 11))


def test_names_are_distinct_whatever_their_case_and_as_the_site_allows_them(world: World) -> None:
    names = [user.username for user in world.users]
    assert len({name.casefold() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{2,16}", name) for name in names)


def test_titles_are_as_awkward_as_the_real_ones(world: World) -> None:
    titles = [title.title for title in world.titles]
    assert len(set(titles)) == len(titles)
    for character in ",\"&∀☆'<%é;/":
        assert any(character in title for title in titles), character
    assert any(title.isdigit() for title in titles)
    assert min(title.anime_id for title in world.titles) > FIRST_ANIME_ID
    assert any(len(title.genres) > 1 for title in world.titles)
    assert any(title.themes for title in world.titles)
    assert any(title.demographics for title in world.titles)
    assert {title.status for title in world.titles} == {"Finished Airing", "Currently Airing", "Not yet aired"}
    assert any(figures.score is None for figures in world.figures)


def test_relations_lead_back_and_name_the_manga(world: World) -> None:
    back = {"Sequel": "Prequel", "Side Story": "Parent Story", "Summary": "Full Story", "Spin-Off": "Parent Story"}
    seen = Counter(relation for title in world.titles for relation, _, _ in title.relations)
    assert set(seen) == {*back, *back.values(), "Adaptation"}
    for title in world.titles:
        for relation, kind, related in title.relations:
            if relation in back:
                other = world.titles[world.index[related]]
                assert (back[relation], "anime", title.anime_id) in other.relations
            assert (kind == "manga") == (relation == "Adaptation")


def test_ranks_scores_and_members_agree_with_each_other_and_the_lists(world: World) -> None:
    figures = world.figures
    ranked = [figures[i] for i in world.ranking if figures[i].ranked]
    assert [f.ranked for f in ranked] == list(range(1, len(ranked) + 1))
    scores = [f.score for f in ranked if f.score is not None]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == len(ranked)
    by_members = sorted(figures, key=lambda f: f.popularity)
    assert [f.members for f in by_members] == sorted((f.members for f in figures), reverse=True)
    assert all((f.scored_by or 0) <= f.members for f in figures)
    rows = [entry for user in world.users if user.kind == "ok" for entry in user.entries]
    listed = Counter(entry.index for entry in rows)
    counts, members = [listed[i] for i in range(700)], [f.members for f in figures]
    assert np.corrcoef(np.argsort(np.argsort(counts)), np.argsort(np.argsort(members)))[0, 1] > 0.9
    given: dict[int, list[int]] = {}
    for entry in rows:
        if entry.score and figures[entry.index].score is not None:
            given.setdefault(entry.index, []).append(entry.score)
    often = [i for i, ratings in given.items() if len(ratings) >= 25]
    assert len(often) > 50
    # Who lists a title likes it more than all would, so its own voters' mean lies higher; the order is the same.
    shown = [figures[i].score or 0.0 for i in often]
    assert np.corrcoef([np.mean(given[i]) for i in often], shown)[0, 1] > 0.7


def test_the_knowable_error_is_that_of_the_rounded_and_clipped_normal(world: World) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        user, title = world.users[rng.integers(300)], world.titles[rng.integers(700)]
        centre = float(world.opinion(user)[title.index])
        inner = norm.cdf(np.arange(1.5, 10), centre, NOISE)
        chances = np.diff(np.concatenate([[0], inner, [1]]))
        mean = float(chances @ np.arange(1, 11))
        variance = float(chances @ (np.arange(1, 11) - mean) ** 2)
        assert world.expected(user.username.upper(), title.anime_id) == pytest.approx(mean, abs=1e-9)
        assert world.noise_variance(user.username, title.anime_id) == pytest.approx(variance, abs=1e-9)


def test_the_given_ratings_scatter_about_what_is_expected_as_said(world: World) -> None:
    errors, variances = [], []
    for user in world.users:
        for entry in user.entries:
            if entry.score:
                anime_id = world.titles[entry.index].anime_id
                errors.append(entry.score - world.expected(user.username, anime_id))
                variances.append(world.noise_variance(user.username, anime_id))
    n = len(errors)
    assert n > 15_000
    squared = np.square(errors)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / n**0.5
    assert abs(np.mean(squared) - np.mean(variances)) < 4 * np.std(squared) / n**0.5


def test_an_unknown_user_or_title_is_a_key_error(world: World) -> None:
    with pytest.raises(KeyError):
        world.expected("nobody", world.titles[0].anime_id)
    with pytest.raises(KeyError):
        world.expected(world.users[0].username, 1)


def test_lists_and_content_tell_more_than_offsets_do_but_not_more_than_can_be_known(world: World) -> None:
    ratings, items, floor = learnable(world)
    rated = ratings.rated
    hidden = np.random.default_rng(1).random(len(rated)) < 0.2
    bias = Bias().fit(rated.take(~hidden), items)
    joint = JointNeighbourhood().fit(rated.take(~hidden), items)
    target = rated.take(hidden)
    errors = {
        name: float(np.mean((model.predict(target.user, target.item) - target.rating) ** 2))
        for name, model in (("bias", bias), ("joint", joint))
    }
    knowable = float(np.mean(floor[hidden]))
    print(errors, knowable)
    assert knowable < errors["joint"] < 0.88 * errors["bias"]


def learnable(world: World) -> tuple[Ratings, Items, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """The public lists as `Ratings` with their `Items`, and the noise variance of each rated row."""
    rows = pl.DataFrame(
        [
            (user.username, world.titles[entry.index].anime_id, entry.score or None)
            for user in world.users
            if user.kind == "ok"
            for entry in user.entries
        ],
        schema=["username", "anime_id", "score"],
        orient="row",
    )
    ratings, index = index_ratings(rows)
    features = pl.DataFrame(
        [
            {
                **{
                    name: getattr(title, name)
                    for name in (
                        "anime_id", "title", "title_english", "title_japanese", "type", "episodes", "episode_minutes", "status",
                        "aired_from", "aired_to", "season", "source", "age_rating",
                    )
                },
                **{
                    name: list(getattr(title, name))
                    for name in ("synonyms", "genres", "themes", "demographics", "studios")
                },
                **vars(figures),
            }
            for title, figures in zip(world.titles, world.figures, strict=True)
        ],
        infer_schema_length=None,
    )  # fmt: skip
    relations = pl.DataFrame(
        [(title.anime_id, *relation) for title in world.titles for relation in title.relations],
        schema=["anime_id", "relation", "related_kind", "related_id"],
        orient="row",
    )
    items = align_items(index.anime_ids, features, relations)
    names, rated = index.usernames.to_list(), ratings.rated
    floor = np.array(
        [world.noise_variance(names[u], int(index.anime_ids[i])) for u, i in zip(rated.user, rated.item, strict=True)]
    )
    return ratings, items, floor
