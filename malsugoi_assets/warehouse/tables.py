"""Every table, declared once: columns, types, comments, keys, references and what must hold.

DDL, comments, Dagster's column schema, the publisher's checks, the asset checks and `docs/tables.md` all come
from here. What does not belong here: how rows are made (assets), where they lie (lake, publish).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BATCH_PATTERN = "batch-[0-9]{6}"
LIST_STATES = ("watching", "completed", "on_hold", "dropped", "plan_to_watch")
LIST_STATUS = ("ok", "empty", "private", "missing", "error")


@dataclass(frozen=True)
class Column:
    """A column: its DuckDB type, what it means, and the values it may take (NULL unless `required`)."""

    name: str
    type: str
    comment: str
    required: bool = False
    low: float | None = None
    high: float | None = None
    one_of: tuple[str, ...] = ()
    pattern: str | None = None


@dataclass(frozen=True)
class Reference:
    """Rows whose `columns` have no partner in `table` (on `to`) are not published: they follow their parent."""

    columns: tuple[str, ...]
    table: str
    to: tuple[str, ...]
    where: str = "TRUE"
    """Which parent rows count, in the parent's columns."""
    unnest: str | None = None
    """Set where the referring value stands inside a list of structs; such rows are checked, not removed."""


@dataclass(frozen=True)
class Rule:
    """Something that must hold across rows: `sql` is a FROM clause that yields the rows at fault."""

    name: str
    sql: str
    at_rest: bool = False
    """It may be broken while a run is between two tables: the asset checks hold it, the publisher does not."""
    sure_unless: str | None = None
    """A FROM clause that is quicker to count: where it yields nothing, `sql` yields nothing either."""


@dataclass(frozen=True)
class Table:
    """A published table.

    `key` is unique; it is a PRIMARY KEY where `primary_key` (catalogue-sized tables), else only checked.
    `volatile` columns say when and by whom, not what: they do not count as a change of the content.
    `select` makes the published rows out of the stored tables where they are more than a copy.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    group: str
    primary_key: bool = True
    partitioned: bool = False
    order_by: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    rules: tuple[Rule, ...] = ()
    volatile: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    """The columns that the partition files hold; all of them unless the publisher adds some."""
    select: str | None = None
    may_be_empty: bool = False
    published: bool = True

    @property
    def column_names(self) -> tuple[str, ...]:
        """All columns, in order."""
        return tuple(c.name for c in self.columns)

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns of the partition files."""
        return tuple(c for c in self.columns if not self.stored or c.name in self.stored)

    @property
    def sort_key(self) -> tuple[str, ...]:
        """The total order in which rows are stored and published."""
        return self.order_by or self.key


@dataclass(frozen=True)
class View:
    """A published view."""

    name: str
    comment: str
    sql: str
    columns: Mapping[str, str] = field(default_factory=dict)


def _user_batch() -> Column:
    return Column("user_batch", "VARCHAR", "The user's batch: the partition that this row belongs to", True,
                  pattern=BATCH_PATTERN)  # fmt: skip


def _username() -> Column:
    return Column("username", "VARCHAR", "The user, as the site or the file writes the name", True)


def _anime_id(comment: str = "The title: MyAnimeList's id, negative where none is known") -> Column:
    return Column("anime_id", "INTEGER", comment, True)


def _ranks(table: str, by: str) -> Rule:
    return Rule(
        f"ranks run 1…n per {by}",
        f"(SELECT {by} FROM {table} GROUP BY 1 HAVING min(rank) <> 1 OR max(rank) <> count(*) "
        "OR count(DISTINCT rank) <> count(*))",
        at_rest=True,
    )


_RATED = Reference(("anime_id",), "rating_matrix", ("anime_id",))
_USER = Reference(("username", "user_batch"), "users", ("username", "user_batch"))
_NOT_LISTED = (
    "SEMI JOIN (FROM user_lists WHERE status IS DISTINCT FROM 'plan_to_watch' OR score IS NOT NULL) "
    "USING (username, anime_id)"
)

RAW_ANIME_PAGES = Table(
    "raw_anime_pages",
    "The stored detail pages, one row an anime: when it was asked for, what came back, where it lies",
    (
        _anime_id("MyAnimeList's id of the anime"),
        Column("url", "VARCHAR", "The address that was asked", True),
        Column("fetched_at", "TIMESTAMPTZ", "When the site answered", True),
        Column("http_status", "SMALLINT", "The answer's status: 200, 404 …", True, low=0, high=599),
        Column("sha256", "VARCHAR", "SHA-256 of the page as received"),
        Column("bytes", "INTEGER", "Size of the page as received, in bytes", low=0),
        Column("path", "VARCHAR", "The stored page (gzip), relative to the data dir"),
        Column(
            "error", "VARCHAR", "Why the last request brought no page that can be read; what is stored is then older"
        ),
    ),
    key=("anime_id",),
    group="sources",
    volatile=("fetched_at",),
    may_be_empty=True,
)

ANIME_FEATURES = Table(
    "anime_features",
    "The catalogue: what a title's page says, one row an anime. Unknown is NULL (an empty list: none known)",
    (
        _anime_id(),
        Column("title", "VARCHAR", "The main title (romanised, as on MyAnimeList)"),
        Column("title_english", "VARCHAR", "The English title"),
        Column("title_japanese", "VARCHAR", "The Japanese title"),
        Column("synonyms", "VARCHAR[]", "Other titles"),
        Column("type", "VARCHAR", "TV, Movie, OVA, ONA, Special, Music …"),
        Column("episodes", "INTEGER", "Number of episodes; NULL while it is not known", low=1),
        Column("episode_minutes", "DOUBLE", "Length of an episode, or of the film, in minutes", low=0),
        Column("status", "VARCHAR", "Finished Airing, Currently Airing, Not yet aired"),
        Column("aired_from", "DATE", "First day of airing, in Japan's calendar"),
        Column("aired_to", "DATE", "Last day of airing; the first one for what aired on a single day"),
        Column("season", "VARCHAR", "Season of the premiere, e.g. 'Fall 2023'"),
        Column("source", "VARCHAR", "What it was made from: Manga, Original, Light novel …"),
        Column("age_rating", "VARCHAR", "Age rating, e.g. 'PG-13 - Teens 13 or older'"),
        Column("score", "DOUBLE", "Mean score on the site, 1–10", low=1, high=10),
        Column("scored_by", "INTEGER", "How many users scored it", low=0),
        Column("ranked", "INTEGER", "Place by score", low=1),
        Column("popularity", "INTEGER", "Place by members", low=1),
        Column("members", "INTEGER", "How many users list it", low=0),
        Column("favorites", "INTEGER", "How many users call it a favourite", low=0),
        Column("genres", "VARCHAR[]", "Genres; all of them for pages that did not tell themes apart yet"),
        Column("themes", "VARCHAR[]", "Themes"),
        Column("demographics", "VARCHAR[]", "Demographics"),
        Column("studios", "VARCHAR[]", "Studios"),
    ),
    key=("anime_id",),
    group="sources",
)

ANIME_RELATIONS = Table(
    "anime_relations",
    "Which titles belong together: sequels, prequels, side stories, adaptations",
    (
        _anime_id("The title whose page names the relation"),
        Column("relation", "VARCHAR", "Sequel, Prequel, Side story, Adaptation …", True),
        Column("related_kind", "VARCHAR", "Whether the related entry is an anime or a manga", True,
               one_of=("anime", "manga")),
        Column("related_id", "INTEGER", "Id of the related entry, among those of its kind", True),
    ),
    key=("anime_id", "relation", "related_kind", "related_id"),
    group="sources",
    may_be_empty=True,
)  # fmt: skip

LIST_OUTCOMES = Table(
    "list_outcomes",
    "How the last visit to each user's list ended; joined into `users`",
    (
        _user_batch(),
        _username(),
        Column("list_status", "VARCHAR", "How the visit ended", True, one_of=LIST_STATUS),
        Column("fetched_at", "TIMESTAMPTZ", "When the list was last read"),
        Column("error", "VARCHAR", "Why the last visit failed"),
    ),
    key=("username",),
    group="lists",
    primary_key=False,
    partitioned=True,
    volatile=("fetched_at",),
    may_be_empty=True,
    published=False,
)

USERS = Table(
    "users",
    "Who was discovered, which batch they belong to for good, and how reading their list went",
    (
        _username(),
        _user_batch(),
        Column("discovered_at", "TIMESTAMPTZ", "When the name was first seen", True),
        Column("list_status", "VARCHAR",
               "ok: has rows; empty: has none; private, missing, error: no list was ever had; NULL: not read yet",
               one_of=LIST_STATUS),
        Column("entries", "INTEGER", "Rows of the list", low=0),
        Column("rated", "INTEGER", "Rows of the list with a score", low=0),
        Column("fetched_at", "TIMESTAMPTZ", "When the list was last read"),
        Column("error", "VARCHAR",
               "Why there is no list (private, vanished, renamed, empty), or why the last visit failed: the rows are "
               "then those of an earlier one"),
    ),
    key=("username",),
    group="sources",
    stored=("username", "user_batch", "discovered_at"),
    volatile=("discovered_at", "fetched_at"),
    select="""
        SELECT u.username, u.user_batch, u.discovered_at,
               CASE WHEN l.entries > 0 THEN 'ok' WHEN o.list_status <> 'ok' THEN o.list_status END AS list_status,
               CASE WHEN l.entries > 0 THEN l.entries WHEN o.list_status = 'empty' THEN 0 END AS entries,
               CASE WHEN l.entries > 0 THEN l.rated WHEN o.list_status = 'empty' THEN 0 END AS rated,
               o.fetched_at, o.error
        FROM stored.users u
        LEFT JOIN stored.list_outcomes o ON u.username = o.username AND u.user_batch = o.user_batch
        LEFT JOIN (SELECT username, user_batch, count(*)::INTEGER AS entries, count(score)::INTEGER AS rated
                   FROM stored.user_lists GROUP BY ALL) l
               ON u.username = l.username AND u.user_batch = l.user_batch""",
)  # fmt: skip

USER_LISTS = Table(
    "user_lists",
    "The users' lists, complete: one row a user and title, rated or not",
    (
        _user_batch(),
        _username(),
        _anime_id(),
        Column("title", "VARCHAR", "The title as the list shows it"),
        Column("score", "TINYINT", "The user's score, 1–10; NULL = listed, not scored", low=1, high=10),
        Column("status", "VARCHAR", "Where on the list it stands; NULL = the source does not say",
               one_of=LIST_STATES),
        Column("episodes_watched", "INTEGER", "Episodes watched, as the source says", low=0),
        Column("updated_at", "TIMESTAMPTZ", "When the user last changed the entry"),
    ),
    key=("username", "anime_id"),
    group="lists",
    primary_key=False,
    partitioned=True,
    order_by=("user_batch", "username", "anime_id"),
    references=(_USER,),
)  # fmt: skip

RATING_MATRIX = Table(
    "rating_matrix",
    "Every list row with a score: the ratings that the models learn from",
    (
        _user_batch(),
        _username(),
        _anime_id(),
        Column("rating", "TINYINT", "The user's score, 1–10", True, low=1, high=10),
    ),
    key=("username", "anime_id"),
    group="lists",
    primary_key=False,
    partitioned=True,
    order_by=("user_batch", "username", "anime_id"),
    references=(Reference(("username", "anime_id", "rating"), "user_lists", ("username", "anime_id", "score")),),
)

TITLE_BASELINES = Table(
    "title_baselines",
    "What a title's ratings say by themselves: how many, their mean, and how far it lies from the average title",
    (
        _anime_id(),
        Column("ratings", "INTEGER", "How many users of ours rated it", True, low=1),
        Column("mean", "REAL", "Mean of its ratings", True, low=1, high=10),
        Column("shrunk_mean", "REAL", "Its mean, drawn towards the mean of all ratings where it has few", True,
               low=1, high=10),
        Column("bias", "REAL", "Its part of the baseline: points above the global mean, regularised", True),
        Column("global_mean", "REAL", "The mean of all ratings, the same on every row", True, low=1, high=10),
        Column("effect", "REAL",
               "How far above the global mean it is rated, in units of a user's spread (about a point), drawn to what its "
               "content lets expect; NULL beyond `most_joint` ratings"),
        Column("listing", "REAL[]",
               "Where it stands among the lists, a vector of length ≤ 1; NULL beyond `most_joint` ratings"),
    ),
    key=("anime_id",),
    group="collaborative",
    references=(_RATED,),
)  # fmt: skip

SIMILARITY_MATRIX = Table(
    "similarity_matrix",
    "The most similar titles of each title, by their ratings: centred cosine, shrunk by support",
    (
        _anime_id(),
        Column("neighbour_id", "INTEGER", "A title that is rated alike", True),
        Column("rank", "SMALLINT", "1 = the most similar", True, low=1),
        Column("similarity", "REAL", "Shrunk centred cosine, -1…1", True, low=-1.00001, high=1.00001),
        Column("support", "INTEGER", "Users who rated both", True, low=1),
    ),
    key=("anime_id", "neighbour_id"),
    group="collaborative",
    order_by=("anime_id", "rank"),
    references=(_RATED, Reference(("neighbour_id",), "rating_matrix", ("anime_id",))),
    rules=(
        Rule("no title is its own neighbour", "similarity_matrix WHERE anime_id = neighbour_id"),
        _ranks("similarity_matrix", "anime_id"),
    ),
)

ITEM_WEIGHTS = Table(
    "item_weights",
    "Ranking weights: a title's score for a list is the sum of its weights over the list's titles",
    (
        Column("method", "VARCHAR", "How the weights were learnt", True, one_of=("ease", "slim")),
        _anime_id("The title that is scored"),
        Column("neighbour_id", "INTEGER", "A title that may stand on the list", True),
        Column("weight", "REAL", "What its standing there adds to the score; signed", True),
    ),
    key=("method", "anime_id", "neighbour_id"),
    group="collaborative",
)

RANKING_MODEL = Table(
    "ranking_model",
    "The learnt order of the recommendations: one row, or none where it was too large to learn and the weights rank",
    (
        Column("model_id", "VARCHAR", "The build: made from the content of its file", True),
        Column("created_at", "TIMESTAMPTZ", "When learning ended", True),
        Column("path", "VARCHAR", "The file (safetensors; titles only, no user), relative to the data dir", True),
        Column("sha256", "VARCHAR", "SHA-256 of the file", True),
        Column("bytes", "BIGINT", "Size of the file, in bytes", True, low=1),
        Column("config", "JSON", "Settings and seed of the learning", True),
        Column("titles", "INTEGER", "Titles that it can order", True, low=1),
        Column("list_rows", "BIGINT", "List rows that it was learnt from", True, low=1),
        Column("learn_seconds", "DOUBLE", "How long learning took, in seconds", True, low=0),
    ),
    key=("model_id",),
    group="collaborative",
    volatile=("created_at", "learn_seconds"),
    may_be_empty=True,
    rules=(Rule("at most one order ranks", "(SELECT count(*) AS builds FROM ranking_model) WHERE builds > 1"),),
)

CF_PREDICTIONS = Table(
    "cf_predictions",
    "Each user's best titles by collaborative filtering, the planned ones included, the listed ones not",
    (
        _user_batch(),
        _username(),
        _anime_id(),
        Column("rank", "SMALLINT", "1 = the best, by score", True, low=1),
        Column("score", "REAL", "The predicted rating less a margin for thin evidence; see the docs", True),
        Column(
            "predicted_rating",
            "REAL",
            "The rating that the user would give, 1–10, by the model `cf` that cf_metrics measures",
            True,
            low=1,
            high=10,
        ),
        Column(
            "support",
            "INTEGER",
            "Neighbours of the similarity table on the user's list; few widen the margin",
            True,
            low=0,
        ),
    ),
    key=("username", "anime_id"),
    group="collaborative",
    primary_key=False,
    partitioned=True,
    order_by=("user_batch", "username", "rank"),
    references=(_USER,),
    rules=(
        _ranks("cf_predictions", "username"),
        Rule("no prediction of a listed title", f"cf_predictions {_NOT_LISTED}", at_rest=True),
    ),
)


def _metrics(name: str, what: str, group: str) -> Table:
    return Table(
        name,
        f"How good {what} is on ratings it never saw, beside baselines on the same rows",
        (
            Column("model_id", "VARCHAR", "The build whose evaluation made the row, also on baseline rows", True),
            Column("protocol", "VARCHAR", "How rows were held out", True),
            Column("model", "VARCHAR", "Who predicts", True),
            Column("segment", "VARCHAR", "Which rows count; all = every one", True),
            Column(
                "metric",
                "VARCHAR",
                "mse, rmse, mae, r2; covered@90 = share of ratings inside of the stated "
                "90 % intervals, width@90 = their mean width",
                True,
            ),
            Column("versus", "VARCHAR", "Empty, or the model whose value is subtracted", True),
            Column("value", "DOUBLE", "The metric's value; NULL where it has none"),
            Column("ci_low", "DOUBLE", "Lower end of the 95 % interval, by bootstrap over users"),
            Column("ci_high", "DOUBLE", "Upper end of the 95 % interval"),
            Column("n", "INTEGER", "How many held-out rows (or users, for ranking) count", True, low=0),
            Column("computed_at", "TIMESTAMPTZ", "When it was measured", True),
        ),
        key=("model_id", "protocol", "model", "segment", "metric", "versus"),
        group=group,
        primary_key=False,
        volatile=("computed_at",),
        rules=(
            Rule(
                "no interval misses its value",
                f"{name} WHERE NOT (ci_low - 1e-9 <= value AND value <= ci_high + 1e-9)",
            ),
        ),
    )


CF_METRICS = _metrics("cf_metrics", "collaborative filtering", "collaborative")

DNN_MODEL = Table(
    "dnn_model",
    "The network's builds, one row each; the current one predicts",
    (
        Column("model_id", "VARCHAR", "The build: made from its data, settings and seed", True),
        Column("created_at", "TIMESTAMPTZ", "When training ended", True),
        Column("run_id", "VARCHAR", "The Dagster run that trained it", True),
        Column("path", "VARCHAR", "The weights (safetensors), relative to the data dir"),
        Column("sha256", "VARCHAR", "SHA-256 of the weights' file"),
        Column("config", "JSON", "Settings and seed of the training"),
        Column("device", "VARCHAR", "Where it was trained: cpu, cuda:0 …"),
        Column("parameters", "INTEGER", "How many weights the network has", low=1),
        Column("epochs", "INTEGER", "Epochs trained", low=0),
        Column("best_epoch", "INTEGER", "The epoch whose weights were kept", low=0),
        Column("train_rows", "INTEGER", "Ratings it was trained on", low=0),
        Column("train_seconds", "DOUBLE", "How long training took, in seconds", low=0),
        Column("is_current", "BOOLEAN", "Whether this build predicts; at most one does", True),
        Column("state", "VARCHAR", "accepted or refused by the gate; withdrawn = knows somebody who is forgotten", True,
               one_of=("accepted", "refused", "withdrawn")),
        Column("verdict", "VARCHAR", "Why, in words", True),
        Column("compared_with", "VARCHAR", "The build that predicted when this one was made"),
        Column("held_out", "INTEGER", "Held-out ratings that both predicted", low=0),
        Column("mse", "DOUBLE", "Mean squared error of this build on them", low=0),
        Column("difference", "DOUBLE", "This build's mean squared error less that of the one it was compared with"),
        Column("ci_low", "DOUBLE", "Lower end of the difference's 95 % interval, by bootstrap over users"),
        Column("ci_high", "DOUBLE", "Upper end of it"),
    ),
    key=("model_id",),
    group="deep",
    volatile=("created_at", "run_id", "train_seconds"),
    rules=(
        Rule("at most one build is current",
             "(SELECT count(*) AS current FROM dnn_model WHERE is_current) WHERE current > 1"),
    ),
)  # fmt: skip

DNN_METRICS = _metrics("dnn_metrics", "the network", "deep")

TITLE_MARKS = Table(
    "title_marks",
    "What users said of titles for good (`malsugoi mark`), as `recommendations` goes by it",
    (
        _user_batch(),
        _username(),
        _anime_id("The title"),
        Column("mark", "VARCHAR", "seen: counts like a completed title; not interested: never recommended", True,
               one_of=("seen", "not interested")),
    ),
    key=("username", "anime_id"),
    group="recommendations",
    primary_key=False,
    partitioned=True,
    may_be_empty=True,
    references=(_USER,),
)  # fmt: skip

RECOMMENDATIONS = Table(
    "recommendations",
    "What each user may want to watch next, with the entries of their own list that speak for it",
    (
        _user_batch(),
        _username(),
        _anime_id("The recommended title"),
        Column("rank", "SMALLINT", "1 = first", True, low=1),
        Column("score", "REAL",
               "The title's raw score for the list, by what ranks (the learnt order, else a sum of weights); -200 or 0 "
               "throughout where nothing on the list is known and popularity decides", True),
        Column("predicted_rating", "REAL", "The rating that the user would give, 1–10", True, low=1, high=10),
        Column("because", "STRUCT(anime_id INTEGER, title VARCHAR, weight REAL)[]",
               "The entries of the user's own list that added most: without one the raw score is lower by its weight"),
    ),
    key=("username", "anime_id"),
    group="recommendations",
    primary_key=False,
    partitioned=True,
    order_by=("user_batch", "username", "rank"),
    references=(
        _USER,
        Reference(("anime_id",), "anime_features", ("anime_id",), where="title IS NOT NULL"),
        Reference(("username", "anime_id"), "user_lists", ("username", "anime_id"), unnest="because"),
    ),
    rules=(
        _ranks("recommendations", "username"),
        Rule("nothing recommended that is listed", f"recommendations {_NOT_LISTED}", at_rest=True),
    ),
)  # fmt: skip

# In an order in which every table comes after those it refers to.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        RAW_ANIME_PAGES,
        ANIME_FEATURES,
        ANIME_RELATIONS,
        LIST_OUTCOMES,
        USERS,
        USER_LISTS,
        RATING_MATRIX,
        TITLE_BASELINES,
        SIMILARITY_MATRIX,
        ITEM_WEIGHTS,
        RANKING_MODEL,
        CF_METRICS,
        CF_PREDICTIONS,
        DNN_MODEL,
        DNN_METRICS,
        TITLE_MARKS,
        RECOMMENDATIONS,
    )
}

VIEWS: tuple[View, ...] = (
    View(
        "normalized_ratings",
        "Ratings with each title's shrunk mean subtracted: what is left is the user's own opinion",
        """SELECT m.user_batch, m.username, m.anime_id, m.rating,
                  m.rating - coalesce(b.shrunk_mean, avg(m.rating) OVER ()) AS normalized
           FROM rating_matrix m LEFT JOIN title_baselines b USING (anime_id)""",
    ),
    View(
        "headline",
        "The few figures that a newcomer wants to see",
        """SELECT 'titles' AS what, count(*)::DOUBLE AS figure FROM anime_features
           UNION ALL SELECT 'users', count(*) FROM users
           UNION ALL SELECT 'lists', count(*) FROM users WHERE list_status = 'ok'
           UNION ALL SELECT 'list rows', count(*) FROM user_lists
           UNION ALL SELECT 'ratings', count(*) FROM rating_matrix
           UNION ALL SELECT 'mean rating', round(avg(rating), 3) FROM rating_matrix
           UNION ALL SELECT 'recommendations', count(*) FROM recommendations
           UNION ALL (SELECT model || ' ' || metric, round(value, 4) FROM cf_metrics
                      WHERE segment = 'all' AND versus = '' AND metric IN ('mse', 'mae') AND model IN ('cf', 'bias')
                      ORDER BY ALL)
           UNION ALL (SELECT model || ' ' || metric, round(value, 4) FROM dnn_metrics
                      WHERE segment = 'all' AND versus = '' AND metric IN ('mse', 'mae') AND model IN ('blend', 'dnn')
                      ORDER BY ALL)""",
    ),
)
