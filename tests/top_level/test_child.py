"""Child processes, and what is said of how they ended."""

import sys
import time
from pathlib import Path

import pytest

from edge_classifier import child


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module ``tried``, which only the path of this process leads to."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "tried.py"


def ended(module: Path, code: str, time_limit_s: float = 60, given: bytes = b"") -> child.Ended:
    module.write_text(f"import os, sys, time\n{code}\n", "utf-8")
    return child.run("tried", "one", time_limit_s=time_limit_s, given=given)


def test_child_gets_its_arguments_and_input_and_gives_its_output(module: Path) -> None:
    done = ended(module, "print(sys.argv[1], sys.stdin.read())", given=b"two")
    assert (done.problem, done.code, done.output) == ("", 0, b"one two\n")


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("sys.exit(3)", "failed (exit code 3: no message)"),
        (
            "print('a', 'why', sep=chr(10), file=sys.stderr); sys.exit(1)",
            "failed (exit code 1: why)",
        ),
        ("sys.exit('x' * 100_000)", f"failed (exit code 1: {'x' * 200})"),
        ("print('y' * 200_000, file=sys.stderr); sys.exit('z')", "failed (exit code 1: z)"),
        ("os.abort()", "crashed (SIGABRT)"),
    ],
)
def test_end_of_a_child_is_told_with_its_last_line(module: Path, code: str, problem: str) -> None:
    assert ended(module, code).problem == problem


def test_child_that_is_late_is_killed(module: Path) -> None:
    before = time.monotonic()
    done = ended(module, "time.sleep(600)", time_limit_s=0.5)
    assert (done.problem, done.code) == ("took longer than 0.5 s", None)
    assert time.monotonic() - before < 60


def test_child_is_not_waited_for_by_its_own_children(module: Path) -> None:
    before = time.monotonic()
    code = "import subprocess; subprocess.Popen(['sleep', '60']); print('answer', flush=True)"
    assert ended(module, code).output == b"answer\n"
    assert time.monotonic() - before < 30


def test_child_is_read_where_files_in_memory_are_forbidden(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: str) -> int:
        raise PermissionError

    monkeypatch.setattr("os.memfd_create", forbidden)
    assert ended(module, "print('answer')").output == b"answer\n"


def test_child_that_cannot_be_started_is_told(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(module.parent / "none"))
    assert ended(module, "").problem == "cannot be started (No such file or directory)"


def test_library_that_prints_does_not_print_into_the_answer(module: Path) -> None:
    done = ended(
        module,
        "from edge_classifier import child\n"
        "answers = child.answer_stream()\n"
        "os.write(1, b'noise')\n"
        "answers.write(b'answer')",
    )
    assert (done.output, done.messages) == (b"answer", "noise")


def test_child_with_a_limit_of_its_memory_cannot_take_more(module: Path) -> None:
    code = "from edge_classifier import child\nchild.limit_memory(1 << 30)\nbytearray(2 << 30)"
    assert ended(module, code).problem == "failed (exit code 1: MemoryError)"


def test_child_with_little_memory_may_start_one_with_more(module: Path) -> None:
    code = (
        "from edge_classifier import child\nchild.limit_memory((len(sys.argv[1:]) + 1) << 29)\n"
        "if sys.argv[1:] == ['one']:\n"
        "    sys.exit(child.run('tried', 'inner', 'most', time_limit_s=50).problem or 0)"
    )
    assert ended(module, code).problem == ""


def test_child_is_ended_before_its_parent_where_the_machine_has_no_memory_left(
    module: Path,
) -> None:
    code = "from edge_classifier import child\nchild.limit_memory(1 << 30)\n"
    code += "print(open('/proc/self/oom_score_adj').read())"
    assert ended(module, code).output.strip() == b"1000"
