"""The page as a process, from events to a phone: each thing once, also when it is killed.

The broker, the page, the process that sends and the receiver are real.
"""

import itertools
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("apprise", reason="the extra [notify] is not installed")

from tests.mosquitto import Broker
from tests.waiting import eventually
from tests.web.notify.telling import HttpReceiver, addresses
from tests.web.recording import Sender, event_payload, snapshot_payload
from tests.web.serving import Page

TOPIC = "edge-classifier/pi/front"
RULE = 'notify=[{{name="birds", when=["first_of_day", "rare"], addresses_file="{}", {}}}]'


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as running:
        yield running


@pytest.fixture
def phone() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


def served_by(
    folder: Path, broker: Broker, phone: HttpReceiver, more: str = "picture_wait_s=1"
) -> Page:
    file = addresses(folder, f"json://127.0.0.1:{phone.port}/")
    settings = (f"mqtt.port={broker.port}", RULE.format(file, more))
    return Page(folder / "state", settings)


def await_recording(broker: Broker, name: str = "edge-classifier-recorder") -> None:
    """What is sent before the broker has its subscription, a new session does not get."""
    eventually(lambda: f"Received SUBSCRIBE from {name}" in broker.log, within_s=60)


def events(*labels: str, first: int = 1, ago: timedelta = timedelta(0)) -> list[bytes]:
    stamp = (datetime.now(UTC) - ago).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [
        event_payload(number, to=label, to_name=label, ts=stamp)
        for number, label in enumerate(labels, first)
    ]


def told(phone: HttpReceiver) -> list[str]:
    return [json.loads(body)["title"] for _, body in phone.got]


def rest(phone: HttpReceiver, count: int) -> None:
    """So many messages have come, and no other one comes."""
    eventually(lambda: len(phone.got) >= count, within_s=60)
    time.sleep(5)
    assert len(phone.got) == count, told(phone)


def test_page_that_is_killed_in_the_middle_tells_of_each_thing_once(
    tmp_path: Path, broker: Broker, phone: HttpReceiver
) -> None:
    # The one message is being sent when it is killed, for a while; the other one waits.
    phone.delay_s = 3
    labels = [*itertools.repeat("sparrow", 200), "goldfinch"]
    with served_by(tmp_path, broker, phone) as first, Sender(broker.port) as sender:
        await_recording(broker)
        sender.send(f"{TOPIC}/event", *events(*labels))
        sender.send(f"{TOPIC}/snapshot", snapshot_payload(1), snapshot_payload(201))
        eventually(lambda: len(phone.arrived) == 1, within_s=60)
        first.end(9)
    with served_by(tmp_path, broker, phone):
        rest(phone, 2)
    assert told(phone) == ["sparrow · rare here", "goldfinch · rare here"]
    assert all(json.loads(body)["attachments"] for _, body in phone.got)


def test_outage_of_three_hours_is_recorded_and_not_told(
    tmp_path: Path, broker: Broker, phone: HttpReceiver
) -> None:
    with served_by(tmp_path, broker, phone) as served, Sender(broker.port) as sender:
        await_recording(broker)
        late = events("sparrow", "robin", "wren", ago=timedelta(hours=3))
        sender.send(f"{TOPIC}/event", *late, *events("goldfinch", first=50))
        rest(phone, 1)
        assert told(phone) == ["goldfinch · rare here"]
        assert json.loads(served.ask("/healthz").body)["recorder"]["recorded"] == 4


def test_receiver_that_hangs_delays_no_page_and_no_event(
    tmp_path: Path, broker: Broker, phone: HttpReceiver
) -> None:
    phone.delay_s = 600
    with served_by(tmp_path, broker, phone, "picture_wait_s=0") as served:
        await_recording(broker)
        with Sender(broker.port) as sender:
            sender.send(f"{TOPIC}/event", *events("sparrow"))
            eventually(lambda: bool(phone.arrived), within_s=60)
            sender.send(f"{TOPIC}/event", *events(*map(str, range(100)), first=10))

        def health() -> Any:
            return json.loads(served.ask("/healthz").body)

        eventually(lambda: health()["recorder"]["recorded"] == 101, within_s=15)
        assert health()["notifier"] == {"ok": True}
        began = time.monotonic()
        assert served.end(within_s=15) == 0
        assert time.monotonic() - began < 15
