"""What is too old or too much is deleted, in a thread of its own."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connections
from django.utils import timezone

from edge_classifier.web.configuration import Folders
from edge_classifier.web.maintenance import cleanup as chores
from edge_classifier.web.maintenance import retention
from edge_classifier.web.settings import RetentionSettings

_log = logging.getLogger(__name__)
_HOUR_S = 3600.0
_DAY = timedelta(days=1)


class Housekeeping:
    """Applies the retention, and clears what is left lying: after the start, then every hour."""

    def __init__(
        self,
        settings: RetentionSettings,
        places: Folders,
        *,
        now: Callable[[], datetime] = timezone.now,
        period_s: float = _HOUR_S,
    ) -> None:
        self._settings = settings
        self._places = places
        self._now = now
        self._period_s = period_s
        self._read_at: datetime | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, within_s: float = 5.0) -> None:
        """End. A round that takes longer ends with the process: each of its steps is whole."""
        self._stopped.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.once()
            connections.close_all()  # An hour is long for a connection that nobody uses.
            self._stopped.wait(self._period_s)

    def once(self) -> dict[str, int]:
        """One round: what was deleted, and how much of it; what failed is logged and left out."""
        now, done = self._now(), {}
        for name, chore in self._chores(now).items():
            try:
                done[name] = chore()
            except Exception:  # noqa: BLE001 (a full disk or a locked table passes; this must not)
                _log.exception("housekeeping could not clear %s", name)
        if any(done.values()):
            told = ", ".join(f"{count} {name}" for name, count in done.items() if count)
            _log.info("housekeeping deleted %s", told)
        return done

    def _files(self, now: datetime) -> int:
        """Once a day only, as it reads all folders."""
        if self._read_at is not None and now - self._read_at < _DAY:
            return 0
        self._read_at = now
        return chores.files(self._places, now)

    def _chores(self, now: datetime) -> dict[str, Callable[[], int]]:
        return {
            "records": lambda: retention.apply(self._settings, now),
            "pictures without a record": lambda: chores.pictures(now),
            "files": lambda: self._files(now),
            "sessions": chores.sessions,
            "logins": lambda: chores.logins(now),
        }
