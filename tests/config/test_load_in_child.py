"""The daemon reads its settings in a child process, and stays without pydantic."""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_classifier.config import load_in_child as child
from edge_classifier.config.load import examine
from edge_classifier.config.load_in_child import examine_in_child
from edge_classifier.config.sources import SettingsSources
from edge_classifier.errors import (
    ConfigurationError,
    MissingFileError,
    UnavailableError,
    UsageError,
)

ONE = '[cameras.front]\nsource = "0"\ndecision.aliases = { a = "b" }\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(ONE, "utf-8")
    return path


def test_settings_read_apart_are_what_load_gives(file: Path) -> None:
    sources = SettingsSources(file, {"EDGE_CLASSIFIER__MQTT__HOST": "broker"}, ("mqtt.port=1",))
    report = examine_in_child(sources)
    assert report == examine(sources)
    assert report.settings
    assert (report.settings.mqtt.host, report.settings.mqtt.port) == ("broker", 1)
    assert report.settings.cameras["front"].decision.aliases == {"a": "b"}


def test_settings_read_apart_of_wrong_settings_tells_all_problems(file: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        examine_in_child(SettingsSources(file, {}, ("mqtt.port=0", "http.new=0"))).require()
    assert error.value.problem.splitlines() == [
        "http.new (--set): no such key",
        "mqtt.port = 0 (--set): must be a whole number from 1 to 65535",
    ]


def test_settings_read_apart_of_a_missing_file_or_wrong_option_is_the_same_error(
    tmp_path: Path,
) -> None:
    with pytest.raises(MissingFileError):
        examine_in_child(SettingsSources(tmp_path / "none")).require()
    with pytest.raises(UsageError):
        examine_in_child(SettingsSources(assignments=("x",))).require()


def test_settings_read_apart_takes_only_the_environment_that_it_is_given(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_CLASSIFIER__MQTT__HOST", "other")
    assert examine_in_child(SettingsSources(file)).require().mqtt.host == "localhost"


def test_settings_read_apart_that_take_too_long_give_up_in_time(file: Path) -> None:
    # Not ConfigurationError: after its exit code the service is not started again.
    with pytest.raises(UnavailableError, match=r"longer than 0.001 s"):
        examine_in_child(SettingsSources(file), time_limit_s=0.001).require()


def test_settings_read_apart_with_a_broken_python_says_why(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "__name__", "edge_classifier.config.gone")
    with pytest.raises(UnavailableError, match=r"exit code 1: .*No module named"):
        examine_in_child(SettingsSources(file)).require()


def loaded(code: str) -> set[str]:
    """The top-level packages that a fresh Python holds in the end."""
    code += "\nimport sys; print(*sorted(name.split('.')[0] for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_settings_read_apart_leaves_pydantic_to_the_child(file: Path) -> None:
    code = f"""
from pathlib import Path
from edge_classifier.config.load_in_child import examine_in_child
from edge_classifier.config.sources import SettingsSources
import edge_classifier.config.changes, edge_classifier.config.secrets
assert examine_in_child(SettingsSources(Path({str(file)!r}))).require().cameras
"""
    assert loaded(code) & {"pydantic", "pydantic_core", "numpy", "cv2"} == set()


def test_options_of_settings_cost_no_pydantic() -> None:
    found = loaded("import edge_classifier.cli.config")
    assert found & {"pydantic", "pydantic_core", "numpy", "cv2"} == set()


def test_load_in_the_child_needs_neither_numpy_nor_opencv() -> None:
    found = loaded("import edge_classifier.config.load")
    assert "pydantic" in found
    assert found & {"numpy", "cv2", "PIL", "paho", "rich"} == set()
