"""Passwords that too many people have."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.password_validation import CommonPasswordValidator


class UncommonPassword(CommonPasswordValidator):
    """Django's check, whose 20,000 passwords are read for each anew.

    That takes 15 ms; kept from the first form for a password on, they would take 1.6 MB.
    """

    def __init__(self) -> None:
        """Read nothing yet."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Raises ValidationError."""
        CommonPasswordValidator().validate(password, user)
