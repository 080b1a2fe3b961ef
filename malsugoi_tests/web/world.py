"""A published data dir for the page's tests: a small invented world, with titles and names that mean harm among it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from starlette.testclient import TestClient

from malsugoi_assets.recommend.ease import EaseSettings, ease_top_weights
from malsugoi_assets.recommend.items import align_items
from malsugoi_assets.recommend.joint import learn_titles
from malsugoi_assets.recommend.neighbourhood import title_baselines
from malsugoi_assets.recommend.ratings import index_ratings
from malsugoi_assets.recommend.similarity import similar_titles
from malsugoi_assets.recommend.stored_titles import stored_baselines
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir
from malsugoi_assets.warehouse.schema import polars_schema
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_assets.web.app import build_app
from malsugoi_assets.web.limits import Limits
from malsugoi_tests.recommend.deep_world import small_items, small_ratings
from malsugoi_tests.recommend.frames import recommend
from malsugoi_tests.warehouse.frames import NOON, frame, write_lists

ADDRESS = "http://127.0.0.1:8000"
OWN = {"Origin": ADDRESS}
ITEMS, RATINGS = small_items(), small_ratings(30)
BATCH = "batch-000000"
EVIL_TITLE = '<script>alert("title")</script> & Co'
EVIL_NAME = '"><img src=x onerror=alert(1)>'
EVIL_ID = 103
UPCOMING, FAR = 900, 901
USER = "user00"


def features() -> pl.DataFrame:
    """The small world's titles, one of them called harm, two that are still to air."""
    known = ITEMS.features.with_columns(
        title=pl.when(pl.col("anime_id") == EVIL_ID).then(pl.lit(EVIL_TITLE)).otherwise(pl.col("title"))
    ).to_dicts()
    coming = {"type": "TV", "status": "Not yet aired", "genres": ["Action"], "age_rating": "PG-13"}
    known.append({**coming, "anime_id": UPCOMING, "title": "Tomorrow's Comet", "season": "Spring 2031"})
    known.append({**coming, "anime_id": FAR, "title": "Next Year's Comet", "aired_from": date(2032, 11, 1)})
    return frame("anime_features", *known)


def relations() -> pl.DataFrame:
    """The small world's sequels; what comes in spring goes on with title 100."""
    more = {"anime_id": UPCOMING, "relation": "Prequel", "related_kind": "anime", "related_id": 100}
    return frame("anime_relations", *ITEMS.relations.to_dicts(), more)


def lists() -> dict[str, dict[int, int | None]]:
    """Everybody's list; the last user is called harm."""
    found: dict[str, dict[int, int | None]] = {}
    for user, item, rating in zip(RATINGS.user, RATINGS.item, RATINGS.rating, strict=True):
        name = EVIL_NAME if user == RATINGS.n_users - 1 else f"user{user:02}"
        found.setdefault(name, {})[int(ITEMS.anime_id[item])] = None if np.isnan(rating) else int(rating)
    return found


def publish(root: Path, source: str = "files") -> DataDir:
    """The world as a published data dir of a source."""
    data_dir = DataDir(root)
    data_dir.claim(settings_of(root, source))
    lake, all_features, all_relations = data_dir.lake, features(), relations()
    lake.write(TABLES["anime_features"], all_features)
    lake.write(TABLES["anime_relations"], all_relations)
    write_lists(data_dir, BATCH, lists() | {"hidden": {}})
    data_dir.ledger.add([*lists(), "hidden"], batch_size=100)
    entries = lake.read("user_lists").collect()
    ratings, index = index_ratings(entries.filter(pl.col("score").is_not_null()))
    listed, _ = index_ratings(entries, anime_ids=index.anime_ids)
    items = align_items(index.anime_ids, all_features, all_relations)
    learnt = stored_baselines(index.anime_ids, title_baselines(ratings), learn_titles(listed, items))
    lake.write(TABLES["title_baselines"], learnt)
    near = similar_titles(ratings)
    pairs = {
        "anime_id": index.anime_ids[near.item],
        "neighbour_id": index.anime_ids[near.neighbour],
        "rank": near.rank,
        "similarity": near.similarity,
        "support": near.support,
    }
    lake.write(TABLES["similarity_matrix"], pl.DataFrame(pairs))
    weights = weights_of(entries)
    lake.write(
        TABLES["item_weights"],
        weights.with_columns(method=pl.lit("ease")).select(*polars_schema(TABLES["item_weights"])),
    )
    rows = recommend(
        entries, weights, all_features, all_relations, lambda some: pl.Series([7.5] * some.height, dtype=pl.Float32)
    )
    stored = rows.with_columns(user_batch=pl.lit(BATCH)).select(*polars_schema(TABLES["recommendations"]))
    lake.write(TABLES["recommendations"], stored, BATCH)
    metric = {"model_id": "m", "protocol": "hold-out", "model": "cf", "segment": "all", "metric": "mae", "versus": ""}
    figures = {"value": 0.9, "ci_low": 0.8, "ci_high": 1.0, "n": 100, "computed_at": NOON}
    lake.write(TABLES["cf_metrics"], frame("cf_metrics", metric | figures))
    build = {"model_id": "dnn-1", "created_at": NOON, "run_id": "r", "device": "cpu", "is_current": True} | {
        "state": "accepted",
        "verdict": "the first build",
    }
    lake.write(TABLES["dnn_model"], frame("dnn_model", build))
    data_dir.publisher.publish()
    return data_dir


def weights_of(entries: pl.DataFrame) -> pl.DataFrame:
    """EASE's weights of the lists: anime_id, neighbour_id, weight."""
    listed, index = index_ratings(entries)
    weights = ease_top_weights(listed, EaseSettings())
    return pl.DataFrame(
        {
            "anime_id": index.anime_ids[weights.item],
            "neighbour_id": index.anime_ids[weights.neighbour],
            "weight": weights.weight,
        }
    )


def settings_of(root: Path, source: str = "files") -> Settings:
    """Settings of the data dir."""
    folder = {"files_dir": str(root.parent)} if source == "files" else {}
    return Settings.load({}, data_dir=str(root), source=source, device="cpu", **folder)


@contextmanager
def browsing(root: Path, limits: Limits | None = None, source: str = "files", **more: Any) -> Iterator[TestClient]:
    """A visitor of the data dir's page, who keeps cookies."""
    with TestClient(build_app(settings_of(root, source), limits), base_url=ADDRESS, **more) as client:
        yield client


def export(scores: Mapping[int, int], *, owner: str | None = "me", packed: bool = True) -> bytes:
    """An export as MyAnimeList makes it."""
    who = f"<myinfo><user_name><![CDATA[{owner}]]></user_name></myinfo>" if owner else ""
    entries = "".join(
        f"<anime><series_animedb_id>{anime_id}</series_animedb_id>"
        f"<series_title><![CDATA[{EVIL_TITLE if anime_id == EVIL_ID else f'Title {anime_id}'}]]></series_title>"
        f"<my_score>{score}</my_score><my_status>Completed</my_status></anime>"
        for anime_id, score in scores.items()
    )
    text = f'<?xml version="1.0" encoding="UTF-8" ?><myanimelist>{who}{entries}</myanimelist>'.encode()
    return gzip.compress(text) if packed else text


LIKES = {100: 9, 101: 3, EVIL_ID: 10, 104: 8, 112: 10}


def send(client: TestClient, body: bytes, name: str = "animelist.xml.gz", **headers: str) -> Any:
    """Upload a file as the start page's form does."""
    return client.post("/upload", files={"file": (name, body)}, headers=OWN | headers)
