"""Fixtures of this folder's tests."""

from pathlib import Path

import pytest

ONE = '[cameras.front]\nsource = "0"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Named by the environment, as no test may see this machine's own."""
    path = tmp_path / "config.toml"
    path.write_text(ONE, "utf-8")
    monkeypatch.setenv("EDGE_CLASSIFIER_CONFIG", str(path))
    return path
