"""Addresses to send to: read from a file, and never shown."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings as django_settings

from edge_classifier.config.secrets import Secret, read_secret_lines
from edge_classifier.errors import ConfigurationError
from edge_classifier.web.config.settings import NotificationRule

CREDENTIAL = "notify-addresses"
_MOST = 20
_SERVICE = re.compile(r"([a-z][a-z0-9+]{1,19}):/", re.IGNORECASE)


class AddressState(StrEnum):
    """How far one message is at one address; none: it is still to be sent there."""

    # Somebody sends it, or ended while he did.
    BEGUN = "begun"
    SENT = "sent"
    # Nobody knows whether it has come. It is not sent again: nothing is to come twice.
    UNKNOWN = "unknown"
    # The address is none.
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Address:
    """Where messages go, by Apprise."""

    secret: Secret
    # Its line in the file, from 1.
    line: int

    @property
    def service(self) -> str:
        """What kind it is, as ``ntfy``. All that is shown of it; empty: no kind is there."""
        # Whatever follows may be a token, where another address has the name of a host.
        found = _SERVICE.match(self.secret.reveal())
        return found[1].lower() if found else ""

    @property
    def digest(self) -> str:
        """Known again by this, in the database, which does not hold the address."""
        key = django_settings.SECRET_KEY.encode()
        text = self.secret.reveal().encode()
        return hmac.new(key, text, hashlib.sha256).hexdigest()[:24]


def read_addresses(rule: NotificationRule) -> Sequence[Address]:
    """The addresses of ``rule``. Raises ConfigurationError, which shows none of them."""
    file, credential = rule.addresses_file, CREDENTIAL
    if file and len(file.parts) == 1:
        file, credential = None, str(file)
    try:
        lines = read_secret_lines(file, credential, _MOST)
    except ConfigurationError as error:
        if error.subject != credential:
            raise
        # Somebody may have put an address where the name should be.
        raise ConfigurationError("addresses_file", error.problem) from None
    return [Address(secret, line) for line, secret in lines]
