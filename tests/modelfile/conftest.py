"""A model that says all of itself in several places."""

from pathlib import Path

import pytest

from tests.modelfile.model_files import SIDE_CAR, STATED, contract_text
from tests.tiny import Tiny, build, metadata


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """A model with metadata and with every file beside it that could be asked."""
    stated = metadata(STATED, (128, 128, 128), [("stated.txt", "")])
    path = build(tmp_path / "tiny.tflite", Tiny(metadata=stated))
    (tmp_path / "tiny.contract.json").write_text(contract_text(mean=list(SIDE_CAR)))
    (tmp_path / "tiny.labels.txt").write_text("side red\nside green\nside blue\n")
    return path
