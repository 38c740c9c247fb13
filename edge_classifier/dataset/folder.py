"""A folder of pictures, one sub-folder a class, as samples with a label each.

``names.toml`` beside the class folders says what classes are called in other languages.
"""

import os
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_classifier.core.contract import Contract
from edge_classifier.core.labels.labels import UNKNOWN, parse_labels, unknown_name
from edge_classifier.core.sentence import Sentence
from edge_classifier.core.text import folded, is_printable
from edge_classifier.errors import DatasetError, MissingFileError
from edge_classifier.files import is_folder, open_regular, why_missing
from edge_classifier.vision.pictures import SUFFIXES, find_pictures

# A folder of pictures that nobody has sorted yet (``sorting.sort_store``): never a class.
UNSURE = "unsure"
# Pictures of cameras that no decoder here reads.
UNDECODED = frozenset((".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw"))
# The last three are left by archivers, network disks and file systems.
_NOT_CLASSES = frozenset((UNSURE, "__macosx", "@eadir", "lost+found"))
# What classes are called in other languages.
NAMES_FILE = "names.toml"
_NAMES_REMEDY = (
    'Write e.g. daisy = {zh = "雏菊", en = "Daisy"}; labels with other than a-z are quoted.'
)
_PARTS = frozenset(("train", "training", "val", "valid", "validation", "test", "testing"))


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture and the number of its label."""

    path: Path
    label: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples in the order of their labels, and of their paths within one."""

    root: Path
    # Folder names, sorted; ``unknown`` is last.
    labels: tuple[str, ...]
    # Language to one display name a label, as a contract has them.
    names: Mapping[str, tuple[str, ...]]
    samples: tuple[Sample, ...]
    # Where pictures of ``unknown`` come from, beside ``root``.
    other: Path | None = None
    # What is not a known picture (``.dng``), or not sorted yet (``in unsure/``), to the number.
    left_out: Mapping[str, int] = field(default_factory=dict)

    def place(self, path: Path) -> str:
        """``daisy/a.jpg``: the same wherever the folder lies."""
        if self.other and path.is_relative_to(self.other):
            return f"{UNKNOWN}/{path.relative_to(self.other).as_posix()}"
        return path.relative_to(self.root).as_posix()


def scan(root: Path, *, other: Path | None = None) -> Dataset:
    """The pictures below ``root``, at any depth of each class folder; hidden ones are left out.

    ``other`` is a folder of pictures of anything else: with a class folder called ``unknown`` (in
    any case) they are the last class. Raises MissingFileError for a folder that is not there, and
    DatasetError with all that is wrong: pictures in the root, a class without pictures,
    fewer than two classes, names that a model cannot keep, and what ``read_names`` refuses.
    """
    problems, unnamed = _root_problems(root), list[str]()
    folders = _class_folders(root, unnamed, other)
    problems += unnamed
    sources = [
        (label, folders[label])
        for label in sorted(folders, key=lambda label: (label == UNKNOWN, label))
    ]
    if other:
        _require_folder(other)
        sources.append((UNKNOWN, other))
    labels = tuple(dict.fromkeys(label for label, _ in sources))
    # Where a class's folder cannot be taken, there seem to be fewer than there are.
    if not unnamed:
        problems += _class_problems(root, labels, folders)
    samples = _samples(sources, {label: number for number, label in enumerate(labels)}, problems)
    _refuse(root, problems)
    names = read_names(root / NAMES_FILE, labels)
    left_out = _left_out([folder for _, folder in sources], root / UNSURE)
    return Dataset(root, labels, names, samples, other, left_out)


def scan_like(root: Path, labels: Sequence[str]) -> Dataset:
    """The pictures below ``root``, whose class folders must be among ``labels`` (in any case).

    For validation: classes may be missing. Label numbers are those of ``labels``. Raises what
    ``scan`` raises.
    """
    problems = _root_problems(root)
    folders = _class_folders(root, problems)
    numbers = {folded(label): number for number, label in enumerate(labels)}
    strange = [label for label in folders if folded(label) not in numbers]
    if strange:
        problems.append(f"no classes of this name: {', '.join(strange)}")
    if not folders:
        problems.append("there is no class folder in it")
    known = {label: numbers[folded(label)] for label in folders if folded(label) in numbers}
    sources = [(label, folders[label]) for label in sorted(known, key=known.__getitem__)]
    samples = _samples(sources, known, problems)
    _refuse(root, problems)
    left_out = _left_out([folder for _, folder in sources], root / UNSURE)
    return Dataset(root, tuple(labels), {}, samples, left_out=left_out)


def _require_folder(folder: Path) -> None:
    if not is_folder(folder):
        raise MissingFileError(str(folder), why_missing(folder, "folder"))


def _refuse(root: Path, problems: list[str]) -> None:
    if problems:
        raise DatasetError(str(root), "\n".join(problems))


def _root_problems(root: Path) -> list[str]:
    _require_folder(root)
    files = (path for path in _visible(root) if path.suffix.lower() in SUFFIXES | UNDECODED)
    pictures = [path.name for path in files if path.is_file()]
    if not pictures:
        return []
    text = f"pictures in no class folder ({len(pictures)}, e.g. {pictures[0]!a})"
    return [f"{text}: move each into the folder of its class"]


def _class_folders(root: Path, problems: list[str], other: Path | None = None) -> dict[str, Path]:
    """Label to folder, but for ``other``; what is wrong with names is added to ``problems``."""
    folders: dict[str, Path] = {}
    by_key: dict[str, str] = {}
    for folder in _visible(root):
        if not folder.is_dir() or (other and other.exists() and folder.samefile(other)):
            continue
        # As a label file keeps it; file systems disagree on how to write an é.
        label = " ".join(unicodedata.normalize("NFC", folder.name).split())
        label = UNKNOWN if label.lower() == UNKNOWN else label
        if not label or not is_printable(label):
            problems.append(f"the folder name {folder.name!a} cannot be printed: rename it")
        elif folded(label) in by_key:
            twin = folders[by_key[folded(label)]].name
            problems.append(f"{twin!a} and {folder.name!a} are the same name: join the folders")
        else:
            by_key[folded(label)] = label
            folders[label] = folder
    return folders


def _class_problems(root: Path, labels: tuple[str, ...], folders: Mapping[str, Path]) -> list[str]:
    """What is wrong with the classes as a whole."""
    if folders and all(label.lower() in _PARTS for label in folders):
        example = root / next(iter(folders))
        return [f"{', '.join(folders)} are not classes: name {example}, and --validation"]
    if not labels:
        return ["there is no class folder in it: make one a class, and put its pictures there"]
    if len(labels) == 1:
        return [f"there is only one class, {labels[0]}: two are needed to tell them apart"]
    if parse_labels("\n".join(labels)) != labels:
        return ["the folder names are numbered: name them without numbers, which labels lose"]
    return []


def _samples(
    sources: Iterable[tuple[str, Path]], numbers: Mapping[str, int], problems: list[str]
) -> tuple[Sample, ...]:
    samples: list[Sample] = []
    for label, folder in sources:
        paths = _pictures(folder)
        if not paths:
            counts = _left_out([folder])
            files = ", ".join(f"{count} {suffix}" for suffix, count in counts.items())
            instead = f", but {files}" if files else ""
            remedy = "; convert them to JPEG" if counts.keys() & UNDECODED else ""
            problems.append(f"{folder.name} has no picture in it{instead}{remedy}")
        samples += [Sample(path, numbers[label]) for path in paths]
    return tuple(samples)


def _pictures(folder: Path) -> list[Path]:
    try:
        found = [Path(name) for name in find_pictures([str(folder)])]
    except MissingFileError:
        return []
    kept = (
        path
        for path in found
        if not any(part.lower() in _NOT_CLASSES for part in path.relative_to(folder).parts[:-1])
    )
    return sorted(kept, key=lambda path: path.relative_to(folder).as_posix())


def _left_out(folders: Iterable[Path], unsure: Path | None = None) -> Mapping[str, int]:
    """What is in ``folders`` and no known picture, by suffix, and pictures in ``unsure``."""
    counts: Counter[str] = Counter()
    for parent, below, names in (walked for folder in folders for walked in os.walk(folder)):
        below[:] = [name for name in below if not _is_hidden(name)]
        counts[Sentence("linked folder")] += sum(Path(parent, name).is_symlink() for name in below)
        for name in names:
            suffix = Path(name).suffix.lower()
            if suffix not in SUFFIXES and not _is_hidden(name):
                counts[suffix or Sentence("without suffix")] += 1
    if unsure and (unsorted := len(_pictures(unsure))):
        counts[Sentence("in {folder}", folder=f"{UNSURE}/")] = unsorted
    return {kind: count for kind, count in counts.most_common() if count}


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not _is_hidden(path.name))
    except OSError as error:
        raise MissingFileError(str(folder), f"cannot be read ({error.strerror})") from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _NOT_CLASSES


def read_names(path: Path, labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Language to one name a label, for each language that ``path`` has; none without the file.

    What is not named keeps its label. Raises DatasetError with everything that is wrong.
    """
    try:
        with open_regular(path) as file:
            content = tomllib.loads(file.read().decode("utf-8-sig"))
    except FileNotFoundError:
        content = {}
    except (OSError, ValueError) as error:
        raise DatasetError(str(path), f"cannot be read ({error})", _NAMES_REMEDY) from error
    # As the folders' names are: editors and file systems disagree on how to write an é.
    table = {unicodedata.normalize("NFC", label): names for label, names in content.items()}
    problems: list[str] = []
    for label, value in table.items():
        # The same file serves with and without pictures of anything else.
        if label not in labels and label != UNKNOWN:
            problems.append(f"{label!r} is not a class folder")
        if not isinstance(value, dict):
            problems.append(f"{label} is {value!r}. {_NAMES_REMEDY}")
            continue
        problems += [
            f"{label}.{language} is {name!r}; a text is expected"
            for language, name in value.items()
            if not isinstance(name, str) or not name.strip()
        ]
    names = {}
    if not problems:
        languages = sorted({language for given in table.values() for language in given})
        names = {
            language: tuple(
                table.get(label, {}).get(
                    language, unknown_name(language) if label == UNKNOWN else label
                )
                for label in labels
            )
            for language in languages
        }
    problems += Contract(1, 1, labels=tuple(labels), names=names).problems()
    if problems:
        raise DatasetError(str(path), "\n".join(problems))
    return names
