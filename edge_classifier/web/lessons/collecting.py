"""The moving picture beside a lesson, and filling a class from it while a button is held.

The page asks about three times a second, and says with each request whether the frame goes into a
class. So nothing goes on here when it asks no more: because somebody let go, closed the page, or
lost the connection. Frames go from the daemon into the lesson; the browser sends none.
"""

import json
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from edge_classifier.errors import EdgeClassifierError, UnavailableError
from edge_classifier.mqtt.codec.burst_frames import BurstFrame, BurstRequest
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.lessons import storage
from edge_classifier.web.lessons.class_views import class_or_404
from edge_classifier.web.lessons.picture_views import added_facts, in_words
from edge_classifier.web.lessons.storage import Filling
from edge_classifier.web.lessons.tables import LessonPicture
from edge_classifier.web.lessons.views import lesson_or_404
from edge_classifier.web.live.moving import problem_in_words
from edge_classifier.web.worker.messages import CropBox

_CAMERA = str(LessonPicture.Source.CAMERA)
_WANTED = BurstRequest(rate_fps=3.0, longest_px=storage.KEEP_PX, max_bytes=120_000)


@require_POST
@requires(AccessLevel.REVIEWER)
def frames(request: HttpRequest, key: UUID) -> HttpResponse:
    """The newest frame of ``place``, behind a line of JSON, unless the page has it: ``number``.

    ``class``: the frame is added to that class. The line has ``number``, ``problem`` (why there is
    no frame, in the page's language) and, where one was to be added, ``added``.
    """
    lesson_or_404(key)
    device, _, camera = request.POST.get("place", "").partition("/")
    live, bursts = request.services.live, request.services.bursts
    if live is None or bursts is None:
        raise Http404
    head: dict[str, Any] = {"number": 0, "problem": ""}
    jpeg = b""
    if not live.gives_pictures(device, camera):
        head["problem"] = gettext("The camera is switched off, or its device is offline.")
        return _answer(head, jpeg)
    try:
        number, frame = bursts.newest_frame(device, camera, _WANTED, owner=request.user.pk)
    except UnavailableError:
        head["problem"] = gettext("Too many moving pictures are open.")
        return _answer(head, jpeg)
    if problem := bursts.problem(device, camera):
        head["problem"] = problem_in_words(problem)
    elif frame is None:
        head["problem"] = gettext("Waits for a picture …")
    elif str(number) != request.POST.get("number"):
        head["number"], jpeg = number, frame.jpeg
        if wanted := request.POST.get("class"):
            head["added"] = _add(request, key, wanted, frame)
    return _answer(head, jpeg)


def _add(request: HttpRequest, key: UUID, wanted: str, frame: BurstFrame) -> dict[str, object]:
    """What became of ``frame``: what the network saw of it goes into the class."""
    try:
        of = class_or_404(key, wanted)
    except Http404:
        # Somebody else has deleted it meanwhile; the camera goes on.
        return {"problem": gettext("This class is not there any more.")}
    box = frame.meta["box"]
    try:
        filling = Filling(of, request.services.worker, request.services.settings.lessons)
        added = filling.add(frame.jpeg, _CAMERA, CropBox(**box) if box else None)
    except EdgeClassifierError as error:
        return added_facts(of, []) | {"problem": in_words(error)}
    return added_facts(of, [added])


def _answer(head: dict[str, Any], jpeg: bytes) -> HttpResponse:
    answer = HttpResponse(json.dumps(head).encode() + b"\n" + jpeg, "application/octet-stream")
    answer.headers["Cache-Control"] = "no-store"
    return answer
