"""The tree above ImageNet's thousand classes: whole, right, and in both embedded models."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

import edge_classifier
from edge_classifier.core.labels.labels import display_names
from edge_classifier.core.labels.taxonomy import Taxonomy
from edge_classifier.core.labels.taxonomy_file import parse_taxonomy, taxonomy_text
from edge_classifier.model_loading import ModelChoice, load_model

MODELS = Path(edge_classifier.__file__).parent.parent / "models"
EMBEDDED = ("efficientnet-lite0", "mobilenet-v2-int8")
TEXT = (MODELS / "imagenet_taxonomy.tsv").read_text("utf-8")


def rows() -> list[dict[str, str]]:
    with (MODELS / "imagenet_labels.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


LABELS = tuple(row["en"] for row in rows())
TAXONOMY = parse_taxonomy(TEXT, LABELS)


def path(taxonomy: Taxonomy, label: str) -> str:
    line = taxonomy.line(taxonomy.class_nodes[LABELS.index(label)])
    return " ".join(taxonomy.nodes[at].name for at in line)


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_model_has_the_tree_that_is_reviewed(name: str) -> None:
    contract = load_model(ModelChoice(name)).resolved.contract

    assert contract.labels == LABELS
    assert contract.taxonomy == TAXONOMY
    assert display_names(contract, "zh") == tuple(row["zh"] for row in rows())


def test_text_below_its_comments_is_as_it_is_written_into_a_model() -> None:
    text = "".join(line for line in TEXT.splitlines(keepends=True) if not line.startswith("#"))
    assert text == taxonomy_text(TAXONOMY, LABELS)


def test_each_class_has_a_line_and_the_synset_whose_order_is_that_of_the_classes() -> None:
    assert all(re.fullmatch("n[0-9]{8}", id_) for id_ in TAXONOMY.ids)
    # ImageNet numbers its classes in the order of their synsets.
    assert list(TAXONOMY.ids) == sorted(set(TAXONOMY.ids))


def test_node_is_called_in_chinese_what_nothing_else_is_called() -> None:
    names = [node.names["zh"] for node in TAXONOMY.nodes] + [row["zh"] for row in rows()]
    # `crane` and such are two things in English only.
    assert [name for name, count in Counter(names).items() if count > 1] == []


def test_what_is_said_alone_is_small_enough_to_say_something() -> None:
    below = list(zip(TAXONOMY.nodes, TAXONOMY.classes_below(), strict=True))
    assert [node.name for node in TAXONOMY.nodes if not node.spoken] == ["animal", "mammal"]
    # 2.9 bits of the ten that name a class.
    assert max(count for node, count in below if node.spoken) <= 134
    assert min(count for _, count in below) >= 2


@pytest.mark.parametrize(
    ("label", "above"),
    [
        ("tench", "animal fish"),
        ("great grey owl", "animal bird bird of prey"),
        ("green mamba", "animal reptile snake"),
        ("black widow", "animal arachnid spider"),
        ("monarch", "animal insect butterfly"),
        ("English springer", "animal mammal canine dog spaniel"),
        ("tabby", "animal mammal feline cat"),
        ("tiger", "animal mammal feline big cat"),
        ("giant panda", "animal mammal"),
        ("zebra", "animal mammal hoofed animal horse-like animal"),
        ("cab", "vehicle motor vehicle car"),
        ("garbage truck", "vehicle motor vehicle truck"),
        ("school bus", "vehicle motor vehicle bus"),
        ("mountain bike", "vehicle bicycle"),
        ("airliner", "vehicle aircraft airplane"),
        ("bullet train", "vehicle rail vehicle train"),
        ("yawl", "vehicle boat sailing boat"),
        ("church", "structure building place of worship"),
        ("rocking chair", "furniture seat chair"),
        ("laptop", "electronics computer equipment computer"),
        ("cellular telephone", "electronics phone"),
        ("chain saw", "tool"),
        ("French horn", "musical instrument wind instrument"),
        ("golf ball", "sports equipment ball"),
        ("water bottle", "container bottle"),
        ("jean", "clothing"),
        ("banana", "food fruit"),
        ("broccoli", "food vegetable"),
        ("espresso", "drink"),
        ("daisy", "plant flower"),
        ("mushroom", "fungus"),
        ("trilobite", ""),
        ("groom", ""),
    ],
)
def test_class_stands_below_the_names_that_people_have_for_it(label: str, above: str) -> None:
    assert path(TAXONOMY, label) == above
