"""More like these: which pictures are proposed for a class, and what becomes of them."""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from edge_classifier.web.lessons import classes
from edge_classifier.web.lessons.tables import Lesson, LessonClass, LessonPicture
from edge_classifier.web.lookalikes import more
from edge_classifier.web.lookalikes.encoder import base_key
from edge_classifier.web.models import PictureCode, Record
from edge_classifier.web.records import deletion, picture_storage
from edge_classifier.web.services import Services
from tests.web import making
from tests.web.lookalikes.looks import code, picture
from tests.web.working import encoded, image, working

_JSON = {"Accept": "application/json"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def lesson() -> Lesson:
    return classes.create_lesson("visitors", classes=["fox", "cat"])


@pytest.fixture
def fox(lesson: Lesson) -> LessonClass:
    """A class with one picture, of look 0."""
    of = lesson.classes.get(name="fox")
    example(of, 0.0)
    return of


def example(of: LessonClass, look: float) -> None:
    """One more picture of the class."""
    with transaction.atomic():
        kept = picture_storage.put(picture(round(200 * look), of.pictures.count() + 500), 64, 48)
    LessonPicture.objects.create(
        lesson=of.lesson, of=of, picture=kept, source="camera", signature=bytes(256)
    )
    known(kept, look)


def known(kept: Any, look: float, pile: int | None = None) -> None:
    PictureCode.objects.create(picture=kept, base=base_key(), code=code(look), pile=pile or kept.pk)


def recorded(look: float, number: int = 0, pile: int | None = None) -> Record:
    record = making.event(picture=picture(round(200 * look), number))
    known(record.picture, look, pile)
    return record


def address(of: LessonClass) -> str:
    return f"/teach/{of.lesson.key}/classes/{of.pk}/more"


def proposed(of: LessonClass) -> list[Record]:
    return more.propose(of, Record.objects.all(), base_key()).records


def test_nearest_come_first_and_twenty_at_a_time(fox: LessonClass) -> None:
    records = [recorded(n / 100, n) for n in range(30, 0, -1)]
    found = more.propose(fox, Record.objects.all(), base_key())
    assert found.records == records[::-1][:20]
    assert (found.left, found.examples) == (30, 1)


def test_of_those_that_look_alike_one_comes_at_a_time(fox: LessonClass) -> None:
    first, _second, other = recorded(0.01, 1, 77), recorded(0.02, 2, 77), recorded(0.3, 3)
    assert proposed(fox) == [first, other]


def test_what_looks_like_another_class_or_was_refused_comes_later(
    fox: LessonClass, lesson: Lesson
) -> None:
    cat = lesson.classes.get(name="cat")
    near, far = recorded(0.2, 1), recorded(0.24, 2)
    assert proposed(fox) == [near, far]
    # As near to the class as the other, but nearer to what is none of it.
    known_cat = LessonPicture.objects.create(
        lesson=lesson, of=cat, picture=recorded(0.5, 9).picture, source="camera", signature=b""
    )
    assert known_cat.of == cat
    PictureCode.objects.filter(picture=near.picture).update(code=code(0.25))
    assert proposed(fox)[0] == far


def test_nothing_is_proposed_before_the_class_is_known(lesson: Lesson) -> None:
    recorded(0.1)
    found = more.propose(lesson.classes.get(name="fox"), Record.objects.all(), base_key())
    assert found == ([], 0, 0)


def test_picture_of_another_base_or_of_the_lesson_is_not_proposed(fox: LessonClass) -> None:
    other, there = recorded(0.1, 1), recorded(0.1, 2)
    PictureCode.objects.filter(picture=other.picture).update(base="another")
    LessonPicture.objects.create(
        lesson=fox.lesson, of=fox, picture=there.picture, source="history", signature=b""
    )
    assert proposed(fox) == []


def test_refused_picture_does_not_come_again_for_this_class(
    reviewer: Client, fox: LessonClass, lesson: Lesson
) -> None:
    record = recorded(0.1)
    answer = reviewer.post(address(fox), {"refuse": str(record.key)}, headers=_JSON)
    assert answer.json() == {"problem": ""}
    assert proposed(fox) == []
    cat = lesson.classes.get(name="cat")
    example(cat, 0.1)
    assert proposed(cat) == [record]
    reviewer.post(address(fox), {"back": str(record.key)})
    assert proposed(fox) == [record]


def test_taken_picture_is_in_the_class_until_it_is_taken_back(
    reviewer: Client, fox: LessonClass, change: Callable[..., Services], tmp_path: Path
) -> None:
    record = making.event(picture=encoded(image()))
    known(record.picture, 0.1)
    with working(tmp_path) as worker:
        change(worker=worker)
        reviewer.post(address(fox), {"take": str(record.key)})
        assert fox.pictures.filter(removed_at=None).count() == 2
        assert fox.pictures.latest("pk").source == "history"
        assert proposed(fox) == []
        reviewer.post(address(fox), {"back": str(record.key)})
        assert fox.pictures.filter(removed_at=None).count() == 1
        assert proposed(fox) == [record]
        reviewer.post(address(fox), {"take": str(record.key)})
        assert fox.pictures.filter(removed_at=None).count() == 2


def test_what_the_lesson_had_already_is_not_removed_when_it_is_taken_back(
    reviewer: Client, fox: LessonClass, change: Callable[..., Services], tmp_path: Path
) -> None:
    record = making.event(picture=encoded(image()))
    LessonPicture.objects.create(
        lesson=fox.lesson, of=fox, picture=record.picture, source="camera", signature=bytes(256)
    )
    with working(tmp_path) as worker:
        change(worker=worker)
        reviewer.post(address(fox), {"take": str(record.key)})
        reviewer.post(address(fox), {"back": str(record.key)})
    assert fox.pictures.filter(removed_at=None).count() == 2


def test_picture_that_is_gone_is_told(
    reviewer: Client, fox: LessonClass, change: Callable[..., Services], tmp_path: Path
) -> None:
    record = recorded(0.1)
    picture_storage.remove(record.picture.sha256)
    answer = reviewer.post(address(fox), {"take": str(record.key)}, headers=_JSON)
    assert answer.status_code == 400
    assert "has lost its picture" in answer.json()["problem"]
    page = reviewer.post(address(fox), {"take": str(record.key)}, follow=True).content.decode()
    assert "This picture cannot be taken just now" in page


def test_deleted_record_takes_what_was_said_of_it_along(fox: LessonClass) -> None:
    record = recorded(0.1)
    more.refuse(fox, [record])
    deletion.delete(Record.objects.all(), rest=lambda _: None)
    assert not fox.proposed.exists()


@pytest.mark.parametrize("key", ["nonsense", "00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize("name", ["take", "refuse", "back"])
def test_key_that_is_none_changes_nothing(
    reviewer: Client, fox: LessonClass, name: str, key: str
) -> None:
    assert reviewer.post(address(fox), {name: key}, headers=_JSON).status_code == 200
    assert not fox.proposed.exists()


def test_page_shows_them_and_how_many_are_left(reviewer: Client, fox: LessonClass) -> None:
    records = [recorded(n / 100, n) for n in range(1, 23)]
    page = reviewer.get(address(fox)).content.decode()
    assert re.findall(r'data-key="([^"]+)"', page) == [str(one.key) for one in records[:20]]
    assert '<b id="left" class="number">22</b>' in page


def test_page_says_why_there_is_nothing(
    reviewer: Client, lesson: Lesson, fox: LessonClass, change: Callable[..., Services]
) -> None:
    cat = lesson.classes.get(name="cat")
    assert "needs a picture first" in reviewer.get(address(cat)).content.decode()
    assert "No picture is left" in reviewer.get(address(fox)).content.decode()
    PictureCode.objects.all().delete()
    assert "lookalikes.enabled" in reviewer.get(address(fox)).content.decode()
    change(encoder=SimpleNamespace())
    assert "That takes a minute" in reviewer.get(address(fox)).content.decode()


def test_class_of_another_lesson_is_not_found(reviewer: Client, fox: LessonClass) -> None:
    other = classes.create_lesson("other")
    assert reviewer.get(f"/teach/{other.key}/classes/{fox.pk}/more").status_code == 404


def test_page_asks_no_more_with_more_pictures(reviewer: Client, fox: LessonClass) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            reviewer.get(address(fox))
        return len(queries)

    recorded(0.1)
    # The first visit notes when it was, too.
    asked()
    few = asked()
    for number in range(2, 60):
        recorded(number / 100, number)
    assert asked() <= few <= 10
