"""All that answers need of one published state: the catalogue in memory, and the models made ready for one list.

Each part is made of a few tables and kept while these stay the same, so that a state in which only a batch of users is
new costs nothing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
import polars as pl

from malsugoi_assets.recommend.catalogue_map import CatalogueMap, draw_map
from malsugoi_assets.recommend.content_taste import TitleWords
from malsugoi_assets.recommend.filters import words_of
from malsugoi_assets.recommend.franchises import Franchises, learn_franchises
from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.joint import JointNeighbourhood
from malsugoi_assets.recommend.ranking import LearntOrder
from malsugoi_assets.recommend.ranking_file import load_order
from malsugoi_assets.recommend.ratings import IntArray, nobody
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.recommend.recommendations import Recommender
from malsugoi_assets.recommend.scoring import preferred_method
from malsugoi_assets.recommend.search import TitleSearch
from malsugoi_assets.recommend.similar import SimilarTitles
from malsugoi_assets.recommend.starters import choose_starters, worth_asking
from malsugoi_assets.recommend.stored_titles import learnt_titles_of, neighbours_of
from malsugoi_assets.recommend.weights import WeightsError
from malsugoi_assets.warehouse.marks import Marks
from malsugoi_assets.warehouse.registered import ForeignFileError, registered_file
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_assets.web.forms import Form
from malsugoi_assets.web.published import Parts, Published
from malsugoi_assets.web.ranking_tables import lists_a_title, methods_of, weights_of
from malsugoi_assets.web.records import Title
from malsugoi_assets.web.sessions import Answers, Lru
from malsugoi_assets.web.show import word

T = TypeVar("T")
log = logging.getLogger("malsugoi.web")
MAPPED_TITLES = 1_000
STARTERS = 40
_LIKE = 256
_USERS = 64
_RELATIONS = ("anime_id", "relation", "related_kind", "related_id")


@dataclass(frozen=True)
class Rater:
    """Predicts ratings of the titles `anime_ids` (sorted) for any list."""

    anime_ids: Any
    model: JointNeighbourhood


@dataclass(frozen=True)
class Ranker:
    """Ranks the catalogue for any list; `ranked_by`: what does, in words; `method`: whose weights are stored ('' = none)."""

    ranked_by: str
    method: str
    recommender: Recommender


class Knowledge:
    """One published state and what was made of it."""

    def __init__(self, published: Published, root: Path, parts: Parts, answers: Lru, site: str | None) -> None:
        """`root`: the data dir; `parts`, `answers`: what is kept of the states before, the parts under what they were made
        of, the answers under the person (`people.StoredKey` first); `site`: where titles have pages, None for invented ones.
        """
        self.published = published
        self._root = root
        self._parts = parts
        self._site = site
        self.answers = Answers(answers)
        self.marks = Marks(root)
        self.like = Lru(_LIKE)
        self.users = Lru(_USERS)
        self._used: dict[str, Any] = {}

    def succeed(self, before: Knowledge) -> None:
        """Be in use instead of `before`, which remembers no more answers; none about people who are gone is left."""
        before.answers.close()
        known = {key[0].username for key in self.answers.known()}
        there = {
            row["username"]
            for row in self.published.rows(
                "SELECT username FROM users WHERE list_status = 'ok' AND username IN (SELECT unnest(?::VARCHAR[]))",
                sorted(known),
            )
        }
        self.answers.keep(lambda key: key[0].username in there)

    def make_ready(self) -> None:
        """Make every part now instead of when it is first asked for."""
        _ = self.titles, self.search, self.words, self.form, self.related, self.rater, self.starters, self.map
        if (ranker := self.ranker) and self.starters:
            # What is compiled or made when it is first needed is needed here, not by a visitor.
            rows = [("", self.starters[0], "", 8, "completed")]
            one = pl.DataFrame(rows, schema=["username", "anime_id", "title", "score", "status"], orient="row")
            for settings in (RecommendationSettings(), RecommendationSettings(diversity=0.5, release_order=True)):
                ranker.recommender.recommend(one, lambda pairs: pl.Series([7.0] * pairs.height), settings)
        _ = self.similar  # last: only a title's page needs it

    @property
    def features(self) -> pl.DataFrame:
        """The table `anime_features`, by id."""
        return self._part("features", ("anime_features",), self._features)

    @property
    def relations(self) -> pl.DataFrame:
        """The table `anime_relations`."""
        return self._part(
            "relations", ("anime_relations",), lambda: self.published.table("anime_relations", _RELATIONS)
        )

    @property
    def titles(self) -> dict[int, Title]:
        """The titles that have a name, by id."""
        return self._part("titles", ("anime_features",), self._titles)

    @property
    def search(self) -> TitleSearch:
        """Finds titles by name."""
        return self._part("search", ("anime_features",), lambda: TitleSearch(self.features).make_ready())

    @property
    def words(self) -> TitleWords:
        """Genres, themes and studios."""
        return self._part("words", ("anime_features",), lambda: TitleWords(self.features))

    @property
    def vocabulary(self) -> dict[str, list[str]]:
        """The types, genres and age ratings that settings may name."""
        return self._part("vocabulary", ("anime_features",), lambda: words_of(self.features))

    @property
    def form(self) -> Form:
        """The form of the settings, with the types, genres and age ratings of the catalogue."""
        return self._part("form", ("anime_features",), lambda: Form(RecommendationSettings, self._shown_words()))

    @property
    def related(self) -> dict[int, set[int]]:
        """The anime that belong to each anime's story."""
        return self._part("related", ("anime_relations",), self._related)

    @property
    def franchises(self) -> Franchises:
        """Which titles belong together, and what comes before what, as on lists."""
        return self._part("franchises", ("anime_features", "anime_relations"), self._franchises)

    @property
    def ranker(self) -> Ranker | None:
        """None before there are weights."""
        tables = ("item_weights", "ranking_model", "anime_features", "anime_relations")
        return self._part("ranker", tables, self._ranker)

    @property
    def rater(self) -> Rater | None:
        """None before there are ratings, and where there are so many that the similarity table predicts alone."""
        tables = ("title_baselines", "similarity_matrix", "anime_features", "anime_relations")
        return self._part("rater", tables, self._rater)

    @property
    def baselines(self) -> pl.DataFrame:
        """The table `title_baselines`, by id."""
        return self._part("baselines", ("title_baselines",), self._baselines)

    @property
    def offsets(self) -> dict[int, float]:
        """μ + b_i of each title that somebody rated."""
        return self._part("offsets", ("title_baselines",), self._offsets)

    @property
    def starters(self) -> list[int]:
        """Titles to ask somebody about, the most telling first."""
        return self._part("starters", ("title_baselines", "anime_features", "anime_relations"), self._starters)

    @property
    def similar(self) -> SimilarTitles:
        """Finds titles like another one."""
        tables = ("title_baselines", "anime_features", "anime_relations")
        return self._part("similar", tables, lambda: SimilarTitles(self.features, self.relations, self.baselines))

    @property
    def map(self) -> CatalogueMap:
        """The map of the best known titles."""
        return self._part("map", ("item_weights", "anime_features"), self._map)

    @cached_property
    def key(self) -> tuple[Hashable, ...]:
        """What answers about a list that was brought along depend on."""
        return self.published.contents(
            "anime_features",
            "anime_relations",
            "item_weights",
            "ranking_model",
            "title_baselines",
            "similarity_matrix",
        )

    def _part(self, name: str, tables: tuple[str, ...], make: Callable[[], T]) -> T:
        # A state's tables stay as they are, so what was looked up once is looked up no more.
        if name not in self._used:
            self._used[name] = self._parts.get(name, self.published.contents(*tables), make)
        found: T = self._used[name]
        return found

    def _features(self) -> pl.DataFrame:
        return self.published.table("anime_features", TABLES["anime_features"].column_names).sort("anime_id")

    def _titles(self) -> dict[int, Title]:
        short = self.features.with_columns(pl.col("season").fill_null(pl.col("aired_from").dt.year().cast(pl.String)))
        rows = short.select("anime_id", "title", "type", "episodes", "season", "score", "genres").iter_rows(
            named=True
        )
        return {
            row["anime_id"]: Title(**row | {"genres": tuple(row["genres"] or ()), "url": self._url(row["anime_id"])})
            for row in rows
            if row["title"] is not None
        }

    def _shown_words(self) -> dict[str, list[str]]:
        known = self.vocabulary
        genres = [word(genre) for genre in known["genres"]]
        return known | {"genres": genres, "without_genres": genres}

    def _url(self, anime_id: int) -> str | None:
        return f"{self._site}/anime/{anime_id}" if self._site and anime_id > 0 else None

    def _related(self) -> dict[int, set[int]]:
        found: dict[int, set[int]] = defaultdict(set)
        for anime_id, relation, kind, other in self.relations.iter_rows():
            if kind == "anime" and relation.lower() != "character":
                found[anime_id].add(other)
                found[other].add(anime_id)
        return dict(found)

    def _ranker(self) -> Ranker | None:
        methods = methods_of(self.published)
        method = preferred_method(methods) if methods else ""
        order, ranked_by = self._order()
        if order is None and not method:
            return None
        ranked_by = ranked_by if order else f"the weights of {method} ({ranked_by})"
        weights, listed = weights_of(self.published, method), lists_a_title(self.published)
        recommender = Recommender(weights, self.features, self.relations, listed, order)
        return Ranker(ranked_by, method, recommender)

    def _franchises(self) -> Franchises:
        listed = dict(lists_a_title(self.published).iter_rows())
        return learn_franchises(self.features, self.relations, listed)

    def _order(self) -> tuple[tuple[LearntOrder, IntArray] | None, str]:
        """The learnt order with its titles, and what ranks in words; None and why, where it cannot be had."""
        try:
            rows = self.published.table("ranking_model", ("path", "sha256"))
            path = registered_file(self._root, rows, "ranking_model")
            return (load_order(path), "the learnt order") if path else (None, "no order is learnt")
        except duckdb.CatalogException:
            return None, "no order is learnt"
        except (ForeignFileError, WeightsError) as error:
            log.warning("%s", error)
            return None, "the learnt order cannot be read"

    def _rater(self) -> Rater | None:
        known = self.baselines
        titles = learnt_titles_of(known)
        if titles is None:
            return None
        ids = known["anime_id"].to_numpy()
        near = pl.DataFrame(
            dict(
                zip(
                    ("anime_id", "neighbour_id", "rank", "similarity", "support"),
                    self.published.arrays(
                        "SELECT anime_id, neighbour_id, rank, similarity, support FROM similarity_matrix"
                    ),
                    strict=True,
                )
            )
        )
        items = align_items(ids, self.features, self.relations)
        return Rater(ids, JointNeighbourhood().with_titles(nobody(len(ids)), items, titles, neighbours_of(near, ids)))

    def _baselines(self) -> pl.DataFrame:
        return self.published.table("title_baselines", TABLES["title_baselines"].column_names).sort("anime_id")

    def _offsets(self) -> dict[int, float]:
        return dict(self.baselines.select("anime_id", pl.col("global_mean") + pl.col("bias")).iter_rows())

    def _starters(self) -> list[int]:
        spread = pl.DataFrame(
            self.published.rows("SELECT anime_id, var_pop(rating) AS variance FROM rating_matrix GROUP BY 1"),
            schema={"anime_id": pl.Int32(), "variance": pl.Float32()},
        )
        named = (
            self.baselines.join(spread, on="anime_id")
            .filter(pl.col("anime_id").is_in(list(self.titles)))
            .sort("anime_id")
        )
        if named.is_empty():
            return []
        adult = set(self.features.filter(pl.col("age_rating").str.starts_with("Rx"))["anime_id"])
        named = named.filter(~pl.col("anime_id").is_in(list(adult)))
        vectors = np.zeros((named.height, 1), dtype=np.float32)
        if not named["listing"].null_count():
            vectors = np.stack(named["listing"].to_list()).astype(np.float32)
        franchise = np.array([self.franchises.franchise(i) for i in named["anime_id"]], dtype=np.int32)
        worth = worth_asking(named["ratings"].to_numpy(), named["variance"].to_numpy())
        ids = named["anime_id"].to_list()
        return [ids[place] for place in choose_starters(worth, vectors, franchise, STARTERS)]

    def _map(self) -> CatalogueMap:
        ranker = self.ranker
        known = self.features.filter(
            pl.col("title").is_not_null() & ~pl.col("age_rating").str.starts_with("Rx").fill_null(False)
        )
        best = known.sort("members", "anime_id", descending=[True, False], nulls_last=True)["anime_id"].head(
            MAPPED_TITLES
        )
        titles = best.sort().to_numpy()
        anime_id, neighbour_id, weight = self.published.arrays(
            "SELECT anime_id, neighbour_id, weight FROM item_weights WHERE method = ? AND weight > 0",
            ranker.method if ranker else "",
        )
        return draw_map(anime_id, neighbour_id, weight, titles)
