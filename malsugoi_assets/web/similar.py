"""Titles like another one out of a published state, for the page, the API and `malsugoi similar` alike."""

from __future__ import annotations

from dataclasses import dataclass

from malsugoi_assets.recommend.similar import Similar, SimilarTitles
from malsugoi_assets.web.published import Published


@dataclass(frozen=True)
class Like:
    """The titles most like one, the best first; how many users rated both, by id (absent: nobody); its own series' ids."""

    titles: list[Similar]
    rated_both: dict[int, int]
    series: list[int]


def like(state: Published, titles: SimilarTitles, anime_id: int, most: int, *, own_franchise: bool = False) -> Like:
    """At most `most` titles, by `SimilarTitles.like`; all is empty for a title that the catalogue does not hold."""
    found = titles.like(anime_id, most, own_franchise=own_franchise)
    both = _rated_both(state, anime_id, [other.anime_id for other in found])
    return Like(found, both, titles.own_franchise(anime_id))


def _rated_both(state: Published, anime_id: int, others: list[int]) -> dict[int, int]:
    counted = state.rows(
        "SELECT b.anime_id, count(*) AS users FROM rating_matrix a JOIN rating_matrix b USING (user_batch, username) "
        "WHERE a.anime_id = $1 AND b.anime_id IN (SELECT unnest($2::INTEGER[])) GROUP BY 1",
        anime_id,
        others,
    )
    return {row["anime_id"]: row["users"] for row in counted}
