"""Lessons with pictures, made as the page makes them but without its child process."""

from collections.abc import Sequence

import cv2
from django.db import transaction

from edge_classifier.web.lessons import classes
from edge_classifier.web.lessons.tables import Lesson, LessonClass, LessonPicture
from edge_classifier.web.records import picture_storage
from edge_classifier.web.services import Services
from tests.teach.lessons import COLOURS, picture, tiny_model


def tiny_base(page: Services) -> str:
    """A network that knows colours only, among the models; its name."""
    return tiny_model(page.folders.models).stem


def add(of: LessonClass, colour: str, seeds: Sequence[int]) -> list[LessonPicture]:
    """A picture of ``colour`` a seed."""
    with transaction.atomic():
        made = [_picture(of, colour, seed) for seed in seeds]
    classes.touch(of.lesson)
    return made


def _picture(of: LessonClass, colour: str, seed: int) -> LessonPicture:
    jpeg = cv2.imencode(".jpg", picture(COLOURS[colour], seed))[1].tobytes()
    kept = picture_storage.put(jpeg, 64, 64)
    picture_storage.put_file(picture_storage.thumbnail_name(kept.sha256), jpeg)
    made: LessonPicture = LessonPicture.objects.create(
        lesson=of.lesson,
        of=of,
        picture=kept,
        source=str(LessonPicture.Source.UPLOAD),
        signature=bytes(256),
    )
    return made


def colours(
    page: Services, count: int = 8, names: Sequence[str] = ("red", "green"), name: str = "colours"
) -> Lesson:
    """A lesson with ``count`` pictures of each colour."""
    lesson = classes.create_lesson(name, base=tiny_base(page), classes=names)
    for number, one in enumerate(names):
        add(lesson.classes.get(name=one), one, range(1000 * number, 1000 * number + count))
    lesson.refresh_from_db()
    return lesson
