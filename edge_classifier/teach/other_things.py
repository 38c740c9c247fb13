"""Features of other things that come with a base: what ``unknown`` is learned from at least."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import ModelError
from edge_classifier.modelfile.catalogue import embedded_folder
from edge_classifier.teach.base import Base


def other_things(base: Base) -> NDArray[np.int8]:
    """Features (M, features) of pictures of all kinds of things; none where none are at hand.

    ``scripts/models/build_other_things.py`` makes the files. Raises ModelError for a damaged one.
    """
    path = file_for(base.weights, embedded_folder())
    if not path.is_file():
        return np.empty((0, base.size), np.int8)
    try:
        with np.load(path, allow_pickle=False) as content:
            return np.asarray(content["features"], np.int8).reshape(-1, base.size)
    except Exception as error:  # A damaged zip leads numpy to whatever error there is.
        problem = Sentence("cannot be read ({cause})", cause=str(error))
        remedy = Sentence("Install edge-classifier again.")
        raise ModelError(str(path), problem, remedy) from error


def write_other_things(base: Base, features: NDArray[np.int8], folder: Path) -> Path:
    """Write them for ``base`` into ``folder``."""
    path = file_for(base.weights, folder)
    np.savez_compressed(path, features=features)
    return path


def file_for(weights: str, folder: Path) -> Path:
    """Where the features lie that a base with these ``Base.weights`` makes."""
    return folder / f"other_things_{weights[:12]}.npz"
