"""docs/peers.md is what `benchmarks/peers.py` makes of the kept figures."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import polars as pl

REPO = Path(__file__).parent.parent


def test_the_page_says_what_the_kept_figures_say() -> None:
    spec = importlib.util.spec_from_file_location("peers_benchmark", REPO / "benchmarks" / "peers.py")
    assert spec is not None
    assert spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark
    spec.loader.exec_module(benchmark)
    known = pl.read_csv(benchmark.FIGURES, schema=benchmark.COLUMNS)
    assert benchmark.PAGE.read_text() == benchmark.page(known), "run: python benchmarks/peers.py"
    assert set(known["part"]) <= set(benchmark.PARTS)
