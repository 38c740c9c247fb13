"""Bursts of a camera: frames for whoever looks now, bounded, and none from a camera that is off."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_classifier.core.jpeg_comment import comment_of, with_comment
from edge_classifier.mqtt.codec.burst_frames import BurstRequest, read_burst_frame
from edge_classifier.vision.jpeg import jpeg
from tests.daemon.in_process import InProcessDaemon
from tests.daemon.parts import CAMERA, PipelineBench, colour_model, plain


@pytest.fixture
def bench(tmp_path: Path) -> PipelineBench:
    return PipelineBench(colour_model(tmp_path / "rgb.tflite"))


def ask(bench: PipelineBench, **wanted: float) -> None:
    bench.pipeline.burst.ask(replace(BurstRequest(), **wanted))  # type: ignore[arg-type]


def test_burst_has_frames_at_its_rate_until_its_seconds_are_over(bench: PipelineBench) -> None:
    bench.see("red")
    assert not bench.publisher.burst_frames
    ask(bench, seconds=2, rate_fps=2)
    for _ in range(40):
        bench.see("green", 0.1)
    assert len(bench.publisher.burst_frames) == 4


def test_burst_at_the_rate_of_the_camera_leaves_out_no_frame_that_comes_early(
    bench: PipelineBench,
) -> None:
    ask(bench, seconds=20, rate_fps=5)
    for number in range(20):
        bench.see("green", 0.19 if number % 2 else 0.21)
    assert len(bench.publisher.burst_frames) == 20


def test_frame_says_what_its_camera_shows_and_is_as_small_as_asked(bench: PipelineBench) -> None:
    ask(bench, longest_px=40)
    bench.show(plain("green", (160, 120)))
    (payload,) = bench.publisher.burst_frames
    frame = read_burst_frame(payload)
    pixels = cv2.imdecode(np.frombuffer(frame.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape == (30, 40, 3)
    state = bench.pipeline.state()
    assert (frame.meta["label"], frame.meta["score"]) == (state.label, round(state.score, 4))
    assert frame.meta["label"] == frame.meta["top"][0]["label"] == "green"
    assert frame.meta["box"] is None
    assert frame.meta["ts"].endswith("+00:00")


def test_frame_has_no_more_bytes_than_asked_and_than_the_broker_takes(
    bench: PipelineBench,
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    ask(bench, rate_fps=5, max_bytes=20_000)
    bench.show(replace(plain("green"), pixels=noise))
    bench.publisher.most_burst_bytes = 3_000
    bench.show(replace(plain("green"), pixels=noise))
    first, second = map(len, bench.publisher.burst_frames)
    assert second <= 3_000 < first <= 20_000


def test_second_request_prolongs_the_burst_and_does_not_add_to_it(bench: PipelineBench) -> None:
    ask(bench, seconds=1, rate_fps=5, longest_px=320)
    ask(bench, seconds=3, rate_fps=1, longest_px=160)
    for _ in range(10):
        bench.see("green", 0.1)
    assert len(bench.publisher.burst_frames) in (5, 6)
    for _ in range(40):
        bench.see("green", 0.1)
    # After the first is over, what the second asks for is all.
    assert len(bench.publisher.burst_frames) in (7, 8)


def test_requests_without_end_are_forgotten_and_cost_nothing(bench: PipelineBench) -> None:
    for number in range(1000):
        ask(bench, seconds=1 + number % 19)
    bench.see("green", 20.1)
    bench.see("green")
    assert not bench.publisher.burst_frames


def test_zero_seconds_end_the_burst(bench: PipelineBench) -> None:
    ask(bench, seconds=20, rate_fps=5)
    bench.see("green")
    ask(bench, seconds=0)
    bench.see("green")
    assert len(bench.publisher.burst_frames) == 1


def test_camera_that_is_switched_off_or_quiet_ends_its_burst(bench: PipelineBench) -> None:
    ask(bench, seconds=20, rate_fps=5)
    bench.configure(replace(CAMERA, enabled=False))
    bench.see("green")
    bench.configure(CAMERA)
    bench.see("green")
    ask(bench, seconds=20, rate_fps=5)
    bench.configure(replace(CAMERA, quiet_hours=("12:00-13:00",)))
    bench.see("green")
    assert not bench.publisher.burst_frames


def test_request_is_answered_with_what_is_in_force(daemon: InProcessDaemon) -> None:
    daemon.goes_on()
    assert daemon.done("burst", camera="door", seconds=20, rate=3, longest_px=320) == {
        "camera": "door",
        "seconds": 20,
        "rate": 3,
        "longest_px": 320,
        "max_bytes": 100_000,
    }
    assert daemon.done("burst", camera="door", seconds=5, longest_px=640)["longest_px"] == 640
    daemon.turn_until(lambda: daemon.publisher.burst_frames)
    assert daemon.done("burst", camera="door", seconds=0)["seconds"] == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "burst needs a camera; there are door, yard"),
        ({"camera": "roof"}, "no camera 'roof'"),
        ({"camera": "door", "seconds": 21}, "seconds must be a number from 0 to 20"),
        ({"camera": "door", "seconds": True}, "seconds must be a number"),
        ({"camera": "door", "rate": 0}, "rate must be a number from 0.1 to 5"),
        ({"camera": "door", "rate": "5"}, "rate must be a number"),
        ({"camera": "door", "longest_px": 4000}, "longest_px must be a number from 32 to 1920"),
        ({"camera": "door", "max_bytes": 1e9}, "max_bytes must be a number from 2000 to 250000"),
        ({"camera": "door", "max_bytes": None}, "max_bytes must be a number"),
    ],
)
def test_request_that_is_wrong_is_refused(
    daemon: InProcessDaemon, body: dict[str, object], words: str
) -> None:
    assert words in daemon.refused("burst", **body)
    assert not daemon.publisher.burst_frames


def test_camera_that_is_switched_off_answers_with_the_reason(daemon: InProcessDaemon) -> None:
    daemon.goes_on()
    daemon.done("enable", camera="door", enabled=False)
    answer = daemon.ask("burst", camera="door")
    assert answer["status"] == "error"
    assert answer["error"] == "door gives no pictures now: the camera is switched off"


@pytest.mark.parametrize(
    "comment",
    [
        "",
        "edge-classifier event 0123456789abcdef0123456789abcdef",
        "edge-classifier burst {",
        "edge-classifier burst []",
        "edge-classifier burst {}",
        'edge-classifier burst {"ts": "yesterday"}',
    ],
)
def test_picture_that_says_nothing_is_no_frame_of_a_burst(
    bench: PipelineBench, comment: str
) -> None:
    ask(bench)
    bench.see("green")
    (payload,) = bench.publisher.burst_frames
    said = comment_of(payload)
    assert said is not None
    with pytest.raises(ValueError, match=r"\w"):
        read_burst_frame(payload.replace(said.encode(), comment.encode().ljust(len(said.encode()))))
    with pytest.raises(ValueError, match="whole JPEG"):
        read_burst_frame(payload[:-40])


def test_what_a_frame_says_is_cut_to_a_line(bench: PipelineBench) -> None:
    bench.see("green")
    told = replace(bench.pipeline.state(), label=500 * "x", score=7.0)
    bench.publisher.put_burst_frame(
        told, 1.0, lambda _, comment: with_comment(jpeg(plain("green")), comment)
    )
    meta = read_burst_frame(bench.publisher.burst_frames[-1]).meta
    assert (len(meta["label"]), meta["score"]) == (200, 0.0)
