"""From titles to ids: the crosswalks of the original files, and a stable id where no MAL id is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.tables import read_table
from malsugoi_assets.files.values import identities

LIST_CROSSWALK = "title_to_anime_id.csv"
CATALOGUE_CROSSWALK = "catalogue_to_anime_id.csv"


def title_id(title: str) -> int:
    """The id of a title without a known MAL id: -1 - (the first 31 bits of its BLAKE2b), within int32, below zero."""
    digest = hashlib.blake2b(title.strip().encode(), digest_size=4).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)


def title_ids(path: Path, titles: Iterable[str]) -> pl.DataFrame:
    """`title`, `anime_id` (Int32, negative) of the distinct titles; two that share an id are a `FilesError`."""
    owner: dict[int, str] = {}
    for title in titles:
        other = owner.setdefault(title_id(title), title)
        if other != title:
            raise FilesError(
                path,
                f"the titles {other!r} and {title!r} would get one id; give one of them its MAL id in {LIST_CROSSWALK}",
            )
    schema = {"title": pl.String, "anime_id": pl.Int32}
    return pl.DataFrame({"title": list(owner.values()), "anime_id": list(owner)}, schema=schema)


def read_crosswalk(path: Path) -> pl.DataFrame:
    """`title`, `anime_id` (Int32) of a crosswalk file, one row a title; no rows where there is no such file."""
    if not path.is_file():
        return pl.DataFrame(schema={"title": pl.String, "anime_id": pl.Int32})
    table = read_table(path)
    if not {"title", "anime_id"} <= set(table.frame.columns):
        raise FilesError(path, "needs the columns title and anime_id", line=1)
    frame = table.frame.select("title", anime_id=identities(table, "anime_id")).drop_nulls()
    return frame.unique("title", keep="last", maintain_order=True)


def crosswalks(folders: Iterable[Path]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(for list titles, for catalogue titles), from all folders: each file first serves its own, then the other."""
    places = list(dict.fromkeys(folders))
    lists = [read_crosswalk(place / LIST_CROSSWALK) for place in places]
    catalogues = [read_crosswalk(place / CATALOGUE_CROSSWALK) for place in places]
    return (
        pl.concat(lists + catalogues).unique("title", keep="first", maintain_order=True),
        pl.concat(catalogues + lists).unique("title", keep="first", maintain_order=True),
    )
