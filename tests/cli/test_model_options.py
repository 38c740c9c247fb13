"""Models that say little of themselves, on the command line."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Cli
from tests.tiny import COLOURS, Tiny, build

RESCALING = (("MUL", (1 / 255,)),)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for colour, pixel in zip(COLOURS, ((250, 9, 9), (9, 250, 9), (9, 9, 250)), strict=True):
        Image.new("RGB", (40, 40), pixel).save(folder / f"{colour}.png")
    return folder


def test_float_model_with_the_rescaling_inside_names_colours_and_says_why(
    pictures: Path, tmp_path: Path, cli: Cli
) -> None:
    model = build(tmp_path / "tiny.tflite", Tiny("float32", before=RESCALING))
    (tmp_path / "dict.txt").write_text("2 blue\n0 red\n1 green\n")

    done = cli("--image", pictures, "--model", model, "--format", "json")

    found = {Path(one["image"]).stem: one["predictions"][0] for one in json.loads(done.stdout)}
    assert {name: best["label"] for name, best in found.items()} == dict(
        zip(COLOURS, COLOURS, strict=True)
    )
    assert all(best["score"] > 0.9 for best in found.values())
    assert "inputs from 0 to 255 (its first operators are MUL" in done.stderr.decode()


def test_models_info_tells_the_range_the_reason_and_what_an_option_makes_of_it(
    tmp_path: Path, cli: Cli
) -> None:
    model = build(tmp_path / "tiny.tflite", Tiny("float32"))

    told = json.loads(cli("models", "info", model, "--json").stdout)["preprocessing"]
    assert (told["input_range"], told["because"]) == ("-1 to 1", "its graph shows no range")

    done = cli("models", "info", model, "--input-range", "0..255", "--json")
    told = json.loads(done.stdout)["preprocessing"]
    assert (told["input_range"], told["because"]) == ("0 to 255", "the input range is asked for")


def test_input_range_that_is_none_is_refused_with_examples(cli: Cli) -> None:
    done = cli("models", "info", "--input-range", "255")

    assert done.returncode == 2
    assert "0..255, 0..1 or -1..1" in done.stderr.decode()


def test_models_info_shows_the_labels_of_the_first_outputs(tmp_path: Path, cli: Cli) -> None:
    model = build(tmp_path / "tiny.tflite")
    (tmp_path / "labels.txt").write_text("2 blue\n0 red\n1 green\n")

    assert "red, green, blue" in cli("models", "info", model).stdout.decode()


def test_models_info_prints_the_tree_of_names_with_the_classes_of_each(
    tmp_path: Path, cli: Cli
) -> None:
    model = build(tmp_path / "tiny.tflite")
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    (tmp_path / "tree").write_text(
        "name,parent,zh,spoken\ncolour,,,no\nwarm,colour,暖色\nred,warm\ncold,colour\nblue,cold\n"
        "green,cold\nlow,\nlower,low"
    )

    refused = cli("models", "info", model, "--taxonomy", tmp_path / "tree")
    assert refused.returncode == 78
    assert "line 9: lower is no label of this model" in refused.stderr.decode()

    (tmp_path / "tree").write_text((tmp_path / "tree").read_text().partition("low,")[0])
    printed = cli("models", "info", model, "--taxonomy", tmp_path / "tree").stdout.decode()
    tree = printed.partition("taxonomy")[2].splitlines()[:4]
    assert [line.strip() for line in tree] == [
        f"3 nodes ({tmp_path / 'tree'})",
        "colour: 3, never said alone",
        "warm, 暖色: 1",
        "cold: 2",
    ]
    done = cli("models", "info", model, "--taxonomy", tmp_path / "tree", "--json")
    taxonomy = json.loads(done.stdout)["taxonomy"]
    assert taxonomy["from"] == str(tmp_path / "tree")
    assert taxonomy["nodes"][1] == {
        "name": "warm",
        "parent": "colour",
        "spoken": True,
        "id": "",
        "names": {"zh": "暖色"},
        "classes": 1,
    }


def test_json_of_a_model_without_a_tree_has_the_label_alone_as_its_path(
    tmp_path: Path, cli: Cli, pictures: Path
) -> None:
    model = build(tmp_path / "tiny.tflite")
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")

    red = pictures / "red.png"
    done = cli("--image", red, "--model", model, "--format", "json", "--top-k", "1")
    (found,) = json.loads(done.stdout)[0]["predictions"]
    assert (found["label"], found["id"], found["path"]) == ("red", None, ["red"])
    done = cli("--image", red, "--model", model, "--format", "json", "--threshold", "1")
    (found,) = json.loads(done.stdout)[0]["predictions"]
    assert (found["label"], found["path"]) == ("unknown", [])
