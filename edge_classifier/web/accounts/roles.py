"""Roles, and what each may see and do."""

from collections.abc import Callable
from enum import IntEnum
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

from edge_classifier.web.models import Record, User

View = Callable[..., HttpResponse]
# In a visitor's session: the records of their uploads.
_OWN = "own_records"
_MOST_OWN = 200


class AccessLevel(IntEnum):
    """From few rights to many; each role has those of the one before."""

    VISITOR = 0
    VIEWER = 1
    REVIEWER = 2
    ADMINISTRATOR = 3


# Who may change the model that a device runs, wherever that is asked for: on the page of models, of
# a camera or of a lesson, by a roll-out, or in the API.
SWITCHES_MODELS = AccessLevel.ADMINISTRATOR

_LEVELS = {
    User.Role.VIEWER: AccessLevel.VIEWER,
    User.Role.REVIEWER: AccessLevel.REVIEWER,
    User.Role.ADMINISTRATOR: AccessLevel.ADMINISTRATOR,
}


def access_level_of(user: User | AnonymousUser) -> AccessLevel:
    """The role of ``user``; VISITOR without a login."""
    return _LEVELS[user.role] if user.is_authenticated else AccessLevel.VISITOR


def is_still_administrator(user: User | AnonymousUser) -> bool:
    """Whether ``user`` is one now, and will be until the transaction ends in which this is asked.

    Of two administrators who remove each other, one comes first, and the other one is none then.
    """
    administrators = User.objects.filter(role=User.Role.ADMINISTRATOR, is_active=True)
    return user.pk in administrators.select_for_update().values_list("pk", flat=True)


def requires(least: AccessLevel) -> Callable[[View], View]:
    """Decorator: a view for ``least`` and above. Visitors are asked to log in, others get 403."""

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if access_level_of(request.user) >= least:
                return view(request, *args, **kwargs)
            if request.user.is_authenticated:
                raise PermissionDenied
            return redirect_to_login(request.get_full_path())

        return guarded

    return wrap


def visible_to(user: User | AnonymousUser, own: list[str] | None = None) -> QuerySet[Record]:
    """The records that ``user`` may see.

    Reviewers see all; viewers all that cameras saw, and their own uploads; visitors those uploads
    only whose keys are in ``own``.
    """
    role = access_level_of(user)
    if role >= AccessLevel.REVIEWER:
        return Record.objects.all()
    if role >= AccessLevel.VIEWER:
        return Record.objects.filter(Q(source__in=Record.CAMERA_SOURCES) | Q(owner=user))
    sent = Record.objects.exclude(source__in=Record.CAMERA_SOURCES)
    return sent.filter(key__in=own or [], owner=None)


def visible(request: HttpRequest) -> QuerySet[Record]:
    """The records that whoever asks may see."""
    return visible_to(request.user, request.session.get(_OWN))


def remember_own(request: HttpRequest, key: UUID) -> None:
    """Let a visitor without an account come back to what they have uploaded."""
    if not request.user.is_authenticated:
        request.session[_OWN] = [*request.session.get(_OWN, []), str(key)][-_MOST_OWN:]
