"""Turns what the pipeline tells into messages: events into the outbox, the rest onto the board."""

import json
import logging
from collections.abc import Mapping

from edge_classifier.config.settings import MqttSettings
from edge_classifier.core.events import CameraState, LabelChange
from edge_classifier.core.labels import UNKNOWN
from edge_classifier.mqtt.codec import (
    encoded,
    event_payload,
    is_worth_keeping,
    kept,
    kept_state,
    restored_state,
    state_payload,
)
from edge_classifier.mqtt.discovery import DiscoveredDevice, discovery_payload
from edge_classifier.mqtt.inbox import (
    CameraHealth,
    ConfiguredCameras,
    DeviceReport,
    ModelLabels,
    RememberedValue,
    SnapshotTaken,
    Update,
)
from edge_classifier.mqtt.outbox import Outbox
from edge_classifier.mqtt.outbox_database import QueuedEvent
from edge_classifier.mqtt.retained import MessageKind, RetainedTopics
from edge_classifier.mqtt.topics import OFFLINE, ONLINE, Topics

_log = logging.getLogger(__name__)

# What the keys of remembered states begin with; the camera's name follows.
_STATE = "state."


class MessageWriter:
    """Knows what each topic says at present."""

    def __init__(
        self,
        outbox: Outbox,
        board: RetainedTopics,
        topics: Topics,
        cameras: Mapping[str, str],
        mqtt: MqttSettings,
        boot: str,
    ) -> None:
        self._outbox = outbox
        self._board = board
        self._topics = topics
        self._cameras = cameras
        self._mqtt = mqtt
        self._boot = boot
        self._states: dict[str, CameraState] = {}
        self._problems: dict[str, str] = {}
        self._gone: list[str] = []
        # Of these the last state is remembered until the broker keeps nothing of them any more.
        self._clearing: set[str] = set()
        self._described_gone: tuple[str, ...] = ()
        self._labels = ModelLabels((), str, "", mqtt.stats_s)

    def restore(self, remembered: Mapping[str, str]) -> None:
        """Begin with what was published last, before there is a first frame."""
        self._board.put(MessageKind.NODE, self._topics.availability, ONLINE.encode())
        for camera in self._cameras:
            self._health(CameraHealth(camera, online=False, reason="not opened yet"))
        for camera, state in restored_states(remembered).items():
            if camera in self._cameras:
                self._states[camera] = state
                self._post_state(camera)
        # Also of those that another version, or a failing card, has left unreadable.
        known = (key.removeprefix(_STATE) for key in remembered if key.startswith(_STATE))
        for camera in known:
            if camera not in self._cameras:
                self._forget(camera)

    def change(self, event: LabelChange) -> None:
        """A new event."""
        payload = encoded(event_payload(event, self._labels.name))
        waiting = QueuedEvent(event.id, event.camera, payload, event.captured, self._boot)
        self._outbox.add([waiting])

    def take(self, latest: Update) -> None:
        """The newest of its kind."""
        match latest:
            case CameraState():
                self._state(latest)
            case CameraHealth():
                self._health(latest)
            case ConfiguredCameras():
                self._follow(latest.titles)
            case ModelLabels():
                self._labels = latest
                self._describe()
            case DeviceReport():
                stats = latest.kind == MessageKind.STATS
                topic = self._topics.stats if stats else self._topics.info
                self._board.put(latest.kind, topic, latest.payload)
            case RememberedValue():
                self._outbox.remember(latest.key, latest.value)
            case SnapshotTaken():
                self._picture(latest)

    def forget_cleared(self) -> None:
        """Forget the last states of removed cameras that the broker has forgotten.

        Until then they are what a restart knows of these cameras, to clear their topics again.
        """
        for camera in sorted(self._clearing):
            topics = set(self._retained(camera).values())
            # Home Assistant learns from the description that a camera has gone.
            is_described = not self._mqtt.discovery or camera in self._described_gone
            if is_described and self._board.is_settled(topics | {self._topics.discovery}):
                self._clearing.remove(camera)
                self._outbox.remember(_STATE + camera, None)

    def farewell(self) -> set[str]:
        """All say ``offline``; on which topics."""
        cameras = {self._topics.camera_availability(camera) for camera in self._cameras}
        for topic in cameras:
            self._board.put(MessageKind.CAMERA, topic, OFFLINE.encode())
        self._board.put(MessageKind.NODE, self._topics.availability, OFFLINE.encode())
        return {self._topics.availability, *cameras}

    def _state(self, state: CameraState) -> None:
        if state.camera not in self._cameras:
            return  # The last word of one that has just been removed.
        if is_worth_keeping(state, self._states.get(state.camera)):
            self._outbox.remember(_STATE + state.camera, json.dumps(kept_state(state)))
        self._states[state.camera] = state
        self._post_state(state.camera)

    def _post_state(self, camera: str) -> None:
        problem = self._problems.get(camera, "")
        payload = state_payload(self._states[camera], self._labels.name, problem)
        self._board.put(MessageKind.STATE, self._topics.state(camera), encoded(payload))

    def _health(self, health: CameraHealth) -> None:
        if health.camera not in self._cameras:
            return
        word = ONLINE if health.online else OFFLINE
        topic = self._topics.camera_availability(health.camera)
        self._board.put(MessageKind.CAMERA, topic, word.encode())
        self._problems[health.camera] = "" if health.online else health.reason
        if health.camera in self._states:
            self._post_state(health.camera)

    def _follow(self, titles: Mapping[str, str]) -> None:
        """Cameras may come and go while the daemon runs."""
        before, self._cameras = self._cameras, titles
        self._gone = [camera for camera in self._gone if camera not in titles]
        self._clearing -= titles.keys()
        for camera in before.keys() - titles.keys():
            self._forget(camera)
        for camera in titles.keys() - before.keys():
            self._health(CameraHealth(camera, online=False, reason="not opened yet"))
        if self._labels.labels:
            self._describe()

    def _describe(self) -> None:
        labels = self._labels
        for camera in self._states:
            self._post_state(camera)
        if not self._mqtt.discovery:
            return
        options = [labels.name(label) for label in (*labels.labels, UNKNOWN)]
        device = DiscoveredDevice(
            self._topics, self._cameras, labels.model, options, labels.stats_s, self._gone
        )
        payload = encoded(discovery_payload(device))
        self._board.put(MessageKind.DISCOVERY, self._topics.discovery, payload)
        self._described_gone = tuple(self._gone)

    def _picture(self, picture: SnapshotTaken) -> None:
        try:
            jpeg = picture.jpeg()
        except Exception:  # noqa: BLE001 (a picture must not cost the events)
            _log.exception("%s: no snapshot", picture.camera)
            return
        if jpeg is not None:
            self._board.put(MessageKind.SNAPSHOT, self._topics.snapshot(picture.camera), jpeg)

    def _forget(self, camera: str) -> None:
        """An empty retained message takes away what the broker still keeps of ``camera``."""
        self._gone.append(camera)
        self._clearing.add(camera)
        self._states.pop(camera, None)
        self._problems.pop(camera, None)
        for kind, topic in self._retained(camera).items():
            self._board.put(kind, topic, b"")

    def _retained(self, camera: str) -> dict[MessageKind, str]:
        """The topics of ``camera`` of which the broker keeps the last message."""
        return {
            MessageKind.CAMERA: self._topics.camera_availability(camera),
            MessageKind.STATE: self._topics.state(camera),
            MessageKind.SNAPSHOT: self._topics.snapshot(camera),
        }


def restored_states(remembered: Mapping[str, str]) -> dict[str, CameraState]:
    """The states among what is remembered, by camera."""
    found = {
        key.removeprefix(_STATE): restored_state(kept(text))
        for key, text in remembered.items()
        if key.startswith(_STATE)
    }
    return {camera: state for camera, state in found.items() if state is not None}
