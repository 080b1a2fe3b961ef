"""Plans as an XML file: what is written is read back, and has nothing that the site's own exports have not."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]

from malsugoi_assets.mal import ListEntry, parse_list_export
from malsugoi_assets.mal.plan_export import PlannedTitle, write_plan
from malsugoi_tests.support.shared import shared_path

BEBOP = PlannedTitle(1, "Cowboy Bebop", "TV", 26)


def test_a_plan_is_read_back_as_planned_titles_in_their_order() -> None:
    found = parse_list_export(write_plan([PlannedTitle(20, "Naruto"), BEBOP], "kim"))
    assert found.username == "kim"
    assert found.repaired == 0
    assert found.entries == (
        ListEntry(20, "Naruto", None, "plan_to_watch", 0),
        ListEntry(1, "Cowboy Bebop", None, "plan_to_watch", 0),
    )


def test_an_entry_says_what_the_import_goes_by() -> None:
    root = etree.fromstring(write_plan([BEBOP], "kim"))
    said = {element.tag: element.text for element in root.find("anime")}
    assert said["update_on_import"] == "1"
    assert (said["my_status"], said["my_score"], said["my_start_date"]) == ("Plan to Watch", "0", "0000-00-00")
    assert (said["series_type"], said["series_episodes"]) == ("TV", "26")
    assert root.findtext("myinfo/user_total_plantowatch") == root.findtext("myinfo/user_total_anime") == "1"
    assert root.findtext("myinfo/user_export_type") == "1"


@pytest.mark.parametrize(
    "title", ["A & B", "<i>", "]]>", "<![CDATA[x]]>", "&amp;", 'say "no"', "<!-- x", "進撃の巨人"]
)
def test_titles_with_marks_come_back_as_they_were(title: str) -> None:
    assert parse_list_export(write_plan([PlannedTitle(1, title)], "kim")).entries[0].title == title


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_whatever_a_title_holds_the_file_is_one_that_can_be_read(title: str) -> None:
    found = parse_list_export(write_plan([BEBOP, PlannedTitle(2, title)], title))
    assert [entry.anime_id for entry in found.entries] == [1, 2]
    assert found.repaired == 0


def test_a_title_that_the_site_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="Naruto: no id"):
        write_plan([PlannedTitle(-3, "Naruto")], "kim")


def test_elements_stand_as_in_the_sites_own_exports() -> None:
    path = next(iter(sorted(shared_path("exports").glob("2026*mal_xml*.gz"))))
    theirs = etree.fromstring(gzip.decompress(path.read_bytes()).strip())
    ours = etree.fromstring(write_plan([BEBOP], "kim"))
    for name in ("myinfo", "anime"):
        order = [element.tag for element in theirs.find(name)]
        written = [element.tag for element in ours.find(name)]
        assert [tag for tag in order if tag in written] == written
