"""Reviewing pictures one by one or many at once, and downloading the dataset."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from edge_classifier.errors import UsageError
from edge_classifier.web.accounts.roles import AccessLevel, requires, visible
from edge_classifier.web.models import Camera, Label, Record
from edge_classifier.web.records.downloads import download
from edge_classifier.web.review import datasets, verdicts

# Pictures that are sent at once where they are shown one by one.
_AT_ONCE = 12
_IN_GRID = 100
_COUNTED = 1000
# Labels that are offered while one is typed.
_KNOWN_LABELS = 200
_MOST_CAMERAS = 300
_FILTERS = ("camera", "label", "source")
# In a reviewer's session: the records that they judged last without JavaScript.
_LAST = "reviewed_last"


@require_http_methods(["GET", "POST"])
@requires(AccessLevel.REVIEWER)
def page(request: HttpRequest) -> HttpResponse:
    """The picture that is to be reviewed next, a grid of many, or the dataset made of them."""
    if request.method == "POST":
        return _judge_many(request)
    view = request.GET.get("view", "")
    if view == "grid":
        return _grid(request)
    if view == "dataset":
        return _dataset_page(request)
    wait = _queue(request)
    after, linked = _record(request, "after"), _record(request, "record")
    # The record that a link leads to comes first, reviewed or not.
    first = [linked] if linked and linked.picture_id else []
    records = [*first, *(verdicts.queue_after(wait, after) if after else wait)[:_AT_ONCE]]
    items = [
        {"record": record, "choices": choices}
        for record, choices in zip(records, verdicts.choices(records), strict=True)
    ]
    if request.GET.get("part") == "items":
        return render(request, "review/items.html", {"items": items, **_filters(request.GET)})
    context = {"items": items, "after": after, **_common(request, wait)}
    return render(request, "review/review.html", context)


def _grid(request: HttpRequest) -> HttpResponse:
    """Many pictures of one label; of that of the first picture, unless one is asked for."""
    surest_first = request.GET.get("order") == "sure"
    wait = _queue(request, surest_first=surest_first)
    label = request.GET.get("label", "")
    if not label and (first := wait.first()):
        label = first.label.name
        wait = wait.filter(label=first.label)
    context = {
        **_common(request, wait),
        "view": "grid",
        "records": wait[:_IN_GRID],
        "shown": Label.objects.filter(name=label).first(),
        "label": label,
        "order": "sure" if surest_first else "",
    }
    return render(request, "review/grid.html", context)


def _dataset_page(request: HttpRequest) -> HttpResponse:
    """How many pictures each true label has."""
    found = datasets.classes(datasets.reviewed())
    context = {
        "view": "dataset",
        "classes": found,
        "total": sum(one.pictures for one in found),
        "least": datasets.ENOUGH,
        "has_too_few": not all(one.has_enough for one in found),
    }
    return render(request, "review/dataset.html", context)


@require_POST
@requires(AccessLevel.REVIEWER)
def judge(request: HttpRequest, key: UUID) -> HttpResponse:
    """Store a verdict on one record; answer with JSON if that is accepted, else the next one."""
    record = get_object_or_404(visible(request).select_related("label", "truth"), key=key)
    is_json = request.headers.get("Accept") == "application/json"
    try:
        verdicts.judge(record, *_judgement(request.POST), request.user)
    except UsageError as error:
        if is_json:
            return JsonResponse({"problem": error.problem}, status=400)
        messages.error(request, error.problem)
        return redirect(_address(request.POST, record=key))
    if is_json:
        truth = record.truth.name if record.truth else None
        return JsonResponse({"key": key, "verdict": record.verdict, "truth": truth})
    request.session[_LAST] = [str(key)] if record.verdict else []
    return redirect(_address(request.POST, after=key))


def _judge_many(request: HttpRequest) -> HttpResponse:
    """Store one verdict on all records that were ticked, or take back the last ones."""
    is_undone = "undo" in request.POST
    given = request.session.get(_LAST, []) if is_undone else request.POST.getlist("key")
    # They are kept in the session, so no more and nothing else than the grid has.
    keys = [str(key) for key in _keys(given)[:_IN_GRID]]
    records = visible(request).filter(key__in=keys).select_related("label")
    verdict, truth = ("", None) if is_undone else _judgement(request.POST)
    try:
        count = verdicts.judge_all(records, verdict, truth, request.user)
    except UsageError as error:
        messages.error(request, error.problem)
        return redirect(_address(request.POST))
    request.session[_LAST] = [] if is_undone else keys
    if is_undone:
        text = ngettext("%d review was taken back", "%d reviews were taken back", count)
    else:
        text = ngettext("%d picture reviewed", "%d pictures reviewed", count)
    messages.success(request, text % count)
    return redirect(_address(request.POST))


def _judgement(form: Mapping[str, str]) -> tuple[str, str | None]:
    """Verdict and true label of a form; a button may choose a label by itself."""
    if chosen := form.get("choose"):
        return verdicts.CORRECTED, chosen
    return form.get("verdict", "-"), form.get("truth") or None


@require_GET
@requires(AccessLevel.REVIEWER)
def dataset(request: HttpRequest) -> HttpResponse:
    """Reviewed pictures as a zip of class folders: all, or all of which training can begin."""
    least = datasets.ENOUGH if request.GET.get("labels") == "enough" else 1
    name = f"dataset-{timezone.localdate():%Y-%m-%d}.zip"
    return download(request, datasets.archive(datasets.reviewed(), least), name, "application/zip")


def _queue(request: HttpRequest, *, surest_first: bool = False) -> Any:
    filters = _filters(request.GET)
    return verdicts.queue(visible(request), **filters, surest_first=surest_first)


def _filters(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given.get(name, "").strip() for name in _FILTERS}


def _common(request: HttpRequest, wait: Any) -> dict[str, Any]:
    """What both ways of reviewing show around the pictures. ``wait``: the queue."""
    to_go = verdicts.count_up_to(wait, _COUNTED + 1)
    return {
        **_filters(request.GET),
        "to_go": min(to_go, _COUNTED),
        "many": to_go > _COUNTED,
        "reviewed": verdicts.reviewed_today(request.user),
        "cameras": _cameras(request.GET.get("camera", "")),
        "sources": Record.Source.choices,
        "labels": Label.objects.order_by("name")[:_KNOWN_LABELS],
        "can_undo": bool(request.session.get(_LAST)),
    }


def _cameras(chosen: str) -> list[Camera]:
    """Those to choose from: the first ones by name, and the one that is chosen."""
    found = list(Camera.objects.all()[:_MOST_CAMERAS])
    if chosen.isascii() and chosen.isdecimal() and len(chosen) < 19:
        missing = Camera.objects.filter(pk=int(chosen)).exclude(pk__in=[one.pk for one in found])
        found += missing
    return found


def _record(request: HttpRequest, parameter: str) -> Record | None:
    keys = _keys([request.GET.get(parameter, "")])
    found = visible(request).filter(key__in=keys).select_related("label", "camera", "truth")
    return found.first() if keys else None


def _keys(texts: Sequence[str]) -> list[UUID]:
    """Those of ``texts`` that are UUIDs."""
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def _address(form: Mapping[str, str], **more: object) -> str:
    """Where the reviewer was, with the same choice of pictures."""
    kept = {name: form.get(name, "") for name in (*_FILTERS, "view", "order")}
    given = {name: value for name, value in {**kept, **more}.items() if value}
    return f"{reverse('review')}?{urlencode(given)}" if given else reverse("review")
