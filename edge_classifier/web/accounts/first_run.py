"""The first administrator: made by a link in the log, as long as there is none, or by a command."""

import getpass
import secrets
import sys
import threading
from typing import TextIO

from django.db import transaction
from django.urls import reverse

from edge_classifier.errors import UsageError
from edge_classifier.web.accounts.passwords import NewUserForm
from edge_classifier.web.models import User

_TOKEN_BYTES = 32


class AdministratorForm(NewUserForm):
    """A name and, twice, a password that Django's validators find good enough."""

    def save(self, commit: bool = True) -> User:
        """Make the administrator."""
        self.instance.role = User.Role.ADMINISTRATOR
        return super().save(commit)


class Invitation:
    """Lets whoever can read the log make the first administrator, once."""

    def __init__(self) -> None:
        self._token = ""
        self._lock = threading.Lock()

    def link(self) -> str:
        """The path of that page, without the first slash; empty when there is an administrator."""
        if administrator_exists():
            return ""
        with self._lock:
            self._token = self._token or secrets.token_urlsafe(_TOKEN_BYTES)
            return reverse("first-run", args=[self._token]).removeprefix("/")

    def is_valid(self, token: str) -> bool:
        """Whether ``token`` is that of the link, and there is still no administrator."""
        same = secrets.compare_digest(self._token.encode(), token.encode())
        return bool(self._token) and same and not administrator_exists()

    def accept(self, token: str, form: AdministratorForm) -> User | None:
        """Make the administrator of a valid ``form``; None if ``token`` is not valid any more."""
        with self._lock, transaction.atomic():
            if not self.is_valid(token):
                return None
            self._token = ""
            return form.save()


def administrator_exists() -> bool:
    """Whether there is an administrator who can log in."""
    return User.objects.filter(role=User.Role.ADMINISTRATOR, is_active=True).exists()


def create_administrator(username: str, terminal: TextIO = sys.stdin) -> User:
    """Make an administrator whose password is typed, or the first line of what is piped in.

    Raises UsageError for a name that is taken, and for a password that is too weak.
    """
    if terminal.isatty():
        username = username or input("Name: ").strip()
        first, again = getpass.getpass("Password: "), getpass.getpass("Once more: ")
    elif username:
        first = again = terminal.readline().rstrip("\r\n")
    else:
        remedy = "edge-classify web createadmin NAME < file-with-the-password"
        raise UsageError("createadmin", "needs a name where nobody can be asked", remedy)
    form = AdministratorForm({"username": username, "password1": first, "password2": again})
    if not form.is_valid():
        wrong = " ".join(text for texts in form.errors.values() for text in texts)
        remedy = ""
        if "username" in form.errors:
            remedy = (
                "`edge-classify web manage changepassword NAME` gives somebody another password."
            )
        raise UsageError(username or "createadmin", wrong.rstrip("."), remedy)
    return form.save()
