"""Tokens of devices, with which daemons fetch models; and the pages on which they are made."""

import logging
import secrets
from collections.abc import Callable
from datetime import datetime

from django import forms
from django.contrib import messages
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from edge_classifier.web.accounts.roles import AccessLevel, requires
from edge_classifier.web.accounts.tokens import FRESH, SECRET_BYTES, digest
from edge_classifier.web.database_away import is_away
from edge_classifier.web.models import DeviceToken, User

_log = logging.getLogger(__name__)
# Tells people, and programs that look for lost secrets, what it is.
PREFIX = "edge_device_"
# One a device.
MOST = 1000

TokenForm = forms.modelform_factory(DeviceToken, fields=["name"])


def make(
    maker: User, name: str, randomness: Callable[[int], str] = secrets.token_urlsafe
) -> tuple[DeviceToken, str]:
    """A new token, and its secret, which is not stored."""
    secret = PREFIX + randomness(SECRET_BYTES)
    return DeviceToken.objects.create(maker=maker, name=name, digest=digest(secret)), secret


def find(secret: str, now: datetime | None = None) -> DeviceToken | None:
    """The token whose secret this is; its use is noted."""
    found = DeviceToken.objects.filter(digest=digest(secret)).first()
    now = now or timezone.now()
    if found and (found.used_at is None or now - found.used_at >= FRESH):
        try:
            DeviceToken.objects.filter(pk=found.pk).update(used_at=now)
        except DatabaseError as error:  # A disk that is full must not stop those who only read.
            if not is_away(error):
                raise
            _log.warning("the use of a device's token could not be noted: %s", error)
    return found


@require_safe
@requires(AccessLevel.ADMINISTRATOR)
def page(request: HttpRequest) -> HttpResponse:
    """All tokens, and a form for another one."""
    return _page(request, TokenForm())


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
@never_cache
def create(request: HttpRequest) -> HttpResponse:
    """Make a token. The answer, and nothing else ever, has its secret."""
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    if DeviceToken.objects.count() >= MOST:
        form.add_error("name", gettext("There are %d tokens. Revoke one first.") % MOST)
        return _page(request, form)
    made, secret = make(request.user, form.cleaned_data["name"])
    return _page(request, TokenForm(), made=made, secret=secret)


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def revoke(request: HttpRequest, number: int) -> HttpResponse:
    """End a token."""
    token = get_object_or_404(DeviceToken, pk=number)
    token.delete()
    messages.success(request, gettext("%(name)s was revoked.") % {"name": token.name})
    return redirect("models-tokens")


def _page(
    request: HttpRequest, form: forms.ModelForm, made: DeviceToken | None = None, secret: str = ""
) -> HttpResponse:
    context = {
        "form": form,
        "tokens": DeviceToken.objects.select_related("maker"),
        "made": made,
        "secret": secret,
        "address": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "installed_models/device_tokens.html", context)
