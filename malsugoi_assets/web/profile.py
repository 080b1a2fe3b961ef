"""What a list says of its owner: scores, kinds, genres, and where the owner differs from others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from malsugoi_assets.web.knowledge import Knowledge
from malsugoi_assets.web.people import Person
from malsugoi_assets.web.recommending import title_of
from malsugoi_assets.web.records import Profile, Reason, Share

_PRIOR = 5.0
_FEWEST = 3
_SHOWN = 12


def profile(knowledge: Knowledge, person: Person) -> Profile:
    """The taste profile. `above_others`: Σ (own score - the title's mean) / (n + 5), over n titles."""
    others = _others(knowledge, person)
    above = {anime_id: score - others[anime_id] for anime_id, score in person.scores.items() if anime_id in others}
    genres = _shares(person, above, ((i, w) for i in person.listed for w in knowledge.words.of.get(i, ())))
    words = [s for s in genres if s.rated >= _FEWEST and s.above_others is not None]
    by_difference = sorted(above, key=lambda i: (-above[i], i))
    by_taste = sorted(words, key=lambda s: (-(s.above_others or 0), s.name))
    scored = list(person.scores.values())
    known_means = [others[i] for i in person.scores if i in others]
    return Profile(
        username=person.name,
        titles=person.entries.height,
        rated=len(scored),
        mean=sum(scored) / len(scored) if scored else None,
        others_mean=sum(known_means) / len(known_means) if known_means else None,
        scores={score: scored.count(score) for score in range(1, 11)},
        statuses=dict(Counter(s or "not said" for s in person.entries["status"].to_list()).most_common()),
        liked=[s for s in by_taste if (s.above_others or 0) > 0][:6],
        disliked=[s for s in reversed(by_taste) if (s.above_others or 0) < 0][:6],
        genres=sorted(genres, key=lambda s: (-s.titles, s.name))[:_SHOWN],
        decades=sorted(_shares(person, above, _decades(knowledge, person)), key=lambda s: s.name),
        types=sorted(_shares(person, above, _types(knowledge, person)), key=lambda s: (-s.titles, s.name)),
        loved=_differing(knowledge, person, above, [i for i in by_difference if above[i] > 0][:5]),
        unloved=_differing(knowledge, person, above, [i for i in reversed(by_difference) if above[i] < 0][:5]),
    )


def _others(knowledge: Knowledge, person: Person) -> dict[int, float]:
    """What others give the list's titles: our users' mean, drawn to that of all titles where they are few."""
    if not person.scores:
        return {}
    rows = knowledge.published.rows(
        "SELECT anime_id, shrunk_mean FROM title_baselines WHERE anime_id IN (SELECT unnest(?::INTEGER[]))",
        list(person.scores),
    )
    return {row["anime_id"]: row["shrunk_mean"] for row in rows}


def _shares(person: Person, above: dict[int, float], names: Iterable[tuple[int, str]]) -> list[Share]:
    members: dict[str, list[int]] = defaultdict(list)
    for anime_id, name in names:
        members[name].append(anime_id)
    shares = []
    for name, ids in members.items():
        scores = [person.scores[i] for i in ids if i in person.scores]
        differences = [above[i] for i in ids if i in above]
        shares.append(
            Share(
                name=name,
                titles=len(ids),
                rated=len(scores),
                mean=sum(scores) / len(scores) if scores else None,
                above_others=sum(differences) / (len(differences) + _PRIOR) if differences else None,
            )
        )
    return shares


def _decades(knowledge: Knowledge, person: Person) -> Iterable[tuple[int, str]]:
    for anime_id in person.listed:
        title = knowledge.titles.get(anime_id)
        if title and title.season and title.season[-4:].isdigit():
            yield anime_id, f"{title.season[-4:-1]}0s"


def _types(knowledge: Knowledge, person: Person) -> Iterable[tuple[int, str]]:
    for anime_id in person.listed:
        title = knowledge.titles.get(anime_id)
        if title and title.type:
            yield anime_id, title.type


def _differing(knowledge: Knowledge, person: Person, above: dict[int, float], ids: list[int]) -> list[Reason]:
    return [
        Reason(anime_id=i, title=title_of(knowledge, i, None), weight=round(above[i], 2), rated=person.scores[i])
        for i in ids
    ]
