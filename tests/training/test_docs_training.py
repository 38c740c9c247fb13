"""What docs/training.md and docs/training-settings.md say about the settings of a run."""

import re
from pathlib import Path

import pytest

from edge_classifier.training import load_settings
from tests.conftest import REPOSITORY


@pytest.mark.parametrize("name", ["training.md", "training-settings.md"])
def test_examples_of_training_settings_are_valid(name: str, tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / name).read_text("utf-8")
    examples = re.findall(r"```toml\n# garden.toml\n(.*?)```", page, re.DOTALL)
    assert examples
    for example in examples:
        (tmp_path / "garden.toml").write_text(example, "utf-8")
        load_settings.load(tmp_path / "garden.toml", [], {})
