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


class Role(IntEnum):
    """From few rights to many; each role has those of the one before."""

    VISITOR = 0
    VIEWER = 1
    REVIEWER = 2
    ADMINISTRATOR = 3


_ROLES = {
    User.Role.VIEWER: Role.VIEWER,
    User.Role.REVIEWER: Role.REVIEWER,
    User.Role.ADMINISTRATOR: Role.ADMINISTRATOR,
}


def role_of(user: User | AnonymousUser) -> Role:
    """The role of ``user``; VISITOR without a login."""
    return _ROLES[user.role] if user.is_authenticated else Role.VISITOR


def requires(least: Role) -> Callable[[View], View]:
    """Decorator: a view for ``least`` and above. Visitors are asked to log in, others get 403."""

    def wrap(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if role_of(request.user) >= least:
                return view(request, *args, **kwargs)
            if request.user.is_authenticated:
                raise PermissionDenied
            return redirect_to_login(request.get_full_path())

        return guarded

    return wrap


def visible_to(user: User | AnonymousUser, own: list[str] | None = None) -> QuerySet[Record]:
    """The records that ``user`` may see.

    Reviewers see all; viewers all events, and their own uploads; visitors those uploads only
    whose keys are in ``own``.
    """
    role = role_of(user)
    if role >= Role.REVIEWER:
        return Record.objects.all()
    if role >= Role.VIEWER:
        return Record.objects.filter(Q(source=Record.Source.EVENT) | Q(owner=user))
    return Record.objects.filter(key__in=own or [], owner=None).exclude(source=Record.Source.EVENT)


def visible(request: HttpRequest) -> QuerySet[Record]:
    """The records that whoever asks may see."""
    return visible_to(request.user, request.session.get(_OWN))


def remember_own(request: HttpRequest, key: UUID) -> None:
    """Let a visitor without an account come back to what they have uploaded."""
    if not request.user.is_authenticated:
        request.session[_OWN] = [*request.session.get(_OWN, []), str(key)][-_MOST_OWN:]
