"""The command line as a user has it: processes, the embedded model, real pictures."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edge_classifier import __version__, samples
from tests.conftest import Cli
from tests.tiny import Tiny, build


@pytest.mark.parametrize(
    "arguments",
    [
        ("--image",),
        ("--image", "x.jpg", "--top-k", "0"),
        ("--image", "x.jpg", "--threshold", "1.5"),
        ("--image", "x.jpg", "--threshold", "nan"),
        ("--image", "x.jpg", "--threads", "many"),
        ("--image", "x.jpg", "--crop", "middle"),
        ("--image", "x.jpg", "--format", "xml"),
        ("--image", "x.jpg", "--nonsense"),
        ("models",),
        ("bench", "--rounds", "1"),
    ],
)
def test_usage_errors_exit_2_without_traceback(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_debug_shows_where_an_error_comes_from(cli: Cli) -> None:
    done = cli("--image", "nowhere.jpg", "--debug")
    assert done.returncode == 66
    assert b"Traceback" in done.stderr


def test_version_and_help_work_and_list_every_command_and_exit_code(cli: Cli) -> None:
    assert cli("--version").stdout.decode().strip() == f"edge-classify {__version__}"
    text = cli("--help").stdout.decode()
    for word in ("models", "bench", "doctor", "65", "66", "69", "70", "78", "130"):
        assert word in text


def test_a_reader_that_goes_away_is_no_error() -> None:
    classify = f"{sys.executable} -m edge_classifier --image {samples.FOLDER}"
    command = f"{classify} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0
    assert done.stderr == b""


def test_doctor_on_a_good_machine_finds_nothing_wrong(cli: Cli) -> None:
    done = cli("doctor", "--json")
    assert done.returncode == 0, done.stdout
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)}
    assert findings["inference"]["ok"] is True
    assert findings["model efficientnet-lite0"]["ok"] is True
    assert findings["runtime"]["ok"] is True
    assert "edge-classifier" in findings


def test_doctor_with_a_broken_model_says_so_and_fails(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\x00\x00\x00\x00TFL3 and nothing more")
    done = cli("doctor", "--model", path)
    assert done.returncode == 65
    assert b"BAD" in done.stdout


def test_bench_reports_the_documented_keys(cli: Cli) -> None:
    done = cli("bench", "--rounds", "10", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [frame["frame"] for frame in report["frames"]] == ["640x480", "1280x720"]
    for frame in report["frames"]:
        for stage in ("decode", "preprocess", "inference", "total", "bare_invoke"):
            assert set(frame[f"{stage}_ms"]) == {"median", "p95", "p99"}
        assert frame["ratio_to_bare_invoke"] > 0


def test_models_list_info_path_and_verify_agree_on_the_default(cli: Cli) -> None:
    path = cli("models", "path").stdout.decode().strip()
    listed = json.loads(cli("models", "list", "--json").stdout)
    (default,) = (row for row in listed if row["default"])
    info = json.loads(cli("models", "info", "--json").stdout)
    assert default["state"] == "embedded"
    assert default["path"] == info["file"] == path
    assert default["sha256"] == info["sha256"]
    assert cli("models", "verify").stdout.decode().startswith("efficientnet-lite0\tok\t")


def test_models_info_shows_that_the_default_is_int8_throughout(cli: Cli) -> None:
    info = json.loads(cli("models", "info", "--json").stdout)
    assert info["quantization"]["all_int8"] is True
    assert info["quantization"]["tensors_with_per_channel_scales"] > 40
    assert info["input"] == {
        "shape": [1, 224, 224, 3],
        "dtype": "int8",
        "scale": 1 / 128,
        "zero_point": 0,
    }
    assert info["preprocessing"]["from"].endswith("(contract.json)")
    assert info["names_also_in"] == ["zh"]
    assert info["operators"]["SOFTMAX"] == 1
    assert "TRANSPOSE" not in info["operators"]
    assert any("Apache" in line for line in info["model_card"])


def test_classify_csv_has_no_name_that_a_spreadsheet_would_run(cli: Cli, tmp_path: Path) -> None:
    model = build(tmp_path / "evil.tflite", Tiny())
    model.with_suffix(".labels.txt").write_text("x;=1\ngreen\n=2\n", "utf-8")
    grey = tmp_path / "grey.png"
    Image.new("RGB", (40, 30), "grey").save(grey)
    done = cli("--image", grey, "--model", model, "--format", "csv")
    labels = {row["label"] for row in csv.DictReader(io.StringIO(done.stdout.decode()))}
    assert labels == {"x;'=1", "green", "'=2"}
