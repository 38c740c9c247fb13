"""``edge-classify teach`` as a child of the page: limits, progress, ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_classifier.child import error_of
from edge_classifier.web.full_disk import is_full
from edge_classifier.web.lessons.teaching.teach_process import SUBJECT, Step, TeachProcess
from tests import smalldisk
from tests.teach.lessons import fill, lesson, tiny_model
from tests.waiting import eventually
from tests.web.working import is_running

MEMORY_MB = 1500


def process(folder: Path, base: Path, tmp_path: Path, memory_mb: int = MEMORY_MB) -> TeachProcess:
    places = ("--out", tmp_path / "a.tflite", "--features", tmp_path / "features")
    return TeachProcess(*map(str, (folder, "--base", base, *places)), memory_mb=memory_mb)


def test_run_tells_its_steps_and_gives_the_figures(tmp_path: Path) -> None:
    told: list[Step] = []
    run = process(lesson(tmp_path / "colours", 4), tiny_model(tmp_path), tmp_path)
    ended = run.wait(told.append, 120)
    assert (ended.problem, ended.code) == ("", 0)
    assert Step("pictures", 12, 12) in told
    assert Step("learning", 33, 33) in told
    assert json.loads(ended.output)["accuracy"]["top1"]["count"] == 12
    assert (tmp_path / "a.tflite").is_file()


def test_run_that_fails_says_why_in_the_command_s_own_words(tmp_path: Path) -> None:
    run = process(lesson(tmp_path / "colours", 4, ("red",)), tiny_model(tmp_path), tmp_path)
    ended = run.wait(lambda _step: None, 120)
    assert "two are needed to tell them apart" in error_of(ended, SUBJECT).problem
    assert "edge-classify" not in error_of(ended, SUBJECT).problem


def test_run_whose_model_has_no_room_on_the_disk_ends_with_that(tmp_path: Path) -> None:
    folder, base = lesson(tmp_path / "colours", 4), tiny_model(tmp_path)
    with smalldisk.tmpfs(tmp_path / "full", "64k") as disk:
        smalldisk.fill(disk)
        places = ("--out", disk / "a.tflite", "--features", tmp_path / "features")
        arguments = map(str, (folder, "--base", base, *places))
        run = TeachProcess(*arguments, memory_mb=MEMORY_MB)
        found = error_of(run.wait(lambda _step: None, 120), SUBJECT)
    assert "No space left on device" in found.problem
    assert is_full(found)


@pytest.mark.parametrize(("how", "words"), [("kill", "was cancelled"), ("late", "took longer")])
def test_run_that_is_cancelled_or_late_is_ended_and_leaves_nothing(
    tmp_path: Path, how: str, words: str
) -> None:
    """Stopped, it would take for ever."""
    folder = lesson(tmp_path / "colours", 3)
    run = process(folder, tmp_path / "none.tflite", tmp_path)
    os.kill(run._process.pid, signal.SIGSTOP)
    if how == "kill":
        threading.Timer(0.2, run.kill, ["was cancelled"]).start()
    ended = run.wait(lambda _step: None, 60 if how == "kill" else 0.2)
    assert words in ended.problem
    assert ended.code == -signal.SIGKILL
    assert not (tmp_path / "a.tflite").exists()


def test_run_killed_from_outside_says_so_and_the_next_one_works(tmp_path: Path) -> None:
    folder, base = fill_many(tmp_path), tiny_model(tmp_path)
    run = process(folder, base, tmp_path)

    def kill(step: Step) -> None:
        if step.stage == "pictures":
            os.kill(run._process.pid, signal.SIGKILL)

    ended = run.wait(kill, 120)
    assert error_of(ended, SUBJECT).problem == "crashed (SIGKILL)"
    assert not (tmp_path / "a.tflite").exists()
    assert process(folder, base, tmp_path).wait(lambda _step: None, 120).code == 0


def fill_many(tmp_path: Path) -> Path:
    folder = lesson(tmp_path / "colours", 6)
    fill(folder / "red", (40, 40, 200), 30, first=5000)
    return folder


def test_run_gets_no_more_memory_than_it_may_have(tmp_path: Path) -> None:
    run = process(lesson(tmp_path / "colours", 3), tiny_model(tmp_path), tmp_path, memory_mb=60)
    ended = run.wait(lambda _step: None, 120)
    assert ended.code != 0
    assert not (tmp_path / "a.tflite").exists()


PAGE = """
import sys
from edge_classifier.web.lessons.teaching.teach_process import TeachProcess
run = TeachProcess(*sys.argv[1:], memory_mb=1500)
print(run._process.pid, flush=True)
run.wait(lambda step: print(step.stage, flush=True), 120)
"""


def test_run_ends_with_a_page_that_is_killed_and_the_next_one_works(tmp_path: Path) -> None:
    folder = fill_many(tmp_path)
    arguments = (folder, "--out", tmp_path / "a.tflite", "--features", tmp_path / "features")
    command = [sys.executable, "-c", PAGE, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout
        pid = int(page.stdout.readline())
        assert page.stdout.readline() == "pictures\n"
        page.kill()
    eventually(lambda: not is_running(pid), 60)
    assert not (tmp_path / "a.tflite").exists()
    base = tiny_model(tmp_path)
    assert process(folder, base, tmp_path).wait(lambda _step: None, 120).code == 0
