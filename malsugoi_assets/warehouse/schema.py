"""From a table's declaration to the shapes that others need: Polars schema, DDL, checks, Dagster columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from malsugoi_assets.warehouse.tables import Column, Reference, Rule, Table

POLARS_TYPES: dict[str, pl.DataType] = {
    "BOOLEAN": pl.Boolean(),
    "TINYINT": pl.Int8(),
    "SMALLINT": pl.Int16(),
    "INTEGER": pl.Int32(),
    "BIGINT": pl.Int64(),
    "REAL": pl.Float32(),
    "DOUBLE": pl.Float64(),
    "VARCHAR": pl.String(),
    "JSON": pl.String(),
    "DATE": pl.Date(),
    "TIMESTAMPTZ": pl.Datetime("us", "UTC"),
}


class SchemaError(ValueError):
    """A frame that does not fit its table's declaration; says table, column, what is there, what must be."""


def polars_type(duckdb_type: str) -> pl.DataType:
    """The Polars type of a DuckDB type, lists and structs included."""
    if duckdb_type.endswith("[]"):
        return pl.List(polars_type(duckdb_type[:-2]))
    if duckdb_type.startswith("STRUCT("):
        fields = (field.split() for field in duckdb_type[len("STRUCT(") : -1].split(", "))
        return pl.Struct({name: polars_type(kind) for name, kind in fields})
    return POLARS_TYPES[duckdb_type]


def polars_schema(table: Table) -> pl.Schema:
    """The schema of the table's partition files."""
    return pl.Schema({c.name: polars_type(c.type) for c in table.stored_columns})


def conform(table: Table, frame: pl.LazyFrame | pl.DataFrame) -> pl.DataFrame:
    """The frame with the declared columns, types and order of rows; raises `SchemaError` where it does not fit."""
    collected = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
    wanted = polars_schema(table)
    missing, extra = set(wanted) - set(collected.columns), set(collected.columns) - set(wanted)
    if missing or extra:
        raise SchemaError(f"{table.name}: columns missing: {sorted(missing)}; not declared: {sorted(extra)}")
    try:
        typed = collected.select(pl.col(name).cast(dtype, strict=True) for name, dtype in wanted.items())
    except pl.exceptions.PolarsError as error:
        found = {n: str(t) for n, t in collected.schema.items() if t != wanted[n]}
        raise SchemaError(f"{table.name}: cannot become the declared types from {found}: {error}") from error
    nan = [n for n, t in wanted.items() if t.is_float() and typed[n].is_nan().any()]
    if nan:
        raise SchemaError(f"{table.name}: NaN in {nan}; an unknown value is NULL")
    return (
        typed
        if _is_sorted(typed, table.sort_key)
        else typed.sort(table.sort_key, nulls_last=True, maintain_order=True)
    )


def _is_sorted(frame: pl.DataFrame, names: Sequence[str]) -> bool:
    """Whether the rows stand in ascending order of the columns already, no value being NULL: a tenth of a sort."""
    in_order = pl.lit(True)
    for name in reversed(names):
        before, now = pl.col(name).shift(1), pl.col(name)
        in_order = (before < now) | ((before == now) & in_order)
    return frame.height > 0 and bool(frame.select(in_order.slice(1).fill_null(False).all()).item())


def create_table(table: Table, schema: str) -> str:
    """The CREATE TABLE statement."""
    columns = [f"{c.name} {c.type}{' NOT NULL' if c.required else ''}" for c in table.columns]
    if table.primary_key:
        columns.append(f"PRIMARY KEY ({', '.join(table.key)})")
    return f"CREATE TABLE {schema}.{table.name} ({', '.join(columns)})"


def orphans(table: Table, reference: Reference) -> str:
    """A FROM clause: the table's rows that refer to nothing."""
    if reference.unnest:
        child, first = reference.columns[:-1], reference.columns[-1]
        source = f"(SELECT {', '.join(child)}, unnest({reference.unnest}).{first} AS {first} FROM {table.name})"
    else:
        source = f"(SELECT * FROM {table.name})"
    same = " AND ".join(f"c.{a} = p.{b}" for a, b in zip(reference.columns, reference.to, strict=True))
    return f"{source} c ANTI JOIN (FROM {reference.table} WHERE {reference.where}) p ON {same}"


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _column_rules(table: Table, column: Column) -> Iterator[Rule]:
    of = f"{table.name}.{column.name}"
    if column.low is not None or column.high is not None:
        bounds = [f"{column.name} < {column.low}"] if column.low is not None else []
        bounds += [f"{column.name} > {column.high}"] if column.high is not None else []
        low, high = ("…" if b is None else f"{b:g}" for b in (column.low, column.high))
        yield Rule(f"{of} within {low} and {high}", f"{table.name} WHERE {' OR '.join(bounds)}")
    if column.one_of:
        allowed = ", ".join(map(literal, column.one_of))
        yield Rule(f"{of} one of {', '.join(column.one_of)}", f"{table.name} WHERE {column.name} NOT IN ({allowed})")
    if column.pattern:
        yield Rule(
            f"{of} like {column.pattern}",
            f"{table.name} WHERE {column.name} NOT SIMILAR TO {literal(column.pattern)}",
        )


def _not_one_run(table: Table) -> str | None:
    """A FROM clause: what is the same in all of the key but its last column, and does not stand together with that one
    ascending. Where everything does, no key comes twice. None where the table is sorted by something else.
    """
    *apart, last = table.key
    known = {column.name for column in table.columns if column.required}
    by_key = tuple(name for name in table.sort_key if name != "user_batch") == table.key
    if not apart or not by_key or not known >= set(table.key):
        return None
    same = ", ".join(apart)
    before = ", ".join(f"lag({name}) OVER () AS b_{name}" for name in table.key)
    begins = " OR ".join(f"b_{name} IS DISTINCT FROM {name}" for name in apart)
    return (
        f"(SELECT {same} FROM (SELECT {', '.join(table.key)}, {before} FROM {table.name}) "
        f"WHERE {begins} OR b_{last} >= {last} GROUP BY ALL HAVING count(*) > 1)"
    )


def rules(table: Table) -> list[Rule]:
    """All that the declaration implies, each as the rows at fault; NOT NULL and primary keys the file enforces."""
    implied = [rule for column in table.columns for rule in _column_rules(table, column)]
    if not table.primary_key:
        keys = ", ".join(table.key)
        implied.append(
            Rule(
                f"{table.name} unique by {keys}",
                f"(SELECT {keys} FROM {table.name} GROUP BY ALL HAVING count(*) > 1)",
                sure_unless=_not_one_run(table),
            )
        )
    implied += [
        Rule(
            f"{table.name}: every {', '.join(r.columns)} stands in {r.table}",
            orphans(table, r),
            at_rest=bool(r.unnest),
        )
        for r in table.references
    ]
    return implied + [Rule(f"{table.name}: {rule.name}", rule.sql, rule.at_rest) for rule in table.rules]
