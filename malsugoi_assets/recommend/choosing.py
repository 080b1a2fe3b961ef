"""From scores to a list: what somebody has seen decides what is open, and few of a franchise stand on one list.

In this order titles drop out: what the catalogue's row forbids (`filters`); those on the list; those of a franchise that
the user dropped or scored low (under `forgiving` what follows such an entry); what needs something unseen (the
franchise's entry point is offered instead, between the two scores); what exceeds the number a franchise. Where that leaves too few, the number a franchise gives way, then the filters of
`filters.RELAXING`, one after the other; the other rules never do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

from malsugoi_assets.recommend.filters import Allowed
from malsugoi_assets.recommend.franchises import Franchises
from malsugoi_assets.recommend.people import Person
from malsugoi_assets.recommend.ratings import IntArray
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings

_FIRST_LOOK = 512
# Chosen on two inner splits of train rows; between .65 and .75 nothing changes.
_TOWARDS = 0.7
Scores = npt.NDArray[np.float32]
UNSEEN_BEFORE = "something that comes before it is not seen yet"


@dataclass(frozen=True)
class Choice:
    """A title by its place in the catalogue; `gave_way`: the rule that had to give way for it, '' where none had to."""

    place: int
    gave_way: str = ""


@dataclass(frozen=True)
class Catalogue:
    """What choosing needs to know of the titles, which are numbered by sorted id.

    `ids`: int32 (n,); `by_popularity`: all places, the most popular first; `genres`: float32 (n, genres), rows of
    length 1 or 0.
    """

    ids: IntArray
    by_popularity: npt.NDArray[np.int64]
    allowed: Allowed
    franchises: Franchises
    genres: Scores

    def place(self, anime_id: int) -> int | None:
        """Where the title stands in `ids`; None for one that the catalogue does not hold."""
        place = int(np.searchsorted(self.ids, anime_id))
        return place if place < len(self.ids) and self.ids[place] == anime_id else None


def choose(person: Person, score: Scores, titles: Catalogue, settings: RecommendationSettings) -> list[Choice]:
    """At most `settings.length` titles, the best first; `score`: float32 (n,), the higher the better."""
    strict = titles.allowed.strictly
    chosen: list[Choice] = []
    spare: list[tuple[int, str]] = []
    per_franchise: Counter[int] = Counter()
    offered = _offered(person, score, titles, settings)
    for place in in_watch_order(offered, titles) if settings.next_in_series else offered:
        franchise = titles.franchises.franchise(int(titles.ids[place]))
        if not strict[place]:
            spare.append((place, _first_to_give_way(place, titles.allowed)))
        elif per_franchise[franchise] >= settings.per_franchise:
            spare.append((place, "per_franchise"))
        else:
            per_franchise[franchise] += 1
            chosen.append(Choice(place))
            if len(chosen) == settings.length:
                return chosen
    order = ["per_franchise", *titles.allowed.relaxing]
    spare.sort(key=lambda pair: order.index(pair[1]))
    return chosen + [Choice(*pair) for pair in spare[: settings.length - len(chosen)]]


def verdict(person: Person, anime_id: int, titles: Catalogue, settings: RecommendationSettings) -> str:
    """In words, the first rule that keeps a title off the list; '' where none does. For `explain`."""
    place = titles.place(anime_id)
    if place is None:
        return "the catalogue does not hold it"
    if against := titles.allowed.against(place):
        return against[0]
    if anime_id in _barred(person, settings):
        return "you plan to watch it already" if anime_id in person.planned else "it is on your list already"
    if (entry := _disappointment(person, anime_id, titles.franchises)) is not None:
        return f"you dropped or disliked {person.listed[entry] or entry}, of the same franchise"
    if titles.franchises.missing(anime_id, person.seen, person.passed):
        return UNSEEN_BEFORE
    if settings.only_planned and anime_id not in person.planned:
        return "you do not plan to watch it"
    if settings.next_in_series and not _continues(person, anime_id, titles.franchises):
        return "it continues nothing that you completed"
    return ""


def _barred(person: Person, settings: RecommendationSettings) -> set[int]:
    return set(person.listed) - (person.planned if settings.planned or settings.only_planned else set())


def _continues(person: Person, anime_id: int, franchises: Franchises) -> bool:
    return bool(franchises.needs.get(anime_id)) and franchises.franchise(anime_id) in person.liked


def _disappointment(person: Person, anime_id: int, franchises: Franchises) -> int | None:
    """The entry of the list that speaks against the title: what it follows, or what its franchise is shunned for."""
    followed = franchises.needs.get(anime_id, frozenset()) & person.disliked
    return min(followed) if followed else person.shunned.get(franchises.franchise(anime_id))


def _offered(person: Person, score: Scores, titles: Catalogue, settings: RecommendationSettings) -> Iterator[int]:
    """Places of what may stand on the list, each once, the best first.

    What needs something unseen offers its entry point, `_TOWARDS` of the way from the entry's own score to its own: a
    liking for what is far ahead says less of where one has to begin.
    """
    franchises = titles.franchises
    barred, offered = _barred(person, settings), set()
    instead: list[tuple[float, int, int]] = []
    for turn, found in enumerate(_in_order(score, titles.by_popularity)):
        while instead and -instead[0][0] > score[found]:
            place = heappop(instead)[2]
            if place not in offered:
                offered.add(place)
                yield place
        title = int(titles.ids[found])
        entry = franchises.entry_point(title, person.seen, person.passed)
        begin = int(found) if entry == title else titles.place(entry) if entry is not None else None
        if begin is None or begin in offered or not _may_stand(person, begin, titles, settings, barred):
            continue
        if entry == title:
            offered.add(begin)
            yield begin
        else:
            value = _TOWARDS * float(score[found]) + (1 - _TOWARDS) * float(score[begin])
            heappush(instead, (-value, turn, begin))
    for _, _, place in sorted(instead):
        if place not in offered:
            offered.add(place)
            yield place


def in_watch_order(offered: Iterator[int], titles: Catalogue) -> Iterator[int]:
    """The same places, where those of each franchise come as they aired, specials and the like after all else."""
    order = list(offered)
    waiting: dict[int, list[int]] = defaultdict(list)
    for place in order:
        waiting[titles.franchises.franchise(int(titles.ids[place]))].append(place)
    for places in waiting.values():
        places.sort(key=lambda place: titles.franchises.in_watch_order(int(titles.ids[place])), reverse=True)
    return (waiting[titles.franchises.franchise(int(titles.ids[place]))].pop() for place in order)


def _may_stand(
    person: Person, place: int, titles: Catalogue, settings: RecommendationSettings, barred: set[int]
) -> bool:
    """Whether no rule but those of order and number keeps the title off the list."""
    title = int(titles.ids[place])
    if title in barred or not titles.allowed.always[place]:
        return False
    if _disappointment(person, title, titles.franchises) is not None:
        return False
    if settings.only_planned and title not in person.planned:
        return False
    return not settings.next_in_series or _continues(person, title, titles.franchises)


def _in_order(score: Scores, by_popularity: npt.NDArray[np.int64]) -> Iterator[np.int64]:
    """All places by score; among equals the more popular first. The best few are found without sorting the rest."""
    rounded = np.round(score, 6)
    weakest = -np.inf
    if len(score) > _FIRST_LOOK:
        weakest = np.partition(rounded, len(score) - _FIRST_LOOK)[len(score) - _FIRST_LOOK]
    in_popularity = rounded[by_popularity]
    for part in (in_popularity > weakest, in_popularity <= weakest):
        some = by_popularity[part]
        yield from some[np.argsort(-rounded[some], kind="stable")]


def _first_to_give_way(place: int, allowed: Allowed) -> str:
    """The last of the filters, in their order, that keeps the title out: with it all before have given way."""
    return [name for name, mask in allowed.relaxing.items() if not mask[place]][-1]
