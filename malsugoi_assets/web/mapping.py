"""The map of the catalogue with a list marked on it, and its regions in words."""

from __future__ import annotations

from collections import Counter, defaultdict

from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.people import Person
from malsugoi_assets.web.records import Map, Region, Spot

REGIONS = 3
_GENRES = 3
_BEST = 3


def draw(knowledge: Knowledge, person: Person | None) -> Map:
    """Every title that has a place; `regions` cut the map in three by three, and name what each holds more of."""
    drawn = knowledge.map
    members = dict(knowledge.features.select("anime_id", "members").iter_rows())
    scores = person.scores if person else {}
    listed = person.listed if person else set()
    spots = [
        Spot(
            anime_id=int(anime_id),
            title=knowledge.titles[int(anime_id)].title,
            x=round(float(x), 4),
            y=round(float(y), 4),
            members=members.get(int(anime_id)) or 0,
            mine=int(anime_id) in listed,
            score=scores.get(int(anime_id)),
        )
        for anime_id, (x, y) in zip(drawn.anime_id, drawn.place, strict=True)
    ]
    return Map(spots=spots, regions=_regions(knowledge, spots))


def _regions(knowledge: Knowledge, spots: list[Spot]) -> list[Region]:
    cells: dict[tuple[int, int], list[Spot]] = defaultdict(list)
    everywhere: Counter[str] = Counter()
    for spot in spots:
        cells[min(int(spot.y * REGIONS), REGIONS - 1), min(int(spot.x * REGIONS), REGIONS - 1)].append(spot)
        everywhere.update(knowledge.titles[spot.anime_id].genres)
    regions = []
    for (row, column), inside in sorted(cells.items()):
        here = Counter(genre for spot in inside for genre in knowledge.titles[spot.anime_id].genres)
        # How many more titles of the genre lie here than if the genre were spread evenly.
        more = {g: n - everywhere[g] * len(inside) / len(spots) for g, n in here.items()}
        genres = [g for g in sorted(more, key=lambda g: (-more[g], g)) if more[g] > 0][:_GENRES]
        regions.append(
            Region(
                name=f"{'ABC'[row]}{column + 1}",
                x=column / REGIONS,
                y=row / REGIONS,
                titles=len(inside),
                mine=sum(spot.mine for spot in inside),
                genres=genres,
                best=[knowledge.titles[s.anime_id] for s in sorted(inside, key=lambda s: -s.members)[:_BEST]],
            )
        )
    return regions
