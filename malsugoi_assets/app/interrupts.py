"""Ctrl-C while the work goes on: the process ends at once, with a sentence that says what is safe.

Whatever is written survives `kill -9` at any moment, so nothing has to be tidied up first, and Dagster, which would
take seconds to end its run in good order, is not asked. The signal is blocked here and in every process started from
here, so that none of them answers it with a traceback; a thread waits for it instead.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

EXIT_STATUS = 130
"""128 + SIGINT, as shells have it."""

SENTENCE = (
    "Stopped. What was fetched and finished is kept, and no page is asked for twice while it is fresh; the published "
    "database stands. Run the same command again to go on."
)


@contextlib.contextmanager
def ending_at_once(tidy: Callable[[], object] = lambda: None) -> Iterator[None]:
    """A block that Ctrl-C ends with exit status 130; `tidy` is called before, and must not wait for anybody.

    Without effect where the signal is ignored already (nohup), or outside the main thread.
    """
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    over = threading.Event()

    def wait() -> None:
        signal.sigwait({signal.SIGINT})
        if not over.is_set():
            _end(tidy)

    waiting = threading.Thread(target=wait, name="ctrl-c", daemon=True)
    waiting.start()
    try:
        yield
    finally:
        over.set()
        signal.pthread_kill(waiting.ident or 0, signal.SIGINT)
        waiting.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(tidy: Callable[[], object]) -> None:
    try:
        for child in multiprocessing.active_children():
            child.kill()
        tidy()
        sys.stderr.write(f"\n{SENTENCE}\n")
        sys.stderr.flush()
    finally:
        os._exit(EXIT_STATUS)
