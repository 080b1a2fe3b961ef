"""Ctrl-C while the work goes on: the process ends at once, with a sentence that says what is safe.

Whatever is written survives `kill -9` at any moment, so nothing has to be tidied up first, and Dagster, which installs
a handler of its own and takes seconds to end its run in good order, is not asked: the interpreter notes each signal on
a socket, whoever handles it, and a thread listens there. The signal is blocked in what is started from here, so that no
helper answers it with a traceback.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

EXIT_STATUS = 130
"""128 + SIGINT, as shells have it."""

SENTENCE = (
    "Stopped. What was fetched and made is kept, and the published database stands: run the same command again, today "
    "or another day, and it goes on from here."
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
    listening, noting = socket.socketpair()
    noting.setblocking(False)
    noted_before = signal.set_wakeup_fd(noting.fileno(), warn_on_full_buffer=False)
    mask_before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def listen() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        while numbers := listening.recv(64):
            if signal.SIGINT in numbers:
                _end(tidy)

    listener = threading.Thread(target=listen, name="ctrl-c", daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(noted_before)
        noting.close()
        listener.join()
        listening.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask_before)


def _end(tidy: Callable[[], object]) -> None:
    try:
        for child in multiprocessing.active_children():
            child.kill()
        tidy()
        sys.stderr.write(f"\n{SENTENCE}\n")
        sys.stderr.flush()
    finally:
        os._exit(EXIT_STATUS)
