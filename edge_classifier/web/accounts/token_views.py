"""Tokens for one's own programs: making, seeing, revoking."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from edge_classifier.web.accounts import tokens
from edge_classifier.web.accounts.roles import Role, requires
from edge_classifier.web.models import Token

# Tokens of one user.
MOST = 50


NameForm = forms.modelform_factory(Token, fields=["name"])


@require_safe
@requires(Role.VIEWER)
def page(request: HttpRequest) -> HttpResponse:
    """The tokens of whoever asks."""
    return _shown(request, NameForm())


@require_POST
@requires(Role.VIEWER)
@never_cache
def create(request: HttpRequest) -> HttpResponse:
    """Make one. The answer, and nothing else ever, has its secret."""
    form = NameForm(request.POST)
    if not form.is_valid():
        return _shown(request, form)
    if request.user.tokens.count() >= MOST:
        form.add_error("name", _("You have %(most)d tokens. Revoke one first.") % {"most": MOST})
        return _shown(request, form)
    made, secret = tokens.make(request.user, form.cleaned_data["name"])
    return _shown(request, NameForm(), made=made, secret=secret)


@require_POST
@requires(Role.VIEWER)
def revoke(request: HttpRequest, number: int) -> HttpResponse:
    """End one of one's own."""
    token = get_object_or_404(request.user.tokens, pk=number)
    token.delete()
    messages.success(request, _("%(name)s was revoked.") % {"name": token.name})
    return redirect("tokens")


def _shown(
    request: HttpRequest, form: forms.ModelForm, made: Token | None = None, secret: str = ""
) -> HttpResponse:
    known = request.user.tokens.order_by("-created_at", "-pk")
    context = {"form": form, "tokens": known, "made": made, "secret": secret}
    return render(request, "accounts/tokens.html", context)
