"""Brings a model here that is asked for by its SHA-256: found, or fetched, tried and installed.

A thread of its own does so: a download may take an hour, and changes of settings are not to wait
for it.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from edge_classifier.config.settings import Settings
from edge_classifier.daemon.background import BackgroundThread, Done
from edge_classifier.daemon.models.active_model import ModelFiles, RequestedModel
from edge_classifier.daemon.models.download import DownloadLimits, ModelDownload
from edge_classifier.daemon.models.fetched_models import require_file_name
from edge_classifier.errors import EdgeClassifierError, MissingFileError, UnavailableError
from edge_classifier.protocols import Clock

_log = logging.getLogger(__name__)

# Between two tellings of how far a download is: each comes with all labels and settings.
_NEWS_S = 10.0
_LONGEST_ERROR = 900

Stage = Literal["waiting", "fetching", "trying", "loading", "running", "failed"]


@dataclass(frozen=True, slots=True)
class ModelChange:
    """How far the last change is of a model that was asked for by its SHA-256."""

    model: str
    sha256: str
    # Whose own model it is to be; empty: the common one.
    camera: str
    state: Stage
    # Of the download: so far, and in all.
    bytes: int = 0
    size: int = 0
    # Why it failed.
    error: str = ""


class ModelFetcher:
    """Any thread may call any method."""

    def __init__(
        self,
        files: ModelFiles,
        *,
        limits: DownloadLimits = DownloadLimits(),
        clock: Clock = time.monotonic,
    ) -> None:
        self._files = files
        self._on_news: Callable[[], object] = lambda: None
        self._limits, self._clock = limits, clock
        self._thread = BackgroundThread("models")
        self._waiting = 0
        # SHA-256 of what is to run and does not yet: one must not be pruned for another.
        self._under_way: list[str] = []
        self._told_at = -_NEWS_S
        self._change: ModelChange | None = None

    def start(self, on_news: Callable[[], object]) -> None:
        """Begin to accept work; ``on_news``: called when others should know of ``change``."""
        self._on_news = on_news
        self._files.fetched.sweep()
        self._thread.start()

    @property
    def change(self) -> dict[str, Any] | None:
        """The last change as JSON values; None: there was none since the start."""
        return asdict(self._change) if self._change else None

    def note_failure(self, model: str, sha256: str, camera: str, error: Exception) -> None:
        """A change has failed; of one that ended the daemon, before it was started again."""
        text = str(error)[:_LONGEST_ERROR]
        self._note(ModelChange(model, sha256, camera, "failed", error=text))

    def bring(
        self,
        camera: str,
        wanted: RequestedModel,
        settings: Settings,
        in_use: Callable[[], Iterable[str]],
        switch: Callable[[Done], None],
        done: Done,
    ) -> None:
        """Have ``wanted`` here, and call ``switch`` then.

        ``in_use``: SHA-256 of what is not to be pruned. ``done`` is called as soon as the model has
        to be fetched, with that, and in the end.
        """
        change = ModelChange(wanted.name, wanted.sha256, camera, "waiting")

        def work() -> None:
            self._waiting -= 1
            try:
                if not self._files.has(wanted.name, wanted.sha256):
                    self._require_source(wanted, settings)
                    done({"fetching": wanted.name})
                    self._fetch(change, settings, in_use)
                self._note(replace(change, state="loading"))
                switch(report)
            except EdgeClassifierError as error:
                report(error)
            except Exception as error:
                # A bug, or a machine without memory or processes left; the thread logs where.
                report(UnavailableError("this change", f"failed ({type(error).__name__}: {error})"))
                raise

        def report(outcome: Mapping[str, Any] | Exception) -> None:
            if isinstance(outcome, Exception):
                self.note_failure(wanted.name, wanted.sha256, camera, outcome)
            else:
                self._note(replace(change, state="running"))
            self._under_way.remove(wanted.sha256)
            done(outcome)

        self._waiting += 1
        self._under_way.append(wanted.sha256)
        if not self._thread.submit(work):
            self._waiting -= 1
            self._under_way.remove(wanted.sha256)
            problem = "too many models are under way"
            done(UnavailableError("this change", problem, "Try again later"))
        elif self._waiting > 1:
            self._note(change)

    def _require_source(self, wanted: RequestedModel, settings: Settings) -> None:
        """Raise what keeps it from being fetched at all."""
        if not settings.models.source:
            remedy = "models.source can name the web page that it is to be fetched from."
            raise MissingFileError(repr(wanted.name), "is not on this machine", remedy)
        require_file_name(wanted.name)

    def _fetch(
        self, wanted: ModelChange, settings: Settings, in_use: Callable[[], Iterable[str]]
    ) -> None:
        source, fetched = settings.models, self._files.fetched
        change = replace(wanted, state="fetching")
        self._note(change)

        def progress(count: int, size: int) -> None:
            self._change = replace(change, bytes=count, size=size)
            if self._clock() - self._told_at >= _NEWS_S:
                self._note(self._change)

        _log.info("model %s: fetched from %s", wanted.model, source.source)
        part = fetched.part(wanted.sha256)
        ModelDownload(
            source,
            wanted.sha256,
            part,
            progress=progress,
            limits=self._limits,
            clock=self._clock,
        ).run()
        size = part.stat().st_size
        self._note(replace(change, state="trying", bytes=size, size=size))
        fetched.install(wanted.sha256, wanted.model, settings.model.delegate)
        protected = {*self._under_way, *in_use()}
        fetched.prune(source.keep, source.keep_mb * 1_000_000, protected)

    def _note(self, change: ModelChange) -> None:
        self._change, self._told_at = change, self._clock()
        self._on_news()
