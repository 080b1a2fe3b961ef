"""The replica's world: titles, users, and what the users truly think. The pages are made from it, nothing else.

Everything follows from `(seed, n_anime, n_users)`; user `i` is the same in every world with the same seed and
titles, so users can be added later. With x the opinion of user u on title i,

    x      ~ Normal(mu[u, i], NOISE²)
    mu     = mean[u] + spread[u] · (quality[i] + taste[u, i])
    taste  = factors (rank FACTORS) + genre affinity + franchise affinity
    rating = x rounded to the nearest of 1 … 10

so the best that any model can know is the mean of the rounded and clipped normal, and its squared error is the
variance of that: `World.expected` and `World.noise_variance` give both exactly. Which titles a user lists depends on
popularity and taste; which of them are rated depends on the status; neither depends on the noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from malsugoi_assets.mal.replica import titles as words

FIRST_ANIME_ID = 10_000_000
FIRST_MANGA_ID = 20_000_000
TODAY = date(2025, 6, 1)

FACTORS = 2
FACTOR_SD = 1.1
GENRE_SD = 0.4
FRANCHISE_SD = 0.3
QUALITY_SD = 0.55
NOISE = 0.75
POPULATION = 900
"""How many people one replica user stands for in the counts that pages show."""

Floats = NDArray[np.float64]
UserKind = Literal["ok", "private", "empty", "missing"]
ListStyle = Literal["modern", "classic", "one_tab", "scripted"]
WATCHING, COMPLETED, ON_HOLD, DROPPED, PLANNED = 1, 2, 3, 4, 6


@dataclass(frozen=True)
class Title:
    """One anime as the site knows it; `index` is its row in the world's arrays."""

    index: int
    anime_id: int
    title: str
    title_english: str | None
    title_japanese: str
    synonyms: tuple[str, ...]
    type: str
    episodes: int | None
    status: str
    aired_from: date | None
    aired_to: date | None
    source: str
    age_rating: str | None
    genres: tuple[str, ...]
    themes: tuple[str, ...]
    demographics: tuple[str, ...]
    studios: tuple[str, ...]
    franchise: int
    relations: tuple[tuple[str, str, int], ...]
    """(relation, 'anime' or 'manga', id)"""

    @property
    def episode_minutes(self) -> int:
        """The usual length of its type."""
        return {"TV": 24, "Movie": 95, "Music": 4}.get(self.type, 28)

    @property
    def season(self) -> str | None:
        """'Fall 2023' for series on television, else None."""
        if self.type != "TV" or self.aired_from is None:
            return None
        return f"{('Winter', 'Spring', 'Summer', 'Fall')[(self.aired_from.month - 1) // 3]} {self.aired_from.year}"


@dataclass(frozen=True)
class Figures:
    """What a detail page counts; None where the page says N/A."""

    score: float | None
    scored_by: int | None
    ranked: int | None
    popularity: int
    members: int
    favorites: int


@dataclass(frozen=True)
class Entry:
    """One row of a list; `score` 0 means unrated, `status` is the site's number."""

    index: int
    score: int
    status: int
    episodes_watched: int
    created_at: int
    updated_at: int


@dataclass(frozen=True)
class User:
    """One member; `entries` in the site's order: by status, then by title."""

    index: int
    username: str
    age: int
    gender: int
    """0 not said, 1 male, 2 female"""
    kind: UserKind
    style: ListStyle
    entries: tuple[Entry, ...]


class World:
    """`n_anime` titles and `n_users` users with planted tastes; users beyond the first come with `add_users`."""

    def __init__(self, seed: int = 0, n_anime: int = 700, n_users: int = 300) -> None:
        self.seed, self.n_anime, self.n_users = seed, n_anime, n_users
        self.titles = _titles(seed, n_anime)
        self.index = {title.anime_id: title.index for title in self.titles}
        self._by_title = np.argsort(np.argsort([title.title.casefold() for title in self.titles]))
        rng = np.random.default_rng([seed, 2])
        franchise = np.array([title.franchise for title in self.titles])
        n_franchises = int(franchise.max()) + 1
        self._franchise, self._n_franchises = franchise, n_franchises
        labels = {name: k for k, name in enumerate(words.GENRES + words.THEMES)}
        tagged = np.zeros((n_anime, len(labels)))
        for title in self.titles:
            tagged[title.index, [labels[name] for name in title.genres + title.themes]] = 1
        self._genre_share: Floats = tagged / np.sqrt(np.maximum(tagged.sum(axis=1, keepdims=True), 1))
        loadings = (
            rng.normal(size=(n_franchises, FACTORS))[franchise]
            + 0.5 * rng.normal(size=(n_anime, FACTORS))
            + 0.7 * self._genre_share @ rng.normal(size=(len(labels), FACTORS))
        )
        self._loadings: Floats = loadings / np.linalg.norm(loadings, axis=1, keepdims=True)
        shared, own = rng.normal(size=n_franchises)[franchise], rng.normal(size=n_anime)
        self.quality: Floats = QUALITY_SD * (0.75 * shared + 0.66 * own)
        self._popularity: Floats = (
            0.8 * self.quality / QUALITY_SD
            + rng.normal(size=n_franchises)[franchise]
            + 0.5 * rng.normal(size=n_anime)
        )
        self._upcoming = np.array([title.status == "Not yet aired" for title in self.titles])
        self._mu: dict[int, Floats] = {}
        self.users: list[User] = []
        self._by_name: dict[str, User] = {}
        self.add_users(n_users)

    def add_users(self, count: int) -> list[User]:
        """Append the next `count` users and return them; the titles' figures stay what they were."""
        added = [self._user(len(self.users) + k) for k in range(count)]
        self.users += added
        self._by_name |= {user.username.casefold(): user for user in added}
        return added

    def user(self, username: str) -> User | None:
        """The user of that name, whatever its case."""
        return self._by_name.get(username.casefold())

    def opinion(self, user: User) -> Floats:
        """mu[u, :], float64 of shape (n_anime,): the centre of the user's opinion on every title."""
        return self._mu[user.index]

    def expected(self, username: str, anime_id: int) -> float:
        """The mean of the rating that this user would give: what a perfect model predicts. KeyError if unknown."""
        return _rounded_moments(self._centre(username, anime_id))[0]

    def noise_variance(self, username: str, anime_id: int) -> float:
        """The variance of that rating: the mean squared error that no model can get under. KeyError if unknown."""
        return _rounded_moments(self._centre(username, anime_id))[1]

    def _centre(self, username: str, anime_id: int) -> float:
        return float(self._mu[self._by_name[username.casefold()].index][self.index[anime_id]])

    @cached_property
    def figures(self) -> tuple[Figures, ...]:
        """Score, ranks and counts of each title, from the first `n_users` users; shape (n_anime,)."""
        first = self.users[: self.n_users]
        centre = np.mean([self._mu[user.index] for user in first], axis=0) if first else np.full(self.n_anime, 7.0)
        spread = np.std([self._mu[user.index] for user in first], axis=0) if first else np.ones(self.n_anime)
        listed, rated = np.zeros(self.n_anime), np.zeros(self.n_anime)
        for user in first:
            for entry in user.entries:
                listed[entry.index] += 1
                rated[entry.index] += entry.score > 0
        rng = np.random.default_rng([self.seed, 3])
        wobble = rng.uniform(0.85, 1.15, size=(3, self.n_anime))
        unseen = np.exp(self._popularity - 2)
        members = ((listed + unseen) * POPULATION * wobble[0]).astype(int) + 100
        voters = ((rated + unseen / 2) * POPULATION * wobble[1]).astype(int) + 10
        hidden = self._upcoming | (rng.random(self.n_anime) < 0.02)
        means = [
            _rounded_moments(float(c), math.hypot(NOISE, float(s)))[0] for c, s in zip(centre, spread, strict=True)
        ]
        scores = [None if hide else round(mean, 2) for mean, hide in zip(means, hidden, strict=True)]
        by_score = sorted((i for i, s in enumerate(scores) if s is not None), key=lambda i: (-(scores[i] or 0), i))
        ranks = {i: rank for rank, i in enumerate(by_score, 1)}
        by_members = np.lexsort((np.arange(self.n_anime), -members))
        popularity = np.empty(self.n_anime, dtype=int)
        popularity[by_members] = np.arange(1, self.n_anime + 1)
        return tuple(
            Figures(
                score=scores[i],
                scored_by=int(min(voters[i], members[i])) if scores[i] is not None else None,
                ranked=ranks.get(i),
                popularity=int(popularity[i]),
                members=int(members[i]),
                favorites=int(members[i] * 0.02 * wobble[2][i] * max(0.0, means[i] - 5)),
            )
            for i in range(self.n_anime)
        )

    @cached_property
    def ranking(self) -> tuple[int, ...]:
        """Title indexes as the ranking pages show them: by rank, then the unranked ones by members."""
        figures = self.figures
        return tuple(
            sorted(range(self.n_anime), key=lambda i: (figures[i].ranked or self.n_anime + figures[i].popularity, i))
        )

    def _user(self, index: int) -> User:
        rng = np.random.default_rng([self.seed, 5, index])
        spread = math.exp(rng.normal(0, 0.2))
        labels = self._genre_share.shape[1]
        taste = (
            FACTOR_SD * self._loadings @ rng.normal(size=FACTORS)
            + GENRE_SD * self._genre_share @ rng.normal(size=labels)
            + FRANCHISE_SD * rng.normal(size=self._n_franchises)[self._franchise]
        )
        mu: Floats = rng.normal(6.7, 0.7) + spread * (self.quality + taste)
        self._mu[index] = mu
        kind: UserKind = "ok"
        if index % 29 == 3:
            kind = "private"
        elif index % 37 == 7:
            kind = "missing"
        elif index % 41 == 11:
            kind = "empty"
        style: ListStyle = "classic" if index % 8 == 5 else "one_tab" if index % 10 == 6 else "modern"
        long = index % 33 == 9
        size = int(rng.integers(310, 480)) if long else int(np.clip(rng.lognormal(4.4, 0.4), 40, 160))
        size = min(size, int(self.n_anime * 0.85))
        call = (
            self._popularity
            + 0.9 * taste
            + 0.8 * rng.gumbel(size=self._n_franchises)[self._franchise]
            + 0.7 * rng.gumbel(size=self.n_anime)
        )
        listed = np.argpartition(-call, size - 1)[:size] if size else np.arange(0)
        entries = self._entries(np.sort(listed), mu, rng) if kind == "ok" or kind == "private" else ()
        return User(
            index=index,
            username=words.username(index, self.seed),
            age=int(np.clip(rng.normal(25, 7), 18, 60)),
            gender=int(rng.choice([0, 1, 2], p=[0.2, 0.5, 0.3])),
            kind=kind,
            style=style,
            entries=entries,
        )

    def _entries(self, listed: NDArray[np.int64], mu: Floats, rng: np.random.Generator) -> tuple[Entry, ...]:
        centre = mu[listed]
        ratings = np.clip(np.rint(centre + NOISE * rng.normal(size=len(listed))), 1, 10).astype(int)
        draw, rate = rng.random(len(listed)), rng.random(len(listed))
        dropped = 0.04 + 0.25 / (1 + np.exp(2 * (centre - 5)))
        status = np.select(
            [self._upcoming[listed] | (draw < 0.13), draw < 0.20, draw < 0.24, draw < 0.24 + dropped],
            [PLANNED, WATCHING, ON_HOLD, DROPPED],
            COMPLETED,
        )
        chance = np.select([status == PLANNED, status == COMPLETED, status == DROPPED], [0.0, 0.92, 0.7], 0.35)
        scores = np.where(rate < chance, ratings, 0)
        created = 1_500_000_000 + rng.integers(0, 245_000_000, size=len(listed))
        updated = np.minimum(created + rng.integers(0, 10_000_000, size=len(listed)), 1_748_000_000)
        share = rng.random(len(listed))
        order = np.lexsort((self._by_title[listed], status))
        rows = []
        for k in order:
            title, state = self.titles[listed[k]], int(status[k])
            episodes = title.episodes or 12
            seen = 0 if state == PLANNED else episodes if state == COMPLETED else int(share[k] * episodes)
            rows.append(Entry(int(listed[k]), int(scores[k]), state, seen, int(created[k]), int(updated[k])))
        return tuple(rows)


def _rounded_moments(centre: float, sd: float = NOISE) -> tuple[float, float]:
    """Mean and variance of Normal(centre, sd²) after rounding to 1 … 10, from the probabilities of the ten values."""
    below = [0.0] + [0.5 * (1 + math.erf((k + 0.5 - centre) / (sd * math.sqrt(2)))) for k in range(1, 10)] + [1.0]
    chances = [high - low for low, high in pairwise(below)]
    mean = sum(k * p for k, p in enumerate(chances, 1))
    return mean, sum((k - mean) ** 2 * p for k, p in enumerate(chances, 1))


# What a franchise's later entries may be: (suffix, English suffix, Japanese suffix, type, forward, backward relation).
_FOLLOW_UPS = (
    (" 2nd Season", " Season 2", " 第2期", "TV", "Sequel", "Prequel"),
    (" Movie: Saigo no Hi", ": The Last Day", " 劇場版", "Movie", "Side Story", "Parent Story"),
    (" 3rd Season", " Season 3", " 第3期", "TV", "Sequel", "Prequel"),
    (" Recap", " Recap", " 総集編", "Special", "Summary", "Full Story"),
    (" OVA", " OVA", " OVA", "OVA", "Side Story", "Parent Story"),
    (" Gaiden", ": Another Tale", " 外伝", "ONA", "Spin-Off", "Parent Story"),
)


def _titles(seed: int, n_anime: int) -> tuple[Title, ...]:
    rng = np.random.default_rng([seed, 1])
    sizes: list[int] = []
    while sum(sizes) < n_anime:
        sizes.append(
            min(int(rng.choice([1, 2, 3, 4, 5, 7], p=[0.5, 0.2, 0.12, 0.08, 0.06, 0.04])), n_anime - sum(sizes))
        )
    names = words.franchise_titles(len(sizes), rng)
    names = [names[k] for k in rng.permutation(len(names))]
    ids = FIRST_ANIME_ID + np.cumsum(rng.integers(1, 9, size=n_anime))
    shuffled = rng.permutation(n_anime)
    found: dict[int, Title] = {}
    position = 0
    for franchise, (size, name) in enumerate(zip(sizes, names, strict=True)):
        members = [int(shuffled[position + k]) for k in range(size)]
        position += size
        found |= {t.index: t for t in _franchise(franchise, name, members, ids, rng)}
    return tuple(found[i] for i in range(n_anime))


def _franchise(
    franchise: int,
    name: tuple[str, str | None, str],
    members: list[int],
    ids: NDArray[np.int64],
    rng: np.random.Generator,
) -> list[Title]:
    def pick(pool: tuple[str, ...], low: int, high: int) -> tuple[str, ...]:
        chosen = rng.choice(len(pool), size=int(rng.integers(low, high + 1)), replace=False)
        return tuple(pool[k] for k in sorted(chosen))

    genres, themes = pick(words.GENRES, 1, 4), pick(words.THEMES, 0, 2)
    demographics, studios = pick(words.DEMOGRAPHICS, 0, 1), pick(words.STUDIOS, 0, 2)
    source = words.SOURCES[rng.integers(len(words.SOURCES))]
    age_rating = words.AGE_RATINGS[rng.integers(len(words.AGE_RATINGS))] if rng.random() < 0.95 else None
    start = date(1995, 1, 1) + timedelta(days=int(rng.integers(0, 10_300)))
    if rng.random() < 0.05:
        start = TODAY - timedelta(days=int(rng.integers(10, 60)))
    kinds = ["TV" if rng.random() < 0.65 else str(rng.choice(["Movie", "OVA", "ONA", "Special", "Music"]))]
    kinds += [_FOLLOW_UPS[k][3] for k in range(len(members) - 1)]
    relations = _related([int(ids[index]) for index in members])
    if source not in ("Original", "Game", "Other"):
        relations[0].append(("Adaptation", "manga", FIRST_MANGA_ID + franchise))
    made = []
    title, english, japanese = name
    for k, index in enumerate(members):
        suffix, suffix_english, suffix_japanese = _FOLLOW_UPS[k - 1][:3] if k else ("", "", "")
        kind = kinds[k]
        first = start + timedelta(days=400 * k)
        episodes = int(rng.choice([11, 12, 13, 24, 25])) if kind == "TV" else int(rng.choice([1, 2, 6])) if kind in (
            "OVA", "ONA") else 1  # fmt: skip
        status, aired_from, aired_to = _airing(first, episodes)
        known_episodes = None if status != "Finished Airing" and rng.random() < 0.5 else episodes
        synonyms = (f"{title}{suffix}, Wide Edition", f"{japanese[:2]}{franchise}") if rng.random() < 0.3 else ()
        made.append(
            Title(
                index=index,
                anime_id=int(ids[index]),
                title=title + suffix,
                title_english=english + suffix_english if english else None,
                title_japanese=japanese + suffix_japanese,
                synonyms=synonyms[: 1 + index % 2],
                type=kind,
                episodes=known_episodes,
                status=status,
                aired_from=aired_from,
                aired_to=aired_to,
                source=source,
                age_rating=age_rating,
                genres=genres,
                themes=themes,
                demographics=demographics,
                studios=studios,
                franchise=franchise,
                relations=tuple(relations[k]),
            )
        )
    return made


def _related(ids: list[int]) -> list[list[tuple[str, str, int]]]:
    """The relations among the titles of a franchise, whose first one is what all others follow: of each title its own."""
    relations: list[list[tuple[str, str, int]]] = [[] for _ in ids]
    last_series = 0
    for k in range(1, len(ids)):
        _, _, _, _, forward, backward = _FOLLOW_UPS[k - 1]
        origin = last_series if forward == "Sequel" else 0
        relations[origin].append((forward, "anime", ids[k]))
        relations[k].append((backward, "anime", ids[origin]))
        last_series = k if forward == "Sequel" else last_series
    return relations


def _airing(first: date, episodes: int) -> tuple[str, date | None, date | None]:
    """Status, first and last day of what begins on `first`, one episode a week; of half of what is to come no day is known."""
    last = first + timedelta(days=7 * (episodes - 1))
    if first > TODAY:
        return "Not yet aired", first if first.day % 2 else None, None
    if last > TODAY:
        return "Currently Airing", first, None
    return "Finished Airing", first, last
