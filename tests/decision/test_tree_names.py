"""Settings name nodes as they name labels: what becomes of the tree."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_classifier.config.settings import DecisionSettings, Thresholds
from edge_classifier.core.labels.taxonomy import Taxonomy, TaxonomyNode
from edge_classifier.decision.label_map import LabelMap, label_map
from edge_classifier.decision.name_lines import UnknownLabelsError
from tests.decision.made_scores import PET_TREE, PETS

# Of tabby, Siamese, beagle, pug and car.
SCORES = np.array([0.25, 0.125, 0.0625, 0.03125, 0.5], np.float32)
SILENT_ANIMAL = replace(PET_TREE, nodes=(TaxonomyNode("animal", spoken=False), *PET_TREE.nodes[1:]))


def mapped(taxonomy: Taxonomy = PET_TREE, **settings: Any) -> LabelMap:
    return label_map(PETS, DecisionSettings(**settings), taxonomy)


def told(labels: LabelMap) -> dict[str, float]:
    """Each label's path, with its score."""
    totals = labels.tree.totals(labels.reduce(SCORES)).tolist()
    return {
        " > ".join(path): total
        for path, total in zip(labels.paths, totals[: len(labels.labels)], strict=True)
    }


CATS = {"animal > cat > tabby": 0.25, "animal > cat > Siamese": 0.125}
DOGS = {"animal > dog > beagle": 0.0625, "animal > dog > pug": 0.03125}
NODES = {"animal > cat": 0.375, "animal > dog": 0.09375, "animal": 0.46875}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, CATS | DOGS | {"car": 0.5} | NODES),
        # A node that is ignored takes all below it along.
        ({"ignore": ("Dog",)}, CATS | {"car": 0.5, "animal > cat": 0.375, "animal": 0.375}),
        ({"ignore": ("animal",)}, {"car": 0.5}),
        # The setting that is nearest to a class counts.
        ({"ignore": ("animal",), "groups": {"hound": ("beagle",)}},
         {"hound": 0.0625, "car": 0.5}),
        ({"groups": {"pet": ("animal",)}, "ignore": ("cat",)}, {"pet": 0.09375, "car": 0.5}),
        # An alias renames a node, and nothing else.
        ({"aliases": {"cat": "puss", "tabby": "Tom"}},
         {"animal > puss > Tom": 0.25, "animal > puss > Siamese": 0.125} | DOGS
         | {"car": 0.5, "animal > puss": 0.375, "animal > dog": 0.09375, "animal": 0.46875}),
        # A label that is renamed to a node counts as that.
        ({"aliases": {"tabby": "cat"}},
         {"animal > cat": 0.375, "animal > cat > Siamese": 0.125} | DOGS
         | {"car": 0.5, "animal > dog": 0.09375, "animal": 0.46875}),
        # A group stands below what its members have in common.
        ({"groups": {"pet": ("cat", "dog")}},
         {"animal > pet": 0.46875, "car": 0.5, "animal": 0.46875}),
        ({"groups": {"mine": ("tabby", "pug")}},
         {"animal > mine": 0.28125, "animal > cat > Siamese": 0.125,
          "animal > dog > beagle": 0.0625, "car": 0.5, "animal": 0.46875,
          "animal > cat": 0.125, "animal > dog": 0.0625}),
        ({"groups": {"what moves": ("dog", "car")}},
         CATS | {"what moves": 0.59375, "animal > cat": 0.375, "animal": 0.375}),
        # Only these are said: what is below them counts as them, what is not has no name.
        ({"only": ("cat", "DOG")}, {"animal > cat": 0.375, "animal > dog": 0.09375}),
        ({"only": ("animal", "tabby")}, {"animal > cat > tabby": 0.25, "animal": 0.46875}),
        ({"only": ("pet", "car"), "groups": {"pet": ("cat", "dog")}},
         {"animal > pet": 0.46875, "car": 0.5}),
        ({"only": ("puss",), "aliases": {"cat": "puss"}}, {"animal > puss": 0.375}),
        ({"only": ("dog",), "aliases": {"pug": "animal"}}, {"animal > dog": 0.0625}),
    ],
)  # fmt: skip
def test_label_map_settings_take_names_of_nodes(
    settings: Mapping[str, Any], expected: dict[str, float]
) -> None:
    labels = mapped(**settings)
    assert told(labels) == expected
    assert {*labels.labels} == {path.split(" > ")[-1] for path in expected}


def test_label_map_the_rest_of_only_is_one_competitor_and_what_is_ignored_is_none() -> None:
    assert mapped(only=("cat",)).reduce(SCORES).tolist() == [0.375, 0.59375]
    assert mapped(only=("cat",), ignore=("car",)).reduce(SCORES).tolist() == [0.375, 0.09375]
    plain = label_map(PETS, DecisionSettings(only=("car", "tabby")))
    assert plain.labels == ("tabby", "car")
    assert plain.reduce(SCORES).tolist() == [0.25, 0.5, 0.21875]


def test_label_map_nodes_that_are_never_said_stand_in_the_path_alone() -> None:
    labels = mapped(SILENT_ANIMAL)
    assert "animal" not in labels.labels
    assert labels.path("tabby") == ("animal", "cat", "tabby")
    assert labels.path("dog") == ("animal", "dog")


@pytest.mark.parametrize(
    "settings",
    [
        {"only": ("animal", "car")},
        {"labels": {"animal": Thresholds(enter=0.9)}},
        {"aliases": {"animal": "a beast"}},
        {"groups": {"animal": ("cat", "dog")}},
    ],
)
def test_label_map_nodes_that_are_never_said_are_if_the_settings_ask_for_them(
    settings: Mapping[str, Any],
) -> None:
    assert {"animal", "a beast"} & {*mapped(SILENT_ANIMAL, **settings).labels}


def test_label_map_a_name_that_is_in_two_branches_stands_above_both() -> None:
    classes = ("crane", "owl", "crane", "truck")
    nodes = (TaxonomyNode("bird"), TaxonomyNode("vehicle"))
    labels = label_map(classes, DecisionSettings(), Taxonomy(nodes, (0, 0, 1, 1)))
    assert labels.path("crane") == ("crane",)
    own = labels.reduce(np.array([0.5, 0.125, 0.25, 0.0625], np.float32))
    totals = dict(zip(labels.labels, labels.tree.totals(own).tolist(), strict=True))
    assert totals == {
        "crane": 0.75, "owl": 0.125, "truck": 0.0625, "bird": 0.125, "vehicle": 0.0625
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"ignore": ("cats",)}, "ignore: 'cats' is no label of this model; similar: 'cat'"),
        ({"groups": {"pet": ("anmal",)}},
         "groups.pet: 'anmal' is no label of this model; similar: 'animal'"),
        ({"only": ("dogs",)}, "only: 'dogs': no such label; similar: 'dog'"),
        ({"only": ("cat",), "ignore": ("animal",)},
         "only: 'cat': it is ignored, or counts as another label"),
        ({"only": ("cat",), "labels": {"tabby": Thresholds()}},
         "labels.tabby: it is ignored, or counts as another label"),
        ({"labels": {"cat": Thresholds()}, "groups": {"pet": ("cat", "dog")}},
         "labels.cat: it is ignored, or counts as another label"),
        ({"ignore": ("cat",), "aliases": {"Cat": "puss"}}, "aliases: 'Cat' is ignored already"),
        ({"ignore": ("animal", "car")}, "ignore: no label is left to decide on"),
    ],
)  # fmt: skip
def test_label_map_a_setting_for_names_that_are_not_there_is_named(
    settings: Mapping[str, Any], problem: str
) -> None:
    with pytest.raises(UnknownLabelsError) as caught:
        mapped(**settings)
    assert caught.value.problems == (problem,)
