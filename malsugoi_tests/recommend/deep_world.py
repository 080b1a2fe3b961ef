"""A small invented world for the network's tests: users with planted tastes, titles in series.

Each rating is the title's quality + the user's offset + the user's liking of the title's series + noise, so
there is something to learn from the own list (series) and from others (quality).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from malsugoi_assets.recommend.items import Items
from malsugoi_assets.recommend.ratings import Ratings

GENRES = ("Action", "Drama", "Comedy", "Sci-Fi")
SERIES = ("Wandering Lantern", "Copper Tide", "Moss Garden", "Paper Comet", "Quiet Engine", "Velvet Orbit")
NUMBERS = ("score", "ranked", "popularity", "members", "favorites", "episodes")


def small_items(n_items: int = 36, seed: int = 0) -> Items:
    random = np.random.default_rng(seed)
    rows = []
    for number in range(n_items):
        series = number % len(SERIES)
        rows.append(
            {
                "anime_id": 100 + number,
                "title": f"{SERIES[series]} {['', 'Dawn', 'Dusk', 'Echo', 'Frost', 'Gale'][number // 6 % 6]}".strip(),
                "type": ("TV", "Movie")[number % 2],
                "source": ("Manga", "Original", None)[number % 3],
                "age_rating": "PG-13",
                "season": f"Fall {2000 + number % 20}",
                "score": 6 + 2 * random.random(),
                "ranked": number + 1,
                "popularity": 2 * number + 1,
                "members": int(1000 * (1 + 50 * random.random())),
                "favorites": int(100 * random.random()),
                "episodes": 12,
                "genres": [GENRES[series % 4]],
                "themes": [],
                "demographics": ["Shounen"] if number % 5 else [],
                "studios": [f"Studio {series}"],
            }
        )
    features = pl.DataFrame(rows, infer_schema_length=None)
    relations = pl.DataFrame(
        [
            {"anime_id": 100 + n, "relation": "Sequel", "related_kind": "anime", "related_id": 106 + n}
            for n in range(n_items - 6)
        ]
    )
    return Items(
        features["anime_id"].to_numpy().astype(np.int32),
        features,
        [[title] for title in features["title"]],
        relations,
    )


def small_ratings(n_users: int = 40, n_items: int = 36, seed: int = 0, noise: float = 0.5) -> Ratings:
    random = np.random.default_rng(seed)
    quality = random.normal(0, 0.7, n_items)
    liking = random.normal(0, 1.2, (n_users, len(SERIES)))
    offset = random.normal(0, 0.7, n_users)
    listed = np.argwhere(random.random((n_users, n_items)) < 0.6)
    user, item = listed[:, 0], listed[:, 1]
    value = 7 + quality[item] + offset[user] + liking[user, item % len(SERIES)] + random.normal(0, noise, len(user))
    rating = np.round(value).clip(1, 10).astype(np.float32)
    rating[random.random(len(user)) < 0.2] = np.nan
    return Ratings(user.astype(np.int32), item.astype(np.int32), rating, n_users, n_items)


def without_features(items: Items, row: int) -> Items:
    """The same catalogue in which nothing is known of one title."""
    empty = items.features.with_row_index("row").with_columns(
        pl.when(pl.col("row") != row).then(pl.col(name)).alias(name)
        for name in items.features.columns
        if name != "anime_id"
    )
    names = [[] if number == row else known for number, known in enumerate(items.names)]
    return Items(items.anime_id, empty.drop("row"), names, items.relations)
