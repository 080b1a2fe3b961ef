"""What is to air, the best fit first: by what the titles are, since nobody has rated them yet."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import date

import polars as pl

from malsugoi_assets.recommend.franchises import NOTHING_PASSED
from malsugoi_assets.recommend.people import people
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings
from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.people import Person
from malsugoi_assets.web.records import NextSeason, Title, Upcoming

_QUARTERS = ("Winter", "Spring", "Summer", "Fall")
LATER = "Later"
_SHOWN = 40


def next_season(knowledge: Knowledge, person: Person, asked: str | None, today: date) -> NextSeason:
    """The titles of a season (the next one unless `asked` names another one that is known) that are to air.

    What goes on with something unseen comes last: a special of it would stand first for its genres alone.
    """
    by_season = _upcoming(knowledge, today)
    seasons = _next_first(sorted(by_season, key=_order), _season_of(today))
    if not seasons:
        return NextSeason(season=None, seasons=[], items=[])
    season = asked if asked in by_season else seasons[0]
    taste = knowledge.words.taste({i: float(score) for i, score in person.scores.items()})
    candidates = [i for i in by_season[season] if i not in person.listed]
    needs = _needs(knowledge, person, candidates)
    fits = sorted(knowledge.words.rank(taste, candidates, knowledge.related), key=lambda fit: fit.anime_id in needs)
    items = [
        Upcoming(
            rank=rank,
            anime=knowledge.titles[fit.anime_id],
            fit=round(fit.score, 3),
            words=list(fit.words),
            goes_on_with=knowledge.titles.get(fit.goes_on_with) if fit.goes_on_with is not None else None,
            waits=fit.anime_id in needs,
            needs=_named(knowledge, needs.get(fit.anime_id), fit.anime_id),
        )
        for rank, fit in enumerate(fits[:_SHOWN], start=1)
    ]
    return NextSeason(season=season, seasons=seasons, items=items)


def _named(knowledge: Knowledge, first: int | None, title: int) -> Title | None:
    """The title to begin with; None where it has no name here, as one that the catalogue does not hold, or is the title itself."""
    return knowledge.titles.get(first) if first is not None and first != title else None


def _needs(knowledge: Knowledge, person: Person, candidates: Iterable[int]) -> dict[int, int]:
    """Of the candidates those before which something unseen comes, with what one has to begin."""
    franchises = knowledge.franchises
    some = people(person.entries, franchises, RecommendationSettings())
    known = next(((one.seen, one.passed) for one in some), (set[int](), NOTHING_PASSED))
    found = {i: franchises.entry_point(i, *known) for i in candidates if franchises.missing(i, *known)}
    return {i: i if entry is None else entry for i, entry in found.items()}


def _upcoming(knowledge: Knowledge, today: date) -> dict[str, list[int]]:
    """The titles that are to air, by season; of those whose season isn't known the date says it, else they come later."""
    waiting = pl.col("status").str.to_lowercase().str.starts_with("not yet").fill_null(False)
    adult = pl.col("age_rating").str.starts_with("Rx").fill_null(False)
    rows = knowledge.features.filter((waiting | (pl.col("aired_from") > today).fill_null(False)) & ~adult)
    found: dict[str, list[int]] = defaultdict(list)
    for anime_id, season, aired in rows.select("anime_id", "season", "aired_from").iter_rows():
        if anime_id in knowledge.titles:
            found[season or _season_of(aired)].append(anime_id)
    return dict(found)


def _next_first(seasons: list[str], now: str) -> list[str]:
    """From the season of today on; those of before, of titles that never came, after all others. All as they are where
    everything was to air before, in a catalogue that is old.
    """
    coming = [season for season in seasons if season != LATER and _order(season) >= _order(now)]
    over = [season for season in seasons if season != LATER and _order(season) < _order(now)]
    return seasons if not coming else coming + [season for season in seasons if season == LATER] + over


def _season_of(aired: date | None) -> str:
    return f"{_QUARTERS[(aired.month - 1) // 3]} {aired.year}" if aired else LATER


def _order(season: str) -> tuple[int, int, str]:
    known = re.fullmatch(r"(Winter|Spring|Summer|Fall) (\d{4})", season)
    return (int(known[2]), _QUARTERS.index(known[1]), season) if known else (9999, 9, season)
