"""Parts of the daemon around the one that is tested: fed by hand, and asked what they were told."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from edge_classifier.capture.frame_slot import CameraStatus, CapturedFrame, Prepare
from edge_classifier.config.mqtt_settings import SnapshotSettings
from edge_classifier.config.settings import (
    CameraSettings,
    DecisionSettings,
    ModelSettings,
    StoreSettings,
)
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.events import CameraEvent, CameraState, LabelChange, Moment
from edge_classifier.core.frame import Frame
from edge_classifier.daemon.cameras.camera_pipeline import (
    CameraPipeline,
    DaemonOutputs,
)
from edge_classifier.daemon.cameras.frame_result import FrameResult
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.models.active_model import (
    ActiveModel,
    load_active_model,
)
from edge_classifier.daemon.store import CaptureStore
from edge_classifier.mqtt.codec.burst_frames import burst_comment
from edge_classifier.mqtt.codec.json_fields import encoded
from edge_classifier.mqtt.message_writer import CameraLabels, EncodeJpeg
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.mqtt.publisher_thread import PublisherStatus
from tests.fake_source import FakeClock
from tests.running_daemon import model

RED_GREEN_BLUE = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
# Each frame decides for itself.
AT_ONCE = DecisionSettings(smoothing="none", dwell_s=0, unknown_dwell_s=0)
CAMERA = CameraSettings(source="fed by hand", rate_fps=0, decision=AT_ONCE)
SNAPSHOTS = SnapshotSettings()
# When the monotonic clock of these tests was 0.
UTC_S = 1_700_000_000.0

ONLINE = CameraStatus(True, "", 0.0, "fed by hand", 1, 0, 0, 0, 0, False)


def colour_model(path: Path, *labels: str, size: int = 8) -> ActiveModel:
    """A real one that names the brightest colour, of a picture of ``size`` by ``size``."""
    file = model(path, labels or tuple(RED_GREEN_BLUE), size)
    return load_active_model(ModelSettings(use=str(file)))


def plain(colour: str, size: tuple[int, int] = (32, 24)) -> Frame:
    """A frame of ``size`` (width, height), all of one colour."""
    pixels = np.full((size[1], size[0], 3), RED_GREEN_BLUE[colour], np.uint8)
    return Frame(pixels, ColourOrder.RGB)


class HandFedCapture:
    """A camera that has the frames it is given."""

    def __init__(self) -> None:
        self.wanted_from = 0.0
        self.prepare: Prepare | None = None
        self.status = ONLINE
        self.opening = 1
        self.on_take: Callable[[], object] = lambda: None
        self._next: CapturedFrame | None = None
        self._number = 0

    def show(self, frame: Frame, at_s: float) -> None:
        """Put a frame there, unless it is one that nobody wants."""
        if at_s >= self.wanted_from:
            self._number += 1
            prepared = self.prepare(frame) if self.prepare else None
            at = Moment(UTC_S + at_s, at_s)
            self._next = CapturedFrame(frame, at, self._number, prepared, self.opening)

    def take_frame(self) -> CapturedFrame | None:
        self.on_take()
        found, self._next = self._next, None
        return found


class RecordingPublisher(Publisher):
    """Keeps what it is told, and publishes nothing."""

    def __init__(self) -> None:
        # Events and health in their order.
        self.calls: list[str] = []
        self.events: list[CameraEvent] = []
        self.states: dict[str, list[CameraState]] = {}  # type: ignore[assignment]
        self.pictures: list[tuple[str, bytes | None]] = []
        # The events that pictures were said to belong to.
        self.pictures_of: list[str] = []
        self.burst_frames: list[bytes] = []
        # What the broker takes; None: any.
        self.most_burst_bytes: int | None = None
        self.health: list[tuple[str, bool, str]] = []
        self.statistics: list[Mapping[str, Any]] = []
        self.infos: list[Mapping[str, Any]] = []
        self.responses: list[tuple[str, Mapping[str, Any]]] = []
        self.remembered_values: dict[str, Any] = {}
        self.cleared = 0
        self.now = PublisherStatus(connected=True, reason="")

    @property
    def status(self) -> PublisherStatus:
        return self.now

    @property
    def changes(self) -> list[LabelChange]:
        return [event for event in self.events if isinstance(event, LabelChange)]

    def put_events(
        self,
        events: Sequence[CameraEvent],
        state: CameraState,
        pictures: Mapping[str, Callable[[], bytes | None]] = MappingProxyType({}),
    ) -> None:
        self.calls.append("changed")
        self.events += events
        self.put_state(state)
        for event_id, jpeg in pictures.items():
            self.put_snapshot(state.camera, jpeg, event_id)

    def put_state(self, state: CameraState) -> None:
        self.states.setdefault(state.camera, []).append(state)

    def put_snapshot(
        self, camera: str, jpeg: Callable[[], bytes | None], event_id: str = ""
    ) -> None:
        self.pictures.append((camera, jpeg()))
        self.pictures_of.append(event_id)

    def put_burst_frame(
        self, state: CameraState, captured_utc_s: float, encode: EncodeJpeg
    ) -> None:
        comment = burst_comment(state, captured_utc_s, str)
        self.burst_frames.append(encode(self.most_burst_bytes, comment))

    def clear_snapshot(self, camera: str) -> None:
        self.pictures.append((camera, b""))

    def put_camera_health(self, camera: str, *, online: bool, reason: str = "") -> None:
        self.calls.append("camera")
        self.health.append((camera, online, reason))

    def put_stats(self, stats: Mapping[str, Any]) -> None:
        self.statistics.append(stats)

    def follow_cameras(self, cameras: Mapping[str, str]) -> None:
        self.titles = cameras

    def describe_device(
        self,
        labels: Mapping[str, CameraLabels],
        model: str,
        models: Sequence[str] = (),
        *,
        stats_s: float,
        offer: str = "",
    ) -> None:
        self.described = labels, model, models, stats_s
        self.offer = offer

    def put_info(self, info: Mapping[str, Any]) -> None:
        encoded(info)
        self.infos.append(info)

    def put_response(self, command: str, payload: Mapping[str, Any]) -> None:
        encoded(payload)  # As the real one does at once.
        self.responses.append((command, payload))

    def remember(self, key: str, value: Mapping[str, Any] | None) -> None:
        self.remembered_values[key] = value

    def clear_outbox(self) -> None:
        self.cleared += 1

    def forget_incidents(self) -> None:
        self.now = replace(self.now, incidents=())


@dataclass
class PipelineBench:
    """One pipeline, and all that it depends on."""

    model: ActiveModel
    settings: CameraSettings = CAMERA
    before: CameraState | None = None
    name: str = "door"
    minute: int = 12 * 60
    snapshots: SnapshotSettings = SNAPSHOTS
    clock: FakeClock = field(default_factory=FakeClock)
    capture: HandFedCapture = field(default_factory=HandFedCapture)
    publisher: RecordingPublisher = field(default_factory=RecordingPublisher)
    store: CaptureStore = field(
        default_factory=lambda: CaptureStore(StoreSettings(), Path("/nothing/is/kept"))
    )
    meters: Meters = field(default_factory=Meters)
    # The ids of its events; None: what people can read.
    new_ids: Iterator[str] | None = None
    explained: list[FrameResult] = field(default_factory=list)
    # Called with each frame that has gone through.
    on_result: Callable[[FrameResult], object] = lambda _: None

    def __post_init__(self) -> None:
        self._ids = 0
        self.meters.set_cameras([self.name])
        self.pipeline = CameraPipeline(
            self.name,
            self.settings,
            self.snapshots,
            self.model,
            self.capture,
            DaemonOutputs(self.publisher, self.store, self.meters, self._explain),
            restored=self.before,
            clock=self.clock,
            new_id=self._new_id,
            minute_of_day=lambda: self.minute,
        )

    def configure(
        self, settings: CameraSettings | None = None, model: ActiveModel | None = None
    ) -> None:
        """Other settings or another model from now on."""
        self.settings, self.model = settings or self.settings, model or self.model
        self.pipeline.configure(self.settings, self.snapshots, self.model)

    def look(self, colour: str, after_s: float = 1.0) -> FrameResult | None:
        """A frame comes ``after_s`` later; what became of it, if anybody wanted it."""
        return self.show(plain(colour), after_s)

    def show(self, frame: Frame, after_s: float = 1.0) -> FrameResult | None:
        """``frame`` comes ``after_s`` later; what became of it, if anybody wanted it."""
        self.clock.add(after_s)
        self.capture.show(frame, self.clock())
        return self.pipeline.process_frame()

    def see(self, colour: str, after_s: float = 1.0) -> FrameResult:
        """``look``, when it is known to be wanted."""
        result = self.look(colour, after_s)
        assert result is not None
        return result

    def _explain(self, _pipeline: CameraPipeline, result: FrameResult) -> None:
        self.explained.append(result)
        self.on_result(result)

    def _new_id(self) -> str:
        if self.new_ids:
            return next(self.new_ids)
        self._ids += 1
        return f"{self.name}-{self._ids}"
