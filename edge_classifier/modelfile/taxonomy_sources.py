"""Finds a model's taxonomy: named by the user, beside the model, or in it."""

from collections.abc import Mapping
from pathlib import Path

from edge_classifier.core.labels.taxonomy import NO_TAXONOMY, Taxonomy
from edge_classifier.core.labels.taxonomy_file import TaxonomyFormatError, parse_taxonomy
from edge_classifier.core.sentence import Sentence
from edge_classifier.errors import ContractError, MissingFileError
from edge_classifier.files import open_regular
from edge_classifier.modelfile.bundle import TAXONOMY_FILE
from edge_classifier.modelfile.label_sources import IN_MODEL

# Thirty times the tree of ImageNet's thousand classes.
LIMIT_BYTES = 1_000_000
# What the name of a file ends with that holds one: NAME.taxonomy.tsv beside NAME.tflite.
TAXONOMY_ENDINGS = ("taxonomy.tsv", "taxonomy.csv")
_REMEDY = Sentence("Mend it (docs/contract.md shows one), or name another with --taxonomy.")


def find_taxonomy(
    model: Path,
    named: Path | None,
    bundle: Mapping[str, bytes],
    labels: tuple[str, ...],
    labels_from: str,
) -> tuple[Taxonomy, str, str]:
    """The taxonomy of a model with these ``labels``, where it comes from, and a note for people.

    ``named`` by the user, else beside ``model``, else in its ``bundle``. What is in the bundle
    belongs to the labels there: where labels from elsewhere do not fit it, there is none.
    Raises MissingFileError, and ContractError for what cannot be read or cannot be right.
    """
    beside = (model.with_suffix(f".{ending}") for ending in TAXONOMY_ENDINGS)
    path = named or next((file for file in beside if file.is_file()), None)
    if path:
        return _parsed(_read(path), labels, str(path)), str(path), ""
    if TAXONOMY_FILE not in bundle:
        return NO_TAXONOMY, "none", ""
    subject = f"{model} ({TAXONOMY_FILE})"
    try:
        taxonomy = _parsed(bundle[TAXONOMY_FILE], labels, subject)
    except ContractError:
        if labels_from.endswith(IN_MODEL):
            raise
        note = Sentence(
            "the taxonomy in {model} does not fit the labels of {place}: left out",
            model=model.name,
            place=labels_from,
        )
        return NO_TAXONOMY, "none", note
    return taxonomy, Sentence("{name} in the model", name=TAXONOMY_FILE), ""


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise MissingFileError(str(path), Sentence("no such taxonomy file")) from error
    except OSError as error:
        problem = Sentence("cannot be read as a taxonomy ({cause})", cause=error.strerror)
        raise ContractError(str(path), problem) from error


def _parsed(data: bytes, labels: tuple[str, ...], subject: str) -> Taxonomy:
    if len(data) > LIMIT_BYTES:
        raise ContractError(subject, Sentence("is too large to be a taxonomy"))
    try:
        return parse_taxonomy(data.decode("utf-8-sig"), labels)
    except UnicodeDecodeError as error:
        remedy = Sentence("Save it as UTF-8.")
        raise ContractError(subject, Sentence("is not UTF-8"), remedy) from error
    except TaxonomyFormatError as error:
        problem = Sentence("is not a valid taxonomy: {cause}", cause=str(error))
        raise ContractError(subject, problem, _REMEDY) from error
