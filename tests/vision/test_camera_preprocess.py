"""Preprocessing in the camera's thread."""

import numpy as np

from edge_classifier.config.settings import Region
from edge_classifier.core.contract import ColourOrder, Contract
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import Quantization, TensorSpec
from edge_classifier.vision.camera_preprocess import CameraPreprocessor, region_of
from edge_classifier.vision.preprocess import Preprocessor

CONTRACT = Contract(width=32, height=32)
SPEC = TensorSpec("input", (1, 32, 32, 3), np.dtype(np.int8), Quantization(1 / 128, 0))
REGION = Region(left=0.25, top=0.5, width=0.5, height=0.5)


def frame(seed: int) -> Frame:
    pixels = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), np.uint8)
    return Frame(pixels, ColourOrder.BGR)


def test_prepared_picture_is_what_the_preprocessor_writes_of_the_region() -> None:
    expected = np.empty((32, 32, 3), np.int8)
    Preprocessor(CONTRACT, SPEC, expected).write(region_of(frame(1), REGION))
    prepare = CameraPreprocessor(CONTRACT, SPEC, REGION)
    prepared = prepare(frame(1))
    np.testing.assert_array_equal(prepared.picture, expected)
    assert prepared.preprocessor is prepare
    assert prepared.preprocess_ms > 0


def test_prepared_picture_stays_when_the_next_one_is_made() -> None:
    prepare = CameraPreprocessor(CONTRACT, SPEC, REGION)
    first = prepare(frame(1))
    before = first.picture.copy()
    prepare(frame(2))
    np.testing.assert_array_equal(first.picture, before)
