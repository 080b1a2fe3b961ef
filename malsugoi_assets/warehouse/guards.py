"""What a build may not lose against the one before it: a table's members, and fields that were filled.

A parser that no longer finds scores breaks no declaration, since a score may be NULL; nor does a site that shows half
of its titles. Such a build is stopped before anything of it is written, so that what is published stands. Only what
was there before counts: new rows may be as empty as they like. Nor do lists that people imported count: no source has a
part in them, and whoever imports another means it to replace the one before. What each table may lose is declared here,
once; a loss that is real is let through with `MALSUGOI_ACCEPT_CHANGES`.
"""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from malsugoi_assets.settings import SettingsError, variable
from malsugoi_assets.warehouse.tables import TABLES

ALL = "all"


class GuardError(RuntimeError):
    """A build that lost too much; says what, how much, how much may be lost, and what to do."""


class Guard(BaseModel):
    """What must be left of a table when it is built again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    member: str = Field(description="The column whose values are the table's members.")
    called: str = Field(description="What members are called, in the plural.")
    key: tuple[str, ...] = Field(description="The columns by which a row is found again.")
    members: float = Field(ge=0, le=1, description="The share of the members that must still be there.")
    filled: float = Field(0.8, ge=0, le=1, description="The share of a column's values that must still be there.")
    columns: tuple[str, ...] | None = Field(None, description="The columns that are looked at; None: all.")
    least: int = Field(20, ge=1, description="Fewer members or values than this prove nothing.")


GUARDS: dict[str, Guard] = {
    guard.table: guard
    for guard in (
        Guard(table="raw_anime_pages", member="anime_id", called="titles", key=("anime_id",), members=0.9,
              columns=("path",)),
        Guard(table="anime_features", member="anime_id", called="titles", key=("anime_id",), members=0.9),
        Guard(table="anime_relations", member="anime_id", called="titles with relations", key=("anime_id",),
              members=0.8, columns=()),
        Guard(table="users", member="username", called="users", key=("username",), members=0.9, columns=()),
        Guard(table="user_lists", member="username", called="users with a list", key=("username", "anime_id"),
              members=0.5, columns=("title", "score", "status"), least=20),
        Guard(table="rating_matrix", member="username", called="users with ratings", key=("username", "anime_id"),
              members=0.5, columns=()),
    )
}  # fmt: skip


def losses(guard: Guard, before: pl.DataFrame, now: pl.DataFrame) -> list[str]:
    """What `now` lacks of `before`, each loss in words; [] where it lost no more than it may.

    A value is filled where it is not NULL and no empty list; it is looked for again in the row with the same key.
    """
    old, new = before[guard.member].unique(), now[guard.member].unique()
    found = []
    left = old.is_in(new.implode()).sum() if old.len() else 0
    if old.len() >= guard.least and left < guard.members * old.len():
        found.append(f"{left:,} of {old.len():,} {guard.called} are left, at least {guard.members:.0%} must be")
    wanted = guard.columns if guard.columns is not None else tuple(c for c in before.columns if c not in guard.key)
    columns = [c for c in wanted if c in before.columns and c in now.columns]
    if not columns:
        return found
    both = before.select(*guard.key, *columns).join(now.select(*guard.key, *columns), on=guard.key, suffix=" now")
    for column in columns:
        had = both.filter(_is_filled(before.schema[column], column))
        kept = had.filter(_is_filled(now.schema[column], f"{column} now")).height
        if had.height >= guard.least and kept < guard.filled * had.height:
            found.append(
                f"{column}: {kept:,} of the {had.height:,} rows that had one still have, at least "
                f"{guard.filled:.0%} must"
            )
    return found


def check(table: str, before: pl.DataFrame, now: pl.DataFrame, accepted: Iterable[str] = ()) -> list[str]:
    """The losses of a table's new build that were accepted. Raises `GuardError` for those that were not."""
    if table not in GUARDS:
        return []
    found = losses(GUARDS[table], before, now)
    if found and not {table, ALL} & set(accepted):
        raise GuardError(
            f"not published, the last state stands, since too much is missing: {'; '.join(found)}. Look at what the "
            f"source shows; where the change is real, run once with {variable('accept_changes')}={table}"
        )
    return found


def accepted_tables(setting: str | None) -> list[str]:
    """The tables that the setting names. Raises `SettingsError` for one that is none of the guarded ones."""
    names = [name.strip() for name in (setting or "").split(",") if name.strip()]
    for name in names:
        if name not in (ALL, *GUARDS):
            guarded = ", ".join(GUARDS)
            raise SettingsError(f"{variable('accept_changes')}={name}: expected {ALL}, or some of {guarded}")
    return names


def missing_declarations() -> list[str]:
    """Columns that a guard names and its table does not have."""
    return [
        f"{guard.table}.{column}"
        for guard in GUARDS.values()
        for column in (guard.member, *guard.key, *(guard.columns or ()))
        if column not in TABLES[guard.table].column_names
    ]


def _is_filled(dtype: pl.DataType, column: str) -> pl.Expr:
    filled = pl.col(column).is_not_null()
    return filled & (pl.col(column).list.len() > 0) if isinstance(dtype, pl.List) else filled
