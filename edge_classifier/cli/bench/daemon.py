"""``edge-classify bench --daemon``: the daemon as a process, beside the bare network."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge_classifier import samples
from edge_classifier.cli.bench.daemon_trial import DaemonTrial, MjpegCamera, mjpeg_camera
from edge_classifier.config.mqtt_settings import MqttSettings, OutboxSettings
from edge_classifier.core.events import CameraState, LabelChange, Moment, Ranked
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.mqtt.publisher import Publisher
from edge_classifier.vision.pictures import load_picture

# What one would write without this project, for the int8 input of the embedded model.
TEN_LINES = """
import sys, cv2, numpy as np
from {module} import Interpreter
network = Interpreter(sys.argv[1], num_threads=1)
network.allocate_tensors()
given, made = network.get_input_details()[0], network.get_output_details()[0]
for path in sys.argv[2:]:
    picture = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
    small = cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA)
    network.set_tensor(given["index"], (small[None] ^ 0x80).view(np.int8))
    network.invoke()
    print(path, network.get_tensor(made["index"])[0].argmax())
"""

_PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""

_SILENT = "[mqtt]\nenabled = false\n"
_UNLIMITED = (
    _SILENT
    + """
[cameras.camera]
source = "pictures:{folder}"
picture_s = 0
rate_fps = 0
"""
)
_GATED = _UNLIMITED + "[motion]\nenabled = true\n"
_STREAM = """
[cameras.camera{number}]
source = "{url}"
rate_fps = 5
read_timeout_s = 2
retry_max_s = 1
"""
_CUT_S = 15.0
_MORE_CAMERAS = 3
_OUTAGE_EVENTS = 3600
_MODEL = "mobilenet-v2-int8@ac8b0d0a"
_TURN_S = 2.0
_SETTLED_S = 6.0


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One figure and its limit."""

    what: str
    value: float
    limit: float
    unit: str = ""
    # Whether the limit is the least value, not the most.
    above: bool = False

    @property
    def met(self) -> bool:
        """Whether it keeps its limit."""
        return self.value >= self.limit if self.above else self.value <= self.limit


def measure_daemon(rounds: int, minutes: float) -> Iterator[BenchRow]:
    """All rows, as they come. ``minutes``: of the soak; 0: none."""
    model = load_model(ModelChoice())
    with tempfile.TemporaryDirectory() as folder:
        # A bundled photograph as a camera of 640x480 would give it.
        pixels = cv2.resize(load_picture(str(samples.CAT)).frame.pixels, (640, 480))
        picture = Path(folder, "frame.jpg")
        cv2.imwrite(str(picture), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
        # A small process stands between the script and this one: Linux counts the memory of the
        # process that starts another into the other's peak.
        script = TEN_LINES.format(module=model.runtime.module.__name__)
        command = [sys.executable, "-c", script, str(model.delegate_choice.model), str(picture)]
        measured = [sys.executable, "-S", "-c", _PEAK, *command]
        done = subprocess.run(measured, capture_output=True, text=True, check=True)
        script_mb = int(done.stdout) / 1024
        yield from _speed(model, Path(folder), rounds)
        yield from _memory(picture.read_bytes(), script_mb)
        if minutes:
            yield from _soak(picture.read_bytes(), minutes)
        yield _outage(Path(folder))


def _speed(model: LoadedModel, folder: Path, rounds: int) -> Iterator[BenchRow]:
    """The daemon and the bare network by turns, a second each: a busy machine slows both."""
    ratios = []
    with DaemonTrial(_UNLIMITED.format(folder=folder)) as free:
        for _ in range(rounds):
            run = _run(free)
            with free.paused():
                for _ in range(20):
                    model.engine.invoke()
                started, count = time.perf_counter(), 0
                while time.perf_counter() - started < _TURN_S:
                    model.engine.invoke()
                    count += 1
                bare_fps = count / (time.perf_counter() - started)
            ratios.append(run.fps / bare_fps)
        with DaemonTrial(_GATED.format(folder=folder)) as still:
            with free.paused():
                gated_ms = _run(still).cpu_ms
            with still.paused():
                free_ms = _run(free).cpu_ms
    yield BenchRow("frames per second / bare invoke's", statistics.median(ratios), 0.93, above=True)
    yield BenchRow("CPU time of a gated frame / ungated", gated_ms / free_ms, 0.10)


@dataclass(frozen=True, slots=True)
class _Span:
    fps: float
    cpu_ms: float


def _run(trial: DaemonTrial) -> _Span:
    """What a daemon does in one turn."""
    first = trial.read()
    time.sleep(_TURN_S)
    last = trial.read()
    frames = last.frames - first.frames
    return _Span(frames / (last.at_s - first.at_s), 1e3 * (last.cpu_s - first.cpu_s) / frames)


def _memory(jpeg: bytes, script_mb: float) -> Iterator[BenchRow]:
    peaks = []
    with mjpeg_camera(jpeg, 15) as camera:
        for cameras in (1, 1 + _MORE_CAMERAS):
            with DaemonTrial(_streams(camera, cameras)) as trial:
                time.sleep(_SETTLED_S)
                peaks.append(trial.read().peak_mb)
    one, more = peaks
    yield BenchRow("peak memory, one camera / script's", one / script_mb, 1.35)
    yield BenchRow("each further camera", (more - one) / _MORE_CAMERAS, 15, "MB")


def _streams(camera: MjpegCamera, cameras: int) -> str:
    streams = (_STREAM.format(number=number, url=camera.url) for number in range(cameras))
    return _SILENT + "".join(streams)


def _soak(jpeg: bytes, minutes: float) -> Iterator[BenchRow]:
    """Memory over time, with a camera that is cut off again and again."""
    with mjpeg_camera(jpeg, 15) as camera, DaemonTrial(_streams(camera, 1)) as trial:
        # The first minute's share is warming up: caches and arenas fill.
        ends = time.monotonic() + 60 * minutes
        readings = []
        while time.monotonic() < ends:
            time.sleep(_CUT_S)
            camera.cut += 1
            readings.append(trial.read().rss_mb)
        settled = readings[len(readings) // 10 :]
        spread = max(settled) - min(settled)
        yield BenchRow(f"memory, spread over {minutes:g} min", spread / 2, 3, "MB (+-)")


def _outage(folder: Path) -> BenchRow:
    """The outbox after an hour without a broker at an event a second."""
    state = folder / "outage"
    state.mkdir()
    publisher = Publisher(
        MqttSettings(host="127.0.0.1", port=9),
        OutboxSettings(),
        state / "outbox.db",
        node="trial",
        cameras={"camera": "camera"},
        password=lambda: None,
        on_request=lambda *_: None,
        on_published=lambda _: None,
    )
    publisher.start()
    for seq in range(_OUTAGE_EVENTS):
        now = Moment(time.time(), time.monotonic())
        before, after = ("tabby", "espresso") if seq % 2 else ("espresso", "tabby")
        event = LabelChange(
            id=f"{seq:032x}", seq=seq + 1, camera="camera", before=before, after=after,
            score=0.87654, margin=0.54321, captured=now, model=_MODEL, path=(after,),
            top=(Ranked(after, 0.87654), Ranked(before, 0.1), Ranked("cup", 0.01)),
        )  # fmt: skip
        shown = CameraState(
            camera="camera", label=after, score=0.87654, margin=0.54321, top=(), since=now.utc,
            at=now.utc, seq=seq + 1, model=_MODEL, enabled=True, threshold=0.6,
        )  # fmt: skip
        publisher.put_events([event], shown)
        if seq % 100 == 99:
            time.sleep(0.05)  # As many as its queue may hold would be dropped at once.
    publisher.stop(10)
    size = sum(file.stat().st_size for file in state.iterdir())
    return BenchRow(f"outbox with {publisher.status.waiting} events", size / 1e6, 5, "MB")
