"""Models: what is installed, what it says of itself, and which one is used where."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from edge_classifier.core.text import escaped, is_printable
from edge_classifier.errors import EdgeClassifierError, MissingFileError, UsageError
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.installed_models.store import InstalledModel
from edge_classifier.web.installed_models.uploaded_report import MOST_BYTES
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.templatetags.words import named

_LONGEST_NAME = 200
_LONGEST_ANSWER = 500
_SHOWN_LABELS = 1000


@require_GET
@requires(AccessLevel.VIEWER)
def page(request: HttpRequest) -> HttpResponse:
    """All models. No child process is started: what is not known of one yet is left out."""
    services = request.services
    models, settings, live = services.models, services.settings, services.live
    current, installed = models.current(), models.installed()
    devices = [live.device(name) for name in live.devices()] if live else []
    context = {
        "models": [(model, models.devices_with(model)) for model in installed],
        "current": current,
        "is_elsewhere": current not in {model.name for model in installed},
        "is_as_set": models.chosen() == settings.classify.model,
        "most_mb": settings.uploads.model_max_mb,
        "folder": services.folders.models,
        "has_broker": live is not None,
        "devices": [device for device in devices if device],
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
        with _errors_as_messages(request):
            models.describe(model)
        return redirect("models-report", name=name)
    labels: list[str] = []
    if facts := model.facts:
        chinese = facts.chinese or ("",) * len(facts.labels)
        labels = [named(*both) for both in zip(facts.labels, chinese, strict=False)]
    context = {
        "model": model,
        "facts": facts,
        "labels": labels[:_SHOWN_LABELS],
        "report": model.report,
        "devices": models.devices_with(model),
        "is_chosen": model.name == models.current(),
    }
    return render(request, "installed_models/model.html", context)


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def upload(request: HttpRequest) -> HttpResponse:
    """Take a model, once a child process has run it."""
    added: InstalledModel | None = None
    with _errors_as_messages(request):
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
    return redirect("models-report", name=added.name) if added else redirect("models")


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def choose(request: HttpRequest) -> HttpResponse:
    """Make one the model for uploads."""
    name = request.POST.get("model", "")
    with _errors_as_messages(request):
        request.services.models.choose(name)
        messages.success(request, _("Uploads are classified by this model from now on."))
    return redirect("models")


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def delete(request: HttpRequest, name: str) -> HttpResponse:
    """Delete an uploaded one."""
    with _errors_as_messages(request):
        request.services.models.delete(name)
        messages.success(request, _("%s has been deleted.") % name)
    return redirect("models")


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def switch(request: HttpRequest) -> HttpResponse:
    """Ask a daemon to change its model, and tell what it answers."""
    live: LiveClient | None = request.services.live
    device, model = request.POST.get("device", ""), request.POST.get("model", "").strip()
    with _errors_as_messages(request):
        if live is None:
            problem = _("This page does not listen to daemons: mqtt.enabled is false.")
            raise UsageError("mqtt", problem)
        if device not in live.devices():
            raise UsageError("device", _("Nothing has been heard of such a device."))
        if len(model) > _LONGEST_NAME or not is_printable(model):
            raise UsageError("model", _("That is not the name of a model."))
        answer = live.request(device, "model", {"model": model})
        if answer.get("status") == "ok":
            data = answer.get("data")
            running = data.get("model") if isinstance(data, dict) else None
            text = _("%(device)s now runs %(model)s.")
            messages.success(request, text % {"device": device, "model": _printable(running)})
        else:
            messages.error(request, f"{device}: {_printable(answer.get('error'))}")
    return redirect("models")


def _printable(answer: object) -> str:
    """What a daemon answered, whatever it is, as a text that fits a page."""
    return escaped(str(answer))[:_LONGEST_ANSWER]


@contextmanager
def _errors_as_messages(request: HttpRequest) -> Iterator[None]:
    """What goes wrong is shown on the next page; without the subject, which may be a path."""
    try:
        yield
    except EdgeClassifierError as error:
        text = " ".join(part for part in (error.problem, error.remedy) if part)
        messages.error(request, text[:1].upper() + text[1:])
