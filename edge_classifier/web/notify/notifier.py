"""The thread that tries the rules on what comes, and sends the messages.

Neither the recorder nor a page waits for it: it reads what they have written.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from django.db import Error, connection
from django.utils import timezone

from edge_classifier.core.sentence import Sentence
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.database_away import is_away
from edge_classifier.web.database_file import require_same_file
from edge_classifier.web.guarded_thread import BackgroundWork
from edge_classifier.web.notify import outbox
from edge_classifier.web.notify.decide import Decider
from edge_classifier.web.notify.sending import DeliveryFailure, MessageSender

_log = logging.getLogger(__name__)
_PERIOD_S, _CLEANUP_S = 2.0, 3600.0


class EventNotifier(BackgroundWork):
    """Tells people until it is stopped."""

    def __init__(
        self,
        settings: WebSettings,
        scratch: Path,
        *,
        sender: MessageSender | None = None,
        now: Callable[[], datetime] = timezone.now,
        period_s: float = _PERIOD_S,
    ) -> None:
        """``scratch``: a folder for pictures while they are sent."""
        super().__init__("notify")
        self._decider = Decider(settings.notify)
        self._sender = sender or MessageSender(settings, scratch, now=now)
        self._now = now
        self._period_s = period_s
        self._cleaned_at = float("-inf")
        self._has_resumed = False
        self._trouble = ""
        # Something is to be done at once.
        self._wake = threading.Event()

    def start(self) -> None:
        """Start the thread. What is recorded from now on is told, however late it has its turn."""
        try:
            self._decider.begin()
        except Error as error:
            # The thread tries it again, and says so.
            if not is_away(error):
                raise
        super().start()

    @property
    def problem(self) -> str:
        """Why nobody can be told of anything; empty: all is well here."""
        return self._trouble or super().problem

    @property
    def failures(self) -> list[DeliveryFailure]:
        """Addresses whose last message was not sent."""
        return self._sender.failures

    def stop(self, within_s: float = 5.0) -> None:
        """Stop. A message that is being sent then is not sent again, as it may have come."""
        self._stopped.set()
        self._wake.set()
        super().stop(within_s)

    def wake(self) -> None:
        """Look at once for what there is to do."""
        self._wake.set()

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                if not self.turn():
                    self._wake.wait(self._period_s)
                    self._wake.clear()
            self._decider.save()
        finally:
            connection.close()

    def turn(self) -> bool:
        """Make the messages of what has come, send one; whether there was one to send."""
        now = self._now()
        try:
            require_same_file()
            if not self._has_resumed:
                outbox.resume()
                self._has_resumed = True
            self._decider.run(now)
            if time.monotonic() - self._cleaned_at > _CLEANUP_S:
                self._cleaned_at = time.monotonic()
                outbox.forget(now)
            was_one = False
            if outbox.has_waiting():
                outbox.give_up(now)
                was_one = self._sender.send_next()
        except Error as error:
            connection.close()
            if not is_away(error):
                raise
            if not self._trouble:
                _log.warning("notifications wait for the database: %s", error)
            self._trouble = Sentence("the database cannot be used")
            return False
        self._trouble = ""
        return was_one
