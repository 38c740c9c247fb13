"""Logging in and out, passwords, and the first administrator."""

from django.contrib.auth import views
from django.http import HttpRequest, HttpResponse


class Login(views.LoginView):
    """Stub."""


class Logout(views.LogoutView):
    """Stub."""


class Password(views.PasswordChangeView):
    """Stub."""


def first_run(request: HttpRequest, token: str) -> HttpResponse:
    """Stub."""
    return HttpResponse(status=501)


def refused(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Stub."""
    return HttpResponse(status=403)
