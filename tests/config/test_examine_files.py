"""Files and folders that cannot be used are told; what is doubtful is warned of and taken."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.capture.opencv import FileSource
from edge_classifier.config import sources as sources_module
from edge_classifier.errors import CameraError
from tests.config.settings_files import ONE, read, write, wrong


def lines(found: Any) -> list[str]:
    return [f"{problem.key}: {problem.text}" for problem in found]


def test_examine_files_that_cannot_be_used_are_told_even_beside_other_problems(
    file: Path, tmp_path: Path
) -> None:
    empty, plain = write(tmp_path / "empty", ""), write(tmp_path / "plain", "hunter2\n")
    report = read(
        file,
        "mqtt.port=0",
        f"mqtt.password_file={empty}",
        f"mqtt.tls.ca_file={tmp_path}",
        f"model.labels={tmp_path}/none",
        f"cameras.front.credentials_file={plain}",
        f"device.state_folder={plain}",
    )
    assert lines(report.problems) == [
        "cameras.front.credentials_file: the first line of the file is not USER:PASSWORD",
        "device.state_folder: is not a folder",
        "model.labels: there is no such file",
        "mqtt.password_file: is empty",
        "mqtt.port: must be a whole number from 1 to 65535",
        "mqtt.tls.ca_file: is a folder, and should be a file",
    ]
    assert "hunter2" not in repr(report)


@pytest.mark.parametrize("key", ["mqtt.tls.ca_file", "model.labels", "mqtt.password_file"])
def test_examine_pipe_or_device_in_place_of_a_file_is_refused(
    file: Path, tmp_path: Path, key: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null")):
        assert wrong(read(file, f"{key}={path}"))[key] == "cannot be read (it is no regular file)"


def test_examine_camera_that_is_a_folder_says_how_to_write_it(file: Path, tmp_path: Path) -> None:
    report = read(file, f"cameras.front.source={tmp_path}")
    assert lines(report.problems) == [
        f"cameras.front.source: is a folder; write pictures:{tmp_path}"
    ]


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """Permissions bind everyone but root, so root's rights are given up; a folder for anybody."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        if os.getuid() == 0:
            os.seteuid(0)


def give_up_rights() -> None:
    if os.geteuid() == 0:
        os.seteuid(65_534)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_examine_file_without_permission_is_told(anybodys: Path, what: str) -> None:
    folder = anybodys / "folder"
    folder.mkdir()
    file, secret = write(anybodys / "config.toml", ONE), write(folder / "secret", "x")
    {"file": secret, "folder": folder}[what].chmod(0)
    give_up_rights()
    found = wrong(read(file, f"mqtt.password_file={secret}"))
    assert found == {"mqtt.password_file": "cannot be read by this user"}


def test_examine_camera_that_this_user_may_not_look_at_is_left_to_the_camera(
    anybodys: Path,
) -> None:
    folder = anybodys / "folder"
    folder.mkdir()
    film = write(folder / "film.avi", "x")
    file = write(anybodys / "config.toml", ONE)
    folder.chmod(0)
    give_up_rights()
    read(file, f"cameras.front.source={film}").require()
    with pytest.raises(CameraError, match=r"cannot be looked at \(Permission denied"):
        FileSource(str(film), loop=True).open()


def test_examine_certificate_that_cannot_be_read_is_warned_of(file: Path) -> None:
    """Reading what a process has in memory fails as reading from a broken disk does."""
    report = read(file, "mqtt.tls.enabled=true", "mqtt.tls.ca_file=/proc/self/mem")
    assert "mqtt.tls.ca_file: cannot be read (Input/output error)" in lines(report.warnings)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_examine_settings_without_permission_are_told_and_not_passed_over(
    anybodys: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = anybodys / "folder"
    folder.mkdir()
    file = write(folder / "config.toml", ONE)
    monkeypatch.setattr(sources_module, "SYSTEM_FILE", file)
    {"file": file, "folder": folder}[what].chmod(0)
    give_up_rights()
    (problem,) = read(None).problems
    assert str(problem) == f"{file}: cannot be read (Permission denied)"


def test_examine_what_is_probably_not_meant_is_warned_of(file: Path, tmp_path: Path) -> None:
    secret = write(tmp_path / "secret", "x")
    secret.chmod(0o644)
    report = read(
        file,
        f"mqtt.password_file={secret}",
        "cameras.back.source=/dev/video0",
        "cameras.yard.source=rtsp://me:hunter2@host/",
    )
    assert lines(report.warnings) == [
        "mqtt.password_file: everybody on this machine can read it; `chmod o= FILE`",
        "cameras.back.source: is the device of cameras.front, too; only one can open it",
        "cameras.yard.source: a password is safer in a credentials_file",
    ]
    report.require()
    secret.chmod(0o640)
    assert not read(file, f"mqtt.password_file={secret}").warnings


@pytest.mark.parametrize(
    ("setting", "warnings"),
    [
        ("mqtt.port=8883", ["mqtt.port"]),
        ("mqtt.tls.ca_file={pem}", ["mqtt.tls.ca_file"]),
        ("mqtt.tls={{enabled=true, ca_file='{pem}'}}", []),
        ("mqtt.tls={{enabled=true, ca_file='{other}'}}", ["mqtt.tls.ca_file"]),
        (
            "mqtt.tls={{enabled=true, certificate_file='{other}', key_file='{pem}'}}",
            ["mqtt.tls.certificate_file"],
        ),
        ("http.host=0.0.0.0", ["http.host"]),
        ("http.host=pi.local", ["http.host"]),
        ("http={{host='::', enabled=false}}", []),
        ("http.host=::1", []),
        ("http.host=127.0.0.2", []),
        ("http.host=localhost", []),
        ("cameras.back.source=pictures:{folder}/none", ["cameras.back.source"]),
        ("cameras.back.source=pictures:{folder}", []),
        ("cameras.back.source=pictures:{folder}/none/*.jpg", []),
    ],
)
def test_examine_doubtful_value_is_warned_of_and_taken(
    file: Path, tmp_path: Path, setting: str, warnings: list[str]
) -> None:
    pem = write(tmp_path / "pem", "# mine\n-----BEGIN CERTIFICATE-----\n")
    other = write(tmp_path / "other", "hunter2")
    report = read(file, setting.format(pem=pem, other=other, folder=tmp_path))
    assert [warning.key for warning in report.warnings] == warnings
    report.require()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [_pipe, _device])
def test_examine_file_that_would_never_end_is_refused(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "config.toml")
    (problem,) = read(tmp_path / "config.toml").problems
    assert problem.text == "cannot be read (it is no regular file)"


@pytest.mark.parametrize("make", [_pipe, _device])
def test_examine_secret_that_would_never_end_is_refused(
    file: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "secret")
    found = wrong(read(file, f"mqtt.password_file={tmp_path / 'secret'}"))
    assert "it is no regular file" in found["mqtt.password_file"]
