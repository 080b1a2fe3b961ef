"""`python -m malsugoi_assets.mal.replica --data-dir DIR [--port P] …`: serves the replica of a data dir."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from malsugoi_assets.mal.replica.lifecycle import ReplicaError, serve


def main() -> int:
    """Parse the options and serve; exit 2 with one line where that is impossible."""
    parser = argparse.ArgumentParser(prog="malsugoi_assets.mal.replica", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="the data dir whose replica this is")
    parser.add_argument("--port", type=int, default=0, help="0: the last one again, or a free one")
    parser.add_argument("--anime", type=int, help="titles in a new world")
    parser.add_argument("--users", type=int, help="users in a new world")
    parser.add_argument("--seed", type=int, help="seed of a new world")
    parser.add_argument("--idle-seconds", type=float, help="end after so long without a request; default never")
    options = parser.parse_args()
    try:
        serve(
            options.data_dir,
            options.port,
            n_anime=options.anime,
            n_users=options.users,
            seed=options.seed,
            idle_seconds=options.idle_seconds,
        )
    except ReplicaError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
