"""What the daemon calls to publish. Nothing here waits for the disk or for the network."""

import json
import random as random_module
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge_classifier.config import settings
from edge_classifier.core.events import CameraState, LabelChange
from edge_classifier.mqtt import inbox as mail
from edge_classifier.mqtt.codec import Names, encoded, kept
from edge_classifier.mqtt.connection import ClientIdentity, Password
from edge_classifier.mqtt.message_writer import restored_states
from edge_classifier.mqtt.outbox import Outbox
from edge_classifier.mqtt.publisher_thread import PublisherClocks, PublisherThread
from edge_classifier.mqtt.retained import MessageKind
from edge_classifier.mqtt.status import PublisherStatus
from edge_classifier.mqtt.topics import Topics
from edge_classifier.protocols import Clock

# Events that wait to be written, should the disk stall.
_MAX_EVENTS = 1_000
# Seconds beyond the limit for the disk to take what is left.
_CLOSE_S = 5.0


class Publisher:
    """What the pipeline tells goes out over MQTT, now or when that is possible.

    One thread alone owns the outbox and the connection; calls leave word for it and return.
    Only ``remembered``, ``states`` and ``start`` read the disk, and ``stop`` waits.
    """

    def __init__(
        self,
        mqtt: settings.MqttSettings,
        outbox: settings.OutboxSettings,
        path: Path,
        *,
        node: str,
        cameras: Mapping[str, str],
        password: Password,
        on_request: Callable[[str, bytes], None],
        on_published: Callable[[float], None],
        clock: Clock = time.monotonic,
        utc: Callable[[], float] = time.time,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """``cameras``: name to title. ``path``: the outbox's file. ``clock``: since the boot.

        ``on_request`` gets command and payload, in the publisher's thread. So does
        ``on_published``: for each event that the broker has acknowledged, the milliseconds since
        its frame was captured.
        """
        topics = Topics(mqtt.base_topic, node, mqtt.discovery_prefix)
        client_id = mqtt.client_id or f"edge-classifier-{node}"
        self._enabled = mqtt.enabled
        self._clock = clock
        self._mailbox = mail.PublisherInbox(_MAX_EVENTS)
        self._outbox = Outbox(path, outbox.max_events, clock=clock, utc=utc)
        self._worker = PublisherThread(
            mqtt,
            topics,
            cameras,
            ClientIdentity(client_id, password, topics.availability),
            self._mailbox,
            self._outbox,
            on_request,
            on_published,
            PublisherClocks(clock, utc, random, boot_id()),
        )
        self._notes: dict[str, str] | None = None
        self._thread = threading.Thread(target=self._worker.run, name="publisher", daemon=True)

    @property
    def status(self) -> PublisherStatus:
        """As of the thread's last turn, at most about a second ago."""
        return self._worker.status

    def remembered(self) -> dict[str, Any]:
        """What ``remember`` was given in earlier lives. To be called before ``start``."""
        return {key: kept(text) for key, text in self._known().items()}

    def states(self) -> dict[str, CameraState]:
        """The last states of earlier lives, by camera. To be called before ``start``."""
        return restored_states(self._known())

    def start(self) -> None:
        """Begin."""
        self._worker.restore(self._known())
        self._thread.start()

    def follow(self, cameras: Mapping[str, str]) -> None:
        """The cameras that there are from now on, name to title; what is kept of others goes."""
        self._mailbox.put(mail.ConfiguredCameras(dict(cameras)))

    def describe(self, labels: Sequence[str], name: Names, model: str, *, stats_s: float) -> None:
        """What the model in use can say, for Home Assistant and for displayed names.

        ``stats_s``: seconds between statistics, which Home Assistant is not to take for lost.
        """
        self._mailbox.put(mail.ModelLabels(labels, name, model, stats_s))

    def changed(
        self, event: LabelChange, state: CameraState, jpeg: Callable[[], bytes | None] | None
    ) -> None:
        """A camera's label has become another. ``jpeg`` is called in the publisher's thread."""
        pictures = [mail.SnapshotTaken(event.camera, jpeg)] if jpeg else []
        self._mailbox.put(state, *pictures, event=event if self._enabled else None)

    def state(self, state: CameraState) -> None:
        """What a camera shows now, without an event."""
        self._mailbox.put(state)

    def snapshot(self, camera: str, jpeg: Callable[[], bytes | None]) -> None:
        """A picture that was asked for. ``jpeg`` is called in the publisher's thread.

        An empty one takes away what the broker keeps.
        """
        self._mailbox.put(mail.SnapshotTaken(camera, jpeg))

    def camera(self, name: str, *, online: bool, reason: str = "") -> None:
        """Whether a camera gives frames, and if not, why."""
        self._mailbox.put(mail.CameraHealth(name, online, reason))

    def stats(self, figures: Mapping[str, Any]) -> None:
        """Statistics."""
        self._mailbox.put(mail.DeviceReport(MessageKind.STATS, encoded(figures)))

    def info(self, facts: Mapping[str, Any]) -> None:
        """Version, settings without secrets, labels."""
        self._mailbox.put(mail.DeviceReport(MessageKind.INFO, encoded(facts)))

    def respond(self, command: str, payload: Mapping[str, Any]) -> None:
        """Answer a request."""
        self._mailbox.post(mail.ResponseReady(command, encoded(payload)))

    def remember(self, key: str, value: Mapping[str, Any] | None) -> None:
        """Keep ``value`` through restarts; None forgets it."""
        self._mailbox.put(mail.RememberedValue(key, None if value is None else json.dumps(value)))

    def clear(self) -> None:
        """Forget the events that wait."""
        self._mailbox.post(mail.ClearOutbox())

    def stop(self, within_s: float) -> bool:
        """Say ``offline``, and end; whether all went as it should.

        That is: everything is on disk and, where there is a connection, the broker has
        acknowledged ``offline`` within the limit.
        """
        if self._thread.ident is None:
            return self._outbox.close()
        self._worker.end(self._clock() + within_s)
        self._thread.join(within_s + _CLOSE_S)
        return self._worker.is_clean

    def _known(self) -> dict[str, str]:
        if self._notes is None:
            self._notes = self._outbox.open()
        return self._notes


def boot_id() -> str:
    """Changes with every boot, as the monotonic clock begins anew; empty where that is unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
