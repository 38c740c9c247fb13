"""Sessions: a login ends some days after the last visit (``access.session_days``)."""

from collections.abc import Callable
from datetime import UTC, datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponse

# In a session: when its end was put off last, in seconds since 1970.
_RENEWED_AT = "renewed_at"
_MOST_S = 86400
_SHARE = 0.1

View = Callable[[HttpRequest], HttpResponse]


def renew_sessions(get_response: View) -> View:
    """Middleware that puts off the end of a session in use; once a day, as it is a write."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Asked first, as it does not read the session.
        if request.session.is_empty():
            return response
        now_s = datetime.now(UTC).timestamp()
        age_s = now_s - request.session.get(_RENEWED_AT, 0.0)
        if age_s > min(_MOST_S, _SHARE * settings.SESSION_COOKIE_AGE):
            request.session[_RENEWED_AT] = now_s
        return response

    return middleware
