"""What the tests of the outbox share: events that wait."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edge_classifier.core.events import Moment
from edge_classifier.mqtt.codec.event_payloads import event_payload
from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.mqtt.outbox.outbox import Outbox
from edge_classifier.mqtt.outbox.outbox_database import QueuedEvent
from tests.emitter import change

LATER_S = 6.0


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def event(number: int, *, camera: str = "front") -> QueuedEvent:
    moment = Moment(1e9 + number, number)
    payload = event_payload(replace(change(number, camera=camera), captured=moment), str)
    return QueuedEvent(f"{camera}-{number}", camera, encoded(payload), moment, "boot-1")


def opened(path: Path, clock: Clock | None = None, max_events: int = 1000) -> Outbox:
    outbox = Outbox(path, max_events, clock=clock or Clock(), utc=lambda: 1_700_000_000.0)
    OPEN.append(outbox)
    outbox.open()
    return outbox


OPEN: list[Outbox] = []


def cut(outbox: Outbox) -> None:
    """End without a last write."""
    outbox._database.close()


def put(outbox: Outbox, *numbers: int) -> None:
    outbox.add(event(number) for number in numbers)
    outbox.save()


def ids(events: Sequence[QueuedEvent]) -> list[int]:
    return [int(one.event_id.rpartition("-")[2]) for one in events]
