"""Whether all is well, for machines: without a login, and without anything worth knowing."""

import os
from pathlib import Path
from typing import Any

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.recorder.recorder import Recorder

# What a large picture, its row and the database's log of it take.
_LEAST_BYTES = 4_000_000


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """200 and ``ok``, or 503 and ``trouble``: database, disk, or a thread that has to run."""
    services = request.services
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        database = "ok"
    except Error:
        database = "trouble"
    disk = "ok" if _has_room(services.folders.state) else "trouble"
    recorder = _recorder(services.recorder) if services.recorder else None
    live = _live(services.live) if services.live else None
    housekeeping = {"ok": not services.housekeeping.problem} if services.housekeeping else None
    backup = {"ok": not services.backups.problem} if services.backups else None
    notifier = {"ok": not services.notifier.problem} if services.notifier else None
    lookalikes = {"ok": not services.encoder.problem} if services.encoder else None
    rollouts = {"ok": not services.rollouts.problem} if services.rollouts else None
    parts = recorder, live, housekeeping, backup, lookalikes, notifier, rollouts
    threads = [one for one in parts if one]
    is_well = database == disk == "ok" and all(one["ok"] for one in threads)
    body = {
        "status": "ok" if is_well else "trouble",
        "database": database,
        "disk": disk,
        "recorder": recorder,
        "live": live,
        "housekeeping": housekeeping,
        "backup": backup,
        "notifier": notifier,
        "lookalikes": lookalikes,
        "rollouts": rollouts,
    }
    return JsonResponse(body, status=200 if is_well else 503)


def _has_room(folder: Path) -> bool:
    """Whether a record with its picture can be kept there."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize >= _LEAST_BYTES and not disk.f_flag & os.ST_RDONLY


def _recorder(recorder: Recorder) -> dict[str, Any]:
    """Reasons name hosts and files, so they stay on the live page."""
    status = recorder.status
    return {
        "ok": status.connected and not status.trouble,
        "connected": status.connected,
        "recorded": status.recorded,
        "waiting": status.waiting,
    }


def _live(live: LiveClient) -> dict[str, Any]:
    return {
        "ok": not live.problem,
        "connected": live.broker["connected"],
        "devices": len(live.devices()),
        "streams": len(live.slots),
    }
