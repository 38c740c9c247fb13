"""The command line as a user has it: processes, the embedded model, real pictures."""

import csv
import io
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_classifier import __version__, samples
from tests.conftest import Cli, Completed
from tests.tiny import Tiny, build

RIGHT = {"cat.jpg": samples.CAT_LABELS, "espresso.jpg": ("espresso",), "rocket.jpg": ("missile",)}


def records(done: Completed) -> list[dict[str, Any]]:
    """What ``--format json`` printed."""
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def message(done: Completed) -> str:
    """The one line on standard error of a command that failed as it should."""
    text = done.stderr.decode()
    assert "Traceback" not in text
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("edge-classify: ")
    return lines[0]


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A picture that is red."""
    path = tmp_path / "red.png"
    Image.new("RGB", (40, 30), "red").save(path)
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A model that names the brightest colour."""
    path = build(tmp_path / "tiny.tflite", Tiny())
    path.with_suffix(".labels.txt").write_text("red\ngreen\nblue\n", "utf-8")
    return path


def test_classify_the_bundled_photographs_names_them_rightly(cli: Cli) -> None:
    done = cli("--image", samples.FOLDER, "--format", "json", "--top-k", "1")
    assert done.returncode == 0, done.stderr
    found = {Path(r["image"]).name: r["predictions"][0]["label"] for r in records(done)}
    assert len(found) == 5
    for name, labels in RIGHT.items():
        assert found[name] in labels


def test_classify_json_has_the_documented_shape(cli: Cli) -> None:
    (record,) = records(cli("--image", samples.CAT, "--format", "json", "--top-k", "3"))
    assert set(record) == {"image", "model", "predictions", "timings_ms"}
    assert record["image"] == str(samples.CAT)
    assert record["model"] == "efficientnet-lite0"
    assert len(record["predictions"]) == 3
    for prediction in record["predictions"]:
        assert set(prediction) == {"label", "index", "score"}
    scores = [prediction["score"] for prediction in record["predictions"]]
    assert scores == sorted(scores, reverse=True)
    times = record["timings_ms"]
    assert set(times) == {"decode", "preprocess", "inference", "total"}
    parts = times["decode"] + times["preprocess"] + times["inference"]
    assert times["total"] == pytest.approx(parts, abs=0.01)


def test_classify_piped_text_is_one_clean_line_a_picture(cli: Cli) -> None:
    done = cli("--image", samples.CAT, samples.FOLDER / "espresso.jpg", "--top-k", "2")
    first, second = done.stdout.decode().splitlines()
    assert first.split("\t")[0] == str(samples.CAT)
    assert second.split("\t")[1].startswith("espresso 0.")
    assert "\x1b" not in first
    assert done.stderr == b""


def test_classify_jsonl_and_csv_agree_with_json(cli: Cli) -> None:
    arguments = ("--image", samples.CAT, "--top-k", "4", "--format")
    wanted = records(cli(*arguments, "json"))[0]["predictions"]
    lines = cli(*arguments, "jsonl").stdout.decode().splitlines()
    assert [json.loads(line)["predictions"] for line in lines] == [wanted]
    rows = list(csv.DictReader(io.StringIO(cli(*arguments, "csv").stdout.decode())))
    assert [(int(r["index"]), float(r["score"])) for r in rows] == [
        (p["index"], p["score"]) for p in wanted
    ]
    assert [r["rank"] for r in rows] == ["1", "2", "3", "4"]


def test_classify_below_the_threshold_is_unknown_without_index(cli: Cli) -> None:
    arguments = ("--image", samples.CAT, "--threshold", "0.999", "--format", "json")
    (prediction,) = records(cli(*arguments))[0]["predictions"]
    assert prediction["label"] == "unknown"
    assert prediction["index"] is None
    (chinese,) = records(cli(*arguments, "--lang", "zh"))[0]["predictions"]
    assert chinese["label"] == "未知"


def test_classify_in_chinese_gives_chinese_names_for_the_same_indices(cli: Cli) -> None:
    arguments = ("--image", samples.FOLDER / "espresso.jpg", "--format", "json", "--top-k", "1")
    (english,) = records(cli(*arguments))[0]["predictions"]
    (chinese,) = records(cli(*arguments, "--lang", "zh"))[0]["predictions"]
    assert (english["label"], chinese["label"]) == ("espresso", "意式浓缩咖啡")
    assert (english["index"], english["score"]) == (chinese["index"], chinese["score"])


def test_classify_standard_input_folder_and_glob_together_keep_their_order(
    cli: Cli, tmp_path: Path, tiny: Path, red: Path
) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    Image.new("RGB", (9, 9), "blue").save(folder / "b.JPG", format="JPEG")
    arguments = ("--model", tiny, "--format", "json", "--top-k", "1")
    images = ("--image", "-", tmp_path / "deep", "--image", str(tmp_path / "*.png"))
    done = cli(*images, *arguments, stdin=red.read_bytes())
    assert [(r["image"], r["predictions"][0]["label"]) for r in records(done)] == [
        ("-", "red"),
        (str(folder / "b.JPG"), "blue"),
        (str(red), "red"),
    ]


def test_classify_a_bad_file_in_a_batch_costs_only_itself(
    cli: Cli, tmp_path: Path, tiny: Path, red: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0 not really")
    done = cli("--image", red, bad, red, "--model", tiny, "--format", "json")
    assert done.returncode == 65
    found = records(done)
    assert [("error" in r) for r in found] == [False, True, False]
    assert str(bad) in done.stderr.decode()


def test_classify_crop_changes_what_the_model_sees(cli: Cli, tmp_path: Path, tiny: Path) -> None:
    pixels = np.zeros((40, 120, 3), np.uint8)
    pixels[..., 0] = 255
    pixels[:, 40:80] = (0, 255, 0)
    path = tmp_path / "flag.png"
    Image.fromarray(pixels).save(path)
    best = {
        crop: records(cli("--image", path, "--model", tiny, "--crop", crop, "--format", "json"))
        for crop in ("center", "squash")
    }
    assert best["center"][0]["predictions"][0]["label"] == "green"
    assert best["squash"][0]["predictions"][0]["label"] == "red"


def test_annotate_and_contact_sheet_write_pictures_that_show_the_labels(
    cli: Cli, tmp_path: Path, tiny: Path, red: Path
) -> None:
    sheet, one, folder = tmp_path / "sheet.png", tmp_path / "one.png", tmp_path / "many"
    model = ("--model", tiny)
    assert cli("--image", red, "--annotate", one, *model).returncode == 0
    both = cli("--image", red, red, "--annotate", folder, "--contact-sheet", sheet, *model)
    assert both.returncode == 0, both.stderr
    with Image.open(one) as drawn:
        assert drawn.width > 40, "wide enough for its labels"
        assert drawn.height > 30
    assert sorted(path.name for path in folder.iterdir()) == ["red-2.jpg", "red.jpg"]
    with Image.open(sheet) as grid:
        assert grid.width > 2 * 200


def test_annotate_a_name_without_picture_format_is_refused(
    cli: Cli, tmp_path: Path, red: Path
) -> None:
    done = cli("--image", red, "--annotate", tmp_path / "drawn.xyz")
    assert done.returncode == 2
    assert "drawn.xyz" in message(done)


def huge_png() -> bytes:
    """A PNG header of 60,000 x 60,000 pixels and no pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("empty.jpg", b"", 65, "is empty"),
        ("text.jpg", b"hello, I am no picture\n", 65, "is not a picture"),
        ("bomb.png", huge_png(), 65, "60000 x 60000"),
        ("cut.jpg", samples.CAT.read_bytes()[:9000], 65, "truncated"),
    ],
)
def test_classify_a_bad_picture_is_one_line_and_its_exit_code(
    cli: Cli, tmp_path: Path, name: str, content: bytes, code: int, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    done = cli("--image", path)
    assert done.returncode == code
    assert name in message(done)
    assert words in message(done)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--image", "nowhere.jpg"), 66, "nowhere.jpg: no such file"),
        (("--image", "*.nothing"), 66, "matches no file"),
        (("--image", samples.CAT, "--model", "nowhere.tflite"), 66, "no such model file"),
        (("--image", samples.CAT, "--model", "mobilenet-v3"), 66, "Did you mean mobilenet-v2"),
        (("--image", samples.CAT, "--model", "mobilenet-v2"), 66, "models pull mobilenet-v2"),
        (("--image", samples.CAT, "--model", "mobilenet-v2-insects"), 66, "checksum is unknown"),
        (("--image", samples.CAT, "--labels", "nowhere.txt"), 66, "no such label file"),
        (("--image", samples.CAT, "--delegate", "npu"), 2, "no such delegate"),
        (("--image", samples.CAT, "--delegate", "./npu.so"), 66, "no such delegate library"),
        (("--image", samples.CAT, "--delegate", "edgetpu"), 69, "libedgetpu is not installed"),
        (("--image", samples.CAT, "--delegate", samples.CAT), 69, "is not a TFLite delegate"),
        (("--image", samples.CAT, "--model", samples.CAT), 65, "is not a TFLite model"),
        (("--image", "-", "-"), 2, "once only"),
    ],
)
def test_classify_called_with_what_cannot_be_says_what_to_do(
    cli: Cli, arguments: tuple[str | Path, ...], code: int, words: str
) -> None:
    done = cli(*arguments)
    assert words in message(done)
    assert done.returncode == code
    assert done.stdout == b""


def test_classify_a_folder_without_pictures_exits_66(cli: Cli, tmp_path: Path) -> None:
    done = cli("--image", tmp_path)
    assert done.returncode == 66
    assert "has no picture in it" in message(done)


@pytest.mark.parametrize(
    ("tiny", "code", "words"),
    [
        (Tiny(dynamic=True, dtype="float32"), 65, "input size is dynamic"),
        (Tiny(extra_output=True), 65, "1 inputs and 2 outputs"),
        (Tiny(classes=5), 78, "3 labels for 5 outputs"),
    ],
)
def test_classify_with_a_model_that_does_not_fit_says_why(
    cli: Cli, tmp_path: Path, tiny: Tiny, code: int, words: str
) -> None:
    path = build(tmp_path / "odd.tflite", tiny)
    path.with_suffix(".labels.txt").write_text("red\ngreen\nblue\n", "utf-8")
    done = cli("--image", samples.CAT, "--model", path)
    assert done.returncode == code
    assert words in done.stderr.decode().splitlines()[-1]
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
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
    assert info["languages"] == ["zh"]
    assert info["operators"]["SOFTMAX"] == 1
    assert "TRANSPOSE" not in info["operators"]
    assert any("Apache" in line for line in info["model_card"])


def test_classify_csv_has_no_name_that_a_spreadsheet_would_run(
    cli: Cli, tmp_path: Path, red: Path
) -> None:
    model = build(tmp_path / "evil.tflite", Tiny())
    model.with_suffix(".labels.txt").write_text("x;=1\ngreen\n=2\n", "utf-8")
    done = cli("--image", red, "--model", model, "--format", "csv")
    labels = {row["label"] for row in csv.DictReader(io.StringIO(done.stdout.decode()))}
    assert labels == {"x;'=1", "green", "'=2"}
