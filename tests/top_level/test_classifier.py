"""One frame in, named predictions and timings out."""

import math

import numpy as np
import pytest

from edge_classifier.classifier import AnswerOptions, Classifier
from edge_classifier.core.contract import ColourOrder, Contract, Crop, Output
from edge_classifier.core.frame import Frame
from edge_classifier.core.quantization import Array, Quantization, TensorSpec
from edge_classifier.core.scores import Prediction
from edge_classifier.errors import EdgeClassifierError

CONTRACT = Contract(2, 2, crop=Crop.SQUASH).with_labels(
    ("cat", "dog", "cow", "hen"),
    {"en": ("Cat", "Dog", "Cow", "Hen"), "zh": ("猫", "狗", "牛", "母鸡")},
)
FRAME = Frame(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))


class FakeEngine:
    """Answers every picture with ``raw``, and keeps what it has seen."""

    def __init__(self, raw: Array, quantization: Quantization) -> None:
        self.input = TensorSpec(
            "picture", (1, 2, 2, 3), np.dtype(np.uint8), Quantization(1 / 128, 128)
        )
        self.output = TensorSpec("scores", raw.shape, raw.dtype, quantization)
        self.picture: Array = np.zeros((2, 2, 3), np.uint8)
        self.scores: Array = np.zeros_like(raw)
        self.raw = raw
        self.seen: list[Array] = []

    def invoke(self) -> None:
        self.seen.append(self.picture.copy())
        self.scores[:] = self.raw


def engine(*stored: int) -> FakeEngine:
    """Stores probabilities in 256ths."""
    return FakeEngine(np.array(stored, np.uint8), Quantization(1 / 256, 0))


def predictions(*stored: int, answer: AnswerOptions) -> tuple[Prediction, ...]:
    return Classifier(engine(*stored), CONTRACT, answer).classify(FRAME).predictions


def test_classify_injected_clock_times_each_step_exactly() -> None:
    ticks = iter([100.0, 100.125, 100.625, 200.0, 200.25, 200.5])
    classifier = Classifier(engine(1, 2, 3, 4), CONTRACT, clock=ticks.__next__)
    found = [classifier.classify(FRAME) for _ in range(2)]
    assert [(one.preprocess_ms, one.inference_ms) for one in found] == [(125, 500), (250, 250)]


def test_classify_clock_is_read_around_the_write_and_after_the_scores() -> None:
    fake = engine(0, 0, 0, 9)
    moments: list[tuple[bool, bool]] = []

    def clock() -> float:
        moments.append((bool(fake.picture.any()), bool(fake.scores.any())))
        return 0.0

    Classifier(fake, CONTRACT, clock=clock).classify(FRAME)
    assert moments == [(False, False), (True, False), (True, True)]


@pytest.mark.parametrize("order", ColourOrder)
def test_classify_frame_is_in_the_input_when_the_network_runs(order: ColourOrder) -> None:
    fake = engine(1, 2, 3, 4)
    Classifier(fake, CONTRACT).classify(Frame(FRAME.pixels, order))
    (seen,) = fake.seen
    expected = FRAME.pixels if order is ColourOrder.RGB else FRAME.pixels[:, :, ::-1]
    np.testing.assert_array_equal(seen, expected)


def test_classify_next_frame_leaves_the_earlier_answer_alone() -> None:
    fake = engine(255, 0, 0, 0)
    classifier = Classifier(fake, CONTRACT, AnswerOptions(top_k=1))
    first = classifier.classify(FRAME)
    fake.raw = np.array([0, 0, 128, 0], np.uint8)
    second = classifier.classify(Frame(255 - FRAME.pixels))
    assert first.predictions == (Prediction("Cat", 0, 255 / 256),)
    assert second.predictions == (Prediction("Cow", 2, 0.5),)
    np.testing.assert_array_equal(fake.seen, [FRAME.pixels, 255 - FRAME.pixels])


def test_classify_no_options_gives_every_class_of_a_small_model_best_first() -> None:
    assert predictions(32, 128, 0, 96, answer=AnswerOptions()) == (
        Prediction("Dog", 1, 0.5),
        Prediction("Hen", 3, 0.375),
        Prediction("Cat", 0, 0.125),
        Prediction("Cow", 2, 0.0),
    )


@pytest.mark.parametrize(
    ("top_k", "labels"),
    [(1, ["Dog"]), (2, ["Dog", "Hen"]), (4, ["Dog", "Hen", "Cat", "Cow"])],
)
def test_classify_top_k_gives_as_many(top_k: int, labels: list[str]) -> None:
    found = predictions(32, 128, 0, 96, answer=AnswerOptions(top_k=top_k))
    assert [prediction.label for prediction in found] == labels


def test_classify_more_classes_than_asked_gives_five() -> None:
    ten = Contract(2, 2).with_labels(tuple("abcdefghij"))
    found = Classifier(engine(*range(10)), ten).classify(FRAME).predictions
    assert [prediction.label for prediction in found] == list("jihgf")


@pytest.mark.parametrize(
    ("threshold", "labels"),
    [
        (None, ["Dog", "Hen", "Cat", "Cow"]),
        (0.0, ["Dog", "Hen", "Cat", "Cow"]),
        (0.375, ["Dog", "Hen"]),
        (0.376, ["Dog"]),
        (0.5, ["Dog"]),
        (0.51, ["unknown"]),
        (1.0, ["unknown"]),
    ],
)
def test_classify_threshold_leaves_out_what_is_below_it(
    threshold: float | None, labels: list[str]
) -> None:
    found = predictions(32, 128, 0, 96, answer=AnswerOptions(threshold=threshold))
    assert [prediction.label for prediction in found] == labels


@pytest.mark.parametrize(
    ("language", "best", "none"),
    [
        ("en", "Dog", "unknown"),
        ("zh", "狗", "未知"),
        ("zh-CN", "狗", "未知"),
        ("zh_CN", "狗", "未知"),
        ("de", "dog", "unknown"),
    ],
)
def test_classify_language_names_labels_and_the_unknown(
    language: str, best: str, none: str
) -> None:
    stored = (32, 128, 0, 96)
    assert predictions(*stored, answer=AnswerOptions(1, None, language)) == (
        Prediction(best, 1, 0.5),
    )
    assert predictions(*stored, answer=AnswerOptions(1, 0.9, language)) == (
        Prediction(none, None, 0.5),
    )


def test_classify_logits_become_probabilities_of_all_classes() -> None:
    logits = np.log(np.array([1, 2, 3, 2], np.float32))
    fake = FakeEngine(logits, Quantization())
    contract = Contract(2, 2, output=Output.LOGITS).with_labels(("cat", "dog", "cow", "hen"))
    found = Classifier(fake, contract, AnswerOptions(top_k=2)).classify(FRAME).predictions
    assert [(p.label, p.index) for p in found] == [("cow", 2), ("dog", 1)]
    assert [p.score for p in found] == pytest.approx([0.375, 0.25], abs=1e-6)


@pytest.mark.parametrize("output", Output)
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_classify_network_without_a_number_is_an_expected_error_or_still_a_prediction(
    output: Output, threshold: float | None
) -> None:
    """Broken weights of a float model: no bare IndexError, and no empty answer."""
    fake = FakeEngine(np.full(4, math.nan, np.float32), Quantization())
    contract = Contract(2, 2, output=output).with_labels(("cat", "dog", "cow", "hen"))
    classifier = Classifier(fake, contract, AnswerOptions(threshold=threshold))
    try:
        found = classifier.classify(FRAME).predictions
    except EdgeClassifierError:
        return
    assert len(found) >= 1
