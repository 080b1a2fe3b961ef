"""How long an episode is, as the site writes it: '24 min. per ep.', '1 hr. 55 min.', '30 sec.'."""

from __future__ import annotations

import re

_DURATION = re.compile(
    r"(?:(\d{1,3})\s*hr?s?\.?)?\s*(?:(\d{1,4})\s*mins?\.?)?\s*(?:(\d{1,4})\s*secs?\.?)?\s*(?:per\s+ep\.?)?", re.I
)


def minutes_of(text: str) -> float | None:
    """Minutes an episode; None where it is not known, or cannot be read."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = hours * 60 + minutes + seconds / 60
    return round(total, 2) or None
