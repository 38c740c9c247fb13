"""A model that ends the daemon does so once; another file under the same name is taken."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_classifier.daemon.model_trials import FILE, TRIAL_S, FailedTrialError, ModelTrials
from tests.daemon.in_process import InProcessDaemon
from tests.daemon.parts import AT_ONCE
from tests.running_daemon import model

KEY, OTHER = "a" * 64, "b" * 64


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def start(folder: Path, clock: Callable[[], float] = Time()) -> ModelTrials:
    """As the daemon does when it starts: what an earlier one left is in ``folder``."""
    return ModelTrials(folder, clock)


def test_trial_model_during_which_the_daemon_ended_is_refused_by_the_next_one(
    tmp_path: Path,
) -> None:
    start(tmp_path).guard("garden")(KEY)
    # Killed: nothing else is called.
    for _ in range(2):
        later = start(tmp_path)
        with pytest.raises(FailedTrialError, match="garden: ended the daemon when it ran last"):
            later.guard("garden")(KEY)
        later.guard("other")(OTHER)
        later.end()


def test_trial_of_a_minute_of_progress_is_passed(tmp_path: Path) -> None:
    clock = Time()
    trials = start(tmp_path, clock)
    trials.guard("garden")(KEY)
    trials.took_over()
    clock.now += TRIAL_S - 1
    trials.progress()
    assert json.loads((tmp_path / FILE).read_text())["on_trial"] == KEY
    clock.now += 1
    trials.progress()
    # Killed much later: that was not the model.
    start(tmp_path).guard("garden")(KEY)
    assert json.loads((tmp_path / FILE).read_text())["on_trial"] == ""


def test_trial_without_progress_is_not_passed_by_time_alone(tmp_path: Path) -> None:
    clock = Time()
    trials = start(tmp_path, clock)
    trials.guard("garden")(KEY)
    clock.now += 10 * TRIAL_S
    # It is still being loaded.
    trials.progress()
    with pytest.raises(FailedTrialError):
        start(tmp_path).guard("garden")(KEY)


def test_trial_that_is_cut_short_by_an_orderly_end_blames_no_model(tmp_path: Path) -> None:
    trials = start(tmp_path)
    trials.guard("garden")(KEY)
    trials.took_over()
    trials.end()
    start(tmp_path).guard("garden")(KEY)


def test_trial_that_is_asked_for_once_more_is_made(tmp_path: Path) -> None:
    start(tmp_path).guard("garden")(KEY)
    again = start(tmp_path)
    again.guard("garden", once_more=True)(KEY)
    with pytest.raises(FailedTrialError):
        start(tmp_path).guard("garden")(KEY)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"on_trial": 1}', '"a"', "\0" * 40])
def test_trial_notes_that_are_damaged_count_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(content)
    start(tmp_path).guard("garden")(KEY)


def test_trial_on_a_disk_that_takes_nothing_is_made_without_a_note(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder was")
    trials = start(tmp_path / "state")
    trials.guard("garden")(KEY)
    trials.took_over()
    trials.end()


def ended_in_mid_trial(tmp_path: Path, requested: str = "") -> Path:
    """A daemon is killed while its model is on trial: the folder of its next life."""
    killed = InProcessDaemon(tmp_path / "first", requested=requested)
    killed.start()
    killed.cameras.stop(20)
    folder = tmp_path / "second"
    folder.mkdir()
    shutil.copy(killed.folder / FILE, folder)
    return folder


def test_daemon_whose_configured_model_ended_it_runs_the_embedded_one_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    daemon = InProcessDaemon(ended_in_mid_trial(tmp_path))
    # Rules for labels that only the configured model has.
    camera = replace(daemon.camera, decision=replace(AT_ONCE, groups={"warm": ("red",)}))
    daemon.settings = replace(daemon.settings, cameras={"door": camera})
    daemon.file = daemon.settings
    daemon.configuration = daemon.make_configuration()
    daemon.start()
    assert daemon.configuration.model.loaded.name != "rgb"
    assert "ended the daemon when it ran last" in daemon.configuration.fallback
    notes = daemon.publisher.infos[-1]["notes"]
    assert "The embedded model runs in its place." in notes[0]
    assert "ended the daemon" in caplog.text
    # Other settings can be changed meanwhile.
    daemon.configuration.reload(lambda _: None)
    daemon.cameras.stop(20)


def test_daemon_whose_requested_model_ended_it_goes_back_to_the_configured_one(
    tmp_path: Path,
) -> None:
    daemon = InProcessDaemon(ended_in_mid_trial(tmp_path, "german"), requested="german")
    daemon.start()
    assert daemon.model_name == "rgb"
    daemon.cameras.stop(20)


def test_reload_takes_another_file_under_the_same_name(daemon: InProcessDaemon) -> None:
    before = daemon.configuration.model.id
    path = Path(daemon.settings.model.use)
    model(path, ("red", "green", "blue"), size=24)
    changed = daemon.done("reload")["changed"]
    assert changed == ["model.use"]
    assert daemon.configuration.model.id != before
    assert daemon.configuration.model.loaded.engine.input.shape[1] == 24
    assert daemon.done("reload")["changed"] == []


def test_reload_takes_other_labels_beside_the_model(daemon: InProcessDaemon) -> None:
    path = Path(daemon.settings.model.use)
    (path.parent / f"{path.stem}.labels.txt").write_text("crimson\nemerald\nazure\n")
    assert daemon.done("reload")["changed"] == ["model.use"]


def test_reload_keeps_a_model_whose_files_are_as_they_were(
    daemon: InProcessDaemon,
) -> None:
    before = daemon.configuration.model
    daemon.done("reload")
    assert daemon.configuration.model is before


def test_reload_keeps_the_model_whose_file_is_gone(daemon: InProcessDaemon) -> None:
    before = daemon.configuration.model
    Path(daemon.settings.model.use).unlink()
    daemon.done("reload")
    assert daemon.configuration.model is before
