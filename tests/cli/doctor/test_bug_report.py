"""``edge-classify doctor --bundle``: all that a bug report needs, and no secret of any kind."""

import json
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from edge_classifier.cli.doctor import bug_report
from edge_classifier.cli.main import main
from edge_classifier.config.secrets import SECRET_FILES
from edge_classifier.config.settings import Settings
from edge_classifier.web.config import load_settings
from edge_classifier.web.config.settings import WebSettings
from tests.cli.doctor.health_server import answering

# One for each place, each found again if it gets out.
PLACES = (
    "mqtt-name",
    "mqtt-file",
    "login-file",
    "in-host",
    "in-path",
    "in-query",
    "in-fragment",
    "in-semicolon",
    "key-file",
    "token-file",
    "notify-file",
    "unit-secret",
    "web-name",
    "web-file",
    "web-key",
    "web-unit-secret",
    "s3-endpoint",
    "s3-id",
    "s3-key",
    "database",
    "proxy",
    "api-token",
    "unrelated",
)
MARKS = {place: f"s3cr3t-{number:02}-{place}" for number, place in enumerate(PLACES)}


@pytest.fixture
def daemon() -> Iterator[int]:
    """Something that answers as the daemon does, and tells every secret; its port."""
    with answering(lambda path: {"status": "ok", "page": path, "leaks": told()}) as port:
        yield port


def sources() -> dict[str, str]:
    """Cameras that have their password in each place of an address."""
    return {
        "host": f"rtsp://viewer:{MARKS['in-host']}@10.0.0.1/stream1",
        "path": f"rtsp://10.0.0.2/user=admin&password={MARKS['in-path']}&channel=1",
        "query": f"http://10.0.0.3/mjpg?pwd={MARKS['in-query']}",
        "fragment": f"http://10.0.0.4/mjpg#pwd={MARKS['in-fragment']}",
        "semicolon": f"rtsp://10.0.0.5/live;pwd={MARKS['in-semicolon']}",
    }


def told() -> list[str]:
    """What a program that watched over nothing would say: of the unrelated one nobody knows."""
    known = [mark for place, mark in MARKS.items() if place not in IN_ADDRESSES]
    known.remove(MARKS["unrelated"])
    return [*(f"password {mark} refused" for mark in known), *sources().values()]


# A log has these within their address.
IN_ADDRESSES = ("in-path", "in-query", "in-fragment", "in-semicolon")


def write_settings(folder: Path, port: int) -> None:
    """Of a daemon that answers at ``port``, and of the page."""
    cameras = "".join(
        f'[cameras.{name}]\nsource = "{address}"\n' for name, address in sources().items()
    )
    (folder / "config.toml").write_text(
        f"""
        [mqtt]
        username = "{MARKS["mqtt-name"]}"
        password_file = "{folder}/mqtt-file"
        tls.enabled = true
        tls.certificate_file = "{folder}/key-file"
        tls.key_file = "{folder}/key-file"
        [models]
        source = "https://page.example.org"
        token_file = "{folder}/token-file"
        [http]
        port = {port}
        [device]
        state_folder = "{folder}/state"
        {cameras}
        [cameras.login]
        source = "rtsp://10.0.0.6/stream1"
        credentials_file = "{folder}/login-file"
        """,
        "utf-8",
    )
    (folder / "web.toml").write_text(
        f"""
        [mqtt]
        username = "{MARKS["web-name"]}"
        password_file = "{folder}/web-file"
        [storage]
        bucket = "pictures"
        endpoint = "https://id:{MARKS["s3-endpoint"]}@s3.example.org"
        [[notify]]
        name = "birds"
        addresses_file = "{folder}/notify-file"
        """,
        "utf-8",
    )


@pytest.fixture
def arranged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, daemon: int) -> Path:
    """A machine with every setting that is or may hold a secret; the folder of its files."""
    etc = tmp_path / "etc"
    for place in ("mqtt-file", "key-file", "web-file", "token-file", "notify-file"):
        (tmp_path / place).write_text(f"{MARKS[place]}\n", "utf-8")
    (tmp_path / "login-file").write_text(f"viewer:{MARKS['login-file']}\n", "utf-8")
    (tmp_path / "state").mkdir()
    (tmp_path / "state/secret-key").write_text(MARKS["web-key"], "utf-8")
    for folder, place in (("secrets", "unit-secret"), ("web-secrets", "web-unit-secret")):
        (etc / folder).mkdir(parents=True)
        (etc / folder / "mqtt-password").write_text(f"{MARKS[place]}\n", "utf-8")
    write_settings(tmp_path, daemon)
    (tmp_path / "daemon.log").write_text("\n".join(["camera host is online", *told()]), "utf-8")
    picture = tmp_path / "state/pictures/host/20260101T000000000000Z-0123456789abcdef.jpg"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"a picture")
    environment = {
        "DATABASE_URL": f"postgresql://edge:{MARKS['database']}@db/edge",
        "AWS_ACCESS_KEY_ID": MARKS["s3-id"],
        "AWS_SECRET_ACCESS_KEY": MARKS["s3-key"],
        "HTTPS_PROXY": f"http://me:{MARKS['proxy']}@proxy:3128",
        "EDGE_CLASSIFIER_TOKEN": MARKS["api-token"],
        "SOMETHING_ELSE": MARKS["unrelated"],
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bug_report, "SETTINGS_FOLDER", etc)
    monkeypatch.setattr(bug_report, "_STATES", (tmp_path / "state",))
    monkeypatch.setattr(load_settings, "SYSTEM_FILE", tmp_path / "web.toml")
    return tmp_path


def pack(folder: Path, *options: str) -> dict[str, bytes]:
    """What ``doctor --bundle`` packs with the settings in ``folder``, by name."""
    bundle = folder / "report.zip"
    settings = ("--config", f"{folder}/config.toml", "--log", f"{folder}/daemon.log")
    # Its cameras and its broker are in networks of others.
    arguments = ["doctor", "--machine-only", "--bundle", str(bundle), *settings, *options]
    assert main(arguments) == 0
    with zipfile.ZipFile(bundle) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def secret_keys(kind: type) -> set[str]:
    """Names of the settings of this kind that hold a secret, or name a file with one."""
    found: set[str] = set()
    for field in fields(kind):
        if field.name in SECRET_FILES or field.name in {"username", "key_file", "endpoint"}:
            found.add(field.name)
        default: Any = field.default_factory() if callable(field.default_factory) else None
        if is_dataclass(default):
            found |= secret_keys(type(default))
    return found


def test_no_secret_of_a_full_configuration_gets_into_a_bundle(arranged: Path) -> None:
    for kind, file in ((Settings, "config.toml"), (WebSettings, "web.toml")):
        written = (arranged / file).read_text("utf-8")
        assert all(f"{key} = " in written for key in secret_keys(kind) - {"key_file"})
    packed = pack(arranged, "--pictures")
    text = b"\n".join(packed.values()).decode()
    assert [place for place, mark in MARKS.items() if mark in text] == []
    # Nor is it empty for that.
    assert "camera host is online" in packed["log.txt"].decode()
    assert "10.0.0.2" in packed["settings.toml"].decode()


def test_settings_are_masked_whether_or_not_their_secrets_are_known(
    arranged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bug_report, "_known_secrets", lambda *_: [])
    packed = pack(arranged)
    collected = {
        name: content
        for name, content in packed.items()
        # What the daemon says is its own to mask.
        if name not in {"health.json", "metrics.txt", "log.txt"}
    }
    assert b"s3cr3t" not in b"".join(collected.values())


def test_a_bundle_has_what_a_bug_report_needs(
    arranged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = pack(arranged)
    assert "/healthz" in packed["health.json"].decode()
    assert "/metrics" in packed["metrics.txt"].decode()
    assert json.loads(packed["model.json"])["sha256"]
    assert {"edge-classifier", "inference"} <= {
        finding["subject"] for finding in json.loads(packed["doctor.json"])
    }
    assert "[storage]" in packed["web-settings.toml"].decode()
    listed = capsys.readouterr().out
    assert all(name in listed for name in packed)


def test_pictures_are_packed_only_when_they_are_asked_for(arranged: Path) -> None:
    assert not [name for name in pack(arranged) if name.startswith("pictures/")]
    (arranged / "report.zip").unlink()
    assert b"a picture" in pack(arranged, "--pictures").values()


def test_a_bundle_is_for_its_owner_and_overwrites_nothing(
    arranged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack(arranged)
    bundle = arranged / "report.zip"
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert main(["doctor", "--bundle", str(bundle)]) == 73
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["no_such_key = 1", "password = 's3cr3t-inline'", "port = = 1"])
def test_wrong_settings_are_said_in_the_bundle_and_their_secrets_are_not(
    arranged: Path, wrong: str
) -> None:
    source = arranged / "config.toml"
    source.write_text(source.read_text("utf-8").replace("[mqtt]", f"[mqtt]\n{wrong}"), "utf-8")
    packed = pack(arranged)
    assert packed["settings.toml"].startswith(b"# ")
    assert "health.json" in packed["missing.txt"].decode()
    assert b"s3cr3t" not in b"".join(packed.values())
