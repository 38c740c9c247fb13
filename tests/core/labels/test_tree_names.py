"""A picture's answer in a tree of names."""

import numpy as np
import pytest

from edge_classifier.core.contract import Contract
from edge_classifier.core.labels.taxonomy_file import parse_taxonomy
from edge_classifier.core.labels.tree_names import TreeNames
from edge_classifier.core.scores import Prediction

LABELS = ("tabby", "Siamese cat", "beagle", "vase", "lion")
TEXT = """name,parent,id,spoken,zh
animal,,,no,动物
feline,animal,,,猫科动物
cat,feline,n02121808,,猫
dog,animal,,,狗
tabby,cat,n02123045
Siamese cat,cat,n02123597
lion,feline
beagle,dog
"""
CONTRACT = Contract(8, 8).with_labels(
    LABELS, {"zh": ("虎斑猫", "暹罗猫", "比格犬", "花瓶", "狮子")}, parse_taxonomy(TEXT, LABELS)
)


def said(*scores: float, threshold: float = 0.6, language: str = "en") -> str | None:
    names = TreeNames(CONTRACT, language)
    found = names.most_specific(np.array(scores, np.float32), threshold)
    return f"{found.label} {found.score:.2f}" if found else None


@pytest.mark.parametrize(
    ("scores", "name"),
    [
        ((0.9, 0.0, 0.1, 0.0, 0.0), "tabby 0.90"),
        ((0.5, 0.4, 0.1, 0.0, 0.0), "cat 0.90"),
        # Is it a cat? Of the feline that it is, too much speaks for a lion.
        ((0.4, 0.35, 0.1, 0.0, 0.1), "feline 0.85"),
        ((0.4, 0.1, 0.1, 0.0, 0.4), "feline 0.90"),
        # As sure as it gets of a cat, and not of which.
        ((0.6, 0.4, 0.0, 0.0, 0.0), "cat 1.00"),
        ((0.7, 0.0, 0.1, 0.0, 0.03), "tabby 0.70"),
        # Nothing stands above a vase.
        ((0.0, 0.2, 0.1, 0.7, 0.0), "vase 0.70"),
        # All that is left is an animal, which is never said alone.
        ((0.3, 0.1, 0.5, 0.1, 0.0), None),
        ((0.2, 0.1, 0.1, 0.5, 0.1), None),
        ((0.0, 0.0, 0.0, 1.0, 0.0), "vase 1.00"),
        # Rounded scores may add up to more than one.
        ((0.55, 0.55, 0.0, 0.0, 0.0), "cat 1.00"),
    ],
)
def test_most_specific_name_that_reaches_the_threshold_is_said(
    scores: tuple[float, ...], name: str | None
) -> None:
    assert said(*scores) == name


def test_of_two_that_reach_a_low_threshold_the_better_is_said() -> None:
    # The beagle is the best single class, and it is rather a cat.
    assert said(0.28, 0.22, 0.4, 0.0, 0.0, threshold=0.3) == "cat 0.50"


def test_scores_that_are_no_numbers_say_nothing() -> None:
    assert said(*[float("nan")] * 5) is None


def test_name_is_told_with_its_id_and_its_path_in_the_language() -> None:
    scores = np.array([0.55, 0.42, 0.0, 0.0, 0.03], np.float32)
    english = TreeNames(CONTRACT, "en").most_specific(scores, 0.6)
    chinese = TreeNames(CONTRACT, "zh").most_specific(scores, 0.6)

    assert english is not None
    assert english[:2] == ("cat", None)
    assert english[3:] == ("n02121808", ("animal", "feline", "cat"))
    assert chinese is not None
    assert chinese.path == ("动物", "猫科动物", "猫")


def test_class_is_described_by_its_id_and_path() -> None:
    names = TreeNames(CONTRACT, "en")

    assert names.described(Prediction("tabby", 0, 0.5)) == Prediction(
        "tabby", 0, 0.5, "n02123045", ("animal", "feline", "cat", "tabby")
    )
    assert names.described(Prediction("vase", 3, 0.5)).path == ("vase",)
    unknown = Prediction("unknown", None, 0.5)
    assert names.described(unknown) == unknown


def test_model_without_a_tree_has_its_labels_alone() -> None:
    names = TreeNames(CONTRACT.with_labels(LABELS), "en")

    vase = Prediction("vase", 3, 0.5)
    assert names.described(vase) == vase
    assert names.most_specific(np.array([0.5, 0.4, 0, 0, 0.1], np.float32), 0.6) is None
