"""Lessons and their classes: made, named, changed and deleted."""

import shutil
import unicodedata
from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from edge_classifier.core.labels.labels import UNKNOWN, UNKNOWN_NAMES
from edge_classifier.core.text import folded, is_printable
from edge_classifier.errors import UsageError
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.lessons.tables import LONGEST_NAME, Lesson, LessonClass
from edge_classifier.web.models import User
from edge_classifier.web.records import deletion

MOST_LESSONS, MOST_CLASSES = 200, 100
_UNKNOWNS = frozenset(map(folded, UNKNOWN_NAMES.values()))


def clean_name(text: str) -> str:
    """A name as it is kept: one blank between words. Raises UsageError for what is none."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not name:
        raise UsageError("name", _("The name is missing."))
    if not is_printable(name):
        raise UsageError("name", _("The name has characters that cannot be printed."))
    if len(name) > LONGEST_NAME:
        problem = _("The name has %(length)d characters; %(most)d are allowed.")
        raise UsageError("name", problem % {"length": len(name), "most": LONGEST_NAME})
    return name


@transaction.atomic
def create_lesson(
    name: str,
    *,
    base: str = "",
    has_unknown: bool = True,
    owner: User | None = None,
    classes: Iterable[str] = (),
) -> Lesson:
    """A lesson with empty classes. Raises UsageError, in the reader's language."""
    clean = clean_name(name)
    if Lesson.objects.count() >= MOST_LESSONS:
        problem = _("There are %(most)d lessons already. Delete one that nobody needs.")
        raise UsageError("lessons", problem % {"most": MOST_LESSONS})
    lesson = Lesson.objects.create(name=clean, base=base, has_unknown=has_unknown, owner=owner)
    LessonClass.objects.create(
        lesson=lesson, name=UNKNOWN, chinese=UNKNOWN_NAMES["zh"], is_other=True
    )
    for one in classes:
        add_class(lesson, one)
    return lesson


def change_lesson(lesson: Lesson, name: str, *, base: str, has_unknown: bool) -> None:
    """Another name, another base, with or without ``unknown``. Raises UsageError."""
    lesson.name, lesson.base, lesson.has_unknown = clean_name(name), base, has_unknown
    lesson.changed_at = timezone.now()
    # Not `save`, which fails for one that somebody has just deleted.
    Lesson.objects.filter(pk=lesson.pk).update(
        name=lesson.name, base=base, has_unknown=has_unknown, changed_at=lesson.changed_at
    )


@transaction.atomic
def add_class(lesson: Lesson, name: str, chinese: str = "") -> LessonClass:
    """An empty class. Raises UsageError for a name that is none, or taken, and for too many."""
    if lesson.classes.filter(is_other=False).count() >= MOST_CLASSES:
        problem = _("A lesson has at most %(most)d classes. For more, train on a workstation.")
        raise UsageError("classes", problem % {"most": MOST_CLASSES})
    made = LessonClass(lesson=lesson)
    _name(made, name, chinese)
    try:
        with transaction.atomic():
            made.save()
    except IntegrityError as error:  # Two people at once, or a lesson that has just gone.
        raise UsageError("class", _("There is such a class already.")) from error
    touch(lesson)
    return made


@transaction.atomic
def rename_class(one: LessonClass, name: str, chinese: str) -> None:
    """Other names; its pictures stay. Raises UsageError as ``add_class``."""
    if one.is_other:
        raise UsageError("class", _("This class keeps its name."))
    _name(one, name, chinese)
    try:
        with transaction.atomic():
            # Not `save`, which fails for one that somebody has just deleted.
            same = LessonClass.objects.filter(pk=one.pk)
            same.update(name=one.name, chinese=one.chinese)
    except IntegrityError as error:
        raise UsageError("class", _("There is such a class already.")) from error
    touch(one.lesson)


def _name(one: LessonClass, name: str, chinese: str) -> None:
    clean = clean_name(name)
    if folded(clean) in _UNKNOWNS:
        raise UsageError("class", _("“Nothing there” is a class of its own already."))
    others = one.lesson.classes.exclude(pk=one.pk).values_list("name", flat=True)
    if folded(clean) in map(folded, others):
        raise UsageError("class", _("There is a class “%(name)s” already.") % {"name": clean})
    one.name, one.chinese = clean, clean_name(chinese) if chinese.strip() else ""


def delete_class(one: LessonClass) -> None:
    """Delete a class with its pictures. Raises UsageError, StorageError."""
    if one.is_other:
        raise UsageError("class", _("This class stays; remove its pictures instead."))
    pictures = set(one.pictures.values_list("picture", flat=True))
    with transaction.atomic():
        one.delete()
        touch(one.lesson)
    remove_unused(pictures)


def delete_lesson(lesson: Lesson, folders: Folders) -> None:
    """Delete a lesson with its pictures. Raises StorageError."""
    pictures = set(lesson.pictures.values_list("picture", flat=True))
    lesson.delete()
    shutil.rmtree(folders.lessons / str(lesson.key), ignore_errors=True)
    remove_unused(pictures)


def remove_unused(pictures: set[int]) -> None:
    """Delete those that nothing else has, so many at a time. Raises StorageError."""
    ids = sorted(pictures)
    for begin in range(0, len(ids), deletion.STEP):
        deletion.remove_unused(ids[begin : begin + deletion.STEP])


def touch(lesson: Lesson) -> None:
    """A model that was taught before is behind now."""
    Lesson.objects.filter(pk=lesson.pk).update(changed_at=timezone.now())


def with_counts(lesson: Lesson) -> QuerySet[LessonClass]:
    """The classes that are taught, each with its number of ``shown`` pictures, in their order."""
    found = lesson.classes.annotate(
        shown=Count("pictures", filter=Q(pictures__removed_at__isnull=True))
    )
    return (found if lesson.has_unknown else found.filter(is_other=False)).order_by(
        "is_other", "pk"
    )
