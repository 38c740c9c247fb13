"""``edge-classify config`` as a user has it."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from edge_classifier.cli.main import main
from edge_classifier.config import sources
from edge_classifier.config.load import examine, load
from edge_classifier.config.reference import commented_file, merged
from edge_classifier.config.schema import SchemaNode
from edge_classifier.config.settings import CameraSettings, Settings
from edge_classifier.config.sources import SettingsSources
from edge_classifier.config.toml import Key, as_tree, document
from tests.conftest import REPOSITORY, Cli

ONE = '[cameras.front]\nsource = "0"\n'
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
NOT_COMPARED = "label names were not compared with the model's; --labels does"
CAMERA: dict[Key, str] = {("cameras", "camera", "source"): "0"}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Named by the environment, as no test may see this machine's own."""
    path = tmp_path / "config.toml"
    path.write_text(ONE, "utf-8")
    monkeypatch.setenv("EDGE_CLASSIFIER_CONFIG", str(path))
    return path


def test_init_file_passes_the_check_as_it_is(cli: Cli, file: Path) -> None:
    done = cli("config", "init", "--force", "--camera", "/dev/video2", "--broker", "broker")
    assert (done.returncode, done.stdout.decode()) == (0, f"{file}\n")
    assert file.stat().st_mode & 0o777 == 0o644
    checked = cli("config", "check")
    assert (checked.returncode, checked.stdout.decode()) == (0, f"OK: {file}, cameras: camera\n")
    expected = Settings(cameras={"camera": CameraSettings(source="/dev/video2")})
    assert load(SettingsSources(file)) == replace(
        expected, mqtt=replace(expected.mqtt, host="broker")
    )


def test_init_file_with_every_comment_taken_away_has_the_defaults(file: Path) -> None:
    text = re.sub(r"(?m)^#(?! )", "", commented_file(CAMERA))
    assert text.count("\n#") > 80
    file.write_text(text, "utf-8")
    assert load(SettingsSources(file)) == Settings(cameras={"camera": CameraSettings(source="0")})


def test_init_file_has_every_key_once_with_its_text() -> None:
    lines = commented_file(CAMERA).splitlines()
    prose = " ".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
    keys = [line.partition(" = ")[0].removeprefix("#") for line in lines if " = " in line[:30]]
    expected = [
        name for key, table in SchemaNode.root(Settings).tables() if key for name in table.values()
    ]
    assert [key for key in keys if not key.startswith(" ")] == expected
    for key, table in SchemaNode.root(Settings).tables():
        for node in (table, *table.values().values()) if key else ():
            assert node.text in prose
    assert max(map(len, lines)) <= 100


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


def test_check_wrong_settings_exits_78_with_every_problem_on_a_line(cli: Cli, file: Path) -> None:
    file.write_text(ONE + "rate_fps = 900\n[mqtt]\npassword = 'hunter2'\n", "utf-8")
    done = cli("config", "check", "--set", "http.port=-1")
    meant = "mqtt.password_file (a file whose first line is the password)"
    assert done.returncode == 78
    assert done.stdout.decode().splitlines() == [
        f"cameras.front.rate_fps = 900 (line 3 of {file}): must be a number from 0 to 240",
        "http.port = -1 (--set): must be a whole number from 0 to 65535",
        f"mqtt.password (line 5 of {file}): no such key; did you mean {meant}?",
        "NOT OK: 3 to mend",
    ]
    assert done.stderr == b""


def test_check_json_has_the_same_for_machines(cli: Cli, file: Path) -> None:
    good = json.loads(cli("config", "check", "--json").stdout)
    assert good == {
        "ok": True,
        "file": str(file),
        "cameras": ["front"],
        "problems": [],
        "warnings": [],
    }
    done = cli("config", "check", "--json", "--set", "mqtt.port=0")
    bad = json.loads(done.stdout)
    assert (done.returncode, bad["ok"], bad["cameras"]) == (78, False, [])
    assert bad["problems"] == [
        {
            "key": "mqtt.port",
            "value": "0",
            "origin": "--set",
            "text": "must be a whole number from 1 to 65535",
        }
    ]


def test_check_warnings_leave_the_exit_code_alone(cli: Cli, file: Path) -> None:
    done = cli("config", "check", "--set", "cameras.x.source=0")
    assert done.returncode == 0
    assert done.stdout.startswith(b'warning: cameras.x.source = "0" (--set): is the device of ')


def test_check_labels_that_the_model_does_not_have_are_told(cli: Cli, file: Path) -> None:
    wrong = ("--set", 'decision.ignore=["tabbi"]', "--set", "cameras.front.decision.margin=0.2")
    plain = cli("config", "check", *wrong)
    assert plain.returncode == 0
    assert NOT_COMPARED in plain.stdout.decode()
    done = cli("config", "check", "--labels", *wrong)
    assert done.returncode == 78
    problem, end = done.stdout.decode().splitlines()
    assert problem.startswith("decision: ")
    assert "tabbi" in problem
    assert "tabby" in problem
    assert end == "NOT OK: 1 to mend"
    fine = cli("config", "check", "--labels", "--set", 'decision.ignore=["tabby"]')
    assert (fine.returncode, fine.stdout.decode()) == (0, f"OK: {file}, cameras: front\n")


def test_check_labels_beside_other_problems_are_said_not_to_be_looked_at(
    cli: Cli, file: Path
) -> None:
    done = cli("config", "check", "--labels", "--set", "mqtt.port=0")
    assert done.returncode == 78
    assert "warning: labels were not looked at: mend these first" in done.stdout.decode()
    assert NOT_COMPARED not in done.stdout.decode()


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("mobilnet-v2", "no such model in the catalogue. Did you mean mobilenet-v2?"),
        ("{folder}/none.tflite", "no such model file. See: edge-classify models list"),
        ("{file}", "is not a TFLite model (no TFL3 identifier). Name a .tflite file, or see: "),
    ],
)
@pytest.mark.parametrize("labels", [[], ["--labels"]])
def test_check_model_that_cannot_be_meant_is_a_problem_of_its_key(
    cli: Cli, file: Path, tmp_path: Path, use: str, said: str, labels: list[str]
) -> None:
    name = use.format(folder=tmp_path, file=file)
    done = cli("config", "check", "--json", *labels, "--set", f"model.use={name}")
    report = json.loads(done.stdout)
    (problem,) = report["problems"]
    assert (done.returncode, report["ok"], done.stderr) == (78, False, b"")
    assert problem["text"].startswith(said)
    assert (problem["key"], problem["value"], problem["origin"]) == (
        "model.use",
        f'"{name}"',
        "--set",
    )


def test_check_model_that_this_user_has_not_pulled_is_warned_of(cli: Cli, file: Path) -> None:
    done = cli("config", "check", "--set", "model.use=mobilenet-v2-birds")
    assert done.returncode == 0
    assert done.stdout.startswith(b'warning: model.use = "mobilenet-v2-birds" (--set): is not in ')


def test_check_model_that_cannot_be_loaded_is_told_with_json_too(
    cli: Cli, file: Path, tmp_path: Path
) -> None:
    model = tmp_path / "junk.tflite"
    model.write_bytes(b"\0\0\0\0TFL3" + b"junk" * 1000)
    wanted = ("config", "check", "--json", "--set", f"model.use={model}")
    assert cli(*wanted).returncode == 0
    done = cli(*wanted, "--labels")
    (problem,) = json.loads(done.stdout)["problems"]
    assert (done.returncode, problem["key"]) == (78, "model")
    assert str(model) in problem["text"]


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
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    file.write_text(example, "utf-8")
    settings = load(SettingsSources(file))
    assert document(as_tree(settings))
    assert settings.mqtt.host == "broker.local"
