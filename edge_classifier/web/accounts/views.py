"""Logging in and out, passwords, and the first administrator."""

import math
from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, views
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from edge_classifier.web.accounts import throttle
from edge_classifier.web.accounts.first_run import AdministratorForm

# Django would take a PUT for a POST.
_METHODS = ("get", "head", "post")
_BACKEND = "django.contrib.auth.backends.ModelBackend"


class LoginView(views.LoginView):
    """Name and password. Wrong ones are counted by django-axes, which asks ``locked``."""

    template_name = "accounts/login.html"
    http_method_names = _METHODS


class LogoutView(views.LogoutView):
    """Ends the session, and shows the login."""


class PasswordView(views.PasswordChangeView):
    """Another password, for whoever knows the present one; other sessions end."""

    template_name = "accounts/password.html"
    http_method_names = _METHODS
    success_url = reverse_lazy("classify")

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep it, and say so."""
        messages.success(self.request, gettext("Your password has been changed."))
        return super().form_valid(form)


def address(request: HttpRequest) -> str:
    """Where ``request`` comes from, as failed logins are counted; an IPv6 network by its name."""
    return throttle.address(request).partition("/")[0]


def locked(
    request: HttpRequest, _page: HttpResponse, credentials: dict[str, Any] | None
) -> HttpResponse:
    """Whoever was wrong too often is told how long to wait."""
    wait_s = _wait_s((credentials or {}).get("username", ""), address(request), timezone.now())
    page = render(request, "accounts/locked.html", {"minutes": math.ceil(wait_s / 60)}, status=429)
    page["Retry-After"] = str(math.ceil(wait_s))
    return page


def _wait_s(username: str, ip_address: str, now: datetime) -> float:
    pause = timedelta(hours=settings.AXES_COOLOFF_TIME)
    found = AccessAttempt.objects.filter(username=username, ip_address=ip_address)
    last = found.order_by("-attempt_time").values_list("attempt_time", flat=True).first()
    return max(1.0, ((last or now) + pause - now).total_seconds())


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def first_run(request: HttpRequest, token: str) -> HttpResponse:
    """Makes the first administrator, and logs them in."""
    invitation = request.services.invitation
    if not invitation.is_valid(token):
        raise Http404
    form = AdministratorForm(request.POST or None)
    if request.method == "GET" or not form.is_valid():
        return render(request, "accounts/first_run.html", {"form": form})
    user = invitation.accept(token, form)
    if user is None:
        raise Http404
    login(request, user, backend=_BACKEND)
    messages.success(request, gettext("You are the administrator of this page now."))
    return redirect("classify")
