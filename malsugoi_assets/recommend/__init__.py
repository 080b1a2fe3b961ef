"""Numbers only: similarity, rating prediction, ranking, the network. No Dagster, no DuckDB, no site."""
