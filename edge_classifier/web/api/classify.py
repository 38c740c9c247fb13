"""Classifying pictures that programs send."""

from contextlib import ExitStack
from http import HTTPStatus

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from ninja import Query, Router
from ninja.errors import HttpError

from edge_classifier.errors import EdgeClassifierError
from edge_classifier.web.api.body_files import body_file
from edge_classifier.web.api.problems import (
    TooManyError,
    describe,
    errors,
    status_of,
)
from edge_classifier.web.api.schemas import (
    Recognition,
    Recognitions,
    RecordLinks,
    Refused,
    SavedSchema,
)
from edge_classifier.web.classify import uploads
from edge_classifier.web.models import Record

router = Router(tags=["Classify"])
_SOURCE = Record.Source("api")
_FIELD = "file"
_FORM = "multipart/form-data"
_RAW = ("image/", "application/octet-stream")
_BINARY = {"type": "string", "format": "binary"}
_FILES = {
    "type": "object",
    "properties": {_FIELD: {"type": "array", "items": _BINARY, "minItems": 1}},
    "required": [_FIELD],
}
_BODY = {
    "required": True,
    "content": {
        _FORM: {"schema": _FILES, "encoding": {_FIELD: {"contentType": "image/jpeg"}}},
        "image/jpeg": {"schema": _BINARY},
        "application/octet-stream": {"schema": _BINARY},
    },
}


@router.post(
    "/classify",
    response={200: Recognitions, **errors(400, 403, 413, 415, 422, 503, 507)},
    summary="Classify pictures",
    openapi_extra={"requestBody": _BODY},
)
def classify(
    request: HttpRequest,
    save: bool = Query(True, description="Keep pictures and results as records"),
) -> Recognitions:
    """Say what pictures show.

    Send a form with one or several fields `file`, or one picture as the body itself, with a
    content type that begins with `image/`. Where some of several pictures cannot be classified,
    their results have a `problem` instead; where none can, the answer is the problem of the first.
    """
    files, too_large = _files(request)
    with ExitStack() as stack:
        for file in files:
            stack.callback(file.close)
        wait_s = request.services.throttle.allow_uploads(request, len(files), request.user)
        if wait_s is not None:
            most = request.services.settings.access.uploads_per_hour
            raise TooManyError(f"At most {most} pictures an hour.", wait_s)
        results = [_result(request, file, save=save) for file in files]
    detail = f"At most {request.services.settings.uploads.max_mb:g} MB a picture."
    problem = describe(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    results += [Refused(file=name, problem=problem) for name in too_large]
    if all(isinstance(result, Refused) for result in results):
        first = results[0].problem
        raise HttpError(first.status, first.detail)
    return Recognitions(results=results)


def _files(request: HttpRequest) -> tuple[list[UploadedFile], list[str]]:
    """The pictures of ``request``, and the names of those that are too large: at least one.

    Raises HttpError.
    """
    kind = request.content_type
    if kind.startswith(_RAW):
        file = body_file(request)
        return ([file], []) if file else ([], [""])
    if kind != _FORM:
        problem = f"Send a form ({_FORM}), or a picture with its type, such as image/jpeg."
        raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
    files, too_large = request.FILES.getlist(_FIELD), getattr(request, "too_large", [])
    if not files and not too_large:
        problem = f"The form has no file in a field `{_FIELD}`."
        raise HttpError(HTTPStatus.UNPROCESSABLE_ENTITY, problem)
    return files, too_large


def _result(request: HttpRequest, file: UploadedFile, *, save: bool) -> Recognition | Refused:
    name = file.name or ""
    try:
        found = uploads.classify_upload(file, request.services)
        if not save:
            return Recognition.of(name, found, None)
        record = uploads.save(found, source=_SOURCE, owner=request.user)
    except EdgeClassifierError as error:
        return Refused(file=name, problem=describe(status_of(error), str(error)))
    saved = SavedSchema(key=record.key, links=RecordLinks(request).of(record))
    return Recognition.of(name, found, saved)
