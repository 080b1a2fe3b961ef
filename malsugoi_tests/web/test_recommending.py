"""Which entries a person would name against a title."""

from __future__ import annotations

from malsugoi_assets.web.people import NOBODY, OwnList, Person, list_frame
from malsugoi_assets.web.recommending import worth_objecting

LIST = list_frame(
    [
        (NOBODY, 1, "a favourite", 10, "completed"),
        (NOBODY, 2, "another", 9, "completed"),
        (NOBODY, 3, "liked less", 5, "completed"),
        (NOBODY, 4, "given up", None, "dropped"),
    ]
)


def test_only_what_was_liked_less_speaks_against_a_title_and_only_where_it_weighs_beside_the_reasons() -> None:
    person = Person("x", OwnList(LIST), "x", stored=False)
    taking = [(1, -0.5), (3, -0.3), (4, -0.2)]
    assert worth_objecting(person, [], taking) == [(3, -0.3), (4, -0.2)]
    # .15 of 1.8 is .27.
    assert worth_objecting(person, [(2, 1.8)], taking) == [(3, -0.3)]
    assert worth_objecting(person, [(2, 200.0)], taking) == []
