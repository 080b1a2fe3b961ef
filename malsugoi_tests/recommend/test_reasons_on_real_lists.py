"""On real lists: a thousand reasons drawn at random are true, and no list holds what a fan would laugh at."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from malsugoi_assets.files.catalogue import catalogue_table, features_of, read_relations
from malsugoi_assets.files.titles import crosswalks
from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.people import counting
from malsugoi_assets.recommend.ranking import RankingSettings, learn_order
from malsugoi_assets.recommend.ratings import index_ratings
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_tests.support.shared import shared_path

USERS, TITLES, REASONS = 120, 1_500, 1_000
Made = tuple[Recommender, pl.DataFrame, pl.DataFrame, pl.DataFrame]


@pytest.fixture(scope="module")
def made() -> Made:
    """The recommender, the lists of some users over the most rated titles, their recommendations, the relations."""
    folder = shared_path("mal_2020")
    ratings = pl.read_parquet(folder / "ratings.parquet")
    known = ratings.group_by("anime_id").len().sort("len", "anime_id", descending=True).head(TITLES)["anime_id"]
    users = ratings.select(pl.col("user_id").unique().sort()).head(USERS)["user_id"]
    lists = ratings.filter(
        pl.col("anime_id").is_in(known.implode()) & pl.col("user_id").is_in(users.implode())
    ).select(
        username=pl.col("user_id").cast(pl.String),
        anime_id=pl.col("anime_id").cast(pl.Int32),
        title=pl.lit(None, dtype=pl.String),
        score=pl.when(pl.col("score") > 0).then(pl.col("score")).cast(pl.Int8),
        status=pl.lit(None, dtype=pl.String),
    )
    _, for_catalogue = crosswalks([folder])
    features = features_of(catalogue_table(folder / "anime.parquet"), for_catalogue)[0].sort("anime_id")
    relations, _ = read_relations(folder / "relations.parquet")
    learnt, index = index_ratings(lists)
    items = align_items(index.anime_ids, features, relations)
    order = learn_order(learnt, items, RankingSettings(hides=1, epochs=3, members=1))
    nothing = pl.DataFrame(schema={"anime_id": pl.Int32, "neighbour_id": pl.Int32, "weight": pl.Float32})
    listed = lists.group_by("anime_id").len("lists")
    recommender = Recommender(nothing, features, relations, listed, (order, index.anime_ids))
    return recommender, lists, recommender.recommend(lists, lambda p: pl.Series([7.0] * p.height)), relations


def test_a_thousand_random_reasons_lower_the_raw_score_when_their_entry_is_taken_away(made: Made) -> None:
    recommender, lists, rows, _ = made
    reasons = rows.explode("because").drop_nulls("because").unnest("because", separator=".")
    drawn = reasons.sample(min(REASONS, reasons.height), seed=7)
    of_user = dict(iter(lists.partition_by("username", as_dict=True).items()))
    parts = [
        of_user[(row["username"],)]
        .filter(pl.col("anime_id") != row["because.anime_id"])
        .with_columns(username=pl.lit(f"{number:04}"))
        for number, row in enumerate(drawn.iter_rows(named=True))
    ]
    scorer = recommender.ranker.over(counting(pl.concat(parts), RecommendationSettings()))
    after = np.array(
        [
            scorer.scores([f"{number:04}"])[0, np.searchsorted(recommender.ids, anime_id)]
            for number, anime_id in enumerate(drawn["anime_id"])
        ]
    )
    lower = drawn["score"].to_numpy() - after
    assert len(drawn) == REASONS
    assert (lower > 0).all()
    np.testing.assert_allclose(lower, drawn["because.weight"].to_numpy(), atol=1e-2)


def test_of_long_lists_the_weightiest_entry_is_named_for_nearly_every_title(made: Made) -> None:
    """A few entries are tried for all titles of a list together; asked about alone, a title has many more tried."""
    recommender, lists, rows, _ = made
    scorer, same, titles = recommender.ranker.over(counting(lists, RecommendationSettings())), 0, 0
    for name in lists.group_by("username").len().sort("len", "username", descending=True).head(8)["username"]:
        places = np.searchsorted(recommender.ids, rows.filter(username=name)["anime_id"].to_numpy()).tolist()
        [together] = scorer.reasons([(name, places)], 3)
        alone = [scorer.reasons([(name, [place])], 3)[0][0] for place in places]
        same += sum(one[0][0] == other[0][0] for one, other in zip(together, alone, strict=True) if other)
        titles += len(places)
    assert titles == 160
    assert same >= 0.85 * titles


def test_nothing_listed_no_recap_and_no_sequel_before_its_prequel_but_for_what_bars_nobody(made: Made) -> None:
    recommender, lists, rows, relations = made
    own = lists.select("username", "anime_id")
    assert rows.join(own, on=["username", "anime_id"], how="semi").is_empty()
    recaps = relations.filter(related_kind="anime", relation="Full story")
    assert rows.join(recaps, on="anime_id", how="semi").is_empty()
    prequels = relations.filter(related_kind="anime", relation="Prequel")
    missing = rows.join(prequels, on="anime_id").join(
        own, left_on=["username", "related_id"], right_on=["username", "anime_id"], how="anti"
    )
    known = recommender._features
    missing = missing.join(
        known.select(related_id="anime_id", kind="type", name="title", few="members", late="aired_from"),
        on="related_id",
    ).join(known.select("anime_id", many="members", day="aired_from"), on="anime_id")
    extra = pl.col("kind").is_in(["Special", "Music"]) | (
        pl.col("kind").is_null() & pl.col("name").str.contains(r"OVA|Special|Prologue|Mini|Pilot")
    )
    two_of_three = sum(
        said.fill_null(value=False).cast(pl.Int8)
        for said in (
            pl.col("kind").ne_missing("TV"),
            pl.col("late") > pl.col("day"),
            pl.col("few") * 2 < pl.col("many"),
        )
    )
    barring = missing.filter(~extra, two_of_three < 2)
    assert barring.height < missing.height / 10
    anime = relations.filter(related_kind="anime")
    follows = pl.concat(
        [
            anime.filter(pl.col("relation").is_in(["Prequel", "Parent story", "Full story"])),
            anime.filter(pl.col("relation").is_in(["Sequel", "Side story", "Summary"])).select(
                "relation", "related_kind", anime_id="related_id", related_id="anime_id"
            ),
        ],
        how="diagonal",
    )
    for user, other in barring.select("username", "related_id").iter_rows():
        after = {other}
        while new := set(follows.filter(pl.col("related_id").is_in(after))["anime_id"]) - after:
            after |= new
        seen = set(own.filter(username=user)["anime_id"])
        assert after & seen, "nobody waits for what they passed over; else a prequel comes first"
