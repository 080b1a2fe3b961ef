"""Checks that no declaration implies: figures that would tell a person that something is wrong. They warn."""

import dagster as dg

from malsugoi_assets.resources.warehouse import Warehouse

MOST_UNPARSED = 0.02
MOST_PRIVATE = 0.5
LEAST_SPREAD = 0.05


def _figure(warehouse: Warehouse, sql: str) -> float | None:
    with warehouse.get_connection() as con:
        row = con.execute(sql).fetchone()
    return float(row[0]) if row and row[0] is not None else None


def _result(figure: float | None, passed: bool, expected: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"actual": "nothing to look at" if figure is None else figure, "expected": expected},
    )


@dg.asset_check(asset="anime_features", description="Nearly every good page could be parsed.")
def share_of_unparsed_pages(warehouse: Warehouse) -> dg.AssetCheckResult:  # noqa: D103
    share = _figure(
        warehouse,
        "SELECT count(*) FILTER (f.anime_id IS NULL) / count(*) FROM raw_anime_pages p "
        "LEFT JOIN anime_features f USING (anime_id) WHERE p.http_status = 200",
    )
    return _result(share, share is None or share <= MOST_UNPARSED, f"at most {MOST_UNPARSED:.0%}")


@dg.asset_check(asset="user_lists", description="Most users' lists can be read.")
def share_of_private_lists(warehouse: Warehouse) -> dg.AssetCheckResult:  # noqa: D103
    share = _figure(
        warehouse, "SELECT avg((list_status IN ('private', 'error'))::INT) FROM users WHERE list_status IS NOT NULL"
    )
    return _result(share, share is None or share <= MOST_PRIVATE, f"at most {MOST_PRIVATE:.0%}")


@dg.asset_check(
    asset="rating_matrix", description="Ratings are spread as people's ratings are: the mean between 5 and 9."
)
def ratings_distribution(warehouse: Warehouse) -> dg.AssetCheckResult:  # noqa: D103
    mean = _figure(warehouse, "SELECT avg(rating) FROM rating_matrix")
    return _result(mean, mean is None or 5 <= mean <= 9, "a mean between 5 and 9")


@dg.asset_check(asset="cf_predictions", description="Predictions differ from user to user and title to title.")
def constant_predictions(warehouse: Warehouse) -> dg.AssetCheckResult:  # noqa: D103
    spread = _figure(warehouse, "SELECT stddev(predicted_rating) FROM cf_predictions")
    return _result(
        spread, spread is None or spread >= LEAST_SPREAD, f"a standard deviation of at least {LEAST_SPREAD}"
    )


PLAUSIBLE = [share_of_unparsed_pages, share_of_private_lists, ratings_distribution, constant_predictions]
