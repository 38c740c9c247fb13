"""Who the daemon is, and where its state lies, where the configuration leaves it open."""

from pathlib import Path

import pytest

from edge_classifier.config.settings import DeviceSettings
from edge_classifier.daemon.service import node_name, state_folder
from edge_classifier.errors import OutputError


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("raspberrypi", "raspberrypi"),
        ("kitchen.local", "kitchen"),
        ("Ann's pi", "Ann-s-pi"),
        ("garten_2", "garten_2"),
        ("küche", "k-che"),
        ("/+#", "edge-classifier"),
        ("", "edge-classifier"),
        ("x" * 100, "x" * 64),
    ],
)
def test_node_name_of_a_host_may_stand_in_a_topic(host: str, expected: str) -> None:
    assert node_name(DeviceSettings(), host) == expected


def test_node_name_is_the_configured_one_where_there_is_one() -> None:
    assert node_name(DeviceSettings(name="porch"), "raspberrypi") == "porch"


def test_state_folder_is_the_configured_one_else_systemds_else_the_users(tmp_path: Path) -> None:
    configured, given, home = tmp_path / "a/b", tmp_path / "systemd", tmp_path / "home"
    environment = {"STATE_DIRECTORY": f"{given}:/other", "XDG_STATE_HOME": str(home)}
    assert state_folder(DeviceSettings(state_folder=configured), environment) == configured
    assert state_folder(DeviceSettings(), environment) == given
    del environment["STATE_DIRECTORY"]
    assert state_folder(DeviceSettings(), environment) == home / "edge-classifier"
    assert state_folder(DeviceSettings(), {}) == Path.home() / ".local/state/edge-classifier"
    for folder in (configured, given, home / "edge-classifier"):
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o077 == 0


def test_state_folder_that_cannot_be_made_says_where_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/state: cannot be made .*device\.state_folder"):
        state_folder(DeviceSettings(state_folder=tmp_path / "file/state"))
