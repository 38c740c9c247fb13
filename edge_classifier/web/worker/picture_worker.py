"""The web server's side: starts the child process, asks it one task at a time, ends it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import UnavailableError
from edge_classifier.web.config.settings import ClassifySettings, UploadSettings
from edge_classifier.web.worker.messages import (
    Classified,
    ClassifyTask,
    CropBox,
    DescribeTask,
    EncodeTask,
    LabelScore,
    Message,
    ModelDescription,
    Remade,
    RemakeTask,
    ScoreTask,
    Task,
    ThumbnailTask,
    classified_from_message,
    error_from_message,
    model_from_message,
    remade_from_message,
    scores_from_message,
    task_to_message,
)
from edge_classifier.web.worker.worker_process import WorkerProcess

# One that works and those that wait for it; further ones are turned away, not kept.
_QUEUE_LIMIT = 16
# A page of a list asks for dozens of thumbnails, which are not to leave uploads without a place.
_THUMBNAIL_LIMIT = 4
# A model is first run in a child's child, which has 30 s.
_TRIAL_S = 60.0
_MEGA = 1_000_000
# After work that somebody waits for, more of it may come: until nothing else is begun.
_QUIET_S = 1.0
_BUSY = Sentence("is busy with other pictures")
_IN_A_MINUTE = Sentence("Try again in a minute.")


class PictureWorker:
    """Runs one task at a time in a child process, started when wanted and ended when idle.

    Every method may be called from any thread, waits its turn, and raises PictureError or
    ModelError for what is wrong with the file, UnavailableError when the child crashed, took too
    long, or the queue is full.
    """

    def __init__(self, classify: ClassifySettings, uploads: UploadSettings, models: Path) -> None:
        """``models``: the folder in which models are found by name."""
        self._classify, self._uploads, self._models = classify, uploads, models
        self._turn = threading.Lock()
        self._queue_slots = threading.BoundedSemaphore(_QUEUE_LIMIT)
        self._thumbnail_slots = threading.BoundedSemaphore(_THUMBNAIL_LIMIT)
        self._child: WorkerProcess | None = None
        self._idle: threading.Timer | None = None
        self._worked_at = float("-inf")
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Number of the child; None while there is none."""
        child = self._child
        return child.pid if child else None

    def classify(self, picture: Path, model: str = "") -> Classified:
        """Decode, make anew and classify the file at ``picture``.

        ``model``: a name of the catalogue or of a file in the folder of models; empty, or what
        the settings say: theirs. Raises MissingFileError when there is no such model.
        """
        task = ClassifyTask(
            picture=str(picture),
            model=model,
            configured=self._classify.model,
            models=str(self._models),
            top_k=self._classify.top_k,
            threshold=self._classify.threshold,
            pixel_limit=self._pixel_limit,
            keep_px=self._uploads.keep_px,
        )
        return classified_from_message(self._ask(task))

    def thumbnail(self, jpeg: bytes) -> bytes:
        """A JPEG of at most 320 pixels, made without loading a model."""
        if not self._thumbnail_slots.acquire(timeout=self._classify.timeout_s):
            raise UnavailableError("the page", _BUSY, _IN_A_MINUTE)
        try:
            return self._ask(ThumbnailTask(self._pixel_limit), jpeg).parts[0]
        finally:
            self._thumbnail_slots.release()

    def remake(self, picture: Path | bytes, keep_px: int, box: CropBox | None = None) -> Remade:
        """Decode a file, or its content, and make it anew, at most ``keep_px`` on its long side.

        ``box``: what is kept of it.
        """
        is_file = isinstance(picture, Path)
        task = RemakeTask(str(picture) if is_file else "", self._pixel_limit, keep_px, box)
        parts = () if isinstance(picture, Path) else (picture,)
        return remade_from_message(self._ask(task, *parts))

    def score(self, jpeg: bytes, model: Path) -> tuple[LabelScore, ...]:
        """The labels that the file ``model`` takes ``jpeg`` for, best first; nothing is kept."""
        task = ScoreTask(str(model), self._classify.top_k, self._pixel_limit)
        return scores_from_message(self._ask(task, jpeg))

    def describe_model(self, path: Path) -> ModelDescription:
        """Try a model file and describe it. Raises ModelError, ContractError."""
        return model_from_message(self._ask(DescribeTask(str(path)), least_s=_TRIAL_S))

    def encode_if_idle(self, jpeg: bytes, base: str, box: CropBox | None = None) -> bytes | None:
        """What a picture, or the part of it in ``box``, looks like, as ``EncodeTask`` has it.

        None while there is work that somebody waits for, or was a moment ago: of what is asked
        here, nothing is to stand in the way of that but the one picture that was begun before.
        """
        is_quiet = time.monotonic() - self._worked_at > _QUIET_S
        if not is_quiet or not self._turn.acquire(blocking=False):
            return None
        try:
            return self._ask_child(EncodeTask(base, self._pixel_limit, box), jpeg).parts[0]
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the child; whoever waits for it gets UnavailableError."""
        self._closed = True
        if child := self._child:
            child.kill()
        with self._turn:
            self._end()

    @property
    def _pixel_limit(self) -> int:
        return int(self._uploads.max_megapixels * _MEGA)

    def _ask(self, task: Task, *parts: bytes, least_s: float = 0.0) -> Message:
        """The child's answer, when its turn has come. Raises its errors."""
        with self._my_turn():
            try:
                return self._ask_child(task, *parts, least_s=least_s)
            finally:
                self._worked_at = time.monotonic()

    def _ask_child(self, task: Task, *parts: bytes, least_s: float = 0.0) -> Message:
        """The same; for whose turn it is."""
        self._stop_idling()
        if self._closed:
            raise UnavailableError("the page", Sentence("is being shut down"))
        self._child = self._child or WorkerProcess(self._classify.memory_mb)
        try:
            timeout_s = max(least_s, self._classify.timeout_s)
            answer = self._child.ask(task_to_message(task, *parts), timeout_s)
        except BaseException:  # Whatever it was, the next one must not get its answer.
            self._end()
            raise
        self._idle = threading.Timer(self._classify.idle_s, self._end_idle)
        self._idle.daemon = True
        try:
            self._idle.start()
        except RuntimeError:
            # The system gives no thread that would end the child later.
            self._end()
        if error := error_from_message(answer):
            raise error
        return answer

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._queue_slots.acquire(blocking=False):
            problem = Sentence("has too many pictures to read at once")
            raise UnavailableError("the page", problem, _IN_A_MINUTE)
        try:
            if not self._turn.acquire(timeout=self._classify.timeout_s):
                raise UnavailableError("the page", _BUSY, _IN_A_MINUTE)
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._queue_slots.release()

    def _stop_idling(self) -> None:
        if self._idle:
            self._idle.cancel()
        self._idle = None

    def _end_idle(self) -> None:
        """In the timer's thread: a task that has begun since then has set another timer."""
        with self._turn:
            if self._idle is threading.current_thread():
                self._end()

    def _end(self) -> None:
        self._stop_idling()
        if self._child:
            self._child.end()
        self._child = None
