"""Moving pictures: from a daemon's camera, over a broker, to all who look, while they look."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from edge_classifier.errors import UnavailableError
from edge_classifier.mqtt.codec.burst_frames import BurstFrame
from edge_classifier.web.config.settings import WebMqttSettings, WebSettings
from edge_classifier.web.live.bursts import Bursts
from edge_classifier.web.live.live_client import LiveClient
from tests.mosquitto import Broker, Listener
from tests.ports import HOST
from tests.running_daemon import HASTY, ROOT, Daemon, colours, model
from tests.waiting import eventually


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as started:
        yield started


@pytest.fixture(scope="module")
def daemon(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("daemon")
    pictures = colours(folder / "pictures", "red", "green", size=(320, 240))
    camera = {"source": f"pictures:{pictures}", "picture_s": 0, "rate_fps": 10}
    settings = {
        "cameras": {"front": camera, "back": camera},
        "decision": HASTY,
        "model": {"use": model(folder / "rgb.tflite")},
    }
    with Daemon(folder / "pi", broker.port, settings, folder / "cache").running() as running:
        yield running


@pytest.fixture
def live(broker: Broker, daemon: Daemon) -> Iterator[LiveClient]:
    made = LiveClient(WebSettings(mqtt=WebMqttSettings(host=HOST, port=broker.port)))
    made.start()
    try:
        eventually(lambda: "pi" in made.devices() and is_online(made))
        yield made
    finally:
        made.stop()


def is_online(live: LiveClient) -> bool:
    found = live.camera("pi", "front")
    return bool(found and found["online"])


def frames(bursts: Bursts, count: int, **wanted: Any) -> list[BurstFrame]:
    with bursts.open("pi", "front", **wanted) as view:
        found = [view.next_frame(10) for _ in range(count)]
        assert not view.problem
    return [frame for frame in found if frame]


def test_frames_of_a_camera_come_while_it_is_open_and_end_with_the_last_viewer(
    live: LiveClient, broker: Broker, daemon: Daemon
) -> None:
    with Listener(broker.port, f"{ROOT}/#", name="watch") as watch:
        found = frames(live.bursts, 6, rate_fps=5, longest_px=160)
        assert len(found) == 6
        assert {one.meta["label"] for one in found} <= {"red", "green", "unknown"}
        assert len({one.meta["ts"] for one in found}) == 6
        sent = watch.of("/front/burst")
        assert sent
        assert not any(one.retain or one.qos for one in sent)
        asked = len(watch.of("/request/burst"))
        # The lease is over, and nobody renews it.
        time.sleep(9)
        before = len(watch.of("/front/burst"))
        time.sleep(2)
        assert len(watch.of("/front/burst")) == before
        assert len(watch.of("/request/burst")) == asked
    assert not list(daemon.state.glob("pictures/**/*.jpg"))


def test_burst_goes_on_beyond_what_one_request_may_ask_for(live: LiveClient) -> None:
    with live.bursts.open("pi", "front", rate_fps=2) as view:
        began = time.monotonic()
        while time.monotonic() - began < 22:
            assert view.next_frame(5)


def test_ten_viewers_share_one_burst_and_have_each_its_own_rate(
    live: LiveClient, broker: Broker
) -> None:
    began = time.monotonic()

    def look(rate_fps: float) -> tuple[int, float]:
        """How many frames it had, and in how many seconds."""
        count, since = 0, time.monotonic()
        with live.bursts.open("pi", "front", rate_fps=rate_fps) as view:
            while time.monotonic() - since < 5:
                count += view.next_frame(0.5) is not None
        return count, time.monotonic() - since

    rates = [5.0, 1.0] * 5
    with Listener(broker.port, f"{ROOT}/front/burst", name="ten") as watch:
        with ThreadPoolExecutor(10) as pool:
            looked = list(pool.map(look, rates))
        sent, took_s = len(watch.of("/front/burst")), time.monotonic() - began
    for rate_fps, (count, for_s) in zip(rates, looked, strict=True):
        assert 0 < count <= rate_fps * for_s + 1
    # As many as for one, with what the one before had asked for.
    assert sent <= 5 * took_s + 2


def test_camera_that_is_switched_off_says_so_and_goes_on_when_it_is_on_again(
    live: LiveClient,
) -> None:
    live.request("pi", "enable", {"camera": "back", "enabled": False})
    with live.bursts.open("pi", "back") as view:
        eventually(lambda: "is switched off" in view.problem)
        assert view.next_frame(0) is None
        assert not view.is_unsupported
        live.request("pi", "enable", {"camera": "back", "enabled": True})
        assert view.next_frame(20)
        assert not view.problem


def test_burst_goes_on_after_the_broker_was_killed(live: LiveClient, broker: Broker) -> None:
    with live.bursts.open("pi", "front", rate_fps=5) as view:
        assert view.next_frame(10)
        broker.kill()
        eventually(lambda: not live.broker["connected"])
        broker.start()
        assert any(view.next_frame(10) for _ in range(12))


class BrokerOfOlderDaemons:
    """Takes requests, and has them answered as daemons do that know no bursts."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], str]] = []
        self.topics: set[tuple[str, str]] = set()
        self.snapshots: list[str] = []

    def ask_burst(self, device: str, body: Any, transaction: str) -> None:
        self.asked.append((device, body, transaction))

    def ask_snapshot(self, device: str, camera: str) -> None:
        self.snapshots.append(f"{device}/{camera}")

    def listen_to_burst(self, device: str, camera: str, *, is_wanted: bool) -> None:
        (self.topics.add if is_wanted else self.topics.discard)((device, camera))


def test_older_daemon_is_told_from_one_that_does_not_answer() -> None:
    now, broker = [0.0], BrokerOfOlderDaemons()
    bursts = Bursts(broker, clock=lambda: now[0])
    with bursts.open("pi", "front") as view:
        problems = [view.problem]
        now[0] = 7
        problems.append(view.problem)
        assert problems == ["", "the daemon does not answer"]
        device, _, transaction = broker.asked[-1]
        answer = {"status": "error", "error": "no such command: 'burst'; there are enable"}
        bursts.take_response(device, json.dumps({**answer, "transaction": transaction}).encode())
        assert view.is_unsupported
        # It is asked for what it knows, now and then, and seldom for what it does not know.
        asked = len(broker.asked)
        for _ in range(30):
            now[0] += 1
            bursts.renew()
        assert broker.snapshots == ["pi/front"] * 3
        assert len(broker.asked) == asked
    assert not broker.topics


def test_viewers_are_bounded_in_all_and_of_one_owner() -> None:
    broker = BrokerOfOlderDaemons()
    bursts = Bursts(broker, most_viewers=3, most_each=2)
    with bursts.open("pi", "a", owner=1), bursts.open("pi", "b", owner=1):
        with pytest.raises(UnavailableError, match="too many"), bursts.open("pi", "c", owner=1):
            pass
        with (
            bursts.open("pi", "a", owner=2),
            pytest.raises(UnavailableError, match="too many"),
            bursts.open("pi", "a", owner=3),
        ):
            pass
    assert not broker.topics
    with bursts.open("pi", "a", owner=1):
        assert broker.topics == {("pi", "a")}


def test_viewers_that_come_and_go_leave_nothing_behind() -> None:
    broker = BrokerOfOlderDaemons()
    bursts = Bursts(broker)

    def come_and_go(number: int) -> None:
        for _ in range(50):
            with bursts.open("pi", f"c{number % 3}") as view:
                view.next_frame(0)

    threads = [threading.Thread(target=come_and_go, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broker.topics
    bursts.renew()
    asked = len(broker.asked)
    bursts.connected()
    assert len(broker.asked) == asked


def test_frames_that_are_no_pictures_and_of_cameras_nobody_looks_at_are_left_out() -> None:
    bursts = Bursts(BrokerOfOlderDaemons())
    bursts.take_frame("pi", "front", b"\xff\xd8\xff\xd9")
    with bursts.open("pi", "front") as view:
        for payload in (b"", b"\xff\xd8\xff\xd9", bytes(300_000), b"\xff\xd8\xff" * 9):
            bursts.take_frame("pi", "front", payload)
        assert view.next_frame(0) is None
