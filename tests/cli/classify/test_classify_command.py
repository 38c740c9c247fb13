"""`edge-classify PICTURE...`, as people call it."""

import csv
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_classifier import samples
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
    assert len(found) == 6
    for name, labels in RIGHT.items():
        assert found[name] in labels


def test_classify_json_has_the_documented_shape(cli: Cli) -> None:
    (record,) = records(cli("--image", samples.CAT, "--json", "--top-k", "3"))
    assert set(record) == {"image", "model", "predictions", "timings_ms"}
    assert record["image"] == str(samples.CAT)
    assert record["model"] == "mobilenet-v2-int8"
    assert len(record["predictions"]) == 3
    for prediction in record["predictions"]:
        assert set(prediction) == {"label", "index", "score", "id", "path"}
        assert prediction["path"][-1] == prediction["label"]
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
    assert [r["rank"] for r in rows] == [str(rank) for rank in range(1, len(wanted) + 1)]
    # What has no score is not listed.
    assert 2 <= len(wanted) < 4
    assert all(p["score"] > 0 for p in wanted)


def test_classify_below_the_threshold_is_unknown_without_index(cli: Cli) -> None:
    # Of the cat it would be sure that it is a cat.
    picture = samples.FOLDER / "uniform.jpg"
    arguments = ("--image", picture, "--threshold", "0.999", "--format", "json")
    (prediction,) = records(cli(*arguments))[0]["predictions"]
    assert prediction["label"] == "unknown"
    assert prediction["index"] is None
    (chinese,) = records(cli(*arguments, "--lang", "zh"))[0]["predictions"]
    assert chinese["label"] == "未知"


def test_classify_below_the_threshold_is_the_most_specific_name_that_reaches_it(cli: Cli) -> None:
    model = ("--model", "efficientnet-lite0")
    arguments = ("--image", samples.CAT, "--threshold", "0.6", *model)
    (found,) = records(cli(*arguments, "--format", "json"))[0]["predictions"]
    assert (found["label"], found["index"], found["id"]) == ("cat", None, None)
    assert found["path"] == ["animal", "mammal", "feline", "cat"]
    assert 0.9 < found["score"] <= 1
    text = cli(*arguments, "--lang", "zh").stdout.decode()
    assert text.split("\t")[1].startswith("猫 0.9")


def test_classify_names_no_more_than_is_sure_though_a_label_reaches_the_threshold(cli: Cli) -> None:
    line = cli("--image", samples.FOLDER / "raccoon.jpg", "--threshold", "0.55").stdout.decode()
    # Its best label is the badger.
    assert line.split("\t")[1].startswith("weasel-like animal 0.")


def test_classify_json_has_the_synset_and_the_names_above_each_label(cli: Cli) -> None:
    (found,) = records(cli("--image", samples.CAT, "--format", "json", "--top-k", "5"))
    tabby = next(one for one in found["predictions"] if one["label"] == "tabby")
    assert tabby["id"] == "n02123045"
    assert tabby["path"] == ["animal", "mammal", "feline", "cat", "tabby"]


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
