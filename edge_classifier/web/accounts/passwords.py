"""Forms for new passwords, and links with which somebody chooses their own."""

from typing import Any

from django.contrib.auth.forms import (
    AdminPasswordChangeForm,
    AdminUserCreationForm,
    PasswordChangeForm,
    SetPasswordForm,
    SetPasswordMixin,
    UserCreationForm,
)
from django.contrib.auth.tokens import default_token_generator
from django.http import HttpRequest
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from edge_classifier.web.models import User

# The field's name in most of Django's forms.
_REPEATED = "password2"


class RulesAtTheFirst(SetPasswordMixin):
    """Django tells what is wrong with a new password below its repetition: here, below itself."""

    def validate_password_for_user(
        self, user: User, password_field_name: str = _REPEATED, **_: Any
    ) -> None:
        """Hold the new password against the rules."""
        first = password_field_name.replace("2", "1")
        super().validate_password_for_user(user, password_field_name=first)


class NewUserForm(RulesAtTheFirst, UserCreationForm):
    """A name and, twice, a password."""

    class Meta(UserCreationForm.Meta):
        """Its name is found by programs that keep passwords (``field_classes``)."""

        model = User


class ChosenPasswordForm(RulesAtTheFirst, SetPasswordForm):
    """Twice a new password."""


class OwnPasswordForm(RulesAtTheFirst, PasswordChangeForm):
    """The present password and, twice, a new one."""


class AdminNewUserForm(RulesAtTheFirst, AdminUserCreationForm):
    """That of the administration."""


class AdminPasswordForm(RulesAtTheFirst, AdminPasswordChangeForm):
    """That of the administration, for somebody else's password."""


def password_link(request: HttpRequest, user: User) -> str:
    """The address at which ``user`` chooses a password: good once, and for three days.

    It is signed with what the present password is stored as, and so ends with that.
    """
    person = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("choose-password", args=[person, default_token_generator.make_token(user)])
    public = str(request.services.settings.server.public_address).rstrip("/")
    return public + path if public else request.build_absolute_uri(path)
