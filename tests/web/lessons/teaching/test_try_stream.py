"""A camera's frames with a taught model's scores, as a browser gets them."""

import base64
import json
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from edge_classifier.errors import PictureError
from edge_classifier.mqtt.codec.burst_frames import BurstFrame
from edge_classifier.web.http_server.stream_slots import StreamSlots
from edge_classifier.web.lessons.teaching import taught_files
from edge_classifier.web.lessons.teaching.try_stream import TryStream
from edge_classifier.web.models import TaughtModel
from edge_classifier.web.services import Services
from edge_classifier.web.worker.messages import LabelScore
from tests.web.lessons.filled import colours


class View:
    """Frames that are given, then none."""

    def __init__(self, *frames: bytes, problem: str = "", is_unsupported: bool = False) -> None:
        self._frames = list(frames)
        self.problem, self.is_unsupported = problem, is_unsupported

    def next_frame(self, _timeout_s: float) -> BurstFrame | None:
        meta: Any = {"label": "cat", "name": "猫", "score": 0.8, "ts": "", "top": [], "box": None}
        return BurstFrame(self._frames.pop(0), meta) if self._frames else None


def classify(jpeg: bytes) -> tuple[LabelScore, ...]:
    if jpeg == b"broken":
        raise PictureError("the frame", "cannot be decoded")
    return (LabelScore("door open", "门开", 0.9), LabelScore("unknown", "", 0.1))


class Stream:
    """A stream, its place, and what ends with it."""

    def __init__(self, view: Any, **changed: Any) -> None:
        self.slots, self.closed = StreamSlots(1, 1), False
        stack = ExitStack()
        stack.callback(self._close)
        options: dict[str, Any] = {
            "classify": classify,
            "name": lambda label, chinese: chinese or label,
            "name_now": lambda label: f"now {label}",
            "may_watch": lambda: True,
            "is_gone": lambda: False,
            **changed,
        }
        self.stream = TryStream(view, stack, slots=self.slots, **options)
        assert self.slots.take(self.stream, "ann")

    def _close(self) -> None:
        self.closed = True

    def next(self) -> Any:
        """What the browser makes of the next event; None: it is a comment."""
        chunk = next(self.stream)
        if chunk.startswith(b":"):
            return None
        (data,) = [line for line in chunk.splitlines() if line.startswith(b"data: ")]
        return json.loads(data.removeprefix(b"data: "))


def test_frame_comes_with_the_new_scores_and_the_present_ones() -> None:
    stream = Stream(View(b"jpeg"))
    found = stream.next()
    assert base64.b64decode(found["frame"]) == b"jpeg"
    assert found["bars"][0] == {"label": "door open", "name": "门开", "score": 0.9}
    assert found["now"] == {"label": "cat", "name": "now cat", "score": 0.8}
    # No frame within the time, and nothing wrong.
    assert stream.next() is None


def test_frame_that_cannot_be_read_is_told_and_the_next_one_shown() -> None:
    stream = Stream(View(b"broken", b"jpeg"))
    found = stream.next()
    assert "Cannot be decoded." in found["problem"]
    assert "bars" not in found
    assert stream.next()["bars"]


def test_camera_that_gives_none_says_why() -> None:
    assert Stream(View(problem="camera is offline")).next() == {"problem": "camera is offline"}


def test_daemon_without_bursts_shows_each_snapshot_once() -> None:
    view = View(is_unsupported=True, problem="no such command: 'burst'")
    stream = Stream(view, snapshot=lambda: b"jpeg")
    assert stream.next()["now"] is None
    assert stream.next() is None


def test_stream_of_who_has_gone_ends_and_frees_its_place_and_the_camera() -> None:
    stream = Stream(View(b"jpeg"), is_gone=lambda: True)
    assert list(stream.stream) == []
    assert stream.closed
    assert len(stream.slots) == 0


def test_stream_of_who_may_not_see_it_any_more_ends() -> None:
    times = iter([0.0, 0.0, 16.0])
    stream = Stream(View(b"jpeg", b"jpeg"), may_watch=lambda: False, clock=lambda: next(times))
    assert next(stream.stream)
    assert list(stream.stream) == []
    assert stream.closed


# The stream ends the connection to the database.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("language", "running", "bar", "now"),
    [
        ("en", "taught@00000000", "Nothing there", "Nothing there"),
        ("en", "other@11111111", "Nothing there", "unknown"),
        ("zh-hans", "other@11111111", "什么都没有", "未知"),
    ],
)
def test_unknown_of_the_lesson_is_called_as_its_class_is_in_the_language_of_the_page(
    reviewer: Client,
    page: Services,
    change: Callable[..., Services],
    language: str,
    running: str,
    bar: str,
    now: str,
) -> None:
    lesson = colours(page, 3)
    TaughtModel.objects.create(
        lesson=lesson, number=1, taught_from=timezone.now(), sha256=64 * "0", result={}
    )
    path = taught_files.model_file(page.folders, lesson, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    meta = {"label": "unknown", "name": "inconnu", "score": 0.8}
    view = SimpleNamespace(next_frame=lambda _s: BurstFrame(b"jpeg", meta))  # type: ignore[arg-type]
    live: Any = SimpleNamespace(
        bursts=SimpleNamespace(open=lambda *_a, **_k: nullcontext(view)),
        camera=lambda *_: {"model": running},
        slots=StreamSlots(1, 1),
        is_over=False,
    )
    worker = SimpleNamespace(score=lambda *_: (LabelScore("unknown", "未知", 0.9),))
    change(live=live, worker=worker)
    reviewer.post("/i18n/setlang/", {"language": language})
    answer: Any = reviewer.get(f"/teach/{lesson.key}/1/stream?device=pi&camera=front")
    sent = json.loads(next(iter(answer.streaming_content)).partition(b"data: ")[2])
    answer.close()
    assert (sent["bars"][0]["name"], sent["now"]["name"]) == (bar, now)
