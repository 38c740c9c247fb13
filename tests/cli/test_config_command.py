"""``edge-classify config`` as a user has it."""

import json
import re
import shlex
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from edge_classifier import samples
from edge_classifier.cli.config.preset import home_settings
from edge_classifier.cli.main import main
from edge_classifier.config import sources
from edge_classifier.config.load import examine, load
from edge_classifier.config.reference import merged
from edge_classifier.config.settings import CameraSettings, Settings
from edge_classifier.config.sources import SettingsSources
from edge_classifier.config.toml import as_tree, document
from tests.cli.conftest import ONE
from tests.conftest import REPOSITORY, Cli

RICH = """
decision = { enter = 0.7, aliases = { "Egyptian cat" = "cat", "it's \\"x\\"" = "y" } }
[device]
name = "pi"
state_folder = "/var/lib/x"
[cameras.front]
source = "0"
quiet_hours = ["22:00-06:00", "12:00-13:00"]
decision.labels = { cat = { enter = 0.9 } }
decision.groups = { cats = ["tabby", "tiger cat"] }
[cameras.back-door]
source = "rtsp://host/1?channel=1"
title = "Tür \\\\ \\u0007"
region = { left = 0.25, width = 0.5 }
motion.enabled = true
[mqtt]
heartbeat_s = 1e2
tls.enabled = true
"""


def test_init_file_passes_the_check_as_it_is(cli: Cli, file: Path) -> None:
    done = cli("config", "init", "--force", "--camera", "/dev/video2", "--broker", "broker")
    assert (done.returncode, done.stdout.decode()) == (0, f"{file}\n")
    assert file.stat().st_mode & 0o777 == 0o644
    checked = cli("config", "check")
    assert (checked.returncode, checked.stdout.decode()) == (0, f"OK: {file}, cameras: camera\n")
    expected = Settings(cameras={"camera": CameraSettings(source="/dev/video2", title="Camera")})
    assert load(SettingsSources(file)) == replace(
        expected, mqtt=replace(expected.mqtt, host="broker")
    )


def test_init_file_is_short_and_each_of_its_examples_can_be_used(file: Path) -> None:
    text = home_settings(source="0", recorded=True)
    lines = text.splitlines()
    assert len(lines) < 60
    assert max(map(len, lines)) <= 100
    used = re.sub(r"(?m)^#(?! )", "", text)
    assert used.count("\n") == text.count("\n")
    assert len(re.findall(r"(?m)^#(?! )", text)) > 5
    # Where files are named that are not there, only that is wrong.
    file.write_text(re.sub(r"(?m)^.*_file = .*$", "", used), "utf-8")
    settings = load(SettingsSources(file))
    assert settings.snapshots.keep_waiting
    assert settings.cameras["camera"].rotate == 180
    assert settings.cameras["camera"].decision.only == ("bird", "cat", "dog")


def test_init_says_what_to_do_next_and_that_works(
    cli: Cli, tmp_path: Path, samples_folder: Path
) -> None:
    path = tmp_path / "a b.toml"
    done = cli("config", "init", "--output", path, "--camera", samples_folder)
    assert done.stdout.decode() == f"{path}\n"
    _, watch, run = done.stderr.decode().splitlines()
    assert f"edge-classify run --config '{path}' " in run
    words = shlex.split(watch.partition("   ")[0])
    assert words[0] == "edge-classify"
    seen = cli(*words[1:], "--seconds", "2")
    assert seen.returncode == 0, seen.stderr
    assert b"published: " in seen.stdout


@pytest.fixture
def samples_folder(tmp_path: Path) -> Path:
    """A folder with the cat."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    shutil.copy(samples.CAT, folder)
    return folder


def test_init_never_overwrites_a_file(cli: Cli, file: Path) -> None:
    done = cli("config", "init")
    assert done.returncode == 73
    assert b"is there already. --force overwrites it." in done.stderr
    assert file.read_text("utf-8") == ONE


def test_init_output_makes_folders_or_prints(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.toml"
    assert cli("config", "init", "--output", path).returncode == 0
    printed = cli("config", "init", "--output", "-")
    assert printed.stdout == path.read_bytes()
    under = cli("config", "init", "--output", path / "c.toml")
    assert under.returncode == 73


@pytest.mark.parametrize("writable", [True, False])
def test_init_without_a_name_writes_where_settings_are_looked_for_first(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    writable: bool,
) -> None:
    own, system = tmp_path / "own" / "edge-classifier" / "config.toml", tmp_path / "etc" / "x.toml"
    if not writable:
        system.parent.write_text("not a folder")
    monkeypatch.setattr(sources, "SYSTEM_FILE", system)
    monkeypatch.delenv("EDGE_CLASSIFIER_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    assert main(["config", "init"]) == 0
    path = system if writable else own
    assert capsys.readouterr().out == f"{path}\n"
    assert examine(SettingsSources(None, {"XDG_CONFIG_HOME": str(tmp_path / "own")})).file == path


def test_init_camera_with_a_password_is_refused(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    done = cli("config", "init", "--output", path, "--camera", "rtsp://me:hunter2@host/")
    assert done.returncode == 2
    assert b"hunter2" not in done.stderr
    assert not path.exists()


@pytest.mark.parametrize("command", ["check", "show"])
def test_config_file_that_is_not_there_exits_66(cli: Cli, tmp_path: Path, command: str) -> None:
    done = cli("config", command, "--config", tmp_path / "none.toml")
    assert (done.returncode, done.stdout) == (66, b"")
    assert b"config init" in done.stderr


def test_show_is_toml_that_loads_as_the_same_settings(file: Path) -> None:
    file.write_text(RICH, "utf-8")
    before = examine(SettingsSources(file))
    for origins in (False, True):
        file.write_text(merged(before, origins=origins), "utf-8")
        assert load(SettingsSources(file)) == before.settings


def test_show_prints_what_is_in_force(cli: Cli, file: Path) -> None:
    done = cli("config", "show", "--set", "mqtt.host=broker")
    shown = tomllib.loads(done.stdout.decode())
    assert shown["mqtt"]["host"] == "broker"
    assert shown["cameras"]["front"]["source"] == "0"
    assert shown["store"]["max_pictures"] == 5000


def test_show_origins_says_where_each_value_was_set(
    cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_CLASSIFIER__DECISION__ENTER", "0.7")
    done = cli("config", "show", "--origins", "--set", "mqtt.host=broker")
    lines = done.stdout.decode().splitlines()
    assert f'source = "0"  # line 2 of {file}' in lines
    assert 'host = "broker"  # --set' in lines
    assert "port = 1883  # default" in lines
    # That of all cameras, and that which the one camera has from there.
    assert lines.count("enter = 0.7  # $EDGE_CLASSIFIER__DECISION__ENTER") == 2


def test_show_masks_secrets(cli: Cli, file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    file.write_text(f"""
        cameras.front.source = "rtsp://me:hunter2@host/x?pwd=hunter2"
        mqtt.password_file = "{secret}"
        """)
    done = cli("config", "show")
    shown = tomllib.loads(done.stdout.decode())
    assert shown["cameras"]["front"]["source"] == "rtsp://***@host/***?***"
    assert shown["mqtt"]["password_file"] == str(secret)
    assert b"hunter2" not in done.stdout


@pytest.mark.parametrize("command", ["check", "check --json", "show", "show --origins --debug"])
def test_config_never_prints_a_secret_of_wrong_settings(
    cli: Cli, file: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_CLASSIFIER__MQTT__PASSWORD", "hunter2")
    file.write_text('cameras.front.source = "rtsp://me:hunter2@host/"\nmqtt.port = 0\n')
    done = cli("config", *command.split(), "--set", "mqtt.password_file=hunter2")
    assert done.returncode == 78
    assert b"mqtt.port = 0" in done.stdout + done.stderr or b'"mqtt.port"' in done.stdout
    assert b"hunter2" not in done.stdout + done.stderr


def test_show_wrong_settings_prints_problems_on_standard_error(cli: Cli, file: Path) -> None:
    done = cli("config", "show", "--set", "mqtt.port=0", "--set", "x=0")
    assert (done.returncode, done.stdout) == (78, b"")
    lines = done.stderr.decode().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["edge-classify:"] * 2


def test_schema_is_json_schema_with_texts_and_ranges(cli: Cli) -> None:
    schema = json.loads(cli("config", "schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["required"] == ["cameras"]
    rate = schema["$defs"]["CameraSettings"]["properties"]["rate_fps"]
    assert (rate["minimum"], rate["maximum"], rate["default"]) == (0, 240, 5.0)
    for table in schema["$defs"].values():
        assert table["additionalProperties"] is False
        assert all(key["description"] for key in table["properties"].values())


def test_configuration_page_examples_are_valid(file: Path) -> None:
    page = (REPOSITORY / "docs" / "configuration.md").read_text("utf-8")
    whole, *others = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    file.write_text(whole, "utf-8")
    settings = load(SettingsSources(file))
    assert document(as_tree(settings))
    assert settings.mqtt.host == "broker.local"
    for example in others:
        file.write_text(f"{ONE}{example}", "utf-8")
        assert load(SettingsSources(file)).cameras


@pytest.mark.parametrize("content", [b"no database", b""])
def test_show_says_that_what_was_set_over_mqtt_cannot_be_read(
    cli: Cli, file: Path, tmp_path: Path, content: bytes
) -> None:
    file.write_text(f'{ONE}[device]\nstate_folder = "{tmp_path}"\n')
    (tmp_path / "outbox.db").write_bytes(content)
    done = cli("config", "show", "--origins")
    assert done.returncode == 0
    assert "so what was set over MQTT is not shown; use sudo" in done.stderr.decode()
    assert "default" in done.stdout.decode()
