"""Which of the site's genre names are themes and which demographics.

Pages have shown the three apart since May 2021; the official API still gives one list. A name that stands here in no
group is a genre, as on the pages of the years before.
"""

from __future__ import annotations

from collections.abc import Iterable

DEMOGRAPHICS = frozenset({"Josei", "Kids", "Seinen", "Shoujo", "Shounen"})
THEMES = frozenset(
    {
        "Adult Cast", "Anthropomorphic", "CGDCT", "Childcare", "Combat Sports", "Crossdressing", "Delinquents",
        "Detective", "Educational", "Gag Humor", "Gore", "Harem", "High Stakes Game", "Historical", "Idols (Female)",
        "Idols (Male)", "Isekai", "Iyashikei", "Love Polygon", "Love Status Quo", "Magical Sex Shift", "Mahou Shoujo",
        "Martial Arts", "Mecha", "Medical", "Memoir", "Military", "Music", "Mythology", "Organized Crime",
        "Otaku Culture", "Parody", "Performing Arts", "Pets", "Psychological", "Racing", "Reincarnation",
        "Reverse Harem", "Romantic Subtext", "Samurai", "School", "Showbiz", "Space", "Strategy Game", "Super Power",
        "Survival", "Team Sports", "Time Travel", "Urban Fantasy", "Vampire", "Video Game", "Villainess",
        "Visual Arts", "Workplace",
    }
)  # fmt: skip


def grouped(names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """(genres, themes, demographics), each name once and in the order given."""
    unique = tuple(dict.fromkeys(names))
    return (
        tuple(n for n in unique if n not in THEMES and n not in DEMOGRAPHICS),
        tuple(n for n in unique if n in THEMES),
        tuple(n for n in unique if n in DEMOGRAPHICS),
    )
