"""Titles that somebody who knows one would name for it: on the same lists, of the same words, and known.

    score(j | i) = w_l · cos(v_i, v_j) + w_w · words(i, j) + w_m · ln(1 + members_j) + w_t · [type_i = type_j] + w_a · [age_i = age_j]
    v_i          = (n_i · u_i + k · f_i) / (n_i + k),   f_i = (Σ n_g · u_g + k · p_i) / (Σ n_g + k)

u: where a title stands among the lists (`title_baselines.listing`, length 1), n: its ratings, g: the titles of its
franchise, p: where its content (kind, age, figures, genres) lets it be expected, by ridge regression; so a title that
few know stands where its series or its like stand. words: cosine of genres, themes, demographics and studios by their
rarity. Other parts of a title's own story are left out, since whoever asks knows them, and one title stands for each
franchise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.recommend.content import Content, encode, learn_code
from malsugoi_assets.recommend.content_taste import TitleWords
from malsugoi_assets.recommend.franchises import Franchises, learn_families, learn_franchises
from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.ratings import FloatArray, IntArray
from malsugoi_assets.recommend.recommendation_settings import SHORTS

_NEVER = -np.inf
_RIDGE = 1.0
_SURE_FROM = 200
"""Ratings from which a title counts fully where its place is learnt from its content."""
_LEAST_WORDS = 3
"""Titles that a type, an age rating or a genre needs, to be learnt from."""


class SimilarSettings(BaseModel):
    """How much each part counts; chosen on half of the pages of `benchmarks/similar.py`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listing: float = Field(4.5, ge=0, description="w_l: standing on the same lists.")
    words: float = Field(3.5, ge=0, description="w_w: genres, themes, demographics and studios in common.")
    members: float = Field(0.5, ge=0, description="w_m: how many know it.")
    type: float = Field(1.0, ge=0, description="w_t: the same type.")
    age: float = Field(1.0, ge=0, description="w_a: the same age rating.")
    from_content: float = Field(20.0, ge=0, description="k: ratings that what the content lets expect is worth.")


@dataclass(frozen=True)
class Similar:
    """A title that is like another: `score` orders; `similarity` is its part without the members, 0–1.

    `on_lists`: cosine of the places among the lists; `in_common`: words that both carry, the rarest first.
    """

    anime_id: int
    score: float
    similarity: float
    on_lists: float
    in_common: tuple[str, ...]


class SimilarTitles:
    """What is asked for again and again, made ready once."""

    def __init__(
        self,
        features: pl.DataFrame,
        relations: pl.DataFrame,
        known: pl.DataFrame,
        settings: SimilarSettings | None = None,
    ) -> None:
        """`features`, `relations`: as the tables; `known`: anime_id, ratings, listing of `title_baselines`.

        Where `listing` is NULL everywhere (too many ratings) titles are alike by words alone.
        """
        self.settings = settings or SimilarSettings()
        self._features = features.sort("anime_id")
        self.ids = self._features["anime_id"].to_numpy().astype(np.int32)
        self._place = {int(anime_id): place for place, anime_id in enumerate(self.ids)}
        self.franchises: Franchises = learn_franchises(features, relations)
        families = learn_families(self._features, relations, self.franchises)
        self._family = np.array([families[int(i)] for i in self.ids], dtype=np.int64)
        items = align_items(self.ids, self._features, relations)
        content = encode(items, learn_code(items, least=_LEAST_WORDS))
        self._vectors = _unit(self._mixed(known, content))
        self._words = TitleWords(self._features)
        self._weighted = _weighted(self._words, self.ids)
        lists = self._features.select("anime_id", "members").join(
            known, on="anime_id", how="left", maintain_order="left"
        )
        counted = lists.select(pl.coalesce("members", "ratings").fill_null(0)).to_series()
        self._members = np.log1p(counted.to_numpy().astype(np.float64))
        self._type = self._features["type"].str.to_lowercase().to_list()
        self._age = self._features["age_rating"].str.extract(r"^(\S+)").to_list()

    def like(self, anime_id: int, most: int, *, own_franchise: bool = False) -> list[Similar]:
        """The titles that are most like `anime_id`, the best first; [] for one that the catalogue does not hold.

        Untitled ones, recaps, and music videos and adult titles for one that is neither, are left out.
        `own_franchise`: other parts of its story may be named, and more than one of any.
        """
        place = self._place.get(anime_id)
        if place is None or not most:
            return []
        parts, weights = self._parts(place), self.settings
        alike = weights.listing * np.maximum(parts["listing"], 0) + weights.words * parts["words"]
        alike += weights.type * parts["type"] + weights.age * parts["age"]
        whole = weights.listing + weights.words + weights.type + weights.age
        score = np.where(self._allowed(place), alike + weights.members * self._members, _NEVER)
        if not own_franchise:
            score[self._family == self._family[place]] = _NEVER
        chosen: list[Similar] = []
        met: set[int] = set()
        for other in np.argsort(-score, kind="stable"):
            if score[other] == _NEVER or len(chosen) == most:
                break
            if not own_franchise and self._family[other] in met:
                continue
            met.add(int(self._family[other]))
            shown = other if own_franchise else self._entry(int(other), score)
            similarity = float(alike[other] / whole) if whole else 0.0
            in_common = self._in_common(anime_id, int(self.ids[shown]))
            on_lists = float(parts["listing"][shown])
            chosen.append(Similar(int(self.ids[shown]), float(score[other]), similarity, on_lists, in_common))
        return chosen

    def own_franchise(self, anime_id: int) -> list[int]:
        """The other titles of its franchise that have a name, in the order of airing, then of id."""
        place = self._place.get(anime_id)
        if place is None:
            return []
        own = self._features.filter(
            pl.Series(self._family == self._family[place]),
            pl.col("anime_id") != anime_id,
            pl.col("title").is_not_null(),
        )
        return own.sort("aired_from", "anime_id", nulls_last=True)["anime_id"].to_list()

    def _entry(self, place: int, score: FloatArray) -> int:
        """The best known of the title and all that comes before it, among those that may be named."""
        before = [place]
        for other in before:
            needs = sorted(self.franchises.needs.get(int(self.ids[other]), ()))
            before += [at for i in needs if (at := self._place.get(i)) is not None and at not in before]
        return max((at for at in before if score[at] != _NEVER), key=lambda at: self._members[at])

    def parts(self, anime_id: int) -> dict[str, FloatArray]:
        """What the settings weigh, by their names, float32 (n_titles,) each, in the order of the ids."""
        place = self._place[anime_id]
        return self._parts(place) | {"members": self._members.astype(np.float32)}

    def candidates(self, anime_id: int) -> npt.NDArray[np.bool_]:
        """Which titles may be named for it, bool (n_titles,): those of other franchises."""
        place = self._place[anime_id]
        return np.asarray(self._allowed(place) & (self._family != self._family[place]))

    def _parts(self, place: int) -> dict[str, FloatArray]:
        words = (self._weighted @ self._weighted[place].T).toarray().ravel()
        return {
            "listing": self._vectors @ self._vectors[place],
            "words": words.astype(np.float32),
            "type": _same(self._type, place),
            "age": _same(self._age, place),
        }

    def _allowed(self, place: int) -> npt.NDArray[np.bool_]:
        shorts = {name.lower() for name in SHORTS}
        title = self._features["title"].is_not_null().to_numpy().copy()
        title &= ~np.isin(self.ids, sorted(self.franchises.recaps))
        if self._type[place] not in shorts:
            title &= np.array([kind not in shorts for kind in self._type])
        if self._age[place] != "Rx":
            title &= np.array([age != "Rx" for age in self._age])
        title[place] = False
        return title

    def _in_common(self, one: int, other: int) -> tuple[str, ...]:
        theirs = set(self._words.of[other])
        both = [word for word in self._words.of[one] if word in theirs]
        return tuple(sorted(both, key=lambda word: (-self._words.rarity[word], word)))

    def _mixed(self, known: pl.DataFrame, content: Content) -> FloatArray:
        """v of the module, float32 (n, size); (n, 0) where nothing is known of lists."""
        rows = known.drop_nulls("listing").filter(pl.col("anime_id").is_in(self.ids.tolist()))
        if rows.is_empty():
            return np.zeros((len(self.ids), 0), dtype=np.float32)
        at = np.searchsorted(self.ids, rows["anime_id"].to_numpy())
        own = _unit(np.stack(rows["listing"].to_list()).astype(np.float32))
        ratings = np.zeros(len(self.ids), dtype=np.float32)
        ratings[at] = rows["ratings"].to_numpy()
        listing = np.zeros((len(self.ids), own.shape[1]), dtype=np.float32)
        listing[at] = own
        told = np.concatenate([content.matrix, np.ones((len(self.ids), 1), np.float32)], axis=1)
        sure = np.sqrt(np.minimum(ratings[at], _SURE_FROM) / _SURE_FROM)[:, None]
        inputs = told[at] * sure
        gram = inputs.T @ inputs + _RIDGE * np.eye(inputs.shape[1], dtype=np.float32)
        expected = told @ np.linalg.solve(gram, inputs.T @ (own * sure))
        k, n = self.settings.from_content, ratings[:, None]
        _, story = np.unique(self._family, return_inverse=True)
        together = np.zeros((story.max() + 1, own.shape[1] + 1), dtype=np.float32)
        np.add.at(together, story, np.concatenate([n * listing, n], axis=1))
        expected = (together[story, :-1] + k * expected) / np.maximum(together[story, -1:] + k, 1e-9)
        return np.asarray((n * listing + k * expected) / np.maximum(n + k, 1e-9), dtype=np.float32)


def _unit(rows: FloatArray) -> FloatArray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def _weighted(words: TitleWords, ids: IntArray) -> sp.csr_matrix:
    """Rows of rarities scaled to length 1."""
    number = {word: place for place, word in enumerate(words.rarity)}
    rows = [(place, word) for place, anime_id in enumerate(ids.tolist()) for word in words.of[anime_id]]
    entries = (
        [words.rarity[word] for _, word in rows],
        ([place for place, _ in rows], [number[word] for _, word in rows]),
    )
    found = sp.csr_matrix(entries, shape=(len(ids), len(number)), dtype=np.float64)
    length = np.sqrt(np.asarray(found.multiply(found).sum(axis=1))).ravel()
    return sp.csr_matrix(sp.diags(1 / np.maximum(length, 1e-9)) @ found)


def _same(values: list[str | None], place: int) -> FloatArray:
    mine = values[place]
    return np.array([mine is not None and value == mine for value in values], dtype=np.float32)
