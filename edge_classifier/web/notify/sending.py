"""Sends one message to its addresses, each once; and remembers which of them fail."""

import json
import logging
import random as random_module
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from django.utils import timezone
from django.utils.translation import gettext_noop

from edge_classifier import child
from edge_classifier.core.backoff import pause_s
from edge_classifier.errors import ConfigurationError
from edge_classifier.web.config.settings import NotificationRule, WebSettings
from edge_classifier.web.notify import outbox
from edge_classifier.web.notify.addresses import Address, AddressState, read_addresses
from edge_classifier.web.notify.message_text import MessageContent, compose
from edge_classifier.web.notify.tables import Notification

_log = logging.getLogger(__name__)
_CHILD = "edge_classifier.web.notify.send_child"
# For one address: Apprise waits for less.
_LIMIT_S = 60.0
_FIRST_PAUSE_S = 20.0
_SENDER = "edge-classifier"
# Why something was not sent, in words for people.
PROBLEMS: Mapping[str, str] = {
    "unreachable": gettext_noop("cannot be reached"),
    "answered": gettext_noop("answered with an error"),
    "refused": gettext_noop("did not take it"),
    "no_answer": gettext_noop("did not answer in time; it may have come or not"),
    "interrupted": gettext_noop("the page ended while it was sent; it may have come or not"),
    "wrong_address": gettext_noop("is no address that Apprise knows"),
    "no_addresses": gettext_noop("the file of addresses cannot be used"),
    "no_apprise": gettext_noop("Apprise is not installed: the extra [notify]"),
    "failed": gettext_noop("the process that sends failed"),
    "too_old": gettext_noop("it could not be sent for an hour"),
    "too_many": gettext_noop("too many messages were waiting"),
    "no_rule": gettext_noop("its rule is not in the settings any more"),
    "no_records": gettext_noop("its records were deleted, or found wrong"),
}
# After these a message may have come, or never will; after all others it is tried again.
_FINAL = {
    "": AddressState.SENT,
    "no_answer": AddressState.UNKNOWN,
    "interrupted": AddressState.UNKNOWN,
    "wrong_address": AddressState.WRONG,
}
# What an earlier try has left, in the same words.
_EARLIER = {AddressState.UNKNOWN: "no_answer", AddressState.WRONG: "wrong_address"}


@dataclass(frozen=True, slots=True)
class DeliveryFailure:
    """An address, or a rule, whose last message was not sent."""

    rule: str
    # A word of ``PROBLEMS``.
    problem: str
    # What may be shown of the address: its line in the file, and what kind it is.
    line: int = 0
    service: str = ""
    # Of HTTP; 0: none.
    status: int = 0
    # More of the problem, which names no address.
    detail: str = ""
    failures: int = 1
    # Not tried again before, in UTC.
    again_at: datetime | None = None


# How one message went to one address: a word of ``PROBLEMS``, empty if it was sent, and a status.
Send = Callable[[Address, MessageContent, Path], tuple[str, int]]


def send_by_apprise(address: Address, content: MessageContent, scratch: Path) -> tuple[str, int]:
    """In a child process, which has a minute for it."""
    with ExitStack() as stack:
        picture = ""
        if content.picture:
            folder = stack.enter_context(tempfile.TemporaryDirectory("", "notify-", scratch))
            file = Path(folder, "picture.jpg")
            file.write_bytes(content.picture)
            picture = str(file)
        question = {
            "address": address.secret.reveal(),
            "title": content.title,
            "body": content.body,
            "picture": picture,
            "sender": _SENDER,
            "limit_s": _LIMIT_S,
        }
        ended = child.run(_CHILD, time_limit_s=_LIMIT_S, given=json.dumps(question).encode())
    if ended.code is None or ended.code < 0:
        return "no_answer", 0
    try:
        answer = json.loads(ended.output)
        return str(answer["problem"]), int(answer.get("status", 0))
    except (ValueError, TypeError, KeyError):
        # What it wrote instead may hold the address, and is not told.
        return "failed", 0


class MessageSender:
    """For one thread; ``failures`` is for all."""

    def __init__(
        self,
        settings: WebSettings,
        scratch: Path,
        *,
        send: Send = send_by_apprise,
        now: Callable[[], datetime] = timezone.now,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._settings = settings
        self._rules = {rule.name: rule for rule in settings.notify}
        self._scratch = scratch
        self._send = send
        self._now = now
        self._random = random
        # By digest of an address, or by name of a rule whose addresses cannot be read. Replaced by
        # another one when it changes: other threads read it.
        self._failing: dict[str, DeliveryFailure] = {}

    @property
    def failures(self) -> list[DeliveryFailure]:
        """What fails now, as far as it was tried."""
        return list(self._failing.values())

    def send_next(self) -> bool:
        """Try the next message that is due; whether there was one."""
        now = self._now()
        message = outbox.take(now)
        if message is None:
            return False
        rule = self._rules.get(message.rule)
        if rule is None:
            outbox.finish(message, now, "no_rule")
            return True
        settings = self._settings
        content = compose(message, rule, settings.title, settings.server.public_address, now)
        if content is None:
            outbox.finish(message, now, "no_records")
            return True
        try:
            addresses = read_addresses(rule)
        except ConfigurationError as error:
            self._fail(rule.name, DeliveryFailure(rule.name, "no_addresses", detail=str(error)))
            self._release(message, [rule.name])
            return True
        # Addresses that are not in the file any more do not fail.
        digests = {one.digest for one in addresses}
        self._failing = {
            key: failure
            for key, failure in self._failing.items()
            if failure.rule != rule.name or key in digests
        }
        self._send_to_all(message, rule, addresses, content)
        return True

    def _send_to_all(
        self,
        message: Notification,
        rule: NotificationRule,
        addresses: Sequence[Address],
        content: MessageContent,
    ) -> None:
        """To those that have not got it, and do not fail just now."""
        is_test = message.kind == Notification.Kind.TEST
        problem, left = "", []
        for address in addresses:
            digest, state = address.digest, message.addresses.get(address.digest)
            if state and state != AddressState.BEGUN:
                problem = problem or _EARLIER.get(state, "")
                continue
            if not state and not is_test and self._is_failing(digest):
                left.append(digest)
                continue
            if state:
                result = "interrupted", 0
            else:
                outbox.begin(message, digest, self._now())
                result = self._send(address, content, self._scratch)
            problem = result[0] or problem
            self._note(rule, address, *result)
            message.addresses.pop(digest, None)
            if result[0] in _FINAL:
                message.addresses[digest] = _FINAL[result[0]]
            elif not is_test:
                left.append(digest)
            message.save(update_fields=["addresses"])
        if left:
            self._release(message, left)
        else:
            outbox.finish(message, self._now(), problem)

    def _release(self, message: Notification, left: Sequence[str]) -> None:
        """Try again when the first of what is left may be tried again; a test is not."""
        if message.kind == Notification.Kind.TEST:
            outbox.finish(message, self._now(), "no_addresses")
            return
        found = (self._failing[key].again_at for key in left if key in self._failing)
        outbox.release(message, min(filter(None, found), default=None))

    def _is_failing(self, key: str) -> bool:
        failure, now = self._failing.get(key), self._now()
        # Later than that: the clock was set back.
        latest = now + outbox.LONGEST_PAUSE
        return bool(failure and failure.again_at and now < failure.again_at <= latest)

    def _note(self, rule: NotificationRule, address: Address, problem: str, status: int) -> None:
        if problem:
            failure = DeliveryFailure(rule.name, problem, address.line, address.service, status)
            self._fail(address.digest, failure)
        elif address.digest in self._failing:
            self._failing = {
                key: one for key, one in self._failing.items() if key != address.digest
            }
            _log.warning("notifications of %r are sent again", rule.name)

    def _fail(self, key: str, failure: DeliveryFailure) -> None:
        before = self._failing.get(key)
        count = before.failures + 1 if before else 1
        # At least half of it: a service that is down is not to be asked at every turn.
        share = 0.5 + self._random() / 2
        most_s = outbox.LONGEST_PAUSE.total_seconds()
        pause = pause_s(count, share, max_s=most_s, first_s=_FIRST_PAUSE_S)
        again_at = self._now() + timedelta(seconds=pause)
        self._failing = {
            **self._failing,
            key: replace(failure, failures=count, again_at=again_at),
        }
        if before is None or before.problem != failure.problem:
            # Never the address.
            where = f"line {failure.line} ({failure.service})" if failure.line else failure.detail
            _log.warning(
                "a notification of %r was not sent: %s %s %s",
                failure.rule,
                where,
                PROBLEMS[failure.problem],
                failure.status or "",
            )
