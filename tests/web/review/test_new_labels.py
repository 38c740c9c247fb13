"""A label that is new at its camera asks for a verdict, one of which is: never again there."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from edge_classifier.errors import UnavailableError
from edge_classifier.web.models import Record
from edge_classifier.web.review import verdicts
from edge_classifier.web.review.new_labels import first_seen_lately
from edge_classifier.web.services import Services
from tests.web import making

_JSON = {"Accept": "application/json"}


class Daemon:
    """The one of ``pi``, which does what it is asked for, and tells of it a little later."""

    bursts = None

    def __init__(self, ignored: list[str], *, set_over_mqtt: bool = False) -> None:
        self.file = [] if set_over_mqtt else ignored
        self.ignored, self.set_over_mqtt = ignored, set_over_mqtt
        self.asked: list[Mapping[str, Any]] = []
        self.error: Exception | str = ""
        self._told = ignored

    def device(self, name: str) -> dict[str, Any] | None:
        ignore = {"value": self._told, "set_over_mqtt": self.set_over_mqtt}
        return {"settings": {"front": {"ignore": ignore}}} if name == "pi" else None

    def pause(self, _pause_s: float) -> None:
        self._told = self.ignored

    def request(
        self, device: str, command: str, body: Mapping[str, Any], _within_s: float
    ) -> dict[str, Any]:
        assert (device, command, body["camera"]) == ("pi", "camera", "front")
        self.asked.append({"set": body["set"], "reset": body["reset"]})
        if isinstance(self.error, Exception):
            raise self.error
        if self.error:
            return {"status": "error", "error": self.error}
        self.set_over_mqtt = not body["reset"]
        self.ignored = self.file if body["reset"] else body["set"]["ignore"]
        return {"status": "ok", "data": {}}


def seen(name: str, days: float = 0, **facts: Any) -> Record:
    at = timezone.now() - timedelta(days=days)
    return making.event(name, at=at, picture=making.jpeg(), **facts)


def new() -> list[Record]:
    return first_seen_lately(verdicts.queue(Record.objects.all()))


def kept(record: Record) -> str:
    return str(Record.objects.get(pk=record.pk).verdict)


def test_first_record_of_each_label_that_its_camera_had_not_shown_is_asked_about(db: None) -> None:
    seen("cat", 30)
    seen("cat")
    seen("unknown")
    first = seen("owl", 0.3)
    seen("owl")
    elsewhere = seen("cat", 0.1, camera=making.camera("gate"))
    assert new() == [elsewhere, first]


def test_label_that_somebody_has_said_is_right_is_not_asked_about(reviewer: Client) -> None:
    first, second = seen("owl", 0.2), seen("owl")
    reviewer.post(f"/review/{first.key}", {"verdict": "rejected"})
    assert new() == [second]
    reviewer.post(f"/review/{first.key}", {"verdict": "confirmed"})
    assert new() == []
    reviewer.post(f"/review/{first.key}", {"verdict": ""})
    assert new() == [first]


def test_new_labels_cost_two_queries_however_many_there_are(db: None) -> None:
    for number in range(12):
        seen(f"label {number}")
    with CaptureQueriesContext(connection) as asked:
        assert len(new()) == 5
    assert len(asked) == 2


def test_page_asks_about_a_new_label_first_and_once(reviewer: Client) -> None:
    seen("cat", 30)
    unsure, owl = seen("cat", margin=0.01), seen("owl", margin=0.9)
    page = reviewer.get("/review").content.decode()
    asked = [one.key for one in (owl, unsure)]
    assert re.findall(r'data-key="([^"]+)"', page)[:2] == [str(key) for key in asked]
    assert page.count(f'data-key="{owl.key}"') == 1
    assert page.count("was never seen at pi/front before") == 1


@pytest.mark.parametrize(("before", "reset"), [([], ["ignore"]), (["dog"], [])])
def test_never_again_has_the_camera_ignore_the_label_and_undo_takes_it_back(
    reviewer: Client, change: Callable[..., Services], before: list[str], reset: list[str]
) -> None:
    daemon = Daemon(before, set_over_mqtt=bool(before))
    change(live=daemon)
    owl = seen("owl")
    answer = reviewer.post(f"/review/{owl.key}/never", {"shown": "owl"}, headers=_JSON)
    assert answer.json()["verdict"] == "rejected"
    assert (daemon.ignored, kept(owl)) == ([*before, "owl"], "rejected")
    answer = reviewer.post(f"/review/{owl.key}/never", {"undo": "1"}, headers=_JSON)
    assert (daemon.ignored, kept(owl), answer.json()["to_go"]) == (before, "", 1)
    assert daemon.asked[-1]["reset"] == reset


def test_undo_of_never_again_leaves_what_was_ignored_since(
    reviewer: Client, change: Callable[..., Services]
) -> None:
    daemon = Daemon([])
    change(live=daemon)
    owl, cow = seen("owl"), seen("cow")
    for one in (owl, cow):
        reviewer.post(f"/review/{one.key}/never", headers=_JSON)
    assert daemon.ignored == ["owl", "cow"]
    reviewer.post(f"/review/{owl.key}/never", {"undo": "1"}, headers=_JSON)
    assert daemon.ignored == ["cow"]


def test_never_again_without_script_goes_on_and_undo_takes_both_back(
    reviewer: Client, change: Callable[..., Services]
) -> None:
    daemon = Daemon([])
    change(live=daemon)
    owl = seen("owl")
    assert reviewer.post(f"/review/{owl.key}/never", {"verdict": "never"}).status_code == 302
    assert (daemon.ignored, kept(owl)) == (["owl"], "rejected")
    reviewer.post("/review", {"undo": "1"})
    assert (daemon.ignored, kept(owl)) == ([], "")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("owl: no such label\nname it as it is", "owl: no such label. Name it as it is."),
        (UnavailableError("pi", "the device is not online"), "The device is not online."),
    ],
)
def test_never_again_that_the_daemon_does_not_do_is_told_and_judges_nothing(
    reviewer: Client, change: Callable[..., Services], error: Exception | str, told: str
) -> None:
    daemon = Daemon([])
    daemon.error = error
    change(live=daemon)
    owl = seen("owl")
    answer = reviewer.post(f"/review/{owl.key}/never", headers=_JSON)
    assert (answer.status_code, answer.json()) == (400, {"problem": told})
    assert kept(owl) == ""


def test_never_again_of_a_device_that_does_not_tell_what_it_ignores_asks_nothing(
    reviewer: Client, change: Callable[..., Services]
) -> None:
    owl = seen("owl", camera=making.camera("front", "old"))
    for live in (Daemon([]), None):
        change(live=live)
        answer = reviewer.post(f"/review/{owl.key}/never", headers=_JSON)
        assert answer.status_code == 400
    assert kept(owl) == ""
    assert reviewer.post(f"/review/{making.upload().key}/never").status_code == 404
