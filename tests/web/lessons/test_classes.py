"""Lessons and classes: their names, bounds, and end."""

import pytest

from edge_classifier.errors import UsageError
from edge_classifier.web.lessons import classes
from edge_classifier.web.lessons.tables import Lesson, LessonClass


@pytest.fixture
def lesson(db: None) -> Lesson:
    return classes.create_lesson("garden", classes=["cat"])


@pytest.mark.parametrize(
    "name",
    ["cat, dog", '"quoted"', "<b>bold</b>", "🐈‍⬛", "-- =1+1", "名字", "a" * 200, "../up", "CON"],
)
def test_class_may_have_any_name_that_can_be_printed(lesson: Lesson, name: str) -> None:
    assert classes.add_class(lesson, f"  {name} ").name == name


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "missing"),
        (" \n\t ", "missing"),
        ("a" * 300, "300 characters; 200 are allowed"),
        ("a\x1b[2J", "cannot be printed"),
        ("CAT", "There is a class “CAT” already"),
        ("Unknown", "a class of its own"),
        ("未知", "a class of its own"),
    ],
)
def test_class_is_refused_with_a_sentence(lesson: Lesson, name: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        classes.add_class(lesson, name)
    assert [one.name for one in lesson.classes.all()] == ["cat", "unknown"]


def test_lesson_takes_a_hundred_classes_and_no_more(lesson: Lesson) -> None:
    for number in range(classes.MOST_CLASSES - 1):
        classes.add_class(lesson, f"class {number}")
    with pytest.raises(UsageError, match="at most 100 classes"):
        classes.add_class(lesson, "one more")


def test_lesson_with_too_many_classes_is_not_made_at_all(db: None) -> None:
    with pytest.raises(UsageError, match="at most 100 classes"):
        classes.create_lesson("all", classes=[f"class {number}" for number in range(500)])
    assert not Lesson.objects.exists()


def test_there_are_so_many_lessons_and_no_more(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "MOST_LESSONS", 2)
    for _ in range(2):
        classes.create_lesson("again")
    with pytest.raises(UsageError, match="2 lessons already"):
        classes.create_lesson("again")


def test_nothing_there_is_a_class_only_where_something_may_be_none(lesson: Lesson) -> None:
    assert [one.is_other for one in classes.with_counts(lesson)] == [False, True]
    classes.change_lesson(lesson, "door", base="", has_unknown=False)
    assert [one.is_other for one in classes.with_counts(lesson)] == [False]


def test_nothing_there_keeps_its_name_and_stays(lesson: Lesson) -> None:
    other = lesson.classes.get(is_other=True)
    with pytest.raises(UsageError, match="keeps its name"):
        classes.rename_class(other, "something", "")
    with pytest.raises(UsageError, match="stays"):
        classes.delete_class(other)


def test_class_or_lesson_that_somebody_deletes_meanwhile_is_changed_by_nobody(
    lesson: Lesson,
) -> None:
    one = classes.add_class(lesson, "ripe")
    LessonClass.objects.filter(pk=one.pk).delete()
    classes.rename_class(one, "unripe", "")
    Lesson.objects.filter(pk=lesson.pk).delete()
    classes.change_lesson(lesson, "fruit", base="", has_unknown=True)
    assert not Lesson.objects.exists()
    assert not LessonClass.objects.exists()
