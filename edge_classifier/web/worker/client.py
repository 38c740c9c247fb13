"""The page's side: starts the child process, asks it one task at a time, ends it."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_classifier.child import command, ending, environment, message_file, tail
from edge_classifier.errors import UnavailableError
from edge_classifier.web.settings import ClassifySettings, UploadSettings
from edge_classifier.web.worker.messages import (
    Classified,
    ClassifyTask,
    DescribeTask,
    Message,
    ModelDescription,
    Task,
    ThumbnailTask,
    classified_from_message,
    error_from_message,
    model_from_message,
    receive,
    send,
    task_to_message,
)

_MODULE = "edge_classifier.web.worker.child"
_NAME = "the process that reads pictures"
# Memory pools of threads that it does not have would use up its address space.
_FEW_THREADS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
_ENDING_S = 5.0
# One that works and those that wait for it; further ones are turned away, not kept.
_QUEUE_LIMIT = 16
# A model is first run in a child's child, which has 30 s.
_TRIAL_S = 60.0
_MEGA = 1_000_000
_BUSY = "Try again in a minute."


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
        self._child: WorkerProcess | None = None
        self._idle: threading.Timer | None = None
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
        return self._ask(ThumbnailTask(self._pixel_limit), jpeg).parts[0]

    def model(self, path: Path) -> ModelDescription:
        """Try a model file and describe it. Raises ModelError, ContractError."""
        return model_from_message(self._ask(DescribeTask(str(path)), least_s=_TRIAL_S))

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
        """The child's answer. Raises its errors."""
        with self._my_turn():
            self._stop_idling()
            if self._closed:
                raise UnavailableError("the page", "is being shut down")
            self._child = self._child or WorkerProcess(self._classify.memory_mb)
            try:
                timeout_s = max(least_s, self._classify.timeout_s)
                answer = self._child.ask(task_to_message(task, *parts), timeout_s)
            except BaseException:  # Whatever it was, the next one must not get its answer.
                self._end()
                raise
            self._start_idling()
        if error := error_from_message(answer):
            raise error
        return answer

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._queue_slots.acquire(blocking=False):
            raise UnavailableError("the page", "has too many pictures to read at once", _BUSY)
        try:
            if not self._turn.acquire(timeout=self._classify.timeout_s):
                raise UnavailableError("the page", "is busy with other pictures", _BUSY)
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._queue_slots.release()

    def _start_idling(self) -> None:
        self._idle = threading.Timer(self._classify.idle_s, self._end_idle)
        self._idle.daemon = True
        try:
            self._idle.start()
        except RuntimeError:
            # The system gives no thread that would end the child later.
            self._end()

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


class WorkerProcess:
    """Answers one question at a time. Only ``kill`` may be called by other threads meanwhile."""

    def __init__(self, memory_mb: int) -> None:
        """Start it. Raises UnavailableError."""
        self._lock = threading.Lock()
        self._late = False
        try:
            self._messages = message_file()
            self._process = subprocess.Popen(
                command(_MODULE, str(memory_mb)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._messages,
                env=environment(**_FEW_THREADS),
                start_new_session=True,  # Ctrl-C is the page's business; and a group to end.
            )
        except OSError as error:
            raise UnavailableError(_NAME, f"cannot be started ({error.strerror})") from error

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, question: Message, timeout_s: float) -> Message:
        """Its answer. Raises UnavailableError when there is none; the child has ended then."""
        timer = threading.Timer(timeout_s, self._end_late)
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError as error:
            # A child that nobody watches could take for ever.
            raise UnavailableError(_NAME, f"cannot be watched ({error})", "Try again.") from error
        try:
            send(_pipe(self._process.stdin), question)
            return receive(_pipe(self._process.stdout))
        except (OSError, EOFError, ValueError) as error:
            self._wait()
            problem = f"took longer than {timeout_s:g} s" if self._late else self._ending()
            self.end()
            raise UnavailableError(_NAME, problem, "Try again, or another picture.") from error
        finally:
            timer.cancel()

    def _end_late(self) -> None:
        self._late = True
        self.kill()

    def kill(self) -> None:
        """Kill it and what it has started; ``ask`` then raises at once."""
        with self._lock:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """End it, and give back all that it had. May be called again."""
        self.kill()
        self._wait()
        for pipe in (self._process.stdin, self._process.stdout, self._messages):
            with suppress(OSError):  # What was not yet sent cannot be.
                _pipe(pipe).close()

    def _wait(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)

    def _ending(self) -> str:
        """How it ended, in words."""
        code = self._process.returncode
        if code is None:
            return "sent something that is not an answer"
        return ending(code, tail(self._messages))


def _pipe(stream: Any) -> Any:
    """The type of Popen's streams allows for None, which ours never are."""
    return stream
