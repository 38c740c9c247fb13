"""Devices over a real broker that say what daemons say, and run no network.

One connection for all of them. Each tells its model, its statistics, and events; it
takes a model after a moment, or does with it what the test says.
"""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge_classifier.files import utc_stamp
from tests.ports import HOST
from tests.web.recording import event_payload

BASE, OLD = "edge-classifier", "old@00000000"
LABELS = ("cat", "dog")
# Of a download and a trial.
_TAKES_S = 0.3
# Seconds between two events, and between statistics.
_EVERY = 5


class SimulatedDevice:
    """One of them."""

    def __init__(self, name: str) -> None:
        self.name, self.model, self.online = name, OLD, True
        self.born = time.monotonic()
        self.change: dict[str, Any] | None = None
        # What comes of the next model: empty, ``refuses`` or ``dies``.
        self.fate = ""
        self.asked: list[dict[str, Any]] = []


class SimulatedFleet:
    """All of them."""

    def __init__(self, port: int, names: Sequence[str]) -> None:
        self.devices = {name: SimulatedDevice(name) for name in names}
        self._port, self._numbers = port, count(1)
        self._over = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        # What they tell of a model is not to wait behind events.
        self._client.max_inflight_messages_set(1000)
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect

    def __getitem__(self, name: str) -> SimulatedDevice:
        return self.devices[name]

    @contextmanager
    def running(self) -> Iterator["SimulatedFleet"]:
        self._client.connect(HOST, self._port)
        self._client.loop_start()
        thread = threading.Thread(target=self._tell_again, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(5)
            self._client.disconnect()
            self._client.loop_stop()

    def set_online(self, name: str, *, online: bool) -> None:
        self[name].online = online
        self._tell(self[name])

    def having(self, digits: str) -> list[str]:
        return [one.name for one in self.devices.values() if one.model.endswith(digits)]

    def _on_connect(self, *_: Any) -> None:
        self._client.subscribe(f"{BASE}/+/request/model", 1)
        for device in self.devices.values():
            self._tell(device)

    def _tell_again(self) -> None:
        for turn in count():
            if self._over.wait(1):
                return
            for number, device in enumerate(self.devices.values()):
                if device.online and (turn + number) % _EVERY == 0:
                    self._publish(device, "stats", self._stats(device))
                    stamp = utc_stamp(time.time())
                    key, label = next(self._numbers), LABELS[(turn + number) // _EVERY % 2]
                    event = event_payload(
                        (1 << 100) + key, seq=key, to=label, ts=stamp, model=device.model
                    )
                    self._client.publish(f"{BASE}/{device.name}/front/event", event, 1)

    def _stats(self, device: SimulatedDevice) -> dict[str, Any]:
        times = [{"model": device.model, "frames": 9, "inference_ms": {"p50": 5.0, "p95": 6.0}}]
        return {"uptime_s": time.monotonic() - device.born, "models": times}

    def _tell(self, device: SimulatedDevice) -> None:
        availability = "online" if device.online else "offline"
        self._client.publish(f"{BASE}/{device.name}/availability", availability, 1, retain=True)
        info = {"version": "0", "model": device.model, "model_change": device.change}
        self._publish(device, "info", info, retain=True)

    def _publish(
        self, device: SimulatedDevice, kind: str, body: dict[str, Any], *, retain: bool = False
    ) -> None:
        topic = f"{BASE}/{device.name}/{kind}"
        self._client.publish(topic, json.dumps(body), int(retain), retain=retain)

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        device = self.devices.get(message.topic.split("/")[1])
        body = json.loads(message.payload)
        if device is None or not device.online:
            return
        device.asked.append(body)
        if "sha256" not in body:
            device.model = OLD
            self._tell(device)
            return
        device.change = {
            "model": body["model"],
            "sha256": body["sha256"],
            "camera": "",
            "state": "fetching",
            "bytes": 1,
            "size": 2,
            "error": "",
        }
        self._tell(device)
        threading.Timer(_TAKES_S, self._take, (device, body)).start()

    def _take(self, device: SimulatedDevice, body: dict[str, Any]) -> None:
        assert device.change
        if device.fate == "refuses":
            device.change |= {"state": "failed", "error": "there is no room for it"}
        else:
            device.change |= {"state": "running"}
            device.model = f"{body['model']}@{body['sha256'][:8]}"
        device.online = device.fate != "dies"
        self._tell(device)
