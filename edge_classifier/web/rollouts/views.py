"""Roll-outs: a list, a form that begins one, and a page for each."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from edge_classifier.errors import EdgeClassifierError, UsageError
from edge_classifier.web.accounts.roles import SWITCHES_MODELS, AccessLevel, requires
from edge_classifier.web.installed_models.views import errors_as_messages
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Rollout, RolloutEntry
from edge_classifier.web.rollouts.begin import begin, chosen_devices
from edge_classifier.web.rollouts.display import (
    DisplayedDevice,
    ProgressPlace,
    camera_called,
    displayed_devices,
    on_strip,
    places,
)
from edge_classifier.web.rollouts.forms import PlanForm, SelectionForm
from edge_classifier.web.rollouts.selection import models_that_run
from edge_classifier.web.rollouts.wording import HALTS, entry_text
from edge_classifier.web.wording import translated

_log = logging.getLogger(__name__)
# Of one page.
_LISTED, _MOST_ENTRIES = 50, 500
# Between lines of the record that say the same of several devices.
_SAME_LINE = timedelta(minutes=1)

# A line of the record and its text, or nothing.
Why = list[tuple[RolloutEntry, str]]


@require_safe
@requires(AccessLevel.VIEWER)
def page(request: HttpRequest) -> HttpResponse:
    """The newest roll-outs."""
    live = request.services.live
    # Each with its camera, where its devices are, how many there are, and why it went back.
    found: list[tuple[Rollout, str, list[ProgressPlace], int, Why]] = []
    for one in Rollout.objects.all()[:_LISTED]:
        devices = displayed_devices(one, live)
        why = _why(one.entries.filter(kind__in=HALTS).order_by("-pk")[:1], live)
        camera = _camera(one, devices, live)
        found.append((one, camera, on_strip(devices), len(devices), why))
    context = {"rollouts": found, "has_broker": live is not None}
    return render(request, "rollouts/rollouts.html", context)


def _camera(rollout: Rollout, devices: Iterable[DisplayedDevice], live: LiveClient | None) -> str:
    names = (one.row.device for one in devices)
    return rollout.camera and camera_called(live, rollout.camera, names)


def _text(entry: RolloutEntry, live: LiveClient | None) -> str:
    return entry_text(entry, live.title if live else None)


def _why(entries: Iterable[RolloutEntry], live: LiveClient | None) -> Why:
    """The newest of ``entries`` that says why all go back, if there is one."""
    found = [(one, _text(one, live)) for one in entries if one.kind in HALTS]
    return found[:1]


def _record(
    entries: Sequence[RolloutEntry], live: LiveClient | None
) -> list[tuple[RolloutEntry, list[str], str]]:
    """Lines of the record; what is said of several devices one after the other is one line."""
    found: list[tuple[RolloutEntry, list[str], str]] = []
    for entry in entries:
        text = _text(entry, live)
        if found and entry.device:
            last, devices, same = found[-1]
            if devices and same == text and last.at - entry.at < _SAME_LINE:
                devices.insert(0, entry.device)
                continue
        found.append((entry, [entry.device] if entry.device else [], text))
    return found


@require_safe
@requires(AccessLevel.VIEWER)
def rollout_page(request: HttpRequest, number: int) -> HttpResponse:
    """One of them; with ``part``, what changes on its page."""
    rollout = get_object_or_404(Rollout, pk=number)
    live = request.services.live
    devices = displayed_devices(rollout, live)
    entries = list(rollout.entries.order_by("-pk")[:_MOST_ENTRIES])
    context = {
        "rollout": rollout,
        "camera": _camera(rollout, devices, live),
        "devices": devices,
        "count": len(devices),
        "places": places(devices),
        "strip": on_strip(devices),
        "entries": _record(entries, live),
        "why": _why(entries, live),
    }
    template = "rollouts/progress.html" if "part" in request.GET else "rollouts/rollout.html"
    return render(request, template, context)


@require_http_methods(["GET", "POST"])
@requires(SWITCHES_MODELS)
def create(request: HttpRequest) -> HttpResponse:
    """A form; what is chosen in it is begun by POST."""
    live, models = request.services.live, request.services.models
    plan = PlanForm(request.POST if request.method == "POST" else None)
    selection = SelectionForm(request.GET)
    if request.method == "POST" and plan.is_valid():
        try:
            if live is None:
                problem = _("This page does not listen to daemons: mqtt.enabled is false.")
                raise UsageError("mqtt", problem)
            model = models.find(request.POST.get("model", ""))
            names = request.POST.getlist("device")
            camera = request.POST.get("camera", "")
            # Whoever is to be the first stands before the others.
            names.sort(key=lambda name: name != request.POST.get("first-device"))
            devices = chosen_devices(live, model, names, camera)
            chosen_plan = replace(plan.plan, camera=camera)
            made = begin(model, devices, chosen_plan, request.user, timezone.now())
        except EdgeClassifierError as error:
            messages.error(request, translated(error.problem))
        else:
            _log.info("%s rolls %s out to %s", request.user, made.version, ", ".join(devices))
            request.services.rollouts.wake()
            return redirect("rollout", number=made.pk)
    known = [one for one in (live.device(name) for name in live.devices()) if one] if live else []
    # Each with what people call its cameras.
    titled = [
        one | {"titles": [live.title(one["name"], camera) for camera in one["cameras"]]}
        for one in (selection.selection.devices(live, models) if live else ())
    ]
    context: dict[str, Any] = {
        "plan": plan,
        "selection": selection,
        "devices": titled,
        "known": len(known),
        "running": models_that_run(known),
        "models": models.installed(),
        "model": request.POST.get("model", request.GET.get("model", "")),
        "cameras": _cameras(known, live),
        "camera": request.POST.get("camera", ""),
        "chosen": request.POST.getlist("device"),
        "first_device": request.POST.get("first-device", ""),
        "has_broker": live is not None,
    }
    return render(request, "rollouts/new.html", context)


def _cameras(devices: Sequence[dict[str, Any]], live: LiveClient | None) -> list[tuple[str, str]]:
    """Names of cameras of ``devices``, each with what people call it; by that."""
    having: dict[str, list[str]] = {}
    for one in devices:
        for camera in one["cameras"]:
            having.setdefault(camera, []).append(one["name"])
    called = ((name, camera_called(live, name, of)) for name, of in having.items())
    return sorted(called, key=lambda one: one[1].casefold())


@require_POST
@requires(SWITCHES_MODELS)
def halt(request: HttpRequest, number: int) -> HttpResponse:
    """Send all devices back; with ``leave``, let them be as they are."""
    rollout = get_object_or_404(Rollout, pk=number)
    driver = request.services.rollouts
    with errors_as_messages(request):
        if driver is None:
            problem = _("This page does not listen to daemons: mqtt.enabled is false.")
            raise UsageError("mqtt", problem)
        act = driver.leave if "leave" in request.POST else driver.halt
        if not act(rollout, request.user.get_username()):
            messages.error(request, _("It is over already, or goes back."))
    return redirect("rollout", number=number)
