"""A model that runs is its file of one moment, whatever is done to the file meanwhile."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_classifier.engine import probe
from edge_classifier.engine.model_copy import ModelCopy, release_unused_memory, require_tflite
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import ModelError
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.catalogue import Catalogue, embedded_folder, sha256_of
from tests.tiny import Tiny, build

NO_CATALOGUE = Catalogue("none", (), Path("none"), Path("none"))
# Runs a model whose file is shortened to nothing, as `cp` does before it writes a new one.
SHORTENED = """
import os, sys
from pathlib import Path
from edge_classifier.engine.model_copy import release_unused_memory
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine

path = Path(sys.argv[1])
engine = TfliteEngine(path, load_runtime())
engine.picture.fill(1)
engine.invoke()
before = engine.scores.tolist()
os.truncate(path, 0)
release_unused_memory()
engine.invoke()
assert engine.scores.tolist() == before
print("alive")
"""


def test_file_shortened_under_a_running_model_changes_nothing(tmp_path: Path) -> None:
    # Larger than a page, and read again from its pages: the embedded model.
    path = tmp_path / "model.tflite"
    path.write_bytes((embedded_folder() / "mobilenet_v2_1.0_imagenet_int8.tflite").read_bytes())
    command = [sys.executable, "-c", SHORTENED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


def test_file_replaced_while_it_is_tried_is_run_as_it_was_tried(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    tried = sha256_of(path)

    def replace_it(copy: ModelCopy) -> None:
        probe.check_model(copy)
        build(path, Tiny("uint8"))

    loaded = load_model(ModelChoice(str(path)), catalogue=NO_CATALOGUE, check=replace_it)
    assert loaded.sha256 == tried
    assert loaded.engine.input.dtype == np.int8


def test_idle_pages_of_a_model_are_given_back() -> None:
    def mapped_kb() -> int:
        mapping = Path("/proc/self/smaps").read_text().partition("edge-classifier-model")[2]
        return int(mapping.partition("Rss:")[2].split()[0])

    engine = TfliteEngine(
        embedded_folder() / "efficientnet_lite0_imagenet_int8.tflite", load_runtime()
    )
    engine.invoke()
    release_unused_memory()
    assert mapped_kb() < 1_000
    engine.invoke()


@pytest.mark.parametrize(
    ("content", "problem", "remedy"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3610798\n",
            "is a Git LFS pointer",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html><body>404", "is a web page", "Download the file itself"),
        (b"\n <html lang=en>", "is a web page", "Download the file itself"),
        (b"PK\x03\x04" + bytes(99), "is a zip file", "Unpack it"),
        (b"", "is empty", "models list"),
        (b"\x08\x00\x00\x00ABCD", "no TFL3 identifier", "models list"),
    ],
)
def test_file_that_is_no_model_is_named_as_what_it_is(
    content: bytes, problem: str, remedy: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.tflite"
    path.write_bytes(content)
    for look in (require_tflite, ModelCopy):
        with pytest.raises(ModelError) as caught:
            look(path)
        assert problem in caught.value.problem
        assert remedy in caught.value.remedy


def test_model_refused_in_its_trial_keeps_the_remedy_and_its_own_name(tmp_path: Path) -> None:
    path = build(tmp_path / "two.tflite", Tiny(extra_output=True))
    with ModelCopy(path) as copy, pytest.raises(ModelError) as caught:
        probe.check_model(copy)
    assert "one picture in, one score a class out" in caught.value.remedy
    assert caught.value.subject == str(path)
    assert "/proc" not in str(caught.value)
