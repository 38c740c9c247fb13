"""Parts of the daemon around the one that is tested: fed by hand, and asked what they were told."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_classifier.capture.frame_slot import CameraStatus, CapturedFrame, Prepare
from edge_classifier.config.settings import CameraSettings, DecisionSettings, ModelSettings
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.events import CameraState, LabelChange, Moment
from edge_classifier.core.frame import Frame
from edge_classifier.daemon.active_model import ActiveModel, load_network
from edge_classifier.daemon.camera_pipeline import CameraPipeline
from edge_classifier.daemon.frame_result import FrameResult
from edge_classifier.mqtt.codec import Names, encoded
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.mqtt.status import PublisherStatus
from tests.fake_source import FakeClock
from tests.running_daemon import model

RED_GREEN_BLUE = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
# Each frame decides for itself.
AT_ONCE = DecisionSettings(smoothing="none", dwell_s=0, unknown_dwell_s=0)
CAMERA = CameraSettings(source="fed by hand", rate_fps=0, decision=AT_ONCE)
# When the monotonic clock of these tests was 0.
UTC_S = 1_700_000_000.0

ONLINE = CameraStatus(True, "", 0.0, "fed by hand", 1, 0, 0, 0, False)


def network(path: Path, *labels: str, size: int = 8) -> ActiveModel:
    """A real one that names the brightest colour, of a picture of ``size`` by ``size``."""
    return load_network(ModelSettings(use=str(model(path, labels or tuple(RED_GREEN_BLUE), size))))


def plain(colour: str, size: tuple[int, int] = (32, 24)) -> Frame:
    """A frame of ``size`` (width, height), all of one colour."""
    pixels = np.full((size[1], size[0], 3), RED_GREEN_BLUE[colour], np.uint8)
    return Frame(pixels, ColourOrder.RGB)


class HandFed:
    """A grabber that has the frames it is given."""

    def __init__(self) -> None:
        self.wanted_from = 0.0
        self.prepare: Prepare | None = None
        self.status = ONLINE
        self.connection = 1
        self.on_take: Callable[[], object] = lambda: None
        self._next: CapturedFrame | None = None
        self._number = 0

    def show(self, frame: Frame, at_s: float) -> None:
        """Put a frame there, unless it is one that nobody wants."""
        if at_s >= self.wanted_from:
            self._number += 1
            prepared = self.prepare(frame) if self.prepare else None
            at = Moment(UTC_S + at_s, at_s)
            self._next = CapturedFrame(frame, at, self._number, prepared, self.connection)

    def lose(self, reason: str) -> None:
        self.status = replace(self.status, online=False, reason=reason)

    def take(self) -> CapturedFrame | None:
        self.on_take()
        found, self._next = self._next, None
        return found


@dataclass
class Bench:
    """One lane, and all that it depends on."""

    network: ActiveModel
    settings: CameraSettings = CAMERA
    before: CameraState | None = None
    name: str = "door"
    minute: int = 12 * 60
    clock: FakeClock = field(default_factory=FakeClock)
    grabber: HandFed = field(default_factory=HandFed)

    def __post_init__(self) -> None:
        self._ids = 0
        self.lane = CameraPipeline(
            self.name,
            self.settings,
            self.grabber,
            self.network,
            before=self.before,
            clock=self.clock,
            new_id=self._new_id,
            minute_of_day=lambda: self.minute,
        )

    def look(self, colour: str, after_s: float = 1.0) -> FrameResult | None:
        """A frame comes ``after_s`` later; what became of it, if anybody wanted it."""
        self.clock.add(after_s)
        self.grabber.show(plain(colour), self.clock())
        return self.lane.turn(self.network)

    def see(self, colour: str, after_s: float = 1.0) -> FrameResult:
        """``look``, when it is known to be wanted."""
        outcome = self.look(colour, after_s)
        assert outcome is not None
        return outcome

    def _new_id(self) -> str:
        self._ids += 1
        return f"{self.name}-{self._ids}"


class Told(Publisher):
    """Keeps what it is told, and publishes nothing."""

    def __init__(self) -> None:
        self.events: list[LabelChange] = []
        self.states: dict[str, list[CameraState]] = {}  # type: ignore[assignment]
        self.pictures: list[tuple[str, bytes | None]] = []
        self.health: list[tuple[str, bool, str]] = []
        self.figures: list[Mapping[str, Any]] = []
        self.responses: list[tuple[str, Mapping[str, Any]]] = []
        self.notes: dict[str, Any] = {}
        self.cleared = 0
        self.now = PublisherStatus(connected=True, reason="")

    @property
    def status(self) -> PublisherStatus:
        return self.now

    def changed(
        self, event: LabelChange, state: CameraState, jpeg: Callable[[], bytes | None] | None
    ) -> None:
        self.events.append(event)
        self.state(state)
        if jpeg:
            self.pictures.append((event.camera, jpeg()))

    def state(self, state: CameraState) -> None:
        self.states.setdefault(state.camera, []).append(state)

    def snapshot(self, camera: str, jpeg: Callable[[], bytes | None]) -> None:
        self.pictures.append((camera, jpeg()))

    def camera(self, name: str, *, online: bool, reason: str = "") -> None:
        self.health.append((name, online, reason))

    def stats(self, figures: Mapping[str, Any]) -> None:
        self.figures.append(figures)

    def describe(self, labels: Sequence[str], name: Names, model: str, *, stats_s: float) -> None:
        raise NotImplementedError

    def respond(self, command: str, payload: Mapping[str, Any]) -> None:
        encoded(payload)  # As the real one does at once.
        self.responses.append((command, payload))

    def remember(self, key: str, value: Mapping[str, Any] | None) -> None:
        self.notes[key] = value

    def clear(self) -> None:
        self.cleared += 1
