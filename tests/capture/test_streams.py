"""A capture on a real network camera, and what becomes of it when that fails."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_classifier.capture.camera import CameraCapture
from edge_classifier.capture.sources import source_for
from edge_classifier.config.settings import CameraSettings
from tests.mjpeg import MjpegCamera, jpeg
from tests.waiting import eventually
from tests.watch import PATIENT_S, READ_S, Watch, colour_of, is_near

BLUE, RED = (200, 60, 30), (30, 60, 200)


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    with MjpegCamera() as camera:
        yield camera


@pytest.fixture
def watch(camera: MjpegCamera) -> Iterator[Watch]:
    with Watch(camera.url) as watch:
        eventually(watch.is_online)
        yield watch


def test_stream_shows_the_camera_in_blue_green_red(camera: MjpegCamera) -> None:
    with Watch(camera.url, read_timeout_s=PATIENT_S) as watch:
        for colour in (BLUE, RED):
            camera.picture = jpeg(colour)
            eventually(partial(watch.shows, colour))
        status = watch.capture.status
    assert status.description.startswith("320x240 MJPG")
    assert status.opened == 1


def test_stream_of_a_killed_server_goes_offline_at_once_and_comes_back(
    camera: MjpegCamera,
) -> None:
    with Watch(camera.url, read_timeout_s=PATIENT_S) as watch:
        eventually(watch.is_online)
        camera.kill()
        eventually(watch.is_offline)
        eventually(lambda: "cannot be reached" in watch.capture.status.reason)
        camera.picture = jpeg(RED)
        camera.start()
        eventually(watch.is_online)
        eventually(lambda: watch.shows(RED))
        assert watch.onlines == [True, False, True]


def test_stream_of_a_stalled_server_goes_offline_and_comes_back(
    camera: MjpegCamera, watch: Watch
) -> None:
    camera.stalled = True
    eventually(watch.is_offline)
    assert watch.silent_s > READ_S - 0.2
    assert f"no picture for {READ_S:g} s" in watch.capture.status.reason
    # It accepts connections all the time, which does not make it a camera.
    opened = camera.connections
    eventually(lambda: camera.connections > opened + 1)
    assert not watch.is_online()
    camera.stalled = False
    eventually(watch.is_online)
    assert watch.capture.status.hung == 0


def test_stream_with_damaged_pictures_now_and_then_stays_online(camera: MjpegCamera) -> None:
    with Watch(camera.url, read_timeout_s=PATIENT_S) as watch:
        eventually(watch.is_online)
        for _ in range(3):
            camera.garbage = 2
            eventually(lambda: camera.garbage == 0)
            eventually(partial(watch.is_beyond, watch.captured))
        assert watch.capture.status.failures == 0
        assert watch.onlines == [True]


def photograph(level: int = 120) -> bytes:
    """A JPEG with something in every part of it."""
    noise = np.random.default_rng(level).integers(0, 256, (240, 320, 3), np.uint8)
    pixels = cv2.addWeighted(cv2.GaussianBlur(noise, (9, 9), 3), 0.5, noise, 0, level)
    return bytes(cv2.imencode(".jpg", pixels)[1])


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.75, 0.95])
def test_stream_drops_and_counts_frames_that_are_cut_short(
    camera: MjpegCamera, share: float, capfd: pytest.CaptureFixture[str]
) -> None:
    camera.picture = photograph()
    with Watch(camera.url, read_timeout_s=PATIENT_S) as watch:
        eventually(watch.is_online)
        camera.cut_at = int(share * len(camera.picture))
        damaged = watch.capture.status.damaged
        eventually(lambda: watch.capture.status.damaged > damaged + 3)
        number = watch.captured
        eventually(lambda: watch.capture.status.damaged > damaged + 8)
        assert watch.captured == number, "a frame that was cut short came through"
        camera.cut_at = None
        eventually(partial(watch.is_beyond, number))
        assert watch.capture.status.failures == 0
    assert capfd.readouterr() == ("", "")


def test_stream_whose_parts_state_too_many_bytes_shows_whole_pictures(camera: MjpegCamera) -> None:
    camera.picture, camera.overstated = photograph(), 500
    with Watch(camera.url, picture_s=0.1, read_timeout_s=PATIENT_S) as watch:
        eventually(lambda: watch.number > 3)
        status = watch.capture.status
        assert (status.damaged, status.failures) == (0, 0)


def test_address_of_a_single_picture_is_asked_again_each_interval(camera: MjpegCamera) -> None:
    camera.is_still = True
    camera.picture = jpeg(BLUE)
    with Watch(camera.url, picture_s=0.2, read_timeout_s=PATIENT_S) as watch:
        eventually(partial(watch.shows, BLUE))
        camera.picture = jpeg(RED)
        eventually(partial(watch.shows, RED))
        began, sent = time.monotonic(), camera.sent
        eventually(lambda: camera.sent >= sent + 5)
        assert time.monotonic() - began > 0.7
        assert watch.capture.status.failures == 0
        camera.kill()
        eventually(watch.is_offline)
        camera.start()
        eventually(watch.is_online)


def test_address_of_a_single_picture_that_is_cut_short_is_dropped_and_counted(
    camera: MjpegCamera,
) -> None:
    camera.is_still, camera.picture = True, photograph()
    with Watch(camera.url, picture_s=0.1, read_timeout_s=PATIENT_S) as watch:
        eventually(watch.is_online)
        camera.cut_at = len(camera.picture) // 2
        eventually(lambda: watch.capture.status.damaged > 1)
        number = watch.captured
        eventually(lambda: watch.capture.status.damaged > 4)
        assert watch.captured == number
        camera.cut_at = None
        eventually(partial(watch.is_beyond, number))


def test_stream_that_had_noise_and_freezes_goes_offline_until_it_moves(
    camera: MjpegCamera,
) -> None:
    moving = threading.Event()
    moving.set()

    def picture() -> bytes:
        camera.sent += 1
        return jpeg((camera.sent % 200, 120, 40)) if moving.is_set() else jpeg(BLUE)

    camera.next_picture = picture  # type: ignore[method-assign]
    with Watch(camera.url, frozen_s=1, read_timeout_s=PATIENT_S) as watch:
        eventually(lambda: watch.number > 100)
        moving.clear()
        eventually(watch.is_offline)
        assert "frozen for 1 s" in watch.capture.status.reason
        opened = watch.capture.status.opened
        eventually(lambda: watch.capture.status.opened >= opened + 2)
        assert not watch.is_online()
        moving.set()
        eventually(watch.is_online)


def test_stream_with_nothing_but_damaged_pictures_goes_offline(
    camera: MjpegCamera, watch: Watch
) -> None:
    camera.garbage = 10**9
    eventually(watch.is_offline)
    camera.garbage = 0
    eventually(watch.is_online)


def test_stream_that_turns_black_goes_offline_until_something_shows(camera: MjpegCamera) -> None:
    with Watch(camera.url, black_s=1, read_timeout_s=PATIENT_S) as watch:
        eventually(watch.is_online)
        camera.picture = jpeg((0, 0, 0))
        eventually(watch.is_offline)
        assert "black for 1 s" in watch.capture.status.reason
        # Reopened more than once, it still is no working camera.
        opened = watch.capture.status.opened
        eventually(lambda: watch.capture.status.opened >= opened + 2)
        camera.picture = jpeg(BLUE)
        eventually(watch.is_online)
    assert watch.onlines == [True, False, True, False], "the last is its being stopped"


def test_stream_with_a_late_reader_shows_no_stale_frame(camera: MjpegCamera) -> None:
    settings = CameraSettings(source=camera.url)
    capture = CameraCapture("door", source_for(settings), settings, wake=lambda: None)
    capture.start()
    eventually(lambda: capture.status.online)
    # Two seconds in which nobody takes a frame: OpenCV alone would keep them all.
    eventually(lambda: capture.status.dropped > 50)
    camera.picture = jpeg(RED)
    sent = camera.sent
    # So many frames that the last of them were sent after the change.
    eventually(lambda: capture.status.dropped > sent)
    captured = capture.take_frame()
    assert captured is not None
    assert captured.number > sent
    assert is_near(colour_of(captured.frame), RED)
    assert capture.stop(20)


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://127.0.0.1:1/x", "Connection refused"),
        ("rtsp://no-such-host.invalid/x", "cannot be reached"),
        ("http://127.0.0.1:99999/x", "no valid address"),
    ],
)
def test_stream_of_a_wrong_address_says_what_is_wrong(address: str, problem: str) -> None:
    with Watch(address) as watch:
        eventually(lambda: problem in watch.capture.status.reason)
        assert "Check the address" in watch.capture.status.reason


def test_stream_with_a_login_needs_it_and_never_shows_it(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user, password = "admin", "p@ss w/rd:%41?#"
    with MjpegCamera(login=f"{user}:{password}") as camera:
        for credentials, works in ((f"{user}:{password}", True), ("admin:SECRET", False)):
            with Watch(camera.url, credentials) as watch:
                eventually(watch.is_online if works else watch.has_failed)
                status = watch.capture.status
                assert watch.is_online() is works
                shown = f"{status} {watch.capture!r} {vars(watch.capture)}"
            assert ("***@127.0.0.1" in shown) is not works
            for secret in ("p@ss", "p%40ss", "SECRET"):
                assert secret not in shown + caplog.text
        assert "Check path, user and password" in status.reason
    assert capfd.readouterr() == ("", "")


def test_stream_whose_server_comes_and_goes_leaks_nothing(camera: MjpegCamera) -> None:
    counts = []
    with Watch(camera.url) as watch:
        eventually(watch.is_online)
        for _ in range(20):
            camera.kill()
            eventually(watch.is_offline)
            camera.start()
            eventually(watch.is_online)
            eventually(lambda: camera.watchers == 1)
            counts.append((len(list(Path("/proc/self/fd").iterdir())), len(camera_threads())))
    assert {threads for _, threads in counts} == {1}
    assert max(counts[10:]) <= max(counts[:10]), f"open files and threads grow: {counts}"
    assert watch.capture.status.failures >= 20
    assert camera_threads() == []


def camera_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("camera-")]


def test_stream_of_a_dead_camera_prints_nothing(tmp_path: Path) -> None:
    # FFmpeg and OpenCV write to standard error by themselves, and read their levels only once.
    code = """
from edge_classifier.capture.opencv import DeviceSource, FileSource, StreamSource
from edge_classifier.errors import CameraError
for source in (
    StreamSource("http://u:SECRET@127.0.0.1:1/x", open_timeout_s=1, read_timeout_s=1),
    FileSource(__import__("sys").argv[1], loop=False),
    DeviceSource("/dev/null", size=(640, 480), read_timeout_s=1),
):
    try:
        source.open()
    except CameraError:
        print("failed")
"""
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    command = [sys.executable, "-c", code, str(text)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["failed"] * 3
    assert done.stderr == ""
