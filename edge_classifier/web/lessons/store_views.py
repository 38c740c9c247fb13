"""Filling a class from a daemon's capture store, where the settings name one on this machine.

The store is ``CAMERA/STAMP-HASH.jpg``, as ``daemon.picture_files`` writes it. It is only read.
"""

import heapq
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from edge_classifier.files import open_regular
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.lessons.class_views import class_or_404
from edge_classifier.web.lessons.display import class_name
from edge_classifier.web.lessons.picture_views import add_ticked
from edge_classifier.web.lessons.storage import Added, Filling
from edge_classifier.web.lessons.tables import LessonPicture
from edge_classifier.web.records.record_views import FOR_EVER

_STORE = str(LessonPicture.Source.STORE)
_AT_ONCE = 60
_CAMERA = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"(\d{8}T\d{12})Z-[0-9a-f]{16}\.jpg")


class StoredPicture(NamedTuple):
    """One picture of the store, in the order of time."""

    name: str
    camera: str

    @property
    def at(self) -> datetime:
        """When it was captured, by the device's clock."""
        return datetime.strptime(self.name[:21], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)

    @property
    def key(self) -> str:
        """As forms and addresses name it."""
        return f"{self.camera}/{self.name}"


@require_http_methods(["GET", "POST"])
@requires(AccessLevel.REVIEWER)
def from_store(request: HttpRequest, key: UUID, number: int) -> HttpResponse:
    """The newest pictures of the store, and those of them that are ticked into the class."""
    of = class_or_404(key, number)
    root = _root(request)
    place = reverse("lesson-store", args=[key, number])
    if request.method == "POST":
        ticked = request.POST.getlist("key")[:_AT_ONCE]

        def add(filling: Filling, one: str) -> Added:
            return filling.add(_path(root, one), _STORE)

        add_ticked(request, of, ticked, add)
        before = request.POST.get("before", "")
        return redirect(f"{place}?{urlencode({'before': before})}" if before else place)
    before = request.GET.get("before", "")
    older = (one for one in _pictures(root) if not before or one.name < before)
    found = heapq.nlargest(_AT_ONCE + 1, older)
    shown = found[:_AT_ONCE]
    context = {
        "lesson": of.lesson,
        "class": of,
        "name": class_name(of),
        "pictures": shown,
        "before": shown[-1].name if len(found) > len(shown) else "",
    }
    return render(request, "lessons/from_store.html", context)


@require_safe
@requires(AccessLevel.REVIEWER)
def store_picture(request: HttpRequest, camera: str, name: str) -> HttpResponse:
    """One picture of the store."""
    try:
        file = open_regular(_path(_root(request), f"{camera}/{name}"))
    except OSError as error:
        raise Http404 from error
    response = FileResponse(file, content_type="image/jpeg", filename=name)
    response["Cache-Control"] = FOR_EVER
    return response


def _root(request: HttpRequest) -> Path:
    """The store. Raises Http404 where the settings name none."""
    root: Path | None = request.services.settings.lessons.capture_store
    if root is None:
        raise Http404
    return root


def _path(root: Path, key: str) -> Path:
    """Where the picture is that a form or an address names. Raises Http404 for any other file."""
    camera, _, name = key.partition("/")
    if not (_CAMERA.fullmatch(camera) and _NAME.fullmatch(name)):
        raise Http404
    return root / camera / name


def _pictures(root: Path) -> Iterator[StoredPicture]:
    """All that are there now; none where the folder cannot be read."""
    try:
        cameras = [one for one in root.iterdir() if _CAMERA.fullmatch(one.name) and one.is_dir()]
        for camera in cameras:
            for one in camera.iterdir():
                if _NAME.fullmatch(one.name):
                    yield StoredPicture(one.name, camera.name)
    except OSError:  # Not there, not ours to read, or cleared just now.
        return
