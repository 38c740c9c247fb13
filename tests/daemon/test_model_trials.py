"""A model that ends the daemon does so once; another file under the same name is taken."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge_classifier.daemon.model_trials import (
    FILE,
    MOST_ENDS,
    STARTED_S,
    TAKEN_OVER_S,
    FailedTrialError,
    ModelTrials,
)
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


def noted(folder: Path) -> str:
    """The model that is on trial, by what is on disk."""
    key: str = json.loads((folder / FILE).read_text())["on_trial"]
    return key


def test_trial_model_that_took_over_and_ended_the_daemon_is_refused_by_the_next_one(
    tmp_path: Path,
) -> None:
    start(tmp_path).guard("garden")(KEY)
    # Killed: nothing else is called.
    for _ in range(2):
        later = start(tmp_path)
        with pytest.raises(FailedTrialError, match="garden: ended the daemon when it ran last"):
            later.guard("garden", takes_over=False)(KEY)
        later.guard("other")(OTHER)
        later.end()


def test_trial_model_that_is_refused_stays_so_where_its_note_was_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    start(folder).guard("garden")(KEY)
    later = start(folder)
    shutil.rmtree(folder)
    later.progress(1)
    # The outbox makes it anew.
    folder.mkdir()
    later.progress(2)
    with pytest.raises(FailedTrialError, match="garden"):
        start(folder).guard("garden")(KEY)


def test_trial_model_of_the_start_is_refused_after_three_ends_in_a_row(tmp_path: Path) -> None:
    for _ in range(MOST_ENDS):
        start(tmp_path).guard("garden", takes_over=False)(KEY)
    with pytest.raises(FailedTrialError):
        start(tmp_path).guard("garden", takes_over=False)(KEY)


def test_trial_model_of_the_start_has_passed_with_its_first_frame(tmp_path: Path) -> None:
    for _ in range(2 * MOST_ENDS):
        trials = start(tmp_path)
        trials.guard("garden", takes_over=False)(KEY)
        trials.came_into_use()
        trials.progress(1)
        # Then it is killed.


def test_trial_model_of_the_start_passes_without_frames_too(tmp_path: Path) -> None:
    clock = Time()
    trials = start(tmp_path, clock)
    trials.guard("garden", takes_over=False)(KEY)
    trials.came_into_use()
    trials.progress(0)
    assert noted(tmp_path) == KEY
    clock.now += STARTED_S
    trials.progress(0)
    assert noted(tmp_path) == ""


def test_trial_model_that_took_over_passes_after_a_minute_of_progress(tmp_path: Path) -> None:
    clock = Time()
    trials = start(tmp_path, clock)
    trials.guard("garden")(KEY)
    trials.came_into_use()
    clock.now += TAKEN_OVER_S - 1
    trials.progress(500)
    assert noted(tmp_path) == KEY
    clock.now += 1
    trials.progress(510)
    # Killed much later: that was not the model.
    start(tmp_path).guard("garden")(KEY)


def test_trial_without_progress_is_not_passed_by_time_alone(tmp_path: Path) -> None:
    clock = Time()
    trials = start(tmp_path, clock)
    trials.guard("garden")(KEY)
    clock.now += 10 * TAKEN_OVER_S
    # It is still being loaded.
    trials.progress(9)
    with pytest.raises(FailedTrialError):
        start(tmp_path).guard("garden")(KEY)


def test_trial_that_is_cut_short_by_an_orderly_end_blames_no_model(tmp_path: Path) -> None:
    trials = start(tmp_path)
    trials.guard("garden")(KEY)
    trials.came_into_use()
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
    trials.came_into_use()
    trials.end()


def ended_in_mid_trial(tmp_path: Path, requested: str = "") -> Path:
    """A daemon was killed each time with its model on trial: the folder of its next life."""
    folder = tmp_path / "0"
    for life in range(MOST_ENDS):
        killed = InProcessDaemon(folder, requested=requested)
        killed.start()
        killed.cameras.stop(20)
        folder = tmp_path / str(life + 1)
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
