"""``edge-classify bench``: what the pipeline costs beside the bare network."""

import json
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_classifier import samples
from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.cli.common import add_model_arguments, model_choice, print_notes, whole_number
from edge_classifier.core.contract import ColourOrder
from edge_classifier.core.frame import Frame
from edge_classifier.errors import ExitCode, UsageError
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.protocols import Clock
from edge_classifier.vision.pictures import load_picture

DESCRIPTION = "Measures decoding, preprocessing and inference against the bare network."
# Of the daemon and the bare network, by turns.
_ROUNDS = 12
_CAMERA_SIZES = ((640, 480), (1280, 720))
_WARM_UP = 10


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds."""

    median: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One frame size on one model."""

    frame: str
    rounds: int
    decode_ms: Spread
    preprocess_ms: Spread
    inference_ms: Spread
    # Preprocessing and inference, from frame to labels; decoding is not in it.
    total_ms: Spread
    bare_invoke_ms: Spread
    # Median over rounds of total over the bare invoke of the same round.
    ratio_to_bare_invoke: float


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--image", metavar="PATH", help="a picture instead of camera frames of 640x480 and 1280x720"
    )
    parser.add_argument("--rounds", type=whole_number(10, 100_000), default=300, metavar="N")
    parser.add_argument(
        "--daemon", action="store_true", help="measure the daemon instead: speed, memory, outbox"
    )
    parser.add_argument(
        "--minutes",
        type=whole_number(0, 24 * 60),
        default=0,
        metavar="N",
        help="with --daemon: also soak it for so long, with a camera that comes and goes",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_model_arguments(parser)
    parser.set_defaults(threads=1)


def run(options: Namespace) -> ExitCode:
    """Measure each source of frames by turns with the bare network."""
    if options.daemon:
        if options.image or model_choice(options) != ModelChoice():
            remedy = "It measures the embedded model on a picture of its own."
            raise UsageError("--daemon", "takes neither a model nor a picture", remedy)
        from edge_classifier.cli.bench.daemon import measure_daemon

        rows = []
        for row in measure_daemon(_ROUNDS, options.minutes):
            rows.append({**asdict(row), "met": row.met})
            if not options.json:
                bound = f"{'at least' if row.above else 'at most'} {row.limit:g}"
                verdict = "" if row.met else "  MISSED"
                print(f"{row.what:<40}{row.value:>9.3f} {row.unit:<8} {bound}{verdict}", flush=True)
        if options.json:
            print(json.dumps(rows, indent=1))
        return ExitCode.OK
    model = load_model(model_choice(options), threads=options.threads)
    print_notes(model.notes)
    classifier = model.classifier(AnswerOptions())
    sources = list(camera_frames())
    if options.image is not None:
        frame = load_picture(options.image).frame
        name = f"{frame.width}x{frame.height}"
        sources = [(name, lambda: load_picture(options.image).frame)]
    reports = [measure(name, decode, classifier, options.rounds) for name, decode in sources]
    facts = {
        "model": model.name,
        "runtime": f"{model.runtime.name} {model.runtime.version}",
        "delegate": model.delegate_choice.note,
        "threads": options.threads,
        "frames": [asdict(report) for report in reports],
    }
    if options.json:
        print(json.dumps(facts, indent=1))
    else:
        _print(facts, reports)
    return ExitCode.OK


# The size in words, and what decodes a frame anew.
FrameMaker = tuple[str, Callable[[], Frame]]


def camera_frames() -> Iterator[FrameMaker]:
    """Frames as of a camera, made of a bundled photograph."""
    photograph = load_picture(str(samples.CAT)).frame.pixels
    for width, height in _CAMERA_SIZES:
        pixels = cv2.resize(photograph, (width, height), interpolation=cv2.INTER_CUBIC)
        yield f"{width}x{height}", partial(_decoded, cv2.imencode(".jpg", pixels)[1])


def _decoded(jpeg: np.ndarray) -> Frame:
    """One frame of a camera's motion JPEG, in the colour order that the model wants."""
    return Frame(np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR_RGB), np.uint8), ColourOrder.RGB)


def measure(
    name: str,
    decode: Callable[[], Frame],
    classifier: Classifier,
    rounds: int,
    *,
    clock: Clock = time.perf_counter,
) -> BenchResult:
    """Decode and classify, decode and invoke, by turns for ``rounds`` rounds.

    The frame is fresh from its decoder, as a camera's is. The bare network runs after a decoder,
    too: what that has swept from the caches costs both the same.
    """
    for _ in range(_WARM_UP):
        classifier.classify(decode())
        classifier.engine.invoke()
    decodes, pre, inference, totals, bare = (np.empty(rounds) for _ in range(5))
    for number in range(rounds):
        started = clock()
        frame = decode()
        decoded = clock()
        found = classifier.classify(frame)
        classified = clock()
        decode()
        ready = clock()
        classifier.engine.invoke()
        done = clock()
        decodes[number] = decoded - started
        totals[number] = classified - decoded
        bare[number] = done - ready
        pre[number] = found.preprocess_ms / 1e3
        inference[number] = found.inference_ms / 1e3
    return BenchResult(
        frame=name,
        rounds=rounds,
        decode_ms=_spread(decodes),
        preprocess_ms=_spread(pre),
        inference_ms=_spread(inference),
        total_ms=_spread(totals),
        bare_invoke_ms=_spread(bare),
        ratio_to_bare_invoke=round(float(np.median(totals / bare)), 4),
    )


def _spread(seconds: NDArray[np.float64]) -> Spread:
    return Spread(*(round(float(1e3 * np.percentile(seconds, q)), 4) for q in (50, 95, 99)))


def _print(facts: dict[str, object], reports: list[BenchResult]) -> None:
    head = (
        f"{facts['model']}, {facts['runtime']}, {facts['delegate']}, {facts['threads']} thread(s)"
    )
    print(f"{head}; milliseconds")
    for report in reports:
        print(f"\nframe {report.frame}, {report.rounds} rounds{'median':>13}{'p95':>9}{'p99':>9}")
        for stage in ("decode", "preprocess", "inference", "total", "bare_invoke"):
            spread = getattr(report, f"{stage}_ms")
            print(f"  {stage:<26}{spread.median:>11.3f}{spread.p95:>9.3f}{spread.p99:>9.3f}")
        print(f"  ratio_to_bare_invoke{report.ratio_to_bare_invoke:>17.3f}")
