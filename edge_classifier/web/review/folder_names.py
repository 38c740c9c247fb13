"""Names of class folders that any file system takes, and training understands. Pure."""

from collections.abc import Iterable, Mapping

from edge_classifier.core.labels.labels import UNKNOWN, UNKNOWN_NAMES, parse_labels
from edge_classifier.core.text import folded, folder_name, is_printable

# Beside the folders: what labels are called in other languages (docs/training.md).
NAMES_FILE = "names.toml"
# What Windows takes for a device, whatever ending follows.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))]
)
# Folders that ``dataset.folder`` leaves out.
_NOT_CLASSES = frozenset(("unsure", "__macosx", "@eadir", "lost+found"))
# Of which ``dataset.folder`` refuses a folder that has no others.
_PARTS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing"))
_UNKNOWNS = frozenset(UNKNOWN_NAMES.values())


def folder_names(labels: Iterable[str]) -> dict[str, str]:
    """Each label's folder. All that say "unknown" share one; no two others are alike in any case.

    A label keeps its name where it can.
    """
    taken: set[str] = {UNKNOWN}
    found: dict[str, str] = {}
    # Who can keep its name goes first.
    for label in sorted(set(labels), key=lambda label: (_safe(label) != label, label)):
        name = _safe(label)
        if name.casefold() in _UNKNOWNS:
            found[label] = UNKNOWN
            continue
        number, free = 1, name
        while folded(free) in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(folded(free))
        found[label] = free
    names = tuple(sorted(set(found.values()) - {UNKNOWN}))
    if UNKNOWN in found.values():
        names = (*names, UNKNOWN)
    # All together they may be taken for numbered lines, or parts of a dataset.
    is_misread = parse_labels("\n".join(names)) != names or all(n.lower() in _PARTS for n in names)
    if not is_misread:
        return found
    return {k: folder if folder == UNKNOWN else f"_{folder}" for k, folder in found.items()}


def names_table(
    folders: Mapping[str, str], chinese: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """What ``names.toml`` says of ``folders`` (label to folder); empty where it would say nothing.

    A language is complete or not there at all: Chinese names only if every label has one, English
    ones only if a folder could not be named as its label.
    """
    own = {label: folder for label, folder in folders.items() if folder != UNKNOWN}
    named = [chinese.get(label, "") for label in own]
    table: dict[str, dict[str, str]] = {folder: {} for folder in own.values()}
    for label, folder in own.items():
        if any(label != folder for label, folder in own.items()):
            table[folder]["en"] = label if is_printable(label) and label.strip() else folder
        if all(name.strip() and is_printable(name) for name in named):
            table[folder]["zh"] = chinese[label]
    return {folder: names for folder, names in table.items() if names}


def _safe(label: str) -> str:
    """``label`` as a folder's name, alike or not."""
    name = folder_name(label)
    if not name:
        return "label"
    lower = name.lower()
    # Archives with a folder and a file of one name cannot be extracted.
    reserved = lower in (*_NOT_CLASSES, NAMES_FILE) or lower.split(".")[0].strip() in _DEVICES
    return f"_{name}" if reserved else name
