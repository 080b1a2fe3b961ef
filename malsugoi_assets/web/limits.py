"""How much the page takes from anybody, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of what a visitor may send, hold and ask for."""

    upload_bytes: int = 32 * 2**20
    """An export, packed and unpacked: of 30,000 entries, which is all the site has, some 20 MiB."""
    body_bytes: int = 64 * 2**10
    """Any other request body."""
    drained_bytes: int = 2**30
    """A body that is refused is read and thrown away up to this size, so that a browser shows the answer."""
    body_seconds: float = 60.0
    """Within this time a request's body must have arrived."""
    uploads_at_once: int = 4
    entries: int = 50_000
    """Entries of a list."""
    sessions: int = 200
    """Uploaded lists in memory; the one not used for longest makes room."""
    session_entries: int = 1_000_000
    """Entries of all of them together."""
    session_seconds: float = 3600.0
    """A list that nobody looked at for so long is thrown away."""
    text: int = 200
    """Characters of a name or of a title that is looked for."""
    answers: int = 256
    """Recommendations kept so that nobody waits twice for them."""
    threads: int = 8
    """Requests worked on at once; others wait in line."""
    computing: int = 2
    """Of these lists that are ranked at once, so that answers which are known already don't wait for them."""
