"""Settings of the web server: from where, and what is refused."""

import re
from pathlib import Path

import pytest

from edge_classifier.errors import ConfigurationError, MissingFileError
from edge_classifier.web.config.load_settings import load
from edge_classifier.web.config.settings import WebSettings
from tests.conftest import REPOSITORY


def test_settings_later_source_wins(tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text("[server]\nport = 1\nthreads = 2\nstreams = 2\n")
    environment = {"EDGE_CLASSIFIER_WEB__SERVER__PORT": "3", "EDGE_CLASSIFIER_WEB__TITLE": "Garden"}
    found = load(file, ["server.port=4"], environment)
    assert (found.server.port, found.server.threads, found.title) == (4, 2, "Garden")
    assert load(file, [], environment).server.port == 3
    assert load(file, [], {}).server.port == 1


def test_settings_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text("[server]\nport = 99999\nsecret = 1\n[access]\nsession_days = 0\n")
    with pytest.raises(ConfigurationError) as raised:
        load(file, ["uploads.max_mb=-1"], {})
    said = "\n".join(raised.value.lines)
    for key in ("server.port", "server.secret", "access.session_days", "uploads.max_mb"):
        assert key in said


@pytest.mark.parametrize("key", ["state_folder", "storage.folder", "mqtt.username"])
def test_settings_text_with_a_nul_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="must be without the character NUL"):
        load(None, [rf'{key}="a\u0000"'], {})


def test_settings_empty_path_takes_back_the_one_of_a_weaker_source(tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text('state_folder = "/srv/web"\n')
    assert load(file, ["state_folder="], {}).state_folder is None


def test_settings_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load(tmp_path / "none.toml", [], {})


def test_example_of_settings_is_valid(tmp_path: Path) -> None:
    page = (REPOSITORY / "docs" / "web-settings.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n# web.toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "web.toml").write_text(example)
    assert load(tmp_path / "web.toml", [], {}).title == "Garden"


def test_settings_of_the_service_are_valid_as_they_come_and_with_all_that_they_propose(
    tmp_path: Path,
) -> None:
    file = REPOSITORY / "systemd" / "web.toml"
    assert load(file, [], {}) == WebSettings()
    everything = re.sub(r"^# (?=\w+ = )", "", file.read_text("utf-8"), flags=re.MULTILINE)
    (tmp_path / "web.toml").write_text(everything)
    assert load(tmp_path / "web.toml", [], {}).server.allowed_hosts == ("pi.example.org",)
