"""What is written as an export is read back as it was."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from malsugoi_assets.mal import parse_list_export
from malsugoi_assets.mal.list_writing import write_list
from malsugoi_assets.mal.records import ListEntry

STATES = ("watching", "completed", "on_hold", "dropped", "plan_to_watch")
WORDS = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=30).filter(
    lambda text: text == " ".join(text.split())
)
MOMENTS = st.integers(10**9, 2 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
ENTRIES = st.builds(
    ListEntry,
    anime_id=st.integers(1, 10**6),
    title=WORDS,
    score=st.none() | st.integers(1, 10),
    status=st.sampled_from(STATES),
    episodes_watched=st.integers(0, 2_000),
    updated_at=st.none() | MOMENTS,
)


@given(st.lists(ENTRIES, max_size=8, unique_by=lambda entry: entry.anime_id))
def test_every_entry_comes_back(entries: list[ListEntry]) -> None:
    read = parse_list_export(write_list(entries, "me"))
    assert read.username == "me"
    assert list(read.entries) == entries


def test_what_is_not_known_stays_so_and_harm_is_text() -> None:
    entries = [ListEntry(1, "</series_title><x/>&\x00", None, None)]
    read = parse_list_export(write_list(entries, "me"))
    assert read.entries[0].title == "</series_title><x/>&"
    assert (read.entries[0].score, read.entries[0].status, read.entries[0].episodes_watched) == (None, None, None)
