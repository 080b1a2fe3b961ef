"""A process that keeps a browser: it starts the driver, and ends it with all it started once its own starter is gone.

Run by path, with nothing but the standard library: `python keeper.py DRIVER SCRATCH`. It prints the driver's port and
process group and then reads its standard input until that ends, which the kernel sees to, however the starter dies.
Then the group is killed and the scratch directory (profile, sockets, downloads that never were) removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_STARTED = re.compile(rb"started successfully on port (\d+)")
_PATIENCE = 30.0


def end_group(group: int, scratch: Path) -> None:
    """Kill every process of the group and remove the scratch directory."""
    began = time.monotonic()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        # Again and again, for one may have been about to start another; the dead count as long as nobody collects them.
        while time.monotonic() - began < 0.5:
            os.killpg(group, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.01)
    while scratch.exists() and time.monotonic() - began < 10:
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> int:
    """Keep one driver; exit status 1 where it does not start."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the end of the input is the only sign to go
    driver, scratch = sys.argv[1], Path(sys.argv[2])
    log = scratch / "driver.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [driver, "--port=0"],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
    try:
        until = time.monotonic() + _PATIENCE
        while (found := _STARTED.search(log.read_bytes())) is None:
            if process.poll() is not None or time.monotonic() > until:
                return 1
            time.sleep(0.01)
        print(int(found[1]), process.pid, flush=True)
        sys.stdin.buffer.read()
        return 0
    finally:
        end_group(process.pid, scratch)


if __name__ == "__main__":
    sys.exit(main())
