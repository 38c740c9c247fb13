"""A settings file of one camera, and how tests read it."""

from pathlib import Path

import pytest

from tests.config.settings_files import ONE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one camera."""
    path = tmp_path / "config.toml"
    path.write_text(ONE, "utf-8")
    return path
