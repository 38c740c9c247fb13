"""Logging in and out, passwords, the first administrator, and tokens for programs."""

import math
from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login, views
from django.contrib.auth.forms import AuthenticationForm, UsernameField
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from edge_classifier.web.accounts import throttle, tokens
from edge_classifier.web.accounts.first_run import AdministratorForm
from edge_classifier.web.accounts.passwords import OwnPasswordForm
from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.models import Token, User

# Django would take a PUT for a POST.
_METHODS = ("get", "head", "post")
_BACKEND = "django.contrib.auth.backends.ModelBackend"
_LONGEST_PASSWORD = 4096
# Of one user.
MOST_TOKENS = 50
# Wrong logins that are kept, of all names and addresses together.
MOST_ATTEMPTS = 5000

TokenForm = forms.modelform_factory(Token, fields=["name"])


class LoginForm(AuthenticationForm):
    """Name and password, of a length that an account can have: all else is wrong unasked.

    Nothing longer reaches django-axes, which keeps what was tried.
    """

    username = UsernameField(max_length=User._meta.get_field("username").max_length)
    password = forms.CharField(strip=False, max_length=_LONGEST_PASSWORD)


class LoginView(views.LoginView):
    """Asks for name and password. django-axes counts wrong ones, and calls ``locked``."""

    template_name = "accounts/login.html"
    http_method_names = _METHODS
    form_class = LoginForm

    def form_invalid(self, form: LoginForm) -> HttpResponse:
        """Say so, and forget the oldest of too many attempts: anybody can make another one."""
        over = AccessAttempt.objects.order_by("-attempt_time", "-pk")[MOST_ATTEMPTS:]
        AccessAttempt.objects.filter(pk__in=list(over.values_list("pk", flat=True))).delete()
        return super().form_invalid(form)


class LogoutView(views.LogoutView):
    """Ends the session, and shows the login."""


class PasswordView(views.PasswordChangeView):
    """Changes the password of a user who knows the present one; other sessions end."""

    template_name = "accounts/password.html"
    form_class = OwnPasswordForm
    http_method_names = _METHODS
    success_url = reverse_lazy("first")

    def form_valid(self, form: Any) -> HttpResponse:
        """Store the new password, and say so."""
        messages.success(self.request, gettext("Your password has been changed."))
        return super().form_valid(form)


def address(request: HttpRequest) -> str:
    """The address by which failed logins are counted; of an IPv6 network its first address."""
    return throttle.address(request).partition("/")[0]


def locked(
    request: HttpRequest, _page: HttpResponse, credentials: dict[str, Any] | None
) -> HttpResponse:
    """The answer to a login after too many wrong passwords: 429, and how long to wait."""
    username, now = (credentials or {}).get("username", ""), timezone.now()
    attempts = AccessAttempt.objects.filter(username=username, ip_address=address(request))
    last = attempts.order_by("-attempt_time").values_list("attempt_time", flat=True).first()
    end = (last or now) + timedelta(hours=settings.AXES_COOLOFF_TIME)
    wait_s = max(1.0, (end - now).total_seconds())
    page = render(request, "accounts/locked.html", {"minutes": math.ceil(wait_s / 60)}, status=429)
    page["Retry-After"] = str(math.ceil(wait_s))
    return page


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
    return redirect("first")


@require_safe
@requires(AccessLevel.VIEWER)
def token_list(request: HttpRequest) -> HttpResponse:
    """The tokens of whoever asks, and a form for another one."""
    return _token_page(request, TokenForm())


@require_POST
@requires(AccessLevel.VIEWER)
@never_cache
def create_token(request: HttpRequest) -> HttpResponse:
    """Make a token. The answer, and nothing else ever, has its secret."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _token_page(request, form)
    if request.user.tokens.count() >= MOST_TOKENS:
        form.add_error(
            "name", gettext("You have %(most)d tokens. Revoke one first.") % {"most": MOST_TOKENS}
        )
        return _token_page(request, form)
    made, secret = tokens.make(request.user, form.cleaned_data["name"])
    return _token_page(request, TokenForm(), made=made, secret=secret)


@require_POST
@requires(AccessLevel.VIEWER)
def revoke_token(request: HttpRequest, number: int) -> HttpResponse:
    """End a token of whoever asks."""
    token = get_object_or_404(request.user.tokens, pk=number)
    token.delete()
    messages.success(request, gettext("%(name)s was revoked.") % {"name": token.name})
    return redirect("tokens")


def _token_page(
    request: HttpRequest, form: forms.ModelForm, made: Token | None = None, secret: str = ""
) -> HttpResponse:
    known = request.user.tokens.order_by("-created_at", "-pk")
    context = {"form": form, "tokens": known, "made": made, "secret": secret}
    return render(request, "accounts/tokens.html", context)
