"""docs/fleet.md: its files are valid, and its figures of settings those that are in force."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from edge_classifier.web.config import load_settings
from edge_classifier.web.config.settings import RecordingSettings
from tests.conftest import REPOSITORY
from tests.mosquitto import Broker

PAGE = (REPOSITORY / "docs" / "fleet.md").read_text("utf-8")
SETTINGS = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", SETTINGS)
def test_settings_of_the_page_are_valid(example: str, tmp_path: Path) -> None:
    assert tomllib.loads(example)
    (tmp_path / "web.toml").write_text(example)
    load_settings.load(tmp_path / "web.toml", (), {})


def test_lines_for_mosquitto_are_understood_and_explained(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```\n(persistence.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    lines = block.splitlines()
    explained = re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## mosquitto")[2], re.MULTILINE)
    assert explained == lines
    with Broker(tmp_path / "broker", ("allow_anonymous true", *lines)) as broker:
        assert "Error" not in broker.log


def test_settings_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"`record\.(\w+)`", PAGE))
    assert named
    assert named <= {field.name for field in fields(RecordingSettings)}
