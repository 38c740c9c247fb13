"""Copies of a process that has loaded the program are what a start of Python is."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests import warm
from tests.waiting import eventually


def started(*arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-m", "edge_classifier", *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "arguments",
    [("models", "list"), ("modles",), ("config", "check", "--config", "none.toml"), ("-",)],
    ids=" ".join,
)
def test_copy_says_and_returns_what_a_start_does(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    copy, start = warm.run(arguments, stdin=b"no picture"), started(*arguments, stdin=b"no picture")
    assert (copy.returncode, copy.stdout) == (start.returncode, start.stdout)
    assert copy.stderr == start.stderr


def test_copy_has_no_file_open_but_those_it_was_given_and_ends_by_a_signal(tmp_path: Path) -> None:
    read, write = os.pipe()
    with (tmp_path / "said").open("wb") as said, os.fdopen(read, "rb") as given:
        process = warm.start(["-"], stdin=given, stdout=said, stderr=said)
        assert isinstance(process, warm.Warm)
        pipe = Path(f"/proc/self/fd/{read}").readlink()
        # It waits for the end of its input.
        eventually(lambda: targets(process.pid) == [pipe, Path(said.name), Path(said.name)])
        process.kill()
        assert process.wait(20) == process.poll() == -signal.SIGKILL
        os.close(write)


def targets(pid: int) -> list[Path]:
    """What the process has open."""
    found = []
    for file in sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda file: int(file.name)):
        # It may be closed meanwhile.
        with suppress(FileNotFoundError):
            found.append(file.readlink())
    return found


def test_other_variables_of_python_start_it_anew(tmp_path: Path) -> None:
    with (tmp_path / "said").open("wb") as said:
        process = warm.start(
            ["--version"],
            stdout=said,
            stderr=said,
            environment={**os.environ, "PYTHONOPTIMIZE": "1"},
        )
    assert isinstance(process, subprocess.Popen)
    assert process.wait(60) == 0
