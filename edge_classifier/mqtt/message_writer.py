"""Turns what the pipeline reports into messages: events for the outbox, and each topic's newest."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from edge_classifier.config.mqtt_settings import MqttSettings
from edge_classifier.core.events import CameraEvent, CameraState
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.mqtt.codec.burst_frames import burst_comment
from edge_classifier.mqtt.codec.camera_payloads import (
    NO_TRANSLATIONS,
    Names,
    Translations,
    is_worth_keeping,
    kept_state,
    restored_state,
    state_payload,
)
from edge_classifier.mqtt.codec.device_payloads import availability_payload, info_within
from edge_classifier.mqtt.codec.event_payloads import event_payload
from edge_classifier.mqtt.codec.json_fields import decoded_or_empty, encoded
from edge_classifier.mqtt.discovery import DiscoveredDevice, discovery_payload
from edge_classifier.mqtt.latest_messages import LatestMessages, MessageKind
from edge_classifier.mqtt.outbox.outbox import Outbox
from edge_classifier.mqtt.outbox.outbox_database import QueuedEvent
from edge_classifier.mqtt.outbox.waiting_snapshots import WaitingSnapshots
from edge_classifier.mqtt.topics import Topics

_log = logging.getLogger(__name__)

# What the keys of remembered states begin with; the camera's name follows.
_STATE = "state."
# And those of cameras of which the broker may keep something.
_CAMERA = "camera."


# The best JPEG of the same picture, and with the same comment, of at most so many bytes. Raises
# ValueError where there is none.
ShrinkJpeg = Callable[[bytes, int], bytes]
# A picture as a JPEG of at most so many bytes, None: as many as were asked for, and with this
# comment. Raises ValueError where there is none.
EncodeJpeg = Callable[[int | None, str], bytes]


class CameraLabels(NamedTuple):
    """What one camera can say."""

    labels: Sequence[str]
    # Of its model.
    name: Names
    # The same in each language that the model has names in.
    translations: Translations = NO_TRANSLATIONS


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """What Home Assistant is told of the device, and what names are displayed."""

    labels: Mapping[str, CameraLabels]
    # For people: what runs here.
    model: str
    # Names of models that may be asked for.
    models: Sequence[str]
    # Seconds between statistics.
    stats_s: float
    # The request for the model that is offered.
    offer: str = ""


class MessageWriter:
    """Writes the messages of one device: events into the outbox, the rest for ``latest``."""

    def __init__(
        self,
        outbox: Outbox,
        latest: LatestMessages,
        topics: Topics,
        cameras: Mapping[str, str],
        mqtt: MqttSettings,
        boot: str,
        *,
        shrink_jpeg: ShrinkJpeg | None = None,
        snapshots: WaitingSnapshots | None = None,
    ) -> None:
        self._outbox = outbox
        self._latest = latest
        self._topics = topics
        self._cameras = cameras
        self._mqtt = mqtt
        self._boot = boot
        self._shrink_jpeg = shrink_jpeg
        self._snapshots = snapshots
        self._info: Mapping[str, Any] = {}
        # What the broker does not get, as it does not take it.
        self._broker_note = ""
        self._states: dict[str, CameraState] = {}
        # Of these, what is remembered.
        self._kept: dict[str, CameraState] = {}
        self._problems: dict[str, str] = {}
        self._removed: list[str] = []
        # Of these the last state is remembered until the broker keeps nothing of them any more.
        self._clearing: set[str] = set()
        # The name that each camera's state was given last.
        self._shown_names: dict[str, str] = {}
        # The names that Home Assistant knows, of each camera.
        self._options: dict[str, list[str]] = {}
        self._described_removed: tuple[str, ...] = ()
        self._description = DeviceDescription({}, "", (), mqtt.stats_s)
        # Also of cameras that have gone: an event of theirs may be on its way.
        self._names: dict[str, Names] = {}
        self._translations: dict[str, Translations] = {}

    def restore(self, remembered: Mapping[str, str]) -> None:
        """Begin with what was published last, before there is a first frame."""
        online = availability_payload(online=True)
        self._latest.put(MessageKind.NODE, self._topics.availability, online)
        for camera in self._cameras:
            self.put_camera_health(camera, online=False, reason="not opened yet")
        for camera, state in restored_states(remembered).items():
            if camera in self._cameras:
                self._states[camera] = self._kept[camera] = state
                self._publish_state(camera)
        # Also of those that another version, or a failing card, has left unreadable.
        known = known_cameras(remembered)
        self._remember_cameras(self._cameras.keys() - known)
        for camera in known - self._cameras.keys():
            self._clear_camera(camera)

    def put_event(self, event: CameraEvent) -> None:
        """Something has happened at a camera."""
        names = self._names.get(event.camera, str)
        translations = self._translations.get(event.camera, NO_TRANSLATIONS)
        payload = encoded(event_payload(event, names, translations))
        self._outbox.add([QueuedEvent(event.id, event.camera, payload, event.captured, self._boot)])

    def put_state(self, state: CameraState) -> None:
        """What a camera shows now."""
        if state.camera not in self._cameras:
            return  # It has been removed a moment ago.
        if is_worth_keeping(state, self._kept.get(state.camera)):
            self._kept[state.camera] = state
            text = json.dumps(kept_state(state))
            self._outbox.remember(_STATE + state.camera, text, camera=state.camera)
        self._states[state.camera] = state
        self._publish_state(state.camera)

    def put_camera_health(self, camera: str, *, online: bool, reason: str) -> None:
        """Whether a camera gives frames, and if not, why."""
        if camera not in self._cameras:
            return
        topic = self._topics.camera_availability(camera)
        self._latest.put(MessageKind.CAMERA, topic, availability_payload(online=online))
        self._problems[camera] = "" if online else reason
        if camera in self._states:
            self._publish_state(camera)

    def put_snapshot(
        self, camera: str, jpeg: Callable[[], bytes | None], event_id: str = ""
    ) -> None:
        """The frame behind the event ``event_id``, or one that was asked for."""
        content = jpeg()
        if self._snapshots and content == b"":
            self._snapshots.forget(camera)
        if content is None or camera not in self._cameras:
            return
        is_kept = False
        if event_id and self._snapshots:
            is_open = self._outbox.has(event_id)
            is_kept = self._snapshots.put(camera, event_id, content, is_open=is_open)
        if not is_kept:
            topic, smaller = self._topics.snapshot(camera), partial(self.smaller_jpeg, content)
            self._latest.put(MessageKind.SNAPSHOT, topic, content, smaller)

    def burst_frame(
        self, state: CameraState, captured_utc_s: float, encode: EncodeJpeg, max_bytes: int | None
    ) -> bytes | None:
        """A frame of a burst in at most ``max_bytes``; None where that cannot be."""
        try:
            names = self._names.get(state.camera, str)
            return encode(max_bytes, burst_comment(state, captured_utc_s, names))
        except ValueError:
            return None

    def put_stats(self, payload: bytes) -> None:
        """Statistics."""
        self._latest.put(MessageKind.STATS, self._topics.stats, payload)

    def put_info(self, info: Mapping[str, Any]) -> None:
        """What runs on this device."""
        self._info = info
        if self._broker_note:
            info = {**info, "notes": [*info.get("notes", ()), self._broker_note]}
        payload, smaller = encoded(info), partial(info_within, info)
        self._latest.put(MessageKind.INFO, self._topics.info, payload, smaller)

    def note_broker(self, note: str) -> None:
        """``info`` says what the broker does not get, as it does not take it."""
        self._broker_note = note
        if self._info:
            self.put_info(self._info)

    def follow_cameras(self, titles: Mapping[str, str]) -> None:
        """Cameras may come and go while the daemon runs. ``titles``: name to title."""
        before, self._cameras = self._cameras, titles
        self._removed = [camera for camera in self._removed if camera not in titles]
        self._clearing -= titles.keys()
        for camera in before.keys() - titles.keys():
            self._clear_camera(camera)
        self._remember_cameras(titles.keys() - before.keys())
        for camera in titles.keys() - before.keys():
            self.put_camera_health(camera, online=False, reason="not opened yet")
        if self._description.labels:
            self.describe_device(self._description)

    def describe_device(self, description: DeviceDescription) -> None:
        """For Home Assistant, and for the names in states and events."""
        self._description = description
        for camera, one in description.labels.items():
            self._names[camera], self._translations[camera] = one.name, one.translations
        # Labels of the model before stay while a camera shows one: it may be in its quiet hours.
        self._options = {
            camera: [
                *(one.name(label) for label in (*one.labels, UNKNOWN)),
                *filter(None, [self._shown_names.get(camera)]),
            ]
            for camera, one in description.labels.items()
        }
        for camera in self._states:
            self._publish_state(camera)
        self._describe()

    def _describe(self) -> None:
        described = self._description
        if not self._mqtt.discovery:
            return
        device = DiscoveredDevice(
            self._topics,
            self._cameras,
            described.model,
            self._options,
            described.stats_s,
            self._removed,
            described.models,
            described.offer,
        )
        payload = encoded(discovery_payload(device))
        without_options = encoded(discovery_payload(replace(device, options={})))

        def smaller(max_bytes: int) -> bytes | None:
            return without_options if len(without_options) <= max_bytes else None

        self._latest.put(MessageKind.DISCOVERY, self._topics.discovery, payload, smaller)
        self._described_removed = tuple(self._removed)

    def forget_cleared(self) -> None:
        """Forget the last states of removed cameras that the broker has forgotten.

        Until then they are what a restart knows of these cameras, to clear their topics again.
        """
        for camera in sorted(self._clearing):
            topics = set(self._retained_topics(camera).values())
            # Home Assistant learns from the description that a camera has gone.
            is_described = not self._mqtt.discovery or camera in self._described_removed
            if is_described and self._latest.is_settled(topics | {self._topics.discovery}):
                self._clearing.remove(camera)
                self._outbox.remember(_STATE + camera, None)
                self._outbox.remember(_CAMERA + camera, None)

    def say_offline(self) -> set[str]:
        """Device and cameras say ``offline``; on which topics."""
        offline = availability_payload(online=False)
        cameras = {self._topics.camera_availability(camera) for camera in self._cameras}
        for topic in cameras:
            self._latest.put(MessageKind.CAMERA, topic, offline)
        self._latest.put(MessageKind.NODE, self._topics.availability, offline)
        return {self._topics.availability, *cameras}

    def _publish_state(self, camera: str) -> None:
        problem = self._problems.get(camera, "")
        state, names = self._states[camera], self._names.get(camera, str)
        name = self._shown_names[camera] = names(state.label)
        options = self._options.get(camera)
        if options and name not in options:
            options.append(name)
            self._describe()
        payload = state_payload(state, names, problem)

        def smaller(max_bytes: int) -> bytes | None:
            without_top = encoded({**payload, "top": []})
            return without_top if len(without_top) <= max_bytes else None

        topic = self._topics.state(camera)
        self._latest.put(MessageKind.STATE, topic, encoded(payload), smaller)

    def smaller_jpeg(self, jpeg: bytes, max_bytes: int) -> bytes | None:
        """``jpeg`` in at most ``max_bytes``; None where that cannot be."""
        try:
            return self._shrink_jpeg(jpeg, max_bytes) if self._shrink_jpeg and jpeg else None
        except ValueError:
            return None

    def _remember_cameras(self, cameras: Iterable[str]) -> None:
        for camera in cameras:
            self._outbox.remember(_CAMERA + camera, "{}")

    def _clear_camera(self, camera: str) -> None:
        """An empty retained message takes away what the broker still keeps of ``camera``."""
        if self._snapshots:
            self._snapshots.forget(camera)
        self._removed.append(camera)
        self._clearing.add(camera)
        self._states.pop(camera, None)
        self._kept.pop(camera, None)
        self._problems.pop(camera, None)
        self._shown_names.pop(camera, None)
        for kind, topic in self._retained_topics(camera).items():
            self._latest.put(kind, topic, b"")

    def _retained_topics(self, camera: str) -> dict[MessageKind, str]:
        kinds = MessageKind.CAMERA, MessageKind.STATE, MessageKind.SNAPSHOT
        return dict(zip(kinds, self._topics.kept_of(camera), strict=True))


def known_cameras(remembered: Mapping[str, str]) -> set[str]:
    """Cameras of which the broker may keep something."""
    return {
        key.removeprefix(beginning)
        for beginning in (_STATE, _CAMERA)
        for key in remembered
        if key.startswith(beginning)
    }


def restored_numbers(remembered: Mapping[str, str]) -> dict[str, int]:
    """The number of each camera's last event, also from a state that cannot be read otherwise."""
    found = {
        key.removeprefix(_STATE): decoded_or_empty(text).get("seq")
        for key, text in remembered.items()
        if key.startswith(_STATE)
    }
    return {camera: seq for camera, seq in found.items() if isinstance(seq, int)}


def restored_states(remembered: Mapping[str, str]) -> dict[str, CameraState]:
    """The states among what is remembered, by camera."""
    found = {
        key.removeprefix(_STATE): restored_state(decoded_or_empty(text))
        for key, text in remembered.items()
        if key.startswith(_STATE)
    }
    return {camera: state for camera, state in found.items() if state is not None}
