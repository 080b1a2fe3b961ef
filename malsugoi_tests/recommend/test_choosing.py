"""What holds of every list, whatever the catalogue, the relations (loops, specials inside chains), the list and the scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend.chain_extras import Needs
from malsugoi_assets.recommend.choosing import UNSEEN_BEFORE, Choice, choose, in_watch_order, verdict
from malsugoi_assets.recommend.people import Person, people
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_tests.recommend.frames import lists_frame, relations_frame, weights_frame

TITLES = 12
WORDS = (
    "Prequel",
    "Sequel",
    "Parent story",
    "Side story",
    "Full story",
    "Summary",
    "Spin-off",
    "Alternative version",
)
ids = st.integers(1, TITLES)


@dataclass(frozen=True)
class World:
    recommender: Recommender
    person: Person
    scores: np.ndarray[tuple[int], np.dtype[np.float32]]
    kinds: list[str]
    adult: list[bool]
    members: list[int]
    relations: list[tuple[int, str, str, int]]


@st.composite
def worlds(draw: st.DrawFn, *, sequel: bool = False) -> World:
    """`sequel`: there is a series with a second season that has a score above all, and neither is listed."""
    kinds = draw(st.lists(st.sampled_from(["TV", "Movie", "OVA", "Special"]), min_size=TITLES, max_size=TITLES))
    adult = draw(st.lists(st.booleans(), min_size=TITLES, max_size=TITLES))
    members = draw(st.lists(st.integers(0, 1000), min_size=TITLES, max_size=TITLES))
    relations = draw(st.lists(st.tuples(ids, st.sampled_from(WORDS), st.just("anime"), ids), max_size=12))
    listed = draw(
        st.dictionaries(
            ids,
            st.tuples(
                st.sampled_from([None, None, 7, 9, 3]),
                st.sampled_from(["completed", "completed", "completed", "dropped", "plan_to_watch"]),
            ),
            min_size=1,
            max_size=5,
        )
    )
    scores = draw(st.lists(st.floats(-5, 5, width=32), min_size=TITLES, max_size=TITLES))
    if sequel:
        first, second = draw(st.lists(ids, min_size=2, max_size=2, unique=True))
        kinds[first - 1] = kinds[second - 1] = "TV"
        members[first - 1], scores[second - 1], adult[second - 1] = 1000, 6.0, False
        relations.append((second, "Prequel", "anime", first))
        listed = {title: entry for title, entry in listed.items() if title not in (first, second)}
        listed = listed or {
            next(title for title in range(1, TITLES + 1) if title not in (first, second)): (7, "completed")
        }
    features = pl.DataFrame(
        {
            "anime_id": pl.Series(range(1, TITLES + 1), dtype=pl.Int32),
            "title": [f"Title of number {'abcdefghijkl'[i]}" for i in range(TITLES)],
            "type": kinds,
            "age_rating": ["Rx - Hentai" if one else "PG-13" for one in adult],
            "members": pl.Series(members, dtype=pl.Int32),
            "status": ["Finished Airing"] * TITLES,
            "genres": pl.Series([[]] * TITLES, dtype=pl.List(pl.String)),
            "score": pl.Series([None] * TITLES, dtype=pl.Float64),
            "episodes": pl.Series([None] * TITLES, dtype=pl.Int32),
            "aired_from": pl.Series([None] * TITLES, dtype=pl.Date),
        }
    )
    lists = lists_frame([("me", title, score, status) for title, (score, status) in listed.items()])
    recommender = Recommender(
        weights_frame([]), features, relations_frame(relations), lists.group_by("anime_id").len("lists")
    )
    (person,) = people(lists, recommender.franchises, RecommendationSettings())
    return World(recommender, person, np.array(scores, dtype=np.float32), kinds, adult, members, relations)


def chosen(world: World, **asked: int | bool) -> tuple[list[Choice], list[int]]:
    wanted = RecommendationSettings.model_validate(asked)
    titles = world.recommender.titles(wanted)
    found = choose(world.person, world.scores, titles, wanted)
    return found, [int(titles.ids[choice.place]) for choice in found]


many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(worlds())
def test_no_title_stands_twice_none_is_listed_adult_or_a_recap(world: World) -> None:
    _, titles = chosen(world)
    assert len(titles) == len(set(titles))
    assert not set(titles) & set(world.person.listed)
    assert not any(world.adult[title - 1] for title in titles)
    assert not set(titles) & world.recommender.franchises.recaps


@many
@given(worlds(), st.integers(1, 3))
def test_no_franchise_has_more_than_it_may_but_to_fill_up(world: World, most: int) -> None:
    found, titles = chosen(world, per_franchise=most)
    franchises = world.recommender.franchises
    strictly = [t for choice, t in zip(found, titles, strict=True) if not choice.gave_way]
    counts = [sum(franchises.franchise(other) == franchises.franchise(t) for other in strictly) for t in strictly]
    assert max(counts, default=0) <= most
    assert [bool(choice.gave_way) for choice in found] == sorted(bool(choice.gave_way) for choice in found)


@many
@given(worlds())
def test_nothing_of_a_franchise_stands_there_that_disappointed(world: World) -> None:
    _, titles = chosen(world)
    assert not {world.recommender.franchises.franchise(title) for title in titles} & set(world.person.shunned)


@many
@given(worlds(sequel=True))
def test_a_series_stands_there_only_when_the_series_before_it_was_seen_or_passed_over(world: World) -> None:
    """By the relations as they were given; what fewer have than the title itself, and circles, are let through."""
    _, titles = chosen(world)
    before = sequels(world.relations)
    for title in titles:
        series = {o for o in before[title] - {title} if world.kinds[o - 1] == world.kinds[title - 1] == "TV"}
        known = {o for o in series if world.members[o - 1] >= world.members[title - 1]}
        seen = world.person.seen | world.person.passed.story
        assert known <= seen or title in reached(title, world.recommender.franchises.follows)


def sequels(relations: list[tuple[int, str, str, int]]) -> dict[int, set[int]]:
    """Title → those that the relations name its prequels."""
    before: dict[int, set[int]] = {title: set() for title in range(1, TITLES + 1)}
    for left, word, _, right in relations:
        if word == "Prequel":
            before[left].add(right)
        elif word == "Sequel":
            before[right].add(left)
    return before


def reached(title: int, follows: Needs) -> set[int]:
    found: set[int] = set()
    left = [title]
    while left:
        new = set(follows.get(left.pop(), ())) - found
        found |= new
        left += new
    return found


@many
@given(worlds())
def test_explaining_agrees_with_the_list(world: World) -> None:
    wanted = RecommendationSettings()
    titles = world.recommender.titles(wanted)
    for choice in choose(world.person, world.scores, titles, wanted):
        assert verdict(world.person, int(titles.ids[choice.place]), titles, wanted) == ""
    barred = {t for t in range(1, TITLES + 1) if verdict(world.person, t, titles, wanted) == UNSEEN_BEFORE}
    assert not barred & set(chosen(world)[1])


@many
@given(worlds())
def test_a_shorter_list_is_the_beginning_of_a_longer_one(world: World) -> None:
    found, titles = chosen(world, length=TITLES)
    strict = [title for choice, title in zip(found, titles, strict=True) if not choice.gave_way]
    for length in range(1, len(strict)):
        assert chosen(world, length=length)[1] == strict[:length]


@many
@given(worlds())
def test_in_watch_order_the_same_titles_stand_in_the_places_of_their_franchise(world: World) -> None:
    titles = world.recommender.titles(RecommendationSettings())
    places = list(range(TITLES))
    ordered = list(in_watch_order(iter(places), titles))
    franchise = [titles.franchises.franchise(int(title)) for title in titles.ids]
    assert sorted(ordered) == places
    assert [franchise[place] for place in ordered] == [franchise[place] for place in places]
