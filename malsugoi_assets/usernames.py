"""What a user may be called here, and who counts as one user on a site: whatever the case in which the name is written."""

from __future__ import annotations

import re

_NAME = re.compile(r"\w[\w.\-]{0,63}")


def canonical(username: str) -> str:
    """The same for all ways to write one user's name; for keys, never shown."""
    return username.casefold()


def is_name(text: str) -> bool:
    """Whether a user may be called so here: letters, digits, '_', '-' and '.', at most 64, not beginning with a mark."""
    return _NAME.fullmatch(text) is not None
