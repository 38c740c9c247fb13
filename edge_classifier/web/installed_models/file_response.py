"""A model's file for daemons: whole, or from where a download was cut (RFC 9110, ranges)."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from edge_classifier.web.http_server.stream_slots import Download, StreamSlots
from edge_classifier.web.installed_models.store import InstalledModel

_CHUNK = 1 << 16
_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
# Seconds until one may try again for whose download there was no place: models are small.
_AGAIN_S = 5


def span_of(header: str, size: int) -> range | None:
    """The bytes that ``Range`` asks for; None for one that is ignored. Empty: there are none.

    Of several ranges none is sent: nobody needs them, and they multiply the work.
    """
    found = _ONE_RANGE.fullmatch(header.strip())
    if not found or found[0] == "bytes=-":
        return None
    first, last = found[1], found[2]
    if not first:
        return range(max(0, size - int(last)), size)
    end = min(size, int(last) + 1) if last else size
    if last and int(last) < int(first):
        return None
    return range(int(first), end)


def file_response(
    request: HttpRequest, model: InstalledModel, slots: StreamSlots, owner: object
) -> HttpResponse:
    """The answer to GET or HEAD for a model's file; 503 when ``owner`` has too many downloads."""
    etag = f'"{model.sha256}"'
    headers = {
        "ETag": etag,
        # Its name is its content's hash: it never changes. It is not for everybody.
        "Cache-Control": "private, max-age=31536000, immutable",
        "Accept-Ranges": "bytes",
    }
    if etag in request.headers.get("If-None-Match", ""):
        return HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    span, status = range(model.size), HTTPStatus.OK
    may_be_part = request.headers.get("If-Range", etag) == etag
    wanted = span_of(request.headers.get("Range", ""), model.size) if may_be_part else None
    if wanted is not None:
        if not wanted:
            headers["Content-Range"] = f"bytes */{model.size}"
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            return HttpResponse(status=status, headers=headers)
        span, status = wanted, HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{model.size}"
    headers["Content-Length"] = str(len(span))
    kind = "application/octet-stream"
    if request.method == "HEAD":
        return HttpResponse(status=status, headers=headers, content_type=kind)
    body = Download(slots)
    if not slots.take(body, owner):
        status = HTTPStatus.SERVICE_UNAVAILABLE
        return HttpResponse(status=status, headers={"Retry-After": str(_AGAIN_S)})
    try:
        body.begin(_pieces(model.path, span))
    except BaseException:
        body.close()
        raise
    return StreamingHttpResponse(body, status=status, headers=headers, content_type=kind)


def _pieces(path: Path, span: range) -> Iterator[bytes]:
    left = len(span)
    with path.open("rb") as file:
        file.seek(span.start)
        while left and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
