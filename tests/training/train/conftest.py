"""Fixtures of this folder's tests."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from edge_classifier.training.train.plan import RunOptions


@pytest.fixture
def options(tmp_path: Path) -> "RunOptions":
    # Here, as it needs torch, without which this folder's tests are skipped.
    from edge_classifier.training.train.plan import RunOptions

    return RunOptions(folder=tmp_path / "run", device="cpu", workers=0)
