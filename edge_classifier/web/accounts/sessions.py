"""A login ends so many days after the last visit."""

from collections.abc import Callable
from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse

# In a session: when its end was put off last, in seconds since 1970.
_RENEWED_AT = "renewed_at"
_MOST_S = 86400
_SHARE = 0.1

View = Callable[[HttpRequest], HttpResponse]


def renewed(get_response: View) -> View:
    """Middleware that puts the end of a session off while it is used: a write a day, not a page."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not request.session.is_empty() and _is_due(request.session.get(_RENEWED_AT, 0.0)):
            request.session[_RENEWED_AT] = _now_s()
        return response

    return middleware


def _is_due(renewed_at_s: float) -> bool:
    return _now_s() - renewed_at_s > min(_MOST_S, _SHARE * settings.SESSION_COOKIE_AGE)


def _now_s() -> float:
    return datetime.now(UTC).timestamp()
