"""A model that ends the daemon does so once; another file under the same name is taken."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.daemon.models.model_trials import (
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
    """The model that is on trial, by what is on disk; empty: none."""
    keys = list(json.loads((folder / FILE).read_text())["on_trial"])
    assert len(keys) <= 1
    return keys[0] if keys else ""


# The last one is also a word of notes that earlier versions wrote.
@pytest.mark.parametrize("camera", ["", "yard", "camera"])
def test_trial_model_that_took_over_and_ended_the_daemon_is_refused_by_the_next_one(
    camera: str, tmp_path: Path
) -> None:
    start(tmp_path).guard("garden", camera=camera, before={"model": "german"})(KEY)
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
    later.progress({"": 1})
    # The outbox makes it anew.
    folder.mkdir()
    later.progress({"": 2})
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
        trials.came_into_use([""])
        trials.progress({"": 1})
        # Then it is killed.


def test_trial_model_of_the_start_passes_without_frames_too(tmp_path: Path) -> None:
    clock = Time()
    trials = start(tmp_path, clock)
    trials.guard("garden", takes_over=False)(KEY)
    trials.came_into_use([""])
    trials.progress({"": 0})
    assert noted(tmp_path) == KEY
    clock.now += STARTED_S
    trials.progress({"": 0})
    assert noted(tmp_path) == ""


def test_trial_model_that_took_over_passes_after_a_minute_of_progress(tmp_path: Path) -> None:
    clock = Time()
    trials = start(tmp_path, clock)
    trials.guard("garden")(KEY)
    trials.came_into_use([""])
    clock.now += TAKEN_OVER_S - 1
    trials.progress({"": 500})
    assert noted(tmp_path) == KEY
    clock.now += 1
    trials.progress({"": 510})
    # Killed much later: that was not the model.
    start(tmp_path).guard("garden")(KEY)


def test_trial_without_progress_is_not_passed_by_time_alone(tmp_path: Path) -> None:
    clock = Time()
    trials = start(tmp_path, clock)
    trials.guard("garden")(KEY)
    clock.now += 10 * TAKEN_OVER_S
    # It is still being loaded.
    trials.progress({"": 9})
    with pytest.raises(FailedTrialError):
        start(tmp_path).guard("garden")(KEY)


def test_trial_that_is_cut_short_by_an_orderly_end_blames_no_model(tmp_path: Path) -> None:
    trials = start(tmp_path)
    trials.guard("garden")(KEY)
    trials.came_into_use([""])
    trials.end()
    start(tmp_path).guard("garden")(KEY)


def test_trial_that_is_asked_for_once_more_is_made(tmp_path: Path) -> None:
    start(tmp_path).guard("garden")(KEY)
    again = start(tmp_path)
    again.guard("garden", once_more=True)(KEY)
    with pytest.raises(FailedTrialError):
        start(tmp_path).guard("garden")(KEY)


def test_trial_that_failed_tells_what_was_asked_for_before_it(tmp_path: Path) -> None:
    start(tmp_path).guard("garden", before={"model": "german"})(KEY)
    # Killed, and killed again before anything else could be written.
    for is_first in (True, False):
        later = start(tmp_path)
        assert ("" in later.ended) == is_first
        with pytest.raises(FailedTrialError) as refused:
            later.guard("garden", takes_over=False)(KEY)
        assert refused.value.before == {"": {"model": "german"}}


def test_trial_of_a_second_model_goes_back_behind_the_first_that_has_not_passed(
    tmp_path: Path,
) -> None:
    trials = start(tmp_path)
    trials.guard("garden", before="good")(KEY)
    trials.came_into_use([""])
    trials.guard("street", before="garden")(OTHER)
    trials.came_into_use([""])
    ended = start(tmp_path).ended[""]
    assert (ended.subject, ended.before) == ("street", {"": "good"})


def test_trial_of_a_model_that_cannot_be_loaded_leaves_the_one_before_it_on_trial(
    tmp_path: Path,
) -> None:
    trials = start(tmp_path)
    trials.guard("garden", before="good")(KEY)
    trials.came_into_use([""])
    trials.guard("street", before="garden")(OTHER)
    trials.give_up()
    assert noted(tmp_path) == KEY
    ended = start(tmp_path).ended[""]
    assert (ended.subject, ended.before) == ("garden", {"": "good"})


def test_trial_ends_when_a_model_takes_over_that_needs_none(tmp_path: Path) -> None:
    trials = start(tmp_path)
    trials.guard("garden")(KEY)
    trials.came_into_use([""])
    trials.guard("embedded")("")
    assert noted(tmp_path) == KEY
    trials.came_into_use([""])
    assert noted(tmp_path) == ""


def test_trial_of_a_model_that_has_passed_and_comes_back_needs_more_than_one_end(
    tmp_path: Path,
) -> None:
    clock = Time()
    trials = start(tmp_path, clock)
    trials.guard("garden")(KEY)
    trials.came_into_use([""])
    clock.now += TAKEN_OVER_S
    trials.progress({"": 500})
    trials.guard("street")(OTHER)
    trials.came_into_use([""])
    # Somebody takes it back, and within a minute the power is cut.
    trials.guard("garden")(KEY)
    trials.came_into_use([""])
    start(tmp_path).guard("garden", takes_over=False)(KEY)


def test_trial_of_the_model_of_the_start_that_comes_back_at_once_needs_more_than_one_end(
    tmp_path: Path,
) -> None:
    """There is nothing to go back to but itself."""
    trials = start(tmp_path)
    trials.guard("garden", takes_over=False)(KEY)
    trials.came_into_use([""])
    trials.guard("street")(OTHER)
    trials.came_into_use([""])
    trials.guard("garden")(KEY)
    trials.came_into_use([""])
    start(tmp_path).guard("garden", takes_over=False)(KEY)


WAY = {"model": "german", "sha256": "", "camera": "yard"}
TRIAL = {"takes_over": True, "name": "garden", "before": WAY, "camera": "yard", "is_in_use": True}


@pytest.mark.parametrize(
    "kept",
    [
        {"on_trial": "", "takes_over": False, "ends": {}, "refused": [KEY]},
        {"on_trial": KEY, "takes_over": True, "before": WAY, "ends": {}, "refused": []},
        {"on_trial": {KEY: TRIAL}, "ends": {}, "refused": {}},
        {"on_trial": {}, "ends": {}, "refused": {KEY: WAY}},
        {"on_trial": {}, "ends": {}, "refused": {KEY: None}},
    ],
)
def test_trial_notes_of_an_earlier_version_are_read(kept: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps(kept))
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
    trials.came_into_use([""])
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
    assert daemon.configuration.models.first.loaded.name != "rgb"
    assert "ended the daemon when it ran last" in daemon.configuration.trouble
    notes = daemon.publisher.infos[-1]["notes"]
    assert "The embedded model runs in its place." in notes[0]
    assert "ended the daemon" in caplog.text
    # Other settings can be changed meanwhile.
    daemon.configuration.reload(lambda _: None)
    daemon.cameras.stop(20)


def test_model_that_a_reload_brought_and_that_ended_the_daemon_gives_way_to_the_one_before_it(
    tmp_path: Path,
) -> None:
    killed = InProcessDaemon(tmp_path / "0")
    killed.start()
    garden = model(tmp_path / "garden.tflite", ("a", "b", "c"), size=24)
    changed = replace(killed.settings, model=replace(killed.settings.model, use=str(garden)))
    killed.file = changed
    killed.done("reload")
    assert killed.model_name == "garden"
    killed.cameras.stop(20)
    daemon = InProcessDaemon(tmp_path / "1", notes=killed.folder / FILE)
    daemon.settings = daemon.file = changed
    daemon.configuration = daemon.make_configuration()
    daemon.commands = daemon.make_commands()
    daemon.start()
    assert daemon.model_name == "rgb"
    told = daemon.publisher.infos[-1]["notes"][0]
    assert "garden.tflite: ended the daemon when it ran last" in told
    assert "The one that was configured before, rgb@" in told
    # Until the settings name another one, or its file has gone, too.
    daemon.done("reload")
    assert daemon.model_name == "rgb"
    daemon.cameras.stop(20)
    Path(killed.settings.model.use).unlink()
    alone = InProcessDaemon(tmp_path / "2", notes=killed.folder / FILE)
    Path(alone.settings.model.use).unlink(missing_ok=True)
    alone.settings = alone.file = changed
    alone.configuration = alone.make_configuration()
    alone.start()
    assert "The embedded model runs in its place." in alone.configuration.trouble
    alone.cameras.stop(20)


def test_daemon_whose_requested_model_ended_it_goes_back_to_the_configured_one(
    tmp_path: Path,
) -> None:
    daemon = InProcessDaemon(ended_in_mid_trial(tmp_path, "german"), requested="german")
    daemon.start()
    assert daemon.model_name == "rgb"
    daemon.cameras.stop(20)


def test_daemon_that_a_model_has_ended_goes_back_to_the_one_before_it_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed = InProcessDaemon(tmp_path / "0", requested="german")
    killed.start()
    model(killed.models / "garden.tflite", ("a", "b", "c"), size=24)
    killed.done("model", model="garden")
    killed.cameras.stop(20)
    # Whether or not what was asked for last had been written by then.
    for requested in ("garden", "german"):
        notes = killed.folder / FILE
        daemon = InProcessDaemon(tmp_path / requested, requested=requested, notes=notes)
        model(daemon.models / "garden.tflite", ("a", "b", "c"), size=24)
        daemon.start()
        assert daemon.model_name == "german"
        words = "garden: ended the daemon when it ran last"
        assert words in daemon.publisher.infos[-1]["notes"][0]
        assert words in daemon.configuration.trouble
        assert words in caplog.text
        assert daemon.publisher.remembered_values["overrides"]["model"] == "german"
        # Another one that takes over ends the matter.
        daemon.done("model", model="")
        assert daemon.configuration.trouble == ""
        daemon.cameras.stop(20)


def test_reload_takes_another_file_under_the_same_name(daemon: InProcessDaemon) -> None:
    before = daemon.configuration.models.first.id
    path = Path(daemon.settings.model.use)
    model(path, ("red", "green", "blue"), size=24)
    changed = daemon.done("reload")["changed"]
    assert changed == ["model.use"]
    assert daemon.configuration.models.first.id != before
    assert daemon.configuration.models.first.loaded.engine.input.shape[1] == 24
    assert daemon.done("reload")["changed"] == []


def test_reload_takes_other_labels_beside_the_model(daemon: InProcessDaemon) -> None:
    path = Path(daemon.settings.model.use)
    (path.parent / f"{path.stem}.labels.txt").write_text("crimson\nemerald\nazure\n")
    assert daemon.done("reload")["changed"] == ["model.use"]


def test_reload_keeps_a_model_whose_files_are_as_they_were(
    daemon: InProcessDaemon,
) -> None:
    before = daemon.configuration.models.first
    daemon.done("reload")
    assert daemon.configuration.models.first is before


def test_reload_keeps_the_model_whose_file_is_gone(daemon: InProcessDaemon) -> None:
    before = daemon.configuration.models.first
    Path(daemon.settings.model.use).unlink()
    daemon.done("reload")
    assert daemon.configuration.models.first is before
