"""Finding a title by what a person types: any of its names, without accents, case and punctuation, typos forgiven."""

from __future__ import annotations

import difflib
import re
import unicodedata
from dataclasses import dataclass

import polars as pl

_GOOD_ENOUGH = 0.72


@dataclass(frozen=True)
class Found:
    """`anime_id` of the match (None = no name comes close), and other titles that may have been meant."""

    anime_id: int | None
    suggestions: tuple[str, ...]


def find_title(query: str, features: pl.DataFrame) -> Found:
    """The title that is meant: an id, else a name as written, else one that starts so, else the most alike.

    Where several titles fit equally well the one with the most members wins. `features`: as `anime_features`.
    """
    ids = set(features["anime_id"].to_list())
    if re.fullmatch(r"-?\d+", query.strip()) and int(query) in ids:
        return Found(int(query), ())
    wanted = plain(query)
    names: dict[str, int] = {}
    main: dict[int, str] = {}
    order = features.sort("members", "anime_id", descending=[True, False], nulls_last=True)
    for anime_id, title, english, japanese, synonyms in order.select(
        "anime_id", "title", "title_english", "title_japanese", "synonyms"
    ).iter_rows():
        main[anime_id] = title or ""
        for name in (title, english, japanese, *(synonyms or ())):
            if name:
                names.setdefault(plain(name), anime_id)
    if not wanted:
        return Found(None, ())
    if wanted in names:
        return Found(names[wanted], ())
    starting = [name for name in names if name.startswith(wanted)]
    close = difflib.get_close_matches(wanted, names, n=6, cutoff=0.5)
    if starting:
        best: str | None = starting[0]
    elif close and difflib.SequenceMatcher(None, wanted, close[0]).ratio() >= _GOOD_ENOUGH:
        best = close[0]
    else:
        best = None
    others = [names[name] for name in [*starting, *close] if name != best]
    suggestions = tuple(dict.fromkeys(main[i] for i in others if best is None or i != names[best]))[:5]
    return Found(names[best] if best else None, suggestions)


def plain(name: str) -> str:
    """The name in lower case, without accents and punctuation, with single blanks."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(c if c.isalnum() else " " for c in decomposed if not unicodedata.combining(c))
    return " ".join(letters.split()) or name.strip()
