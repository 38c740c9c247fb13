"""Filling a class from a live camera while a button is held."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from PIL import Image

from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.jpeg_comment import with_comment
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.lessons.tables import Lesson
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.services import Services
from edge_classifier.web.worker.picture_worker import PictureWorker
from tests.web.lessons.filling import garden, scene
from tests.web.live.test_live_page import receive, receive_all, state
from tests.web.live.test_moving import comment
from tests.web.working import encoded, working

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PictureWorker]:
    with working(tmp_path_factory.mktemp("models")) as found:
        yield found


@pytest.fixture
def live(change: Callable[..., Services], child: PictureWorker) -> LiveClient:
    made = LiveClient(WebSettings())
    change(live=made, worker=child)
    receive_all(made)
    return made


@pytest.fixture
def lesson(db: None) -> Lesson:
    return garden()


def send(live: LiveClient, picture: Image.Image, box: RelativeBox | None = None) -> bytes:
    jpeg = with_comment(encoded(picture), comment(box))
    receive(live, "pi/front/burst", jpeg)
    return jpeg


def ask(client: Client, lesson: Lesson, **form: object) -> tuple[dict[str, Any], bytes]:
    answer = client.post(f"/teach/{lesson.key}/frames", {"place": "pi/front", "number": 0, **form})
    assert answer.status_code == 200
    head, _, jpeg = answer.content.partition(b"\n")
    found: dict[str, Any] = json.loads(head)
    return found, jpeg


def test_frames_are_shown_and_only_those_go_into_a_class_that_are_asked_for(
    reviewer: Client, live: LiveClient, lesson: Lesson
) -> None:
    cat = lesson.classes.get(name="cat")
    assert ask(reviewer, lesson)[1] == b""  # A burst has begun.
    jpeg = send(live, scene(1))
    found, shown = ask(reviewer, lesson)
    assert shown == jpeg
    assert "added" not in found
    again, shown = ask(reviewer, lesson, number=found["number"])
    assert (again["number"], shown) == (0, b"")
    assert not cat.pictures.exists()
    outcomes = []
    for number in (1, 2, 2, 3):
        send(live, scene(number))
        found, _ = ask(reviewer, lesson, number=found["number"], **{"class": cat.pk})
        outcomes += found["added"]["outcomes"]
    assert outcomes == ["added", "added", "alike", "added"]
    assert found["added"]["count"] == cat.pictures.count() == 3
    # Whoever lets go asks without a class.
    send(live, scene(4))
    ask(reviewer, lesson)
    assert cat.pictures.count() == 3
    assert cat.pictures.first().source == "camera"


def test_what_is_kept_of_a_frame_is_what_the_network_saw(
    reviewer: Client, live: LiveClient, lesson: Lesson
) -> None:
    cat = lesson.classes.get(name="cat")
    ask(reviewer, lesson)
    send(live, scene(1, (640, 480)), RelativeBox(0.25, 0.5, 0.5, 0.25))
    ask(reviewer, lesson, **{"class": cat.pk})
    picture = cat.pictures.get().picture
    assert (picture.width, picture.height) == (320, 120)


def test_camera_that_gives_no_frames_says_why(
    reviewer: Client, live: LiveClient, lesson: Lesson
) -> None:
    receive(live, "pi/front/state", state(enabled=False))
    found, _ = ask(reviewer, lesson)
    assert found["problem"] == "The camera is switched off, or its device is offline."
    assert ask(reviewer, lesson, place="x/y/z")[0]["problem"]
    assert not live.bursts.viewers


def test_class_that_was_deleted_while_it_is_filled_is_told_and_the_camera_goes_on(
    reviewer: Client, live: LiveClient, lesson: Lesson
) -> None:
    cat = lesson.classes.get(name="cat")
    ask(reviewer, lesson)
    sent = send(live, scene(1))
    number = cat.pk
    cat.delete()
    found, jpeg = ask(reviewer, lesson, **{"class": number})
    assert found["added"] == {"problem": "This class is not there any more."}
    assert jpeg == sent


def test_page_offers_the_cameras_that_have_been_heard(
    reviewer: Client, live: LiveClient, lesson: Lesson
) -> None:
    assert '<option value="pi/front">' in reviewer.get(f"/teach/{lesson.key}").content.decode()


def test_camera_that_is_offline_is_offered_last_and_never_chosen_by_itself(
    reviewer: Client, live: LiveClient, lesson: Lesson
) -> None:
    receive(live, "pi/availability", b"offline")
    receive(live, "zoo/front/availability", b"online")
    receive(live, "zoo/availability", b"online")

    def offered() -> list[str]:
        body = reviewer.get(f"/teach/{lesson.key}").content.decode()
        select = body.partition('<select id="place" ')[2].partition("</select>")[0]
        return re.findall('<option value="([^"]*)">', select)

    assert offered() == ["zoo/front", "pi/front"]
    receive(live, "zoo/availability", b"offline")
    assert offered() == ["", "pi/front", "zoo/front"]


def test_without_a_broker_there_are_no_frames(reviewer: Client, lesson: Lesson) -> None:
    answer = reviewer.post(f"/teach/{lesson.key}/frames", {"place": "pi/front"})
    assert answer.status_code == 404
    assert "mqtt.enabled is false" in reviewer.get(f"/teach/{lesson.key}").content.decode()


def test_full_lesson_says_so_while_a_button_is_held(
    reviewer: Client,
    change: Callable[..., Services],
    live: LiveClient,
    child: PictureWorker,
    lesson: Lesson,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from edge_classifier.web.config.settings import LessonSettings

    small = WebSettings(lessons=LessonSettings(max_pictures=1))
    change(settings=small)
    cat = lesson.classes.get(name="cat")
    ask(reviewer, lesson)
    for number in range(2):
        send(live, scene(number))
        found, _ = ask(reviewer, lesson, **{"class": cat.pk})
    assert "at most 1 pictures" in found["added"]["problem"]
    assert cat.pictures.count() == 1
