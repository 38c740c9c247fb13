"""Of several cameras' models one ends the daemon: who goes back, and to what of its own."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_classifier.daemon.active_configuration import remembered_overrides
from edge_classifier.daemon.models.model_trials import FILE, TAKEN_OVER_S, ModelTrials
from edge_classifier.daemon.models.models_in_force import COMMON
from tests.daemon.in_process import GERMAN
from tests.daemon.models.test_camera_models import TwoModels
from tests.running_daemon import model


class Trial(TwoModels):
    """``door`` and ``yard`` have been asked to run models of their own, which have passed."""

    def __init__(self, folder: Path, notes: Path | None = None) -> None:
        super().__init__(folder, notes=notes)
        self.now = 1000.0
        self.trials = ModelTrials(folder, lambda: self.now)
        self.configuration = self.make_configuration()
        self.commands = self.make_commands()
        for name, size in (("french", 44), ("killer", 40), ("other", 36)):
            model(self.models / f"{name}.tflite", GERMAN, size=size)

    def pass_trials(self) -> None:
        self.now += TAKEN_OVER_S
        self.trials.progress({COMMON: 1, "door": 1, "yard": 1})

    def begin(self) -> None:
        self.start()
        self.pass_trials()
        self.done("model", model="german", camera="door")
        self.done("model", model="french", camera="yard")
        self.pass_trials()

    def next_life(self) -> "Trial":
        """As after a kill at this very moment."""
        shutil.copy(self.folder / FILE, self.folder.with_suffix(".note"))
        return self.life_after(self.folder.with_suffix(".note"))

    def life_after(self, note: Path) -> "Trial":
        kept = self.publisher.remembered_values["overrides"]
        self.cameras.stop(20)
        folder = self.folder.with_suffix(".next")
        folder.mkdir()
        shutil.copy(note, folder / FILE)
        made = Trial(folder)
        made.configuration._requested = remembered_overrides({"overrides": kept})[1]
        made.start()
        return made


@pytest.fixture
def killed(tmp_path: Path) -> Trial:
    made = Trial(tmp_path / "life")
    made.begin()
    return made


def test_cameras_that_share_the_model_that_ended_the_daemon_go_back_to_what_each_had(
    killed: Trial,
) -> None:
    killed.done("model", model="killer", camera="door")
    killed.done("model", model="killer", camera="yard")
    assert killed.model_of("door") is killed.model_of("yard")
    daemon = killed.next_life()
    assert daemon.names() == {"door": "german", "yard": "french"}
    assert [text.partition(":")[0] for text in daemon.configuration.models.troubles] == [
        "door",
        "yard",
    ]
    daemon.cameras.stop(20)


def test_camera_that_runs_what_has_passed_elsewhere_is_not_to_blame(killed: Trial) -> None:
    killed.done("model", model="german", camera="yard")
    daemon = killed.next_life()
    assert daemon.names() == {"door": "german", "yard": "german"}
    assert daemon.configuration.trouble == ""
    daemon.cameras.stop(20)


@pytest.mark.parametrize("camera", ["door", "yard"])
def test_model_that_was_taken_back_in_its_first_minute_is_not_to_blame(
    killed: Trial, camera: str
) -> None:
    killed.done("model", model="killer", camera=camera)
    killed.done("model", model="", camera=camera)
    before = killed.names()
    daemon = killed.next_life()
    assert daemon.names() == before
    assert daemon.configuration.trouble == ""
    daemon.cameras.stop(20)


def test_camera_whose_reload_ends_what_was_on_trial_is_left_as_the_settings_say(
    killed: Trial,
) -> None:
    killed.done("model", model="killer", camera="yard")
    cameras = {"door": killed.settings.cameras["door"]}
    killed.file = replace(killed.settings, cameras=cameras)
    killed.done("reload")
    daemon = killed.next_life()
    assert daemon.configuration.trouble == ""
    daemon.cameras.stop(20)


def test_power_cut_between_the_note_and_the_swap_leaves_each_camera_what_it_had(
    killed: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, guard = killed.folder / "at-the-cut", killed.trials.guard

    def cut(name: str, **given: object) -> Callable[[str], None]:
        begin = guard(name, **given)  # type: ignore[arg-type]

        def beginning(key: str) -> None:
            begin(key)
            shutil.copy(killed.folder / FILE, note)

        return beginning

    killed.done("model", model="other", camera="door")
    monkeypatch.setattr(killed.trials, "guard", cut)
    killed.done("model", model="killer", camera="yard")
    daemon = killed.life_after(note)
    # The other's was in use, and is not to blame.
    assert daemon.names() == {"door": "other", "yard": "french"}
    assert daemon.configuration.trouble.startswith("yard: killer: ended the daemon")
    daemon.cameras.stop(20)
