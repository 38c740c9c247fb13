"""Google's uint8 MobileNetV2 as int8: the same numbers, the same answers, and what ships."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_classifier.classifier import AnswerOptions
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import ModelError
from edge_classifier.model_loading import ModelChoice, load_model
from edge_classifier.modelfile import object_api
from edge_classifier.modelfile.catalogue import embedded_folder, load_catalogue
from edge_classifier.training.export.from_uint8 import to_int8
from edge_classifier.training.networks.published import EMBEDDED_MODEL
from edge_classifier.vision.pictures import find_pictures, load_picture
from tests import tiny

CONVOLUTIONS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}


@pytest.fixture(scope="module")
def google(shared: Path) -> Path:
    return shared / "models" / "mobilenet_v2_1.0_224_quant.tflite"


def embedded() -> Path:
    return load_catalogue(embedded_folder() / "catalogue.toml").locate(EMBEDDED_MODEL)


def kernels(model: bytes, dtype: type[np.generic]) -> list[NDArray[np.float64]]:
    """The real weights of each convolution, output channels first."""
    loaded = object_api.read(model)
    found = []
    for operator in loaded.subgraphs[0].operators:
        along = CONVOLUTIONS.get(object_api.operator_name(loaded, operator))
        if along is not None:
            stored = object_api.values(loaded, operator.inputs[1], dtype).astype(np.float64)
            quantization = loaded.subgraphs[0].tensors[operator.inputs[1]].quantization
            first = np.moveaxis(stored, along, 0)
            scale, zero = (
                np.array(values, np.float64).reshape(-1, *[1] * (first.ndim - 1))
                for values in (quantization.scale, quantization.zeroPoint)
            )
            found.append((first - zero) * scale)
    return found


def test_embedded_file_is_what_google_s_becomes(google: Path) -> None:
    assert embedded().read_bytes().startswith(to_int8(google.read_bytes(), background=True))


def test_embedded_file_is_int8_throughout_and_has_1000_classes() -> None:
    engine = TfliteEngine(embedded(), load_runtime())
    assert {dtype for one in engine.operators() for dtype in one.dtypes} <= {"int8", "int32"}
    assert engine.input.quantization.scale == 1 / 128
    assert engine.input.quantization.zero_point == 0
    assert engine.output.shape[-1] == 1000


def test_weights_are_the_same_numbers_but_for_few_channels(google: Path) -> None:
    same = channels = 0
    content = google.read_bytes()
    before = kernels(content, np.uint8)
    after = kernels(to_int8(content, background=False), np.int8)
    for old, new in zip(before, after, strict=True):
        apart, length = (
            np.linalg.norm(values.reshape(len(old), -1), axis=1) for values in (new - old, old)
        )
        assert (apart <= 0.03 * length).all()
        same += int((apart <= 1e-6 * length).sum())
        channels += len(old)
    assert (same, channels) == (17_994, 18_057)


def test_answers_are_those_of_google_s_file(google: Path, shared: Path) -> None:
    """What differs is rounding: 99.4 % of 500 pictures get the same label, by build_models.py."""
    pictures = sorted(find_pictures([str(shared / "data" / "imagenet-samples")]))
    frames = [load_picture(name).frame for name in pictures[::5]]
    index = []
    for path in (google, embedded()):
        classifier = load_model(ModelChoice(str(path))).classifier(AnswerOptions(top_k=1))
        answers = (classifier.classify(frame).predictions[0].index for frame in frames)
        # Google's begin with a class for background.
        index.append([(answer or 0) - (path == google) for answer in answers])
    agreed = Counter(a == b for a, b in zip(*index, strict=True))
    assert agreed[True] / agreed.total() >= 0.95


def test_operator_that_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    model = tiny.build(tmp_path / "a.tflite", tiny.Tiny("uint8")).read_bytes()
    with pytest.raises(ModelError, match=r"has a (MEAN|FULLY_CONNECTED)"):
        to_int8(model, background=False)
