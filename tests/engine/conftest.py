"""Fixtures of this folder's tests."""

import shutil
import subprocess
from pathlib import Path

import pytest

from edge_classifier.engine.runtime import Runtime, load_runtime
from edge_classifier.modelfile.bundle import append_bundle
from tests.engine.delegate_libraries import EDGETPU, SOURCES, Library
from tests.tiny import COLOURS, Tiny, build


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
def compiled(tmp_path: Path) -> Path:
    """A model with Edge TPU code in it, which no CPU can run."""
    return build(tmp_path / "compiled.tflite", Tiny(custom_operator=EDGETPU))


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return load_runtime()
