"""What the daemon calls to publish. Nothing here waits for the disk or for the network.

The way of a message: ``Publisher`` leaves it in the ``inbox``; the ``publisher_thread`` lets the
``message_writer`` write it, events into the ``outbox``, and the ``sender`` send it over a
``connection``.
"""

import json
import random as random_module
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_classifier.config.mqtt_settings import MqttSettings, OutboxSettings, SnapshotSettings
from edge_classifier.core.events import CameraEvent, CameraState
from edge_classifier.mqtt.burst_sender import BurstSender
from edge_classifier.mqtt.codec.device_payloads import MAX_REQUEST_BYTES
from edge_classifier.mqtt.codec.json_fields import decoded_or_empty, encoded
from edge_classifier.mqtt.connection.broker_connection import ConnectionOptions
from edge_classifier.mqtt.former_topics import FormerTopics
from edge_classifier.mqtt.inbox import PublisherInbox, UpdateKey, UpdateKind
from edge_classifier.mqtt.latest_messages import LatestMessages
from edge_classifier.mqtt.message_writer import (
    CameraLabels,
    DeviceDescription,
    EncodeJpeg,
    MessageWriter,
    ShrinkJpeg,
    known_cameras,
    restored_numbers,
    restored_states,
)
from edge_classifier.mqtt.outbox.numbers_file import LastNumbers
from edge_classifier.mqtt.outbox.outbox import Outbox
from edge_classifier.mqtt.outbox.waiting_snapshots import WaitingSnapshots
from edge_classifier.mqtt.publisher_thread import (
    PublisherStatus,
    PublisherThread,
)
from edge_classifier.mqtt.sender import Sender
from edge_classifier.mqtt.topics import Topics
from edge_classifier.protocols import Clock

# Events that wait to be written, should the disk stall.
_MAX_EVENTS = 1_000
# Seconds beyond the limit for the disk to take what is left.
_CLOSE_S = 5.0

# Makes a picture, in the publisher's thread; None: there is none after all.
MakeJpeg = Callable[[], bytes | None]


class Publisher:
    """Queues what the daemon reports; ``Sender`` sends it, now or when that is possible.

    One thread alone owns the outbox and the connection; calls leave work for it and return.
    Only ``remembered``, ``states`` and ``start`` read the disk, and ``stop`` waits.
    """

    def __init__(
        self,
        mqtt: MqttSettings,
        outbox: OutboxSettings,
        path: Path,
        *,
        node: str,
        cameras: Mapping[str, str],
        password: Callable[[], str | None],
        on_request: Callable[[str, bytes], None],
        on_published: Callable[[float], None],
        clock: Clock = time.monotonic,
        utc: Callable[[], float] = time.time,
        random: Callable[[], float] = random_module.random,
        shrink_jpeg: ShrinkJpeg | None = None,
        snapshots: SnapshotSettings | None = None,
    ) -> None:
        """``cameras``: name to title. ``path``: the outbox's file. ``clock``: since the boot.

        ``on_request`` gets command and payload, in the publisher's thread. So does
        ``on_published``: for each event that the broker has acknowledged, the milliseconds since
        its frame was captured. ``shrink_jpeg``: for a broker that does not take a picture as it is.
        ``snapshots``: whether pictures wait with their events, below the folder of ``path``.
        """
        topics = Topics(mqtt.base_topic, node, mqtt.discovery_prefix)
        boot = boot_id()
        latest = LatestMessages()
        self._enabled, self._clock, self._topics = mqtt.enabled, clock, topics
        self._inbox = PublisherInbox(_MAX_EVENTS)
        self._outbox = Outbox(path, outbox.max_events, clock=clock, utc=utc)
        self._snapshots = None
        if snapshots and snapshots.keep_waiting and mqtt.enabled:
            folder = path.parent / "waiting-snapshots"
            self._snapshots = WaitingSnapshots(folder, snapshots, self._outbox.incidents)
        self._writer = MessageWriter(
            *(self._outbox, latest, topics, cameras, mqtt, boot),
            shrink_jpeg=shrink_jpeg,
            snapshots=self._snapshots,
        )
        self._sender = Sender(
            *(self._outbox, latest, topics, boot),
            clock=clock,
            utc=utc,
            on_published=on_published,
            snapshots=self._snapshots,
            smaller_jpeg=self._writer.smaller_jpeg,
        )
        self._bursts = BurstSender(self._sender, clock)
        self._former = FormerTopics(self._outbox, latest, topics, mqtt, clock)
        connection = _connection_options(mqtt, topics, password)
        self._publisher_thread = PublisherThread(
            *(mqtt, topics, connection, self._inbox, self._outbox, latest),
            *(self._writer, self._sender, self._bursts, self._former),
            *(on_request, clock, random),
        )
        self._remembered: dict[str, str] | None = None
        self._os_thread = threading.Thread(
            target=self._publisher_thread.run, name="publisher", daemon=True
        )

    @property
    def status(self) -> PublisherStatus:
        """As of the thread's last turn, at most about a second ago."""
        return self._publisher_thread.status

    def remembered(self) -> dict[str, Any]:
        """What ``remember`` was given before the restart. To be called before ``start``."""
        return {key: decoded_or_empty(text) for key, text in self._open_outbox().items()}

    def states(self) -> dict[str, CameraState]:
        """The last states from before the restart, by camera. To be called before ``start``."""
        return restored_states(self._open_outbox())

    def last_numbers(self) -> LastNumbers:
        """What each camera's events count on from. To be called once, before ``start``."""
        return self._outbox.last_numbers(restored_numbers(self._open_outbox()))

    @property
    def left(self) -> int:
        """Events that ``stop`` had to leave, neither on disk nor with the broker."""
        return self._outbox.left

    def start(self) -> None:
        """Start the thread."""
        remembered = self._open_outbox()
        self._writer.restore(remembered)
        if self._enabled:
            self._former.restore(remembered, known_cameras(remembered))
        if self._snapshots:
            self._snapshots.open(self._outbox.event_ids())
        self._os_thread.start()

    def follow_cameras(self, cameras: Mapping[str, str]) -> None:
        """The cameras that there are from now on, name to title; what is kept of others goes."""
        self._put((UpdateKind.CAMERAS, ""), partial(self._writer.follow_cameras, dict(cameras)))

    def describe_device(
        self,
        labels: Mapping[str, CameraLabels],
        model: str,
        models: Sequence[str] = (),
        *,
        stats_s: float,
        offer: str = "",
    ) -> None:
        """What each camera can say, for Home Assistant and for displayed names.

        ``model``: what runs here; ``models``: what may be asked for. ``stats_s``: seconds between
        statistics, which Home Assistant is not to take for lost. ``offer``: the request for the
        model that is offered for installation; empty: none is.
        """
        described = DeviceDescription(dict(labels), model, models, stats_s, offer)
        self._put((UpdateKind.MODEL, ""), partial(self._writer.describe_device, described))

    def put_events(
        self,
        events: Sequence[CameraEvent],
        state: CameraState,
        pictures: Mapping[str, MakeJpeg] = MappingProxyType({}),
    ) -> None:
        """What has happened at a camera, in order, and what it shows since then.

        ``pictures``: those behind events, by the events' ids.
        """
        updates: dict[UpdateKey, Callable[[], None]] = {
            (UpdateKind.STATE, state.camera): partial(self._writer.put_state, state)
        }
        for event_id, jpeg in pictures.items():
            updates |= self._snapshot_update(state.camera, jpeg, event_id)
        self._inbox.put_updates(updates, events if self._enabled else ())

    def put_state(self, state: CameraState) -> None:
        """What a camera shows now, without an event."""
        self._put((UpdateKind.STATE, state.camera), partial(self._writer.put_state, state))

    def put_snapshot(self, camera: str, jpeg: MakeJpeg, event_id: str = "") -> None:
        """A picture that was asked for, or a better one of an event that was put before."""
        self._inbox.put_updates(self._snapshot_update(camera, jpeg, event_id))

    def _snapshot_update(
        self, camera: str, jpeg: MakeJpeg, event_id: str
    ) -> dict[UpdateKey, Callable[[], None]]:
        # Of pictures that are only shown the newest is enough.
        name = f"{camera} {event_id}" if event_id and self._snapshots else camera
        put = partial(self._writer.put_snapshot, camera, jpeg, event_id)
        return {(UpdateKind.SNAPSHOT, name): put}

    def put_burst_frame(
        self, state: CameraState, captured_utc_s: float, encode: EncodeJpeg
    ) -> None:
        """A frame of a burst, with what its camera shows; only the newest of a camera is sent.

        ``encode`` is called in the publisher's thread, and only if the frame can be sent.
        """
        make = partial(self._writer.burst_frame, state, captured_utc_s, encode)
        send = partial(self._bursts.send, self._topics.burst(state.camera), make)
        self._put((UpdateKind.BURST, state.camera), send)

    def clear_snapshot(self, camera: str) -> None:
        """Take away the picture that the broker keeps."""
        self.put_snapshot(camera, bytes)

    def put_camera_health(self, camera: str, *, online: bool, reason: str = "") -> None:
        """Whether a camera gives frames, and if not, why."""
        put = partial(self._writer.put_camera_health, camera, online=online, reason=reason)
        self._put((UpdateKind.HEALTH, camera), put)

    def put_stats(self, stats: Mapping[str, Any]) -> None:
        """Statistics."""
        self._put((UpdateKind.STATS, ""), partial(self._writer.put_stats, encoded(stats)))

    def put_info(self, info: Mapping[str, Any]) -> None:
        """Version, settings without secrets, labels."""
        self._put((UpdateKind.INFO, ""), partial(self._writer.put_info, info))

    def put_response(self, command: str, payload: Mapping[str, Any]) -> None:
        """Answer a request."""
        topic = self._topics.response(command)
        put = partial(self._sender.put_response, topic, encoded(payload))
        self._inbox.put_task(f"response to {command}", put)

    def remember(self, key: str, value: Mapping[str, Any] | None) -> None:
        """Keep ``value`` through restarts; None forgets it."""
        text = None if value is None else json.dumps(value)
        self._put((UpdateKind.REMEMBER, key), partial(self._outbox.remember, key, text))

    def clear_outbox(self) -> None:
        """Forget the events that wait."""
        self._inbox.put_task("clear", self._publisher_thread.clear_outbox)

    def forget_incidents(self) -> None:
        """Somebody knows of what was lost, damaged or deleted until now."""
        self._inbox.put_task("clear incidents", self._outbox.incidents.forget)

    def stop(self, within_s: float) -> bool:
        """Say ``offline``, and end; whether all went as it should.

        That is: everything is on disk and, where there is a connection, the broker has
        acknowledged ``offline`` within the limit.
        """
        if self._os_thread.ident is None:
            return self._outbox.close()
        self._publisher_thread.end(self._clock() + within_s)
        self._os_thread.join(within_s + _CLOSE_S)
        return self._publisher_thread.is_clean

    def _put(self, key: UpdateKey, action: Callable[[], None]) -> None:
        self._inbox.put_updates({key: action})

    def _open_outbox(self) -> dict[str, str]:
        if self._remembered is None:
            self._remembered = self._outbox.open()
        return self._remembered


def _connection_options(
    mqtt: MqttSettings, topics: Topics, password: Callable[[], str | None]
) -> ConnectionOptions:
    return ConnectionOptions(
        client_id=mqtt.client_id or f"edge-classifier-{topics.node}",
        password=password,
        will_topic=topics.availability,
        payload_bytes=MAX_REQUEST_BYTES,
    )


def boot_id() -> str:
    """Changes with every boot, as the monotonic clock begins anew; empty where that is unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
