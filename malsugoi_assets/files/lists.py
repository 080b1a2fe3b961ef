"""A list file made ready to be read a few users at a time, however large it is and however its rows are ordered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.files.catalogue import resolve
from malsugoi_assets.files.list_rows import COLUMNS, ListFile, Say, frame_of, literal, run, write_rows
from malsugoi_assets.usernames import canonical

_BUT_NAMES = tuple(name for name in COLUMNS if name != "username")
_GAP_ROWS = 65_536
"""Other users' rows between two of those asked for that are read along with them rather than jumped over."""


@dataclass(frozen=True)
class Lists:
    """Typed rows on disk, one user's together, and where each user's stand.

    `rows`: Parquet with `COLUMNS`, anime_id NULL where only a title is known. `spans`, by first row: username, the
    spelling that stands in the rows (the same, or the name in another case), first (row), rows, rated. `titles`: title,
    own_id, of the titles in rows without an id. `by_title`: the file names anime by title only.
    """

    rows: Path
    spans: pl.DataFrame
    titles: pl.DataFrame
    by_title: bool

    @property
    def usernames(self) -> list[str]:
        """The users, in the order of their first rows."""
        return self.spans["username"].unique(maintain_order=True).to_list()

    def read(self, usernames: Sequence[str]) -> tuple[pl.DataFrame, dict[str, int]]:
        """(`COLUMNS`, one row a username and anime_id, the last one of the file, sorted by them; counts).

        Reads only the part of the file where these users' rows stand.
        """
        wanted = pl.DataFrame({"username": pl.Series(list(usernames), dtype=pl.String)})
        spans = self.spans.join(wanted, on="username", how="semi").sort("first")
        # Whose a row is follows from where it stands: names are compared a user, not a row.
        source = pl.scan_parquet(self.rows).select(_BUT_NAMES)
        stretches = _together(spans)
        parts = [source.slice(first, rows).collect() for first, rows in stretches]
        frame = pl.concat(parts) if parts else pl.DataFrame(schema=source.collect_schema())
        if frame.height > spans["rows"].sum():
            frame = frame[_places(spans, stretches)]
        names = spans["username"].unique().sort()
        user = np.repeat(names.search_sorted(spans["username"]).to_numpy(), spans["rows"].to_numpy())
        frame = frame.with_columns(user=pl.Series(user, dtype=pl.Int64))
        if self.titles.height:
            frame = frame.join(self.titles, on="title", how="left", maintain_order="left")
            frame = frame.with_columns(pl.coalesce("anime_id", "own_id").alias("anime_id")).drop("own_id")
        frame, counts = _fold(frame, by_title=self.by_title)
        return frame.select(names.gather(frame["user"]).alias("username"), *_BUT_NAMES), counts


def make_lists(
    con: duckdb.DuckDBPyConnection,
    path: Path,
    target: Path,
    crosswalk: pl.DataFrame,
    known: Sequence[str],
    say: Say,
    leave_out: Callable[[str], bool] = lambda _: False,
) -> tuple[Lists, pl.DataFrame, dict[str, int]]:
    """(lists of the file `path`, kept in the folder `target`; listed: anime_id, title of each listed anime; counts).

    Rows are kept in the order of the users in `known`, then of the first rows of those not among them: batches of
    users are then neighbours. Titles get the ids of `crosswalk`, else one made from the title. Raises `FilesError`.
    """
    rows = target / "rows.parquet"
    made = write_rows(con, path, rows, say)
    say(f"{path.name}: who stands in it")
    everybody = _spans(con, rows)
    kept = everybody.filter([not leave_out(name) for name in everybody["spelling"]])
    spans, folded = _one_spelling(kept, known)
    if kept.height < everybody.height or not _is_together(spans):
        rows = _sorted(con, made, spans, target, say)
        spans = spans.with_columns(first=pl.col("rows").cum_sum().shift(1, fill_value=0))
    say(f"{path.name}: which titles stand in it")
    by_title, by_id = _listed(con, rows)
    titles, found, own = resolve(path, by_title, crosswalk)
    titles = titles.select("title", "rows", own_id="anime_id")
    listed = pl.concat([by_id, titles.select(anime_id="own_id", title="title")])
    crossed = titles.join(crosswalk.select("title"), on="title", how="semi")["rows"].sum()
    counts = {
        **made.counts,
        "users": spans["username"].n_unique(),
        "rated_rows_read": int(spans["rated"].sum()),
        "users_folded_by_case": folded,
        "users_left_out_as_forgotten": everybody.height - kept.height,
        "titles_by_crosswalk": found,
        "titles_without_mal_id": own,
        "rows_by_crosswalk": int(crossed),
        "rows_of_titles_without_mal_id": int(titles["rows"].sum()) - int(crossed),
    }
    lists = Lists(
        rows, spans.select("username", "spelling", "first", "rows", "rated"), titles.drop("rows"), made.by_title
    )
    return lists, listed, counts


def _spans(con: duckdb.DuckDBPyConnection, rows: Path) -> pl.DataFrame:
    """spelling, first, last, rows, rated of each user as written, by first row."""
    return frame_of(
        con,
        f"""SELECT username AS spelling, min(file_row_number) AS first, max(file_row_number) AS last,
                   count(*) AS rows, count(score) AS rated
            FROM read_parquet({literal(str(rows))}, file_row_number=true) GROUP BY 1 ORDER BY 2""",
        rows.parent,
    )


def _one_spelling(spans: pl.DataFrame, known: Sequence[str]) -> tuple[pl.DataFrame, int]:
    """The spans in the order of their users, with the name that counts: the known one, else the first; and how many
    spellings were folded into another one.
    """
    names = {canonical(name): name for name in reversed(known)}
    places = {canonical(name): place for place, name in enumerate(known)}
    owners, orders = [], []
    for spelling in spans["spelling"]:
        key = canonical(spelling)
        owners.append(names.setdefault(key, spelling))
        orders.append(places.setdefault(key, len(places)))
    frame = spans.with_columns(
        username=pl.Series(owners, dtype=pl.String), order=pl.Series(orders, dtype=pl.Int64)
    ).sort("order", "first")
    return frame, frame.height - frame["username"].n_unique()


def _is_together(spans: pl.DataFrame) -> bool:
    """Whether the rows of each user stand together already, in the order of the users."""
    together = spans["last"] - spans["first"] + 1 == spans["rows"]
    return bool(together.all()) and spans["first"].is_sorted()


def _sorted(con: duckdb.DuckDBPyConnection, made: ListFile, spans: pl.DataFrame, target: Path, say: Say) -> Path:
    """Write the rows anew, each user's together, in the order of `spans`."""
    path = target / "sorted.parquet"
    order = target / "order.parquet"
    spans.select("spelling").with_row_index("place").write_parquet(order)
    columns = ", ".join(f"r.{name}" for name in COLUMNS)
    run(
        con,
        f"""COPY (SELECT {columns} FROM read_parquet({literal(str(made.path))}, file_row_number=true) r
                  JOIN read_parquet({literal(str(order))}) o ON r.username = o.spelling ORDER BY o.place, r.file_row_number)
            TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)""",
        "sorting rows by user",
        say,
    )
    made.path.unlink()
    order.unlink()
    return path


def _listed(con: duckdb.DuckDBPyConnection, rows: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(anime_id (NULL), title, rows of each title without an id; anime_id, title of each id)."""
    source = f"read_parquet({literal(str(rows))})"
    by_title = frame_of(
        con,
        f"SELECT NULL::INTEGER AS anime_id, title, count(*) AS rows FROM {source} "
        "WHERE anime_id IS NULL GROUP BY title ORDER BY title",
        rows.parent,
    )
    by_id = frame_of(
        con,
        f"SELECT anime_id, min(title) AS title FROM {source} WHERE anime_id IS NOT NULL GROUP BY 1 ORDER BY 1",
        rows.parent,
    )
    return by_title, by_id


def _together(spans: pl.DataFrame) -> list[tuple[int, int]]:
    """(first row, how many) of the stretches that hold the spans."""
    stretches: list[tuple[int, int]] = []
    for first, rows in spans.select("first", "rows").iter_rows():
        if stretches and first - sum(stretches[-1]) <= _GAP_ROWS:
            stretches[-1] = (stretches[-1][0], first + rows - stretches[-1][0])
        else:
            stretches.append((first, rows))
    return stretches


def _places(spans: pl.DataFrame, stretches: list[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """Where the spans' rows stand among the rows of the stretches, one behind the other."""
    first, rows = spans["first"].cast(pl.Int64).to_numpy(), spans["rows"].cast(pl.Int64).to_numpy()
    begins = np.array([begin for begin, _ in stretches])
    lengths = np.array([length for _, length in stretches])
    held_in = np.searchsorted(begins, first, side="right") - 1
    at = first - begins[held_in] + (np.cumsum(lengths) - lengths)[held_in]
    return np.repeat(at - (np.cumsum(rows) - rows), rows) + np.arange(rows.sum())


def _fold(frame: pl.DataFrame, *, by_title: bool) -> tuple[pl.DataFrame, dict[str, int]]:
    """One row a (user, anime_id), the last of them, sorted by both; and counts of what came in and was folded."""
    counts = {"rows_in": frame.height, "duplicate_rows": 0, "rows_folded_by_id": 0}
    if by_title:
        once = frame.unique(["user", "title"], keep="last", maintain_order=True)
        counts["duplicate_rows"], frame = frame.height - once.height, once
    # Both in one number: that sorts in a third of the time, and what is folded need not be moved.
    pair = frame["user"].to_numpy() * 2**32 + frame["anime_id"].to_numpy()
    order = np.argsort(pair, kind="stable")
    pair = pair[order]
    once = frame[order[np.append(pair[1:] != pair[:-1], True)[: len(pair)]]]
    counts["rows_folded_by_id" if by_title else "duplicate_rows"] += frame.height - once.height
    return once, counts | {"list_rows": once.height, "rated_rows": int(once["score"].count())}
