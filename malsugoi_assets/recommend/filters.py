"""Which titles of a catalogue may stand on anybody's list: rules that hold for good, and filters that may give way.

What belongs here: what a title's own row says. What follows from somebody's list stands in `choosing`.
"""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from malsugoi_assets.recommend.content import GENRES
from malsugoi_assets.recommend.recommendation_settings import (
    ADULT,
    AGES,
    BETWEEN_WORDS,
    SHORTS,
    RecommendationSettings,
    spelling,
)

Mask = npt.NDArray[np.bool_]

RELAXING = {
    "least_members": "fewer (or unknown) members than asked for",
    "least_episodes": "fewer (or unknown) episodes than asked for",
    "most_episodes": "more (or unknown) episodes than asked for",
    "minutes": "shorter or longer (or unknown) episodes than asked for",
    "hours": "less or more (or unknown) time than asked for",
    "least_score": "a lower (or no) score on the site than asked for",
    "years": "another (or unknown) year than asked for",
    "genres": "another genre than asked for",
}
"""The filters that give way where the list would stay short, in this order, and what that means in words."""
GIVING_WAY = {"per_franchise": "more of one series than asked for"} | RELAXING
"""All that gives way, the number a franchise first."""
_KEPT_MASKS = 256
_RULING = ("adult", "ages", "recaps", "states", "types", "without_genres")
"""The settings that `_rules` reads."""
_TELLING = ("type", "status", "aired_from", "episodes", "members", "score")
_MOST = 0.5
_STATES = {"finished": "finished", "airing": "currently", "upcoming": "not yet"}


@dataclass(frozen=True)
class Allowed:
    """Masks over the catalogue's titles, sorted by id.

    `rules`: what holds for good, by what it says of a title outside ("it is a recap"); `relaxing`: filters by their
    names in `RELAXING`, those that were asked for; `always`: the rules together; `strictly`: rules and filters together.
    """

    rules: dict[str, Mask]
    relaxing: dict[str, Mask]
    always: Mask
    strictly: Mask

    def against(self, place: int) -> list[str]:
        """In words, what keeps the title at `place` off every list; then the filters, which may give way."""
        found = [words for words, mask in self.rules.items() if not mask[place]]
        return found + [RELAXING[name] for name, mask in self.relaxing.items() if not mask[place]]


@dataclass(frozen=True)
class Between:
    """Passes titles whose number (a name in `_numbers`) is known and lies within both bounds; all where none is known."""

    number: str
    least: float = -np.inf
    most: float = np.inf


class Masks:
    """Masks over a catalogue's titles by the rules they stand for; the last ones are kept, since settings share most rules.

    Never to be changed by those who get them.
    """

    def __init__(self, features: pl.DataFrame) -> None:
        """`features`: columns of `anime_features`.

        What is unknown passes what holds without asking, and nothing that was asked for, unless the catalogue knows it of
        no title.
        """
        self.frame = features.sort("anime_id")
        self._kept: OrderedDict[bytes, Mask] = OrderedDict()
        self._rules: OrderedDict[tuple[object, ...], tuple[dict[str, Mask], Mask]] = OrderedDict()

    def of(self, passes: Mapping[str, pl.Expr | Between]) -> dict[str, Mask]:
        """Of each rule, given by what passes it, the mask."""
        # Bounds are read off at once; they may be any number, so none is kept.
        found = {name: self._between(rule) for name, rule in passes.items() if isinstance(rule, Between)}
        worded = {name: rule for name, rule in passes.items() if isinstance(rule, pl.Expr)}
        keys = {name: rule.meta.serialize() for name, rule in worded.items()}
        kept = {key: mask for key in keys.values() if (mask := self._kept.get(key)) is not None}
        new = {name: rule for name, rule in worded.items() if keys[name] not in kept}
        if new:
            made = self.frame.select(rule.fill_null(True).alias(name) for name, rule in new.items())
            kept |= {keys[name]: made[name].to_numpy().astype(np.bool_) for name in new}
            self._kept.update((keys[name], kept[keys[name]]) for name in new)
            while len(self._kept) > _KEPT_MASKS:
                self._kept.popitem(last=False)
        return found | {name: kept[key] for name, key in keys.items()}

    def rules(self, settings: RecommendationSettings, recaps: frozenset[int]) -> tuple[dict[str, Mask], Mask]:
        """What holds for good, by `allowed`'s arguments, and all of it together: few settings change it."""
        key = (recaps, *(getattr(settings, name) for name in _RULING))
        if (found := self._rules.get(key)) is None:
            rules = self.of(_rules(self.frame, settings, recaps))
            found = self._rules[key] = rules, _all_of(self.frame.height, rules.values())
            while len(self._rules) > _KEPT_MASKS:
                self._rules.popitem(last=False)
        return found

    def without(self, barred: frozenset[int]) -> Mask:
        """The titles that are not `barred`."""
        found: Mask = ~np.isin(self._ids, np.fromiter(barred, np.int64, len(barred)))
        return found

    def _between(self, bounds: Between) -> Mask:
        number = self._numbers[bounds.number]
        found: Mask = (number >= bounds.least) & (number <= bounds.most)
        return found | np.isnan(number).all()

    @cached_property
    def _ids(self) -> npt.NDArray[np.int64]:
        return self.frame["anime_id"].to_numpy().astype(np.int64)

    @cached_property
    def _numbers(self) -> dict[str, npt.NDArray[np.float64]]:
        """What filters with bounds go by, NaN where it is not known."""
        minutes = _number(self.frame, "episode_minutes")
        numbers = {
            "members": _number(self.frame, "members"),
            "episodes": _number(self.frame, "episodes"),
            "minutes": minutes,
            "hours": minutes * _number(self.frame, "episodes") / 60,
            "score": _number(self.frame, "score"),
            "year": pl.col("aired_from").dt.year() if "aired_from" in self.frame.columns else _number(self.frame, ""),
        }
        made = self.frame.select(
            n.cast(pl.Float64).fill_null(float("nan")).alias(name) for name, n in numbers.items()
        )
        return {name: made[name].to_numpy() for name in numbers}


def _all_of(size: int, masks: Iterable[Mask]) -> Mask:
    found: Mask = np.logical_and.reduce([np.ones(size, np.bool_), *masks])
    return found


def allowed(
    masks: Masks,
    settings: RecommendationSettings,
    recaps: frozenset[int],
    barred: frozenset[int] = frozenset(),
) -> Allowed:
    """What the settings allow of the titles behind `masks`.

    `recaps`: titles that only repeat others; `barred`: titles that somebody said not to want.
    """
    size = masks.frame.height
    rules, always = masks.rules(settings, recaps)
    if barred:
        left = masks.without(barred)
        rules, always = rules | {"you said that it does not interest you": left}, always & left
    wanted = masks.of(_filters(masks.frame, settings))
    relaxing = {name: wanted[name] for name in RELAXING if name in wanted}
    return Allowed(rules, relaxing, always, _all_of(size, [always, *relaxing.values()]))


def _rules(frame: pl.DataFrame, settings: RecommendationSettings, recaps: frozenset[int]) -> dict[str, pl.Expr]:
    """What holds for good, each as what it says of a title that does not pass."""
    age = pl.col("age_rating").str.extract(r"^(\S+)")
    kind = pl.col("type").str.to_lowercase()
    adult = age.eq("Rx").fill_null(False) | pl.col("genres").list.contains(ADULT.capitalize()).fill_null(False)
    rules = {
        "its title is not known": pl.col("title").is_not_null(),
        "it is for adults only": ~adult | pl.lit(settings.adult or "Rx" in settings.ages),
        "it is a recap": ~pl.col("anime_id").is_in(sorted(recaps)) | pl.lit(settings.recaps),
        f"it is {_listed(settings.states, 'not ')}": _in_states(frame, settings.states),
        "it is a music video or an advertisement": ~kind.is_in([name.lower() for name in SHORTS])
        | pl.lit(bool(settings.types)),
    }
    if (known := _is_known(frame)) is not None:
        rules["the catalogue knows nothing of it but its name"] = known
    if settings.types:
        wanted = kind.is_in([name.lower() for name in settings.types])
        rules[f"it is no {_listed(settings.types)}"] = wanted.fill_null(frame["type"].null_count() == frame.height)
    if settings.ages:
        rules[f"it is not rated {_listed(settings.ages)}"] = age.is_in([*settings.ages]).fill_null(
            frame["age_rating"].null_count() == frame.height
        )
    if settings.without_genres:
        # No other rule begins so: what somebody types cannot stand in for one.
        rules[f"you avoid {_listed(settings.without_genres)}"] = ~_has_any(frame, settings.without_genres)
    return rules


def _in_states(frame: pl.DataFrame, states: tuple[str, ...]) -> pl.Expr:
    """Whether a title's status is one of these. One of unknown status has most likely aired: it passes where nothing was
    asked for.
    """
    known = pl.any_horizontal(
        pl.lit(False), *(pl.col("status").str.to_lowercase().str.starts_with(_STATES[state]) for state in states)
    )
    asked = {*states} != {*RecommendationSettings().states} and frame["status"].count()
    return known.fill_null(False) if asked else known


def _is_known(frame: pl.DataFrame) -> pl.Expr | None:
    """Whether the catalogue knows more than the name of a title that the site has; None where it does of few at all.

    What is newer than the catalogue may follow something: nobody can tell.
    """
    told = [name for name in _TELLING if name in frame.columns]
    if not told or not frame.height:
        return None
    more = pl.any_horizontal(pl.col(name).is_not_null() for name in told)
    return more | (pl.col("anime_id") < 0) if frame.select(more.mean()).item() > _MOST else None


def _filters(frame: pl.DataFrame, settings: RecommendationSettings) -> dict[str, pl.Expr | Between]:
    """The filters that were asked for."""
    found: dict[str, pl.Expr | Between] = {}
    if settings.least_members:
        found["least_members"] = Between("members", settings.least_members)
    if settings.least_episodes:
        found["least_episodes"] = Between("episodes", settings.least_episodes)
    if settings.most_episodes is not None:
        found["most_episodes"] = Between("episodes", most=settings.most_episodes)
    if settings.least_minutes or settings.most_minutes is not None:
        found["minutes"] = _between("minutes", settings.least_minutes, settings.most_minutes)
    if settings.least_hours or settings.most_hours is not None:
        found["hours"] = _between("hours", settings.least_hours, settings.most_hours)
    if settings.least_score is not None:
        found["least_score"] = Between("score", settings.least_score)
    if settings.first_year is not None or settings.last_year is not None:
        found["years"] = _between("year", settings.first_year or 0, settings.last_year)
    if settings.genres:
        found["genres"] = pl.all_horizontal(_has_any(frame, (genre,)) for genre in settings.genres)
    return found


def _between(number: str, least: float, most: float | None) -> Between:
    return Between(number, least, np.inf if most is None else most)


def _number(frame: pl.DataFrame, column: str) -> pl.Expr:
    """The column; unknown for all in a catalogue without it."""
    return pl.col(column) if column in frame.columns else pl.repeat(None, pl.len(), dtype=pl.Float64)


def _has_any(frame: pl.DataFrame, genres: tuple[str, ...]) -> pl.Expr:
    """Whether a title has one of the genres, themes or demographics, however they are spelt."""
    wanted = [spelling(genre) for genre in genres]
    columns = [name for name in GENRES if name in frame.columns]
    return pl.any_horizontal(
        pl.lit(False),
        *(
            pl.col(name)
            .list.eval(pl.element().str.to_lowercase().str.replace_all(BETWEEN_WORDS, " ").is_in(wanted))
            .list.any()
            .fill_null(False)
            for name in columns
        ),
    )


def words_of(features: pl.DataFrame) -> dict[str, list[str]]:
    """What the settings of these names may name: types (the most frequent first) and genres of the catalogue, age ratings.

    A genre that a catalogue spells in several ways is there once: "Sci-Fi" before "sci_fi".
    """
    types = features["type"].drop_nulls().value_counts(sort=True)["type"].to_list()
    columns = [column for column in GENRES if column in features.columns]
    spelt = pl.concat([features[column].explode() for column in columns]).drop_nulls().unique().sort().to_list()
    genres = sorted({spelling(genre): genre for genre in reversed(spelt)}.values(), key=str.lower)
    return {"types": types, "genres": genres, "without_genres": genres, "ages": list(AGES)}


def unknown_word(words: Mapping[str, Sequence[str]], settings: RecommendationSettings) -> tuple[str, str, str] | None:
    """The first setting that names what no title is, that word, and what may have been meant; None where each is known.

    `words`: as `words_of` has them.
    """
    for name, known in words.items():
        if known and (asked := getattr(settings, name)):
            by_spelling = {spelling(word): word for word in known}
            for word in asked:
                if spelling(word) not in by_spelling:
                    close = difflib.get_close_matches(spelling(word), by_spelling, n=3, cutoff=0.5)
                    return name, word, ", ".join(by_spelling[key] for key in close) or ", ".join(known[:12])
    return None


def _listed(words: tuple[str, ...], before: str = "") -> str:
    return " or ".join(f"{before}{word}" for word in words)
