"""Cameras that come and go with the settings, and drivers that hang meanwhile."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_classifier.capture.camera import MAX_HUNG_THREADS
from edge_classifier.config.settings import CameraSettings, Settings, StoreSettings
from edge_classifier.daemon.cameras.active_cameras import Cameras
from edge_classifier.daemon.cameras.camera_pipeline import DaemonOutputs
from edge_classifier.daemon.meters import Meters
from edge_classifier.daemon.store import CaptureStore
from tests.daemon.parts import RecordingPublisher, colour_model
from tests.fake_source import FakeCamera, FakeSource, plain
from tests.waiting import eventually


def test_cameras_with_a_hanging_driver_start_no_thread_for_each_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, opened = threading.Event(), list[int]()
    camera = FakeCamera([plain(60)])

    def hang() -> None:
        opened.append(1)
        assert driver.wait(60), "the test ended without letting the driver go"

    camera.on_open = hang

    def source_for(*_: object, **__: object) -> Callable[[], FakeSource]:
        return camera.make

    monkeypatch.setattr("edge_classifier.daemon.cameras.active_cameras.source_for", source_for)
    model = colour_model(tmp_path / "rgb.tflite")
    store = CaptureStore(StoreSettings(), tmp_path)
    outputs = DaemonOutputs(RecordingPublisher(), store, Meters())
    cameras = Cameras(wake=lambda: None, outputs=outputs, restored={})
    try:
        for width in range(640, 660):
            settings = CameraSettings(source="/dev/video0", width=width)
            cameras.configure(Settings(cameras={"door": settings}), {"door": model})
            cameras.check()
        eventually(lambda: len(opened) == MAX_HUNG_THREADS)
        reason = cameras.pipelines["door"].capture.status.reason
        assert "calls into its driver hang" in reason
    finally:
        driver.set()

    def is_back() -> bool:
        cameras.check()
        return cameras.pipelines["door"].capture.status.online

    eventually(is_back)
    assert len(opened) == MAX_HUNG_THREADS + 1
    cameras.stop(0)
    camera.shoot(plain(60))
    assert cameras.stop(20)
