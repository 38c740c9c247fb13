"""Where the models and reports of a lesson lie: ``FOLDER/taught/LESSON_KEY/NUMBER.tflite``."""

import hashlib
import shutil
from contextlib import suppress
from pathlib import Path

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import OutputError
from edge_classifier.files import make_folder, sync_folder
from edge_classifier.web.config.folders import Folders
from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.lessons.teaching.tables import TaughtModel

# Of a lesson, with their files; each takes 4 to 6 MB.
MOST_KEPT = 5


def model_file(folders: Folders, lesson: Lesson, number: int) -> Path:
    """Of the model with this number; it may have gone."""
    return folders.taught / str(lesson.key) / f"{number}.tflite"


def report_page(folders: Folders, lesson: Lesson, number: int, language: str = "en") -> Path:
    """The page of its report, in ``language``; not there without the libraries that make it."""
    folder = folders.taught / str(lesson.key) / str(number)
    translated = folder / f"report.{language}.html"
    return translated if translated.exists() else folder / "report.html"


def keep_model(folders: Folders, lesson: Lesson, number: int, made: Path) -> str:
    """Move a model to its place; its SHA-256. Raises OutputError."""
    path = model_file(folders, lesson, number)
    try:
        make_folder(path.parent, 0o700)
        with made.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        made.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        problem = Sentence("cannot be kept ({cause})", cause=error.strerror)
        raise OutputError("the model", problem, Sentence("Is the disk full?")) from error
    return sha256


def keep_report(folders: Folders, lesson: Lesson, number: int, made: Path) -> None:
    """Move a report to its place; without it only a link is missing."""
    target = report_page(folders, lesson, number).parent
    with suppress(OSError):
        shutil.rmtree(target, ignore_errors=True)
        made.replace(target)


def forget_oldest(folders: Folders, lesson: Lesson) -> None:
    """Leave the newest models, and what is known of others that devices were asked to run."""
    for old in lesson.taught.order_by("-number")[MOST_KEPT:]:
        model_file(folders, lesson, old.number).unlink(missing_ok=True)
        shutil.rmtree(report_page(folders, lesson, old.number).parent, ignore_errors=True)
        if not old.uses.exists():
            TaughtModel.objects.filter(pk=old.pk).delete()


def forget_lesson(folders: Folders, lesson: Lesson) -> None:
    """Delete all files of a lesson."""
    shutil.rmtree(folders.taught / str(lesson.key), ignore_errors=True)
