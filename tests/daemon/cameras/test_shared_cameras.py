"""Several cameras of the settings with one lens: what is switched, removed and lost."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge_classifier.config.settings import CameraSettings, Settings
from edge_classifier.daemon.cameras.active_cameras import with_own_lens
from tests.daemon.in_process import InProcessDaemon
from tests.daemon.parts import AT_ONCE
from tests.running_daemon import colours, model

OFF = "door, whose frames it takes, is switched off"


class OneLens(InProcessDaemon):
    """``door`` has a device, and ``gate`` takes its frames, with a model of its own."""

    def make_settings(self) -> Settings:
        settings = super().make_settings()
        shut = str(model(self.folder / "gate/gate.tflite", ("shut", "open", "ajar"), size=24))
        gate = CameraSettings(source="camera:door", model=shut, rate_fps=50, decision=AT_ONCE)
        return replace(settings, cameras={"door": self.camera, "gate": gate})

    def status(self, camera: str) -> tuple[bool, str]:
        status = self.cameras.pipelines[camera].capture.status
        return status.online, status.reason

    def frames(self, camera: str) -> int:
        return sum(self.outputs.meters._cameras[camera].reasons.values())

    def changed(self, camera: str, **changed: object) -> Settings:
        cameras = self.settings.cameras
        other = replace(cameras[camera], **changed)  # type: ignore[arg-type]
        return replace(self.settings, cameras={**cameras, camera: other})


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[OneLens]:
    made = OneLens(tmp_path)
    made.start()
    yield made
    assert made.cameras.stop(20)


def test_two_questions_are_answered_from_one_lens(daemon: OneLens) -> None:
    daemon.goes_on()
    assert {daemon.state(name).label for name in ("door", "gate")} <= {
        "red", "green", "shut", "open",
    }  # fmt: skip
    assert daemon.state("gate").label in {"shut", "open"}
    assert daemon.cameras.pipelines["door"].capture.status.opened == 1
    assert len(daemon.cameras._captures) == 1


def test_camera_that_is_switched_off_shuts_its_lens_for_all_others(daemon: OneLens) -> None:
    daemon.goes_on()
    daemon.done("enable", camera="door", enabled=False)
    assert daemon.status("gate") == (False, OFF)
    before = daemon.frames("gate")
    door = daemon.frames("door")
    daemon.turn_until(lambda: daemon.frames("door") > door)
    assert daemon.frames("gate") == before
    daemon.cameras.pipelines["gate"].publish_health()
    assert daemon.publisher.health[-1] == ("gate", False, OFF)
    daemon.done("enable", camera="door", enabled=True)
    daemon.goes_on()
    assert daemon.status("gate") == (True, "")


def test_camera_that_takes_frames_is_switched_off_alone(daemon: OneLens) -> None:
    daemon.goes_on()
    daemon.done("enable", camera="gate", enabled=False)
    seq, before = daemon.state("gate").seq, daemon.state("door").seq
    daemon.turn_until(lambda: daemon.state("door").seq > before + 1)
    assert daemon.state("gate").seq == seq
    assert daemon.status("gate") == (True, "")


def test_quiet_hours_of_the_owner_are_its_own(daemon: OneLens) -> None:
    # Two halves of the day, so that it is quiet whenever the test runs.
    daemon.file = daemon.changed("door", quiet_hours=("00:00-12:00", "12:00-00:00"))
    daemon.done("reload")
    before = daemon.frames("gate")
    daemon.turn_until(lambda: daemon.frames("gate") > before + 2)
    assert daemon.status("gate") == (True, "")


def test_reload_that_switches_the_owner_off_and_on_is_followed(daemon: OneLens) -> None:
    daemon.file = daemon.changed("door", enabled=False)
    daemon.done("reload")
    assert daemon.status("gate") == (False, OFF)
    daemon.file = daemon.settings
    daemon.done("reload")
    daemon.goes_on()


def test_reload_that_gives_the_owner_another_device_moves_both(daemon: OneLens) -> None:
    daemon.goes_on()
    old = daemon.cameras._captures["door"]
    other = colours(daemon.folder / "others", "green", "blue")
    daemon.file = daemon.changed("door", source=f"pictures:{other}")
    daemon.done("reload")
    assert daemon.cameras._captures["door"] is not old
    daemon.turn_until(lambda: daemon.state("gate").label == "ajar")
    assert daemon.status("gate") == (True, "")


def test_reload_that_moves_the_lens_to_the_other_camera_keeps_both(daemon: OneLens) -> None:
    daemon.goes_on()
    door, gate = daemon.settings.cameras["door"], daemon.settings.cameras["gate"]
    cameras = {
        "door": replace(door, source="camera:gate"),
        "gate": replace(gate, source=door.source, picture_s=0),
    }
    daemon.file = replace(daemon.settings, cameras=cameras)
    daemon.done("reload")
    assert list(daemon.cameras._captures) == ["gate"]
    daemon.goes_on()


def test_reload_that_removes_a_camera_that_takes_frames_leaves_the_owner_alone(
    daemon: OneLens,
) -> None:
    daemon.goes_on()
    capture = daemon.cameras._captures["door"]
    daemon.file = replace(daemon.settings, cameras={"door": daemon.camera})
    daemon.done("reload")
    assert daemon.cameras._captures["door"] is capture
    daemon.goes_on()
    daemon.file = daemon.settings
    daemon.done("reload")
    daemon.goes_on()


def test_lens_is_opened_for_whoever_needs_the_most_of_it() -> None:
    door = CameraSettings(source="picamera2", look="whole", rotate=180)
    gate = CameraSettings(source="camera:door", look="whole")
    alone = {"door": door, "gate": gate}
    assert with_own_lens("gate", alone) == replace(door, look="whole")
    assert with_own_lens("gate", {**alone, "gate": replace(gate, look="both")}).rotate == 180
