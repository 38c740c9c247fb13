"""Delegates as shared libraries: good ones, and every bad kind, compiled here."""

import resource
import threading
import time
from pathlib import Path

import pytest

from edge_classifier.engine.probe import check_delegate
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import (
    DelegateError,
    ExitCode,
    ModelError,
)
from tests.engine.delegate_libraries import LINGER_S, Library, quick_check

BROKEN = {
    "crashing": "crashed (SIGSEGV) when tried",
    "aborting": "crashed (SIGABRT) when tried",
    "hanging": "took longer than 1 s when tried",
    "leaving": "failed (exit code 0: no message) when tried",
    "text": "is not a TFLite delegate",
    "plain": "tflite_plugin_create_delegate",
    "null": "no device found",
    "unwilling": "cannot load it",
}


def children() -> set[int]:
    """This process's children, zombies included."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set(map(int, (task / "children").read_text().split()))
    return found


def open_files() -> set[str]:
    return {file.name for file in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_delegate_tried_in_a_child_is_told_of_and_this_process_lives(
    kind: str, library: Library, model: Path
) -> None:
    broken = library(kind)

    with pytest.raises(DelegateError) as caught:
        quick_check(broken, model)

    assert BROKEN[kind] in caught.value.problem
    assert caught.value.subject == str(broken)
    assert caught.value.exit_code == ExitCode.UNAVAILABLE
    assert "\n" not in str(caught.value)
    assert "--delegate cpu" in str(caught.value)


def test_hanging_delegate_ends_at_the_time_limit(library: Library, model: Path) -> None:
    with pytest.raises(DelegateError, match=r"longer than 0\.5 s"):
        check_delegate(library("hanging"), model, time_limit_s=0.5)


def test_delegate_that_leaves_a_process_behind_does_not_hold_the_trial_up(
    library: Library, model: Path
) -> None:
    lingering, started = library("lingering"), time.monotonic()

    with pytest.raises(DelegateError, match="exit code 0"):
        check_delegate(lingering, model, time_limit_s=2 * LINGER_S)

    assert time.monotonic() - started < LINGER_S, "it waited for the process"


def test_missing_delegate_library_fails_its_trial(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DelegateError, match="not a TFLite delegate"):
        quick_check(tmp_path / "libnone.so", model)


@pytest.mark.parametrize("kind", ["crashing", "hanging", "null", "working"])
def test_trial_leaves_no_process_no_core_file_and_no_open_file(
    kind: str,
    library: Library,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = library(kind)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    before, open_before = children(), open_files()
    try:
        if kind == "working":
            quick_check(tried, model)
        else:
            with pytest.raises(DelegateError):
                quick_check(tried, model)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))

    assert children() == before
    assert open_files() == open_before
    assert list(here.iterdir()) == []


def test_trials_in_several_threads_do_not_disturb_one_another(
    library: Library, model: Path
) -> None:
    kinds = ["working", "null", "crashing", "working"]
    ended: dict[int, str] = {}

    def one(number: int, path: Path) -> None:
        try:
            check_delegate(path, model, time_limit_s=20)
            ended[number] = "works"
        except DelegateError as error:
            ended[number] = error.problem

    threads = [
        threading.Thread(target=one, args=(number, library(kind)))
        for number, kind in enumerate(kinds)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ended[0] == ended[3] == "works"
    assert "no device found" in ended[1]
    assert "SIGSEGV" in ended[2]


@pytest.mark.parametrize(
    ("kind", "cause"), [(kind, BROKEN[kind]) for kind in ("null", "unwilling")]
)
def test_engine_under_a_broken_delegate_refuses_with_the_cause(
    kind: str, cause: str, library: Library, model: Path
) -> None:
    """These kinds do no harm in any process: the engine itself names them, too."""
    broken = library(kind)

    with pytest.raises((DelegateError, ModelError), match=cause):
        TfliteEngine(model, load_runtime(), delegate=broken)


def test_working_delegate_passes_its_trial(library: Library, model: Path) -> None:
    check_delegate(library("working"), model)
