"""The list of lessons, and the page of one: its classes, its settings, its end, its zip."""

from contextlib import suppress
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from edge_classifier.core.text import folder_name
from edge_classifier.errors import StorageError, UsageError
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.lessons import class_folders, classes
from edge_classifier.web.lessons.display import cameras, lesson_context, with_newest
from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.lessons.teaching.panel import panel_context
from edge_classifier.web.records.downloads import download
from edge_classifier.web.wording import explained


@require_http_methods(["GET", "POST"])
@requires(AccessLevel.REVIEWER)
def lesson_list(request: HttpRequest) -> HttpResponse:
    """All lessons, and a form for a new one."""
    if request.method == "POST":
        typed: dict[str, Any] = {
            "name": request.POST.get("name", ""),
            "base": request.POST.get("base", ""),
            "has_unknown": "has_unknown" in request.POST,
            "classes": request.POST.getlist("class")[: classes.MOST_CLASSES + 1] or [""],
        }
        try:
            made = classes.create_lesson(
                typed["name"],
                base=_known_base(request),
                has_unknown=typed["has_unknown"],
                owner=request.user,
                classes=[name for name in typed["classes"] if name.strip()],
            )
        except UsageError as error:
            return _list(request, typed, explained(error))
        return redirect("lesson", key=made.key)
    return _list(request, {"has_unknown": True, "classes": ["", ""]})


def _list(request: HttpRequest, typed: dict[str, Any], wrong: str = "") -> HttpResponse:
    class_count = Count("classes", filter=Q(classes__is_other=False), distinct=True)
    shown = Q(pictures__removed_at=None)
    found = Lesson.objects.annotate(
        class_count=class_count, picture_count=Count("pictures", filter=shown, distinct=True)
    )
    context = {
        "lessons": with_newest(found.order_by("-changed_at", "-pk")),
        "bases": request.services.models.installed(),
        "typed": typed,
        "wrong": wrong,
    }
    status = 400 if wrong else 200
    return render(request, "lessons/lesson_list.html", context, status=status)


@require_safe
@requires(AccessLevel.REVIEWER)
def lesson_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """One lesson, its classes side by side."""
    lesson = lesson_or_404(key)
    context = {**lesson_context(request, lesson), **panel_context(request, lesson)}
    context["cameras"] = cameras(request)
    return render(request, "lessons/lesson.html", context)


@require_http_methods(["GET", "POST"])
@requires(AccessLevel.REVIEWER)
def settings(request: HttpRequest, key: UUID) -> HttpResponse:
    """The lesson's name, its base network, and whether something may be none of its classes."""
    lesson = lesson_or_404(key)
    context: dict[str, Any] = {"lesson": lesson, "bases": request.services.models.installed()}
    if request.method == "POST":
        name, has_unknown = request.POST.get("name", ""), "has_unknown" in request.POST
        try:
            base = _known_base(request)
            classes.change_lesson(lesson, name, base=base, has_unknown=has_unknown)
        except UsageError as error:
            context["wrong"] = explained(error)
            return render(request, "lessons/settings.html", context, status=400)
        return redirect("lesson", key=key)
    return render(request, "lessons/settings.html", context)


@require_POST
@requires(AccessLevel.REVIEWER)
def delete(request: HttpRequest, key: UUID) -> HttpResponse:
    """Ask, and on ``confirmed`` delete the lesson with its pictures."""
    lesson = lesson_or_404(key)
    if "confirmed" not in request.POST:
        count = lesson.pictures.filter(removed_at=None).count()
        return render(request, "lessons/delete.html", {"lesson": lesson, "count": count})
    # What teaches it now ends; what takes longer finds no lesson to put its model into.
    request.services.teacher.forget(lesson)
    with suppress(StorageError):  # Housekeeping tries it again.
        classes.delete_lesson(lesson, request.services.folders)
    messages.success(request, gettext("“%(name)s” was deleted.") % {"name": lesson.name})
    return redirect("lessons")


@require_safe
@requires(AccessLevel.REVIEWER)
def archive(request: HttpRequest, key: UUID) -> HttpResponse:
    """The lesson as a zip of class folders, for ``teach`` and ``train``."""
    lesson = lesson_or_404(key)
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder_name(lesson.name))
    name = f"{name.strip('-')[:60] or 'lesson'}.zip"
    return download(request, class_folders.archive(lesson), name, "application/zip")


def _known_base(request: HttpRequest) -> str:
    """What the form names, if a model here has it: nobody names files of this machine.

    Raises UsageError.
    """
    name: str = request.POST.get("base", "")
    if name and name not in {model.name for model in request.services.models.installed()}:
        raise UsageError("base", gettext("There is no model of this name here."))
    return name


def lesson_or_404(key: UUID) -> Lesson:
    """The lesson with this key. Raises Http404."""
    found = Lesson.objects.filter(key=key).first()
    if found is None:
        raise Http404
    return found
