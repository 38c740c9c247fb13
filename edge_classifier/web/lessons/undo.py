"""What somebody did last with pictures of lessons, in their session, so that it can be undone."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext, ngettext

from edge_classifier.web.config.settings import LessonSettings
from edge_classifier.web.lessons import storage
from edge_classifier.web.lessons.tables import Lesson

_NAME, _MOST = "lesson_steps", 10
# Pictures of one step: a session is read with every request.
_MOST_PICTURES = 500
_ADDED, _REMOVED, _MOVED = "added", "removed", "moved"


def note_added(request: HttpRequest, lesson: Lesson, ids: Sequence[int]) -> None:
    """Pictures were added."""
    _note(request, lesson, _ADDED, ids)


def note_removed(request: HttpRequest, lesson: Lesson, ids: Sequence[int]) -> None:
    """Pictures were removed."""
    _note(request, lesson, _REMOVED, ids)


def note_moved(request: HttpRequest, lesson: Lesson, before: Sequence[tuple[int, int]]) -> None:
    """Pictures were moved: ids, and those of the classes that they were in."""
    _note(request, lesson, _MOVED, before)


def is_possible(request: HttpRequest, lesson: Lesson) -> bool:
    """Whether there is something to undo in ``lesson``."""
    return any(step["lesson"] == str(lesson.key) for step in request.session.get(_NAME, []))


def undo(request: HttpRequest, lesson: Lesson, limits: LessonSettings) -> str:
    """Undo the last step in ``lesson``, and say so. Raises UsageError, StorageError."""
    steps: list[dict[str, Any]] = request.session.get(_NAME, [])
    own = [step for step in steps if step["lesson"] == str(lesson.key)]
    if not own:
        return gettext("There is nothing to undo.")
    kind, what = own[-1]["kind"], own[-1]["what"]
    if kind == _ADDED:
        count = len(storage.remove(lesson, what))
    elif kind == _REMOVED:
        count = storage.restore(lesson, what, limits)
    else:
        count = storage.move_back(lesson, [(pk, of) for pk, of in what])
    steps.remove(own[-1])
    request.session[_NAME] = steps
    text = ngettext(
        "Undone: %(count)d picture is as it was.",
        "Undone: %(count)d pictures are as they were.",
        count,
    )
    return text % {"count": count}


def _note(request: HttpRequest, lesson: Lesson, kind: str, what: Sequence[object]) -> None:
    if not what:
        return
    step = {"lesson": str(lesson.key), "kind": kind, "what": list(what)[:_MOST_PICTURES]}
    request.session[_NAME] = [*request.session.get(_NAME, []), step][-_MOST:]
