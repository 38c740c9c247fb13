"""The live page, the stream that keeps it up to date, and the last picture of each camera."""

import logging
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user
from django.db import DatabaseError, close_old_connections
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import get_language, gettext, override
from django.views.decorators.http import require_GET

from edge_classifier.web.accounts.roles import AccessLevel, access_level_of, requires
from edge_classifier.web.live.fragments import LiveHtml
from edge_classifier.web.live.stream import Draw, Stream, last_version

_log = logging.getLogger(__name__)
# Seconds until a page may try again for which there was no room.
_AGAIN_S = 60


@requires(AccessLevel.VIEWER)
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """All cameras as they are now."""
    found = request.services
    if found.live is None:
        return render(request, "live/live.html", {"mqtt": found.settings.mqtt})
    html = found.live_html
    facts = {
        "mqtt": found.settings.mqtt,
        "is_live": True,
        "top": html.top(),
        "whole": html.whole(),
        "has_devices": bool(found.live.devices()),
        "again_s": _AGAIN_S,
    }
    return render(request, "live/live.html", facts)


@requires(AccessLevel.VIEWER)
@require_GET
def stream(request: HttpRequest) -> HttpResponse:
    """Server-sent events: the whole first, then what has changed. ``?free`` only asks for room."""
    found = request.services
    live = found.live
    if live is None:
        raise Http404
    if "free" in request.GET:
        return HttpResponse(status=204) if live.slots.is_free(request.user.pk) else _full()
    opened = Stream(
        live,
        _drawing(found.live_html, get_language() or "en"),
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


def _drawing(html: LiveHtml, language: str) -> Draw:
    """Draws in the page's language, in whatever thread."""

    def draw(since: int) -> tuple[int, Mapping[str, Any]]:
        try:
            with override(language):
                return html.draw(since)
        finally:
            close_old_connections()  # A stream lasts; it is to hold none.

    return draw


def may_watch(request: HttpRequest) -> bool:
    """Whether whoever asked still has a session, and an account that may see this."""
    fresh = HttpRequest()
    fresh.session = type(request.session)(request.session.session_key)
    try:
        return access_level_of(get_user(fresh)) >= AccessLevel.VIEWER
    except DatabaseError as error:
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
