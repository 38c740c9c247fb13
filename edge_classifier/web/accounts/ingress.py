"""Who comes through Home Assistant's ingress: logged in there, and below a path of its own here."""

from collections.abc import Callable

from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.core.exceptions import DisallowedHost, PermissionDenied
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.urls import get_script_prefix

from edge_classifier.web.http_server.ingress import VISITOR, IngressVisitor
from edge_classifier.web.models import User

View = Callable[[HttpRequest], HttpResponse]
_NOBODY = IngressVisitor("", "", "")


class _PageRequest(WSGIRequest):
    """A request that may have come through the ingress."""

    def get_host(self) -> str:
        """There any name is good: Home Assistant has asked its own cookie, not the name.

        Raises DisallowedHost.
        """
        if VISITOR not in self.META:
            return str(super().get_host())
        host = str(self.META.get("HTTP_HOST", ""))
        if not split_domain_port(host)[0]:
            raise DisallowedHost(f"Invalid HTTP_HOST header: {host!r}.")
        return host


class PageHandler(WSGIHandler):
    """Django, for the server."""

    request_class = _PageRequest


class StaticFiles(StaticFilesStorage):
    """Static files, below the path that the present request came by.

    Django keeps the first one.
    """

    def url(self, name: str) -> str:
        """The address for browsers."""
        return get_script_prefix().removesuffix("/") + str(super().url(name))


def keep_cookies(get_response: View) -> View:
    """Middleware: cookies of the ingress are for this page alone, not for all of Home Assistant."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if VISITOR in request.META:
            for cookie in response.cookies.values():
                cookie["path"] = request.META["SCRIPT_NAME"] + "/"
                cookie["secure"] = request.is_secure()
        return response

    return middleware


def log_in(get_response: View) -> View:
    """Middleware: who comes through the ingress is whom Home Assistant says, and nobody else.

    That holds for this request: no session is logged in, whose cookie could be used elsewhere.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        visitor = request.META.get(VISITOR)
        if visitor and visitor.id:
            # The account is made at the first visit, where the settings give new ones a role.
            ingress = request.services.settings.server.ingress
            # Not as what they are called, which two may be; nor as an empty line of that list.
            own = {visitor.id, visitor.username} - {""}
            is_named = not own.isdisjoint(ingress.administrators)
            role = User.Role.ADMINISTRATOR if is_named else ingress.role
            user = User.objects.filter(ingress_id=visitor.id).first()
            if user is None and role != "none":
                user = _make_account(visitor, User.Role(role))
            if user is None or not user.is_active:
                raise PermissionDenied
            if is_named and user.role != role:
                user.role = role
                user.save()
            request.user = user
        return get_response(request)

    return middleware


def user_now(request: HttpRequest) -> User | AnonymousUser:
    """Who asked, as sessions and accounts are by now; nobody, if one of them has ended."""
    if request.META.get(VISITOR, _NOBODY).id:
        # No session has logged them in.
        known = User.objects.filter(pk=request.user.pk, is_active=True).first()
        return known or AnonymousUser()
    fresh = HttpRequest()
    fresh.session = type(request.session)(request.session.session_key)
    return get_user(fresh)


def _make_account(visitor: IngressVisitor, role: User.Role) -> User:
    # An account of the same name may be there, with a password: it is another one.
    names = (visitor.name, f"{visitor.name}@homeassistant", visitor.id)
    for name in filter(None, names):
        user = User(username=name, ingress_id=visitor.id, role=role)
        user.set_unusable_password()
        try:
            with transaction.atomic():
                user.save()
        except IntegrityError:
            # Or another request of the same visitor was first.
            if found := User.objects.filter(ingress_id=visitor.id).first():
                return found
        else:
            return user
    raise PermissionDenied
