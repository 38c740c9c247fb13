"""Sessions: they end some days after the last visit (``access.session_days``), which is noted."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from edge_classifier.web.database_away import is_away
from edge_classifier.web.http_server.ingress import VISITOR
from edge_classifier.web.models import User

_log = logging.getLogger(__name__)

# In a session: when its end was put off last, in seconds since 1970.
_RENEWED_AT = "renewed_at"
_MOST_S = 86400
_SHARE = 0.1
# A visit is written so often: reading must not become writing.
_FRESH = timedelta(hours=1)

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


def note_visits(get_response: View) -> View:
    """Middleware that keeps when each user was last seen, to within an hour."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Nobody is looked up for it whom the answer did not need.
        if not (hasattr(request, "_cached_user") or VISITOR in request.META):
            return response
        user, now = request.user, timezone.now()
        if user.is_authenticated and (user.seen_at is None or now - user.seen_at >= _FRESH):
            try:
                User.objects.filter(pk=user.pk).update(seen_at=now)
            except DatabaseError as error:  # A disk that is full must not stop those who only read.
                if not is_away(error):
                    raise
                _log.warning("the visit of user %s could not be noted: %s", user.pk, error)
        return response

    return middleware
