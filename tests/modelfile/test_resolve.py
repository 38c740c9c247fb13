"""What is known of a model: its own contract, side-car, metadata, catalogue, assumptions."""

from pathlib import Path

import numpy as np
import pytest

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.contract import Crop, Output
from edge_classifier.core.frame import Frame
from edge_classifier.errors import (
    ContractError,
    EdgeClassifierError,
    ExitCode,
    MissingFileError,
    ModelError,
)
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile.bundle import append_bundle, read_bundle
from edge_classifier.modelfile.tflite_metadata import read_tflite_metadata
from tests.modelfile.model_files import (
    CATALOGUED,
    LABELS,
    OWN,
    SIDE_CAR,
    STATED,
    catalogue,
    contract_text,
    load,
)
from tests.rights import as_ordinary_user, closed_folder
from tests.tiny import COLOURS, Tiny, build, metadata


def test_contract_inside_the_model_comes_before_metadata_and_catalogue(full: Path) -> None:
    full.with_suffix(".contract.json").unlink()
    append_bundle(full, {"contract.json": contract_text(), "labels.txt": LABELS})
    known = catalogue(full, {"width": 8, "height": 8, "mean": list(CATALOGUED)})

    resolved = load(full, known).resolved

    assert resolved.contract.mean == OWN
    assert resolved.contract.labels == COLOURS
    assert resolved.preprocessing_from == f"{full} (contract.json)"
    assert resolved.labels_from == "labels.txt in the model"
    assert resolved.notes == ()


def test_side_car_comes_before_what_is_inside(full: Path) -> None:
    names = {"de": ["rot", "grün", "blau"]}
    append_bundle(full, {"contract.json": contract_text(names=names), "labels.txt": LABELS})

    resolved = load(full).resolved

    assert resolved.contract.mean == SIDE_CAR
    assert resolved.contract.labels == ("side red", "side green", "side blue")
    assert resolved.preprocessing_from == str(full.with_suffix(".contract.json"))


def test_side_car_without_labels_leaves_those_inside(full: Path) -> None:
    full.with_suffix(".labels.txt").unlink()
    append_bundle(full, {"contract.json": contract_text(), "labels.txt": LABELS})

    resolved = load(full).resolved

    assert resolved.contract.mean == SIDE_CAR
    assert resolved.contract.labels == COLOURS


def test_metadata_comes_before_assumptions(full: Path) -> None:
    full.with_suffix(".contract.json").unlink()
    append_bundle(full, {"stated.txt": LABELS, "other.txt": "something else"})

    resolved = load(full).resolved

    assert resolved.contract.mean == STATED
    assert resolved.contract.labels == COLOURS
    assert resolved.preprocessing_from == "TFLite metadata in the model"
    assert resolved.labels_from == "stated.txt in the model"


def test_side_car_comes_before_the_catalogue(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / "tiny.contract.json").write_text(contract_text(mean=list(SIDE_CAR)))
    (tmp_path / "tiny.labels.txt").write_text(LABELS)
    known = catalogue(path, {"width": 8, "height": 8, "mean": list(CATALOGUED)})

    resolved = load(path, known).resolved

    assert resolved.contract.mean == SIDE_CAR
    assert resolved.contract.labels == COLOURS
    assert resolved.preprocessing_from == str(tmp_path / "tiny.contract.json")
    assert resolved.labels_from == str(tmp_path / "tiny.labels.txt")


def test_catalogue_comes_before_assumptions(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    known = catalogue(path, {"width": 8, "height": 8, "mean": list(CATALOGUED), "crop": "squash"})

    loaded = load(path, known)

    assert loaded.name == "known"
    assert loaded.resolved.contract.mean == CATALOGUED
    assert loaded.resolved.contract.crop is Crop.SQUASH
    assert loaded.resolved.preprocessing_from == "catalogue"
    assert loaded.resolved.notes == ("no label names: classes are numbered",)


@pytest.mark.parametrize(
    ("tiny", "mean", "std", "why"),
    [
        (Tiny("uint8"), 128.0, 128.0, "raw pixels"),
        (Tiny("int8"), 128.0, 128.0, "raw pixels"),
        (Tiny("float32"), 127.5, 127.5, "inputs from -1 to 1"),
        (Tiny("uint8", scale=2 / 255), 127.5, 127.5, "inputs from -1 to 1"),
        (Tiny("uint8", scale=1 / 255, zero_point=0), 0.0, 255.0, "inputs from 0 to 1"),
        (Tiny("uint8", scale=1.0, zero_point=0), 0.0, 1.0, "inputs from 0 to 255"),
        (Tiny("int8", scale=1.0, zero_point=-128), 0.0, 1.0, "inputs from 0 to 255"),
        (Tiny("uint8", scale=0.0187, zero_point=114), 123.675, 58.395, "ImageNet mean"),
    ],
)
def test_model_that_says_nothing_is_assumed_from_its_input_and_told(
    tiny: Tiny, mean: float, std: float, why: str, tmp_path: Path
) -> None:
    resolved = load(build(tmp_path / "silent.tflite", tiny)).resolved

    assert resolved.preprocessing_from == "assumed"
    assert resolved.contract.mean[0] == mean
    assert resolved.contract.std[0] == std
    assert any("silent.tflite does not say" in note and why in note for note in resolved.notes)


@pytest.mark.parametrize(
    ("labels", "origin"),
    [
        ("tiny.labels.txt", "tiny.labels.txt"),
        ("tiny_labels.txt", "tiny_labels.txt"),
        ("tiny.txt", "tiny.txt"),
        ("labels.txt", "labels.txt"),
    ],
)
def test_labels_beside_the_model_are_found_under_each_usual_name(
    labels: str, origin: str, tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite")
    (tmp_path / labels).write_text(LABELS)

    resolved = load(path).resolved

    assert resolved.contract.labels == COLOURS
    assert resolved.labels_from == str(tmp_path / origin)


def test_labels_of_the_only_text_file_in_the_model_are_taken(tmp_path: Path) -> None:
    """As Google's files have them, under any name."""
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"flowers.txt": "0  red\n1  green\n2  blue\n"})

    resolved = load(path).resolved

    assert resolved.contract.labels == COLOURS
    assert resolved.labels_from == "flowers.txt in the model"


def test_several_unnamed_text_files_in_the_model_are_not_guessed_between(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"one.txt": LABELS, "two.txt": LABELS})

    assert load(path).resolved.labels_from == "none"


def test_unlocalised_label_file_is_preferred(tmp_path: Path) -> None:
    stated = metadata(STATED, (128, 128, 128), [("german.txt", "de"), ("plain.txt", "")])
    path = build(tmp_path / "tiny.tflite", Tiny(metadata=stated))
    append_bundle(path, {"german.txt": "rot\ngrün\nblau", "plain.txt": LABELS})

    assert load(path).resolved.contract.labels == COLOURS


def test_labels_option_replaces_labels_and_their_names(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    text = contract_text(names={"de": ["rot", "grün", "blau"]})
    append_bundle(path, {"contract.json": text, "labels.txt": LABELS})
    mine = tmp_path / "mine.txt"
    mine.write_text("mine a\nmine b\nmine c\n")

    resolved = load(path, labels=mine).resolved

    assert resolved.contract.labels == ("mine a", "mine b", "mine c")
    assert dict(resolved.contract.names) == {}
    assert resolved.labels_from == str(mine)
    assert resolved.contract.mean == OWN


def test_crop_option_replaces_the_contracts(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    append_bundle(path, {"contract.json": contract_text(), "labels.txt": LABELS})

    assert load(path, crop=Crop.LETTERBOX).resolved.contract.crop is Crop.LETTERBOX


@pytest.mark.parametrize("content", [None, b"red\ngr\xfcn\nblue"])
def test_labels_option_that_cannot_be_read_raises(content: bytes | None, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    if content is not None:
        mine.write_bytes(content)

    with pytest.raises(MissingFileError if content is None else ContractError) as caught:
        load(build(tmp_path / "tiny.tflite"), labels=mine)

    assert caught.value.subject == str(mine)


def test_names_in_several_languages_are_given_in_the_wanted_one(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    names = {"de": ["rot", "grün", "blau"], "zh": ["红", "绿", "蓝"]}
    # The mean and deviation that tiny models are built for, so that they see right.
    text = contract_text(names=names, mean=[128.0] * 3, std=[128.0] * 3)
    append_bundle(path, {"contract.json": text, "labels.txt": LABELS})
    loaded = load(path)
    pixels = np.full((8, 8, 3), (10, 240, 10), np.uint8)

    said = [
        loaded.classifier(AnswerOptions(1, language=language))
        .classify(Frame(pixels))
        .predictions[0]
        .label
        for language in ("en", "de", "zh-CN", "fr")
    ]

    assert said == ["green", "grün", "绿", "green"]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_labels_of_another_count_are_refused(count: int, tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny(classes=7))
    append_bundle(path, {"labels.txt": "\n".join(f"name {i}" for i in range(count))})

    with pytest.raises(ContractError, match=f"{count} labels for 7 outputs") as caught:
        load(path)

    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert "--labels" in caught.value.remedy


@pytest.mark.parametrize(
    ("tiny", "output"),
    [
        (Tiny(), Output.PROBABILITIES),
        (Tiny("float32"), Output.PROBABILITIES),
        (Tiny(dequantize=True), Output.PROBABILITIES),
        (Tiny(softmax=False), Output.LOGITS),
        (Tiny("float32", softmax=False), Output.LOGITS),
        (Tiny(dequantize=True, softmax=False), Output.LOGITS),
    ],
)
@pytest.mark.parametrize("stated", [b"", metadata((128,), (128,))])
def test_logits_are_told_from_probabilities_and_said(
    stated: bytes, tiny: Tiny, output: Output, tmp_path: Path
) -> None:
    fields = {name: getattr(tiny, name) for name in ("dtype", "softmax", "dequantize")}
    path = build(tmp_path / "tiny.tflite", Tiny(**fields, metadata=stated))

    resolved = load(path).resolved

    told = [note for note in resolved.notes if "softmax is applied" in note]
    assert resolved.contract.output is output
    assert len(told) == (output is Output.LOGITS)
    assert all("FULLY_CONNECTED" in note for note in told)


def test_model_card_inside_the_model_is_given(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    members = {"contract.json": contract_text(), "labels.txt": LABELS, "model_card.md": "# Über"}
    append_bundle(path, members)

    assert load(path).resolved.card == "# Über"
    assert set(read_bundle(path)) == set(members)


def test_file_without_a_zip_has_no_members(tmp_path: Path) -> None:
    assert read_bundle(build(tmp_path / "tiny.tflite")) == {}


def test_model_whose_name_is_too_long_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EdgeClassifierError):
        load(tmp_path / ("x" * 300 + ".tflite"))


def test_model_in_a_folder_that_must_not_be_searched_is_reported() -> None:
    """As an error of this project with its exit code, not as a bug."""
    with closed_folder() as closed, as_ordinary_user(), pytest.raises(EdgeClassifierError):
        catalogue().locate(str(closed / "tiny.tflite"))


def test_models_of_google_say_their_normalization_and_labels(shared: Path) -> None:
    """Google's own files carry TFLite metadata and a label file."""
    path = shared / "models" / "mobilenet_v2_1.0_224_quant.tflite"

    stated = read_tflite_metadata(path)
    resolved = load(path).resolved

    assert stated is not None
    assert (stated.mean, stated.std) == ((127.5,) * 3, (127.5,) * 3)
    assert stated.label_files == (("imagenet_labels.txt", ""),)
    assert resolved.preprocessing_from == "TFLite metadata in the model"
    assert resolved.labels_from == "imagenet_labels.txt in the model"
    assert len(resolved.contract.labels) == 1001
    assert resolved.contract.labels[0] == "background"
    assert resolved.contract.output is Output.PROBABILITIES
    (note,) = resolved.notes
    assert "does not say how pictures are cropped" in note


def test_model_of_googles_birds_has_its_labels(shared: Path) -> None:
    resolved = load(shared / "models" / "mobilenet_v2_1.0_224_inat_bird_quant.tflite").resolved

    assert len(resolved.contract.labels) == 965
    assert resolved.preprocessing_from == "TFLite metadata in the model"


def test_model_that_vanishes_while_it_is_read_is_told_as_that(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite")
    with pytest.raises(ModelError, match=r"tiny\.tflite: cannot be read"):
        load_model(
            ModelChoice(str(path), "cpu"), catalogue=catalogue(), check=lambda _: path.unlink()
        )
