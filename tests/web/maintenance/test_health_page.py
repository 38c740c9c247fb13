"""Whether all is well, for machines."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.guarded_thread import GuardedThread
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.recorder.recorder import Recorder
from edge_classifier.web.services import Services
from tests import smalldisk
from tests.web.live.test_live_page import StandingRecorder, receive, state


def test_health_without_cameras_is_the_database(visitor: Client) -> None:
    answer = visitor.get("/healthz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "database": "ok",
        "disk": "ok",
        "recorder": None,
        "live": None,
        "housekeeping": None,
        "backup": None,
        "notifier": None,
        "lookalikes": None,
        "rollouts": None,
    }
    assert "no-store" in answer.headers["Cache-Control"]
    assert not answer.cookies


def test_health_of_a_full_disk_is_trouble_though_nothing_is_recorded(
    visitor: Client, page: Services, change: Callable[..., Services], tmp_path: Path
) -> None:
    with smalldisk.tmpfs(tmp_path / "disk", "8m") as disk:
        change(folders=replace(page.folders, state=disk))
        assert visitor.get("/healthz").json()["disk"] == "ok"
        smalldisk.fill(disk)
        answer = visitor.get("/healthz")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["disk"]) == ("trouble", "trouble")


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, 200),
        ({"trouble": "the disk is full: /secret/path"}, 503),
        ({"connected": False, "reason": "broker.secret:1883: nothing listens there"}, 503),
    ],
)
def test_health_is_that_of_the_recorder(
    visitor: Client, change: Callable[..., Services], facts: dict[str, Any], status: int
) -> None:
    change(recorder=StandingRecorder(**facts))
    answer = visitor.get("/healthz")
    assert answer.status_code == status
    assert answer.json()["status"] == ("ok" if status == 200 else "trouble")
    assert answer.json()["recorder"]["recorded"] == 41
    assert "secret" not in answer.content.decode()


def test_health_counts_devices_and_does_not_name_them(
    visitor: Client, change: Callable[..., Services]
) -> None:
    live = LiveClient(WebSettings())
    receive(live, "secret/front/state", state())
    change(live=live)
    answer = visitor.get("/healthz")
    assert answer.json()["live"] == {"ok": False, "connected": False, "devices": 1, "streams": 0}
    assert "secret" not in answer.content.decode()


class Standing:
    """A part of which only the threads are asked."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        self.broker = {"connected": True}
        self.slots: list[object] = []
        self.bursts: list[object] = []

    def devices(self) -> list[str]:
        return []


@pytest.mark.parametrize("part", ["live", "housekeeping"])
@pytest.mark.parametrize(("problem", "status"), [("", 200), ("secret does not run", 503)])
def test_health_is_that_of_the_threads(
    visitor: Client, change: Callable[..., Services], part: str, problem: str, status: int
) -> None:
    change(**{part: Standing(problem)})
    answer = visitor.get("/healthz")
    assert (answer.status_code, answer.json()[part]["ok"]) == (status, status == 200)
    assert "secret" not in answer.content.decode()


@pytest.mark.parametrize("thread", ["_writing", "_receiving"])
def test_recorder_whose_thread_has_ended_is_in_trouble(thread: str) -> None:
    recorder = Recorder(WebSettings())
    recorder.start()
    assert recorder.status.trouble == ""
    try:
        ended: GuardedThread = getattr(recorder, thread)
        ended.end()
        recorder._ending.set()
        recorder._writer.end()
        recorder._events.put(None)
        ended.join(20)
        assert "does not run" in recorder.status.trouble
    finally:
        recorder.stop()


def test_health_of_a_broken_database_is_trouble(
    visitor: Client, settings: Any, tmp_path: Any
) -> None:
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = str(tmp_path / "not" / "there.db")
    try:
        answer = visitor.get("/healthz")
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name
    assert (answer.status_code, answer.json()["database"]) == (503, "trouble")


def test_health_costs_one_query(visitor: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        visitor.get("/healthz")
