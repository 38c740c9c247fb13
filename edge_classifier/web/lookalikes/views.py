"""More like these: twenty pictures at a time, each taken into a class of a lesson or refused."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from edge_classifier.errors import EdgeClassifierError, UsageError
from edge_classifier.web.accounts.roles import AccessLevel, requires, visible
from edge_classifier.web.full_disk import NO_ROOM, is_full
from edge_classifier.web.lessons.class_views import class_or_404
from edge_classifier.web.lessons.display import class_name
from edge_classifier.web.lessons.storage import Filling
from edge_classifier.web.lookalikes import more as proposals
from edge_classifier.web.lookalikes.encoder import base_key
from edge_classifier.web.models import Record
from edge_classifier.web.records.keys import keys_in
from edge_classifier.web.wording import explained


@require_http_methods(["GET", "POST"])
@requires(AccessLevel.REVIEWER)
def more(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """The pictures that look most like those of a class; with POST, what becomes of some."""
    of = class_or_404(key, number)
    if request.method == "POST":
        problem = ""
        try:
            if taken := _records(request, "take"):
                services = request.services
                proposals.take(of, taken, Filling(of, services.worker, services.settings.lessons))
            proposals.refuse(of, _records(request, "refuse"))
            proposals.take_back(of, _records(request, "back"))
        except UsageError as error:
            problem = explained(error)
        except EdgeClassifierError as error:
            problem = gettext("This picture cannot be taken just now: %(why)s") % {"why": error}
            problem = str(NO_ROOM) if is_full(error) else problem
        if request.headers.get("Accept") == "application/json":
            return JsonResponse({"problem": problem}, status=400 if problem else 200)
        if problem:
            messages.error(request, problem)
        return redirect("lesson-more", key=of.lesson.key, number=of.pk)
    context = {
        "lesson": of.lesson,
        "name": class_name(of),
        "found": proposals.propose(of, visible(request), base_key()),
        "has_pictures": of.pictures.filter(removed_at=None).exists(),
        "is_on": request.services.encoder is not None,
    }
    return render(request, "lookalikes/more.html", context)


def _records(request: HttpRequest, name: str) -> list[Record]:
    keys = keys_in(request.POST.getlist(name)[: proposals.AT_ONCE])
    found = visible(request).select_related("picture").filter(key__in=keys, picture__isnull=False)
    return list(found) if keys else []
