"""Downloads that are made while they are sent: so many at once, and fewer for each account.

Their reader decides how long they take, within the limits of ``http_server.connections``.
"""

from collections.abc import Iterable

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext

from edge_classifier.web.http_server.stream_slots import Download

# Seconds until one may try again for whose download there was no room.
_AGAIN_S = 30


def download(
    request: HttpRequest, pieces: Iterable[bytes | str], name: str, content_type: str
) -> HttpResponse:
    """A file called ``name``; 503 when there are too many downloads.

    Raises what the first of ``pieces`` raises.
    """
    slots = request.services.downloads
    body = Download(slots)
    if not slots.take(body, request.user.pk):
        return HttpResponse(
            gettext("Too many downloads are under way. Wait until one of them has ended."),
            content_type="text/plain; charset=utf-8",
            status=503,
            headers={"Retry-After": _AGAIN_S},
        )
    try:
        body.begin(pieces)
    except BaseException:
        body.close()
        raise
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(body, content_type=content_type, headers=headers)
