"""Filling a class from a daemon's capture store on this machine."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import Client

from edge_classifier.web.config.settings import LessonSettings, WebSettings
from edge_classifier.web.services import Services
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.web.lessons.filling import garden, scene
from tests.web.working import encoded, working

pytestmark = pytest.mark.django_db


def name(number: int) -> str:
    return f"20261122T1200{number:02}000000Z-{number:016x}.jpg"


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    with working(tmp_path_factory.mktemp("models")) as found:
        yield found


@pytest.fixture
def store(tmp_path: Path, change: Callable[..., Services], child: PictureWorker) -> Path:
    """One with 59 pictures of one camera, three of another, and files that are none."""
    folder = tmp_path / "pictures"
    for camera, numbers in (("front", range(59)), ("back", range(7, 10))):
        (folder / camera).mkdir(parents=True)
        for number in numbers:
            (folder / camera / name(number)).write_bytes(b"\xff\xd8\xff")
    (folder / "pictures.jsonl").write_text("{}\n")
    (folder / "front" / "secret.jpg").write_text("secret")
    settings = WebSettings(lessons=LessonSettings(capture_store=folder))
    change(settings=settings, worker=child)
    return folder


def test_store_is_shown_the_newest_first_a_part_at_a_time(reviewer: Client, store: Path) -> None:
    lesson = garden()
    place = f"/teach/{lesson.key}/classes/{lesson.classes.first().pk}/store"
    assert place in reviewer.get(f"/teach/{lesson.key}").content.decode()
    text = reviewer.get(place).content.decode()
    assert text.count('name="key"') == 60
    assert text.index(name(58)) < text.index(name(57))
    assert "secret" not in text
    oldest = reviewer.get(f"{place}?before={name(2)}").content.decode()
    assert oldest.count('name="key"') == 2


def test_ticked_pictures_go_into_the_class(reviewer: Client, store: Path) -> None:
    lesson = garden()
    cat = lesson.classes.get(name="cat")
    (store / "front" / name(1)).write_bytes(encoded(scene(1)))
    keys = [f"front/{name(1)}", f"front/{name(2)}", f"front/{name(60)}"]
    place = f"/teach/{lesson.key}/classes/{cat.pk}/store"
    text = reviewer.post(place, {"key": keys}, follow=True).content.decode()
    assert "1 picture added to cat" in text
    assert text.count("message error") == 2
    assert cat.pictures.get().source == "store"
    assert (store / "front" / name(1)).exists()


@pytest.mark.parametrize(
    "key", ["front/secret.jpg", "../pictures.jsonl", f"../../etc/{name(1)}", "x", f"./{name(1)}"]
)
def test_nothing_else_of_the_disk_is_read(reviewer: Client, store: Path, key: str) -> None:
    lesson = garden()
    place = f"/teach/{lesson.key}/classes/{lesson.classes.first().pk}/store"
    assert reviewer.post(place, {"key": key}).status_code == 404
    assert reviewer.get(f"/teach/store/{key}").status_code == 404


def test_picture_of_the_store_is_served(reviewer: Client, store: Path) -> None:
    answer = reviewer.get(f"/teach/store/front/{name(1)}")
    assert answer.getvalue() == b"\xff\xd8\xff"
    assert answer.headers["Content-Type"] == "image/jpeg"


def test_without_a_store_none_is_offered(reviewer: Client) -> None:
    lesson = garden()
    place = f"/teach/{lesson.key}/classes/{lesson.classes.first().pk}/store"
    assert reviewer.get(place).status_code == 404
    assert place not in reviewer.get(f"/teach/{lesson.key}").content.decode()
