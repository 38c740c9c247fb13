"""Reviewing pictures one by one or many at once, and downloading the dataset."""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from edge_classifier.errors import EdgeClassifierError, UsageError
from edge_classifier.web.accounts.roles import AccessLevel, requires, visible
from edge_classifier.web.lookalikes import piles
from edge_classifier.web.models import Camera, Label, Record
from edge_classifier.web.records.display import address_of, displayed
from edge_classifier.web.records.downloads import download
from edge_classifier.web.records.keys import keys_in
from edge_classifier.web.review import datasets, verdicts
from edge_classifier.web.review.choices import choices
from edge_classifier.web.review.never_again import ignore_label, take_back
from edge_classifier.web.review.new_labels import first_seen_lately
from edge_classifier.web.review.thumbnails import thumbnails
from edge_classifier.web.wording import explained

# Pictures that are sent at once where they are shown one by one.
_AT_ONCE = 8
_IN_GRID = 100
# Labels to switch between, and pictures of the queue that are looked at for them.
_OFFERED, _LOOKED_AT = 24, 500
_COUNTED = 500
_MOST_CAMERAS = 300
_FILTERS = ("camera", "label", "source")
# The addresses of each record that is shown.
_ADDRESSES = {name: name for name in ("record", "picture", "thumbnail")} | {"judge": "review-judge"}
# In a reviewer's session: the records that they judged last without JavaScript.
_LAST = "reviewed_last"
# There, too: by the key of a record, what its camera ignores since then; the newest ones.
_NEVER, _MOST_NEVER = "never_again", 20


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
        # How many pictures each true label has.
        found = datasets.classes(datasets.reviewed())
        context = {
            "view": "dataset",
            "classes": found,
            "total": sum(one.pictures for one in found),
            "least": datasets.ENOUGH,
            "has_too_few": not all(one.has_enough for one in found),
        }
        return render(request, "review/dataset.html", context)
    return _one_by_one(request, "piles" if view == "piles" else "")


def _one_by_one(request: HttpRequest, view: str) -> HttpResponse:
    """The queue, or with the view ``piles`` the largest piles in it."""
    wait = _queue(request, request.GET)
    after, linked = _record(request, "after"), _record(request, "record")
    # The record that a link leads to comes first, reviewed or not.
    found = [piles.Pile(linked, [])] if linked and linked.picture_id else []
    # Then the labels that are new at their camera.
    new = [] if after or view else first_seen_lately(wait)
    found += [piles.Pile(record, []) for record in new if record != linked]
    by_id = _queue(request, request.GET, is_by_id=True)
    if view == "piles":
        found += piles.largest_piles(by_id, after, _AT_ONCE)
    else:
        behind, by_id = (one.exclude(pk__in=[it.pk for it in new]) for one in (wait, by_id))
        found += piles.next_piles(behind, after, _AT_ONCE, by_id)
    records = [pile.first for pile in found]
    small = thumbnails(one for pile in found for one in pile.others)
    addresses = {name: address_of(path) for name, path in _ADDRESSES.items()}
    items = [
        {
            "record": pile.first,
            "address": {name: address(pile.first.key) for name, address in addresses.items()},
            "others": [small[one.key] for one in pile.others],
            "choices": offered,
            "shown": shown,
            "is_new_label": pile.first in new,
        }
        for pile, offered, shown in zip(
            found, choices(records, request.user), displayed(records), strict=True
        )
    ]
    context = {"items": items, "view": view, **_filters(request.GET)}
    if request.GET.get("part") == "items":
        return render(request, "review/items.html", context)
    return render(
        request, "review/review.html", {**context, "after": after, **_common(request, wait)}
    )


def _grid(request: HttpRequest) -> HttpResponse:
    """Many pictures of one label; of that of the first picture, unless one is asked for."""
    surest_first = request.GET.get("order") == "sure"
    of_all = _queue(request, {**request.GET.dict(), "label": ""}, surest_first=surest_first)
    ahead = list(of_all.values_list("label", flat=True)[:_LOOKED_AT])
    waiting = Counter(ahead).most_common(_OFFERED)
    name = request.GET.get("label", "").strip()
    if name:
        label = Label.objects.filter(name=name).first()
    else:
        label = Label.objects.filter(pk__in=ahead[:1]).first()
    wait = of_all.filter(label=label)
    known = Label.objects.in_bulk([pk for pk, _ in waiting])
    shown = piles.without_details(wait).annotate(pile=F("picture__code__pile"))
    # What one tick does for several stands first.
    found = sorted(piles.together(shown[:_IN_GRID]), key=lambda pile: not pile.others)
    small = thumbnails(one for pile in found for one in (pile.first, *pile.others))
    context = {
        **_common(request, wait),
        "view": "grid",
        "piles": [
            (small[pile.first.key], [small[one.key] for one in pile.others]) for pile in found
        ],
        "waiting": [(known[pk], count) for pk, count in waiting if pk in known],
        # Of more than are looked at, the numbers would be wrong.
        "knows_all": len(ahead) < _LOOKED_AT,
        "shown": label,
        "label": label.name if label else name,
        "order": "sure" if surest_first else "",
    }
    return render(request, "review/grid.html", context)


@require_POST
@requires(AccessLevel.REVIEWER)
def judge(request: HttpRequest, key: UUID) -> HttpResponse:
    """Store a verdict on one record, and on those on its pile that are named as well.

    Answers with JSON if that is accepted, else with the next one.
    """
    keys = [key, *keys_in(request.POST.getlist("key")[: piles.MOST])]
    records = list(visible(request).select_related("label", "truth").filter(key__in=keys))
    record = next((one for one in records if one.key == key), None)
    if record is None:
        raise Http404
    is_json = request.headers.get("Accept") == "application/json"
    try:
        shown = request.POST.get("shown")
        verdicts.judge_all(records, *_judgement(request.POST), request.user, shown)
    except UsageError as error:
        if is_json:
            return JsonResponse({"problem": explained(error)}, status=400)
        messages.error(request, explained(error))
        return redirect(_address(request.POST, record=key))
    if is_json:
        return _judged(request, record)
    request.session[_LAST] = [str(one.key) for one in records] if record.verdict else []
    return redirect(_address(request.POST, after=key))


@require_POST
@requires(AccessLevel.REVIEWER)
def never_again(request: HttpRequest, key: UUID) -> HttpResponse:
    """Reject a camera's record, and have the camera ignore its label; ``undo`` takes both back."""
    found = visible(request).select_related("label", "camera", "truth")
    record = found.filter(key=key, camera__isnull=False).first()
    if record is None or record.camera is None:
        raise Http404
    is_json = request.headers.get("Accept") == "application/json"
    is_undone = "undo" in request.POST
    try:
        if is_undone:
            _show_again(request, record)
        else:
            label = request.POST.get("shown") or record.label.name
            added = ignore_label(request.services.live, record.camera, label)
            kept = {**request.session.get(_NEVER, {}), str(key): added}
            request.session[_NEVER] = dict(list(kept.items())[-_MOST_NEVER:])
        verdict = "" if is_undone else str(Record.Verdict.REJECTED)
        verdicts.judge(record, verdict, None, request.user)
    except EdgeClassifierError as error:
        if is_json:
            return JsonResponse({"problem": explained(error)}, status=400)
        messages.error(request, explained(error))
        return redirect(_address(request.POST, record=key))
    if is_json:
        return _judged(request, record)
    request.session[_LAST] = [] if is_undone else [str(key)]
    return redirect(_address(request.POST, after=key))


def _show_again(request: HttpRequest, record: Record) -> None:
    """Have the camera of ``record`` show its label again, if this session has had it ignored."""
    kept = dict(request.session.get(_NEVER, {}))
    if record.camera and (added := kept.pop(str(record.key), None)):
        take_back(request.services.live, record.camera, added)
        request.session[_NEVER] = kept


def _judged(request: HttpRequest, record: Record) -> JsonResponse:
    """What a script is told of a verdict."""
    truth = record.truth.name if record.truth else None
    told = {"key": record.key, "verdict": record.verdict, "truth": truth}
    return JsonResponse({**told, **_counts(request, _queue(request, request.POST))})


def _judge_many(request: HttpRequest) -> HttpResponse:
    """Store one verdict on all records that were ticked, or take back the last ones."""
    is_undone = "undo" in request.POST
    given = request.session.get(_LAST, []) if is_undone else request.POST.getlist("key")
    # They are kept in the session, so no more and nothing else than the grid has.
    keys = [str(key) for key in keys_in(given)[:_IN_GRID]]
    records = visible(request).filter(key__in=keys).select_related("label", "camera")
    verdict, truth = ("", None) if is_undone else _judgement(request.POST)
    try:
        for record in records if is_undone else ():
            _show_again(request, record)
        shown = None if is_undone else request.POST.get("label")
        count = verdicts.judge_all(records, verdict, truth, request.user, shown)
    except EdgeClassifierError as error:
        messages.error(request, explained(error))
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


def _queue(
    request: HttpRequest,
    given: Mapping[str, str],
    *,
    surest_first: bool = False,
    is_by_id: bool = False,
) -> Any:
    of, filters = visible(request), _filters(given)
    return verdicts.queue(of, **filters, surest_first=surest_first, is_by_id=is_by_id)


def _filters(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given.get(name, "").strip() for name in _FILTERS}


def _common(request: HttpRequest, wait: Any) -> dict[str, Any]:
    """What both ways of reviewing show around the pictures. ``wait``: the queue."""
    # The first ones by name, and the one that is chosen.
    cameras, chosen = list(Camera.objects.all()[:_MOST_CAMERAS]), request.GET.get("camera", "")
    if chosen.isascii() and chosen.isdecimal() and len(chosen) < 19:
        known = [one.pk for one in cameras]
        cameras += Camera.objects.filter(pk=int(chosen)).exclude(pk__in=known)
    return {
        **_filters(request.GET),
        **_counts(request, wait),
        "cameras": cameras,
        "sources": Record.Source.choices,
        "can_undo": bool(request.session.get(_LAST)),
    }


def _counts(request: HttpRequest, wait: Any) -> dict[str, Any]:
    """How many wait, and what this reviewer has done, as they are now: others review, too."""
    to_go, reviewed = verdicts.progress(wait, request.user, _COUNTED + 1)
    return {"to_go": min(to_go, _COUNTED), "many": to_go > _COUNTED, "reviewed": reviewed}


def _record(request: HttpRequest, parameter: str) -> Record | None:
    keys = keys_in([request.GET.get(parameter, "")])
    found = visible(request).filter(key__in=keys)
    found = found.select_related("label", "camera", "truth", "picture")
    return found.first() if keys else None


def _address(form: Mapping[str, str], **more: object) -> str:
    """Where the reviewer was, with the same choice of pictures."""
    kept = {name: form.get(name, "") for name in (*_FILTERS, "view", "order")}
    given = {name: value for name, value in {**kept, **more}.items() if value}
    return f"{reverse('review')}?{urlencode(given)}" if given else reverse("review")
