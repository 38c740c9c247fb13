"""The preprocessing contract: how a picture becomes a model's input, and what its outputs mean.

Training, quantization, the command line and the daemon read the same one. It travels inside
the .tflite as ``contract.json`` (see docs/contract.md for the format).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar

from edge_classifier.core.labels.taxonomy import NO_TAXONOMY, Taxonomy
from edge_classifier.core.text import is_printable

FORMAT_VERSION = 1
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*")  # the shape of BCP 47
_NUMBER = r"([-+]?[0-9]{1,7}(?:\.[0-9]{1,9})?)"
_RANGE = re.compile(rf"{_NUMBER}\s*\.\.\s*{_NUMBER}")
Choice = TypeVar("Choice", bound=StrEnum)
_NO_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class Crop(StrEnum):
    """What happens to a picture whose shape is not the model's."""

    # The largest central region of the model's aspect ratio, times ``crop_fraction``.
    CENTER = "center"
    # The whole picture, stretched.
    SQUASH = "squash"
    # The whole picture, undistorted, between bars of the contract's mean colour.
    LETTERBOX = "letterbox"


class Interpolation(StrEnum):
    """How a region is shrunk to the model's size."""

    # Exact 2 x 2 means while the region is much larger than the target, then bilinear.
    HALVING = "halving"
    # The mean over each target pixel's area (OpenCV INTER_AREA): 5 to 15 times slower.
    AREA = "area"
    # Bilinear alone: aliases when a region shrinks by more than two.
    LINEAR = "linear"


class ColourOrder(StrEnum):
    """The order of a three-channel pixel."""

    RGB = "rgb"
    BGR = "bgr"


class Output(StrEnum):
    """What the model's last tensor holds."""

    PROBABILITIES = "probabilities"
    LOGITS = "logits"


Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Contract:
    """One model's contract.

    A pixel value ``p`` in 0..255 enters the network as the real number ``(p - mean) / std``,
    per channel in ``colour_order``.
    """

    # Pixels.
    width: int
    # Pixels.
    height: int
    crop: Crop = Crop.CENTER
    # Share of the central region's side that is kept, (0, 1]; 0.875 is 224 / 256, the usual
    # ImageNet evaluation crop. Ignored by squash and letterbox.
    crop_fraction: float = 0.875
    interpolation: Interpolation = Interpolation.HALVING
    colour_order: ColourOrder = ColourOrder.RGB
    mean: Triple = (128.0, 128.0, 128.0)
    std: Triple = (128.0, 128.0, 128.0)
    output: Output = Output.PROBABILITIES
    # One a class, in the order of the outputs; empty: not known here.
    labels: tuple[str, ...] = ()
    # Language tag to one display name a class, beside ``labels``.
    names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_NAMES)
    # The names above ``labels``.
    taxonomy: Taxonomy = NO_TAXONOMY

    def problems(self) -> list[str]:
        """All that is wrong with the values, as sentences that name the key; empty: valid."""
        checks = {
            f"width is {self.width}; 1 to 4096 are allowed": 1 <= self.width <= 4096,
            f"height is {self.height}; 1 to 4096 are allowed": 1 <= self.height <= 4096,
            f"crop_fraction is {self.crop_fraction}; above 0 up to 1 is allowed": (
                0 < self.crop_fraction <= 1
            ),
            f"std is {list(self.std)}; each must be above 0": all(s > 0 for s in self.std),
            "mean and std must lie between -1000000 and 1000000": all(
                abs(v) <= 1e6 for v in self.mean + self.std
            ),
        }
        wrong = [message for message, holds in checks.items() if not holds]
        for language, names in self.names.items():
            if len(names) != len(self.labels):
                wrong.append(
                    f"names.{language} has {len(names)} names for {len(self.labels)} labels"
                )
            if not all(is_printable(name) for name in names):
                wrong.append(f"names.{language} has a name that cannot be printed")
            if not _LANGUAGE_TAG.fullmatch(language):
                wrong.append(
                    f"names has {language!r}; a language tag such as zh or zh-CN is expected"
                )
        if (placed := len(self.taxonomy.class_nodes)) not in (0, len(self.labels)):
            wrong.append(f"the taxonomy has {placed} classes for {len(self.labels)} labels")
        return wrong

    @property
    def input_range(self) -> str:
        """What black and white enter the network as, for people; the first channel's."""
        low, high = ((end - self.mean[0]) / self.std[0] for end in (0.0, 255.0))
        return f"{low:.4g} to {high:.4g}"

    def with_labels(
        self,
        labels: tuple[str, ...],
        names: Mapping[str, tuple[str, ...]] = _NO_NAMES,
        taxonomy: Taxonomy = NO_TAXONOMY,
    ) -> "Contract":
        """The same contract for other labels; what belonged to the old ones is dropped."""
        return replace(self, labels=labels, names=MappingProxyType(dict(names)), taxonomy=taxonomy)

    def to_json(self) -> str:
        """The text kept inside the model file; labels and taxonomy go into files beside it."""
        data: dict[str, Any] = {"version": FORMAT_VERSION}
        for item in fields(self):
            if item.name not in ("labels", "names", "taxonomy"):
                value = getattr(self, item.name)
                data[item.name] = list(value) if isinstance(value, tuple) else value
        data["names"] = {language: list(names) for language, names in self.names.items()}
        return json.dumps(data, ensure_ascii=False, indent=1)


def normalization_of_range(low: float, high: float) -> tuple[Triple, Triple]:
    """Mean and std with which black enters as ``low`` and white as ``high``.

    Raises ValueError unless ``low`` is below ``high``.
    """
    if not -1e6 <= low < high <= 1e6:
        raise ValueError("the first number must be below the second, both within 1000000")
    std = 255.0 / (high - low)
    # No -0.0, which would be printed.
    mean = -low * std + 0.0
    return (mean,) * 3, (std,) * 3


def range_from_text(text: str) -> tuple[float, float]:
    """``0..255`` as (0.0, 255.0). Raises ValueError for anything else."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ValueError("is not a range such as 0..255, 0..1 or -1..1")
    low, high = float(match[1]), float(match[2])
    normalization_of_range(low, high)
    return low, high


class ContractFormatError(ValueError):
    """A contract's text is wrong; ``problems`` lists everything that is."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def contract_from_json(text: str, labels: tuple[str, ...] = ()) -> Contract:
    """Parse and check a contract's text.

    Raises ContractFormatError with every problem at once: unknown keys are refused, because a
    key that is not understood may change what the network ought to see.
    """
    try:
        # A byte order mark, which Windows' editors put in front.
        data = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise ContractFormatError([f"not JSON ({error})"]) from error
    if not isinstance(data, dict):
        raise ContractFormatError(["not a JSON object"])
    version = data.pop("version", None)
    if version is True or version != FORMAT_VERSION:
        raise ContractFormatError([f"version is {version!r}; this program reads {FORMAT_VERSION}"])
    return contract_from_mapping(data, labels)


def contract_from_mapping(data: Mapping[str, Any], labels: tuple[str, ...] = ()) -> Contract:
    """A contract from parsed JSON or TOML keys, checked as in ``contract_from_json``."""
    wrong = [f"{key} is not a known key" for key in data if key not in (*_READERS, _RANGE_KEY)]
    wrong += [f"{key} is missing" for key in ("width", "height") if key not in data]
    values: dict[str, Any] = {}
    for key, reader in _READERS.items():
        if key in data:
            try:
                values[key] = reader(data[key])
            except (TypeError, ValueError, OverflowError) as error:
                wrong.append(f"{key} is {_short(data[key])}; {error}")
    if _RANGE_KEY in data:
        try:
            if "mean" in data or "std" in data:
                raise ValueError("mean and std say the same: give one of the two")
            values["mean"], values["std"] = normalization_of_range(*_pair(data[_RANGE_KEY]))
        except (TypeError, ValueError, OverflowError) as error:
            wrong.append(f"{_RANGE_KEY} is {_short(data[_RANGE_KEY])}; {error}")
    # What could be read is checked beside what could not, so that all is said at once.
    contract = Contract(labels=labels, **{"width": 1, "height": 1, **values})
    if wrong := wrong + contract.problems():
        raise ContractFormatError(wrong)
    return contract


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("a whole number is expected")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a number is expected")
    return float(value)


def _triple(value: object) -> Triple:
    if not isinstance(value, list) or len(value) != 3:
        raise TypeError("a list of three numbers is expected")
    first, second, third = (_number(item) for item in value)
    return first, second, third


def _pair(value: object) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError("a list of two numbers is expected")
    return _number(value[0]), _number(value[1])


def _one_of(kind: type[Choice], value: object) -> Choice:
    allowed = ", ".join(kind)
    if not isinstance(value, str) or value not in list(kind):
        raise TypeError(f"one of {allowed} is expected")
    return kind(value)


def _names(value: object) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        raise TypeError("an object of language tags is expected")
    for names in value.values():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError("each language needs a list of texts")
    return MappingProxyType({language: tuple(names) for language, names in value.items()})


# What black and white enter as, in the place of mean and std.
_RANGE_KEY = "input_range"
_READERS: dict[str, Any] = {
    "width": _integer,
    "height": _integer,
    "crop": lambda value: _one_of(Crop, value),
    "crop_fraction": _number,
    "interpolation": lambda value: _one_of(Interpolation, value),
    "colour_order": lambda value: _one_of(ColourOrder, value),
    "mean": _triple,
    "std": _triple,
    "output": lambda value: _one_of(Output, value),
    "names": _names,
}
