"""Settings of the page: from where, what is refused, and where its files lie."""

import re
import stat
from pathlib import Path

import pytest

from edge_classifier.errors import ConfigurationError, MissingFileError, OutputError
from edge_classifier.web.configuration import folders_of, load, make_folders, secret_key
from edge_classifier.web.settings import WebSettings
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


def test_settings_empty_path_takes_back_the_one_of_a_weaker_source(tmp_path: Path) -> None:
    file = tmp_path / "web.toml"
    file.write_text('state_folder = "/srv/web"\n')
    assert load(file, ["state_folder="], {}).state_folder is None


def test_settings_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load(tmp_path / "none.toml", [], {})


@pytest.mark.parametrize(
    ("settings", "environment", "state"),
    [
        (WebSettings(state_folder=Path("/srv/web")), {"STATE_DIRECTORY": "/var/lib/x"}, "/srv/web"),
        (WebSettings(), {"STATE_DIRECTORY": "/var/lib/x:/var/lib/y"}, "/var/lib/x"),
        (WebSettings(), {"XDG_STATE_HOME": "/home/a/s"}, "/home/a/s/edge-classifier-web"),
    ],
)
def test_state_folder_is_found(
    settings: WebSettings, environment: dict[str, str], state: str
) -> None:
    found = folders_of(settings, environment)
    assert found.state == Path(state)
    assert found.database == Path(state, "web.db")


def test_folders_are_for_their_user_alone(tmp_path: Path) -> None:
    found = folders_of(WebSettings(state_folder=tmp_path / "a" / "b"))
    make_folders(found)
    for folder in (found.state, found.pictures, found.models, found.backups, found.scratch):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="state_folder names another"):
        make_folders(folders_of(WebSettings(state_folder=tmp_path / "file" / "state")))


def test_secret_key_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    found = folders_of(WebSettings(state_folder=tmp_path))
    first = secret_key(found)
    assert len(first) >= 80
    assert secret_key(found) == first
    assert stat.S_IMODE(found.secret_key.stat().st_mode) == 0o600


def test_secret_key_that_a_power_cut_emptied_is_made_anew(tmp_path: Path) -> None:
    found = folders_of(WebSettings(state_folder=tmp_path))
    found.secret_key.write_text("")
    assert len(secret_key(found)) >= 80


def test_secret_key_that_is_no_text_is_named(tmp_path: Path) -> None:
    found = folders_of(WebSettings(state_folder=tmp_path))
    found.secret_key.write_bytes(b"\xff")
    with pytest.raises(OutputError, match="made anew"):
        secret_key(found)


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
