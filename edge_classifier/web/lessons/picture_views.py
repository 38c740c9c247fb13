"""Pictures of a lesson: sent, shown, moved, removed, and all that undone."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST, require_safe

from edge_classifier.errors import (
    EdgeClassifierError,
    MissingFileError,
    PictureError,
    StorageError,
    UsageError,
)
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.full_disk import NO_ROOM, is_full
from edge_classifier.web.lessons import storage, undo
from edge_classifier.web.lessons.class_views import class_or_404
from edge_classifier.web.lessons.display import cards, class_name, told
from edge_classifier.web.lessons.storage import Added, Filling, new_pictures
from edge_classifier.web.lessons.tables import Lesson, LessonClass, LessonPicture
from edge_classifier.web.lessons.views import lesson_or_404
from edge_classifier.web.records import picture_storage
from edge_classifier.web.records.record_views import FOR_EVER, jpeg_response
from edge_classifier.web.wording import explained, translated

_log = logging.getLogger(__name__)
_UPLOAD = str(LessonPicture.Source.UPLOAD)
# Ticked in one form: a page of a class has fewer.
_MOST_TICKED = 1000
# What a list has to be ticked: records, or names of files.
_Ticked = TypeVar("_Ticked")


@require_POST
@requires(AccessLevel.REVIEWER)
def upload(request: HttpRequest, key: UUID) -> HttpResponse:
    """Add the pictures of the form to its class; a broken one does not stop the others."""
    of = class_or_404(key, request.POST.get("class", ""))
    most_mb = request.services.settings.uploads.max_mb
    too_large = gettext("This file is larger than %(limit)s MB.") % {"limit": f"{most_mb:g}"}
    problems = [f"{name}: {too_large}" for name in getattr(request, "too_large", [])]
    filling = Filling(of, request.services.worker, request.services.settings.lessons)
    added: list[Added] = []
    for file in request.FILES.getlist("pictures"):
        try:
            added.append(filling.add(Path(file.temporary_file_path()), _UPLOAD))
        except EdgeClassifierError as error:
            problems.append(f"{file.name}: {in_words(error)}")
            if not isinstance(error, PictureError):
                break  # The others would fare no better.
    if not added and not problems:
        problems = [gettext("Choose a picture first.")]
    return answer_added(request, of, added, problems)


def answer_added(
    request: HttpRequest, of: LessonClass, added: list[Added], problems: list[str]
) -> HttpResponse:
    """What became of pictures that were to be added: as JSON to our script, else on a page."""
    said = told((one.outcome for one in added), class_name(of)) if added else ""
    if is_script(request):
        return JsonResponse(added_facts(of, added) | {"said": said, "problems": problems})
    undo.note_added(request, of.lesson, [one.pk for one in new_pictures(added)])
    if said:
        messages.success(request, said)
    for problem in problems:
        messages.error(request, problem)
    return redirect("lesson", key=of.lesson.key)


def add_ticked(
    request: HttpRequest,
    of: LessonClass,
    ticked: Sequence[_Ticked],
    add: Callable[[Filling, _Ticked], Added],
) -> None:
    """Add what was ticked in a list, one after the other, and say what became of it."""
    filling = Filling(of, request.services.worker, request.services.settings.lessons)
    added: list[Added] = []
    for one in ticked:
        try:
            added.append(add(filling, one))
        except (PictureError, MissingFileError) as error:
            messages.error(request, in_words(error))
        except EdgeClassifierError as error:
            messages.error(request, in_words(error))
            # The others would fare no better.
            break
    undo.note_added(request, of.lesson, [one.pk for one in new_pictures(added)])
    if added:
        messages.success(request, told((one.outcome for one in added), class_name(of)))
    elif not ticked:
        messages.error(request, gettext("Select pictures first."))


def added_facts(of: LessonClass, added: Iterable[Added]) -> dict[str, object]:
    """For our script: the outcomes, and how the new pictures look in their class."""
    became = list(added)
    new = new_pictures(became)
    context = {"lesson": of.lesson, "name": class_name(of)}
    return {
        "class": of.pk,
        "count": of.pictures.filter(removed_at=None).count(),
        "outcomes": [one.outcome for one in became],
        "ids": [one.pk for one in new],
        "thumbnails": [
            render_to_string("lessons/thumbnail.html", context | {"picture": one}) for one in new
        ],
    }


@require_POST
@requires(AccessLevel.REVIEWER)
def act(request: HttpRequest, key: UUID) -> HttpResponse:
    """Move or remove the pictures that are ticked, or undo the last step; ``do`` says which."""
    lesson = lesson_or_404(key)
    ids = [int(one) for one in request.POST.getlist("picture") if _is_id(one)][:_MOST_TICKED]
    of_before = set(lesson.pictures.filter(pk__in=ids).values_list("of", flat=True))
    try:
        said, changed = _act(request, lesson, ids)
    except (UsageError, StorageError) as error:
        if is_script(request):
            return JsonResponse({"problem": in_words(error)}, status=409)
        messages.error(request, in_words(error))
        return redirect(_back(request, lesson))
    if is_script(request):
        only = None if changed is None else of_before | changed
        html = {
            card.of.pk: render_to_string(
                "lessons/class.html", {"lesson": lesson, "card": card}, request
            )
            for card in cards(lesson, only)
        }
        is_possible = undo.is_possible(request, lesson)
        return JsonResponse({"said": said, "classes": html, "can_undo": is_possible})
    messages.success(request, said)
    return redirect(_back(request, lesson))


def _act(request: HttpRequest, lesson: Lesson, ids: list[int]) -> tuple[str, set[int] | None]:
    """What was done, and further classes that it changed; None: any. Raises UsageError."""
    what = request.POST.get("do")
    if what == "undo":
        return undo.undo(request, lesson, request.services.settings.lessons), None
    if not ids:
        raise UsageError("pictures", gettext("Select pictures first."))
    if what == "remove":
        gone = storage.remove(lesson, ids)
        undo.note_removed(request, lesson, gone)
        text = ngettext("%(count)d picture removed.", "%(count)d pictures removed.", len(gone))
        return text % {"count": len(gone)}, set()
    to = class_or_404(lesson.key, request.POST.get("to", ""))
    before = storage.move(lesson, ids, to)
    undo.note_moved(request, lesson, before)
    text = ngettext(
        "%(count)d picture moved to %(name)s.", "%(count)d pictures moved to %(name)s.", len(before)
    )
    return text % {"count": len(before), "name": class_name(to)}, {to.pk}


@require_safe
@requires(AccessLevel.REVIEWER)
def picture(_request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """The JPEG of one picture."""
    sha256 = _sha256(key, number)
    return jpeg_response(picture_storage.picture_name(sha256), f"{number}.jpg", FOR_EVER)


@require_safe
@requires(AccessLevel.REVIEWER)
def thumbnail(_request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """The same, small."""
    sha256 = _sha256(key, number)
    return jpeg_response(picture_storage.thumbnail_name(sha256), f"{number}-small.jpg", FOR_EVER)


def _sha256(key: UUID, number: int) -> str:
    # A number that no database has.
    if number >= 1 << 63:
        raise Http404
    found = LessonPicture.objects.filter(pk=number, lesson__key=key)
    sha256: str | None = found.values_list("picture__sha256", flat=True).first()
    if sha256 is None:
        raise Http404
    return sha256


def in_words(error: EdgeClassifierError) -> str:
    """``error`` for people of a web page: without its subject, which may be a path."""
    if isinstance(error, UsageError):
        return explained(error)
    what = {"problem": translated(error.problem)}
    if isinstance(error, PictureError):
        return gettext("This picture cannot be taken: it %(problem)s.") % what
    _log.warning("a picture of a lesson: %s %s", error, getattr(error, "detail", ""))
    if is_full(error):
        return str(NO_ROOM)
    return gettext("Just now it does not work (%(problem)s).") % what


def is_script(request: HttpRequest) -> bool:
    """Whether our script asks, which puts the answer into the page that is there."""
    return request.headers.get("Accept") == "application/json"


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _back(request: HttpRequest, lesson: Lesson) -> str:
    """Where the form was: the lesson's page, or that of one class."""
    number = request.POST.get("from", "")
    if _is_id(number):
        return reverse("lesson-class", args=[lesson.key, int(number)])
    return reverse("lesson", args=[lesson.key])
