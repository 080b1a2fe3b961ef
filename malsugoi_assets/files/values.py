"""From what stands in a field to the value that it means: scores, ids, states, counts, dates."""

from __future__ import annotations

import html
from datetime import date, datetime

import polars as pl

from malsugoi_assets.files.errors import FilesError
from malsugoi_assets.files.tables import Table

UNRATED = ("", "-", "0", "-1", "null", "none", "nan")
UNKNOWN = ("", "-", "?", "n/a", "na", "nan", "null", "none", "unknown", "not available", "none found, add some")
LARGEST = 2**31 - 1
_REFERENCE = r"&(?:#\d+|#x[0-9a-fA-F]+|amp|quot|lt|gt);"
STATES = {
    "watching": "watching",
    "currently watching": "watching",
    "completed": "completed",
    "on hold": "on_hold",
    "onhold": "on_hold",
    "dropped": "dropped",
    "plan to watch": "plan_to_watch",
    "ptw": "plan_to_watch",
    "plan to read": "plan_to_watch",
    "1": "watching",
    "2": "completed",
    "3": "on_hold",
    "4": "dropped",
    "6": "plan_to_watch",
}


def text(table: Table, column: str) -> pl.Series:
    """The column as text; whole floats lose their '.0', words for "unknown" stay."""
    values = table.frame[column]
    if values.dtype.is_float() and bool((values.drop_nulls() % 1 == 0).all()):
        values = values.cast(pl.Int64)
    if values.dtype.is_nested():
        raise FilesError(table.path, f"the column {column!r} holds lists where single values are needed")
    stripped = values.cast(pl.String).str.strip_chars()
    return stripped.set(stripped == "", None)


def known_text(table: Table, column: str) -> pl.Series:
    """The column as text, NULL where it says in words that the value is not known."""
    values = text(table, column)
    return values.set(values.str.to_lowercase().is_in(UNKNOWN), None)


def names(table: Table, column: str, *, unknown: bool) -> pl.Series:
    """Names as text, read past HTML's character references, which older dumps left in them.

    `unknown`: a word for "unknown" is NULL (a title may be called so).
    """
    values = known_text(table, column) if unknown else text(table, column)
    coded = values.str.contains(_REFERENCE).fill_null(False)
    if not coded.any():
        return values
    return pl.Series(column, [html.unescape(v) if v and c else v for v, c in zip(values, coded, strict=True)])


def identities(table: Table, column: str) -> pl.Series:
    """Ids as Int32, NULL where the field is empty; what is no whole number other than 0 is a `FilesError`."""
    values = text(table, column)
    number = values.str.replace(r"^(-?\d+)\.0+$", "$1").cast(pl.Int64, strict=False)
    bad = values.is_not_null() & ~(number.is_between(-LARGEST - 1, LARGEST) & (number != 0)).fill_null(False)
    table.refuse_where(bad, column, f"the {column} {{value}} is no id (a whole number other than 0)")
    return number.cast(pl.Int32)


def counts(table: Table, column: str, least: int = 0) -> pl.Series:
    """Whole numbers from `least` on (Int32), read past '#' and thousands commas; anything else is NULL."""
    values = table.frame[column]
    if not values.dtype.is_numeric():
        values = text(table, column).str.strip_prefix("#").str.replace_all(",", "")
    number = values.cast(pl.Float64, strict=False)
    return number.set(~number.is_between(least, LARGEST) | (number % 1 != 0), None).cast(pl.Int32)


def minutes(table: Table, column: str) -> pl.Series:
    """Minutes (Float64) of an episode: numbers above 0 as they are, else as the site writes them; the rest is NULL."""
    from malsugoi_assets.mal.durations import minutes_of  # its room loads the parsers of pages

    if table.frame[column].dtype.is_numeric():
        number = table.frame[column].cast(pl.Float64)
        return number.set(~(number > 0) | ~number.is_finite(), None)
    words = text(table, column)
    number = words.cast(pl.Float64, strict=False)
    read = words.replace_strict({v: minutes_of(v) for v in words.unique().drop_nulls()}, return_dtype=pl.Float64)
    # Of an empty column `replace_strict` makes text whatever it is told.
    read = read.cast(pl.Float64)
    return pl.select(pl.when((number > 0) & number.is_finite()).then(number).otherwise(read)).to_series()


def site_scores(table: Table, column: str) -> pl.Series:
    """Mean scores 1-10 of the site (Float64); 0 and words are NULL, other numbers a `FilesError`."""
    number = table.frame[column].cast(pl.Float64, strict=False)
    table.refuse_where((number != 0) & ~number.is_between(1, 10), column, "the score {value} is not within 1 to 10")
    return number.set(number == 0, None)


def word_lists(table: Table, column: str) -> pl.Series:
    """Lists of words: as they are, or text split at '|' (where there is one) or ', '; empty where none is known."""
    values = table.frame[column]
    if isinstance(values.dtype, pl.List):
        parts = values.cast(pl.List(pl.String))
    else:
        known = known_text(table, column)
        barred = known.str.contains("|", literal=True).fill_null(False)
        parts = pl.select(pl.when(barred).then(known.str.split("|")).otherwise(known.str.split(", "))).to_series()
    cleaned = parts.fill_null(pl.Series([[]], dtype=pl.List(pl.String)))
    stripped = pl.element().str.strip_chars()
    return cleaned.list.eval(
        stripped.filter((stripped != "") & ~stripped.str.to_lowercase().is_in(UNKNOWN)).unique(maintain_order=True)
    )


def dates(table: Table, column: str) -> pl.Series:
    """Days (Date) from 'Apr 3, 1998' or '1998-04-03'; an incomplete one is NULL."""
    values = table.frame[column]
    if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
        return values.cast(pl.Date)
    words = text(table, column)
    return words.replace_strict({v: parse_day(v) for v in words.unique().drop_nulls()}, return_dtype=pl.Date)


def spans(table: Table, column: str, finished: pl.Series) -> tuple[pl.Series, pl.Series]:
    """(from, to) of 'Apr 3, 1998 to Apr 24, 1999'; a single day of something finished is both."""
    words = known_text(table, column)
    halves = words.str.split_exact(" to ", 1).struct.unnest()
    days = {v: parse_day(v) for name in halves.columns for v in halves[name].unique().drop_nulls()}
    start, end = (halves[n].replace_strict(days, default=None, return_dtype=pl.Date) for n in halves.columns)
    single = ~words.str.contains(" to ", literal=True).fill_null(True) & finished.fill_null(False)
    return start, pl.select(pl.when(single).then(start).otherwise(end)).to_series()


def parse_day(value: str) -> date | None:
    """A complete day, or None."""
    for form in ("%b %d, %Y", "%B %d, %Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(value.strip(), form).date()
        except ValueError:
            continue
    return None
