"""Tokens, with which programs use the API. The database has their digests only."""

import hashlib
import logging
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import DatabaseError
from django.utils import timezone

from edge_classifier.web.database_away import is_away
from edge_classifier.web.models import Token, User

_log = logging.getLogger(__name__)
# Tells people, and programs that look for lost secrets, what it is.
_PREFIX = "edge_"
SECRET_BYTES = 32
# The time of the last use is written so often: reading must not become writing.
FRESH = timedelta(minutes=1)


def make(
    user: User, name: str, randomness: Callable[[int], str] = secrets.token_urlsafe
) -> tuple[Token, str]:
    """A new token with the rights of ``user``, and its secret, which is not stored."""
    secret = _PREFIX + randomness(SECRET_BYTES)
    return Token.objects.create(user=user, name=name, digest=digest(secret)), secret


def user_of(secret: str, now: datetime | None = None) -> User | None:
    """The user whose token ``secret`` is; None if there is none, or the account is not active."""
    found = Token.objects.select_related("user").filter(digest=digest(secret)).first()
    if found is None or not found.user.is_active:
        return None
    now = now or timezone.now()
    if found.used_at is None or now - found.used_at >= FRESH:
        try:
            Token.objects.filter(pk=found.pk).update(used_at=now)
        except DatabaseError as error:  # A disk that is full must not stop those who only read.
            if not is_away(error):
                raise
            _log.warning("the use of token %s could not be noted: %s", found.pk, error)
    return found.user


def digest(secret: str) -> str:
    """The SHA-256 that the database has. A fast hash is enough: nobody guesses 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()
