"""Filling a class from what was recorded: the pictures of a search, those that are ticked."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from edge_classifier.errors import UsageError
from edge_classifier.web.accounts.roles import AccessLevel, requires, visible
from edge_classifier.web.lessons.class_views import class_or_404
from edge_classifier.web.lessons.display import class_name
from edge_classifier.web.lessons.picture_views import add_ticked
from edge_classifier.web.lessons.storage import Filling
from edge_classifier.web.lessons.tables import Lesson, LessonClass
from edge_classifier.web.records import keyset
from edge_classifier.web.records.display import with_relations
from edge_classifier.web.records.filters import COUNT_LIMIT, FilterForm
from edge_classifier.web.records.keys import keys_in

# Records that are offered, and added, at once.
_AT_ONCE = 60
_MOST_LESSONS = 50


@require_safe
@requires(AccessLevel.REVIEWER)
def choose_class(request: HttpRequest) -> HttpResponse:
    """Which class shall get the pictures of a search? The address has the search."""
    lessons = Lesson.objects.prefetch_related("classes").order_by("-changed_at")[:_MOST_LESSONS]
    form = FilterForm(request.GET)
    shown = [
        (
            lesson,
            [
                (one, class_name(one))
                for one in lesson.classes.all()
                if lesson.has_unknown or not one.is_other
            ],
        )
        for lesson in lessons
    ]
    return render(request, "lessons/choose_class.html", {"lessons": shown, "query": form.query()})


@require_http_methods(["GET", "POST"])
@requires(AccessLevel.REVIEWER)
def from_history(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """The pictures of a search, and those of them that are ticked into the class."""
    of = class_or_404(key, number)
    if request.method == "POST":
        ticked = keys_in(request.POST.getlist("key")[:_AT_ONCE])
        records = visible(request).filter(key__in=ticked).select_related("picture")
        add_ticked(request, of, list(records.order_by("at", "id")), Filling.add_record)
        return redirect(_address(of, request.POST, before=request.POST.get("before", "")))
    form = FilterForm(request.GET)
    form.offer_names()
    context: dict[str, Any] = {
        "lesson": of.lesson,
        "class": of,
        "name": class_name(of),
        "form": form,
    }
    if not form.is_valid():
        context["wrong"] = gettext("The filter cannot be used as it is.")
        return render(request, "lessons/from_history.html", context, status=400)
    # Those that are meant, and whose picture the lesson does not have.
    there = of.lesson.pictures.filter(removed_at=None).values("picture")
    found = form.filter().apply(visible(request)).filter(picture__isnull=False)
    found = found.exclude(picture__in=there)
    try:
        before = request.GET.get("before")
        position = keyset.Position.parse(before) if before else None
    except UsageError:
        context["wrong"] = gettext("This is not a place in the list. Start at its top.")
        return render(request, "lessons/from_history.html", context, status=400)
    page = keyset.page([found], _AT_ONCE, with_relations, before=position)
    count = found.order_by().values("id")[: COUNT_LIMIT + 1].count()
    context |= {
        "page": page,
        "count": min(count, COUNT_LIMIT),
        "is_more": count > COUNT_LIMIT,
        "back": _address(of, request.GET),
    }
    return render(request, "lessons/from_history.html", context)


def _address(of: LessonClass, params: Mapping[str, str], **more: str) -> str:
    """This page with the same search."""
    given = [*FilterForm(params).given(), *((name, value) for name, value in more.items() if value)]
    page = reverse("lesson-history", args=[of.lesson.key, of.pk])
    return f"{page}?{urlencode(given)}" if given else page
