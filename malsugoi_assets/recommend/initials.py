"""Names by their initials, as fans write them: SAO, HxH, LotGH, MP100.

What belongs here: which names an abbreviation can stand for, and how far. Which title is meant `search` says.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

WHOLE, BEGINNING = 1.0, 0.25
"""How well known a title counts by the initials of a whole name, and of what stands before a colon: FMA is *Fullmetal
Alchemist*, not the better known *Fullmetal Alchemist: Brotherhood*; CG is *Code Geass: …*, not the little known *Comic Girls*.
"""
_WITH_ANOTHER = 0.5
_LEAST = 2
_WORD = re.compile(r"[^\W_]+")
_ASIDE = re.compile(r"\s*[(（][^)）]*[)）]\s*$")


class Initials:
    """An index over names; each is known by its place among them.

    The initials of a name are the first letters of its words, numbers whole; names of fewer than two words, or with words of
    other letters than Latin ones, have none. What stands in parentheses at the end is no part of the name; what stands
    before a colon is a name too.
    """

    def __init__(self, names: Iterable[tuple[str, str]]) -> None:
        """`names`: each as it is written, and folded (`search.fold`)."""
        self._of: dict[str, list[tuple[int, float, list[str]]]] = defaultdict(list)
        for row, (name, folded) in enumerate(names):
            if not folded.isascii():
                continue
            words = folded.split()
            known = 0
            for part, share in _parts(name, len(words)):
                if part >= _LEAST and part != known:
                    known = part
                    self._of["".join(map(_initial, words[:part]))].append((row, share, words))

    def rows(self, typed: str) -> dict[int, float]:
        """The names that what was typed abbreviates, each with the share of its title's fame that counts for it.

        One letter more than the initials may come from inside a word, where a syllable begins: FMA, JJK. {} for what was typed as
        several words.
        """
        asked = unicodedata.normalize("NFKC", typed.strip()).casefold()
        if re.search(r"\s", asked):
            return {}
        asked = "".join(_WORD.findall(asked))
        found: dict[int, float] = {}
        for row, share, _ in self._of.get(asked, ()):
            found[row] = max(share, found.get(row, 0.0))
        for place in range(1, len(asked) if len(asked) > _LEAST else 0):
            for row, share, words in self._of.get(asked[:place] + asked[place + 1 :], ()):
                if _begins_a_syllable(asked[place], words, place - 1):
                    found[row] = max(share * _WITH_ANOTHER, found.get(row, 0.0))
        return found


def _parts(name: str, words: int) -> Iterable[tuple[int, float]]:
    """How many of the words are the whole name, and how many stand before a colon."""
    bare = _ASIDE.sub("", name) if name.endswith((")", "）")) else name
    yield (words if bare is name else _count(bare), WHOLE)
    before, colon, _ = bare.replace("：", ":").partition(":")
    if colon:
        yield _count(before), BEGINNING


def _count(name: str) -> int:
    return len(_WORD.findall(name.replace("'", "").replace("’", "")))


def _initial(word: str) -> str:
    return word if word.isdigit() else word[0]


def _begins_a_syllable(letter: str, words: list[str], place: int) -> bool:
    """Whether the letter is a consonant before a vowel inside the word."""
    if any(word.isdigit() for word in words[: place + 1]):
        return False  # initials and letters no longer go side by side
    return letter not in "aeiou" and re.search(f"(?<=.){re.escape(letter)}[aeiou]", words[place]) is not None
