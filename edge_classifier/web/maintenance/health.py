"""Whether all is well, for machines: without a login, and without anything worth knowing."""

import os
from pathlib import Path
from typing import Any

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

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
    threads: dict[str, dict[str, Any] | None] = {"recorder": None, "live": None}
    # Reasons name hosts and files, so they stay on the live page.
    if services.recorder:
        now = services.recorder.status
        threads["recorder"] = {
            "ok": now.connected and not now.trouble,
            "connected": now.connected,
            "recorded": now.recorded,
            "waiting": now.waiting,
        }
    if live := services.live:
        threads["live"] = {
            "ok": not live.problem,
            "connected": live.broker["connected"],
            "devices": len(live.devices()),
            "streams": len(live.slots),
        }
    others = {
        "housekeeping": services.housekeeping,
        "backup": services.backups,
        "notifier": services.notifier,
        "lookalikes": services.encoder,
        "rollouts": services.rollouts,
    }
    for name, one in others.items():
        threads[name] = {"ok": not one.problem} if one else None
    is_well = database == disk == "ok" and all(one["ok"] for one in threads.values() if one)
    status = "ok" if is_well else "trouble"
    body = {"status": status, "database": database, "disk": disk, **threads}
    return JsonResponse(body, status=200 if is_well else 503)


def _has_room(folder: Path) -> bool:
    """Whether a record with its picture can be kept there."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize >= _LEAST_BYTES and not disk.f_flag & os.ST_RDONLY
