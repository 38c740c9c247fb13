"""What one picture has to wait for: everything that is loaded before its labels are printed."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_classifier import samples
from edge_classifier.engine.tflite import compiled_for_edgetpu

# Each took as long as a picture to classify, or longer, and one picture needs none of them.
NOT_NEEDED = (
    "concurrent.futures",
    "email",
    "importlib.metadata",
    "numpy.ma",
    "paho",
    "pydantic",
    "requests",
    "rich",
    "sqlite3",
    "ssl",
    "tempfile",
    "edge_classifier.child",
    "edge_classifier.config",
    "edge_classifier.daemon",
    "edge_classifier.vision.draw",
    "PIL.PngImagePlugin",
)


def test_one_picture_waits_for_no_module_that_it_does_not_need() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "edge_classifier", str(samples.CAT)]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    loaded = {line.rsplit(b"|", 1)[-1].strip().decode() for line in done.stderr.splitlines()}
    assert "edge_classifier.vision.pictures" in loaded
    assert [name for name in NOT_NEEDED if name in loaded] == []


@pytest.mark.parametrize("before", [0, 10, 262_130, 262_144, 400_000])
def test_edge_tpu_code_is_found_wherever_it_begins(tmp_path: Path, before: int) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(bytes(before) + b"edgetpu-custom-op" + bytes(300_000))
    assert compiled_for_edgetpu(path)
    path.write_bytes(bytes(before) + b"edgetpu-custom" + bytes(300_000))
    assert not compiled_for_edgetpu(path)
