"""`edge-classify config check`: what is wrong, and where."""

import json
from pathlib import Path

import pytest

from edge_classifier.cli.main import main
from edge_classifier.engine import memory
from tests.cli.conftest import ONE
from tests.conftest import Cli
from tests.tiny import build

NOT_COMPARED = "label names were not compared with the model's; --labels does"


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


def test_check_looks_for_the_models_of_all_cameras_and_compares_each_with_its_own_labels(
    cli: Cli, file: Path, tmp_path: Path
) -> None:
    own = build(tmp_path / "gate.tflite")
    (tmp_path / "gate.labels.txt").write_text("shut\nopen\najar\n")
    file.write_text(
        ONE + f"[cameras.gate]\nsource = 'camera:front'\nmodel = '{own}'\n"
        "[cameras.gate.decision.groups]\nsafe = ['shut', 'locked']\n"
        "[decision.groups]\npet = ['tabby']\n",
        "utf-8",
    )
    done = cli("config", "check", "--labels")
    assert done.returncode == 0, done.stdout
    warning, end = done.stdout.decode().splitlines()
    resting = "groups.safe: this model has no label 'locked'"
    assert warning == f"warning: cameras.gate.decision: rests: {resting}"
    assert end == f"OK: {file}, cameras: front, gate"
    own.unlink()
    done = cli("config", "check")
    assert done.returncode == 78
    assert "cameras.gate.model" in done.stdout.decode()
    assert "no such model file" in done.stdout.decode()


def test_check_models_that_need_more_memory_than_there_is_are_warned_of(
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(memory, "total_bytes", lambda: 200_000_000)
    tables = []
    for number in range(10):
        path = build(tmp_path / f"{number}.tflite")
        tables.append(f"[cameras.c{number}]\nsource = 'camera:front'\nmodel = '{path}'\n")
    file.write_text(ONE + "".join(tables), "utf-8")
    assert main(["config", "check", "--config", str(file)]) == 0
    said = capsys.readouterr().out
    assert "warning: cameras: 11 models need some 74 MB beside the daemon's own 125 MB" not in said
    monkeypatch.setattr(memory, "total_bytes", lambda: 190_000_000)
    assert main(["config", "check", "--config", str(file)]) == 0
    said = capsys.readouterr().out
    assert "warning: cameras: 11 models need some 74 MB beside the daemon's own 125 MB" in said
    assert "this machine has 190 MB" in said


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
