"""Passwords come from files and credentials, and are seen nowhere."""

import logging
import traceback
from pathlib import Path

import pytest

from edge_classifier.config.secrets import Secret, presentable, read_secret
from edge_classifier.config.toml import Key
from edge_classifier.errors import ConfigurationError

NAME = "mqtt-password"


def test_secret_is_not_seen_unless_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret("hunter2")
    logging.getLogger("x").warning("%s %r", secret, [secret])
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r}", caplog.text):
        assert "hunter2" not in text
        assert "***" in text
    assert secret.reveal() == "hunter2"


def test_secret_is_equal_to_the_same_one_and_no_key() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    with pytest.raises(TypeError):
        hash(Secret("a"))


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        ("a b", "a b"),
        ("a\n", "a"),
        ("a\r\nb\n", "a"),
        (" ä \n\n", " ä "),
        ("\ufeffa\r\n", "a"),
        ("x" * 4096, "x" * 4096),
    ],
)
def test_read_secret_of_a_file_is_its_first_line(tmp_path: Path, content: str, secret: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content, "utf-8", newline="")
    assert read_secret(path, NAME, {}) == Secret(secret)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\nhunter2", "the first line is not a secret of 1 to 4096 characters"),
        (b"hunter2\xff\n", "the secret is not UTF-8 text"),
        (b"hunter2" * 1000, "the first line is not a secret of 1 to 4096 characters"),
    ],
)
def test_read_secret_of_an_unusable_file_is_refused_without_repeating_it(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        read_secret(path, NAME, {})
    assert (error.value.subject, error.value.problem) == (str(path), said)
    assert "hunter2" not in "".join(traceback.format_exception(error.value))


def test_read_secret_of_a_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("other")
    with pytest.raises(ConfigurationError, match=r"No such file"):
        read_secret(tmp_path / "none", NAME, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize("name", [NAME, f"secrets_{NAME}"])
def test_read_secret_without_a_file_takes_the_credential(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("hunter2\n")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_secret(None, NAME, environment) == Secret("hunter2")
    assert read_secret(None, "camera-front", environment) is None


def test_read_secret_of_a_file_is_before_the_credential(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("credential")
    (tmp_path / "file").write_text("file")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_secret(tmp_path / "file", NAME, environment) == Secret("file")


def test_read_secret_without_anything_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert read_secret(None, NAME) is None


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        (("mqtt", "host"), "broker", "broker"),
        (("mqtt", "port"), 1, 1),
        (("mqtt", "password_file"), Path("/run/secret"), Path("/run/secret")),
        (("mqtt", "password_file"), "hunter2", "***"),
        (("cameras", "a", "credentials_file"), "me:hunter2", "***"),
        (("cameras", "a", "source"), "/dev/video0", "/dev/video0"),
        (("cameras", "a", "source"), "pictures:/a@b/*.jpg", "pictures:/a@b/*.jpg"),
        (("cameras", "a", "source"), "rtsp://me:hunter2@host/x", "rtsp://***@host/***"),
        (("cameras", "a", "source"), "rtsp://me:hunt er2@host/x", "rtsp://***@host/***"),
        (("cameras", "a", "source"), "rtsp:/me:hunter2@host/x", "***"),
        (("x",), ["rtsp://me:hunter2@host"], ["rtsp://***@host"]),
        ((), {"a": {"password_file": "hunter2"}}, {"a": {"password_file": "***"}}),
    ],
)
def test_presentable_value_is_masked_where_a_secret_may_be(
    key: Key, value: object, shown: object
) -> None:
    assert presentable(key, value) == shown
