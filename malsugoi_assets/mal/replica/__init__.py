"""A local site that answers like MyAnimeList: invented world, real page structure, faults on demand.

`lifecycle` finds and starts it, `server` answers, `pages` writes HTML from the `world`. See docs/replica.md.
Importing this package stays light: the world and its arrays are loaded by the process that serves.
"""

from __future__ import annotations

from malsugoi_assets.mal.replica.lifecycle import ReplicaError, ensure_replica, replica_status, serve, stop_replica

__all__ = ["ReplicaError", "ensure_replica", "replica_status", "serve", "stop_replica"]
