"""Ctrl-C: the process ends with 130 and a sentence, whatever it was doing, and so do those that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from malsugoi_assets.app.interrupts import SENTENCE
from malsugoi_tests.support.shared import REPO

STUBBORN = """
import signal, subprocess, sys, threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()  # as polars has some before: it may get the signal
from malsugoi_assets.app.interrupts import ending_at_once
signal.signal(signal.SIGINT, lambda *_: print("handled by somebody else", flush=True))
with ending_at_once(lambda: print("tidied", flush=True)):
    child = subprocess.Popen([sys.executable, "-c", "import sys; print('child', flush=True); sys.stdin.read()"],
                             stdin=subprocess.PIPE)
    print("begins", flush=True)
    while True:
        try:
            time.sleep(60)
        except BaseException as error:
            print("caught", error, flush=True)
"""


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )


def stops_with_the_sentence(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[1].strip() == SENTENCE
    assert process.returncode == 130


def test_ctrl_c_ends_a_process_that_handles_it_otherwise_and_its_children_say_nothing() -> None:
    """Dagster turned it into a failed run and took seconds; its helpers wrote tracebacks over the progress."""
    process = start(STUBBORN)
    assert process.stdout is not None
    assert {process.stdout.readline(), process.stdout.readline()} == {"begins\n", "child\n"}
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert output == "tidied\n"
    assert errors.strip() == SENTENCE


def test_an_import_that_is_stopped_says_what_is_safe() -> None:
    """It said "Aborted!", and nobody knew what had become of the list."""
    process = start(
        "import time\nfrom malsugoi_assets.app import import_list\nfrom malsugoi_assets.app.cli import main\n"
        "import_list.import_export = lambda *_: (print('begins', flush=True), time.sleep(60))\n"
        "main(['import-list', 'animelist.xml'])\n"
    )
    stops_with_the_sentence(process)


@pytest.mark.parametrize("command", ["import-list", "run"])
def test_a_command_that_is_stopped_while_it_is_imported_says_it_too(command: str) -> None:
    """In its first second it said "Aborted!", with exit status 1."""
    process = start(
        "import time\nfrom malsugoi_assets.app import cli\n"
        "cli._Ordered.get_command = lambda *_: (print('begins', flush=True), time.sleep(60))\n"
        f"cli.main(['{command}'])\n"
    )
    stops_with_the_sentence(process)


def test_after_the_block_ctrl_c_is_what_it_was() -> None:
    process = start(
        "import signal, time\nfrom malsugoi_assets.app.interrupts import ending_at_once\n"
        "with ending_at_once():\n    pass\n"
        "try:\n    print('begins', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "interrupted\n"
    assert process.returncode == 0


@pytest.mark.parametrize("word", ["kept", "run the same command again", "database stands"])
def test_the_sentence_says_what_is_safe_and_how_to_go_on(word: str) -> None:
    assert word in SENTENCE
