"""What the API says of labels, cameras, models, and of the page itself."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier import __version__
from edge_classifier.web.config.settings import WebMqttSettings, WebSettings
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.recorder.recorder import Recorder
from edge_classifier.web.services import Services
from tests.mosquitto import Broker
from tests.ports import HOST
from tests.waiting import eventually
from tests.web import making
from tests.web.api.client import Program, program
from tests.web.conftest import SETTINGS
from tests.web.recording import Sender


@pytest.fixture
def ann(db: None) -> Program:
    """A program of a viewer."""
    return program("viewer", "ann")


def test_labels_are_listed_by_name_and_part_by_part(ann: Program) -> None:
    for name in ("owl", "cat", "dog"):
        making.label(name)
    assert names(ann.get("/labels")["labels"]) == ["cat", "dog", "owl"]
    assert names(ann.get("/labels", limit=2)["labels"]) == ["cat", "dog"]
    assert names(ann.get("/labels", limit=2, after="dog")["labels"]) == ["owl"]


def names(things: list[dict[str, Any]]) -> list[str]:
    return [thing["name"] for thing in things]


def test_cameras_without_a_broker_are_those_that_were_recorded(ann: Program) -> None:
    making.camera("front")
    making.camera("back")
    cameras = ann.get("/cameras")["cameras"]
    assert names(cameras) == ["back", "front"]
    assert {camera["now"] for camera in cameras} == {None}


@pytest.fixture
def heard(tmp_path: Path, change: Callable[..., Services]) -> Any:
    """A page that listens to a broker; yields who tells it something."""
    with Broker(tmp_path / "broker") as broker:
        mqtt = WebMqttSettings(host=HOST, port=broker.port)
        settings = WebSettings(state_folder=SETTINGS.state_folder, mqtt=mqtt)
        live, recorder = LiveClient(settings), Recorder(settings)
        live.start()
        change(settings=settings, live=live, recorder=recorder)
        try:
            eventually(lambda: live.broker["connected"])
            with Sender(broker.port) as sender:
                yield sender
        finally:
            live.stop()


def test_camera_that_was_heard_is_told_with_what_it_shows(ann: Program, heard: Sender) -> None:
    state = (
        b'{"label": "cat", "name": "cat", "score": 0.75, "margin": 0.5, "top": [],'
        b' "since": "2026-11-22T11:39:00.238Z", "ts": "2026-11-22T11:39:05.000Z", "seq": 2,'
        b' "model": "test@00000000", "enabled": true, "threshold": 0.6, "problem": null}'
    )
    heard.send("edge-classifier/pi/availability", b"online", retain=True)
    heard.send("edge-classifier/pi/door/availability", b"online", retain=True)
    heard.send("edge-classifier/pi/door/state", state, retain=True)
    making.camera("front")

    def now() -> dict[str, Any]:
        return {one["name"]: one["now"] for one in ann.get("/cameras")["cameras"]}

    eventually(lambda: (now().get("door") or {}).get("online"))
    assert now()["front"] is None
    told = now()["door"]
    assert (told["label"], told["score"], told["model"]) == ("cat", 0.75, "test@00000000")
    assert (told["since"], told["at"]) == ("2026-11-22T11:39:00.238Z", "2026-11-22T11:39:05Z")


def test_status_tells_of_broker_and_recorder(ann: Program, heard: Sender) -> None:
    assert heard
    told = ann.get("/status")
    assert told["broker"] == {"connected": True, "reason": ""}
    assert told["recorder"]["connected"] is False
    assert told["recorder"]["recorded"] == 0


def test_status_tells_who_one_is(ann: Program) -> None:
    assert ann.get("/status") == {
        "version": __version__,
        "user": "ann",
        "role": "viewer",
        "broker": None,
        "recorder": None,
    }


def test_models_are_those_that_can_be_chosen(ann: Program, page: Services) -> None:
    told = ann.get("/models")
    assert names(told["models"]) == [one.name for one in page.models.installed()]
    assert told["chosen"] == ""
    page.models.choose(told["models"][0]["name"])
    assert ann.get("/models")["chosen"] == told["models"][0]["name"]


def test_path_of_a_model_in_the_settings_is_nobodys_business(
    ann: Program, change: Callable[..., Services]
) -> None:
    classify = replace(SETTINGS.classify, model="/home/ann/secret/garden.tflite")
    change(settings=replace(SETTINGS, classify=classify))
    assert ann.get("/models")["chosen"] == "garden"
