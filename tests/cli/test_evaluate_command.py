"""``edge-classify evaluate`` as a user has it: real networks, small folders, whole reports."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_classifier import samples
from edge_classifier.classifier import AnswerOptions
from edge_classifier.dataset.folder import scan
from edge_classifier.errors import ModelError, OutputError
from edge_classifier.evaluation.report import write_report
from edge_classifier.evaluation.score import score_samples
from edge_classifier.installation import how_to_add
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.vision.pictures import load_picture
from tests.conftest import Cli, Completed
from tests.evaluation.reports import report
from tests.tiny import COLOURS, Tiny, build

FLOWERS = ("daisy", "rose")
RGB = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def tiny(folder: Path, labels: str = "red\ngreen\nblue\n", **what: Any) -> Path:
    """A model that names the brightest colour."""
    path = build(folder / "tiny.tflite", Tiny(**what))
    path.with_suffix(".labels.txt").write_text(labels, "utf-8")
    return path


def paint(folder: Path, colour: str, count: int = 3) -> None:
    """``count`` pictures of one colour, of different sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.new("RGB", (20 + number, 16), colour).save(folder / f"{colour}-{number}.png")


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Three class folders; one picture of green is blue."""
    for colour in COLOURS:
        paint(tmp_path / "data" / colour, colour)
    paint(tmp_path / "data/green", "blue", 1)
    return tmp_path / "data"


def facts_of(done: Completed) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def evaluate(cli: Cli, *arguments: str | Path) -> dict[str, Any]:
    return facts_of(cli("evaluate", *arguments, "--json"))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float32"])
def test_evaluate_counts_what_is_right_whatever_the_tensors_are(
    cli: Cli, tmp_path: Path, colours: Path, dtype: str
) -> None:
    facts = evaluate(cli, tiny(tmp_path, dtype=dtype), colours)
    top1 = facts["accuracy"]["top1"]
    assert (top1["hits"], top1["count"]) == (9, 10)
    assert facts["confusion"]["labels"] == list(COLOURS)
    assert facts["confusion"]["counts"] == [[3, 0, 0], [0, 3, 1], [0, 0, 3]]
    wrong = [one for one in facts["pictures"] if one["truth"] != one["predicted"]]
    assert [(one["path"], one["predicted"]) for one in wrong] == [("green/blue-0.png", "blue")]
    assert facts["model"]["input"] == f"8 x 8 pixels, {dtype}"
    assert facts["latency"]["reference"] == "mobilenet-v2-int8"
    assert facts["latency"]["ratio"] < 1


def test_evaluate_applies_softmax_where_the_model_gives_logits(
    cli: Cli, tmp_path: Path, colours: Path
) -> None:
    facts = evaluate(cli, tiny(tmp_path, softmax=False), colours)
    assert all(0 <= one["score"] <= 1 for one in facts["pictures"])
    assert facts["accuracy"]["top1"]["hits"] == 9


def test_evaluate_prints_a_table_and_what_to_do(cli: Cli, tmp_path: Path, colours: Path) -> None:
    done = cli("evaluate", tiny(tmp_path), colours)
    text = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert "90.0 % of 10 pictures are named rightly (likely 59.6 to 98.2 % of many more)" in text
    green = next(line for line in text.splitlines() if line.startswith("green"))
    assert green.split()[:4] == ["green", "4", "75.0", "%"]
    assert "What to do next:" in text
    assert not (tmp_path / "out").exists()


def test_evaluate_writes_page_json_and_thresholds(cli: Cli, tmp_path: Path, colours: Path) -> None:
    pytest.importorskip("jinja2", reason="the page needs the extra `report`")
    pytest.importorskip("matplotlib", reason="the page needs the extra `report`")
    out = tmp_path / "deep/out"
    facts = evaluate(cli, tiny(tmp_path), colours, "--out", out)
    assert sorted(path.name for path in out.iterdir()) == [
        "report.html",
        "report.json",
        "report.zh-Hans.html",
        "thresholds.toml",
    ]
    assert json.loads((out / "report.json").read_text("utf-8"))["pictures"] == facts["pictures"]
    assert "90.0 %" in (out / "report.html").read_text("utf-8")
    tables = tomllib.loads((out / "thresholds.toml").read_text("utf-8"))["decision"]["labels"]
    assert set(tables) == {"red", "green"}  # Blue is right in 3 of 4 claims only.


def test_evaluate_a_folder_that_is_no_label_says_so_and_leaves_it_out(
    cli: Cli, tmp_path: Path, colours: Path
) -> None:
    paint(colours / "gren", "green", 2)
    (colours / "blue").rename(colours / "Blue")
    done = cli("evaluate", tiny(tmp_path), colours, "--json")
    facts = facts_of(done)
    assert facts["data"]["left_out"] == [{"label": "gren", "pictures": 2, "similar": ["green"]}]
    assert facts["accuracy"]["top1"]["count"] == 10
    text = done.stderr.decode()
    assert "the folder gren is not a label of tiny, pictures left out: 2; " in text
    assert "similar labels: green" in text


def test_evaluate_folders_of_which_none_is_a_label_fails_with_the_nearest(
    cli: Cli, tmp_path: Path
) -> None:
    paint(tmp_path / "data/redd", "red")
    paint(tmp_path / "data/zebra", "blue")
    done = cli("evaluate", tiny(tmp_path), tmp_path / "data")
    assert done.returncode == 78
    text = done.stderr.decode().splitlines()[-1]
    assert "none of its 2 class folders is a label of tiny" in text
    assert "Similar labels: red." in text


def test_evaluate_other_pictures_of_a_model_without_a_reject_class_measures_false_accepts(
    cli: Cli, tmp_path: Path, colours: Path
) -> None:
    paint(tmp_path / "other", "red", 4)
    facts = evaluate(cli, tiny(tmp_path), colours, "--other", tmp_path / "other")
    other = facts["other_pictures"]
    assert (other["pictures"], other["has_reject_class"]) == (4, False)
    assert other["default"]["false_accepts"]["hits"] == 4
    assert facts["accuracy"]["top1"]["count"] == 10
    assert [one["truth"] for one in facts["pictures"]].count(None) == 4


def test_evaluate_other_pictures_of_a_model_with_a_reject_class_are_its_truth(
    cli: Cli, tmp_path: Path, colours: Path
) -> None:
    paint(tmp_path / "other", "blue", 4)
    shutil.rmtree(colours / "blue")
    model = tiny(tmp_path, labels="red\ngreen\nunknown\n")
    facts = evaluate(cli, model, colours, "--other", tmp_path / "other")
    other = facts["other_pictures"]
    assert (other["pictures"], other["has_reject_class"]) == (4, True)
    assert other["default"]["false_accepts"]["hits"] == 0
    assert other["default"]["false_rejects"]["hits"] == 1
    assert [one["label"] for one in facts["thresholds"]["labels"]] == ["red", "green"]


def test_evaluate_a_label_that_a_model_has_twice_counts_as_one(
    cli: Cli, tmp_path: Path, colours: Path
) -> None:
    shutil.rmtree(colours / "blue")
    facts = evaluate(cli, tiny(tmp_path, labels="red\ngreen\ngreen\n"), colours)
    assert facts["accuracy"]["top1"]["share"] == 1.0
    assert facts["data"]["labels"] == 2


def test_evaluate_unreadable_pictures_are_told_and_end_nothing(
    cli: Cli, tmp_path: Path, colours: Path
) -> None:
    (colours / "red/broken.jpg").write_bytes(b"\xff\xd8\xff nonsense")
    (colours / "red/empty.png").touch()
    done = cli("evaluate", tiny(tmp_path), colours, "--json")
    facts = facts_of(done)
    assert [one["path"] for one in facts["data"]["unreadable"]] == [
        "red/broken.jpg",
        "red/empty.png",
    ]
    assert facts["accuracy"]["top1"]["count"] == 10
    assert "pictures left out that cannot be read: 2, e.g. red/broken.jpg" in done.stderr.decode()


def test_evaluate_where_no_picture_can_be_read_fails(cli: Cli, tmp_path: Path) -> None:
    for colour in ("red", "blue"):
        (tmp_path / "data" / colour).mkdir(parents=True)
        (tmp_path / "data" / colour / "empty.png").touch()
    done = cli("evaluate", tiny(tmp_path), tmp_path / "data")
    assert done.returncode == 65
    assert "no other picture here can be read either" in done.stderr.decode()


def test_evaluate_into_a_folder_that_cannot_be_made_fails_with_its_name(
    cli: Cli, tmp_path: Path, colours: Path
) -> None:
    (tmp_path / "file").touch()
    done = cli("evaluate", tiny(tmp_path), colours, "--out", tmp_path / "file/out")
    assert done.returncode == 73
    assert "file/out" in done.stderr.decode()


@pytest.mark.parametrize("share", ["0", "1", "x", "-0.5"])
def test_evaluate_refuses_a_precision_that_cannot_be_meant(
    cli: Cli, tmp_path: Path, share: str
) -> None:
    assert cli("evaluate", "m", tmp_path, f"--precision={share}").returncode == 2


def test_evaluate_a_folder_that_is_not_there_fails(cli: Cli, tmp_path: Path) -> None:
    assert cli("evaluate", tiny(tmp_path), tmp_path / "nothing").returncode == 66


def test_evaluate_without_the_libraries_of_the_page_writes_the_rest_and_names_the_extra(
    tmp_path: Path, colours: Path
) -> None:
    without = (
        "import sys; sys.modules['jinja2'] = None\n"
        "from edge_classifier.cli.main import main; sys.exit(main())"
    )
    arguments = ["evaluate", str(tiny(tmp_path)), str(colours), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-c", without, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["report.json", "thresholds.toml"]
    assert how_to_add("report") in done.stderr.decode()


def test_evaluate_where_no_home_can_be_written_makes_the_page_in_silence(
    tmp_path: Path, colours: Path
) -> None:
    pytest.importorskip("jinja2", reason="the page needs the extra `report`")
    pytest.importorskip("matplotlib", reason="the page needs the extra `report`")
    (tmp_path / "file").touch()
    nowhere = str(tmp_path / "file/home")
    environment = {**os.environ, **dict.fromkeys(("HOME", "XDG_CACHE_HOME"), nowhere)}
    environment |= {"XDG_CONFIG_HOME": nowhere, "TMPDIR": str(tmp_path)}
    out = tmp_path / "out"
    arguments = ["evaluate", str(tiny(tmp_path)), str(colours), "--out", str(out)]
    command = [sys.executable, "-m", "edge_classifier", *arguments]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "atplotlib" not in done.stderr.decode()
    assert (out / "report.html").is_file()


def test_evaluate_command_imports_no_library_of_the_page_and_no_torch() -> None:
    code = "import sys, edge_classifier.cli.evaluate; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & {"torch", "matplotlib", "jinja2", "rich"} == set()


def test_evaluate_embedded_model_on_its_photographs(cli: Cli, tmp_path: Path) -> None:
    for picture, label in (("cat.jpg", samples.CAT_LABELS[0]), ("espresso.jpg", "意式浓缩咖啡")):
        folder = tmp_path / "data" / label
        folder.mkdir(parents=True)
        shutil.copy(samples.FOLDER / picture, folder)
    facts = evaluate(cli, "mobilenet-v2-int8", tmp_path / "data")
    assert facts["accuracy"]["top5"]["hits"] == 2
    assert {one["label"] for one in facts["labels"]} == {samples.CAT_LABELS[0], "espresso"}


def test_score_samples_are_those_of_the_classifier_alone(tmp_path: Path, colours: Path) -> None:
    model = load_model(ModelChoice(str(tiny(tmp_path))))
    seen: list[None] = []
    found = score_samples(model, scan(colours), threads=2, progress=lambda: seen.append(None))
    assert len(seen) == 10
    assert found.labels == COLOURS
    classifier = model.classifier(AnswerOptions())
    for path, row in zip(found.paths, found.probabilities, strict=True):
        alone = classifier.score(load_picture(str(path)).frame).scores
        np.testing.assert_allclose(row, alone, atol=1e-6)


def test_score_samples_of_a_model_whose_scores_are_no_numbers_fails(
    tmp_path: Path, colours: Path
) -> None:
    path = tiny(tmp_path, dtype="float32")
    data = path.read_bytes()
    eight = np.float32(8).tobytes()
    assert data.count(eight) == 3
    path.write_bytes(data.replace(eight, np.float32(np.nan).tobytes()))
    model = load_model(ModelChoice(str(path)))
    with pytest.raises(ModelError, match="not numbers"):
        score_samples(model, scan(colours))


def test_report_that_cannot_be_written_leaves_nothing_half_written(
    tmp_path: Path, colours: Path
) -> None:
    found = score_samples(load_model(ModelChoice(str(tiny(tmp_path)))), scan(colours))
    out = tmp_path / "out"
    (out / "report.json").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"report\.json"):
        write_report(out, report(found))
    assert [path.name for path in out.iterdir()] == ["report.json"]


@pytest.fixture
def flowers(shared: Path, tmp_path: Path) -> Path:
    """A few real flowers of two kinds."""
    for name in FLOWERS:
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for picture in sorted((shared / "data/flowers-128" / name).iterdir())[:10]:
            shutil.copy(picture, tmp_path / "flowers" / name)
    return tmp_path / "flowers"


def test_evaluate_googles_model_with_a_background_knows_the_one_flower_that_it_knows(
    cli: Cli, shared: Path, flowers: Path
) -> None:
    model = shared / "models/mobilenet_v2_1.0_224_quant.tflite"
    facts = evaluate(cli, model, flowers)
    assert [one["label"] for one in facts["labels"]] == ["daisy"]
    assert facts["data"]["labels"] >= 999
    assert [one["label"] for one in facts["data"]["left_out"]] == ["rose"]
    assert 0 < facts["accuracy"]["top1"]["hits"] <= facts["accuracy"]["top5"]["hits"] <= 10
    assert facts["model"]["dtypes"]["uint8"] > 60


def test_evaluate_googles_model_on_imagenet_pictures_is_mostly_right(
    cli: Cli, shared: Path, tmp_path: Path
) -> None:
    listed = (shared / "data/imagenet-samples/labels.tsv").read_text("utf-8").splitlines()[1:41]
    for line in listed:
        name, *rest = line.split("\t")
        folder = tmp_path / "data" / rest[-1].replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared / "data/imagenet-samples" / name, folder)
    facts = evaluate(cli, shared / "models/mobilenet_v2_1.0_224_quant.tflite", tmp_path / "data")
    assert facts["data"]["left_out"] == []
    assert facts["accuracy"]["top1"]["share"] > 0.5
