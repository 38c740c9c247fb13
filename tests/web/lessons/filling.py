"""Lessons with pictures, without the child process that makes them anew."""

from django.db import transaction
from PIL import Image, ImageDraw

from edge_classifier.web.lessons import classes
from edge_classifier.web.lessons.tables import Lesson, LessonClass, LessonPicture
from edge_classifier.web.records import picture_storage
from tests.web.making import jpeg
from tests.web.working import encoded


def scene(number: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A grey picture with one of many squares in it: no two of them look alike."""
    picture = Image.new("RGB", size, (110, 120, 110))
    x, y = 40 * (number % 8), 40 * (number // 8 % 6)
    ImageDraw.Draw(picture).rectangle((x, y, x + 39, y + 39), (220, 30 + number, 40))
    return picture


def garden(pictures: int = 0) -> Lesson:
    """A lesson of cats and birds, each with so many pictures."""
    lesson = classes.create_lesson("garden", classes=["cat", "bird"])
    for number, name in enumerate(("cat", "bird")):
        put(lesson.classes.get(name=name), pictures, first=100 * number)
    return lesson


@transaction.atomic
def put(of: LessonClass, count: int, first: int = 0) -> list[LessonPicture]:
    """So many different pictures, straight into the table."""
    found = []
    for number in range(first, first + count):
        picture = picture_storage.put(encoded(scene(number)), 320, 240)
        picture_storage.put_file(picture_storage.thumbnail_name(picture.sha256), jpeg())
        found.append(
            LessonPicture.objects.create(
                lesson=of.lesson, of=of, picture=picture, source="upload", signature=bytes(256)
            )
        )
    return found
