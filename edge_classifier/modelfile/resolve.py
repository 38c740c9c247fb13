"""Finds a model's contract: in its own file first, and in assumptions that are said aloud last."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edge_classifier.core.contract import (
    Contract,
    ContractFormatError,
    Crop,
    Output,
    contract_from_json,
    contract_from_mapping,
    normalization_of_range,
)
from edge_classifier.core.labels.label_files import LabelFile
from edge_classifier.core.labels.labels import LabelCountError, fit_labels, parse_labels
from edge_classifier.core.quantization import TensorSpec, distinct_inputs, pixel_table
from edge_classifier.core.sentence import Sentence, joined
from edge_classifier.errors import ContractError, ModelError
from edge_classifier.modelfile.bundle import CARD_FILE, CONTRACT_FILE, LABELS_FILE, read_bundle
from edge_classifier.modelfile.flatbuffer import FlatbufferError
from edge_classifier.modelfile.label_sources import (
    IN_MODEL,
    label_file_beside,
    label_file_of,
    labels_in_model,
    read_labels,
    remarks,
)
from edge_classifier.modelfile.normalization import (
    Normalization,
    assumed_normalization,
    how_to_change,
    stated_normalization,
)
from edge_classifier.modelfile.taxonomy_sources import find_taxonomy
from edge_classifier.modelfile.tflite_metadata import TfliteMetadata, read_tflite_metadata

PROBABILITY_OPERATORS = ("SOFTMAX", "LOGISTIC")
# Below half of a byte's 256 values, a picture is lost.
_FEWEST_INPUTS = 128


@dataclass(frozen=True, slots=True)
class ContractOverrides:
    """What the user demands instead of what the model says; None: nothing."""

    labels: Path | None = None
    crop: Crop | None = None
    # What black and white enter the network as.
    input_range: tuple[float, float] | None = None
    taxonomy: Path | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the engine and the catalogue know of a model file."""

    path: Path
    input: TensorSpec
    output: TensorSpec
    last_operator: str
    catalogue_contract: Mapping[str, Any]
    # The file that the user has named, beside which others lie; None: ``path``.
    named: Path | None = None

    @property
    def beside(self) -> Path:
        """What side-cars and label files are named after."""
        return self.named or self.path


@dataclass(frozen=True, slots=True)
class Resolved:
    """A contract that fits its model, and where each part of it comes from."""

    contract: Contract
    preprocessing_from: str
    labels_from: str
    taxonomy_from: str
    # Assumptions and repairs, for people.
    notes: tuple[str, ...] = ()
    # The model card inside the file, Markdown.
    card: str = ""
    # Why pictures enter as they do, where the model alone does not say it.
    reason: str = ""


def resolve(facts: ModelFacts, overrides: ContractOverrides = ContractOverrides()) -> Resolved:
    """The contract of a model file.

    Preprocessing comes from a side-car ``NAME.contract.json``, else the file's own contract, else
    its TFLite metadata, else the catalogue, else assumptions. Raises ContractError when parts
    contradict one another, MissingFileError for a label file that is not there, and ModelError
    when the file is damaged.
    """
    try:
        return _resolve(facts, overrides)
    except OSError as error:
        # It was there when the runtime loaded it.
        what = Sentence("cannot be read any more ({cause})", cause=error.strerror)
        remedy = Sentence("Was it replaced just now? Try again.")
        raise ModelError(str(facts.path), what, remedy) from error


def _resolve(facts: ModelFacts, overrides: ContractOverrides) -> Resolved:
    notes: list[str] = []
    bundle = read_bundle(facts.path)
    metadata = None
    if CONTRACT_FILE not in bundle:
        # The runtime has loaded the file: if anything is damaged, it is the description only.
        with suppress(FlatbufferError):
            metadata = read_tflite_metadata(facts.path)
    found, labels_from = _labels(facts, bundle, metadata, overrides.labels)
    contract, source, reason = _preprocessing(facts, bundle, metadata, notes)
    if overrides.labels or not contract.names:
        contract = contract.with_labels(found.labels)
    contract = replace(contract, labels=found.labels)
    if overrides.crop:
        contract = replace(contract, crop=overrides.crop)
    if overrides.input_range:
        mean, std = normalization_of_range(*overrides.input_range)
        contract = replace(contract, mean=mean, std=std)
        reason = Sentence("the input range is asked for")
    contract = _fitted(facts, contract, found, labels_from, notes)
    taxonomy, taxonomy_from, note = find_taxonomy(
        facts.beside, overrides.taxonomy, bundle, contract.labels, labels_from
    )
    contract = replace(contract, taxonomy=taxonomy)
    notes += [note] if note else []
    _, height, width, _ = facts.input.shape
    if (contract.height, contract.width) != (height, width):
        problem = Sentence(
            "its contract ({source}) says {said} pixels, its input is {size}",
            source=source,
            said=f"{contract.width} x {contract.height}",
            size=f"{width} x {height}",
        )
        raise ContractError(str(facts.beside), problem)
    notes += _lost_inputs(facts, contract)
    card = bundle.get(CARD_FILE, b"").decode("utf-8", "replace")
    return Resolved(contract, source, labels_from, taxonomy_from, tuple(notes), card, reason)


def _fitted(
    facts: ModelFacts, contract: Contract, found: LabelFile, labels_from: str, notes: list[str]
) -> Contract:
    """The contract with one label an output. Raises ContractError."""
    outputs = facts.output.shape[0]
    try:
        fitted = fit_labels(contract, outputs, has_background=found.background_is_implied)
    except LabelCountError as error:
        where = joined("; ", [labels_from, *found.doubts])
        problem = Sentence("{what} ({where})", what=error.args[0], where=where)
        remedy = Sentence("Name the right file with --labels (setting model.labels).")
        if len(found.labels) + 1 == outputs:
            remedy = Sentence(
                "One label is missing, and nothing says which: put it in its place, or a line "
                "`background` first if output 0 is that. {remedy}",
                remedy=remedy,
            )
        raise ContractError(str(facts.beside), problem, remedy) from error
    if fitted.note:
        notes.append(fitted.note)
    elif found.first == 1:
        said = Sentence("its numbers begin at 1, so 1 is output 0")
        notes.append(joined(": ", (labels_from, said)))
    notes += [joined(": ", (labels_from, doubt)) for doubt in found.doubts]
    # Those of ImageNet inside known models, with two kinds of cranes, need no word each time.
    if not labels_from.endswith(IN_MODEL):
        notes += [joined(": ", (labels_from, remark)) for remark in remarks(found.labels)]
    return fitted.contract


def _lost_inputs(facts: ModelFacts, contract: Contract) -> list[str]:
    """A word on mean and std that turn most pixel values into the same input."""
    if not facts.input.quantization:
        return []
    kept = distinct_inputs(pixel_table(contract.mean, contract.std, facts.input))
    if kept >= _FEWEST_INPUTS:
        return []
    quantization = facts.input.quantization
    note = Sentence(
        "mean {mean} and std {std} do not fit the input's scale {scale} and zero point {zero}: of "
        "256 pixel values {kept} are told apart, and the picture is lost. {change}",
        mean=f"{contract.mean[0]:g}",
        std=f"{contract.std[0]:g}",
        scale=f"{quantization.scale:.4g}",
        zero=quantization.zero_point,
        kept=kept,
        change=how_to_change(facts.beside.stem),
    )
    return [note]


def _preprocessing(
    facts: ModelFacts,
    bundle: Mapping[str, bytes],
    metadata: TfliteMetadata | None,
    notes: list[str],
) -> tuple[Contract, str, str]:
    """The contract, where it comes from, and why its mean and std are what they are."""
    side_car = _side_car(facts)
    if side_car.is_file():
        text = side_car.read_text("utf-8-sig", "replace")
        labels = _labels(facts, bundle, metadata, None)[0].labels
        return *_parsed(str(side_car), lambda: contract_from_json(text, labels)), ""
    if CONTRACT_FILE in bundle:
        text = bundle[CONTRACT_FILE].decode("utf-8-sig", "replace")
        labels = parse_labels(bundle.get(LABELS_FILE, b"").decode("utf-8", "replace"))
        source = f"{facts.path} ({CONTRACT_FILE})"
        return *_parsed(source, lambda: contract_from_json(text, labels)), ""
    if metadata and metadata.mean and metadata.std:
        found = stated_normalization(facts.path, facts.input, metadata.mean, metadata.std)
        notes += found.notes
        geometry = _geometry(facts, found, notes)
        stated = replace(geometry, output=_output(facts, notes))
        return stated, Sentence("TFLite metadata in the model"), found.why
    if facts.catalogue_contract:
        given = {"output": str(_output(facts, notes)), **facts.catalogue_contract}
        return *_parsed(Sentence("catalogue"), lambda: contract_from_mapping(given)), ""
    found = assumed_normalization(facts.path, facts.input)
    contract = _assumed(facts, found)
    note = Sentence(
        "{model} does not say how pictures enter it: assuming {what} ({why}), {crop} crop of "
        "{share}, {colours}",
        model=facts.beside.name,
        what=found.what,
        why=found.why,
        crop=str(contract.crop),
        share=f"{contract.crop_fraction:g}",
        colours=contract.colour_order.upper(),
    )
    notes += [note, *found.notes]
    return replace(contract, output=_output(facts, notes)), Sentence("assumed"), found.why


def _side_car(facts: ModelFacts) -> Path:
    return facts.beside.with_suffix(".contract.json")


def _geometry(facts: ModelFacts, found: Normalization, notes: list[str]) -> Contract:
    """The rest of a contract for a model whose metadata states mean and std only."""
    if facts.catalogue_contract:
        contract, _ = _parsed(
            Sentence("catalogue"), lambda: contract_from_mapping(facts.catalogue_contract)
        )
        return replace(contract, mean=found.mean, std=found.std)
    contract = _assumed(facts, found)
    note = Sentence(
        "{model} does not say how pictures are cropped: assuming the {crop} times {share}",
        model=facts.beside.name,
        crop=str(contract.crop),
        share=f"{contract.crop_fraction:g}",
    )
    notes.append(note)
    return contract


def _parsed(source: str, parse: Callable[[], Contract]) -> tuple[Contract, str]:
    try:
        return parse(), source
    except ContractFormatError as error:
        problem = Sentence("is not a valid contract: {cause}", cause=str(error))
        raise ContractError(source, problem) from error


def _assumed(facts: ModelFacts, found: Normalization) -> Contract:
    _, height, width, _ = facts.input.shape
    return Contract(width, height, mean=found.mean, std=found.std)


def _output(facts: ModelFacts, notes: list[str]) -> Output:
    """Whether scores are probabilities already; said when it had to be guessed."""
    if facts.last_operator in PROBABILITY_OPERATORS:
        return Output.PROBABILITIES
    quantization = facts.output.quantization
    if quantization and quantization.scale == 1 / 256:
        return Output.PROBABILITIES
    note = Sentence(
        "{model} ends in {operator}: its outputs are taken as logits, and softmax is applied",
        model=facts.path.name,
        operator=facts.last_operator or Sentence("an unknown operator"),
    )
    notes.append(note)
    return Output.LOGITS


def _labels(
    facts: ModelFacts,
    bundle: Mapping[str, bytes],
    metadata: TfliteMetadata | None,
    override: Path | None,
) -> tuple[LabelFile, str]:
    """The labels and where they are; without any where there are none."""
    if override:
        return read_labels(override), str(override)
    own = label_file_of(facts.beside) if _side_car(facts).is_file() else None
    if own is None and CONTRACT_FILE in bundle and LABELS_FILE in bundle:
        labels = parse_labels(bundle[LABELS_FILE].decode("utf-8", "replace"))
        return LabelFile(labels), Sentence("{name} in the model", name=LABELS_FILE)
    if own is None and (inside := labels_in_model(facts.path, bundle, metadata)):
        return inside
    if found := own or label_file_beside(facts.beside):
        return read_labels(found), str(found)
    return LabelFile(()), Sentence("none")
