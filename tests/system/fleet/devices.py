"""Many devices that publish.

    python -m tests.system.fleet.devices PORT DEVICES COUNT@PER_SECOND ...

Each has a connection of its own. They publish by turns, in phases that follow each other: so many
events, at so many a second. Number, device and ``seq`` of an event follow from each other
(``event_facts``), so that a database can be asked for what is missing. Every fifth has a picture.
"""

import os
import sys
import time
from collections import deque
from multiprocessing import Process

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_classifier.files import utc_stamp
from tests.ports import HOST
from tests.web.recording import event_payload, snapshot_payload

PICTURE_EVERY = 5
LABELS = ("cat", "dog", "unknown", "cup", "bird")
_PER_PROCESS = 200
# Messages that are not acknowledged yet, at most.
_UNDER_WAY = 5_000


def event_facts(index: int, devices: int) -> tuple[int, str, int]:
    """The number in the id of the event that is sent as ``index``-th, its device, its ``seq``."""
    return index + 1, f"device-{index % devices}", index // devices + 1


def _connected(port: int, number: int) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, f"device-{number}")
    client.connect(HOST, port)
    client.loop_start()
    return client


def _main(port: int, devices: int, phases: list[tuple[int, float]]) -> int:
    """In several processes: paho waits with select(), which takes descriptors below 1,024 only."""
    parts = range(0, devices, _PER_PROCESS)
    children = [
        Process(target=_publish, args=(port, devices, range(first, first + _PER_PROCESS), phases))
        for first in parts
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return int(any(child.exitcode for child in children))


def _publish(port: int, devices: int, part: range, phases: list[tuple[int, float]]) -> None:
    """What the devices in ``part`` send."""
    parent = os.getppid()
    clients = {number: _connected(port, number) for number in part if number < devices}
    under_way: deque[paho.MQTTMessageInfo] = deque()
    index = 0
    for count, per_second in phases:
        begun, first = time.monotonic(), index
        for index in range(first, first + count):
            time.sleep(max(0.0, begun + (index - first) / per_second - time.monotonic()))
            if os.getppid() != parent:
                return
            client = clients.get(index % devices)
            if client is None:
                continue
            number, device, seq = event_facts(index, devices)
            stamp = utc_stamp(time.time())
            label = LABELS[index % len(LABELS)]
            payload = event_payload(number, seq=seq, to=label, ts=stamp)
            under_way.append(client.publish(f"edge-classifier/{device}/front/event", payload, 1))
            if index % PICTURE_EVERY == 0:
                topic = f"edge-classifier/{device}/front/snapshot"
                under_way.append(client.publish(topic, snapshot_payload(number), 1, retain=True))
            while len(under_way) > _UNDER_WAY:
                under_way.popleft().wait_for_publish(60)
        index = first + count
    for one in under_way:
        one.wait_for_publish(60)


def _phase(text: str) -> tuple[int, float]:
    count, _, per_second = text.partition("@")
    return int(count), float(per_second)


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), int(sys.argv[2]), [_phase(one) for one in sys.argv[3:]]))
