"""Lessons and classes as templates show them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.web.lessons import undo
from edge_classifier.web.lessons.classes import with_counts
from edge_classifier.web.lessons.storage import AddOutcome
from edge_classifier.web.lessons.tables import Lesson, LessonClass, LessonPicture
from edge_classifier.web.live.camera_list import CameraOutline
from edge_classifier.web.templatetags.words import named

# Pictures of each class on the page of its lesson, and of all that it has together; the class's own
# page has every one.
NEWEST, _ON_A_PAGE = 24, 600
# Of a lesson, in the list of lessons.
_ON_A_CARD = 4


# Cameras to choose from.
_MOST_CAMERAS = 200


@dataclass(frozen=True, slots=True)
class ClassCard:
    """One class, as far as the lesson's page shows it."""

    of: LessonClass
    name: str
    count: int
    # The newest first.
    pictures: list[LessonPicture] = field(default_factory=list)

    @property
    def has_more(self) -> bool:
        """Whether there are pictures that are not shown."""
        return self.count > len(self.pictures)


def class_name(of: LessonClass) -> str:
    """What people call it."""
    return _("Nothing there") if of.is_other else named(of.name, of.chinese)


def taught_name(label: str, chinese: str) -> str:
    """What people call a label of a taught model: its ``unknown`` is the lesson's own class."""
    return _("Nothing there") if label == UNKNOWN else named(label, chinese)


def cards(lesson: Lesson, only: Iterable[int] | None = None) -> list[ClassCard]:
    """The classes with their newest pictures, in two queries. ``only``: ids of some classes."""
    found = list(with_counts(lesson))
    newest = min(NEWEST, _ON_A_PAGE // max(1, len(found)))
    wanted = None if only is None else set(only)
    shown = {
        one.pk: ClassCard(one, class_name(one), one.shown)
        for one in found
        if wanted is None or one.pk in wanted
    }
    place = Window(RowNumber(), partition_by=F("of"), order_by=F("pk").desc())
    pictures = lesson.pictures.filter(removed_at=None, of__in=list(shown))
    for picture in pictures.annotate(place=place).filter(place__lte=newest).order_by("-pk"):
        shown[picture.of_id].pictures.append(picture)
    return list(shown.values())


def with_newest(lessons: Iterable[Lesson]) -> list[tuple[Lesson, list[int]]]:
    """Each with its newest pictures' ids, in one query."""
    found: dict[int, tuple[Lesson, list[int]]] = {one.pk: (one, []) for one in lessons}
    place = Window(RowNumber(), partition_by=F("lesson"), order_by=F("pk").desc())
    shown = LessonPicture.objects.filter(removed_at=None, lesson__in=list(found))
    newest = shown.annotate(place=place).filter(place__lte=_ON_A_CARD).order_by("-pk")
    for pk, lesson in newest.values_list("pk", "lesson"):
        found[lesson][1].append(pk)
    return list(found.values())


def lesson_context(request: HttpRequest, lesson: Lesson) -> dict[str, Any]:
    """What every page of a lesson has."""
    return {
        "lesson": lesson,
        "classes": cards(lesson),
        "has_store": request.services.settings.lessons.capture_store is not None,
        "can_undo": undo.is_possible(request, lesson),
        "max_mb": request.services.settings.uploads.max_mb,
        "max_bytes": int(request.services.settings.uploads.max_mb * 1e6),
    }


def cameras(request: HttpRequest) -> list[tuple[str, CameraOutline]]:
    """Cameras that have been heard of, each with its device; whoever is offline last."""
    live = request.services.live
    return live.outline().cameras[:_MOST_CAMERAS] if live else []


def told(outcomes: Iterable[AddOutcome], name: str) -> str:
    """What became of pictures that were to be added to the class ``name``, as a sentence or two."""
    became = list(outcomes)
    added, alike, there = (became.count(one) for one in AddOutcome)
    lines = []
    if added or not became:
        text = ngettext(
            "%(count)d picture added to %(name)s.", "%(count)d pictures added to %(name)s.", added
        )
        lines.append(text % {"count": added, "name": name})
    if alike:
        text = ngettext(
            "%(count)d was nearly the same as one that is there, and left out.",
            "%(count)d were nearly the same as others that are there, and left out.",
            alike,
        )
        lines.append(text % {"count": alike})
    if there:
        text = ngettext(
            "%(count)d is in another class already.",
            "%(count)d are in another class already.",
            there,
        )
        lines.append(text % {"count": there})
    return " ".join(lines)
