"""What the options of this project's tests do about skipped tests."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

SOME = """
import os
import pytest

@pytest.mark.parametrize("part", ["FIRST", "SECOND"])
def test_part(part):
    if part not in os.environ:
        pytest.skip(f"{part} is not here")

def test_that_needs_nothing():
    pass
"""
WHOLE_FILE = """
import os
import pytest

if "FIRST" not in os.environ:
    pytest.skip("FIRST is not here", allow_module_level=True)

def test_one():
    pass

def test_other():
    pass
"""
FOLDER = """
import os
import pytest

class Missing(pytest.Module):
    def collect(self):
        pytest.skip("FIRST is not here")

def pytest_pycollect_makemodule(module_path, parent):
    return None if "FIRST" in os.environ else Missing.from_parent(parent, path=module_path)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Tests of two files, with the options of this project."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(REPOSITORY / "tests" / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    (folder / "test_some.py").write_text(SOME, "utf-8")
    (folder / "test_whole.py").write_text(WHOLE_FILE, "utf-8")
    return folder


def run(project: Path, *options: str, parts: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit status and what pytest says in its last line."""
    # Without the plugins that this has nothing to do with: each takes a second of every start.
    command = [sys.executable, "-m", "pytest", "-p", "xdist", *options]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **dict.fromkeys(parts, "1")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, check=False)
    lines = done.stdout.decode().splitlines()
    assert lines, done.stderr.decode()
    return done.returncode, lines[-1]


def test_skips_are_fine_unless_all_parts_are_said_to_be_here(project: Path) -> None:
    assert run(project)[0] == pytest.ExitCode.OK
    assert run(project, "--no-skips")[0] == pytest.ExitCode.TESTS_FAILED
    both = ("FIRST", "SECOND")
    assert run(project, "--no-skips", parts=both)[0] == pytest.ExitCode.OK


def test_second_run_runs_what_the_first_skipped_and_nothing_else(project: Path) -> None:
    run(project)
    status, said = run(project, "--last-skipped", "--no-skips", parts=("FIRST", "SECOND"))
    assert status == pytest.ExitCode.OK
    assert "4 passed, 1 deselected" in said


def test_what_is_still_skipped_is_left_for_the_next_run(project: Path) -> None:
    run(project)
    assert "3 passed, 1 skipped" in run(project, "--last-skipped", parts=("FIRST",))[1]
    assert "1 passed, 4 deselected" in run(project, "--last-skipped", parts=("FIRST", "SECOND"))[1]


def test_nothing_is_run_where_nothing_was_skipped(project: Path) -> None:
    run(project, parts=("FIRST", "SECOND"))
    assert run(project, "--last-skipped")[0] == pytest.ExitCode.NO_TESTS_COLLECTED


def test_runs_without_a_cache_as_well(project: Path) -> None:
    assert run(project, "-p", "no:cacheprovider")[0] == pytest.ExitCode.OK


@pytest.mark.parametrize("processes", ["0", "2"])
def test_second_run_runs_every_file_that_was_skipped_for_one_reason(
    project: Path, processes: str
) -> None:
    folder = project / "folder"
    folder.mkdir()
    (folder / "conftest.py").write_text(FOLDER, "utf-8")
    for name in ("test_a.py", "test_b.py", "test_c.py"):
        (folder / name).write_text("def test_it():\n    pass\n", "utf-8")
    assert "3 skipped" in run(folder, "-n", processes)[1]
    status, said = run(folder, "--last-skipped", "--no-skips", "-n", processes, parts=("FIRST",))
    assert status == pytest.ExitCode.OK
    assert "3 passed" in said
