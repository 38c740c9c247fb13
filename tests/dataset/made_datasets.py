"""Datasets that are made up, and facts of pictures that nobody has."""

from pathlib import Path

from edge_classifier.core.sentence import Sentence
from edge_classifier.dataset.check import CheckResult, check_dataset
from edge_classifier.dataset.facts import PictureFacts
from edge_classifier.dataset.folder import Dataset, Sample

ROOT, THERE = Path("/data"), Path("/val")
HASH = 0xF0F0_A5A5_C3C3_9696


def facts_of(number: int) -> PictureFacts:
    """A picture like no other."""
    return PictureFacts(200, 100, f"{number:064}", HASH * (2 * number + 1) % 2**64)


def dataset(root: Path = ROOT, **sizes: int) -> Dataset:
    """Classes of so many pictures each."""
    labels = tuple(sizes)
    samples = tuple(
        Sample(root / label / f"{number}.jpg", labels.index(label))
        for label, size in sizes.items()
        for number in range(size)
    )
    return Dataset(root, labels, {}, samples)


def examined(*datasets: Dataset) -> dict[Path, PictureFacts]:
    """Facts of all their pictures, of which none is like another."""
    paths = [sample.path for each in datasets for sample in each.samples]
    return {path: facts_of(number) for number, path in enumerate(paths)}


def checked_with_every_finding() -> tuple[CheckResult, CheckResult]:
    """Of a dataset by itself, and of one with a validation folder."""
    alone = dataset(cat=400, dog=30, owl=2, yak=1)
    facts = examined(alone) | {
        ROOT / "cat/1.jpg": PictureFacts(0, 0, "", 0, Sentence("is empty")),
        ROOT / "cat/2.jpg": PictureFacts(31, 90, "small", 1),
        ROOT / "cat/3.jpg": facts_of(4),
        ROOT / "cat/5.jpg": facts_of(405),
        ROOT / "cat/6.jpg": PictureFacts(99, 99, "near", facts_of(7).hash ^ 9),
        ROOT / "cat/8.jpg": PictureFacts(99, 99, "across", facts_of(408).hash ^ 9),
        ROOT / "cat/9.jpg": PictureFacts(
            99, 99, "moving", 1, "", Sentence("animated: the first of {frames} frames", frames=3)
        ),
        ROOT / "yak/0.jpg": PictureFacts(0, 0, "", 0, Sentence("is empty")),
    }
    facts |= {
        ROOT / f"dog/{n}.jpg": PictureFacts(99, 99, f"dog{n}", HASH ^ n) for n in range(10, 30)
    }
    facts[ROOT / "owl/1.jpg"] = facts[ROOT / "owl/0.jpg"]
    left_out = {".dng": 9, Sentence("without suffix"): 1, Sentence("in {folder}", folder="u/"): 1}
    alone = Dataset(ROOT, alone.labels, {}, alone.samples, left_out=left_out)
    learned, measured = dataset(cat=30, dog=30), dataset(THERE, cat=5)
    measured = Dataset(THERE, learned.labels, {}, measured.samples)
    both = examined(learned, measured) | {THERE / "cat/0.jpg": facts_of(7)}
    return check_dataset(alone, facts), check_dataset(learned, both, measured)
