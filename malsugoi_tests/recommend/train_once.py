"""One training as a process of its own, to be killed: `python -m malsugoi_tests.recommend.train_once STATE MODEL`."""

from __future__ import annotations

import sys
from pathlib import Path

from malsugoi_assets.recommend.dnn import train
from malsugoi_assets.recommend.dnn_settings import DnnSettings
from malsugoi_tests.recommend.deep_world import small_items, small_ratings

SETTINGS = DnnSettings(folds=3, embedding_size=8, hidden_units=64, epochs=16, members=2, batch_size=32, threads=1)

if __name__ == "__main__":
    ratings, items = small_ratings(80), small_items()
    print("begins", flush=True)
    model = train(
        ratings, items, SETTINGS, keep=Path(sys.argv[1]), progress=lambda epoch, *_: print(epoch, flush=True)
    )
    model.save(Path(sys.argv[2]))
    print(f"resumed after {model.resumed_after}", flush=True)
