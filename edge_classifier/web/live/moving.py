"""Moving pictures of the live page: the newest frames of the cameras that it asks for.

A page asks about once a second for those that are in sight. So a viewer holds neither a thread nor
a connection, and whoever closes the page, or looks elsewhere, asks no more.
"""

import json
from collections.abc import Callable, Mapping

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.views.decorators.http import require_GET

from edge_classifier.core.jpeg_scan import jpeg_size
from edge_classifier.errors import UnavailableError
from edge_classifier.mqtt.codec.burst_frames import BurstFrame, BurstRequest
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.live.bursts import is_unsupported
from edge_classifier.web.records.display import box_overlay

# Cameras that one page may have in sight.
_MOST = 12
# Of the pictures of one answer; the next one has the rest. With more the server would put the
# answer on the disk while it goes out: each second, and a card wears out.
MOST_BYTES = 58_000
# By what a page calls them: a tile of several, and a picture as wide as the page.
_SIZES = {
    "tile": BurstRequest(rate_fps=1.0, longest_px=480, max_bytes=30_000),
    "large": BurstRequest(rate_fps=1.0, longest_px=1024, max_bytes=MOST_BYTES),
}
# What a daemon says of a camera, and what the page says then.
_REFUSALS: Mapping[str, Callable[[], str]] = {
    "quiet hours": lambda: gettext("In its quiet hours this camera gives no moving picture."),
    "switched off": lambda: gettext("The camera is switched off."),
    "does not answer": lambda: gettext("Its daemon does not answer."),
    "no frame": lambda: gettext("No frame comes at present."),
}


@requires(AccessLevel.VIEWER)
@require_GET
def moving(request: HttpRequest) -> HttpResponse:
    """Frames that are newer than those that the page has, behind a line of JSON that says which.

    Each ``camera`` asks for one: ``DEVICE/CAMERA/SIZE/NUMBER``. The line has ``frames`` in the
    order of their bytes, ``problems``: why a camera gives none, in the page's language, and
    ``has_more``: whether there are frames for which this answer had no room.
    """
    live, bursts = request.services.live, request.services.bursts
    if live is None:
        raise Http404
    frames, problems, has_more = [], {}, False
    jpegs: list[bytes] = []
    for text in request.GET.getlist("camera")[:_MOST]:
        match text.split("/"):
            case [device, camera, size, shown] if size in _SIZES and shown.isdecimal():
                name = f"{device}/{camera}"
            case _:
                continue
        if not live.gives_pictures(device, camera):
            continue
        try:
            number, frame = bursts.newest_frame(device, camera, _SIZES[size], owner=request.user.pk)
        except UnavailableError:
            problems[name] = gettext("Too many moving pictures are open.")
            continue
        if problem := bursts.problem(device, camera):
            problems[name] = problem_in_words(problem)
        elif frame and number != int(shown[:18]):
            length = len(frame.jpeg)
            if jpegs and sum(map(len, jpegs)) + length > MOST_BYTES:
                has_more = True
                continue
            jpegs.append(frame.jpeg)
            box = _box_html(frame)
            frames.append({"camera": name, "number": number, "bytes": length, "box": box})
    found = {"frames": frames, "problems": problems, "has_more": has_more}
    head = json.dumps(found).encode()
    answer = HttpResponse(b"\n".join((head, b"".join(jpegs))), "application/octet-stream")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _box_html(frame: BurstFrame) -> str:
    """A rectangle around what the network saw; empty where that was all of it."""
    box, size = frame.meta["box"], jpeg_size(frame.jpeg)
    if not box or not size:
        return ""
    shares = (box["left"], box["top"], box["width"], box["height"])
    overlay = box_overlay(shares, *size)
    return overlay.svg_to_fit if overlay else ""


def problem_in_words(problem: str) -> str:
    """Why a camera gives no frames, as the page says it."""
    if is_unsupported(problem):
        return gettext("This device has an older version: there is a picture every 10 s.")
    found = next((said for words, said in _REFUSALS.items() if words in problem), None)
    return found() if found else problem
