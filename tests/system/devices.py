"""Many devices that publish: ``python -m tests.system.devices PORT DEVICES EVENTS PER_SECOND``.

Each has a connection of its own. Every fifth event has a picture.
"""

import sys
import time
import uuid

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.ports import HOST
from tests.web.recording import event_payload, snapshot_payload

PICTURE_EVERY = 5
LABELS = ("cat", "dog", "unknown", "cup", "bird")


def _connected(port: int, number: int) -> paho.Client:
    client = paho.Client(CallbackAPIVersion.VERSION2, f"device-{number}")
    client.connect(HOST, port)
    client.loop_start()
    return client


def _main(port: int, devices: int, events: int, per_second: float) -> None:
    clients = [_connected(port, number) for number in range(devices)]
    print("connected", flush=True)
    sent = []
    begun = time.monotonic()
    for index in range(devices * events):
        device, seq = index % devices, index // devices + 1
        root = f"edge-classifier/device-{device}/front"
        event = uuid.uuid4()
        payload = event_payload(event.int, seq=seq, to=LABELS[index % len(LABELS)])
        sent.append(clients[device].publish(f"{root}/event", payload, 1))
        if index % PICTURE_EVERY == 0:
            picture = snapshot_payload(event.int)
            sent.append(clients[device].publish(f"{root}/snapshot", picture, 1, retain=True))
        time.sleep(max(0.0, begun + (index + 1) / per_second - time.monotonic()))
    for one in sent:
        one.wait_for_publish(60)
    print("sent", flush=True)


if __name__ == "__main__":
    _main(*(int(argument) for argument in sys.argv[1:]))
