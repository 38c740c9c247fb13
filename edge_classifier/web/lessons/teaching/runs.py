"""Lessons being taught: one run at a time, others wait for it; each in a thread of its own."""

import json
import logging
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import Max
from django.utils.translation import gettext as _

from edge_classifier import child
from edge_classifier.core.sentence import Sentence, with_replaced
from edge_classifier.errors import EdgeClassifierError, UnavailableError, UsageError
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.database_away import is_away
from edge_classifier.web.installed_models.store import ModelStore
from edge_classifier.web.lessons import class_folders
from edge_classifier.web.lessons.classes import with_counts
from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.lessons.teaching import results, taught_files
from edge_classifier.web.lessons.teaching.tables import TaughtModel
from edge_classifier.web.lessons.teaching.teach_process import SUBJECT, Step, TeachProcess
from edge_classifier.web.wording import in_sentences, parts_of

_log = logging.getLogger(__name__)
_PREFIX = "teach-"
# One that runs, and those that wait for it.
MOST_RUNS = 5
# What a slow machine takes to begin, and for a picture; four times as long as a Pi Zero 2.
_START_S, _PICTURE_S = 300.0, 4.0
_END_S = 10.0
# Why the last run of a lesson ended without a model; of so many lessons.
_MOST_PROBLEMS = 50


@dataclass(eq=False)
class Run:
    """One run, as any thread may look at it."""

    lesson: int
    # ``waiting`` for its turn, ``starting``, then as the command tells it.
    step: Step = field(default_factory=lambda: Step("waiting", 0, 0))
    # Seconds as ``time.monotonic`` has them.
    began_s: float = field(default_factory=time.monotonic)
    # The number of the model that it made, which is there before its report is.
    made: int | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    process: TeachProcess | None = None

    @property
    def seconds(self) -> int:
        """Since it was asked for."""
        return int(time.monotonic() - self.began_s)


class LessonTeacher:
    """Teaches lessons. Any thread may call any method; after a restart nothing runs."""

    def __init__(self, folders: Folders, models: ModelStore, memory_mb: int) -> None:
        """``memory_mb``: address space of the process that teaches."""
        self._folders, self._models, self._memory_mb = folders, models, memory_mb
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._runs: dict[int, Run] = {}
        # Each as ``parts_of`` has it.
        self._problems: dict[int, tuple[object, ...]] = {}

    def run_of(self, lesson: Lesson) -> Run | None:
        """The run of ``lesson`` that has not ended."""
        with self._lock:
            return self._runs.get(lesson.pk)

    def problem_of(self, lesson: Lesson) -> str:
        """Why its last run made no model, for the reader; empty: it did, or there was none."""
        with self._lock:
            parts = self._problems.get(lesson.pk, ())
        return in_sentences(parts)

    def start(self, lesson: Lesson) -> Run:
        """Begin to teach ``lesson``.

        Raises UsageError, in the reader's language, while it is being taught, when too many wait,
        and for a lesson without two classes that have pictures; UnavailableError.
        """
        filled = [one for one in with_counts(lesson) if one.shown]
        own = [one for one in filled if not one.is_other]
        if not own or len(filled) < 2:
            problem = _("Fill at least two classes: there is nothing to tell apart yet.")
            raise UsageError("classes", problem)
        with self._lock:
            if lesson.pk in self._runs:
                raise UsageError("lesson", _("This lesson is being taught already."))
            if len(self._runs) >= MOST_RUNS:
                problem = _("Too many lessons are being taught. Try again in a few minutes.")
                raise UsageError("lesson", problem)
            run = self._runs[lesson.pk] = Run(lesson.pk)
            self._problems.pop(lesson.pk, None)
        name = f"teach-{lesson.pk}"
        thread = threading.Thread(target=self._work, args=(run,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._end(run, ())
            problem = Sentence("cannot be begun ({cause})", cause=str(error))
            raise UnavailableError("the lesson", problem, Sentence("Try again later.")) from error
        return run

    def cancel(self, lesson: Lesson) -> bool:
        """End the run of ``lesson``, if there is one, and wait for that; False: it takes longer."""
        run = self.run_of(lesson)
        if run is None:
            return True
        self._cancel(run)
        return run.ended.wait(_END_S)

    def forget(self, lesson: Lesson) -> bool:
        """Before ``lesson`` is deleted: end its run, and delete the files that it came to."""
        is_ended = self.cancel(lesson)
        taught_files.forget_lesson(self._folders, lesson)
        return is_ended

    def close(self) -> None:
        """End all runs."""
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            self._cancel(run)
        for run in runs:
            run.ended.wait(_END_S)

    def _cancel(self, run: Run) -> None:
        run.cancelled.set()
        with self._lock:
            process = run.process
        if process:
            process.kill("was cancelled")

    def _work(self, run: Run) -> None:
        """In the run's thread."""
        problem: tuple[object, ...] = ()
        try:
            with self._turn:
                if not run.cancelled.is_set():
                    self._teach(run)
        except Exception as error:  # noqa: BLE001 (a thread's end would be seen by nobody)
            foreseen = isinstance(error, EdgeClassifierError | OSError | Lesson.DoesNotExist)
            if foreseen or is_away(error):
                problem = parts_of(error)
                if not run.cancelled.is_set():
                    _log.warning("a lesson was not taught: %s", error)
            else:
                _log.exception("a lesson's teaching broke off")
                problem = (type(error).__name__,)
        finally:
            self._end(run, () if run.cancelled.is_set() else problem)
            connection.close()

    def _end(self, run: Run, problem: tuple[object, ...]) -> None:
        with self._lock:
            self._runs.pop(run.lesson, None)
            if problem:
                self._problems = dict(list(self._problems.items())[1 - _MOST_PROBLEMS :])
                self._problems[run.lesson] = problem
        run.ended.set()

    def _teach(self, run: Run) -> None:
        run.step = Step("starting", 0, 0)
        lesson = Lesson.objects.get(pk=run.lesson)
        taught_from = lesson.changed_at
        # What a run that was killed has left.
        for left in self._folders.scratch.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        filled = class_folders.folder(lesson, self._folders)
        data = filled.root
        pictures = sum(1 for _path in data.glob("*/*"))
        number = 1 + (lesson.taught.aggregate(last=Max("number"))["last"] or 0)
        with tempfile.TemporaryDirectory(dir=self._folders.scratch, prefix=_PREFIX) as scratch:
            made, report = Path(scratch, f"{number}.tflite"), Path(scratch, "report")
            process = TeachProcess(
                *(str(data), "--out", str(made), "--report", str(report)),
                # One argument each: a name may begin as an option does.
                f"--title={lesson.name} {number}",
                f"--features={self._folders.features}",
                *((f"--base={self._models.find(lesson.base).path}",) if lesson.base else ()),
                *(() if lesson.has_unknown else ("--no-unknown",)),
                memory_mb=self._memory_mb,
            )
            with self._lock:
                run.process = process
            if run.cancelled.is_set():
                process.kill("was cancelled")

            def told(step: Step) -> None:
                # From here on only diagrams are missing.
                if step.stage == "report" and run.made is None:
                    facts = results.kept(json.loads(process.output()), filled.classes)
                    self._keep(run, lesson, number, made, facts, taught_from)
                run.step = step

            ended = process.wait(told, _START_S + _PICTURE_S * pictures)
            if run.made is None:
                raise _without_folders(child.error_of(ended, SUBJECT), scratch, str(data))
            if not ended.problem:
                taught_files.keep_report(self._folders, lesson, number, report)

    def _keep(
        self,
        run: Run,
        lesson: Lesson,
        number: int,
        made: Path,
        result: dict[str, Any],
        taught_from: datetime,
    ) -> None:
        """Put the model where it stays, and what is known of it into the database."""
        sha256 = taught_files.keep_model(self._folders, lesson, number, made)
        try:
            TaughtModel.objects.create(
                lesson=lesson,
                number=number,
                taught_from=taught_from,
                sha256=sha256,
                result=result,
            )
        except DatabaseError:
            # The lesson has been deleted meanwhile, as a rule.
            taught_files.model_file(self._folders, lesson, number).unlink(missing_ok=True)
            raise
        run.made = number
        taught_files.forget_oldest(self._folders, lesson)


def _without_folders(error: UnavailableError, *folders: str) -> UnavailableError:
    """``error`` without what says nothing to a reader of the page: where our files lie."""
    problem, remedy = error.problem, error.remedy
    for folder in folders:
        problem = with_replaced(with_replaced(problem, f"{folder}/", ""), folder, "")
    found = UnavailableError(error.subject, problem, remedy)
    found.__cause__ = error.__cause__
    return found
