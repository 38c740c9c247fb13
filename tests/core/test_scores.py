"""From raw outputs to ranked, named predictions."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.core.contract import Output
from edge_classifier.core.quantization import (
    Array,
    Quantization,
    TensorSpec,
    dequantize,
    softmax,
)
from edge_classifier.core.scores import Prediction, ScoreReader, name_predictions, top_k

UINT8 = Quantization(1 / 256, 0)
INT8 = Quantization(1 / 256, -128)
FLOAT = Quantization()
CHECKED = settings(deadline=None, max_examples=150)


def ranked(
    raw: Array, quantization: Quantization, k: int, output: Output = Output.PROBABILITIES
) -> tuple[list[int], list[float]]:
    best = top_k(raw, quantization, output, k)
    assert all((type(index), type(score)) == (int, float) for index, score in best)
    return [index for index, _ in best], [score for _, score in best]


def naive(values: Sequence[float], k: int) -> list[int]:
    """Sort them all; lower indices first among equals."""
    return sorted(range(len(values)), key=lambda index: (-values[index], index))[:k]


@pytest.mark.parametrize(
    ("stored", "dtype", "quantization", "k", "indices", "scores"),
    [
        ([10, 200, 46], "uint8", UINT8, 2, [1, 2], [200 / 256, 46 / 256]),
        ([0, 255, 128], "uint8", UINT8, 3, [1, 2, 0], [255 / 256, 0.5, 0]),
        ([-128, 127, 0], "int8", INT8, 3, [1, 2, 0], [255 / 256, 0.5, 0]),
        ([-1, -2, -3], "int8", INT8, 1, [0], [127 / 256]),
        ([0.125, 0.5, 0.375], "float32", FLOAT, 2, [1, 2], [0.5, 0.375]),
        ([7], "uint8", UINT8, 1, [0], [7 / 256]),
    ],
)
def test_top_k_best_come_first_with_real_scores(
    stored: list[float],
    dtype: str,
    quantization: Quantization,
    k: int,
    indices: list[int],
    scores: list[float],
) -> None:
    assert ranked(np.array(stored, dtype), quantization, k) == (indices, scores)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float32"])
@pytest.mark.parametrize(
    ("stored", "k", "indices"),
    [
        ([5, 5, 5, 5], 2, [0, 1]),
        ([1, 9, 5, 9, 5, 5], 3, [1, 3, 2]),
        ([1, 9, 5, 9, 5, 5], 4, [1, 3, 2, 4]),
        ([0] * 1000, 5, [0, 1, 2, 3, 4]),
        ([0] * 999 + [1], 3, [999, 0, 1]),
    ],
)
def test_top_k_ties_go_to_the_lower_index(
    dtype: str, stored: list[int], k: int, indices: list[int]
) -> None:
    quantization = FLOAT if dtype == "float32" else UINT8
    assert ranked(np.array(stored, dtype), quantization, k)[0] == indices


@pytest.mark.parametrize("k", [3, 4, 1000])
def test_top_k_more_than_classes_gives_all_of_them(k: int) -> None:
    assert ranked(np.array([3, 1, 2], np.uint8), UINT8, k)[0] == [0, 2, 1]


@given(st.data(), st.sampled_from(["uint8", "int8"]), st.integers(1, 12))
@CHECKED
def test_top_k_quantized_scores_equal_a_naive_sort(data: st.DataObject, dtype: str, k: int) -> None:
    limits = np.iinfo(dtype)
    # A narrow range beside the full one: ties are what goes wrong.
    low, high = data.draw(st.sampled_from([(limits.min, limits.max), (0, 3)]))
    stored = data.draw(st.lists(st.integers(low, high), min_size=1, max_size=40))
    quantization = UINT8 if dtype == "uint8" else INT8
    indices, scores = ranked(np.array(stored, dtype), quantization, k)
    assert indices == naive(stored, k)
    zero_point = quantization.zero_point
    assert scores == [(stored[index] - zero_point) / 256 for index in indices]


@given(st.lists(st.floats(0, 1, width=32) | st.just(0.25), min_size=1, max_size=40), st.integers(1))
@CHECKED
def test_top_k_float_scores_equal_a_naive_sort(values: list[float], k: int) -> None:
    indices, scores = ranked(np.array(values, np.float32), FLOAT, k)
    assert indices == naive(values, k)
    assert scores == [values[index] for index in indices]


@given(
    st.lists(st.integers(-128, 127), min_size=1, max_size=40),
    st.floats(0.01, 0.25),
    st.integers(-128, 127),
    st.integers(1, 12),
)
@CHECKED
def test_top_k_quantized_logits_equal_a_naive_sort_and_softmax(
    stored: list[int], scale: float, zero_point: int, k: int
) -> None:
    quantization = Quantization(scale, zero_point)
    indices, scores = ranked(np.array(stored, np.int8), quantization, k, Output.LOGITS)
    assert indices == naive(stored, k)
    powers = [math.exp(scale * (value - max(stored))) for value in stored]
    expected = [powers[index] / sum(powers) for index in indices]
    assert scores == pytest.approx(expected, rel=1e-3)


def test_top_k_logits_share_one_among_all_classes_not_among_the_best() -> None:
    logits = np.log(np.array([1, 2, 3, 4], np.float32))
    indices, scores = ranked(logits, FLOAT, 2, Output.LOGITS)
    assert indices == [3, 2]
    assert scores == pytest.approx([0.4, 0.3])


def test_top_k_huge_logits_give_finite_scores() -> None:
    indices, scores = ranked(np.array([-1e30, 1e30, 0], np.float32), FLOAT, 2, Output.LOGITS)
    assert indices[0] == 1
    assert scores == [1.0, 0.0]


@pytest.mark.parametrize(
    ("stored", "dtype", "quantization"),
    [
        ([-128, -127, 127], "int8", Quantization(1.0, 0)),
        ([0, 100, 255], "uint8", Quantization(2.0, 128)),
        ([-300, -200, 0], "float32", FLOAT),
    ],
)
def test_top_k_logits_too_small_to_score_are_still_ranked_as_stored(
    stored: list[float], dtype: str, quantization: Quantization
) -> None:
    """Probabilities that vanish in float32 are no reason to swap the classes that have them."""
    assert ranked(np.array(stored, dtype), quantization, 3, Output.LOGITS)[0] == [2, 1, 0]


NAMES = ("cat", "dog", "cow")


def named(best: list[tuple[int, float]], threshold: float | None) -> tuple[Prediction, ...]:
    return name_predictions(best, NAMES, threshold, "unknown")


@pytest.mark.parametrize(
    ("threshold", "labels"),
    [
        (None, ["cow", "cat", "dog"]),
        (0.0, ["cow", "cat", "dog"]),
        (0.1, ["cow", "cat", "dog"]),
        (0.11, ["cow", "cat"]),
        (0.3, ["cow", "cat"]),
        (0.6, ["cow"]),
        (0.600001, ["unknown"]),
        (1.0, ["unknown"]),
    ],
)
def test_name_predictions_scores_below_the_threshold_go_and_equal_ones_stay(
    threshold: float | None, labels: list[str]
) -> None:
    predictions = named([(2, 0.6), (0, 0.3), (1, 0.1)], threshold)
    assert [prediction.label for prediction in predictions] == labels


def test_name_predictions_none_left_is_one_unknown_with_the_best_score_and_no_index() -> None:
    best = [(2, 0.6), (0, 0.3), (1, 0.1)]
    assert named(best, 0.9) == (Prediction("unknown", None, 0.6),)


def test_name_predictions_no_threshold_keeps_scores_of_zero() -> None:
    assert named([(1, 0.0)], None) == (Prediction("dog", 1, 0.0),)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "float32"])
@pytest.mark.parametrize("output", list(Output))
def test_score_reader_gives_what_dequantizing_gives(dtype: str, output: Output) -> None:
    stored = np.arange(-120, 120, 7).astype(dtype)
    scale = Quantization(0.02, 3) if dtype != "float32" else Quantization()
    spec = TensorSpec("scores", (len(stored),), np.dtype(dtype), scale)
    expected = dequantize(stored, scale)
    if output is Output.LOGITS:
        expected = softmax(expected)
    found = ScoreReader(spec, output).read(stored)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32
