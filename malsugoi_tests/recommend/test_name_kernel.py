"""The likeness of names: every gram counted once by hand, and the same as a plain count over all pairs of titles."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malsugoi_assets.recommend.name_kernel import gram_counts, title_kernel, words

NAMES = [
    ["Cowboy Bebop", "カウボーイビバップ"],
    ["Cowboy Bebop: Tengoku no Tobira"],
    ["Ginga Tetsudou 999"],
    ["", "☆"],
    [],
    ["Ginga Tetsudou 999 (Movie)", "Galaxy Express 999"],
    ["Gintama", "Gintama", "gintama"],
]


def grams_of(known: list[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for name in known:
        text = f" {' '.join(words(name))} "
        for size in (3, 4, 5):
            found.update(text[start : start + size] for start in range(len(text) - size + 1))
    return found


def plainly(names: list[list[str]], common: int, faintest: float) -> np.ndarray:
    """The formula of `title_kernel`, title by title and gram by gram."""
    counted = [grams_of(known) for known in names]
    shared = Counter(gram for grams in counted for gram in grams)
    weights = [
        {
            gram: (1 + np.log(count)) * np.log((len(names) + 1) / shared[gram]) * (shared[gram] <= common)
            for gram, count in grams.items()
        }
        for grams in counted
    ]
    lengths = [sum(value**2 for value in own.values()) ** 0.5 or 1.0 for own in weights]
    found = np.eye(len(names))
    for one, mine in enumerate(weights):
        for other, theirs in enumerate(weights):
            value = sum(value * theirs.get(gram, 0) for gram, value in mine.items()) / lengths[one] / lengths[other]
            found[one, other] = max(found[one, other], value if value >= faintest else 0)
    return found


def test_grams_are_counted_by_title_and_numbered_as_they_first_occur() -> None:
    starts, gram, count = gram_counts([["ab ab"], [], ["ab"]])
    # "_ab_ab_": _ab ab_ b_a (_ab ab_ again), _ab_ ab_a b_ab (_ab_ again), _ab_a ab_ab b_ab_; "_ab_": _ab ab_ _ab_
    assert starts.tolist() == [0, 9, 9, 12]
    assert gram.tolist() == [*range(9), 0, 1, 3]
    assert count.tolist() == [2, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(("common", "faintest"), [(300, 0.12), (2, 0.0), (300, 0.5)])
def test_the_kernel_is_the_cosine_of_the_formula(common: int, faintest: float) -> None:
    found = title_kernel(NAMES, common=common, faintest=faintest).toarray()
    np.testing.assert_allclose(found, plainly(NAMES, common, faintest), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.text(alphabet="ab é漢𠮷1", max_size=7), max_size=2), max_size=8))
def test_any_names_have_the_kernel_of_the_formula(names: list[list[str]]) -> None:
    found = title_kernel(names, faintest=0.3).toarray()
    expected = plainly(names, 300, 0.3)
    # A cosine right at the cut may fall to either side of it.
    unsure = (np.abs(found - expected) > 1e-5) & (np.abs(np.maximum(found, expected) - 0.3) < 1e-5)
    np.testing.assert_allclose(np.where(unsure, 0, found), np.where(unsure, 0, expected), atol=1e-5)


def test_more_titles_than_are_multiplied_at_a_time_are_alike_both_ways() -> None:
    names = [[f"series {number % 300:03d} part {number // 300}"] for number in range(700)]
    found = title_kernel(names)
    assert abs(found - found.T).max() == 0
    assert found.diagonal().min() == pytest.approx(1)
    assert min(found[5, 305], found[605, 305]) > 0.9 > found[5, 306]
