"""What a person may want to know of ratings that are predicted batch by batch, summed as they are made."""

from __future__ import annotations

from collections import Counter

import dagster as dg
import numpy as np
import polars as pl

from malsugoi_assets.assets import previews

_EDGES = (1, 5, 6, 7, 7.5, 8, 8.5, 9)
_PLACES = 10


class PredictedRatings:
    """Sums over the batches so far.

    `batches`, `users`: how many; `histogram`: predictions by the rating they say.
    """

    def __init__(self) -> None:
        self.batches, self.users = 0, 0
        self.histogram = self._counted(pl.Series(dtype=pl.Float64))
        self._sums = np.zeros(3)
        self._most = previews.MostShown(_PLACES)

    def add(self, rows: pl.DataFrame) -> None:
        """Count a batch: username, anime_id, rank, predicted_rating."""
        rating = rows["predicted_rating"].cast(pl.Float64)
        values = rating.to_numpy()
        self.batches += 1
        self.users += rows["username"].n_unique()
        self._sums += np.array([len(values), values.sum(), (values**2).sum()])
        self.histogram.update(self._counted(rating))
        self._most.add(rows)

    @property
    def spread(self) -> float | None:
        """The standard deviation of all predictions, in rating points; None of less than two."""
        n, total, squares = self._sums
        return float(np.sqrt(max(squares - total**2 / n, 0) / (n - 1))) if n > 1 else None

    def preview(self, titles: pl.DataFrame) -> dg.MarkdownMetadataValue:
        """The titles that stand among the first of most users, by the names in `titles` (anime_id, title)."""
        return dg.MetadataValue.md(previews.table(self._most.shown(titles)))

    @staticmethod
    def _counted(ratings: pl.Series) -> Counter[str]:
        return Counter(previews.histogram(ratings, [*_EDGES]))
