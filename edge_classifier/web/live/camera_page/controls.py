"""What reviewers change of a camera while it runs: its daemon is asked, judges and answers."""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_POST

from edge_classifier.core.text import escaped
from edge_classifier.errors import UnavailableError
from edge_classifier.mqtt.codec.camera_settings import (
    COMMAND,
    CameraSettingsMessage,
    camera_settings_request,
    read_camera_settings,
)
from edge_classifier.web.accounts.roles import (
    SWITCHES_MODELS,
    AccessLevel,
    access_level_of,
    requires,
)
from edge_classifier.web.live import views
from edge_classifier.web.live.bursts import is_unsupported
from edge_classifier.web.live.camera_page.control_forms import (
    CONTROLS,
    MODEL,
    SNAPSHOT,
    ControlAnswer,
    NotUnderstoodError,
    read_value,
)
from edge_classifier.web.live.camera_page.threshold_effect import effect_text, recorded_scores
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.wording import translated

_log = logging.getLogger(__name__)
# For a setting; and for a model, which may have to be fetched, and is tried first.
_ANSWER_S, _MODEL_ANSWER_S = 15.0, 90.0
_LONGEST_ANSWER, _LONGEST_NAME = 500, 200


class _RefusedError(Exception):
    """The daemon has answered that it does not; the text says why."""


@require_POST
@requires(AccessLevel.REVIEWER)
def change(request: HttpRequest, device: str, camera: str) -> HttpResponse:
    """Ask the daemon for what ``name`` says, or (``reset``) for what its settings file has."""
    live: LiveClient | None = request.services.live
    name = request.POST.get("name", "")
    if live is None or name not in CONTROLS or live.camera(device, camera) is None:
        raise Http404
    if name == MODEL and access_level_of(request.user) < SWITCHES_MODELS:
        raise PermissionDenied
    settings: CameraSettingsMessage | None = None
    try:
        text, settings = _changed(request, live, device, camera, name)
        answer = ControlAnswer(text)
    except (NotUnderstoodError, _RefusedError) as error:
        answer = ControlAnswer(str(error), is_refused=True)
    except UnavailableError as error:
        text = gettext("Nothing has changed, as the daemon did not answer: %s")
        text %= translated(error.problem)
        answer = ControlAnswer(text, is_refused=True)
    _log.info("%s asks for %s of %s/%s: %s", request.user, name, device, camera, answer.text)
    if not request.headers.get(views.FRAGMENT):
        return views.camera_page(request, device, camera, settings, {name: answer})
    facts = views.controls_context(request, device, camera, settings, {name: answer})
    control = next((one for one in facts["controls"] if one.name == name), None)
    return render(request, "live/control.html", {**facts, "control": control})


def _changed(
    request: HttpRequest, live: LiveClient, device: str, camera: str, name: str
) -> tuple[str, CameraSettingsMessage | None]:
    """What was done, and the settings that are in force since, as far as the daemon says.

    Raises NotUnderstoodError, _RefusedError and UnavailableError.
    """
    if name == SNAPSHOT:
        _ask(live, device, SNAPSHOT, {"camera": camera})
        return gettext("A new picture is on its way."), None
    if name == MODEL:
        wanted = request.POST.get("value", "")[:_LONGEST_NAME]
        known = {one.name: one.sha256 for one in request.services.models.installed()}
        # Empty: the one that its settings file has.
        if wanted and wanted not in known:
            raise NotUnderstoodError(gettext("That is not the name of a model."))
        body = {"model": wanted, **({"sha256": known[wanted]} if wanted else {})}
        answer = _ask(live, device, MODEL, {**body, "camera": camera}, _MODEL_ANSWER_S)
        running = escaped(str(answer.get("model")))[:_LONGEST_ANSWER]
        return gettext("It now runs %s.") % running, None
    if "reset" in request.POST:
        asked = camera_settings_request(camera, reset=[name])
        said = gettext("Done: as in the settings file again.")
    else:
        asked = camera_settings_request(camera, {name: read_value(name, request.POST)})
        said = gettext("Done: the daemon has taken it.")
    # ``info`` says so in a moment, too.
    return said, read_camera_settings(_ask(live, device, COMMAND, asked)).get(camera)


def _ask(
    live: LiveClient,
    device: str,
    command: str,
    body: Mapping[str, Any],
    within_s: float = _ANSWER_S,
) -> Mapping[str, Any]:
    """The ``data`` of its answer. Raises _RefusedError and UnavailableError."""
    answer = live.request(device, command, body, within_s)
    if answer["status"] == "ok":
        data: Mapping[str, Any] = answer["data"]
        return data
    problem = escaped(str(answer["error"]))[:_LONGEST_ANSWER]
    if is_unsupported(problem):
        problem = gettext("This device has an older version, which cannot do that.")
    raise _RefusedError(problem)


@require_GET
@requires(AccessLevel.REVIEWER)
def effect(request: HttpRequest, device: str, camera: str) -> HttpResponse:
    """What the threshold ``enter`` would have made of the last hour and day, in a sentence."""
    live: LiveClient | None = request.services.live
    if live is None or live.camera(device, camera) is None:
        raise Http404
    try:
        enter = read_value("enter", request.GET)
    except NotUnderstoodError:
        return JsonResponse({"text": ""})
    told = live.settings(device, camera).get("enter")
    present = told.value if told and told.value is not None else enter
    return JsonResponse({"text": effect_text(recorded_scores(device, camera), enter, present)})
