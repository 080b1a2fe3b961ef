"""What every test process starts from."""

from __future__ import annotations

import signal

# A script that runs in the background hands SIGINT down ignored, and the processes of the tests of Ctrl-C with it: there
# it would do what `nohup` asks for. A handler here means that what is started from here begins with the default.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
