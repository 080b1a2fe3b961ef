"""What is shown of the published state itself: a title, titles by name, the pipeline. Every value is a parameter."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.limits import Limits
from malsugoi_assets.web.problems import Problem
from malsugoi_assets.web.records import Found, Metric, Neighbour, Relation, Status, Title, TitlePage
from malsugoi_assets.web.similar import Like, like

_SIMILAR = 12
_DETAILS = (
    "title_english",
    "title_japanese",
    "status",
    "aired_from",
    "aired_to",
    "source",
    "age_rating",
    "scored_by",
    "ranked",
    "popularity",
    "members",
    "favorites",
)
_LISTS = ("synonyms", "themes", "demographics", "studios")


def title_page(knowledge: Knowledge, anime_id: int) -> TitlePage:
    """A title with its relatives and neighbours. `Problem` (404) for one that the catalogue does not name."""
    anime = knowledge.titles.get(anime_id)
    if anime is None:
        raise Problem(404, "The catalogue holds no such title.", "Look for it by name.")
    published = knowledge.published
    row = published.rows("FROM anime_features WHERE anime_id = ?", anime_id)[0]
    rated = published.rows("SELECT ratings, mean FROM title_baselines WHERE anime_id = ?", anime_id)
    relations = published.rows(
        "SELECT relation, related_kind, related_id FROM anime_relations WHERE anime_id = ? ORDER BY ALL", anime_id
    )
    near: Like = knowledge.like.get(anime_id, lambda: like(published, knowledge.similar, anime_id, _SIMILAR))
    return TitlePage(
        anime=anime,
        **{name: row[name] for name in _DETAILS},
        **{name: row[name] or [] for name in _LISTS},
        ratings=rated[0]["ratings"] if rated else 0,
        mean_rating=rated[0]["mean"] if rated else None,
        relations=[
            Relation(**r, anime=knowledge.titles.get(r["related_id"]) if r["related_kind"] == "anime" else None)
            for r in relations
        ],
        similar=_neighbours(knowledge, near),
        series=[knowledge.titles[other] for other in near.series],
    )


def _neighbours(knowledge: Knowledge, near: Like) -> list[Neighbour]:
    return [
        Neighbour(
            rank=rank,
            anime=knowledge.titles[other.anime_id],
            similarity=round(other.similarity, 4),
            on_lists=round(other.on_lists, 4),
            in_common=list(other.in_common),
            support=near.rated_both.get(other.anime_id, 0),
        )
        for rank, other in enumerate(near.titles, start=1)
    ]


def find(knowledge: Knowledge, typed: str, limits: Limits) -> Found:
    """The title that is meant by what was typed, and the nearest ones."""
    if len(typed) > limits.text:
        raise Problem(400, f"No title has more than {limits.text} characters.", "Type a part of it.")
    answer = knowledge.search.find(typed, suggestions=10)
    return Found(
        anime=_named(knowledge, answer.best.anime_id) if answer.best else None,
        suggestions=[title for hit in answer.suggestions if (title := _named(knowledge, hit.anime_id))],
    )


def _named(knowledge: Knowledge, anime_id: int) -> Title | None:
    return knowledge.titles.get(anime_id)


def status(knowledge: Knowledge, source: str | None) -> Status:
    """Tables, users, batches, builds and metrics."""
    published = knowledge.published
    # A state may have been published before a table was thought of.
    there = {row["name"] for row in published.rows("SELECT table_name AS name FROM duckdb_tables()")}
    counts = {
        name: int(published.rows(f"SELECT count(*) AS n FROM {name}")[0]["n"])  # noqa: S608 (declared names)
        for name, table in TABLES.items()
        if table.published and name in there
    }
    return Status(
        source=source,
        published_at=datetime.fromtimestamp(published.path.stat().st_mtime, UTC) if published.path.exists() else None,
        generation=published.path.stem,
        tables=counts,
        users_by_status=_pairs(
            knowledge, "SELECT coalesce(list_status, 'not read yet'), count(*) FROM users GROUP BY 1 ORDER BY 1"
        ),
        headline=_pairs(knowledge, "FROM headline"),
        batches=published.rows(
            "SELECT user_batch, count(*) AS users, count(list_status) AS read, sum(entries)::BIGINT AS entries, "
            "max(fetched_at) AS fetched_at FROM users GROUP BY 1 ORDER BY 1 DESC LIMIT 50"
        ),
        builds=published.rows(
            "SELECT model_id, created_at, device, parameters, epochs, train_rows, train_seconds, is_current "
            "FROM dnn_model ORDER BY created_at DESC LIMIT 20"
        ),
        metrics=[
            Metric(**row)
            for row in published.rows(
                "SELECT 'cf_metrics' AS \"table\", * EXCLUDE (model_id, segment) FROM cf_metrics WHERE segment = 'all' "
                "UNION ALL "
                "SELECT 'dnn_metrics', * EXCLUDE (model_id, segment) FROM dnn_metrics WHERE segment = 'all' "
                "ORDER BY metric, versus, value"
            )
        ],
    )


def _pairs(knowledge: Knowledge, sql: str) -> dict[str, Any]:
    return {str(first): second for first, second in (row.values() for row in knowledge.published.rows(sql))}
