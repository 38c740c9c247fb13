"""Standard error while models are loaded."""

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_classifier.engine.runtime import Runtime, native_messages
from edge_classifier.engine.tflite import TfliteEngine
from tests.tiny import build

LOADING = """
import logging, os, sys, threading
from pathlib import Path
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine

model, runtime = Path(sys.argv[1]), load_runtime()
logging.basicConfig(format="%(message)s")
stopped = threading.Event()
count = 0

def log():
    global count
    while not stopped.is_set():
        logging.warning("line %d", count)
        count += 1

def load():
    for _ in range(100):
        TfliteEngine(model, runtime)

loaders = [threading.Thread(target=load) for _ in range(int(sys.argv[2]))]
logger = threading.Thread(target=log)
logger.start()
for loader in loaders:
    loader.start()
for loader in loaders:
    loader.join()
stopped.set()
logger.join()
logging.warning("the end")
print(count)
"""


@pytest.mark.parametrize("loaders", [1, 2])
def test_loading_models_costs_other_threads_no_line_of_their_logs(
    loaders: int, tmp_path: Path
) -> None:
    model = build(tmp_path / "tiny.tflite")
    command = [sys.executable, "-c", LOADING, str(model), str(loaders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    lines = done.stderr.splitlines()
    wanted = [*(f"line {number}" for number in range(int(done.stdout))), "the end"]
    assert sorted(lines) == sorted(wanted)
    assert lines[-1] == "the end"


def test_only_the_runtimes_lines_are_taken_from_standard_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def write(text: str) -> None:
        os.write(2, text.encode())

    with native_messages(re.compile("INFO: ")) as lines:
        write("INFO: theirs\nours\n")
        write("half a line")
    write(", and the rest\n")
    assert lines == ["INFO: theirs"]
    assert capfd.readouterr().err == "ours\nhalf a line, and the rest\n"


def test_standard_error_is_given_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with native_messages(re.compile("x")):
            os.write(2, b"before\n")
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"


def test_standard_error_is_exchanged_by_one_thread_at_a_time(
    capfd: pytest.CaptureFixture[str],
) -> None:
    inside, leave = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with native_messages(re.compile("x")):
            inside.set()
            leave.wait(20)
            order.append("first")

    def second() -> None:
        with native_messages(re.compile("x")):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(20)
    threads[1].start()
    leave.set()
    for thread in threads:
        thread.join(20)
    assert order == ["first", "second"]
    os.write(2, b"after both\n")
    assert capfd.readouterr().err == "after both\n"


def test_loading_further_models_leaves_standard_error_alone(
    tmp_path: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon loads them beside its threads."""
    model = build(tmp_path / "tiny.tflite")
    TfliteEngine(model, runtime)

    def forbidden(*_: int) -> int:
        raise AssertionError("standard error was exchanged")

    with monkeypatch.context() as patched:
        patched.setattr(os, "dup2", forbidden)
        TfliteEngine(model, runtime)
