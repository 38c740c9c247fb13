"""A split that is fair, complete, and the same wherever and whenever it is made."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_classifier.dataset.facts import PictureFacts, fingerprint
from edge_classifier.dataset.folder import Dataset, Sample
from edge_classifier.dataset.split import split
from edge_classifier.errors import DatasetError

CLASSES = {0: 100, 1: 40, 2: 7}


def singles() -> tuple[list[Sample], dict[Path, str]]:
    """Pictures of three classes, each a group by itself."""
    samples = [
        Sample(Path(f"/data/{label}/{number}.jpg"), label)
        for label, size in CLASSES.items()
        for number in range(size)
    ]
    return samples, {sample.path: str(sample.path) for sample in samples}


def labels(samples: tuple[Sample, ...]) -> Counter[int]:
    return Counter(sample.label for sample in samples)


@pytest.mark.parametrize(
    ("share", "held"),
    [
        (0.2, {0: 20, 1: 8, 2: 1}),
        (0.5, {0: 50, 1: 20, 2: 4}),
        (0.02, {0: 2, 1: 1, 2: 1}),
        (0.98, {0: 98, 1: 39, 2: 6}),
    ],
)
def test_split_holds_out_the_share_of_every_class(share: float, held: dict[int, int]) -> None:
    samples, groups = singles()
    train, test = split(samples, groups, share, 0)
    assert labels(test) == held
    assert sorted(train + test, key=samples.index) == samples


def test_split_depends_on_the_seed_and_not_on_order_or_place() -> None:
    samples, groups = singles()
    _, test = split(samples, groups, 0.2, 0)
    shuffled = random.Random(1).sample(samples, len(samples))  # noqa: S311
    assert set(split(shuffled, groups, 0.2, 0)[1]) == set(test)
    assert set(split(samples, groups, 0.2, 1)[1]) != set(test)
    moved = [Sample(Path("/elsewhere") / s.path.name, s.label) for s in samples if s.label == 0]
    keys = {Path("/elsewhere") / s.path.name: groups[s.path] for s in samples if s.label == 0}
    names = {sample.path.name for sample in test if sample.label == 0}
    assert {sample.path.name for sample in split(moved, keys, 0.2, 0)[1]} == names


def test_split_of_a_grown_dataset_holds_out_nearly_the_same() -> None:
    samples, groups = singles()
    before = set(split(samples, groups, 0.2, 0)[1])
    more = [*samples, *(Sample(Path(f"/data/0/new{n}.jpg"), 0) for n in range(10))]
    after = set(split(more, groups | {s.path: str(s.path) for s in more}, 0.2, 0)[1])
    assert len(before - after) <= 2


@given(st.data())
def test_split_keeps_groups_whole_and_every_class_on_both_sides(data: st.DataObject) -> None:
    drawn = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 14)), min_size=2, max_size=40)
    # The label follows from the group here: what is the same picture has one label.
    pictures = [(group % 3, group) for _, group in data.draw(drawn)]
    distinct = Counter(label for label, _ in set(pictures))
    assume(min(distinct.values()) >= 2)
    samples = [Sample(Path(f"/{label}/{n}.jpg"), label) for n, (label, _) in enumerate(pictures)]
    groups = {s.path: str(group) for s, (_, group) in zip(samples, pictures, strict=True)}
    train, test = split(samples, groups, data.draw(st.floats(0.02, 0.9)), 0)
    assert labels(train).keys() == labels(test).keys() == distinct.keys()
    assert not {groups[s.path] for s in train} & {groups[s.path] for s in test}
    assert len(train) + len(test) == len(samples)


def test_split_keeps_a_picture_that_two_classes_have_on_one_side() -> None:
    samples, groups = singles()
    for number in range(7):
        groups[Path(f"/data/1/{number}.jpg")] = groups[Path(f"/data/2/{number}.jpg")]
    train, test = split(samples, groups, 0.3, 0)
    assert not {groups[s.path] for s in train} & {groups[s.path] for s in test}
    assert labels(train).keys() == labels(test).keys() == CLASSES.keys()


@pytest.mark.parametrize("sizes", [(5, 1), (5, 4)])
def test_split_of_a_class_without_two_distinct_pictures_names_it(sizes: tuple[int, int]) -> None:
    samples = [
        Sample(Path(f"/data/class{label}/{n}.jpg"), label)
        for label, size in enumerate(sizes)
        for n in range(size)
    ]
    groups = {s.path: "same" if s.label else str(s.path) for s in samples}
    with pytest.raises(DatasetError, match="/data/class1 has no two pictures that differ"):
        split(samples, groups, 0.2, 0)


def dataset(root: Path, *, labels: tuple[str, ...] = ("a", "b"), second: int = 1) -> Dataset:
    samples = (Sample(root / "a/1.jpg", 0), Sample(root / "b/2.jpg", second))
    return Dataset(root, labels, {}, samples)


def contents(*samples: Sample, sha256: str = "0") -> dict[Path, PictureFacts]:
    return {s.path: PictureFacts(9, 9, sha256 + s.path.name, 0) for s in samples}


def test_fingerprint_changes_with_the_data_and_with_nothing_else() -> None:
    here = dataset(Path("/here"))
    expected = fingerprint(here, contents(*here.samples))
    there = dataset(Path("/there"))
    assert fingerprint(there, contents(*there.samples)) == expected
    backwards = Dataset(here.root, here.labels, {"zh": ("1", "2")}, here.samples[::-1])
    assert fingerprint(backwards, contents(*here.samples)) == expected
    others = [
        fingerprint(here, contents(*here.samples, sha256="1")),
        fingerprint(dataset(Path("/here"), second=0), contents(*here.samples)),
        fingerprint(dataset(Path("/here"), labels=("a", "c")), contents(*here.samples)),
        fingerprint(Dataset(here.root, here.labels, {}, here.samples[:1]), contents(*here.samples)),
    ]
    assert len({expected, *others}) == 5
