"""Fetched models that are too many go; what runs, and what ran before it, never does."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_classifier.config.settings import ModelSourceSettings
from edge_classifier.daemon.active_configuration import (
    remembered_models_before,
    remembered_overrides,
)
from edge_classifier.daemon.models.model_trials import TAKEN_OVER_S
from edge_classifier.daemon.models.models_in_force import COMMON
from tests.daemon.in_process import InProcessDaemon
from tests.daemon.models.source import TOKEN, Source, serving
from tests.daemon.models.test_fetcher import sha256_of
from tests.tiny import Tiny, build

SIZES = (12, 16, 20, 24, 28, 32, 36, 40, 44, 48)


class FewModels(InProcessDaemon):
    """Keeps one fetched model beside those that it must; the source has many."""

    def __init__(self, folder: Path, source: Source) -> None:
        (folder / "token").write_text(TOKEN)
        settings = ModelSourceSettings(source=source.url, token_file=folder / "token", keep=1)
        super().__init__(folder, source=settings)
        self.place = source
        files = [build(folder / f"{size}.tflite", Tiny(size=(size, size))) for size in SIZES]
        self.bodies = [file.read_bytes() for file in files]
        self.hashes = [sha256_of(body) for body in self.bodies]

    def request(self, number: int, camera: str | None = None) -> dict[str, str]:
        self.place.body = self.bodies[number]
        body = {"model": f"m{number}", "sha256": self.hashes[number]}
        return {**body, "camera": camera} if camera else body

    def fetch(self, number: int, camera: str | None = None) -> None:
        *_, last = self.answers("model", **self.request(number, camera))
        assert last["status"] == "ok"

    @property
    def here(self) -> set[int]:
        return {self.hashes.index(one.name) for one in self.fetched.folders()}

    def next_life(self) -> None:
        """With what this one has remembered."""
        kept = json.loads(json.dumps(self.publisher.remembered_values))
        requested = remembered_overrides(kept)[1].get(COMMON)
        assert requested
        before = remembered_models_before(kept)
        self.configuration = self.make_configuration(requested, before)
        self.commands = self.make_commands()
        self.start()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FewModels]:
    with serving(b"") as source:
        made = FewModels(tmp_path, source)
        made.start()
        yield made
        assert made.cameras.stop(20)


def test_of_ten_models_what_runs_and_what_ran_before_it_stay(daemon: FewModels) -> None:
    for number in range(len(SIZES)):
        daemon.fetch(number)
        # Until the new one runs, the one before may have to run again, and the one before that.
        assert daemon.here == set(range(max(0, number - 2), number + 1))


def test_what_a_model_on_trial_gives_way_to_stays(
    daemon: FewModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.fetch(0)
    with monkeypatch.context() as patched:
        patched.setattr(daemon.trials, "_clock", lambda: time.monotonic() + TAKEN_OVER_S)
        daemon.trials.progress({COMMON: 1})
    for number in range(1, 5):
        daemon.fetch(number)
    assert daemon.here == {0, 2, 3, 4}


def test_model_that_runs_stays_though_it_was_asked_for_by_its_name(daemon: FewModels) -> None:
    daemon.fetch(0)
    daemon.done("model", model="")
    daemon.done("model", model="m0")
    for number in (1, 2, 3):
        daemon.fetch(number, "yard")
    assert daemon.here == {0, 1, 2, 3}


def test_what_ran_before_at_each_camera_stays(daemon: FewModels) -> None:
    for number, camera in enumerate(("door", "door", "yard", "yard")):
        daemon.fetch(number, camera)
    assert daemon.here == {0, 1, 2, 3}
    # The same one again is no change.
    daemon.fetch(1, "door")
    daemon.fetch(4, "yard")
    assert daemon.here == {0, 1, 2, 3, 4}


def test_what_ran_before_stays_through_a_restart(daemon: FewModels) -> None:
    daemon.fetch(0)
    daemon.fetch(1)
    daemon.next_life()
    daemon.fetch(2)
    assert daemon.here == {0, 1, 2}


def test_models_that_are_under_way_are_not_pruned_for_each_other(daemon: FewModels) -> None:
    def told(number: int) -> bool:
        change = daemon.publisher.infos[-1]["model_change"] or {}
        return (change.get("model"), change.get("state")) == (f"m{number}", "loading")

    # A change of settings that takes long is before them.
    gate = threading.Event()
    daemon.before_reading = gate.wait
    daemon.commands.receive("reload", b"{}")
    for number, camera in enumerate(("door", "yard")):
        request = json.dumps(daemon.request(number, camera)).encode()
        daemon.commands.receive("model", request)
        daemon.turn_until(lambda: told(number))  # noqa: B023
    assert daemon.here == {0, 1}
    gate.set()
    daemon.turn_until(lambda: daemon.state("yard").model.startswith("m1@"))
    assert daemon.state("door").model.startswith("m0@")
