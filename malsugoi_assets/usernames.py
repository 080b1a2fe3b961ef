"""Who counts as one user on a site: whatever the case in which the name is written."""

from __future__ import annotations


def canonical(username: str) -> str:
    """The same for all ways to write one user's name; for keys, never shown."""
    return username.casefold()
