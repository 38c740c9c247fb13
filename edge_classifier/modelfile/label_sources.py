"""Finds a model's labels: named by the user, in the model, or beside it under a usual name."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from edge_classifier.core.labels.label_files import LabelFile, LabelFormatError, read_label_file
from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import ContractError, MissingFileError
from edge_classifier.files import open_regular
from edge_classifier.modelfile.bundle import LABELS_FILE, MEMBER_LIMIT_BYTES
from edge_classifier.modelfile.tflite_metadata import TfliteMetadata

SUFFIXES = (".txt", ".json", ".pbtxt")
# Of any model: AutoML writes dict.txt, Teachable Machine labels.txt, Android samples the others.
COMMON_NAMES = (
    LABELS_FILE,
    "label.txt",
    "labelmap.txt",
    "label_map.txt",
    "dict.txt",
    "classes.txt",
    "class_names.txt",
    "labels.json",
    "class_indices.json",
    "imagenet_class_index.json",
    "labelmap.pbtxt",
    "label_map.pbtxt",
)
# What the name of a file inside a model ends with, where it is told.
IN_MODEL = " in the model"
_REMEDY = Sentence("Mend it, or name another file with --labels (setting model.labels).")


def labels_in_model(
    model: Path, bundle: Mapping[str, bytes], metadata: TfliteMetadata | None
) -> tuple[LabelFile, str] | None:
    """The labels in a model without a contract of its own, and where; None: there are none.

    Raises ContractError for labels that cannot be right.
    """
    named = [name for name, _ in metadata.label_files] if metadata else []
    texts = [name for name in bundle if name.endswith(SUFFIXES)]
    for member in [LABELS_FILE, *named, *(texts if len(texts) == 1 else [])]:
        if member in bundle:
            place = Sentence("{name} in the model", name=member)
            return _read(bundle[member], member, f"{model} ({member})"), place
    return None


def label_file_of(model: Path) -> Path | None:
    """The label file that belongs to this very model by its name."""
    names = (f"{model.stem}.labels", f"{model.stem}_labels", f"{model.stem}-labels")
    usual = [f"{name}{suffix}" for name in names for suffix in SUFFIXES]
    # NAME.json is many other things.
    return _first_file(model, [*usual, f"{model.stem}.txt", f"{model.stem}.pbtxt"])


def label_file_beside(model: Path) -> Path | None:
    """The label file of ``model``, or else one of a common name in its folder."""
    return label_file_of(model) or _first_file(model, COMMON_NAMES)


def _first_file(model: Path, names: list[str] | tuple[str, ...]) -> Path | None:
    return next((model.with_name(n) for n in names if model.with_name(n).is_file()), None)


def read_labels(path: Path) -> LabelFile:
    """The labels in the file at ``path``.

    Raises MissingFileError, and ContractError for what cannot be read or cannot be right.
    """
    try:
        with open_regular(path) as file:
            data = file.read(MEMBER_LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise MissingFileError(str(path), Sentence("no such label file")) from error
    except OSError as error:
        problem = Sentence("cannot be read as labels ({cause})", cause=error.strerror)
        raise ContractError(str(path), problem) from error
    if len(data) > MEMBER_LIMIT_BYTES:
        raise ContractError(str(path), Sentence("is too large to be labels"))
    return _read(data, path.name, str(path))


def _read(data: bytes, name: str, subject: str) -> LabelFile:
    try:
        return read_label_file(data, name)
    except LabelFormatError as error:
        problem = Sentence("cannot be read as labels: {cause}", cause=error.args[0])
        raise ContractError(subject, problem, _REMEDY) from error


def remarks(labels: tuple[str, ...]) -> list[str]:
    """What a person should know of labels that are read: names that are given twice."""
    counts = Counter(labels)
    twice = [label for label, count in counts.items() if count > 1]
    if not twice:
        return []
    numbers = ", ".join(str(index) for index, label in enumerate(labels) if label == twice[0])
    same = Sentence(
        "outputs {numbers} have the same label, {label}: nothing tells them apart",
        numbers=numbers,
        label=twice[0],
    )
    more = Sentence(
        "{count} more label is there twice",
        "{count} more labels are there twice",
        count=len(twice) - 1,
    )
    return [same] if len(twice) == 1 else [same, more]
