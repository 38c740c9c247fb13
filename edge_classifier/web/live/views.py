"""The live page, the stream that keeps it up to date, and the last picture of each camera."""

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.db import DatabaseError, close_old_connections
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language, gettext, override
from django.views.decorators.http import require_GET, require_safe

from edge_classifier.mqtt.codec.camera_settings import CameraSettingsMessage
from edge_classifier.web.accounts.ingress import user_now
from edge_classifier.web.accounts.roles import (
    SWITCHES_MODELS,
    AccessLevel,
    access_level_of,
    requires,
)
from edge_classifier.web.classify import views as classify
from edge_classifier.web.database_away import is_away
from edge_classifier.web.live.camera_list import Selection
from edge_classifier.web.live.camera_page.control_forms import (
    LOOKS,
    ControlAnswer,
    controls_of,
    fingerprint,
)
from edge_classifier.web.live.camera_page.threshold_effect import (
    effect_text,
    recorded_scores,
    score_bars,
)
from edge_classifier.web.live.fragments import Audience, PageNews
from edge_classifier.web.live.stream import Stream, last_version

_log = logging.getLogger(__name__)
# Seconds until a page may try again for which there was no room.
_AGAIN_S = 60
# In requests of controls.js, which puts controls into the page that is there.
FRAGMENT = "X-Fragment"


@require_safe
def first_page(request: HttpRequest) -> HttpResponse:
    """To the live page once there is a camera, for those who may see it; else uploading."""
    live = request.services.live
    if live and live.has_cameras and access_level_of(request.user) >= AccessLevel.VIEWER:
        return redirect("live")
    return classify.page(request)


@requires(AccessLevel.VIEWER)
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Cameras as they are now: those that ``q`` finds, from the place ``from`` on."""
    if request.services.live is None:
        return render(request, "live/live.html", {"mqtt": request.services.settings.mqtt})
    return _shown(request, Selection.of(request.GET))


@requires(AccessLevel.VIEWER)
@require_GET
def camera(request: HttpRequest, device: str, camera: str) -> HttpResponse:
    """One camera, large; for reviewers with what they may change of it.

    With ``FRAGMENT`` these controls alone, as they are now.
    """
    if request.headers.get(FRAGMENT) and _may_control(request):
        if request.services.live is None or request.services.live.camera(device, camera) is None:
            raise Http404
        facts = controls_context(request, device, camera, None, {})
        return render(request, "live/controls.html", facts)
    return camera_page(request, device, camera)


def camera_page(
    request: HttpRequest,
    device: str,
    camera: str,
    settings: CameraSettingsMessage | None = None,
    answers: Mapping[str, ControlAnswer] = MappingProxyType({}),
) -> HttpResponse:
    """The page of one camera, with ``answers`` beside their controls.

    ``settings``: where they are known better than the daemon has told yet.
    """
    live = request.services.live
    if live is None or live.camera(device, camera) is None:
        raise Http404
    facts = {"title": live.title(device, camera), "device": device, "camera": camera}
    if _may_control(request):
        facts |= controls_context(request, device, camera, settings, answers)
    return _shown(request, Selection(only=f"{device}/{camera}"), **facts)


def controls_context(
    request: HttpRequest,
    device: str,
    camera: str,
    settings: CameraSettingsMessage | None,
    answers: Mapping[str, ControlAnswer],
) -> dict[str, Any]:
    """What the controls of a camera are drawn from."""
    live = request.services.live
    now = live.camera(device, camera)
    told = live.settings(device, camera) if settings is None else settings
    enter = told["enter"].value if "enter" in told else None
    scores = [] if enter is None else recorded_scores(device, camera)
    may_switch = access_level_of(request.user) >= SWITCHES_MODELS
    controls = list(controls_of(told, now["model"], answers, may_switch_models=may_switch))
    return {
        "controls": controls,
        "state": fingerprint(told, now["model"], now["device_online"]),
        "title": now["title"],
        "has_rare_answer": any(one.is_rare and one.answer for one in controls),
        "has_settings": bool(told),
        "is_device_offline": now["device_online"] is False,
        "looks": LOOKS,
        "running": now["model"].partition("@")[0],
        "models": [one.name for one in request.services.models.installed()],
        "effect": "" if enter is None else effect_text(scores, enter, enter),
        "bars": score_bars(scores),
        "device": device,
        "camera": camera,
    }


def _may_control(request: HttpRequest) -> bool:
    return access_level_of(request.user) >= AccessLevel.REVIEWER


def _shown(request: HttpRequest, selection: Selection, **more: object) -> HttpResponse:
    found = request.services
    html = found.live_html
    outline, shown = html.shown(selection)
    audience = Audience(bool(selection.only), _may_control(request))
    facts = {
        "mqtt": found.settings.mqtt,
        "is_live": True,
        **html.connections(),
        "whole": html.whole(outline, shown, audience),
        "may_control": audience.may_control,
        "shown": shown,
        "selection": selection,
        "again_s": _AGAIN_S,
        **more,
    }
    return render(request, "live/live.html", facts)


@requires(AccessLevel.VIEWER)
@require_GET
def stream(request: HttpRequest) -> HttpResponse:
    """Server-sent events: the page that is asked for, then its changes. ``?free`` asks for room."""
    found = request.services
    live = found.live
    if live is None:
        raise Http404
    if "free" in request.GET:
        return HttpResponse(status=204) if live.slots.is_free(request.user.pk) else _full()
    news = PageNews(found.live_html, Selection.of(request.GET), _may_control(request))
    language = get_language() or "en"

    def draw(since: int) -> tuple[int, Mapping[str, Any]]:
        # In the page's language, in whatever thread.
        try:
            with override(language):
                return news(since)
        finally:
            close_old_connections()  # A stream lasts; it is to hold none.

    opened = Stream(
        live,
        draw,
        live.slots,
        may_watch=lambda: may_watch(request),
        is_gone=request.META.get("waitress.client_disconnected", lambda: False),
        id_prefix=live.id_prefix,
        version=last_version(live.id_prefix, request.headers.get("Last-Event-ID", "")),
    )
    if not live.slots.take(opened, request.user.pk):
        return _full()
    close_old_connections()
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(opened, content_type="text/event-stream", headers=headers)


@requires(AccessLevel.VIEWER)
@require_GET
def frame(request: HttpRequest, device: str, camera: str) -> HttpResponse:
    """The last picture of a camera; its address has a number that changes with it."""
    live = request.services.live
    jpeg = live.frame(device, camera) if live else None
    if jpeg is None:
        raise Http404
    answer = HttpResponse(jpeg, content_type="image/jpeg")
    answer.headers["Cache-Control"] = "private, max-age=300"
    return answer


def may_watch(request: HttpRequest, least: AccessLevel = AccessLevel.VIEWER) -> bool:
    """Whether whoever asked still has a session, and an account that may see this."""
    try:
        return access_level_of(user_now(request)) >= least
    except DatabaseError as error:
        if not is_away(error):
            raise
        _log.warning("live: a stream is ended, as accounts cannot be read: %s", error)
        return False
    finally:
        close_old_connections()


def _full() -> HttpResponse:
    text = gettext("Too many live pages are open.")
    return HttpResponse(
        text,
        content_type="text/plain; charset=utf-8",
        status=503,
        headers={"Retry-After": _AGAIN_S},
    )
