"""Models: what is installed, what it says of itself, and which one is used where."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from edge_classifier.core.text import escaped, is_printable
from edge_classifier.errors import EdgeClassifierError, MissingFileError, UsageError
from edge_classifier.web.accounts.roles import SWITCHES_MODELS, AccessLevel, requires
from edge_classifier.web.installed_models.device_models import (
    UNDER_WAY,
    device_rows,
    select_devices,
)
from edge_classifier.web.installed_models.store import InstalledModel
from edge_classifier.web.installed_models.uploaded_report import MOST_BYTES
from edge_classifier.web.live.camera_list import Selection
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.live.live_state import MAX_DEVICES
from edge_classifier.web.templatetags.words import named
from edge_classifier.web.wording import explained, quoted, sentences, translated

_log = logging.getLogger(__name__)
_LONGEST_NAME = 200
_SHOWN_LABELS = 1000
# Devices that are named beside a model.
_SHOWN_USERS = 10
# A slow device takes a while to load a model; what has to be fetched first is answered at once.
_ANSWER_S = 60.0


@require_GET
@requires(AccessLevel.VIEWER)
def page(request: HttpRequest) -> HttpResponse:
    """All models. No child process is started: what is not known of one yet is left out."""
    services = request.services
    models, settings, live = services.models, services.settings, services.live
    installed = models.installed()
    rows = device_rows(live, installed)
    shown = select_devices(rows, Selection.of(request.GET))
    # What was asked for just now has not been told yet.
    is_busy = "sent" in request.GET or any(row.is_busy for row in rows)
    devices = {"shown": shown, "installed": installed, "is_busy": is_busy}
    if "part" in request.GET:
        return render(request, "installed_models/device_list.html", devices)
    current = models.current()
    context = {
        **devices,
        "models": [(model, models.devices_with(model)) for model in installed],
        "most_users": _SHOWN_USERS,
        "current": current,
        "is_elsewhere": current not in {model.name for model in installed},
        "is_as_set": models.chosen() == settings.classify.model,
        "most_mb": settings.uploads.model_max_mb,
        "folder": services.folders.models,
        "has_broker": live is not None,
    }
    return render(request, "installed_models/models.html", context)


@require_http_methods(["GET", "POST"])
@requires(AccessLevel.VIEWER)
def report(request: HttpRequest, name: str) -> HttpResponse:
    """One model: its card, labels and figures; POST asks the child process what is in it."""
    models = request.services.models
    try:
        model = models.find(name)
    except MissingFileError as error:
        raise Http404(error.problem) from error
    if request.method == "POST":
        with errors_as_messages(request):
            models.describe(model)
        return redirect("models-report", name=name)
    if "part" in request.GET:
        return render(request, "installed_models/devices.html", _sending(request, model))
    labels: list[str] = []
    if facts := model.facts:
        chinese = facts.chinese or ("",) * len(facts.labels)
        labels = [named(*both) for both in zip(facts.labels, chinese, strict=False)]
    context = {
        "model": model,
        "facts": facts,
        "notes": [translated(note) for note in facts.notes] if facts else [],
        "labels": labels[:_SHOWN_LABELS],
        "report": model.report,
        "devices": models.devices_with(model),
        "is_chosen": model.name == models.current(),
        **_sending(request, model),
    }
    return render(request, "installed_models/model.html", context)


def _sending(request: HttpRequest, model: InstalledModel) -> dict[str, Any]:
    """What each device makes of ``model``, as it tells."""
    live: LiveClient | None = request.services.live
    told = [live.device(name) for name in live.devices()] if live else []
    rows = []
    for device in filter(None, told):
        change = device["model_change"]
        is_meant = change is not None and change["sha256"] == model.sha256
        rows.append(
            {
                "device": device,
                "runs": model.runs_on(device),
                "change": change if is_meant else None,
                "is_busy": is_meant and change["state"] in UNDER_WAY and device["online"],
            }
        )
    # What was asked for just now has not been told yet.
    is_busy = "sent" in request.GET or any(row["is_busy"] for row in rows)
    return {"model": model, "rows": rows, "is_busy": is_busy, "has_broker": live is not None}


@require_POST
@requires(SWITCHES_MODELS)
def send(request: HttpRequest, name: str) -> HttpResponse:
    """Ask devices to run a model; they fetch it themselves. The page shows what comes of it."""
    try:
        model = request.services.models.find(name)
    except MissingFileError as error:
        raise Http404(error.problem) from error
    live: LiveClient | None = request.services.live
    devices = list(dict.fromkeys(request.POST.getlist("device")))[:MAX_DEVICES]
    with errors_as_messages(request):
        if live is None:
            problem = _("This page does not listen to daemons: mqtt.enabled is false.")
            raise UsageError("mqtt", problem)
        known = [device for device in devices if device in live.devices()]
        if not known:
            raise UsageError("device", _("Choose at least one device."))
        body = {"model": model.name, "sha256": model.sha256}
        away = [device for device in known if not live.tell(device, "model", body)]
        _log.info("%s sends %s to %s", request.user, model.version, ", ".join(known))
        if away:
            text = _("Not asked, as they are not online: %s") % ", ".join(away)
            messages.error(request, text)
        if asked := len(known) - len(away):
            text = ngettext("%d device was asked.", "%d devices were asked.", asked) % asked
            messages.success(request, text)
    return redirect(f"{reverse('models-report', args=[name])}?sent#devices")


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def upload(request: HttpRequest) -> HttpResponse:
    """Take a model, once a child process has run it; a script is told where it goes on."""
    added: InstalledModel | None = None
    with errors_as_messages(request):
        file: UploadedFile | None = request.FILES.get("model")
        if getattr(request, "too_large", []):  # Known once the files have been read.
            most = request.services.settings.uploads.model_max_mb
            raise UsageError("model", _("The file is larger than %g MB.") % most)
        if file is None:
            raise UsageError("model", _("Choose a .tflite file, or a zip with one."))
        figures: UploadedFile | None = request.FILES.get("report")
        if figures and figures.size > MOST_BYTES:
            raise UsageError("report.json", _("report.json is too large."))
        name = request.POST.get("name", "").strip() or file.name or ""
        report_json = figures.read() if figures else b""
        added = request.services.models.add(name, file.chunks(), report_json)
        messages.success(request, _("%s has been tried, and is installed.") % added.name)
    address = reverse("models-report", args=[added.name]) if added else reverse("models")
    if request.headers.get("Accept") == "application/json":
        # The message waits for the page that the script goes to.
        return JsonResponse({"address": address})
    return redirect(address)


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def choose(request: HttpRequest) -> HttpResponse:
    """Make one the model for uploads."""
    name = request.POST.get("model", "")
    with errors_as_messages(request):
        request.services.models.choose(name)
        messages.success(request, _("Uploads are classified by this model from now on."))
    return redirect("models")


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Delete an uploaded one."""
    with errors_as_messages(request):
        request.services.models.delete(name)
        messages.success(request, _("%s has been deleted.") % name)
    return redirect("models")


@require_POST
@requires(SWITCHES_MODELS)
def switch(request: HttpRequest) -> HttpResponse:
    """Ask a daemon to change its model, or that of ``DEVICE/CAMERA``, and tell what it answers."""
    live: LiveClient | None = request.services.live
    asked, model = request.POST.get("device", ""), request.POST.get("model", "").strip()
    device, _separator, camera = asked.partition("/")
    with errors_as_messages(request):
        if live is None:
            problem = _("This page does not listen to daemons: mqtt.enabled is false.")
            raise UsageError("mqtt", problem)
        if device not in live.devices():
            raise UsageError("device", _("Nothing has been heard of such a device."))
        if len(model) > _LONGEST_NAME or not is_printable(model):
            raise UsageError("model", _("That is not the name of a model."))
        if len(camera) > _LONGEST_NAME or not is_printable(camera):
            raise UsageError("device", _("Nothing has been heard of such a device."))
        known = {one.name: one.sha256 for one in request.services.models.installed()}
        body = {"model": model, **({"sha256": known[model]} if model in known else {})}
        body |= {"camera": camera} if camera else {}
        _log.info("%s asks %s for %s", request.user, asked, model or "its settings' model")
        _tell_answer(request, asked, live.request(device, "model", body, _ANSWER_S))
    back = Selection.of(request.POST).query
    return redirect(f"{reverse('models')}{back}{'&' if back else '?'}sent")


def _tell_answer(request: HttpRequest, asked: str, answer: Mapping[str, Any]) -> None:
    """What a daemon made of a request for another model, on the next page."""
    told = answer.get("data")
    data = told if isinstance(told, dict) else {}
    if answer.get("status") != "ok":
        messages.error(request, f"{asked}: {quoted(answer.get('error'))}")
    elif "fetching" in data:
        text = _("%s fetches it. The list shows how far it is.")
        messages.success(request, text % asked)
    else:
        text = _("%(device)s now runs %(model)s.")
        running = escaped(str(data.get("model")))
        messages.success(request, text % {"device": asked, "model": running})
    rules = data.get("resting_rules")
    if isinstance(rules, list) and rules:
        text = _("Rules of its settings that name other labels rest until a model has these:")
        messages.warning(request, sentences(text, *(quoted(rule) for rule in rules)))


@contextmanager
def errors_as_messages(request: HttpRequest) -> Iterator[None]:
    """What goes wrong is shown on the next page."""
    try:
        yield
    except EdgeClassifierError as error:
        messages.error(request, explained(error))
