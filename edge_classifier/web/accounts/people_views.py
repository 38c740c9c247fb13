"""The accounts of all people, for administrators."""

from typing import ClassVar

from axes.utils import reset
from django import forms
from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.db import IntegrityError, transaction
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from edge_classifier.web.accounts.passwords import ChosenPasswordForm, password_link
from edge_classifier.web.accounts.roles import AccessLevel, is_still_administrator, requires
from edge_classifier.web.models import User

MOST_SHOWN = 500


class AccountForm(forms.ModelForm):
    """A name and a role: the password is chosen by its owner."""

    class Meta:
        """The fields of the form."""

        model = User
        fields = ("username", "role")
        widgets: ClassVar = {
            "username": forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"})
        }

    def clean_username(self) -> str:
        """Refuse names that differ in case only, as Django's own form does."""
        name: str = self.cleaned_data["username"]
        if User.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError(
                self.instance.unique_error_message(User, ["username"]), code="unique"
            )
        return name


class RoleForm(forms.ModelForm):
    """A role."""

    class Meta:
        """The fields of the form."""

        model = User
        fields = ("role",)


# Django's own answers to a link that is used up before it looks at the method.
@method_decorator(require_http_methods(["GET", "HEAD", "POST"]), name="dispatch")
class ChoosePasswordView(auth_views.PasswordResetConfirmView):
    """Behind the link for somebody new, or who has forgotten a password."""

    template_name = "accounts/choose_password.html"
    form_class = ChosenPasswordForm
    success_url = reverse_lazy("first")
    post_reset_login = True
    post_reset_login_backend = "django.contrib.auth.backends.ModelBackend"

    def form_valid(self, form: ChosenPasswordForm) -> HttpResponse:
        """Store the password, and let its owner in, however often a wrong one was tried."""
        reset(username=self.user.get_username())
        messages.success(self.request, gettext("Your password is set."))
        return super().form_valid(form)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(AccessLevel.ADMINISTRATOR)
@never_cache
def account_list(request: HttpRequest) -> HttpResponse:
    """Everybody, and a form for somebody new, whose answer has the link for their password."""
    form = AccountForm(request.POST or None, initial={"role": User.Role.VIEWER})
    if request.method == "POST" and form.is_valid():
        form.instance.set_unusable_password()
        try:
            with transaction.atomic():
                made = form.save()
        except IntegrityError:  # Two people at once.
            form.add_error("username", form.instance.unique_error_message(User, ["username"]))
        else:
            return _page(request, AccountForm(), made=made, is_new=True)
    return _page(request, form)


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
@never_cache
def reset_password(request: HttpRequest, number: int) -> HttpResponse:
    """End the password of somebody, and show the link for another one."""
    user = get_object_or_404(User, pk=number)
    if user == request.user:
        return redirect("password")
    user.set_unusable_password()
    user.save()
    return _page(request, AccountForm(), made=user)


@require_POST
@requires(AccessLevel.ADMINISTRATOR)
def change_role(request: HttpRequest, number: int) -> HttpResponse:
    """Give somebody else another role."""
    with transaction.atomic():
        user = _somebody_else(request, number)
        form = RoleForm(request.POST, instance=user)
        if user and form.is_valid():
            form.save()
            text = gettext("%(name)s is %(role)s now.")
            what = {"name": user.username, "role": user.get_role_display()}
            messages.success(request, text % what)
    return redirect("accounts")


@require_http_methods(["GET", "HEAD", "POST"])
@requires(AccessLevel.ADMINISTRATOR)
def remove(request: HttpRequest, number: int) -> HttpResponse:
    """Ask whether somebody's account is to go; then delete it."""
    with transaction.atomic():
        user = _somebody_else(request, number)
        if user and request.method != "POST":
            return render(request, "accounts/remove.html", {"person": user})
        if user:
            user.delete()
            text = gettext("The account of %(name)s was removed.")
            messages.success(request, text % {"name": user.username})
    return redirect("accounts")


def _somebody_else(request: HttpRequest, number: int) -> User | None:
    """The user ``number``; None, and a message, for whoever asks: so one administrator stays."""
    is_administrator = is_still_administrator(request.user)
    user = get_object_or_404(User, pk=number)
    if user == request.user or not is_administrator:
        messages.error(request, gettext("Another administrator can do that with your account."))
        return None
    return user


def _page(
    request: HttpRequest, form: AccountForm, made: User | None = None, *, is_new: bool = False
) -> HttpResponse:
    people = User.objects.annotate(token_count=Count("tokens")).order_by("username")
    context = {
        "form": form,
        "people": people[:MOST_SHOWN],
        "roles": User.Role.choices,
        "made": made,
        "is_new": is_new,
        "link": password_link(request, made) if made else "",
    }
    return render(request, "accounts/accounts.html", context)
