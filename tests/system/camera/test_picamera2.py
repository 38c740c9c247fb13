"""The capture adapter and the daemon on the real picamera2 and libcamera."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.mosquitto import Broker, Listener
from tests.system.camera.libcamera import installed, with_camera
from tests.system.debian import PYTHON, Root
from tests.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

# What the scene shows in its quarters, from the left and from the top: red, green, blue.
AREAS: Mapping[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "white": (255, 255, 255),
}
# The virtual camera converts in full range of luminance, and says the limited one.
NEAR = 30
SHOW = """
import json, sys
from edge_classifier.capture.picamera import PicameraSource
from edge_classifier.config.settings import CameraSettings

def look():
    source = PicameraSource(CameraSettings(source="picamera2", read_timeout_s=20), 224)
    made = source.open()
    for _ in range(5):
        source.grab()
    frame = source.retrieve()
    source.close()
    height, width = frame.pixels.shape[:2]
    middles = [frame.pixels[y * height // 4, x * width // 4] for y in (1, 3) for x in (1, 3)]
    step = 1 if frame.order == "rgb" else -1
    return {"made": made, "size": [width, height], "rgb": [m[::step].tolist() for m in middles]}

json.dump([look(), look()], sys.stdout)
"""
MISSING = """
import os
from edge_classifier.capture.picamera import PicameraSource
from edge_classifier.config.settings import CameraSettings
from edge_classifier.errors import CameraError

source = PicameraSource(CameraSettings(source="picamera2:1"), 224)
for _ in range(3):
    try:
        source.open()
    except CameraError as error:
        print(error)
    source.close()
    print("open files:", len(os.listdir("/proc/self/fd")))
"""
SETTINGS = """
[device]
name = "pi"
[mqtt]
host = "127.0.0.1"
port = {port}
stats_s = 1
[http]
enabled = false
[cameras.front]
source = "picamera2"
read_timeout_s = 20
"""


@pytest.fixture(scope="module")
def debian() -> Path:
    return installed()


@pytest.fixture
def colours(debian: Path, tmp_path: Path) -> Root:
    """The camera sees four areas of colour."""
    names = np.array([list(AREAS.values())[:2], list(AREAS.values())[2:]], np.uint8)
    scene = names.repeat(240, axis=0).repeat(320, axis=1)
    return with_camera(debian, written(tmp_path / "scene.jpg", scene))


@pytest.fixture
def espresso(debian: Path, tmp_path: Path) -> Root:
    """The camera sees a cup of coffee."""
    picture = cv2.imread(str(REPOSITORY / "edge_classifier/samples/espresso.jpg"))
    assert picture is not None
    scene = cv2.resize(picture, (640, 480))[:, :, ::-1]
    root = with_camera(debian, written(tmp_path / "scene.jpg", scene))
    return replace(root, lent={tmp_path: "/srv/test"})


def written(path: Path, rgb: Any) -> Path:
    cv2.imwrite(str(path), rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    return path


def test_frames_have_the_colours_of_the_scene_though_the_driver_changed_the_format(
    colours: Root,
) -> None:
    done = colours.run(PYTHON, "-c", SHOW)
    assert done.returncode == 0, done.stderr[-3000:]
    for look in json.loads(done.stdout):
        # YUV420 of another size was asked for.
        assert look["made"] == "640x480 NV12"
        assert look["size"] == [640, 480]
        assert np.abs(np.array(look["rgb"]) - list(AREAS.values())).max() < NEAR


def test_camera_that_is_not_there_is_said_each_time_and_leaves_nothing_open(colours: Root) -> None:
    done = colours.run(PYTHON, "-c", MISSING)
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout.splitlines()
    assert [line.split(" (")[0] for line in said[::2]] == [
        "Raspberry Pi camera 1: cannot be opened"
    ] * 3
    assert len(set(said[1::2])) == 1


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as made:
        yield made


def test_daemon_publishes_what_the_camera_sees_and_stops_when_told(
    espresso: Root, broker: Broker, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(SETTINGS.format(port=broker.port), "utf-8")
    command = [PYTHON, "-m", "edge_classifier", "run", "--config", "/srv/test/config.toml"]
    log = tmp_path / "daemon.log"
    with Listener(broker.port, "edge-classifier/pi/#") as messages, log.open("w") as out:
        daemon = espresso.start(*command, stderr=out.fileno())
        try:
            wait_while_alive(daemon, log, lambda: messages.of("front/event"))
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(60) == 0, log.read_text("utf-8")
        finally:
            daemon.kill()
        event = json.loads(messages.of("front/event")[0].payload)
        assert event["to"] == "espresso"
        eventually(lambda: messages.of("front/snapshot"))
        assert messages.of("front/snapshot")[0].payload.startswith(b"\xff\xd8")
        eventually(lambda: messages.of("pi/availability")[-1].payload == b"offline")


def wait_while_alive(
    daemon: subprocess.Popen[str], log: Path, condition: Callable[[], object]
) -> None:
    """Wait for ``condition``; when it does not come, say what the daemon said."""
    deadline = time.monotonic() + 120
    while not condition():
        assert daemon.poll() is None, log.read_text("utf-8")[-3000:]
        assert time.monotonic() < deadline, log.read_text("utf-8")[-3000:]
        time.sleep(0.05)
