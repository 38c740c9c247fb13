"""Deleting records: what was selected, or all that a filter finds. Nothing goes unasked."""

import logging
from uuid import UUID

from django.contrib import messages
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_POST

from edge_classifier.errors import UsageError
from edge_classifier.web.accounts.roles import Role, requires
from edge_classifier.web.models import Record
from edge_classifier.web.records import deletion, keyset
from edge_classifier.web.records.filters import FilterForm

_log = logging.getLogger(__name__)
_SHOWN = 12


@require_POST
@requires(Role.VIEWER)
def delete(request: HttpRequest) -> HttpResponse:
    """Ask, and on ``confirmed`` delete, of what one may.

    ``what=selected``: the records of all ``key``. ``what=all``: those of the filter in the other
    fields, up to the id ``last``.
    """
    form = FilterForm(request.POST)
    back = f"{reverse('history')}?{form.query()}"
    try:
        records = _chosen(request, form)
        if "confirmed" not in request.POST:
            return _ask(request, form, records, back)
        count = deletion.delete(records)
    except UsageError as error:
        messages.error(request, error.problem)
    except OSError as error:
        _log.exception("a picture cannot be deleted")
        problem = gettext("A picture could not be deleted (%(reason)s). It is tried again later.")
        messages.error(request, problem % {"reason": error.strerror})
    else:
        text = ngettext("%(count)s record was deleted.", "%(count)s records were deleted.", count)
        messages.success(request, text % {"count": f"{count:,}"})
    return redirect(back)


def _chosen(request: HttpRequest, form: FilterForm) -> QuerySet[Record]:
    """What is meant, of what one may delete. Raises UsageError."""
    mine, what = deletion.deletable_by(request.user), request.POST.get("what")
    if what == "selected":
        return mine.filter(key__in=_keys(request.POST.getlist("key")))
    if what != "all" or not form.is_valid():
        raise UsageError("delete", gettext("It is not clear what is to be deleted."))
    return form.filter().apply(mine).filter(id__lte=_last(request.POST.get("last")))


def _keys(given: list[str]) -> list[UUID]:
    try:
        return [UUID(key) for key in given]
    except ValueError as error:
        raise UsageError("delete", gettext("There is no such record.")) from error


def _last(given: str | None) -> int:
    """What comes while one is asked is newer, and stays."""
    if given and given.isascii() and given.isdecimal() and len(given) < 19:
        return int(given)
    return Record.objects.aggregate(last=Max("id"))["last"] or 0


def _ask(
    request: HttpRequest, form: FilterForm, records: QuerySet[Record], back: str
) -> HttpResponse:
    """The page that says how many go. Raises UsageError when there are none."""
    last = _last(None)
    records = records.filter(id__lte=last)
    count = records.count()
    if not count:
        raise UsageError("delete", gettext("Nothing is selected that you may delete."))
    context = {
        "count": count,
        "reviewed": records.exclude(verdict=Record.Verdict.NONE).count(),
        "shown": keyset.fetch(records, keyset.NEWEST, _SHOWN),
        "what": request.POST["what"],
        "keys": request.POST.getlist("key"),
        "given": form.given(),
        "last": last,
        "back": back,
    }
    return render(request, "records/history_delete.html", context)
