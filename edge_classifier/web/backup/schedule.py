"""A thread that makes backups when they are due."""

import logging
import time
from collections.abc import Callable

from edge_classifier.errors import EdgeClassifierError
from edge_classifier.web.backup.make_backup import (
    keep_newest,
    made_backups,
    make_backup,
    next_file,
    require_sqlite,
)
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.guarded_thread import BackgroundWork

_log = logging.getLogger(__name__)
_LOOK_S = 600.0
_HOUR_S = 3600.0


class BackupSchedule(BackgroundWork):
    """Makes a backup every ``backup.every_hours``, and keeps the newest ``backup.keep``."""

    def __init__(
        self,
        settings: WebSettings,
        folders: Folders,
        *,
        now: Callable[[], float] = time.time,
        period_s: float = _LOOK_S,
    ) -> None:
        super().__init__("backup")
        self._settings = settings.backup
        self._bucket = settings.storage.bucket
        self._folders = folders
        self._now = now
        self._period_s = period_s
        self._failure = ""

    @property
    def problem(self) -> str:
        """Why there is no new backup; empty: all is well."""
        return self._failure or super().problem

    def start(self) -> None:
        """Start the thread. Raises ConfigurationError where the database is PostgreSQL."""
        require_sqlite()
        super().start()

    def _run(self) -> None:
        while not self._stopped.wait(self._period_s):
            self.run_once()

    def run_once(self) -> None:
        """Make one if it is due."""
        folder = self._settings.folder or self._folders.backups
        try:
            # One of the future was made by a wrong clock, and is not a reason to wait.
            backups = made_backups(folder)
            age_s = self._now() - backups[-1].stat().st_mtime if backups else -1
            if not 0 <= age_s < self._settings.every_hours * _HOUR_S:
                file = next_file(folder)
                made = make_backup(file, self._folders, self._bucket)
                keep_newest(folder, self._settings.keep)
                _log.info("%s has %d records, %d pictures", file, made.records, made.pictures)
        except (EdgeClassifierError, OSError) as error:
            if str(error) != self._failure:
                _log.error("no backup was made: %s", error)
            self._failure = str(error)
        else:
            self._failure = ""
