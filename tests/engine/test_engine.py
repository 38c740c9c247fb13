"""The engine on a real runtime, with models small enough to know their answers by heart."""

import gc
import math
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.core.contract import Contract, Output
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import Array, Quantization
from edge_classifier.engine.model_copy import require_tflite
from edge_classifier.engine.runtime import Runtime, load_runtime
from edge_classifier.engine.tflite import TfliteEngine, compiled_for_edgetpu
from edge_classifier.errors import ExitCode, ModelError, UnavailableError
from edge_classifier.installation import how_to_install
from tests.tiny import COLOURS, Tiny, build, pack

DTYPES = ("uint8", "int8", "float32")


def pixel(dtype: str, value: int) -> float:
    """A pixel value as a tiny model of ``dtype`` stores it, its mean and deviation being 128."""
    return {"uint8": value, "int8": value - 128, "float32": (value - 128) / 128}[dtype]


def paint(colour: int, dtype: str, tensor: Array) -> None:
    tensor.fill(pixel(dtype, 10))
    tensor[..., colour] = pixel(dtype, 240)


@pytest.mark.parametrize("colour", range(3))
@pytest.mark.parametrize("dtype", DTYPES)
def test_engine_on_a_plain_colour_names_it(
    dtype: str, colour: int, tmp_path: Path, runtime: Runtime
) -> None:
    engine = TfliteEngine(build(tmp_path / "tiny.tflite", Tiny(dtype)), runtime)

    paint(colour, dtype, engine.picture)
    engine.invoke()
    scores = engine.scores

    assert int(scores.argmax()) == colour
    assert scores.shape == engine.output.shape == (3,)
    assert scores.dtype == engine.output.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_classifier_on_the_engine_gives_the_score_of_the_exact_network(
    dtype: str, tmp_path: Path, runtime: Runtime
) -> None:
    """Preprocessing, quantization and the runtime together are off by a few steps at most."""
    engine = TfliteEngine(build(tmp_path / "tiny.tflite", Tiny(dtype, size=(16, 24))), runtime)
    contract = Contract(24, 16, labels=COLOURS)
    pixels = np.full((90, 120, 3), (60, 130, 110), np.uint8)

    found = Classifier(engine, contract, AnswerOptions(top_k=3)).classify(Frame(pixels))

    powers = np.exp(8 * (np.array([60, 130, 110]) - 128) / 128)
    exact = powers / powers.sum()
    assert [p.label for p in found.predictions] == ["green", "blue", "red"]
    assert [p.score for p in found.predictions] == pytest.approx(exact[[1, 2, 0]], abs=0.03)


@pytest.mark.parametrize("dtype", DTYPES)
def test_engine_describes_its_tensors_as_the_file_has_them(
    dtype: str, tmp_path: Path, runtime: Runtime
) -> None:
    tiny = Tiny(dtype, size=(4, 6), classes=7)

    engine = TfliteEngine(build(tmp_path / "tiny.tflite", tiny), runtime)

    middle, low = (128, 0) if dtype == "uint8" else (0, -128)
    quantized = dtype != "float32"
    given = Quantization(1 / 128, middle) if quantized else Quantization()
    made = Quantization(1 / 256, low) if quantized else Quantization()
    assert engine.input.shape == (1, 4, 6, 3)
    assert engine.input.name == "picture"
    assert engine.input.quantization == given
    assert engine.output.shape == (7,)
    assert engine.output.quantization == made
    named = {tensor["name"]: tensor for tensor in engine.tensors()}
    assert named["picture"] == {
        "name": "picture",
        "shape": [1, 4, 6, 3],
        "dtype": dtype,
        "scales": int(quantized),
    }


@pytest.mark.parametrize("dtype", DTYPES)
def test_picture_is_the_inputs_own_memory_for_the_life_of_the_engine(
    dtype: str, tmp_path: Path, runtime: Runtime
) -> None:
    engine = TfliteEngine(build(tmp_path / "tiny.tflite", Tiny(dtype)), runtime)
    picture, address = engine.picture, engine.picture.ctypes.data

    paint(1, dtype, picture)
    engine.invoke()

    assert engine.picture is picture
    assert engine.picture.ctypes.data == address
    assert picture.shape == (8, 8, 3)
    assert picture.dtype == np.dtype(dtype)
    assert picture.flags.writeable
    assert picture.flags.c_contiguous
    assert int(engine.scores.argmax()) == 1


def test_engine_filled_and_run_many_times_never_refuses(tmp_path: Path, runtime: Runtime) -> None:
    """The runtime refuses to run while one of its own views of its memory is alive."""
    engine = TfliteEngine(build(tmp_path / "tiny.tflite"), runtime)
    gc.disable()
    try:
        for turn in range(2_000):
            paint(turn % 3, "int8", engine.picture)
            engine.invoke()
            assert int(engine.scores.argmax()) == turn % 3
    finally:
        gc.enable()


def test_scores_are_overwritten_by_the_next_run_in_place(tmp_path: Path, runtime: Runtime) -> None:
    engine = TfliteEngine(build(tmp_path / "tiny.tflite"), runtime)
    paint(0, "int8", engine.picture)
    engine.invoke()
    scores, first = engine.scores, engine.scores.copy()

    paint(2, "int8", engine.picture)
    engine.invoke()

    assert engine.scores is scores
    assert int(first.argmax()) == 0
    assert int(scores.argmax()) == 2


def test_picture_and_scores_outlive_the_engine_they_came_from(
    tmp_path: Path, runtime: Runtime
) -> None:
    """An array somebody kept must not become a window on freed memory."""
    path = build(tmp_path / "tiny.tflite", Tiny(size=(64, 64)))
    engine = TfliteEngine(path, runtime)
    paint(2, "int8", engine.picture)
    engine.invoke()
    picture, scores = engine.picture, engine.scores
    before = picture.copy(), scores.copy()

    del engine
    gc.collect()
    others = [TfliteEngine(path, runtime) for _ in range(20)]
    for other in others:
        other.picture.fill(99)
        other.invoke()

    assert (picture == before[0]).all()
    assert (scores == before[1]).all()


def test_two_engines_on_one_file_do_not_share_memory(tmp_path: Path, runtime: Runtime) -> None:
    path = build(tmp_path / "tiny.tflite")
    one, other = TfliteEngine(path, runtime), TfliteEngine(path, runtime, threads=2)

    paint(0, "int8", one.picture)
    paint(2, "int8", other.picture)
    one.invoke()
    other.invoke()

    assert [int(engine.scores.argmax()) for engine in (one, other)] == [0, 2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_operators_are_those_of_the_file_whatever_delegates_took_over(
    dtype: str, tmp_path: Path, runtime: Runtime
) -> None:
    """XNNPACK replaces nodes of its own accord; what is shown is the file's graph."""
    engine = TfliteEngine(build(tmp_path / "tiny.tflite", Tiny(dtype)), runtime)

    assert [node.name for node in engine.operators()] == ["MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert [node.dtypes for node in engine.operators()] == [
        (dtype, "int32", dtype),
        (dtype, dtype, dtype),  # Its bias is left out.
        (dtype, dtype),
    ]


@pytest.mark.parametrize(
    ("tiny", "expected"),
    [
        (Tiny(), "SOFTMAX"),
        (Tiny(softmax=False), "FULLY_CONNECTED"),
        (Tiny(dequantize=True), "SOFTMAX"),
        (Tiny(dequantize=True, softmax=False), "FULLY_CONNECTED"),
        (Tiny("float32"), "SOFTMAX"),
    ],
)
def test_last_operator_is_found_behind_conversions(
    tiny: Tiny, expected: str, tmp_path: Path, runtime: Runtime
) -> None:
    engine = TfliteEngine(build(tmp_path / "tiny.tflite", tiny), runtime)

    assert engine.last_operator == expected


def test_model_whose_scores_leave_as_float_is_run(tmp_path: Path, runtime: Runtime) -> None:
    engine = TfliteEngine(build(tmp_path / "tiny.tflite", Tiny(dequantize=True)), runtime)

    paint(2, "int8", engine.picture)
    engine.invoke()

    assert engine.output.dtype == np.float32
    assert not engine.output.quantization
    assert engine.scores.sum() == pytest.approx(1, abs=0.02)


def test_model_with_logits_is_read_with_softmax(tmp_path: Path, runtime: Runtime) -> None:
    engine = TfliteEngine(build(tmp_path / "tiny.tflite", Tiny(softmax=False)), runtime)
    contract = Contract(8, 8, labels=COLOURS, output=Output.LOGITS)
    frame = Frame(np.full((8, 8, 3), (10, 240, 10), np.uint8))

    best, *_ = Classifier(engine, contract).classify(frame).predictions

    assert best.label == "green"
    assert 0.99 < best.score <= 1


REFUSED: dict[str, tuple[Tiny | bytes, str]] = {
    "words": (b"these are some words, not a model", "is not a TFLite model"),
    "empty": (b"", "is empty"),
    "short": (b"TFL3", "is not a TFLite model"),
    "dynamic": (Tiny(dynamic=True), "input size is dynamic (1 x ? x ? x 3)"),
    "outputs": (Tiny(extra_output=True), "1 inputs and 2 outputs"),
    "grey": (Tiny(channels=1), "its input is 1 x 8 x 8 x 1"),
    "five": (Tiny(channels=5), "its input is 1 x 8 x 8 x 5"),
    "large": (Tiny(size=(4097, 8)), "its input is 1 x 4097 x 8 x 3"),
    "single": (Tiny(classes=1), "its output is 1 x 1"),
    "custom": (Tiny(custom_operator="WhatIsThis"), "WhatIsThis"),
    "unscaled-int8": (Tiny("int8", quantized=False), "int8 without scale and zero point"),
    "unscaled-uint8": (Tiny("uint8", quantized=False), "uint8 without scale and zero point"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_model_that_is_no_classifier_is_refused_with_file_and_cause(
    kind: str, tmp_path: Path, runtime: Runtime, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the runtime mutters while it loads is told in the error, and nowhere else."""
    made, cause = REFUSED[kind]
    path = tmp_path / f"{kind}.tflite"
    if isinstance(made, Tiny):
        build(path, made)
    else:
        path.write_bytes(made)

    with pytest.raises(ModelError) as caught:
        TfliteEngine(path, runtime)

    assert caught.value.subject == str(path)
    assert cause in caught.value.problem
    assert caught.value.exit_code == ExitCode.BAD_DATA
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_missing_and_unreadable_models_are_refused_with_the_reason(tmp_path: Path) -> None:
    for path, reason in [(tmp_path / "none", "No such file"), (tmp_path, "Is a directory")]:
        with pytest.raises(ModelError, match=reason):
            require_tflite(path)


@pytest.mark.parametrize("operator", ["edgetpu-custom-op", ""])
def test_model_for_the_edgetpu_is_told_from_others(operator: str, tmp_path: Path) -> None:
    path = build(tmp_path / "tiny.tflite", Tiny(custom_operator=operator))

    assert compiled_for_edgetpu(path) == bool(operator)


def test_runtime_says_which_it_is_and_why(runtime: Runtime) -> None:
    assert runtime.name in ("ai-edge-litert", "tflite-runtime", "tensorflow")
    assert runtime.version[0].isdigit()
    assert runtime.reason


def test_runtime_that_is_missing_is_installed_by_what_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge_classifier.engine.runtime._CANDIDATES", (("any", "no_such_module"),))
    with pytest.raises(UnavailableError) as caught:
        load_runtime()
    assert str(caught.value).startswith("TFLite runtime: none of any (No module named ")
    assert how_to_install("ai-edge-litert") in str(caught.value)


def test_loading_a_good_model_is_silent(
    tmp_path: Path, runtime: Runtime, capfd: pytest.CaptureFixture[str]
) -> None:
    """The runtime greets on standard error; scripts that read ours want only errors there."""
    engine = TfliteEngine(build(tmp_path / "tiny.tflite"), runtime)
    engine.picture.fill(0)
    engine.invoke()

    assert capfd.readouterr().err == ""


def test_model_whose_scores_have_an_infinite_scale_is_refused(
    runtime: Runtime, tmp_path: Path
) -> None:
    path = build(tmp_path / "infinite.tflite", Tiny("uint8"))
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    graph = model.subgraphs[0]
    graph.tensors[graph.outputs[0]].quantization.scale = [math.inf]
    path.write_bytes(pack(model))
    with pytest.raises(ModelError, match="the tensor scores has an infinite scale"):
        TfliteEngine(path, runtime)
