"""Fitting a list of label names to the number of a model's outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edge_classifier.core.contract import Contract
from edge_classifier.core.labels.taxonomy import Taxonomy
from edge_classifier.core.sentence import Sentence
from edge_classifier.core.text import is_printable

BACKGROUND = "background"
UNKNOWN = "unknown"
UNKNOWN_NAMES: Mapping[str, str] = MappingProxyType({"en": "unknown", "zh": "未知"})
# With the background; the first of its thousand classes is the tench.
_IMAGENET_OUTPUTS = 1001
_BACKGROUND_NAMES: Mapping[str, str] = MappingProxyType({"en": "background", "zh": "背景"})


class LabelCountError(ValueError):
    """The labels cannot belong to these outputs."""


@dataclass(frozen=True, slots=True)
class FittedLabels:
    """A contract whose labels match the outputs, and what was done to make them match."""

    contract: Contract
    note: str = ""


def parse_labels(text: str) -> tuple[str, ...]:
    """Label names as a model with a contract holds them: one a line, an index before it dropped.

    All other label files are read by ``core.labels.label_files``.

    Coral's label files number their lines (``0  background``); plain ones do not. Numbers are
    dropped only when every line carries its own line number. What cannot be printed goes, because
    labels reach terminals.
    """
    # One blank between words, whatever blank stood there.
    words = (" ".join(line.split()) for line in text.lstrip("\ufeff").splitlines())
    lines = [w if is_printable(w) else "".join(filter(is_printable, w)) for w in words]
    while lines and not lines[-1]:
        lines.pop()
    split = [line.split(maxsplit=1) for line in lines]
    if lines and all(len(s) == 2 and s[0] == str(i) for i, s in enumerate(split)):
        return tuple(s[1] for s in split)
    return tuple(lines)


def fit_labels(contract: Contract, outputs: int, *, has_background: bool = False) -> FittedLabels:
    """The contract with exactly one label an output.

    TensorFlow's ImageNet models have 1001 outputs, the first being ``background``; label files
    come with and without that line, so a difference of just that one is mended and said. With
    other labels a line may be missing anywhere, and output 0 is the background only where
    ``has_background`` says that it is known.

    Raises LabelCountError for any other difference.
    """
    labels = contract.labels
    if not labels:
        numbered = tuple(f"class {index}" for index in range(outputs))
        note = Sentence("no label names: classes are numbered")
        return FittedLabels(contract.with_labels(numbered), note)
    if len(labels) == outputs:
        return FittedLabels(contract)
    is_known = has_background or (outputs == _IMAGENET_OUTPUTS and "tench" in labels[0].lower())
    if len(labels) + 1 == outputs and is_known and labels[0].lower() != BACKGROUND:
        names = {
            language: (_BACKGROUND_NAMES.get(_primary(language), BACKGROUND), *known)
            for language, known in contract.names.items()
        }
        return FittedLabels(
            contract.with_labels((BACKGROUND, *contract.labels), names),
            Sentence("output 0 is taken as background"),
        )
    if len(labels) == outputs + 1 and labels[0].lower() == BACKGROUND:
        names = {language: known[1:] for language, known in contract.names.items()}
        return FittedLabels(
            contract.with_labels(contract.labels[1:], names),
            Sentence("the label background has no output: dropped"),
        )
    raise LabelCountError(
        Sentence("{labels} labels for {outputs} outputs", labels=len(labels), outputs=outputs)
    )


def display_names(contract: Contract, language: str) -> tuple[str, ...]:
    """Names in ``language`` where the contract has them (``zh`` also for ``zh-CN``)."""
    known = {tag.lower(): names for tag, names in contract.names.items()}
    for tag in (language.lower(), _primary(language)):
        if tag in known:
            return known[tag]
    return contract.labels


def node_names(taxonomy: Taxonomy, language: str) -> tuple[str, ...]:
    """One a node: its name in ``language``, or else its own."""
    tags = (language.lower(), _primary(language))
    names = []
    for node in taxonomy.nodes:
        known = {tag.lower(): name for tag, name in node.names.items()}
        names.append(next((known[tag] for tag in tags if tag in known), node.name))
    return tuple(names)


def unknown_name(language: str) -> str:
    """What a picture below the threshold is called."""
    return UNKNOWN_NAMES.get(_primary(language), UNKNOWN)


def _primary(tag: str) -> str:
    """``zh`` of ``zh-CN`` or ``zh_CN``."""
    return tag.lower().replace("_", "-").split("-", maxsplit=1)[0]
