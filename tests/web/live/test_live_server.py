"""Streams of the real server, with a real broker, as the network sees them."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.running_daemon import HASTY, Daemon, colours, model
from tests.waiting import eventually
from tests.web.making import jpeg
from tests.web.serving import PASSWORD, Page, prepare

STREAMS = 16
ROOT = "edge-classifier/pi"


@dataclass(frozen=True)
class Site:
    """The page with its broker, and a cookie of somebody who has logged in."""

    page: Page
    broker: Broker
    cookie: str

    def ask(self, path: str) -> tuple[int, str]:
        reply = self.page.ask(path, headers={"Cookie": self.cookie})
        return reply.status, reply.body

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.page.ask("/healthz").body)["live"]
        return found

    def await_streams(self, count: int) -> None:
        eventually(lambda: self.health()["streams"] == count, within_s=30)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    prepare(folder / "state", "anna")
    with Broker(folder / "broker") as broker:
        settings = (
            f"mqtt.host={HOST}",
            f"mqtt.port={broker.port}",
            f"server.streams={STREAMS}",
            f"server.streams_per_account={STREAMS}",
            "server.threads=2",
            "record.enabled=false",
        )
        with Page(folder / "state", settings) as page:
            line = page.log_in("anna", PASSWORD).cookies["sessionid"]
            yield Site(page, broker, line.partition(";")[0])


@pytest.fixture
def camera(site: Site) -> Iterator[Listener]:
    """Somebody who speaks as the camera ``front`` of ``pi``."""
    with Listener(site.broker.port, "nothing") as speaker:
        speaker.publish(f"{ROOT}/availability", "online", retain=True)
        speaker.publish(f"{ROOT}/front/availability", "online", retain=True)
        say(speaker, "cat")
        # Other tests' devices may be known, too.
        eventually(lambda: site.ask("/live/pi/front")[0] == 200)
        yield speaker


def say(speaker: Listener, label: str, score: float = 0.8) -> None:
    fields = {"label": label, "score": score, "ts": "2026-11-22T11:39:00.238Z"}
    speaker.publish(f"{ROOT}/front/state", json.dumps(fields), retain=True)


class Watcher:
    """A browser's EventSource."""

    def __init__(self, site: Site) -> None:
        self.connection = HTTPConnection(HOST, site.page.port, timeout=30)
        self.connection.request("GET", "/live/stream", headers={"Cookie": site.cookie})
        self.socket: socket.socket = self.connection.sock
        self.response: HTTPResponse = self.connection.getresponse()

    def __enter__(self) -> "Watcher":
        assert self.response.status == 200
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self.connection.close()

    def event(self) -> dict[str, Any] | None:
        """The data of the next one; None at the end of the stream."""
        while line := self.response.readline():
            if line.startswith(b"data: "):
                data: dict[str, Any] = json.loads(line[6:])
                return data
        return None

    def await_text(self, text: str) -> None:
        """Return when an event has ``text``."""
        while (event := self.event()) is not None:
            if text in json.dumps(event, ensure_ascii=False):
                return
        raise AssertionError("the stream ended")


def test_all_streams_at_once_leave_threads_for_pages_and_get_each_change(
    site: Site, camera: Listener
) -> None:
    with ExitStack() as stack:
        watchers = [stack.enter_context(Watcher(site)) for _ in range(STREAMS)]
        for watcher in watchers:
            assert "whole" in (watcher.event() or {})
        assert site.health()["streams"] == STREAMS
        # A page that found no thread would be waited for until its time limit.
        assert [site.ask("/live")[0] for _ in range(10)] == [200] * 10
        assert site.ask("/live/stream")[0] == 503
        say(camera, "espresso")
        for watcher in watchers:
            watcher.await_text("espresso")
    site.await_streams(0)


def test_clients_that_vanish_free_their_slots(site: Site, camera: Listener) -> None:
    with ExitStack() as stack:
        watchers = [stack.enter_context(Watcher(site)) for _ in range(4)]
        for watcher in watchers:
            watcher.event()
        reset = struct.pack("ii", 1, 0)
        for watcher in watchers[:2]:  # As a crashed browser does; the others close in peace.
            watcher.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    site.await_streams(0)


def test_client_that_never_reads_blocks_nobody(site: Site, camera: Listener) -> None:
    silent = socket.create_connection((HOST, site.page.port))
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = f"GET /live/stream HTTP/1.1\r\nHost: {HOST}\r\nCookie: {site.cookie}\r\n\r\n"
    silent.sendall(request.encode())
    site.await_streams(1)
    with silent, Watcher(site) as watcher:
        watcher.event()
        for number in range(40):
            say(camera, f"label {number} " + "x" * 180)
        say(camera, "the-end")
        watcher.await_text("the-end")
        assert site.ask("/live")[0] == 200
    site.await_streams(0)


def test_stream_goes_on_when_the_broker_has_been_away(site: Site, camera: Listener) -> None:
    with Watcher(site) as watcher:
        watcher.event()
        site.broker.save()
        site.broker.kill()
        watcher.await_text("not connected")
        site.broker.start()
        watcher.await_text("to the broker")
        camera.await_subscribed()
        say(camera, "after the storm")
        watcher.await_text("after the storm")
    site.await_streams(0)


def test_stream_is_closed_to_whoever_has_logged_out_meanwhile(site: Site, camera: Listener) -> None:
    line = site.page.log_in("anna", PASSWORD).cookies["sessionid"]
    other = Site(site.page, site.broker, line.partition(";")[0])
    with Watcher(other) as watcher:
        watcher.event()
        form = other.page.ask("/live", headers={"Cookie": other.cookie})
        token, csrf = _tokens(form.body, form.cookies["csrftoken"])
        headers = {"Cookie": f"{other.cookie}; {csrf}"}
        out = other.page.ask("/logout", headers=headers, form=f"csrfmiddlewaretoken={token}")
        assert out.status == 302
        # By itself it would go on for ten minutes, which is longer than a test may take.
        while watcher.event() is not None:
            pass
    assert site.ask("/live")[0] == 200


def _tokens(body: str, cookie: str) -> tuple[str, str]:
    return body.split('name="csrfmiddlewaretoken" value="')[1][:64], cookie.partition(";")[0]


def test_picture_of_a_camera_is_served_under_an_address_that_changes(
    site: Site, camera: Listener
) -> None:
    with Watcher(site) as watcher:
        watcher.event()
        for colour in ((10, 20, 30), (200, 100, 50)):
            camera.publish(f"{ROOT}/front/snapshot", jpeg(colour), retain=True)
            watcher.await_text("/live/pi/front.jpg?v=")
    reply = site.page.ask("/live/pi/front.jpg", headers={"Cookie": site.cookie})
    assert (reply.status, reply.headers["content-type"]) == (200, "image/jpeg")
    assert site.page.ask("/live/pi/front.jpg").status == 302


def test_label_that_a_real_daemon_sees_appears_in_the_stream(site: Site, tmp_path: Path) -> None:
    pictures = colours(tmp_path / "pictures", "red", "green", "blue")
    settings = {
        "model": {"use": model(tmp_path / "tiny.tflite")},
        "cameras": {"garden": {"source": f"pictures:{pictures}", "picture_s": 0.5}},
        "decision": HASTY,
        "device": {"name": "daemon"},
    }
    daemon = Daemon(tmp_path / "daemon", site.broker.port, settings, tmp_path / "cache")
    with Watcher(site) as watcher, daemon.running():
        for label in ("red", "green", "blue"):
            watcher.await_text(f"<strong>{label}</strong>")
        watcher.await_text("/live/daemon/garden.jpg?v=")
    status, _ = site.ask("/live/daemon/garden.jpg")
    assert status == 200
