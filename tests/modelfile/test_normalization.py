"""What pixels enter a model as that carries no contract, for every kind of input."""

from pathlib import Path

import numpy as np
import pytest

from edge_classifier.classifier import AnswerOptions
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import pixel_table
from edge_classifier.model_loading import LoadedModel
from edge_classifier.modelfile.input_range import expected_input
from edge_classifier.modelfile.normalization import IMAGENET_MEAN, IMAGENET_STD
from tests.modelfile.model_files import contract_text, load
from tests.tiny import Tiny, build, metadata

RAW_255 = (0.0, 255.0)
UNIT = (0.0, 1.0)
SIGNED = (-1.0, 1.0)
MEANS = tuple(-value for value in IMAGENET_MEAN)


def colour_of(model: LoadedModel, colour: tuple[int, int, int]) -> tuple[int | None, float]:
    """Output and score of a plain picture."""
    pixels = np.full((8, 8, 3), colour, np.uint8)
    best = model.classifier(AnswerOptions(1)).classify(Frame(pixels)).predictions[0]
    return best.index, best.score


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize(
    ("scale", "zero_point", "mean", "std"),
    [
        # AutoML's exports: all 256 values but one become white.
        (1 / 127, 128, 0.0, 1.0),
        (1 / 255, 0, 127.5, 127.5),
        (1 / 128, 128, 0.0, 255.0),
        (1.0, 0, 0.0, 255.0),
        (1.0, 0, 127.5, 127.5),
        (0.0187, 114, 0.0, 1.0),
        (0.5, 0, 0.0, 1.0),
    ],
)
def test_metadata_that_the_quantized_input_cannot_hold_gives_raw_pixels_and_is_said(
    dtype: str, scale: float, zero_point: int, mean: float, std: float, tmp_path: Path
) -> None:
    shift = 0 if dtype == "uint8" else -128
    stated = metadata([mean], [std])
    tiny = Tiny(dtype, scale=scale, zero_point=zero_point + shift, metadata=stated)

    model = load(build(tmp_path / "tiny.tflite", tiny))
    contract = model.resolved.contract
    table = pixel_table(contract.mean, contract.std, model.engine.input)
    assert table.astype(int).tolist() == [[pixel + shift] * 3 for pixel in range(256)]
    assert any("does not fit its input" in note for note in model.notes)
    assert "does not fit" in model.resolved.reason
    assert not any("picture is lost" in note for note in model.notes)


@pytest.mark.parametrize(
    ("scale", "zero_point", "mean", "std"),
    [
        (1 / 128, 128, (127.5,), (127.5,)),
        (1 / 128, 128, (128.0,), (128.0,)),
        (1 / 255, 0, (0.0,), (255.0,)),
        (1.0, 0, (0.0,), (1.0,)),
        (0.0187, 114, IMAGENET_MEAN, IMAGENET_STD),
    ],
)
def test_metadata_that_fits_the_quantized_input_is_followed_without_a_word(
    scale: float, zero_point: int, mean: tuple[float, ...], std: tuple[float, ...], tmp_path: Path
) -> None:
    tiny = Tiny("uint8", scale=scale, zero_point=zero_point, metadata=metadata(mean, std))

    resolved = load(build(tmp_path / "tiny.tflite", tiny)).resolved

    assert resolved.contract.mean == pytest.approx(mean if len(mean) == 3 else mean * 3)
    assert not any("fit" in note for note in resolved.notes)


def test_automl_export_sees_the_picture_and_not_white(tmp_path: Path) -> None:
    stated = metadata([0.0], [1.0])
    tiny = Tiny("uint8", scale=1 / 128, metadata=stated)

    model = load(build(tmp_path / "tiny.tflite", tiny))

    assert [colour_of(model, c)[0] for c in ((250, 9, 9), (9, 250, 9), (9, 9, 250))] == [0, 1, 2]


def test_quantized_input_of_an_unusual_range_is_fed_raw_pixels(tmp_path: Path) -> None:
    """Assumed 0 to 255 would turn the upper half of 0 to 127.5 white."""
    path = build(tmp_path / "tiny.tflite", Tiny("uint8", scale=0.5, zero_point=0))

    assert load(path).resolved.contract.std == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("mean", "std"), [(0, 1), (0, 255), (1000, 1), (127.5, 12750)])
def test_contract_that_loses_the_picture_is_followed_and_told(
    mean: float, std: float, tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny("uint8", scale=1 / 64))
    text = contract_text(mean=[mean] * 3, std=[std] * 3)
    path.with_suffix(".contract.json").write_text(text)

    resolved = load(path).resolved

    assert resolved.contract.mean[0] == mean
    (note,) = [note for note in resolved.notes if "the picture is lost" in note]
    assert "tiny.contract.json" in note


def test_side_car_overrides_contradicting_metadata(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny("uint8", metadata=metadata([0.0], [1.0])))
    text = contract_text(mean=[120.0] * 3, std=[130.0] * 3)
    path.with_suffix(".contract.json").write_text(text)

    resolved = load(path).resolved

    assert resolved.contract.mean == (120.0,) * 3
    assert not any("metadata" in note for note in resolved.notes)


@pytest.mark.parametrize(
    ("before", "range_"),
    [
        ((("MUL", (1 / 255,)),), RAW_255),
        ((("DIV", (255.0,)),), RAW_255),
        ((("MUL", (1 / 127.5,)), ("ADD", (-1.0,))), RAW_255),
        ((("DIV", (127.5,)), ("SUB", (1.0,))), RAW_255),
        ((("SUB", (127.5,)), ("MUL", (1 / 127.5,))), RAW_255),
        ((("CAST", ()), ("MUL", (1 / 255,))), RAW_255),
        ((("SUB", IMAGENET_MEAN), ("DIV", IMAGENET_STD)), RAW_255),
        ((("ADD", MEANS),), RAW_255),
        # EfficientNet of Keras: rescaled, then normalized.
        ((("MUL", (1 / 255,)), ("SUB", (0.485, 0.456, 0.406)), ("MUL", (4.4, 4.5, 4.4))), RAW_255),
        # A batch normalization before all layers.
        ((("MUL", (0.0171, 0.0175, 0.0174)), ("ADD", (-2.1, -2.0, -1.8))), RAW_255),
        ((("SUB", (0.485, 0.456, 0.406)), ("DIV", (0.229, 0.224, 0.225))), UNIT),
        ((("MUL", (2.0,)), ("SUB", (1.0,))), UNIT),
        ((("MUL", (255.0,)),), UNIT),
        ((("ADD", (1.0,)), ("MUL", (127.5,))), SIGNED),
        ((("ADD", (1.0,)), ("DIV", (2.0,))), SIGNED),
        ((("SUB", (0.02, 0.0, -0.03)), ("DIV", (0.5, 0.5, 0.5))), SIGNED),
    ],
)
def test_float_model_is_fed_what_its_first_operators_expect(
    before: tuple[tuple[str, tuple[float, ...]], ...], range_: tuple[float, float], tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny("float32", before=before))

    resolved = load(path).resolved

    assert (0 - resolved.contract.mean[0]) / resolved.contract.std[0] == range_[0]
    assert (255 - resolved.contract.mean[0]) / resolved.contract.std[0] == range_[1]
    assert before[-1][0] in resolved.reason
    assert any(f"{range_[0]:g} to {range_[1]:g}" in note for note in resolved.notes)


@pytest.mark.parametrize(
    "before",
    [
        (),
        (("ADD", (0.0,)),),
        (("MUL", (0.0,)),),
        (("MUL", (float("nan"),)),),
        (("DIV", (0.0,)),),
        (("MUL", (1 / 255, 1.0, 1.0)),),
        (("ADD", (7.0,)),),
    ],
)
def test_float_model_that_shows_nothing_is_assumed_signed_and_how_to_change_it_is_said(
    before: tuple[tuple[str, tuple[float, ...]], ...], tmp_path: Path
) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny("float32", before=before))

    resolved = load(path).resolved

    assert (resolved.contract.mean[0], resolved.contract.std[0]) == (127.5, 127.5)
    assert any("--input-range" in note and "0..255" in note for note in resolved.notes)


def test_rescaling_that_was_folded_into_the_weights_is_seen(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny("float32", folded=1 / 255))

    model = load(path)

    assert model.resolved.contract.input_range == "0 to 255"
    index, score = colour_of(model, (9, 250, 9))
    assert index == 1
    assert score > 0.9


def test_float_model_with_metadata_is_fed_that_and_a_contradiction_is_told(tmp_path: Path) -> None:
    before = (("MUL", (1 / 255,)),)
    stated = metadata([127.5], [127.5])
    path = build(tmp_path / "tiny.tflite", Tiny("float32", before=before, metadata=stated))

    resolved = load(path).resolved

    assert resolved.contract.mean == (127.5,) * 3
    assert any("its graph expects 0 to 255" in note for note in resolved.notes)


def test_input_range_that_is_asked_for_wins(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny("float32"))

    resolved = load(path, input_range=(0.0, 1.0)).resolved

    assert (resolved.contract.mean[0], resolved.contract.std[0]) == (0.0, 255.0)
    assert "asked for" in resolved.reason


def test_graph_that_is_damaged_shows_nothing(tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny("float32", before=(("MUL", (1 / 255,)),)))
    whole = path.read_bytes()
    for end in range(0, len(whole), 41):
        damaged = bytearray(whole)
        damaged[end : end + 4] = b"\xff\xff\xff\x7f"
        path.write_bytes(damaged)
        expected_input(path)
        path.write_bytes(whole[:end])
        expected_input(path)
