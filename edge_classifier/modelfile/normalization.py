"""Mean and std of a model without a contract: stated by its metadata, or assumed; and why."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_classifier.core.contract import Triple, normalization_of_range
from edge_classifier.core.quantization import (
    TensorSpec,
    distance_from_raw,
    pixel_table,
    raw_pixels,
)
from edge_classifier.core.sentence import Sentence
from edge_classifier.modelfile.input_range import expected_input

IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)
# torchvision's (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), times 255.
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)
# ImageNet's deviations by channel, stored with one scale, lie up to 21 steps from raw pixels.
_MOST_STEPS = 32


@dataclass(frozen=True, slots=True)
class Normalization:
    """A pixel p in 0..255 enters as ``(p - mean) / std``, by channel."""

    mean: Triple
    std: Triple
    # In words.
    what: str
    why: str
    # For people, beyond what and why.
    notes: tuple[str, ...] = ()


def how_to_change(model: str) -> Sentence:
    """How a person has pictures enter the model of this name in another way."""
    return Sentence(
        "To change it: --input-range LOW..HIGH (setting model.input_range), or "
        "{model}.contract.json beside it",
        model=model,
    )


def stated_normalization(path: Path, spec: TensorSpec, mean: Triple, std: Triple) -> Normalization:
    """What the metadata of the model at ``path`` states, unless its input cannot hold that.

    Google's runtime feeds a quantized input with raw pixels, whatever is stated; exports of AutoML
    state mean 0 and std 1 beside an input from -1 to 1, which would turn every picture white.
    """
    numbers = Sentence("mean {mean} and std {std}", mean=_shown(mean), std=_shown(std))
    as_stated = Sentence("as its metadata states")
    change = how_to_change(path.stem)
    if not spec.quantization:
        low, high = ((end - mean[0]) / std[0] for end in (0, 255))
        expected = expected_input(path)
        doubts: tuple[str, ...] = ()
        if expected and abs(high - expected.high) > 0.25 * (expected.high - expected.low):
            doubt = Sentence(
                "its metadata states {numbers}, so that inputs are {low} to {high}, and is "
                "followed; but its graph expects {least} to {most}: {why}. {change}",
                numbers=numbers,
                low=f"{low:.3g}",
                high=f"{high:.3g}",
                least=f"{expected.low:g}",
                most=f"{expected.high:g}",
                why=expected.why,
                change=change,
            )
            doubts = (doubt,)
        return Normalization(mean, std, numbers, as_stated, doubts)
    if distance_from_raw(pixel_table(mean, std, spec)) <= _MOST_STEPS:
        return Normalization(mean, std, numbers, as_stated)
    low, high = _limits(spec)
    why = Sentence(
        "its metadata states {numbers}, which does not fit its input, {dtype} for numbers "
        "from {low} to {high}",
        numbers=numbers,
        dtype=spec.dtype.name,
        low=f"{low:.3g}",
        high=f"{high:.3g}",
    )
    note = Sentence(
        "{why}: raw pixels are fed, as Google's own runtime does. {change}", why=why, change=change
    )
    return Normalization(*raw_pixels(spec), Sentence("raw pixels"), why, (note,))


def assumed_normalization(path: Path, spec: TensorSpec) -> Normalization:
    """A guess for the model at ``path``: by what its graph or its quantized input tells."""
    if not spec.quantization:
        if expected := expected_input(path):
            mean, std = normalization_of_range(expected.low, expected.high)
            what = _inputs(f"{expected.low:g}", f"{expected.high:g}")
            return Normalization(mean, std, what, expected.why)
        mean, std = normalization_of_range(-1, 1)
        why = Sentence("its graph shows no range")
        note = Sentence(
            "if its answers are wrong, it may want 0..255 or 0..1. {change}",
            change=how_to_change(path.stem),
        )
        return Normalization(mean, std, _inputs(-1, 1), why, (note,))
    found = _by_limits(spec)
    if distance_from_raw(pixel_table(found.mean, found.std, spec)) <= _MOST_STEPS:
        return found
    what = Sentence("raw pixels, {what} do not fit", what=found.what)
    return Normalization(*raw_pixels(spec), what, found.why)


def _inputs(low: object, high: object) -> Sentence:
    return Sentence("inputs from {low} to {high}", low=low, high=high)


def _limits(spec: TensorSpec) -> tuple[float, float]:
    """The lowest and the highest real number that a quantized input can hold."""
    limits = np.iinfo(spec.dtype)
    scale, zero_point = spec.quantization.scale, spec.quantization.zero_point
    return scale * (int(limits.min) - zero_point), scale * (int(limits.max) - zero_point)


def _by_limits(spec: TensorSpec) -> Normalization:
    low, high = _limits(spec)
    why = Sentence(
        "its input holds numbers from {low} to {high}", low=f"{low:.3g}", high=f"{high:.3g}"
    )
    if low < -0.1 and high <= 1.9:
        if spec.quantization.scale == 1 / 128:
            mean, std = (128.0,) * 3, (128.0,) * 3
            return Normalization(mean, std, Sentence("raw pixels (input scale 1/128)"), why)
        return Normalization(*normalization_of_range(-1, 1), _inputs(-1, 1), why)
    if low < -0.1:
        what = Sentence("ImageNet mean and deviation")
        return Normalization(IMAGENET_MEAN, IMAGENET_STD, what, why)
    if high <= 1.9:
        return Normalization(*normalization_of_range(0, 1), _inputs(0, 1), why)
    return Normalization(*normalization_of_range(0, 255), _inputs(0, 255), why)


def _shown(values: Triple) -> str:
    texts = list(dict.fromkeys(f"{value:g}" for value in values))
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
