"""A local site that answers like MyAnimeList: invented world, real page structure, faults on demand.

`lifecycle` finds and starts it, `server` answers, `pages` writes HTML from the `world`. See docs/replica.md.
"""

from __future__ import annotations

from malsugoi_assets.mal.replica.lifecycle import ReplicaError, ensure_replica, replica_status, serve, stop_replica
from malsugoi_assets.mal.replica.world import World

__all__ = ["ReplicaError", "World", "ensure_replica", "replica_status", "serve", "stop_replica"]
