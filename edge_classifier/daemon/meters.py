"""What the daemon counts and times: cheap to write for every frame, worked out when asked for.

The main loop's thread writes, and the publisher's through ``count_published``. Others read at any
time, without a lock: they copy first, which the interpreter does in one piece, and may miss the
frame that is being written.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from edge_classifier.protocols import Clock

# How many of the last values count. A power of two.
SIZE = 512
# Seconds looked back for frames per second.
RATE_S = 10.0

# What is timed. ``total``: the first three of a classified frame, without the camera. ``publish``:
# from the frame's capture until the broker has acknowledged its event.
STAGES = ("preprocess", "inference", "decision", "total", "publish")


class MetricSample(NamedTuple):
    """One number of a metric; its labels tell it from the others."""

    value: float
    labels: Mapping[str, str] = {}
    # Of the metric's name: ``_sum`` and ``_count`` of a summary.
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class DaemonMetric:
    """What is measured, and its samples; any part of the daemon gives it without a library."""

    # Ends with the unit. The project's prefix, and ``_total`` of a counter, are added later.
    name: str
    text: str
    kind: Literal["counter", "gauge", "summary"]
    samples: tuple[MetricSample, ...]


def counter(name: str, text: str, value: float) -> DaemonMetric:
    """A metric that only grows."""
    return DaemonMetric(name, text, "counter", (MetricSample(value),))


def gauge(name: str, text: str, value: float) -> DaemonMetric:
    """A metric that goes up and down."""
    return DaemonMetric(name, text, "gauge", (MetricSample(value),))


class Quantiles(NamedTuple):
    """Of the last values, in their unit."""

    p50: float
    p95: float


class RingBuffer:
    """The last values, with the sum and the number of all that ever came."""

    __slots__ = ("_values", "count", "total")

    def __init__(self) -> None:
        self._values = [0.0] * SIZE
        self.count = 0
        self.total = 0.0

    def add(self, value: float) -> None:
        """The oldest value goes."""
        self._values[self.count & (SIZE - 1)] = value
        self.total += value
        self.count += 1

    def values(self) -> list[float]:
        """Those that count, in no order."""
        return self._values[: min(self.count, SIZE)]

    def quantiles(self) -> Quantiles | None:
        """By nearest rank; None before the first value."""
        values = sorted(self.values())
        if not values:
            return None
        last = len(values) - 1
        return Quantiles(values[round(0.5 * last)], values[round(0.95 * last)])


class _CameraMeters:
    __slots__ = ("age_ms", "frames_at_s", "inference", "inferences", "reasons", "since_s")

    def __init__(self, since_s: float) -> None:
        self.since_s = since_s
        self.inferences = 0
        # Of its model, which other cameras may run as well.
        self.inference = RingBuffer()
        self.reasons: defaultdict[str, int] = defaultdict(int)
        self.age_ms = RingBuffer()
        self.frames_at_s = RingBuffer()

    def fps(self, now_s: float) -> float:
        recent = [at_s for at_s in self.frames_at_s.values() if at_s > now_s - RATE_S]
        # Of a fast camera, the ring holds less than the whole span.
        from_s = min(recent) if len(recent) == SIZE else max(now_s - RATE_S, self.since_s)
        return len(recent) / max(now_s - from_s, 1e-3)


class Meters:
    """What one daemon has counted and timed since its start."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._since_s = clock()
        self._cameras: dict[str, _CameraMeters] = {}
        # Milliseconds of the network, by the models that run now.
        self._models: dict[str, RingBuffer] = {}
        self._stages = {name: RingBuffer() for name in STAGES}
        self._preprocess, self._inference, self._decision, self._total, self._publish = (
            self._stages.values()
        )

    def set_cameras(self, cameras: Iterable[str], models: Mapping[str, str] = {}) -> None:
        """Count for these cameras and no others; what was counted for them stays.

        ``models``: what each of them runs, as far as that is to be counted.
        """
        known, now_s = self._cameras, self._clock()
        self._cameras = {name: known.get(name) or _CameraMeters(now_s) for name in cameras}
        running = dict.fromkeys(models.values())
        self._models = {model: self._models.get(model) or RingBuffer() for model in running}
        for name, model in models.items():
            self._cameras[name].inference = self._models[model]

    def count_frame(
        self,
        camera: str,
        reason: str,
        age_ms: float,
        preprocess_ms: float = 0.0,
        inference_ms: float = 0.0,
        decision_ms: float = 0.0,
    ) -> None:
        """Count one frame; takes about 1 us. ``inference_ms`` of 0: the network was not run.

        ``age_ms`` is from the frame's capture until it was taken up.
        """
        meters = self._cameras[camera]
        meters.reasons[reason] += 1
        meters.age_ms.add(age_ms)
        meters.frames_at_s.add(self._clock())
        if inference_ms:
            self._preprocess.add(preprocess_ms)
            self._inference.add(inference_ms)
            meters.inference.add(inference_ms)
            meters.inferences += 1
            self._decision.add(decision_ms)
            self._total.add(preprocess_ms + inference_ms + decision_ms)

    def inferences(self) -> Mapping[str, int]:
        """Frames that the network was run for since the start, by camera."""
        return {name: camera.inferences for name, camera in self._cameras.items()}

    def count_published(self, capture_to_publish_ms: float) -> None:
        """Count one event that the broker has acknowledged. For one thread, perhaps another one."""
        self._publish.add(capture_to_publish_ms)

    def stats(self, cameras: Mapping[str, Mapping[str, object]] = {}) -> dict[str, object]:
        """All of it for the ``stats`` topic; each camera's part together with what is given."""
        now_s = self._clock()
        rates = {name: camera.fps(now_s) for name, camera in self._cameras.items()}
        return {
            "uptime_s": round(now_s - self._since_s, 1),
            "fps": round(sum(rates.values()), 2),
            "stages_ms": {
                name: _rounded(ring) for name, ring in self._stages.items() if ring.count
            },
            "cameras": {
                name: {
                    "fps": round(rates[name], 2),
                    "reasons": _counts(camera),
                    "age_ms": _rounded(camera.age_ms),
                    **cameras.get(name, {}),
                }
                for name, camera in self._cameras.items()
            },
            "models": [
                {"model": model, "frames": ring.count, "inference_ms": _rounded(ring)}
                for model, ring in self._models.items()
            ],
        }

    def metrics(self) -> Iterator[DaemonMetric]:
        """All of it for Prometheus."""
        yield gauge(
            "uptime_seconds", "Since the daemon was started.", self._clock() - self._since_s
        )
        cameras = self._cameras.items()
        yield DaemonMetric(
            "frames", "Frames taken from a camera, by what became of them.", "counter",
            tuple(
                MetricSample(count, {"camera": name, "reason": reason})
                for name, camera in cameras
                for reason, count in _counts(camera).items()
            ),
        )  # fmt: skip
        yield _summary(
            "frame_age_seconds", "From a frame's capture until it was taken up.", "camera",
            {name: camera.age_ms for name, camera in cameras},
        )  # fmt: skip
        yield _summary("stage_seconds", "Time of one frame in each stage.", "stage", self._stages)
        text = "Time of one frame in the network, by model."
        yield _summary("model_inference_seconds", text, "model", self._models)


def _counts(camera: _CameraMeters) -> dict[str, int]:
    # Copied first: the pipeline may be about to count a reason for the first time.
    return {str(reason): count for reason, count in dict(camera.reasons).items()}


def _rounded(ring: RingBuffer) -> dict[str, float] | None:
    found = ring.quantiles()
    return found and {name: round(value, 2) for name, value in found._asdict().items()}


def _summary(name: str, text: str, label: str, rings: Mapping[str, RingBuffer]) -> DaemonMetric:
    """Of ring buffers of milliseconds."""
    samples = []
    for key, ring in rings.items():
        labels = {label: key}
        found = ring.quantiles()
        if found:
            samples += [
                MetricSample(found.p50 / 1e3, {**labels, "quantile": "0.5"}),
                MetricSample(found.p95 / 1e3, {**labels, "quantile": "0.95"}),
            ]
        samples += [
            MetricSample(ring.total / 1e3, labels, "_sum"),
            MetricSample(ring.count, labels, "_count"),
        ]
    return DaemonMetric(name, text, "summary", tuple(samples))
