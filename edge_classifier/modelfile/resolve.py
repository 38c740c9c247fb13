"""Finds a model's contract: in its own file first, and in assumptions that are said aloud last."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_classifier.core.contract import (
    Contract,
    ContractFormatError,
    Crop,
    Output,
    Triple,
    contract_from_json,
    contract_from_mapping,
)
from edge_classifier.core.labels import LabelCountError, fit_labels, parse_labels
from edge_classifier.core.quantization import TensorSpec
from edge_classifier.errors import ContractError, MissingFileError
from edge_classifier.modelfile.bundle import (
    CARD_FILE,
    CONTRACT_FILE,
    LABELS_FILE,
    MEMBER_LIMIT_BYTES,
    read_bundle,
)
from edge_classifier.modelfile.tflite_metadata import (
    FlatbufferError,
    TfliteMetadata,
    read_tflite_metadata,
)

IMAGENET_MEAN: Triple = (123.675, 116.28, 103.53)
# torchvision's (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225), times 255.
IMAGENET_STD: Triple = (58.395, 57.12, 57.375)
PROBABILITY_OPERATORS = ("SOFTMAX", "LOGISTIC")


@dataclass(frozen=True, slots=True)
class ContractOverrides:
    """What the user demands instead of what the model says; None: nothing."""

    labels: Path | None = None
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the engine and the catalogue know of a model file."""

    path: Path
    input: TensorSpec
    output: TensorSpec
    last_operator: str
    catalogue_contract: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A contract that fits its model, and where each part of it comes from."""

    contract: Contract
    preprocessing_from: str
    labels_from: str
    # Assumptions and repairs, for people.
    notes: tuple[str, ...] = ()
    # The model card inside the file, Markdown.
    card: str = ""


def resolve(facts: ModelFacts, overrides: ContractOverrides = ContractOverrides()) -> Resolved:
    """The contract of a model file.

    Preprocessing comes from the file's own contract, else its TFLite metadata, else a side-car
    ``NAME.contract.json``, else the catalogue, else assumptions. Raises ContractError when parts
    contradict one another, MissingFileError for a label file that is not there, and ModelError
    when the file is damaged.
    """
    notes: list[str] = []
    bundle = read_bundle(facts.path)
    metadata = None
    if CONTRACT_FILE not in bundle:
        # The runtime has loaded the file: if anything is damaged, it is the description only.
        with suppress(FlatbufferError):
            metadata = read_tflite_metadata(facts.path)
    contract, source = _preprocessing(facts, bundle, metadata, notes)
    labels, labels_from = _labels(facts, bundle, metadata, overrides.labels)
    if overrides.labels or not contract.names:
        contract = contract.with_labels(labels)
    contract = replace(contract, labels=labels)
    if overrides.crop:
        contract = replace(contract, crop=overrides.crop)
    try:
        fitted = fit_labels(contract, facts.output.shape[0])
    except LabelCountError as error:
        raise ContractError(
            str(facts.path), f"{error} ({labels_from})", "Name the right file with --labels."
        ) from error
    _, height, width, _ = facts.input.shape
    if (contract.height, contract.width) != (height, width):
        raise ContractError(
            str(facts.path),
            f"its contract ({source}) says {contract.width} x {contract.height} pixels, "
            f"its input is {width} x {height}",
        )
    if fitted.note:
        notes.append(fitted.note)
    card = bundle.get(CARD_FILE, b"").decode("utf-8", "replace")
    return Resolved(fitted.contract, source, labels_from, tuple(notes), card)


def _preprocessing(
    facts: ModelFacts,
    bundle: Mapping[str, bytes],
    metadata: TfliteMetadata | None,
    notes: list[str],
) -> tuple[Contract, str]:
    side_car = facts.path.with_suffix(".contract.json")
    if CONTRACT_FILE in bundle:
        text = bundle[CONTRACT_FILE].decode("utf-8", "replace")
        labels = parse_labels(bundle.get(LABELS_FILE, b"").decode("utf-8", "replace"))
        return _parsed(f"{facts.path} ({CONTRACT_FILE})", lambda: contract_from_json(text, labels))
    if metadata and metadata.mean and metadata.std:
        stated = replace(_geometry(facts, notes), mean=metadata.mean, std=metadata.std)
        return replace(stated, output=_output(facts, notes)), "TFLite metadata in the model"
    if side_car.is_file():
        text = side_car.read_text("utf-8", "replace")
        names_at = _side_car_labels(facts.path)
        labels = parse_labels(names_at.read_text("utf-8", "replace")) if names_at else ()
        return _parsed(str(side_car), lambda: contract_from_json(text, labels))
    if facts.catalogue_contract:
        given = {"output": str(_output(facts, notes)), **facts.catalogue_contract}
        return _parsed("catalogue", lambda: contract_from_mapping(given))
    contract, why = _assume(facts)
    notes.append(
        f"{facts.path.name} does not say how pictures enter it: assuming {why}, "
        f"{contract.crop} crop of {contract.crop_fraction:g}, {contract.colour_order.upper()}"
    )
    return replace(contract, output=_output(facts, notes)), "assumed"


def _geometry(facts: ModelFacts, notes: list[str]) -> Contract:
    """Size and crop for a model whose metadata states the rest: there are no keys for them."""
    if facts.catalogue_contract:
        return _parsed("catalogue", lambda: contract_from_mapping(facts.catalogue_contract))[0]
    contract, _ = _assume(facts)
    notes.append(
        f"{facts.path.name} does not say how pictures are cropped: "
        f"assuming the {contract.crop} times {contract.crop_fraction:g}"
    )
    return contract


def _parsed(source: str, parse: Callable[[], Contract]) -> tuple[Contract, str]:
    try:
        return parse(), source
    except ContractFormatError as error:
        raise ContractError(source, f"is not a valid contract: {error}") from error


def _assume(facts: ModelFacts) -> tuple[Contract, str]:
    """A guess at mean and std from the real numbers that the input can hold."""
    mean, std, why = _normalization(facts.input)
    _, height, width, _ = facts.input.shape
    return Contract(width, height, mean=mean, std=std), why


def _normalization(spec: TensorSpec) -> tuple[Triple, Triple, str]:
    minus_one_to_one = (127.5,) * 3, (127.5,) * 3, "inputs from -1 to 1"
    if not spec.quantization:
        return minus_one_to_one
    scale, zero_point = spec.quantization.scale, spec.quantization.zero_point
    limits = np.iinfo(spec.dtype)
    low, high = (scale * (limit - zero_point) for limit in (limits.min, limits.max))
    if low < -0.1 and high <= 1.9:
        if scale == 1 / 128:
            return (128.0,) * 3, (128.0,) * 3, "raw pixels (input scale 1/128)"
        return minus_one_to_one
    if low < -0.1:
        return IMAGENET_MEAN, IMAGENET_STD, "ImageNet mean and deviation"
    if high <= 1.9:
        return (0.0,) * 3, (255.0,) * 3, "inputs from 0 to 1"
    return (0.0,) * 3, (1.0,) * 3, "inputs from 0 to 255"


def _output(facts: ModelFacts, notes: list[str]) -> Output:
    """Whether scores are probabilities already; said when it had to be guessed."""
    if facts.last_operator in PROBABILITY_OPERATORS:
        return Output.PROBABILITIES
    quantization = facts.output.quantization
    if quantization and quantization.scale == 1 / 256:
        return Output.PROBABILITIES
    notes.append(
        f"{facts.path.name} ends in {facts.last_operator or 'an unknown operator'}: "
        "its outputs are taken as logits, and softmax is applied"
    )
    return Output.LOGITS


def _labels(
    facts: ModelFacts,
    bundle: Mapping[str, bytes],
    metadata: TfliteMetadata | None,
    override: Path | None,
) -> tuple[tuple[str, ...], str]:
    if override:
        return _label_file(override), str(override)
    named = [name for name, _ in metadata.label_files] if metadata else []
    texts = [name for name in bundle if name.endswith(".txt")]
    for member in [LABELS_FILE, *named, *(texts if len(texts) == 1 else [])]:
        if member in bundle:
            text = bundle[member].decode("utf-8", "replace")
            return parse_labels(text), f"{member} in the model"
    if side_car := _side_car_labels(facts.path):
        return _label_file(side_car), str(side_car)
    return (), "none"


def _side_car_labels(model: Path) -> Path | None:
    names = (
        f"{model.stem}.labels.txt",
        f"{model.stem}_labels.txt",
        f"{model.stem}.txt",
        LABELS_FILE,
    )
    return next((model.with_name(n) for n in names if model.with_name(n).is_file()), None)


def _label_file(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            data = file.read(MEMBER_LIMIT_BYTES + 1)
        if len(data) > MEMBER_LIMIT_BYTES:
            raise ContractError(str(path), "is too large to be labels")
        return parse_labels(data.decode("utf-8"))
    except FileNotFoundError as error:
        raise MissingFileError(str(path), "no such label file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(str(path), f"cannot be read as labels ({error})") from error
