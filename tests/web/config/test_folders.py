"""Where the web server's files lie, and the key that signs cookies."""

import stat
from pathlib import Path

import pytest

from edge_classifier.errors import OutputError
from edge_classifier.web.config.folders import folders_of, make_folders, secret_key
from edge_classifier.web.config.settings import WebSettings


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
