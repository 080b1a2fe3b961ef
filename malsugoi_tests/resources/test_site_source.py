"""What a site's source says while it works, and what it must not say."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from malsugoi_assets.mal.client import SiteUnavailable
from malsugoi_assets.mal.errors import PageError
from malsugoi_assets.mal.fetching import SiteStopped
from malsugoi_assets.resources.site_source import SiteSource, _telling, duration
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.data_dir import DataDir


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3_540, "59 min"), (3_599, "1 h 0 min"), (6_300, "1 h 45 min")],
)
def test_a_duration_reads_as_people_say_it(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_progress_says_how_long_it_will_take_and_does_not_flood_the_log() -> None:
    said: list[str] = []
    now = [0.0]
    tell = _telling(said.append, clock=lambda: now[0])
    for done in range(2_000, 5_001):
        tell("anime pages", done, 5_000)
        now[0] += 1
    assert said[0] == "anime pages: 2,000 of 5,000"
    assert said[1] == "anime pages: 2,003 of 5,000, about 50 min left"
    assert said[-1] == "anime pages: 5,000 of 5,000"
    assert len(said) == 1_001


def test_a_failure_that_goes_into_an_event_names_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events outlive the people whose lists were asked for."""

    class Refusing:
        def fetch_lists(self, *_: object) -> object:
            url = "https://myanimelist.net/animelist/mossy_turnip2/load.json?offset=299&status=7"
            raise SiteStopped("lists", 5, 12, SiteUnavailable(url, "status 503", attempts=4))

    settings = Settings(data_dir=tmp_path, source="live")
    source = SiteSource(settings, DataDir(tmp_path))
    monkeypatch.setitem(source.__dict__, "_site", Refusing())
    with pytest.raises(dg.Failure) as failure:
        source.lists(["ann"], lambda text: None)
    text = str(failure.value.description)
    assert "mossy" not in text
    assert "/animelist/…/load.json?offset=299&status=7: status 503 (tried 4 times). Stopped after 5 of 12" in text
    assert failure.value.__cause__ is None
    assert isinstance(failure.value.__context__, SiteStopped | PageError)
    assert failure.value.__suppress_context__
