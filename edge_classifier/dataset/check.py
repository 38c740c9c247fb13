"""What is wrong with a dataset, and what a user should know of it before training."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from edge_classifier.core.sentence import LabelText, Sentence
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


_SAID = {
    Severity.FATAL: Sentence("error"),
    Severity.WARNING: Sentence("warning"),
    Severity.NOTE: Sentence("note"),
}


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
            yield _of(_SAID[finding.severity], finding.text)
            yield from (Sentence("    {example}", example=one) for one in finding.examples[:shown])
            if len(finding.examples) > shown:
                yield Sentence("    and {count} more", count=len(finding.examples) - shown)

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
    # What the table shows; of the validation folder the number of pictures only.
    copied = {path for group in compared.copies for path in group}
    near = {path for group in compared.alike for path in group} - copied
    bad = {path for path in compared.labels if facts[path].problem}
    pictures, validated = _per_class(dataset), _per_class(validation)
    unreadable, small, copies, alike = (
        Counter(s.label for s in dataset.samples if s.path in marked)
        for marked in (bad, set(_small_ones(compared)), copied, near)
    )
    counts = tuple(
        ClassCount(label, pictures[n], validated[n], unreadable[n], small[n], copies[n], alike[n])
        for n, label in enumerate(dataset.labels)
    )
    return CheckResult(str(dataset.root), counts, tuple(found))


def _per_class(dataset: Dataset | None) -> Counter[int]:
    return Counter(sample.label for sample in dataset.samples) if dataset else Counter()


def _missing(compared: ComparedPictures) -> Iterator[Finding]:
    """Classes that nothing can be learned of, or measured on."""
    contents: dict[int, set[str]] = {n: set() for n in range(len(compared.dataset.labels))}
    for sample in readable(compared.dataset.samples, compared.facts):
        contents[sample.label].add(compared.facts[sample.path].sha256)
    for number, label in enumerate(compared.dataset.labels):
        if not contents[number]:
            text = Sentence("{label} has no picture that can be read", label=LabelText(label))
            yield Finding("no_readable", Severity.FATAL, text)
        elif len(contents[number]) < 2 and not compared.validation:
            text = Sentence(
                "{label} has no two pictures that differ: one is needed to measure on",
                label=LabelText(label),
            )
            yield Finding("too_few", Severity.FATAL, text)
    if not compared.validation:
        return
    seen = {sample.label for sample in readable(compared.validation.samples, compared.facts)}
    none = tuple(
        LabelText(label) for n, label in enumerate(compared.validation.labels) if n not in seen
    )
    if none:
        severity = Severity.WARNING if seen else Severity.FATAL
        text = Sentence(
            "{count} class has no picture to measure on in {folder}",
            "{count} classes have no picture to measure on in {folder}",
            count=len(none),
            folder=compared.validation.root,
        )
        yield Finding("not_measured", severity, text, none)


def _about_pictures(compared: ComparedPictures) -> Iterator[Finding]:
    """What is wrong with single pictures."""
    facts = {path: compared.facts[path] for path in compared.labels}
    bad = [path for path in facts if facts[path].problem]
    if bad:
        said = (_of(compared.place(path), facts[path].problem) for path in bad)
        text = Sentence(
            "{count} picture is left out, as unreadable",
            "{count} pictures are left out, as unreadable",
            count=len(bad),
        )
        yield Finding("unreadable", Severity.WARNING, text, tuple(sorted(said)))
    small = _small_ones(compared)
    if small:
        text = Sentence(
            "{count} picture is less than {least} px wide or high",
            "{count} pictures are less than {least} px wide or high",
            count=len(small),
            least=SMALL_PX,
        )
        said = (_of(compared.place(p), f"{facts[p].width} x {facts[p].height}") for p in small)
        yield Finding("small", Severity.WARNING, text, tuple(sorted(said)))
    noted = [path for path in facts if facts[path].note]
    if noted:
        text = Sentence(
            "{count} picture is used in part only",
            "{count} pictures are used in part only",
            count=len(noted),
        )
        said = (_of(compared.place(path), facts[path].note) for path in noted)
        yield Finding("partly", Severity.NOTE, text, tuple(sorted(said)))


def _across_folders(compared: ComparedPictures) -> Iterator[Finding]:
    """The same picture to learn from and to measure on, and in classes that contradict."""
    near = {path for group in compared.alike for path in group}
    every = (*compared.alike, *(group for group in compared.copies if not near.issuperset(group)))
    both = [group for group in every if len(compared.sides(group)) > 1]
    if both:
        text = Sentence(
            "the same picture, or nearly, to learn from and to measure on ({count} times): "
            "what is measured will flatter. Remove one of each",
            count=len(both),
        )
        yield Finding("leak", Severity.WARNING, text, _groups(compared, both))
    same = [group for group in compared.copies if len(compared.classes(group)) > 1]
    if same:
        text = Sentence(
            "{count} picture is in several classes: remove each from the wrong ones",
            "{count} pictures are in several classes: remove each from the wrong ones",
            count=len(same),
        )
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
        text = Sentence(
            "pictures that look alike in different classes ({count} times)", count=len(mixed)
        )
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
        text = Sentence(
            "{count} picture is there more than once: copies add nothing",
            "{count} pictures are there more than once: copies add nothing",
            count=len(copies),
        )
        yield Finding("copies", Severity.NOTE, text, _groups(compared, copies))
    near = [group for group in compared.alike if _in_one_class(compared, group)]
    if near:
        text = Sentence(
            "pictures that look alike ({count} times): a split keeps them together",
            count=len(near),
        )
        yield Finding("alike", Severity.NOTE, text, _groups(compared, near))
    labels = tuple(
        LabelText(compared.dataset.labels[number]) for number in sorted(compared.dominated_classes)
    )
    if labels:
        text = Sentence(
            "in {count} of the classes most pictures look alike, as before a camera that "
            "never moves: what is measured may flatter. Measure on another day's pictures, too",
            count=len(labels),
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
    labels = tuple(map(LabelText, compared.dataset.labels))
    few = tuple(_of(labels[n], counts[n]) for n in sorted(counts) if counts[n] < FEW)
    if few:
        text = Sentence(
            "{count} class has fewer than {few} pictures: measures are rough",
            "{count} classes have fewer than {few} pictures: measures are rough",
            count=len(few),
            few=FEW,
        )
        yield Finding("few", Severity.WARNING, text, few)
    if counts and max(counts.values()) > IMBALANCE * min(counts.values()):
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        text = Sentence(
            "{most} has {pictures} pictures, {least} {fewest}: more pictures of {least} help most",
            most=labels[most],
            pictures=counts[most],
            least=labels[least],
            fewest=counts[least],
        )
        yield Finding("imbalance", Severity.WARNING, text)


def _left_out(compared: ComparedPictures) -> Iterator[Finding]:
    counts = Counter(compared.dataset.left_out)
    if compared.validation:
        counts.update(compared.validation.left_out)
    if counts:
        kinds = ", ".join(sorted(counts.keys() & UNDECODED))
        severity = Severity.WARNING if kinds else Severity.NOTE
        text = Sentence(
            "{count} file is left out", "{count} files are left out", count=counts.total()
        )
        if kinds:
            text = Sentence(
                "{files}: {kinds} cannot be read here, convert them to JPEG",
                files=text,
                kinds=kinds,
            )
        said = tuple(
            Sentence("{count} {kind}", count=count, kind=kind)
            for kind, count in counts.most_common()
        )
        yield Finding("left_out", severity, text, said)


def _of(what: object, said: object) -> Sentence:
    return Sentence("{what}: {said}", what=what, said=said)


def _groups(compared: ComparedPictures, groups: Iterable[Group]) -> tuple[str, ...]:
    return tuple(sorted(map(compared.group, groups)))
