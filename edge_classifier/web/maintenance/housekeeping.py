"""A thread that applies the retention and cleans up, every hour.

What goes for its age goes only as far as the clock can be believed.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connections
from django.utils import timezone

from edge_classifier.web.config.folders import Folders
from edge_classifier.web.config.settings import RetentionSettings
from edge_classifier.web.guarded_thread import BackgroundWork
from edge_classifier.web.maintenance import cleanup, retention
from edge_classifier.web.maintenance.clock import ClockGuard, ClockReading, Trust, read_clock
from edge_classifier.web.recorder.correct_times import correct_times, impossible_times
from edge_classifier.web.tally import upkeep

_log = logging.getLogger(__name__)
_HOUR_S = 3600.0
_DAY = timedelta(days=1)
# After the start: the network may set the clock, and somebody who sees it wrong may end us.
_WAIT_S = 600.0


class Housekeeping(BackgroundWork):
    """Applies the retention and cleans up: ten minutes after the start, then every hour."""

    def __init__(
        self,
        settings: RetentionSettings,
        folders: Folders,
        *,
        kept: timedelta = timedelta(0),
        now: Callable[[], datetime] = timezone.now,
        clock: Callable[[], ClockReading] = read_clock,
        wait_s: float = _WAIT_S,
        period_s: float = _HOUR_S,
    ) -> None:
        """``kept`` is how long an event may have been on its way to the recorder."""
        super().__init__("housekeeping")
        self._settings = settings
        self._folders = folders
        self._kept = kept
        self._now = now
        self._clock = ClockGuard(folders.clock, clock)
        self._wait_s = wait_s
        self._period_s = period_s
        self._read_at: datetime | None = None
        # What the last round had to leave above the limits.
        self.surplus: retention.Surplus | None = None
        # Records that were too old in the last round, and stay as the clock may be wrong.
        self.spared = 0

    def _run(self) -> None:
        # Looked at now as well: a clock that was set while we were away is in doubt from here on.
        self._clock.trust()
        self._stopped.wait(self._wait_s)
        while not self._stopped.is_set():
            self.run_once()
            connections.close_all()  # An hour is long for a connection that nobody uses.
            self._stopped.wait(self._period_s)

    def run_once(self) -> dict[str, int]:
        """One round: what was deleted, and how much of it; what failed is logged and left out."""
        now, trust = self._now(), self._clock.trust()
        tasks: dict[str, Callable[[], int]] = {"records": lambda: self._apply_retention(now, trust)}
        if trust is Trust.CONFIRMED:
            tasks = {
                "impossible times": lambda: correct_times(
                    impossible_times(now), lambda _: now, self._kept
                ),
                **tasks,
            }
        if trust is not Trust.DOUBTFUL:
            tasks |= {
                "pictures without an event": lambda: cleanup.delete_unmatched_pictures(now),
                "pictures without a record": lambda: cleanup.delete_unused_pictures(now),
                "deleted events": lambda: cleanup.forget_deleted_events(now),
                "files": lambda: self._delete_files(now),
                "names": cleanup.delete_unused_names,
                "sessions": lambda: cleanup.delete_expired_sessions(now),
                "logins": lambda: cleanup.delete_old_logins(now),
            }
        done: dict[str, int] = {}
        for name, delete in tasks.items():
            try:
                done[name] = delete()
            except Exception:  # noqa: BLE001 (a full disk or a locked table passes; this must not)
                _log.exception("housekeeping could not clear %s", name)
        try:
            upkeep.fold()
        except Exception:  # noqa: BLE001 (as above)
            _log.exception("housekeeping could not add up the counts")
        if any(done.values()):
            counts = ", ".join(f"{count} {name}" for name, count in done.items() if count)
            _log.info("housekeeping cleared %s", counts)
        return done

    def _apply_retention(self, now: datetime, trust: Trust) -> int:
        shares = {Trust.CONFIRMED: 1.0, Trust.DOUBTFUL: 0.0}
        share = shares.get(trust, self._settings.unconfirmed_percent / 100)
        gone = retention.apply(self._settings, now, share)
        self.spared = retention.too_old(self._settings, now).count() if share < 1 else 0
        if self.spared:
            _log.warning(
                "%d records are older than retention.days, and stay: this machine's clock is %s"
                " (timedatectl shows it)",
                self.spared,
                "in doubt" if trust is Trust.DOUBTFUL else "confirmed by nothing",
            )
        self.surplus = found = retention.surplus(self._settings)
        if found:
            _log.warning(
                "what retention may not delete is above its limits: %d reviewed records, %.2f GB"
                " of pictures (0: within the limit)",
                found.records,
                found.picture_gb,
            )
        return gone

    def _delete_files(self, now: datetime) -> int:
        """Once a day only, as it reads all folders."""
        if self._read_at is not None and now - self._read_at < _DAY:
            return 0
        self._read_at = now
        return cleanup.delete_unfinished_files(self._folders, now)
