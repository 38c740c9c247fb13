"""What is wrong with a dataset, and what a user should know of it before training."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_classifier.dataset.alike import ComparedPictures, Group, compare_pictures
from edge_classifier.dataset.facts import PictureFacts, readable
from edge_classifier.dataset.folder import UNDECODED, Dataset

# Examples of what may have to be mended, and of what is only told.
_SHOWN, _SHOWN_OF_NOTE = 10, 3


class Severity(StrEnum):
    """What a finding means for training."""

    FATAL = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    kind: str
    severity: Severity
    # For people.
    text: str
    # All of them: pictures, or pictures that belong together.
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClassCount:
    """The pictures of one class."""

    label: str
    pictures: int
    # In the validation folder.
    validation: int
    unreadable: int
    small: int
    # That are there again, byte by byte: here, in another class or in the validation folder.
    copies: int
    # That look like another one, and are not a copy.
    alike: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    """All that was found, the worst first."""

    root: str
    classes: tuple[ClassCount, ...]
    findings: tuple[Finding, ...]

    @property
    def fatal(self) -> bool:
        """Whether training cannot start."""
        return any(finding.severity is Severity.FATAL for finding in self.findings)

    def lines(self) -> Iterator[str]:
        """For people: each finding with some examples."""
        for finding in self.findings:
            shown = _SHOWN_OF_NOTE if finding.severity is Severity.NOTE else _SHOWN
            yield f"{finding.severity}: {finding.text}"
            yield from (f"    {example}" for example in finding.examples[:shown])
            if len(finding.examples) > shown:
                yield f"    and {len(finding.examples) - shown} more"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        whole = asdict(self)
        return {
            "root": whole["root"],
            "classes": whole["classes"],
            "found": whole["findings"],
            "fatal": self.fatal,
        }


# A shorter side is too few pixels to see much: CIFAR-10's pictures, 32 px, are the least.
SMALL_PX = 32
# Of fewer pictures of a class 20 % are three or less: each is worth 33 points and more.
FEW = 20
# Times as many pictures as in the smallest class, from which on it is said.
IMBALANCE = 10


def check_dataset(
    dataset: Dataset, facts: Mapping[Path, PictureFacts], validation: Dataset | None = None
) -> CheckResult:
    """Everything about ``dataset``, and about ``validation`` beside it (``scan_like``).

    ``facts`` has the pictures of both. Fatal is what keeps training from starting; unreadable
    pictures are only left out.
    """
    compared = compare_pictures(dataset, facts, validation)
    found = [
        *_missing(compared),
        *_about_pictures(compared),
        *_across_folders(compared),
        *_within_classes(compared),
        *_sizes(compared),
        *_left_out(compared),
    ]
    found.sort(key=lambda finding: list(Severity).index(finding.severity))
    return CheckResult(str(dataset.root), _counts(compared), tuple(found))


def _counts(compared: ComparedPictures) -> tuple[ClassCount, ...]:
    """What the table shows; of the validation folder the number of pictures only."""
    copied = {path for group in compared.copies for path in group}
    near = {path for group in compared.alike for path in group} - copied
    bad = {path for path in compared.labels if compared.facts[path].problem}
    pictures, validation = _per_class(compared.dataset), _per_class(compared.validation)
    unreadable, small, copies, alike = (
        Counter(s.label for s in compared.dataset.samples if s.path in marked)
        for marked in (bad, set(_small_ones(compared)), copied, near)
    )
    return tuple(
        ClassCount(label, pictures[n], validation[n], unreadable[n], small[n], copies[n], alike[n])
        for n, label in enumerate(compared.dataset.labels)
    )


def _per_class(dataset: Dataset | None) -> Counter[int]:
    return Counter(sample.label for sample in dataset.samples) if dataset else Counter()


def _missing(compared: ComparedPictures) -> Iterator[Finding]:
    """Classes that nothing can be learned of, or measured on."""
    contents: dict[int, set[str]] = {n: set() for n in range(len(compared.dataset.labels))}
    for sample in readable(compared.dataset.samples, compared.facts):
        contents[sample.label].add(compared.facts[sample.path].sha256)
    for number, label in enumerate(compared.dataset.labels):
        if not contents[number]:
            yield Finding("no_readable", Severity.FATAL, f"{label} has no picture that can be read")
        elif len(contents[number]) < 2 and not compared.validation:
            text = f"{label} has no two pictures that differ: one is needed to measure on"
            yield Finding("too_few", Severity.FATAL, text)
    if not compared.validation:
        return
    seen = {sample.label for sample in readable(compared.validation.samples, compared.facts)}
    none = tuple(label for n, label in enumerate(compared.validation.labels) if n not in seen)
    if none:
        severity = Severity.WARNING if seen else Severity.FATAL
        where, classes = compared.validation.root, _are(len(none), "class", "has have")
        text = f"{classes} no picture to measure on in {where}"
        yield Finding("not_measured", severity, text, none)


def _about_pictures(compared: ComparedPictures) -> Iterator[Finding]:
    """What is wrong with single pictures."""
    facts = {path: compared.facts[path] for path in compared.labels}
    bad = [path for path in facts if facts[path].problem]
    if bad:
        said = (f"{compared.place(path)}: {facts[path].problem}" for path in bad)
        text = f"{_are(len(bad), 'picture')} left out, as unreadable"
        yield Finding("unreadable", Severity.WARNING, text, tuple(sorted(said)))
    small = _small_ones(compared)
    if small:
        text = f"{_are(len(small), 'picture')} less than {SMALL_PX} px wide or high"
        said = (f"{compared.place(p)}: {facts[p].width} x {facts[p].height}" for p in small)
        yield Finding("small", Severity.WARNING, text, tuple(sorted(said)))
    noted = [path for path in facts if facts[path].note]
    if noted:
        text = f"{_are(len(noted), 'picture')} used in part only"
        said = (f"{compared.place(path)}: {facts[path].note}" for path in noted)
        yield Finding("partly", Severity.NOTE, text, tuple(sorted(said)))


def _across_folders(compared: ComparedPictures) -> Iterator[Finding]:
    """The same picture to learn from and to measure on, and in classes that contradict."""
    near = {path for group in compared.alike for path in group}
    every = (*compared.alike, *(group for group in compared.copies if not near.issuperset(group)))
    both = [group for group in every if len(compared.sides(group)) > 1]
    if both:
        text = (
            f"the same picture, or nearly, to learn from and to measure on ({len(both)} times): "
            "what is measured will flatter. Remove one of each"
        )
        yield Finding("leak", Severity.WARNING, text, _groups(compared, both))
    same = [group for group in compared.copies if len(compared.classes(group)) > 1]
    if same:
        text = f"{_are(len(same), 'picture')} in several classes: remove each from the wrong ones"
        yield Finding("contradiction", Severity.WARNING, text, _groups(compared, same))
    covered = {path for group in same for path in group}
    mixed = [
        group
        for group in compared.alike
        if len(compared.classes(group)) > 1
        and not covered.issuperset(group)
        and not _is_most_of_each_class(compared, group)
    ]
    if mixed:
        text = f"pictures that look alike in different classes ({len(mixed)} times)"
        yield Finding("alike_across", Severity.WARNING, text, _groups(compared, mixed))


def _is_most_of_each_class(compared: ComparedPictures, group: Group) -> bool:
    """As before a camera that never moves: such pictures differ in what the hash does not see."""
    sizes = Counter(compared.labels.values())
    inside = Counter(compared.labels[path] for path in group)
    return all(2 * count > sizes[label] for label, count in inside.items())


def _within_classes(compared: ComparedPictures) -> Iterator[Finding]:
    """Pictures that are there more than once, in one class of one folder."""
    copies = [group for group in compared.copies if _in_one_class(compared, group)]
    if copies:
        text = f"{_are(len(copies), 'picture')} there more than once: copies add nothing"
        yield Finding("copies", Severity.NOTE, text, _groups(compared, copies))
    near = [group for group in compared.alike if _in_one_class(compared, group)]
    if near:
        text = f"pictures that look alike ({len(near)} times): a split keeps them together"
        yield Finding("alike", Severity.NOTE, text, _groups(compared, near))
    labels = tuple(compared.dataset.labels[number] for number in sorted(compared.dominated_classes))
    if labels:
        text = (
            f"in {len(labels)} of the classes most pictures look alike, as before a camera that "
            "never moves: what is measured may flatter. Measure on another day's pictures, too"
        )
        yield Finding("crowded", Severity.WARNING, text, labels)


def _in_one_class(compared: ComparedPictures, group: Group) -> bool:
    return len(compared.classes(group)) == len(compared.sides(group)) == 1


def _small_ones(compared: ComparedPictures) -> list[Path]:
    read = (path for path in compared.labels if not compared.facts[path].problem)
    return [p for p in read if min(compared.facts[p].width, compared.facts[p].height) < SMALL_PX]


def _sizes(compared: ComparedPictures) -> Iterator[Finding]:
    """Classes with few pictures, all in all or beside others."""
    counts = Counter(sample.label for sample in readable(compared.dataset.samples, compared.facts))
    labels = compared.dataset.labels
    few = tuple(f"{labels[n]}: {counts[n]}" for n in sorted(counts) if counts[n] < FEW)
    if few:
        text = (
            f"{_are(len(few), 'class', 'has have')} fewer than {FEW} pictures: measures are rough"
        )
        yield Finding("few", Severity.WARNING, text, few)
    if counts and max(counts.values()) > IMBALANCE * min(counts.values()):
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        text = (
            f"{labels[most]} has {counts[most]} pictures, {labels[least]} {counts[least]}: "
            f"more pictures of {labels[least]} help most"
        )
        yield Finding("imbalance", Severity.WARNING, text)


def _left_out(compared: ComparedPictures) -> Iterator[Finding]:
    counts = Counter(compared.dataset.left_out)
    if compared.validation:
        counts.update(compared.validation.left_out)
    if counts:
        kinds = ", ".join(sorted(counts.keys() & UNDECODED))
        remedy = f": {kinds} cannot be read here, convert them to JPEG" if kinds else ""
        severity = Severity.WARNING if kinds else Severity.NOTE
        said = tuple(f"{count} {kind}" for kind, count in counts.most_common())
        yield Finding(
            "left_out", severity, f"{_are(counts.total(), 'file')} left out{remedy}", said
        )


def _are(count: int, thing: str, verb: str = "is are") -> str:
    """``1 picture is`` or ``2 pictures are``."""
    one, many = verb.split()
    ending = "es" if thing.endswith("s") else "s"
    return f"1 {thing} {one}" if count == 1 else f"{count} {thing}{ending} {many}"


def _groups(compared: ComparedPictures, groups: Iterable[Group]) -> tuple[str, ...]:
    return tuple(sorted(map(compared.group, groups)))
