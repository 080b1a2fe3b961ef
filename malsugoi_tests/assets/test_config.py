"""A config derived from settings: the same fields, and the settings' own bounds when it is used."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from malsugoi_assets.assets.recommendations import RecommendationConfig
from malsugoi_assets.recommend.recommendation_settings import RecommendationSettings


def test_without_a_word_the_settings_are_the_defaults() -> None:
    assert RecommendationConfig().settings == RecommendationSettings()  # type: ignore[attr-defined]


def test_lists_of_words_become_the_settings_tuples_and_unknown_words_are_refused() -> None:
    assert RecommendationConfig(states=["upcoming"]).settings.states == ("upcoming",)  # type: ignore[attr-defined]
    with pytest.raises(ValidationError):
        RecommendationConfig(states=["cancelled"]).settings  # type: ignore[attr-defined]  # noqa: B018
