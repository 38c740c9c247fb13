"""Classes of a lesson: made, named, deleted; and the page of one, with all its pictures."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST

from edge_classifier.errors import StorageError, UsageError
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.lessons import classes
from edge_classifier.web.lessons.display import class_name, lesson_context
from edge_classifier.web.lessons.tables import LessonClass
from edge_classifier.web.lessons.views import lesson_or_404
from edge_classifier.web.wording import explained

_ON_A_PAGE = 200


@require_POST
@requires(AccessLevel.REVIEWER)
def add(request: HttpRequest, key: UUID) -> HttpResponse:
    """One more class."""
    lesson = lesson_or_404(key)
    try:
        classes.add_class(lesson, request.POST.get("name", ""), request.POST.get("chinese", ""))
    except UsageError as error:
        messages.error(request, explained(error))
    return redirect("lesson", key=key)


@require_http_methods(["GET", "POST"])
@requires(AccessLevel.REVIEWER)
def class_page(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """All pictures of a class; with POST, other names for it."""
    of = class_or_404(key, number)
    if request.method == "POST":
        try:
            classes.rename_class(of, request.POST.get("name", ""), request.POST.get("chinese", ""))
        except UsageError as error:
            messages.error(request, explained(error))
        return redirect("lesson-class", key=key, number=number)
    pictures = of.pictures.filter(removed_at=None).order_by("-pk")
    page = Paginator(pictures, _ON_A_PAGE).get_page(request.GET.get("page"))
    context = {"class": of, "name": class_name(of), "page": page}
    return render(request, "lessons/class_page.html", lesson_context(request, of.lesson) | context)


@require_POST
@requires(AccessLevel.REVIEWER)
def delete(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """Ask, and on ``confirmed`` delete the class with its pictures."""
    of = class_or_404(key, number)
    count = of.pictures.filter(removed_at=None).count()
    if count and "confirmed" not in request.POST:
        context = {"lesson": of.lesson, "class": of, "name": class_name(of), "count": count}
        return render(request, "lessons/delete.html", context)
    try:
        classes.delete_class(of)
    except UsageError as error:
        messages.error(request, explained(error))
        return redirect("lesson", key=key)
    except StorageError:  # Housekeeping tries it again.
        pass
    messages.success(request, gettext("“%(name)s” was deleted.") % {"name": class_name(of)})
    return redirect("lesson", key=key)


def class_or_404(key: UUID, number: int | str) -> LessonClass:
    """The class with this number of the lesson with this key. Raises Http404."""
    text = str(number)
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise Http404
    found = LessonClass.objects.select_related("lesson").filter(pk=int(text), lesson__key=key)
    of = found.first()
    if of is None:
        raise Http404
    return of
