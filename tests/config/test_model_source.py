"""Where models are fetched from: one place, encrypted, or on this very machine."""

from pathlib import Path

import pytest

from edge_classifier.config.secrets import presentable
from tests.config.settings_files import ONE, read, write, wrong


@pytest.mark.parametrize(
    "source",
    [
        "",
        "https://page.example.org",
        "https://page.example.org/",
        "https://10.0.0.5:8443",
        "https://[fe80::1]:8443",
        "http://127.0.0.1:8090",
        "http://localhost:8090",
        "http://[::1]:8090",
    ],
)
def test_source_of_models_that_is_a_place_is_taken(tmp_path: Path, source: str) -> None:
    file = write(tmp_path / "config.toml", ONE)
    assert read(file, f"models.source={source}").require().models.source == source


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("page.example.org", "must be https://HOST or https://HOST:PORT"),
        ("ftp://page.example.org", "must be https://HOST or https://HOST:PORT"),
        ("file:///etc", "must be https://HOST or https://HOST:PORT"),
        ("https://", "must be https://HOST or https://HOST:PORT"),
        ("https://page:0", "must be https://HOST or https://HOST:PORT"),
        ("https://page:99999", "must be https://HOST or https://HOST:PORT"),
        ("https://page /", "must be https://HOST or https://HOST:PORT"),
        ("https://page/models", "no path, and no login"),
        ("https://page?x=1", "no path, and no login"),
        ("https://anna:secret@page", "no path, and no login"),
        ("http://page.example.org", "http:// is for this machine alone"),
        ("http://10.0.0.5:8090", "http:// is for this machine alone"),
    ],
)
def test_source_of_models_that_is_no_such_place_is_refused(
    tmp_path: Path, source: str, words: str
) -> None:
    found = wrong(read(write(tmp_path / "config.toml", ONE), f"models.source={source}"))
    assert list(found) == ["models.source"]
    assert words in found["models.source"]


def test_token_that_stands_in_the_place_of_its_file_is_not_shown() -> None:
    shown = presentable((), {"models": {"token_file": "edge_device_abc"}})
    assert shown == {"models": {"token_file": "***"}}
