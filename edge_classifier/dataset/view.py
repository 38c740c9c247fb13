"""A dataset, and the validation folder beside it, as every check looks at them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_classifier.dataset.alike import ALIKE_BITS, alike, crowded, members
from edge_classifier.dataset.facts import PictureFacts, readable
from edge_classifier.dataset.folder import Dataset, Sample

_SHOWN_OF_GROUP = 4

Group = tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What every check looks at."""

    dataset: Dataset
    validation: Dataset | None
    facts: Mapping[Path, PictureFacts]
    # Of both folders.
    samples: tuple[Sample, ...]
    labels: Mapping[Path, int]
    # Groups of the same bytes.
    copies: tuple[Group, ...]
    # Groups in which not all are copies of one another.
    alike: tuple[Group, ...]
    # Classes most of whose pictures look alike.
    crowded: frozenset[int]

    def is_measured(self, path: Path) -> bool:
        """Whether a picture lies in the validation folder."""
        return self.validation is not None and path.is_relative_to(self.validation.root)

    def place(self, path: Path) -> str:
        """What a picture is called."""
        if self.validation and self.is_measured(path):
            return f"{self.validation.root.name}/{self.validation.place(path)}"
        return self.dataset.place(path)

    def sides(self, paths: Group) -> set[bool]:
        """Whether there are pictures of either folder."""
        return {self.is_measured(path) for path in paths}

    def classes(self, paths: Group) -> set[int]:
        """The labels of pictures."""
        return {self.labels[path] for path in paths}

    def group(self, paths: Group) -> str:
        """Pictures that belong together, those to learn from first."""
        ordered = sorted(paths, key=lambda path: (self.is_measured(path), self.place(path)))
        shown = " = ".join(map(self.place, ordered[:_SHOWN_OF_GROUP]))
        more = len(paths) - _SHOWN_OF_GROUP
        return f"{shown} and {more} more" if more > 0 else shown


def look(dataset: Dataset, facts: Mapping[Path, PictureFacts], validation: Dataset | None) -> View:
    """Compare all pictures of both folders."""
    samples = dataset.samples + (validation.samples if validation else ())
    paths = [sample.path for sample in readable(samples, facts)]
    groups = alike(paths, facts, ALIKE_BITS)
    near = [g for g in members(groups) if len({facts[path].sha256 for path in g}) > 1]
    to_learn = readable(dataset.samples, facts)
    crowd = crowded(to_learn, groups)
    return View(
        dataset=dataset,
        validation=validation,
        facts=facts,
        samples=samples,
        labels={sample.path: sample.label for sample in samples},
        copies=tuple(members(alike(paths, facts, -1))),
        alike=tuple(near),
        crowded=frozenset(s.label for s in to_learn if groups[s.path] in crowd),
    )
