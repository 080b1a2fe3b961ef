"""The front door: what `dagster …` finds, by the environment alone. The commands have settings of their own, and come in
by `assembly`.
"""

from __future__ import annotations

from malsugoi_assets.assembly import build_definitions

defs = build_definitions()
