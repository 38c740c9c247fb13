"""Writes a model file: the network with contract, labels and card, checked before it is there."""

from pathlib import Path

import numpy as np

from edge_classifier.core.contract import Contract
from edge_classifier.core.labels.taxonomy_file import taxonomy_text
from edge_classifier.engine.runtime import load_runtime
from edge_classifier.engine.tflite import TfliteEngine
from edge_classifier.errors import ModelError
from edge_classifier.files import cannot_write, own_name_beside, replacing
from edge_classifier.modelfile.bundle import (
    CARD_FILE,
    CONTRACT_FILE,
    LABELS_FILE,
    TAXONOMY_FILE,
    append_bundle,
)

_INTEGERS = {"int8", "int32"}


def pack(model: bytes, path: Path, contract: Contract, card: str) -> None:
    """Write ``model`` with contract, labels and model card; whole and checked, or not at all.

    Raises ModelError for a model that has ``problems``, OutputError.
    """
    labels = "".join(f"{label}\n" for label in contract.labels)
    members = {CONTRACT_FILE: contract.to_json(), LABELS_FILE: labels, CARD_FILE: card}
    if contract.taxonomy.class_nodes:
        members[TAXONOMY_FILE] = taxonomy_text(contract.taxonomy, contract.labels)
    # Two lessons may be taught into one file: the later one is there in the end.
    try:
        with own_name_beside(path) as unfinished, replacing(path, beside=unfinished) as file:
            file.write(model)
            file.flush()
            append_bundle(unfinished, members)
            if wrong := problems(unfinished):
                raise ModelError(str(path), f"is not written: {'; '.join(wrong)}")
    except OSError as error:
        raise cannot_write(path, error) from error


def problems(path: Path) -> list[str]:
    """What keeps the file at ``path`` from being the all-int8 classifier it ought to be."""
    engine = TfliteEngine(path, load_runtime())
    operators = engine.operators()
    wrong = [
        f"{operator.name} uses {', '.join(sorted(set(operator.dtypes) - _INTEGERS))}"
        for operator in operators
        if set(operator.dtypes) - _INTEGERS
    ]
    if any(operator.name == "TRANSPOSE" for operator in operators):
        wrong.append("a TRANSPOSE is left: the network does not run with channels last")
    if engine.output.dtype != np.int8 or engine.last_operator != "SOFTMAX":
        wrong.append("the output is not an int8 softmax")
    return wrong
