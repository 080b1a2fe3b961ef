"""How long a page takes to read, beside BeautifulSoup over lxml on the whole page: CPU time, medians of repeats.

    python benchmarks/parsing.py FOLDER [--repeats 7]

FOLDER holds the pages, gzipped or not: detail pages in `anime/`, others in `topanime/`, `users/` and `animelist/`.
Without a folder the replica's pages are read. `whole soup` is what any reader pays that parses the page before looking for
anything; the figure for 16,756 pages is that of one core.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from malsugoi_assets.mal import parse_anime_page, parse_list_page, parse_top_page, parse_users_page

CATALOGUE = 16_756  # detail pages of May 2021
PARSERS: dict[str, Callable[[str | bytes], Any]] = {
    "anime": parse_anime_page,
    "topanime": parse_top_page,
    "users": parse_users_page,
    "animelist": parse_list_page,
}


def stored(folder: Path, kind: str) -> Iterator[bytes]:
    for path in sorted((folder / kind).glob("*")):
        body = path.read_bytes()
        yield gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def invented(kind: str) -> Iterator[bytes]:
    from malsugoi_assets.mal.replica import pages
    from malsugoi_assets.mal.replica.world import World

    world = World(seed=0, n_anime=100, n_users=60)
    texts = {
        "anime": [pages.anime_page(world, title) for title in world.titles[:30]],
        "topanime": [pages.top_page(world, 0) or ""],
        "users": [pages.users_page(world.users, 0, "")],
        "animelist": [pages.classic_list(world, user) for user in world.users[:3]],
    }
    return (text.encode() for text in texts[kind])


def cpu_ms(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return 1000 * statistics.median(taken)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("folder", nargs="?", type=Path)
    asked.add_argument("--repeats", type=int, default=7)
    options = asked.parse_args()
    print(f"{'pages':10} {'n':>4} {'KiB':>5} {'ms':>7} {'worst':>7} {'whole soup':>11} {'ratio':>6}")
    for kind, parse in PARSERS.items():
        bodies = list(stored(options.folder, kind) if options.folder else invented(kind))
        if not bodies:
            continue
        own = [cpu_ms(partial(parse, body), options.repeats) for body in bodies]
        texts = [body.decode(errors="replace") for body in bodies]
        plain = [cpu_ms(partial(BeautifulSoup, text, "lxml"), options.repeats) for text in texts]
        median, soup = statistics.median(own), statistics.median(plain)
        size = statistics.median(map(len, bodies)) / 1024
        print(
            f"{kind:10} {len(own):4} {size:5.0f} {median:7.1f} {max(own):7.1f} {soup:11.1f} {soup / median:5.1f}x",
            flush=True,
        )
        if kind == "anime":
            print(
                f"{'':10} {CATALOGUE:,} such pages: {CATALOGUE * statistics.mean(own) / 60_000:.1f} minutes of one core"
            )


if __name__ == "__main__":
    main()
