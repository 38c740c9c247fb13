"""Models of a few colours, and how tests load them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_classifier.core.contract import Contract
from edge_classifier.model_loading import LoadedModel, ModelChoice, load_model
from edge_classifier.modelfile.catalogue import Catalogue, Entry, sha256_of
from edge_classifier.modelfile.resolve import ContractOverrides
from tests.tiny import COLOURS

LABELS = "\n".join(COLOURS)


OWN, CATALOGUED, SIDE_CAR = (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0)


# A mean for each place that one can come from, so that tests see which was taken.
STATED = (120.0, 121.0, 122.0)


def contract_text(size: int = 8, **changes: Any) -> str:
    data = json.loads(Contract(size, size, mean=OWN).to_json()) | changes
    return json.dumps(data)


def catalogue(path: Path | None = None, contract: Mapping[str, Any] | None = None) -> Catalogue:
    """A catalogue that knows the file at ``path``, or nothing."""
    entries = (
        (
            Entry(
                "known",
                path.name,
                "t",
                (8, 8),
                "l",
                "s",
                sha256=sha256_of(path),
                contract=contract or {},
            ),
        )
        if path
        else ()
    )
    return Catalogue("none", entries, Path("none"), Path("none"))


def load(path: Path, known: Catalogue | None = None, **overrides: Any) -> LoadedModel:
    choice = ModelChoice(str(path), "cpu", ContractOverrides(**overrides))
    return load_model(choice, catalogue=known or catalogue(), check=lambda _: None)
