"""Writes a list dump of any size in the shape of the 2020 one: `anime.csv` and `animelist.csv`, the same for the same seed.

    python benchmarks/generate_dump.py /tmp/dump --rows 109000000

The shape of the data follows what is known of MyAnimeList: about 335 rows a user with a long tail, titles whose
popularity falls like a power of their rank, a little over half of the rows rated, scores around 7.6, one user's rows
together. No real title or person is in it. The last file written is `generated.json`: the counts to hold an import
against.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import polars as pl

DRAWN_A_USER = 355
TITLES = 17_562
USERS_A_BLOCK = 4_000
SCORES = np.array([0.005, 0.007, 0.012, 0.025, 0.055, 0.115, 0.225, 0.265, 0.185, 0.106])
STATE_CODES = np.array([1, 2, 3, 4, 6], dtype=np.int8)
STATE_SHARES = np.array([0.05, 0.62, 0.04, 0.04, 0.25])


def generate(folder: Path, rows: int, seed: int = 0, titles: int = TITLES) -> dict[str, int]:
    """Write `rows` list rows and a catalogue; returns the counts."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(np.arange(1, 3 * titles), titles, replace=False)).astype(np.int32)
    episodes = rng.choice([1, 12, 13, 24, 26, 50], titles).astype(np.int32)
    _write_catalogue(folder / "anime.csv", ids, episodes, rng)
    edges = np.cumsum(rng.permutation(shares(titles)))
    report = {"rows": 0, "rated": 0, "users": 0, "titles": titles}
    with (folder / "animelist.csv").open("wb") as file:
        file.write(b"user_id,anime_id,rating,watching_status,watched_episodes\n")
        while report["rows"] < rows:
            block = _lists(rng, _lengths(rng, USERS_A_BLOCK, titles), report["users"], edges, ids, episodes)
            block = block.head(rows - report["rows"])
            block.write_csv(file, include_header=False)
            report["rows"] += block.height
            report["rated"] += int((block["rating"] > 0).sum())
            report["users"] += block["user_id"].n_unique()
    (folder / "generated.json").write_text(json.dumps(report))
    return report


def invented_lists(rng: np.random.Generator, users: int, ids: np.ndarray) -> pl.DataFrame:
    """More users over titles that are there already, `ids` by popularity; the columns of `animelist.csv`."""
    episodes = np.full(len(ids), 12, dtype=np.int32)
    return _lists(rng, _lengths(rng, users, len(ids)), 0, np.cumsum(shares(len(ids))), ids, episodes)


def shares(titles: int) -> np.ndarray:
    """Each title's share of all list rows, the most popular first."""
    popularity = 1 / (np.arange(1, titles + 1) + 40.0) ** 1.05
    return popularity / popularity.sum()


def _lengths(rng: np.random.Generator, users: int, titles: int) -> np.ndarray:
    """Rows a user."""
    length = np.clip(rng.lognormal(np.log(DRAWN_A_USER) - 0.605, 1.1, users), 1, titles * 0.4)
    return length.astype(np.int64)


def _write_catalogue(path: Path, ids: np.ndarray, episodes: np.ndarray, rng: np.random.Generator) -> None:
    count = len(ids)
    genres = ["Action", "Comedy", "Drama", "Fantasy", "Romance", "Sci-Fi", "Slice of Life", "Sports"]
    pl.DataFrame(
        {
            "MAL_ID": ids,
            "Name": [f"Invented Title {n}" for n in ids],
            "Score": np.round(np.clip(rng.normal(6.5, 0.9, count), 1, 10), 2),
            "Genres": [", ".join(sorted(rng.choice(genres, 2, replace=False))) for _ in ids],
            "Type": rng.choice(["TV", "Movie", "OVA", "Special"], count),
            "Episodes": episodes,
            "Members": rng.integers(100, 2_000_000, count),
        }
    ).write_csv(path)


def _lists(
    rng: np.random.Generator,
    length: np.ndarray,
    first: int,
    edges: np.ndarray,
    ids: np.ndarray,
    episodes: np.ndarray,
) -> pl.DataFrame:
    """The rows of some users: titles drawn by popularity, more than needed, since a title drawn twice counts once."""
    drawn = np.repeat(np.arange(len(length)), (length * 1.35).astype(np.int64) + 4)
    title = np.minimum(np.searchsorted(edges, rng.random(len(drawn))), len(ids) - 1)
    pairs = np.unique(drawn * len(ids) + title)
    user, title = pairs // len(ids), pairs % len(ids)
    # A user's pairs are sorted by title now: which are kept must not depend on that.
    order = np.lexsort((rng.random(len(pairs)), user))
    user, title = user[order], title[order]
    place = np.arange(len(user)) - np.searchsorted(user, user)
    kept = place < length[user]
    user, title = user[kept], title[kept]
    state = rng.choice(STATE_CODES, len(user), p=STATE_SHARES)
    score = rng.choice(np.arange(1, 11, dtype=np.int8), len(user), p=SCORES)
    unrated = (state == 6) | (rng.random(len(user)) < 0.27)
    watched = np.where(state == 2, episodes[title], np.where(state == 6, 0, episodes[title] // 3))
    return pl.DataFrame(
        {
            "user_id": (user + first).astype(np.int32),
            "anime_id": ids[title],
            "rating": np.where(unrated, 0, score).astype(np.int8),
            "watching_status": state,
            "watched_episodes": watched.astype(np.int32),
        }
    )


def main() -> None:
    """Read the arguments and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--titles", type=int, default=TITLES)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begun = time.monotonic()
    report = generate(arguments.folder, arguments.rows, arguments.seed, arguments.titles)
    print(f"{report} in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
