"""Plots in Dagster's page: it unfolds Markdown below 1,000 characters only, and shows no picture that is no XML."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote
from xml.etree import ElementTree

import dagster as dg
import pytest

from malsugoi_assets.assets.plots import UNFOLDED, bars, curves, intervals

MODELS = ("dnn", "cf", "bias", "item-mean", "user-mean", "global-mean", "mal-score")
PLOTS: dict[str, Callable[[], dg.MarkdownMetadataValue]] = {
    "ratings": lambda: bars({str(i): 5_770_000 + i for i in range(1, 11)}, "rating, 1–10", "ratings"),
    "words": lambda: bars({"plan_to_watch": 3, "completed": 90_000, "not said": 0}, "where on the list", "entries"),
    "curves": lambda: curves(
        {name: [(e, 1 + 9 / (e + 1) + shift) for e in range(300)] for name, shift in (("train", 0), ("validation", 0.2))},
        "epoch",
        "mean squared error",
    ),
    "buckets": lambda: curves(
        {name: [(place, 1.5 + place / 7) for place in range(5)] for name in ("cf", "bias", "item-mean")},
        "similar titles that the user rated",
        "mean squared error",
        ticks=["0", "1-4", "5-14", "15-39", "40+"],
    ),
    "reliability": lambda: curves(
        {"found": [(50, 50.3), (80, 80.1), (90, 89.4), (95, 94.1)], "stated": [(p, p) for p in (50, 80, 90, 95)]},
        "stated probability, %",
        "ratings inside of the interval, %",
    ),
    "cold": lambda: intervals(
        dict.fromkeys(("all", "cold users", "cold titles", "unknown year"), (1.5, 1.3, 1.7)),
        "mean squared error of dnn, 95 % interval",
    ),
    "models": lambda: intervals(dict.fromkeys(MODELS, (1.5, 1.3, 1.7)), "mean squared error (lower is better)"),
}  # fmt: skip


def drawing(plot: dg.MarkdownMetadataValue) -> ElementTree.Element:
    address = str(plot.value).removeprefix("![plot](<").removesuffix(">)")
    assert not set(address) & set("<>#\n"), "these end a Markdown address, or a data address"
    return ElementTree.fromstring(unquote(address.removeprefix("data:image/svg+xml,")))


@pytest.mark.parametrize("name", PLOTS)
def test_the_page_unfolds_a_plot_of_real_size_and_can_read_it(name: str) -> None:
    plot = PLOTS[name]()
    assert len(str(plot.value)) < UNFOLDED
    assert drawing(plot).tag.endswith("svg")


def test_a_bar_is_as_high_as_its_value() -> None:
    [path] = [e.get("d", "") for e in drawing(bars({"a": 1, "b": 2}, "", "")).iter() if e.tag.endswith("path")]
    low, high = (int(step.split("v-")[1]) for step in path.split("M")[1:])
    assert high == pytest.approx(2 * low, abs=1)


def test_a_point_stands_over_the_middle_of_its_word() -> None:
    plot = drawing(curves({"cf": [(0, 1.0), (1, 2.0)]}, "", "", ticks=["few", "many"]))
    paths = [e.get("d", "") for e in plot.iter() if e.tag.endswith("path") and e.get("stroke") != "gray"]
    assert paths == ["M105 120l210-95"]


def test_signs_of_xml_in_a_name_do_not_break_the_picture() -> None:
    text = "".join(drawing(curves({"<&'#%": [(0, 1), (1, 2)]}, "", "")).itertext())
    assert "<&'#%" in text


@pytest.mark.parametrize(
    "plot",
    [
        lambda: bars({}, "", ""),
        lambda: bars({"a": 0}, "", ""),
        lambda: curves({"train": []}, "", ""),
        lambda: curves({"train": [(1, 2.0)]}, "", ""),
        lambda: curves({"validation": [(0, float("nan")), (1, 2.0)]}, "", ""),
        lambda: intervals({}, ""),
        lambda: intervals({"cf": (1.5, None, None), "bias": (None, None, None)}, ""),
    ],
    ids=["no bar", "all zero", "no epoch", "one epoch", "no number", "no model", "no interval"],
)
def test_little_to_draw_is_no_error(plot: Callable[[], dg.MarkdownMetadataValue]) -> None:
    assert "nan" not in str(plot().value)
