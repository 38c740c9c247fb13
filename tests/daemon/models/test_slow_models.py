"""Several networks in one daemon: a slow one, or one that hangs, keeps no other waiting."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge_classifier.config.settings import CameraSettings, Settings
from edge_classifier.daemon.cameras import active_cameras
from tests.daemon.in_process import InProcessDaemon
from tests.daemon.parts import AT_ONCE
from tests.running_daemon import model
from tests.waiting import eventually


class SlowModels(InProcessDaemon):
    """``door`` has the common model; ``yard`` and ``pond`` share one that a test holds up."""

    def make_settings(self) -> Settings:
        settings = super().make_settings()
        slow = str(model(self.folder / "slow/slow.tflite", ("a", "b", "c"), size=24))
        yard = replace(self.camera, model=slow)
        return replace(settings, cameras={"door": self.camera, "yard": yard, "pond": yard})

    def start(self) -> None:
        super().start()
        self.gate = threading.Semaphore(0)
        self.users: list[str] = []
        self.at_once = 0
        self.hold_up("yard")

    def hold_up(self, camera: str) -> None:
        """Each look of this camera's network waits for ``gate``."""
        engine = self.cameras.pipelines[camera].model.classifier.engine
        invoke, free = engine.invoke, threading.Lock()

        def slowly() -> None:
            assert free.acquire(blocking=False), "two threads run one network at once"
            self.users.append(threading.current_thread().name)
            assert self.gate.acquire(timeout=60)
            invoke()
            free.release()

        vars(engine)["invoke"] = slowly

    def frames(self, camera: str) -> int:
        return int(self.outputs.meters.inferences()[camera])


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[SlowModels]:
    made = SlowModels(tmp_path)
    made.start()
    yield made
    made.gate.release(1000)
    assert made.cameras.stop(20)


def test_camera_whose_network_takes_long_keeps_no_other_waiting(daemon: SlowModels) -> None:
    daemon.turn_until(lambda: daemon.users)
    # In the time of one look of the slow network ...
    before = daemon.frames("door")
    daemon.turn_until(lambda: daemon.frames("door") >= before + 20)
    assert daemon.frames("yard") == daemon.frames("pond") == 0
    # ... and its cameras, while each has a frame for it, share its time evenly.
    pipelines = daemon.cameras.pipelines
    for looks in range(1, 9):
        daemon.turn_until(lambda: pipelines["yard"].pending and pipelines["pond"].pending)
        daemon.gate.release()
        daemon.turn_until(lambda: daemon.frames("yard") + daemon.frames("pond") == looks)  # noqa: B023
        assert abs(daemon.frames("yard") - daemon.frames("pond")) <= 1
    assert set(daemon.users) == {"network-slow"}


def test_slow_network_looks_at_the_newest_frame(daemon: SlowModels) -> None:
    yard = daemon.cameras.pipelines["yard"]
    daemon.turn_until(lambda: yard.pending)
    first = yard.pending
    # Frames come while the network has this one.
    before = daemon.frames("door")
    daemon.turn_until(lambda: daemon.frames("door") >= before + 20)
    assert yard.pending is first
    released_s = time.monotonic()
    # This one, and one of the other camera.
    daemon.gate.release(2)
    daemon.turn_until(lambda: yard.pending not in (first, None))
    assert yard.pending
    assert yard.pending.captured.at.monotonic >= released_s


def test_frame_that_comes_out_of_the_network_too_late_is_not_used(daemon: SlowModels) -> None:
    daemon.turn_until(lambda: daemon.users)
    daemon.done("enable", enabled=False)
    events = len(daemon.publisher.events)
    daemon.gate.release(1000)
    pipelines = daemon.cameras.pipelines
    daemon.turn_until(lambda: not (pipelines["yard"].pending or pipelines["pond"].pending))
    assert daemon.frames("yard") == daemon.frames("pond") == 0
    assert [one for one in daemon.publisher.events[events:] if one.camera != "door"] == []


def test_reload_in_the_middle_of_a_look_takes_over_at_once(daemon: SlowModels) -> None:
    daemon.turn_until(lambda: daemon.users)
    daemon.file = replace(
        daemon.settings,
        cameras={
            name: replace(one, model=str(daemon.models / "german.tflite") if one.model else "")
            for name, one in daemon.settings.cameras.items()
        },
    )
    daemon.done("reload")
    assert daemon.state("yard").model.startswith("german@")
    daemon.gate.release()
    daemon.turn_until(lambda: daemon.state("yard").label in {"rot", "grün"})
    labels = {one.label for one in daemon.publisher.states["yard"]}
    assert not labels & {"a", "b", "c"}, "the old network's look was used"


def test_network_that_keeps_its_cameras_keeps_its_thread(daemon: SlowModels) -> None:
    daemon.turn_until(lambda: daemon.users)
    # Now there is one network alone, in the middle of a look.
    slow = daemon.settings.cameras["yard"]
    daemon.file = replace(daemon.settings, cameras={"yard": slow})
    daemon.done("reload")
    daemon.gate.release(1000)
    daemon.turn_until(lambda: daemon.frames("yard") > 3)
    assert set(daemon.users) == {"network-slow"}


def test_network_that_fails_ends_the_daemon_as_any_bug_does(daemon: SlowModels) -> None:
    engine = daemon.cameras.pipelines["yard"].model.classifier.engine

    def fail() -> None:
        raise ZeroDivisionError

    vars(engine)["invoke"] = fail
    daemon.gate.release(1000)
    with pytest.raises(ZeroDivisionError):
        daemon.turn_until(lambda: False)
    vars(engine)["invoke"] = lambda: None


def test_network_that_hangs_is_noticed(daemon: SlowModels, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first look may be of the other camera.
    daemon.turn_until(lambda: daemon.cameras.pipelines["yard"].pending)
    assert not daemon.cameras.has_hung_network()
    look = daemon.cameras.pipelines["yard"].pending
    assert look
    later = SimpleNamespace(monotonic=lambda: look.began_s + 11)
    with monkeypatch.context() as patched:
        patched.setattr(active_cameras, "time", later)
        assert daemon.cameras.has_hung_network()
    daemon.gate.release(1000)
    daemon.turn_until(lambda: daemon.frames("yard") > 1)
    assert not daemon.cameras.has_hung_network()


def test_threads_of_networks_that_are_not_used_any_more_end(daemon: SlowModels) -> None:
    def networks() -> list[str]:
        names = [thread.name for thread in threading.enumerate()]
        return sorted(name for name in names if name.startswith("network-"))

    assert networks() == ["network-rgb", "network-slow"]
    daemon.gate.release(1000)
    common = {name: replace(one, model="") for name, one in daemon.settings.cameras.items()}
    daemon.file = replace(daemon.settings, cameras=common)
    daemon.done("reload")
    eventually(lambda: networks() == ["network-rgb"])
    daemon.goes_on()


def test_single_network_runs_in_the_main_loop(tmp_path: Path) -> None:
    daemon = InProcessDaemon(tmp_path)
    daemon.start()
    daemon.goes_on()
    assert not any(thread.name.startswith("network-") for thread in threading.enumerate())
    assert daemon.cameras.stop(20)


def test_camera_with_frames_of_another_and_a_slow_network_leaves_the_owner_its_rate(
    tmp_path: Path,
) -> None:
    daemon = SlowModels(tmp_path)
    settings = daemon.settings
    gate = CameraSettings(
        source="camera:door",
        model=settings.cameras["yard"].model,
        rate_fps=50,
        decision=AT_ONCE,
    )
    daemon.settings = replace(settings, cameras={"door": daemon.camera, "yard": gate})
    daemon.configuration = daemon.make_configuration()
    daemon.start()
    daemon.turn_until(lambda: daemon.users)
    before = daemon.frames("door")
    daemon.turn_until(lambda: daemon.frames("door") >= before + 20)
    assert daemon.frames("yard") == 0
    daemon.gate.release(1000)
    assert daemon.cameras.stop(20)
