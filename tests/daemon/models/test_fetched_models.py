"""Fetched models are whole and tried, or not there: through kills, and whatever is asked for."""

import hashlib
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.daemon.models.fetched_models import FetchedModels
from edge_classifier.engine import memory
from edge_classifier.errors import ModelError, UnavailableError, UsageError

CONTENT = b"a model that is whole" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Trials:
    """Stands where a model is tried, and can refuse it."""

    def __init__(self) -> None:
        self.tried: list[tuple[str, str]] = []
        self.problem = ""
        self.runtime = "1"

    def __call__(self, model: Path, delegate: str) -> None:
        self.tried.append((model.name, delegate))
        if self.problem:
            raise ModelError(model.name, self.problem)

    def key(self, delegate: str) -> str:
        return f"{self.runtime}-{delegate}"


@pytest.fixture
def trials() -> Trials:
    return Trials()


@pytest.fixture
def models(tmp_path: Path, trials: Trials) -> FetchedModels:
    return FetchedModels(tmp_path / "fetched", try_model=trials, key_of=trials.key)


def put(models: FetchedModels, content: bytes = CONTENT, name: str = "garden") -> str:
    """Downloaded and installed; its SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    part = models.part(sha256)
    part.parent.mkdir(exist_ok=True)
    part.write_bytes(content)
    models.install(sha256, name, "cpu")
    return sha256


def test_fetched_model_is_found_by_its_hash_and_under_its_name(
    models: FetchedModels, trials: Trials, tmp_path: Path
) -> None:
    assert models.find(SHA256) is None
    put(models)
    file = models.find(SHA256)
    assert file == tmp_path / "fetched" / SHA256 / "garden.tflite"
    assert file.read_bytes() == CONTENT
    assert trials.tried == [("garden.tflite", "cpu")]
    assert file.stat().st_mode & 0o077 == 0
    assert models.folders() == [file.parent]
    assert not models.part(SHA256).exists()


def test_fetched_model_that_does_not_work_is_thrown_away(
    models: FetchedModels, trials: Trials, tmp_path: Path
) -> None:
    trials.problem = "crashed (SIGSEGV) when it was tried on this machine"
    with pytest.raises(ModelError, match="SIGSEGV"):
        put(models)
    assert models.find(SHA256) is None
    assert list((tmp_path / "fetched").iterdir()) == []


def test_fetched_model_that_does_not_fit_into_memory_is_not_even_tried(
    models: FetchedModels, trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _: 20_000_000)
    with pytest.raises(UnavailableError, match="does not fit into memory: it needs some 6 MB"):
        put(models)
    assert trials.tried == []
    assert list((tmp_path / "fetched").iterdir()) == []


def test_fetched_model_is_tried_again_when_runtime_or_delegate_are_others(
    models: FetchedModels, trials: Trials
) -> None:
    put(models)
    assert models.use(SHA256, "cpu")
    assert len(trials.tried) == 1
    assert models.use(SHA256, "edgetpu")
    assert models.use(SHA256, "edgetpu")
    trials.runtime = "2"
    assert models.use(SHA256, "edgetpu")
    assert trials.tried[1:] == [("garden.tflite", "edgetpu")] * 2
    trials.runtime, trials.problem = "3", "gives scores that are no numbers"
    for _ in range(2):
        with pytest.raises(ModelError):
            models.use(SHA256, "edgetpu")
    assert models.use("0" * 64, "cpu") is None


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".garden", "../garden", "a/b", "/etc/x", "a\0b", "a\nb", "\ud800", "a" * 300],
)
def test_fetched_model_whose_name_no_file_can_have_is_refused(
    models: FetchedModels, name: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is no name for a model's file"):
        put(models, name=name)
    assert {path.name for path in tmp_path.rglob("*")} <= {"fetched", f".part-{SHA256}"}


def used(models: FetchedModels, *contents: bytes) -> list[str]:
    """Installed in this order, the first one longest ago."""
    found = [put(models, content) for content in contents]
    for age, sha256 in enumerate(reversed(found)):
        file = models.find(sha256)
        assert file
        os.utime(file.parent, (1_000_000 - age, 1_000_000 - age))
    return found


def here(models: FetchedModels) -> set[str]:
    return {folder.name for folder in models.folders()}


def test_fetched_models_that_are_too_many_go_and_those_in_use_never(
    models: FetchedModels,
) -> None:
    one, two, three, four = used(models, b"1", b"2", b"3", b"4")
    models.prune(2, 1000, [one])
    assert here(models) == {one, three, four}
    models.prune(1, 1000, [one, four])
    assert here(models) == {one, four}
    models.prune(1, 1, [one, four])
    assert here(models) == {one, four}
    models.prune(1, 1000, [])
    assert here(models) == {four}
    assert two not in here(models)


def test_fetched_models_that_are_too_large_go_the_oldest_first(models: FetchedModels) -> None:
    one, two, three = used(models, b"1" * 50, b"2" * 50, b"3" * 50)
    models.use(one, "cpu")
    models.prune(10, 110, [])
    assert here(models) == {one, three}
    assert models.find(two) is None


def test_fetched_models_keep_few_beginnings_of_downloads(
    models: FetchedModels, tmp_path: Path
) -> None:
    for number in range(5):
        part = models.part(str(number) * 64)
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(b"x")
        os.utime(part, (number, number))
    assert len(list((tmp_path / "fetched").glob(".part-*"))) <= 3


# What an installation asks of the system, one after the other.
STEPS = ("rename", "chmod", "fsync", "mkdir", "replace", "rmdir", "unlink")


def dies_at(number: int) -> Callable[[], None]:
    """From now on, this process ends itself with SIGKILL at the step with this number."""
    count = 0

    def step() -> None:
        nonlocal count
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    return step


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Whether a process that does ``work`` reaches that many steps, and ends there."""
    child = os.fork()
    if not child:
        step = dies_at(number)
        for name in STEPS:
            original = getattr(os, name)

            def patched(*given: Any, _original: Any = original, **named: Any) -> Any:
                step()
                return _original(*given, **named)

            setattr(os, name, patched)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_fetched_model_is_whole_or_not_there_wherever_its_installation_is_killed(
    models: FetchedModels, tmp_path: Path
) -> None:
    number = 0
    while killed_at(number, lambda: put(models)):
        models.sweep()
        if file := models.find(SHA256):
            assert file.read_bytes() == CONTENT
            assert file.with_name("tried").is_file()
            break
        put(models)
        file = models.find(SHA256)
        assert file
        assert file.read_bytes() == CONTENT
        shutil.rmtree(file.parent)
        number += 1
    assert number >= 5, "it was killed in too few places"
    assert list(tmp_path.rglob(".new-*")) == []


def test_fetched_model_is_whole_or_not_there_wherever_its_removal_is_killed(
    models: FetchedModels, tmp_path: Path
) -> None:
    number = 0
    put(models)
    while killed_at(number, lambda: models.prune(0, 0, [])):
        if file := models.find(SHA256):
            assert file.read_bytes() == CONTENT
        models.sweep()
        put(models)
        number += 1
    assert number >= 2
    models.sweep()
    assert list(tmp_path.rglob(".gone-*")) == []
