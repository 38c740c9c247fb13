"""What the tests of the publisher share: its events, and what of them has arrived."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from edge_classifier.mqtt.publisher import Publisher
from tests.emitter import CAMERA, change, state
from tests.mosquitto import Listener
from tests.waiting import eventually

CONFIG = "homeassistant/device/edge-classifier-porch/config"


@contextmanager
def running(made: Publisher) -> Iterator[Publisher]:
    made.start()
    try:
        yield made
    finally:
        made.stop(5)


def ids(listener: Listener) -> list[str]:
    return [json.loads(message.payload)["id"] for message in listener.of("/event")]


def arrived(listener: Listener, count: int) -> list[str]:
    """All ids, when ``count`` are there: who listens may be told later than who has sent."""
    eventually(lambda: len(ids(listener)) >= count)
    return ids(listener)


def named(count: int, first: int = 1) -> list[str]:
    return [f"{CAMERA}-{seq}" for seq in range(first, first + count)]


def emit(made: Publisher, count: int, first: int = 1) -> None:
    for seq in range(first, first + count):
        made.put_events([change(seq)], state(seq))
