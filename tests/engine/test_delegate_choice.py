"""Which delegate is taken, and what is said where it cannot be."""

from pathlib import Path

import numpy as np
import pytest

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.frame import Frame
from edge_classifier.engine.delegates import Check, choose_delegate
from edge_classifier.errors import (
    DelegateError,
    ExitCode,
    MissingFileError,
    ModelError,
    UsageError,
)
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.catalogue import Catalogue
from tests.engine.delegate_libraries import Library, quick_check
from tests.tiny import COLOURS, build

NO_CATALOGUE = Catalogue("none", (), Path("none"), Path("none"))


@pytest.fixture
def twin(model: Path) -> Path:
    """A second file beside the model, under the name that edgetpu_compiler gives.

    Not compiled for the Edge TPU, which is not here: what matters is who runs it.
    """
    return build(model.with_name("tiny_edgetpu.tflite"))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("crashing", "crashed (SIGSEGV) when tried"),
        ("hanging", "took longer than 1 s"),
        ("null", "no device found"),
        (None, "libedgetpu is not installed"),
    ],
)
def test_auto_with_a_twin_and_a_broken_library_falls_back_and_says_why(
    kind: str | None, reason: str, library: Library, model: Path, twin: Path
) -> None:
    found = library(kind) if kind else None

    delegate_choice = choose_delegate("auto", model, check=quick_check, find=lambda: found)

    assert delegate_choice.model == model
    assert delegate_choice.delegate is None
    assert delegate_choice.note.startswith("CPU (fell back from the Edge TPU: ")
    assert reason in delegate_choice.note


def test_auto_with_a_twin_and_a_working_library_takes_the_twin(
    library: Library, model: Path, twin: Path
) -> None:
    found = library("working")

    delegate_choice = choose_delegate("auto", model, check=quick_check, find=lambda: found)

    assert (delegate_choice.model, delegate_choice.delegate) == (twin, found)
    assert "fell back" not in delegate_choice.note


def never(library: Path, model: Path) -> None:
    raise AssertionError(f"{library} was tried with {model}")


def not_asked() -> Path | None:
    raise AssertionError("the Edge TPU's library was looked for")


@pytest.mark.parametrize("request_", ["auto", "cpu"])
def test_model_without_a_twin_runs_on_the_cpu_without_a_trial(request_: str, model: Path) -> None:
    """The Edge TPU is not touched for a model that it could not run anyway."""
    delegate_choice = choose_delegate(request_, model, check=never, find=not_asked)

    assert (delegate_choice.model, delegate_choice.delegate) == (model, None)
    assert delegate_choice.note.startswith("CPU")
    assert "fell back" not in delegate_choice.note


def test_cpu_asked_for_ignores_the_twin(model: Path, twin: Path) -> None:
    delegate_choice = choose_delegate("cpu", model, check=never, find=not_asked)

    assert (delegate_choice.model, delegate_choice.delegate) == (model, None)


@pytest.mark.parametrize("kind", ["crashing", "hanging", "text", "plain", "null"])
def test_demanded_library_that_fails_its_trial_raises(
    kind: str, library: Library, model: Path
) -> None:
    with pytest.raises(DelegateError):
        choose_delegate(str(library(kind)), model, check=quick_check, find=not_asked)


def test_demanded_edgetpu_that_is_not_installed_raises(model: Path) -> None:
    with pytest.raises(DelegateError, match="libedgetpu is not installed"):
        choose_delegate("edgetpu", model, check=never, find=lambda: None)


def test_demanded_edgetpu_takes_the_twin(library: Library, model: Path, twin: Path) -> None:
    delegate_choice = choose_delegate(
        "edgetpu", model, check=quick_check, find=lambda: library("working")
    )

    assert delegate_choice.model == twin


def test_demanded_edgetpu_without_a_compiled_model_says_that_the_cpu_runs_it(
    library: Library, model: Path
) -> None:
    delegate_choice = choose_delegate(
        "edgetpu", model, check=quick_check, find=lambda: library("working")
    )

    assert delegate_choice.model == model
    assert "not compiled for it" in delegate_choice.note


@pytest.mark.parametrize("request_", ["gpu", "", "AUTO", "edge-tpu"])
def test_unknown_delegate_name_is_a_wrong_call(request_: str, model: Path) -> None:
    with pytest.raises(UsageError) as caught:
        choose_delegate(request_, model, check=never, find=not_asked)

    assert caught.value.exit_code == ExitCode.USAGE
    assert "auto" in caught.value.remedy


@pytest.mark.parametrize("request_", ["/usr/lib/libnone.so", "libnone.so.1", "./none"])
def test_missing_delegate_path_is_a_missing_file(request_: str, model: Path) -> None:
    with pytest.raises(MissingFileError):
        choose_delegate(request_, model, check=never, find=not_asked)


@pytest.mark.parametrize("request_", ["", "gpu"])
def test_folder_that_happens_to_have_a_delegates_name_is_not_loaded(
    request_: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is a name: only what looks like a path, or is a file, is taken for a library."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpu").mkdir()

    with pytest.raises(UsageError):
        choose_delegate(request_, model, check=never, find=not_asked)


def test_model_compiled_for_the_edgetpu_is_refused_on_the_cpu(compiled: Path) -> None:
    with pytest.raises(ModelError, match="compiled for the Edge TPU"):
        choose_delegate("cpu", compiled, check=never, find=not_asked)


@pytest.mark.parametrize("kind", ["crashing", None])
def test_model_compiled_for_the_edgetpu_has_nowhere_to_fall_back_to(
    kind: str | None, library: Library, compiled: Path
) -> None:
    found = library(kind) if kind else None

    with pytest.raises(DelegateError):
        choose_delegate("auto", compiled, check=quick_check, find=lambda: found)


def test_model_compiled_for_the_edgetpu_is_run_there(library: Library, compiled: Path) -> None:
    tried: list[tuple[Path, Path]] = []
    check: Check = lambda delegate, model: tried.append((delegate, model))  # noqa: E731

    delegate_choice = choose_delegate(
        "auto", compiled, check=check, find=lambda: library("working")
    )

    assert (delegate_choice.model, delegate_choice.delegate) == (compiled, library("working"))
    assert tried == [(library("working"), compiled)]


def test_loaded_model_under_a_demanded_library_classifies_rightly(
    library: Library, model: Path
) -> None:
    choice = ModelChoice(str(model), delegate=str(library("working")))
    loaded = load_model(choice, catalogue=NO_CATALOGUE)

    for colour, name in enumerate(COLOURS):
        pixels = np.full((20, 30, 3), 10, np.uint8)
        pixels[..., colour] = 240
        best, *_ = loaded.classifier(AnswerOptions(1)).classify(Frame(pixels)).predictions
        assert best.label == name
    assert loaded.delegate_choice.delegate == library("working")
    assert not any("fell back" in note for note in loaded.notes)


def test_loaded_model_under_a_crashing_library_raises_and_nothing_else_happens(
    library: Library, model: Path
) -> None:
    choice = ModelChoice(str(model), delegate=str(library("crashing")))

    with pytest.raises(DelegateError, match="SIGSEGV"):
        load_model(choice, catalogue=NO_CATALOGUE)
