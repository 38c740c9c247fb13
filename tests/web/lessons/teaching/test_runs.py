"""Lessons taught by the real command in a child process, with a tiny base."""

import os
import signal
import threading
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from django.db import connection
from django.test import Client
from django.utils.translation import override

from edge_classifier.errors import UsageError
from edge_classifier.web.lessons import classes
from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.lessons.teaching import runs, taught_files
from edge_classifier.web.lessons.teaching.runs import LessonTeacher, Run
from edge_classifier.web.lessons.teaching.tables import TaughtModel
from edge_classifier.web.services import Services
from tests import smalldisk
from tests.waiting import eventually
from tests.web.lessons.filled import add, colours

pytestmark = pytest.mark.django_db(transaction=True)  # Threads have connections of their own.


@pytest.fixture(autouse=True)
def teacher(page: Services) -> Iterator[LessonTeacher]:
    """The page's; no run outlives its test."""
    yield page.teacher
    page.teacher.close()


def taught(page: Services, lesson: Lesson) -> TaughtModel:
    run = page.teacher.start(lesson)
    assert run.ended.wait(120)
    assert page.teacher.problem_of(lesson) == ""
    found: TaughtModel = lesson.taught.get(number=run.made)
    return found


def running(run: Run) -> None:
    """Wait until its process has begun to look at pictures."""
    eventually(lambda: run.step.stage in ("pictures", "learning") or run.ended.is_set(), 60)
    assert not run.ended.is_set()


def stopped(page: Services, lesson: Lesson) -> Run:
    """A run that takes for ever."""
    run = page.teacher.start(lesson)
    eventually(lambda: run.process is not None, 60)
    assert run.process
    os.kill(run.process._process.pid, signal.SIGSTOP)
    return run


def test_lesson_becomes_a_model_with_what_was_found_out(page: Services) -> None:
    lesson = colours(page)
    made = taught(page, lesson)
    assert (made.number, made.origin, made.taught_from) == (1, "taught", lesson.changed_at)
    assert made.result["right"][1] == 16
    assert made.result["left_one_out"]
    assert {label for label, *_ in made.result["labels"]} == {"red", "green"}
    red, green = (lesson.classes.get(name=name).pk for name in ("red", "green"))
    assert made.result["classes"] == {"red": red, "green": green}
    assert taught_files.model_file(page.folders, lesson, 1).is_file()
    # The page needs the extra [report].
    has_report = find_spec("matplotlib") is not None
    assert taught_files.report_page(page.folders, lesson, 1).is_file() == has_report
    assert list(page.folders.scratch.iterdir()) == []
    assert taught(page, lesson).number == 2


def test_newest_models_are_kept(page: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taught_files, "MOST_KEPT", 1)
    lesson = colours(page)
    first, second = taught(page, lesson), taught(page, lesson)
    assert [one.number for one in lesson.taught.all()] == [second.number]
    folder = taught_files.model_file(page.folders, lesson, first.number).parent
    assert {one.name for one in folder.iterdir()} == {"2", "2.tflite"}


def test_two_teachers_of_one_lesson_make_one_run(page: Services) -> None:
    lesson = colours(page)
    outcomes: list[str] = []
    both = threading.Barrier(2)

    def start() -> None:
        both.wait()
        try:
            page.teacher.start(lesson)
            outcomes.append("runs")
        except UsageError as error:
            outcomes.append(error.problem)
        connection.close()

    threads = [threading.Thread(target=start) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(outcomes) == ["This lesson is being taught already.", "runs"]


def test_lessons_wait_for_each_other_and_not_too_many(
    page: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_RUNS", 2)
    first, second, third = (colours(page, 3, name=name) for name in "abc")
    one, other = stopped(page, first), page.teacher.start(second)
    assert other.step.stage == "waiting"
    with pytest.raises(UsageError, match="Too many lessons"):
        page.teacher.start(third)
    assert page.teacher.cancel(first)
    assert one.made is None
    assert page.teacher.problem_of(first) == ""
    assert other.ended.wait(120)
    assert other.made == 1


@pytest.mark.parametrize(("names", "count"), [(("red",), 5), ((), 0), (("red", "green"), 0)])
def test_lesson_without_two_filled_classes_is_refused_at_once(
    page: Services, names: tuple[str, ...], count: int
) -> None:
    lesson = colours(page, count, names)
    with pytest.raises(UsageError, match="Fill at least two classes"):
        page.teacher.start(lesson)
    assert page.teacher.run_of(lesson) is None


def test_one_picture_a_class_is_told_of_each_class_and_without_our_folders(page: Services) -> None:
    lesson = colours(page, 1, ("red", "green"))
    run = page.teacher.start(lesson)
    assert run.ended.wait(120)
    assert run.made is None
    why = "has no two pictures that differ: one is needed to measure on"
    assert page.teacher.problem_of(lesson) == f"Green {why}. Red {why}."
    with override("zh-hans"):
        why = "没有两张不同的图片\uff1a需要留一张用于衡量"
        assert page.teacher.problem_of(lesson) == f"green {why}。red {why}。"


def test_two_classes_with_the_same_things_cannot_be_told_apart(page: Services) -> None:
    lesson = colours(page, 25, ("red",))
    other = classes.add_class(lesson, "scarlet")
    add(other, "red", range(5000, 5025))
    made = taught(page, lesson)
    assert {*made.result["alike"][0][:2]} == {"red", "scarlet"}


def test_killed_run_leaves_nothing_and_the_next_one_works(page: Services) -> None:
    lesson = colours(page, 12)
    run = page.teacher.start(lesson)
    running(run)
    assert run.process
    os.kill(run.process._process.pid, signal.SIGKILL)
    assert run.ended.wait(60)
    assert page.teacher.problem_of(lesson) == "Crashed (SIGKILL)."
    assert not lesson.taught.exists()
    assert not taught_files.model_file(page.folders, lesson, 1).exists()
    # As after a crash of the page itself.
    left = page.folders.scratch / "teach-left"
    left.mkdir()
    assert taught(page, lesson).number == 1
    assert not left.exists()


def test_lesson_deleted_in_mid_run_ends_it_and_leaves_no_file(
    page: Services, reviewer: Client
) -> None:
    lesson = colours(page, 3)
    run = stopped(page, lesson)
    answer = reviewer.post(f"/teach/{lesson.key}/delete", {"confirmed": "1"})
    assert answer.headers["Location"] == "/teach"
    assert run.ended.is_set()
    assert not Lesson.objects.exists()
    assert not (page.folders.taught / str(lesson.key)).exists()
    assert not (page.folders.lessons / str(lesson.key)).exists()


def test_lesson_that_goes_before_its_model_is_kept_leaves_no_file(page: Services) -> None:
    lesson = colours(page, 3)
    folder = page.folders.taught / str(lesson.key)
    run = page.teacher.start(lesson)
    running(run)
    Lesson.objects.get(pk=lesson.pk).pictures.all().delete()
    Lesson.objects.filter(pk=lesson.pk).delete()
    assert run.ended.wait(60)
    assert not list(folder.glob("*.tflite"))


def test_full_disk_is_told_in_a_sentence(page: Services) -> None:
    lesson = colours(page)
    page.folders.scratch.rmdir()
    with smalldisk.tmpfs(page.folders.scratch, "1m") as disk:
        smalldisk.fill(disk)
        run = page.teacher.start(lesson)
        assert run.ended.wait(120)
    assert page.teacher.problem_of(lesson).startswith("There is no room on the server's disk.")
    with override("zh-hans"):
        assert page.teacher.problem_of(lesson).startswith("服务器的磁盘没有空间了。")
    assert not lesson.taught.exists()
    assert taught(page, lesson).number == 1
