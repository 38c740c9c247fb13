"""A camera that speaks RTSP, from its encoder to the daemon, and what becomes of it."""

import logging
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from edge_classifier.capture.sources import source_for
from edge_classifier.config.settings import CameraSettings
from edge_classifier.core.contract import ColourOrder
from tests.mosquitto import Broker, Listener
from tests.running_daemon import HASTY, Daemon, Remote, model
from tests.system.camera.rtsp import BARS, H264, H265, MJPEG, RtspCamera, need_server
from tests.waiting import eventually
from tests.watch import OPEN_S, PATIENT_S, READ_S, Watch

pytestmark = [pytest.mark.system, pytest.mark.usefixtures("_server")]

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)
USER, PASSWORD = "admin", 'p@ss w/rd:%41?#"\\'
LOGIN = f"{USER}:{PASSWORD}"
# What the camera sends in a second. Three of them are encoder, network and decoder; the rest is for
# a busy machine.
FRESH_FRAMES = 25


@pytest.fixture(scope="module")
def _server() -> None:
    need_server()


@pytest.fixture(params=["tcp", "udp"])
def camera(request: pytest.FixtureRequest) -> Iterator[RtspCamera]:
    """One that speaks only TCP, and one that speaks only UDP."""
    with RtspCamera(transport=request.param) as camera:
        yield camera


@pytest.fixture
def watch(camera: RtspCamera) -> Iterator[Watch]:
    with Watch(camera.url) as watch:
        eventually(watch.is_online)
        yield watch


def bars_seen(watch: Watch) -> bool:
    """Whether the bars are in the latest frame, each in its place and colour."""
    if watch.latest is None:
        return False
    frame = watch.latest.frame
    pixels = frame.pixels[..., ::-1] if frame.order is ColourOrder.RGB else frame.pixels
    middles = [(2 * number + 1) * pixels.shape[1] // 14 for number in range(len(BARS))]
    return bool(np.abs(pixels[100, middles].astype(int) - BARS).max() < 8)


@pytest.mark.parametrize(
    ("video", "kind"),
    [(H264, "h264"), (H265, "hevc"), (MJPEG, "MJPG")],
    ids=["h264", "h265", "mjpeg"],
)
def test_rtsp_frames_have_the_colours_of_the_scene(video: str, kind: str) -> None:
    with RtspCamera(video=video) as camera, Watch(camera.url) as watch:
        eventually(watch.is_online)
        eventually(partial(bars_seen, watch))
        assert watch.capture.status.description == f"640x480 {kind} 25 fps"
        for colour in (RED, BLUE):
            camera.show(colour)
            eventually(partial(watch.shows, colour))


def test_rtsp_camera_that_offers_both_sends_over_tcp_which_loses_nothing() -> None:
    with RtspCamera() as camera, Watch(camera.url) as watch:
        eventually(watch.is_online)
        assert udp_sockets() == 0
    with RtspCamera(transport="udp") as camera, Watch(camera.url) as watch:
        eventually(watch.is_online)
        assert udp_sockets() > 0


def udp_sockets() -> int:
    """How many this process has."""
    files = [str(file.readlink()) for file in Path("/proc/self/fd").iterdir() if file.is_symlink()]
    table = Path("/proc/self/net/udp").read_text("ascii").splitlines()[1:]
    return sum(f"socket:[{line.split()[9]}]" in files for line in table)


def test_rtsp_camera_switched_off_is_lost_and_comes_back(camera: RtspCamera) -> None:
    # At once over TCP; over UDP only its silence tells.
    read_timeout_s = PATIENT_S if camera.transport == "tcp" else READ_S
    with Watch(camera.url, read_timeout_s=read_timeout_s) as watch:
        eventually(watch.is_online)
        camera.kill()
        eventually(watch.is_offline)
        eventually(lambda: "Connection refused" in watch.capture.status.reason)
        camera.start()
        eventually(watch.is_online)
        eventually(lambda: bars_seen(watch))
        assert watch.onlines == [True, False, True]


def test_rtsp_camera_that_stalls_is_lost_in_time_and_comes_back(
    camera: RtspCamera, watch: Watch
) -> None:
    camera.stall()
    eventually(watch.is_offline)
    assert watch.silent_s > READ_S - 0.2
    assert f"no picture for {READ_S:g} s" in watch.capture.status.reason
    eventually(lambda: f"did not answer within {OPEN_S:g} s" in watch.capture.status.reason)
    camera.go_on()
    eventually(watch.is_online)
    assert watch.onlines == [True, False, True]
    assert watch.capture.status.hung == 0


def test_rtsp_camera_of_which_only_the_sound_goes_on_is_lost_in_time_and_comes_back(
    camera: RtspCamera, watch: Watch
) -> None:
    camera.show_nothing()
    eventually(watch.is_offline)
    assert watch.silent_s > READ_S - 0.2
    camera.show_bars()
    eventually(watch.is_online)
    assert watch.onlines == [True, False, True]


def test_rtsp_frames_are_fresh(camera: RtspCamera, watch: Watch) -> None:
    # FFmpeg looks at a second of the stream before it gives out any of it.
    eventually(partial(watch.is_beyond, 2 * FRESH_FRAMES))
    for colour in (RED, BLUE):
        before = watch.number
        camera.show(colour)
        eventually(partial(watch.shows, colour))
        assert watch.first_showing(colour) - before < FRESH_FRAMES


def test_rtsp_frames_that_piled_up_while_the_reader_stood_still_are_soon_gone(
    camera: RtspCamera,
) -> None:
    source = source_for(CameraSettings(source=camera.url))()
    source.open()
    source.grab()
    stood_still = time.monotonic()
    time.sleep(3)
    camera.show(RED)
    shown = time.monotonic()
    stale = -1
    while np.abs(source.retrieve().pixels[100, 100].astype(int) - RED).max() > 8:
        source.grab()
        stale += 1
    assert time.monotonic() - shown < shown - stood_still, "they came as slowly as they piled up"
    assert stale > 50, "none had piled up"
    source.close()


@pytest.mark.parametrize("digest", [False, True], ids=["basic", "digest"])
def test_rtsp_camera_with_a_login_needs_it_and_it_is_never_shown(
    digest: bool, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with RtspCamera(login=LOGIN, digest=digest) as camera:
        for credentials, works in ((LOGIN, True), (None, False), (f"{USER}:SECRET", False)):
            with Watch(camera.url, credentials) as watch:
                eventually(watch.is_online if works else watch.has_failed)
                status = watch.capture.status
                assert watch.is_online() is works
                shown = f"{status} {watch.capture!r} {vars(watch.capture)}"
            if not works:
                assert "answers, but gives no video" in status.reason
                assert "Check path, user and password" in status.reason
            for secret in ("p@ss", "p%40ss", "SECRET", USER):
                assert secret not in shown + caplog.text
    assert capfd.readouterr() == ("", "")


def test_daemon_with_a_credentials_file_follows_an_rtsp_camera_through_its_failures(
    tmp_path: Path,
) -> None:
    login = tmp_path / "login"
    login.write_text(f"{LOGIN}\n", "utf-8")
    login.chmod(0o600)
    with (
        Broker(tmp_path / "broker") as broker,
        Listener(broker.port, "#") as listener,
        RtspCamera(login=LOGIN, digest=True) as camera,
    ):
        remote = Remote(listener)
        limits = {"open_timeout_s": OPEN_S, "read_timeout_s": READ_S, "retry_max_s": 1}
        door = {"source": camera.url, "credentials_file": login, **limits}
        network = model(tmp_path / "rgb.tflite")
        settings = {"model": {"use": network}, "decision": HASTY, "cameras": {"door": door}}
        camera.show(RED)
        with Daemon(tmp_path, broker.port, settings, tmp_path / "cache").running() as daemon:
            daemon.until(lambda: remote.state("door").get("label") == "red")
            camera.stall()
            daemon.until(lambda: remote.availability("door") == "offline")
            camera.kill()
            camera.show(BLUE)
            camera.start()
            daemon.until(lambda: remote.availability("door") == "online")
            daemon.until(lambda: remote.state("door").get("label") == "blue")
            assert daemon.stop() == 0
        sent = b"".join(message.payload for message in listener.messages)
    for secret in (PASSWORD, "p%40ss"):
        assert secret not in daemon.log
        assert secret.encode() not in sent
