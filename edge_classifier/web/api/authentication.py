"""Authentication of the API: a token, or the cookie of a browser that has logged in."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from ninja.errors import AuthenticationError, HttpError
from ninja.security import HttpBearer
from ninja.security.session import SessionAuth

from edge_classifier.web.accounts import tokens
from edge_classifier.web.accounts.roles import AccessLevel, access_level_of
from edge_classifier.web.api.problems import TooManyError
from edge_classifier.web.installed_models import device_tokens
from edge_classifier.web.models import User


class TokenAuth(HttpBearer):
    """A token, which has the rights of the user who made it."""

    openapi_description = "A token that the page has made, at /tokens."

    def authenticate(self, request: HttpRequest, token: str) -> User:
        """A wrong token is refused, even if a cookie would do."""
        wait_s = request.services.throttle.allow_guess(request)
        if wait_s is not None:
            raise TooManyError("Too many wrong tokens from this address.", wait_s)
        user = tokens.user_of(token)
        if user is None and device_tokens.find(token):
            message = "This is a device's token: it fetches models, and nothing else."
            raise HttpError(HTTPStatus.FORBIDDEN, message)
        if user is None:
            request.services.throttle.count_guess(request)
            raise HttpError(HTTPStatus.UNAUTHORIZED, "This token is not known, or was revoked.")
        request.user = user
        return user


class LoginAuth(SessionAuth):
    """The cookie of somebody who has logged in."""

    openapi_description = (
        "The cookie of a browser that has logged in; what changes something also needs the"
        " header X-CSRFToken."
    )

    def __call__(self, request: HttpRequest) -> Any:
        """Without a login the answer is 401, and not that a CSRF token is missing."""
        return super().__call__(request) if request.user.is_authenticated else None


WAYS_IN = (TokenAuth(), LoginAuth())


def authenticate(request: HttpRequest) -> None:
    """Set the user of ``request``, for views that are not ninja's. Raises HttpError."""
    if not any(way(request) for way in WAYS_IN):
        raise AuthenticationError


def require_role(request: HttpRequest, least: AccessLevel) -> None:
    """Raise HttpError (403) for users below ``least``."""
    if access_level_of(request.user) < least:
        raise HttpError(HTTPStatus.FORBIDDEN, f"Only a {least.name.lower()} may do this.")
