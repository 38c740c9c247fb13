"""Errors of the API: problem details for HTTP (RFC 9457)."""

from collections.abc import Callable
from http import HTTPStatus

from django.core.exceptions import RequestDataTooBig, TooManyFilesSent
from django.http import HttpRequest, HttpResponse, RawPostDataException
from ninja import Field, NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError

from edge_classifier.errors import EdgeClassifierError, PictureError, UsageError
from edge_classifier.web.full_disk import NO_ROOM, is_full

PROBLEM = "application/problem+json"
_ROOT = "/api/"
_DETAILS = {HTTPStatus.INSUFFICIENT_STORAGE: NO_ROOM}
_HOW_TO_COME_IN = "Send a token: Authorization: Bearer TOKEN. The page makes one, at /tokens."


class InvalidField(Schema):
    """One thing that is wrong with a request."""

    where: str = Field(description="Place in the request", examples=["query.limit"])
    what: str = Field(description="What is wrong there")


class ProblemDetails(Schema):
    """What went wrong: problem details as in RFC 9457."""

    title: str = Field(description="The status in words")
    status: int = Field(description="Status of HTTP")
    detail: str = Field(description="What is wrong here, and what to do, for people")
    errors: list[InvalidField] = Field([], description="Of 422: each value that is wrong")


class TooManyError(HttpError):
    """Too much was asked for: ``wait_s`` seconds have to pass."""

    def __init__(self, message: str, wait_s: int) -> None:
        super().__init__(HTTPStatus.TOO_MANY_REQUESTS, message)
        self.wait_s = wait_s


def describe(status: int, detail: str, errors: list[InvalidField] | None = None) -> ProblemDetails:
    """The problem that goes with ``status``."""
    title = HTTPStatus(status).phrase
    return ProblemDetails(title=title, status=status, detail=detail, errors=errors or [])


def status_of(error: EdgeClassifierError) -> HTTPStatus:
    """The status for ``error``: 422 for a wrong request, 507 for a full disk, else 503."""
    if isinstance(error, PictureError | UsageError):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    if is_full(error):
        return HTTPStatus.INSUFFICIENT_STORAGE
    return HTTPStatus.SERVICE_UNAVAILABLE


def errors(*statuses: int) -> dict[int, None]:
    """The responses besides 200 that an operation declares; 401 and 429 always.

    Each is a problem, which the description says once for all: ninja would build a model a status.
    """
    return dict.fromkeys(sorted({401, 429, *statuses}))


def refused(_: HttpRequest, error: HttpError) -> HttpResponse:
    """The answer to a request that is refused."""
    is_stranger = isinstance(error, AuthenticationError)
    detail = _HOW_TO_COME_IN if is_stranger else error.message
    response = _response(describe(error.status_code, detail))
    if isinstance(error, TooManyError):
        response["Retry-After"] = str(error.wait_s)
    return response


def handle_problems(api: NinjaAPI) -> None:
    """Answer exceptions with problems; those not named here are left to the middleware."""
    for kind, handler in _HANDLERS.items():
        api.add_exception_handler(kind, handler)


def problem_details_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: errors of Django and of ninja's own routes get the shape of the API's, too."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_ours = request.path_info.startswith(_ROOT) and response.status_code >= 400
        if is_ours and response["Content-Type"] != PROBLEM:
            status = HTTPStatus(response.status_code)
            detail = _DETAILS.get(status) or status.description or status.phrase
            response.content = _json(describe(status, str(detail)))
            response["Content-Type"] = PROBLEM
            response["Content-Length"] = str(len(response.content))
        return response

    return answer


def _invalid(_: HttpRequest, error: ValidationError) -> HttpResponse:
    wrong = []
    for found in error.errors:
        # ``body.limits.slower``: of a body ninja also names our function's parameter.
        kind, *rest = found["loc"]
        place = (kind, *(rest[1:] if kind == "body" else rest))
        wrong.append(InvalidField(where=".".join(map(str, place)), what=found["msg"]))
    detail = "; ".join(f"{one.where}: {one.what}" for one in wrong)
    return _response(describe(HTTPStatus.UNPROCESSABLE_ENTITY, detail, wrong))


def _failed(_: HttpRequest, error: EdgeClassifierError) -> HttpResponse:
    return _response(describe(status_of(error), str(error)))


def _too_many_files(request: HttpRequest, _error: TooManyFilesSent) -> HttpResponse:
    most = request.services.settings.uploads.at_once
    return _response(describe(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {most} at once."))


def _always(status: HTTPStatus, detail: str) -> Callable[..., HttpResponse]:
    return lambda _request, _error: _response(describe(status, detail))


_HANDLERS: dict[type[Exception], Callable[..., HttpResponse]] = {
    HttpError: refused,
    ValidationError: _invalid,
    EdgeClassifierError: _failed,
    TooManyFilesSent: _too_many_files,
    RequestDataTooBig: _always(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "This is too much to read."),
    # A form with files, which has been read while its token was looked for.
    RawPostDataException: _always(HTTPStatus.BAD_REQUEST, "Send JSON, and not a form."),
}


def _response(problem: ProblemDetails) -> HttpResponse:
    response = HttpResponse(_json(problem), status=problem.status, content_type=PROBLEM)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _json(problem: ProblemDetails) -> str:
    return str(problem.model_dump_json(exclude_defaults=True))
