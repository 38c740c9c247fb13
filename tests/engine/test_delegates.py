"""Delegates as shared libraries: good ones, and every bad kind, compiled here."""

import resource
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.frame import Frame
from edge_classifier.engine.delegates import Check, choose_delegate
from edge_classifier.engine.probe import check_delegate
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import (
    DelegateError,
    ExitCode,
    MissingFileError,
    ModelError,
    UsageError,
)
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.bundle import append_bundle
from edge_classifier.modelfile.catalogue import Catalogue
from tests.tiny import COLOURS, Tiny, build

EDGETPU = "edgetpu-custom-op"
NO_CATALOGUE = Catalogue("none", (), Path("none"), Path("none"))

WORKING = """
#include <stdint.h>
#include <stdlib.h>
/* TfLiteDelegate of tensorflow/lite/core/c/common.h */
struct delegate {
  void *data;
  int (*prepare)(void *context, struct delegate *self);
  int (*copy_from_buffer)(void *, struct delegate *, int, void *);
  int (*copy_to_buffer)(void *, struct delegate *, int, void *);
  void (*free_buffer)(void *, struct delegate *, int *);
  int64_t flags;
  void *opaque_builder;
};
static int leave_the_graph_alone(void *context, struct delegate *self) { return STATUS; }
struct delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                               void (*report)(const char *)) {
  struct delegate *made = calloc(1, sizeof *made);
  made->prepare = leave_the_graph_alone;
  return made;
}
void tflite_plugin_destroy_delegate(struct delegate *made) { free(made); }
"""
LINGER_S = 20
SOURCES = {
    "working": WORKING.replace("STATUS", "0"),
    "unwilling": WORKING.replace("STATUS", "1"),
    "crashing": """
#include <signal.h>
__attribute__((constructor)) static void begin(void) { raise(SIGSEGV); }
""",
    "aborting": """
#include <stdlib.h>
void *tflite_plugin_create_delegate(char **k, char **v, size_t n, void *r) { abort(); }
void tflite_plugin_destroy_delegate(void *d) {}
""",
    "hanging": """
#include <unistd.h>
__attribute__((constructor)) static void begin(void) { for (;;) pause(); }
""",
    "leaving": """
#include <unistd.h>
__attribute__((constructor)) static void begin(void) { _exit(0); }
""",
    "lingering": """
#include <unistd.h>
__attribute__((constructor)) static void begin(void) {
  if (fork() == 0) { close(0); close(1); close(2); sleep(LINGER_S); _exit(0); }
  _exit(0);
}
""".replace("LINGER_S", str(LINGER_S)),
    "plain": "int something_else(void) { return 1; }",
    "null": """
#include <stddef.h>
void *tflite_plugin_create_delegate(char **k, char **v, size_t n, void (*report)(const char *)) {
  report("no device found");
  return NULL;
}
void tflite_plugin_destroy_delegate(void *made) {}
""",
}
Library = Callable[[str], Path]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Compiles one of SOURCES; ``text`` is a library in name only."""
    folder = tmp_path_factory.mktemp("delegates")
    compiler = shutil.which("cc")

    def compiled(kind: str) -> Path:
        made = folder / f"lib{kind}.so"
        if kind == "text":
            made.write_text("this is no library\n")
        if not made.exists():
            if compiler is None:
                pytest.skip("there is no C compiler here to make delegates with")
            source = made.with_suffix(".c")
            source.write_text(SOURCES[kind])
            subprocess.run([compiler, "-shared", "-fPIC", "-w", "-o", made, source], check=True)
        return made

    return compiled


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that knows its labels."""
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"labels.txt": "\n".join(COLOURS)})
    return path


@pytest.fixture
def twin(model: Path) -> Path:
    """A second file beside the model, under the name that edgetpu_compiler gives.

    Not compiled for the Edge TPU, which is not here: what matters is who runs it.
    """
    return build(model.with_name("tiny_edgetpu.tflite"))


def quick_check(library: Path, model: Path) -> None:
    """The real trial; only what never ends is given little time to do so."""
    time_limit_s = 1.0 if "hanging" in library.name else 30.0
    check_delegate(library, model, time_limit_s=time_limit_s)


BROKEN = {
    "crashing": "crashed (SIGSEGV) when tried",
    "aborting": "crashed (SIGABRT) when tried",
    "hanging": "took longer than 1 s when tried",
    "leaving": "failed (exit code 0: no message) when tried",
    "text": "is not a TFLite delegate",
    "plain": "tflite_plugin_create_delegate",
    "null": "no device found",
    "unwilling": "cannot load it",
}


def children() -> set[int]:
    """This process's children, zombies included."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found |= set(map(int, (task / "children").read_text().split()))
    return found


def open_files() -> set[str]:
    return {file.name for file in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_delegate_tried_in_a_child_is_told_of_and_this_process_lives(
    kind: str, library: Library, model: Path
) -> None:
    broken = library(kind)

    with pytest.raises(DelegateError) as caught:
        quick_check(broken, model)

    assert BROKEN[kind] in caught.value.problem
    assert caught.value.subject == str(broken)
    assert caught.value.exit_code == ExitCode.UNAVAILABLE
    assert "\n" not in str(caught.value)
    assert "--delegate cpu" in str(caught.value)


def test_hanging_delegate_ends_at_the_time_limit(library: Library, model: Path) -> None:
    with pytest.raises(DelegateError, match=r"longer than 0\.5 s"):
        check_delegate(library("hanging"), model, time_limit_s=0.5)


def test_delegate_that_leaves_a_process_behind_does_not_hold_the_trial_up(
    library: Library, model: Path
) -> None:
    lingering, started = library("lingering"), time.monotonic()

    with pytest.raises(DelegateError, match="exit code 0"):
        check_delegate(lingering, model, time_limit_s=2 * LINGER_S)

    assert time.monotonic() - started < LINGER_S, "it waited for the process"


def test_missing_delegate_library_fails_its_trial(model: Path, tmp_path: Path) -> None:
    with pytest.raises(DelegateError, match="not a TFLite delegate"):
        quick_check(tmp_path / "libnone.so", model)


@pytest.mark.parametrize("kind", ["crashing", "hanging", "null", "working"])
def test_trial_leaves_no_process_no_core_file_and_no_open_file(
    kind: str,
    library: Library,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = library(kind)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    before, open_before = children(), open_files()
    try:
        if kind == "working":
            quick_check(tried, model)
        else:
            with pytest.raises(DelegateError):
                quick_check(tried, model)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))

    assert children() == before
    assert open_files() == open_before
    assert list(here.iterdir()) == []


def test_trials_in_several_threads_do_not_disturb_one_another(
    library: Library, model: Path
) -> None:
    kinds = ["working", "null", "crashing", "working"]
    ended: dict[int, str] = {}

    def one(number: int, path: Path) -> None:
        try:
            check_delegate(path, model, time_limit_s=20)
            ended[number] = "works"
        except DelegateError as error:
            ended[number] = error.problem

    threads = [
        threading.Thread(target=one, args=(number, library(kind)))
        for number, kind in enumerate(kinds)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ended[0] == ended[3] == "works"
    assert "no device found" in ended[1]
    assert "SIGSEGV" in ended[2]


@pytest.mark.parametrize(
    ("kind", "cause"), [(kind, BROKEN[kind]) for kind in ("null", "unwilling")]
)
def test_engine_under_a_broken_delegate_refuses_with_the_cause(
    kind: str, cause: str, library: Library, model: Path
) -> None:
    """These kinds do no harm in any process: the engine itself names them, too."""
    broken = library(kind)

    with pytest.raises((DelegateError, ModelError), match=cause):
        TfliteEngine(model, load_runtime(), delegate=broken)


def test_working_delegate_passes_its_trial(library: Library, model: Path) -> None:
    check_delegate(library("working"), model)


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


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """A model with Edge TPU code in it, which no CPU can run."""
    return build(tmp_path / "compiled.tflite", Tiny(custom_operator=EDGETPU))


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
