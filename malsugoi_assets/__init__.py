"""MALSugoi: from MyAnimeList's pages to recommendations, as Dagster assets in DuckDB.

The rooms of the house, in the order the arrows point (each imports only what stands below it):
`app` → `definitions` → `assets`, `automation`, `checks` → `resources` →
`files`, `mal`, `warehouse`, `evaluation` → `recommend`. On the ground, open to all: `disk`, `machine`.
"""
