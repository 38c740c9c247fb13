"""Brings a model here that is asked for by its SHA-256: found, or fetched, tried and installed.

Threads of its own do so: a download may take an hour, and neither changes of settings nor models
that are here already are to wait for it. Of all that is asked for a camera the last is in force: a
model that comes after another one was asked for does not take over.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
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


@dataclass(slots=True, eq=False)
class _Job:
    """One model that is to be brought here."""

    change: ModelChange
    settings: Settings
    # SHA-256 of what is not to be pruned.
    in_use: Callable[[], Iterable[str]]
    switch: Callable[[Done], None]
    # Whoever has asked for it.
    asked: list[Done]
    # Whether it is not here, and they were told.
    is_fetched: bool = False
    # Set when another model has been asked for since.
    is_given_up: threading.Event = field(default_factory=threading.Event)

    def tell(self, outcome: Mapping[str, Any] | Exception) -> None:
        for done in self.asked:
            done(outcome)


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
        self._looks, self._downloads = BackgroundThread("models"), BackgroundThread("downloads")
        self._lock = threading.RLock()
        # What is to run and does not yet: one must not be pruned for another.
        self._under_way: list[_Job] = []
        # Of these, what has not been given to its ``switch`` yet.
        self._coming: list[_Job] = []
        self._told_at = -_NEWS_S
        self._change: ModelChange | None = None

    def start(self, on_news: Callable[[], object]) -> None:
        """Begin to accept work; ``on_news``: called when others should know of ``change``."""
        self._on_news = on_news
        self._files.fetched.sweep()
        self._looks.start()
        self._downloads.start()

    @property
    def change(self) -> dict[str, Any] | None:
        """The last change as JSON values; None: there was none since the start."""
        return asdict(self._change) if self._change else None

    def note_failure(self, model: str, sha256: str, camera: str, error: Exception) -> None:
        """A change has failed; of one that ended the daemon, before it was started again."""
        text = str(error)[:_LONGEST_ERROR]
        self._note(ModelChange(model, sha256, camera, "failed", error=text))

    def give_up(self, camera: str) -> None:
        """What still comes for ``camera`` is not wanted: another model was asked for."""
        with self._lock:
            for job in [one for one in self._coming if one.change.camera == camera]:
                job.is_given_up.set()
                problem = "was given up: another model has been asked for since"
                self._end(job, UnavailableError(repr(job.change.model), problem))

    def bring(
        self,
        camera: str,
        wanted: RequestedModel,
        settings: Settings,
        in_use: Callable[[], Iterable[str]],
        switch: Callable[[Done], None],
        done: Done,
    ) -> None:
        """Have ``wanted`` here, and call ``switch`` then, unless it is given up meanwhile.

        ``in_use``: SHA-256 of what is not to be pruned. ``done`` is called as soon as the model has
        to be fetched, with that, and in the end.
        """
        change = ModelChange(wanted.name, wanted.sha256, camera, "waiting")
        with self._lock:
            if known := next((one for one in self._coming if one.change == change), None):
                known.asked.append(done)
                if known.is_fetched:
                    done({"fetching": wanted.name})
                return
            self.give_up(camera)
            job = _Job(change, settings, in_use, switch, [done])
            self._under_way.append(job)
            self._coming.append(job)
            self._submit(self._looks, self._look, job)

    def _submit(self, thread: BackgroundThread, step: Callable[[_Job], None], job: _Job) -> None:
        def work() -> None:
            try:
                if not job.is_given_up.is_set():
                    step(job)
            except EdgeClassifierError as error:
                self._end(job, error)
            except Exception as error:
                # A bug, or a machine without memory or processes left; the thread logs where.
                problem = f"failed ({type(error).__name__}: {error})"
                self._end(job, UnavailableError("this change", problem))
                raise

        if not thread.submit(work):
            problem = "too many models are under way"
            self._end(job, UnavailableError("this change", problem, "Try again later"))

    def _look(self, job: _Job) -> None:
        """Whether it is here."""
        change = job.change
        if self._files.has(change.model, change.sha256):
            self._hand_over(job)
            return
        # What keeps it from being fetched at all.
        if not job.settings.models.source:
            remedy = "models.source can name the web page that it is to be fetched from."
            raise MissingFileError(repr(change.model), "is not on this machine", remedy)
        require_file_name(change.model)
        with self._lock:
            if job.is_given_up.is_set():
                return
            if any(one.is_fetched for one in self._coming):
                self._note(change)
            job.is_fetched = True
            job.tell({"fetching": change.model})
            self._submit(self._downloads, self._fetch, job)

    def _fetch(self, job: _Job) -> None:
        source, fetched = job.settings.models, self._files.fetched
        if fetched.find(job.change.sha256):
            # It was to come for another camera, too.
            self._hand_over(job)
            return
        wanted, change = job.change, replace(job.change, state="fetching")
        self._tell(job, change)

        def progress(count: int, size: int) -> None:
            is_news = self._clock() - self._told_at >= _NEWS_S
            self._tell(job, replace(change, bytes=count, size=size), is_news=is_news)

        _log.info("model %s: fetched from %s", wanted.model, source.source)
        part = fetched.part(wanted.sha256)
        ModelDownload(
            source,
            wanted.sha256,
            part,
            progress=progress,
            limits=self._limits,
            clock=self._clock,
            is_wanted=lambda: not job.is_given_up.is_set(),
            sleep=job.is_given_up.wait,
        ).run()
        size = part.stat().st_size
        self._tell(job, replace(change, state="trying", bytes=size, size=size))
        fetched.install(wanted.sha256, wanted.model, job.settings.model.delegate)
        with self._lock:
            under_way = {one.change.sha256 for one in self._under_way}
        protected = {*under_way, *job.in_use()}
        fetched.prune(source.keep, source.keep_mb * 1_000_000, protected)
        self._hand_over(job)

    def _hand_over(self, job: _Job) -> None:
        """Let it take over, before whatever is asked for from now on."""
        with self._lock:
            if not job.is_given_up.is_set():
                self._coming.remove(job)
                self._note(replace(job.change, state="loading"))
                job.switch(lambda outcome: self._end(job, outcome))

    def _end(self, job: _Job, outcome: Mapping[str, Any] | Exception) -> None:
        with self._lock:
            if job not in self._under_way:
                return
            self._under_way.remove(job)
            if job in self._coming:
                self._coming.remove(job)
            change = job.change
            if isinstance(outcome, Exception):
                self.note_failure(change.model, change.sha256, change.camera, outcome)
            else:
                self._note(replace(change, state="running"))
        job.tell(outcome)

    def _tell(self, job: _Job, change: ModelChange, *, is_news: bool = True) -> None:
        """How far it is, if it is still wanted."""
        with self._lock:
            if job.is_given_up.is_set():
                return
            self._change = change
            if is_news:
                self._note(change)

    def _note(self, change: ModelChange) -> None:
        with self._lock:
            self._change, self._told_at = change, self._clock()
        self._on_news()
