"""Taxonomies as people write them: read as they are meant, or refused with the line."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.core.labels.taxonomy import NO_TAXONOMY, Taxonomy
from edge_classifier.core.labels.taxonomy_file import (
    DEEPEST,
    MOST_NODES,
    TaxonomyFormatError,
    parse_taxonomy,
    taxonomy_text,
)

LABELS = ("tabby", "Siamese cat", "beagle", "kite", "tea, green")
TEXT = """\
name\tparent\tid\tspoken\tzh
# Whatever breathes.
animal\t\t\tno\t动物
cat\tanimal\t\t\t猫
dog\tanimal\t\tyes\t狗

tabby\tcat\tn02123045
siamese cat\tcat
beagle\tdog
kite\t\tn01608432
"""


def problems_of(text: str, labels: tuple[str, ...] = LABELS) -> list[str]:
    with pytest.raises(TaxonomyFormatError) as caught:
        parse_taxonomy(text, labels)
    return caught.value.problems


def names(taxonomy: Taxonomy, *positions: int | None) -> list[list[str]]:
    return [[taxonomy.nodes[at].name for at in taxonomy.line(one)] for one in positions]


def test_every_class_gets_its_line_of_names_and_its_id() -> None:
    taxonomy = parse_taxonomy(TEXT, LABELS)

    assert names(taxonomy, *taxonomy.class_nodes) == [
        ["animal", "cat"],
        ["animal", "cat"],
        ["animal", "dog"],
        [],
        [],
    ]
    assert taxonomy.ids == ("n02123045", "", "", "n01608432", "")
    assert [node.spoken for node in taxonomy.nodes] == [False, True, True]
    assert [node.names for node in taxonomy.nodes] == [{"zh": "动物"}, {"zh": "猫"}, {"zh": "狗"}]
    assert taxonomy.classes_below() == (3, 2, 1)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("\n", "\r\n"),
        "\ufeff" + TEXT,
        TEXT.replace("\t", ","),
        TEXT.replace("\tcat", "\t  cat  ").replace("siamese cat", "siamese   cat"),
        TEXT.replace("tabby", '"tabby"'),
    ],
)
def test_text_is_read_alike_however_editors_and_spreadsheets_save_it(text: str) -> None:
    assert parse_taxonomy(text, LABELS) == parse_taxonomy(TEXT, LABELS)


def test_label_with_a_comma_in_it_is_a_cell_in_quotes() -> None:
    taxonomy = parse_taxonomy('name,parent\ndrink,\n"tea, green",drink\n', LABELS)

    assert names(taxonomy, taxonomy.class_nodes[-1]) == [["drink"]]


def test_line_of_a_label_that_the_model_has_twice_is_for_both_classes() -> None:
    taxonomy = parse_taxonomy("name\tparent\nbird\t\ncrane\tbird", ("crane", "kite", "crane"))

    assert taxonomy.class_nodes == (0, None, 0)


def test_labels_that_differ_in_case_alone_are_told_apart() -> None:
    text = "name\tparent\nbird\t\nmachine\t\ncrane\tbird\nCrane\tmachine\nCRANE\tbird"
    assert parse_taxonomy(text.rpartition("\n")[0], ("crane", "Crane")).class_nodes == (0, 1)
    (problem,) = problems_of(text, ("crane", "Crane"))
    assert problem.startswith("line 6: crane is on line 4")


def test_nodes_stand_after_those_above_them_in_whatever_order_they_are_written() -> None:
    head, *lines = TEXT.splitlines()
    expected = parse_taxonomy(TEXT, LABELS)
    for seed in range(20):
        random.Random(seed).shuffle(lines)  # noqa: S311 (no secret)
        taxonomy = parse_taxonomy("\n".join([head, *lines]), LABELS)
        for at, node in enumerate(taxonomy.nodes):
            assert node.parent is None or node.parent < at
        assert names(taxonomy, *taxonomy.class_nodes) == names(expected, *expected.class_nodes)


@pytest.mark.parametrize("text", ["name\tparent\n", "name,parent", "name\tparent\tzh\n# Nothing"])
def test_text_without_lines_is_no_tree(text: str) -> None:
    taxonomy = parse_taxonomy(text, LABELS)

    assert (taxonomy.nodes, set(taxonomy.class_nodes)) == ((), {None})


@pytest.mark.parametrize("text", [TEXT, "name\tparent\n", TEXT.replace("tabby", "tea, green")])
def test_text_that_is_written_is_read_as_the_same_taxonomy(text: str) -> None:
    taxonomy = parse_taxonomy(text, LABELS)
    written = taxonomy_text(taxonomy, LABELS)

    assert parse_taxonomy(written, LABELS) == taxonomy
    assert taxonomy_text(parse_taxonomy(written, LABELS), LABELS) == written


HEAD = "name\tparent\tid\tspoken\tzh\n"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("cat\tanimal\ntabby\tcat", "line 2: animal, above cat, is not the name of a node"),
        ("cat\t\ntabby\tCat", "line 3: Cat, above tabby, is not the name of a node"),
        ("cat\t\ntaby\tcat", "line 3: taby is no label of this model, and nothing stands below it"),
        ("tabby\t\nbeagle\ttabby", "line 3: tabby, above beagle, is a label, and no node"),
        ("TABBY\t\nbeagle\tTABBY", "line 3: TABBY, above beagle, is a label, and no node"),
        ("cat\tcat\ntabby\tcat", "line 2: cat stands above itself"),
        ("a\tb\nb\tc\nc\ta\ntabby\ta", "line 2: a stands above itself"),
        ("cat\t\ncat\t\ntabby\tcat", "line 3: cat is on line 2 already"),
        ("cat\t\ntabby\tcat\ntabby\tcat", "line 4: tabby is on line 3 already"),
        ("unknown\t\ntabby\tunknown", "line 2: no node can be called unknown"),
        ("Background\t\ntabby\tBackground", "line 2: no node can be called Background"),
        ("cat\t\t\t\t未知\ntabby\tcat", "line 2: no node can be called 未知"),
        ("cat\t\nCat\t\ntabby\tcat\nkite\tCat", "line 3: Cat is what cat is called already"),
        (
            "cat\t\t\t\t猫\ndog\t\t\t\t猫\ntabby\tcat\nbeagle\tdog",
            "line 3: 猫 is what cat is called already",
        ),
        ("ca\x1bt\t\ntabby\tca\x1bt", "line 2 has a name that cannot be printed"),
        ("cat\t\t\t\t\u202e猫\ntabby\tcat", "line 2 has a name that cannot be printed"),
        ("\tcat\ncat\t\ntabby\tcat", "line 2 has no name"),
        ("cat\t\t\tmaybe\ntabby\tcat", "line 2: spoken is maybe; yes or no is expected"),
        ("cat\t\t\t\t猫\tchat\ntabby\tcat", "line 2 has 6 cells for 5 columns"),
        (
            "cat\t\ntabby\tcat\t\t\t虎斑猫",
            "line 3: tabby is a label, whose names are in the model's contract",
        ),
    ],
)
def test_text_that_cannot_be_right_is_refused_with_its_line(lines: str, problem: str) -> None:
    assert problem in problems_of(HEAD + lines)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "its first line is not"),
        ("cat\tanimal\n", "its first line is not"),
        ("name parent\ncat animal\n", "its first line is not"),
        ("name\tparent\tname\n", "line 1: columns are"),
        ("name\tparent\tchinese name\n", "line 1: columns are"),
        ('name\tparent\n"cat\t\n\ntabby"\tcat\n', "quotation mark"),
        ('name\tparent\n"cat\t\n\ntabby\tcat\n', "not a table"),
        ('name\tparent\n"ca"t\t\ntabby\tcat\n', "not a table"),
    ],
)
def test_text_that_is_no_table_of_this_kind_says_what_is_expected(text: str, problem: str) -> None:
    assert problem in problems_of(text)[0]


def test_everything_that_is_wrong_is_told_at_once_up_to_a_number() -> None:
    assert len(problems_of("name\tparent\na\tb\nc\td\ntabby\te")) == 5
    assert len(problems_of("name\tparent\n" + "".join(f"n{i}\tx{i}\n" for i in range(99)))) == 20


def test_taxonomy_has_bounds_in_names_numbers_and_depth() -> None:
    long = problems_of(f"name\tparent\n{'a' * 201}\t\ntabby\t{'a' * 201}")
    assert "200 are allowed" in long[0]
    many = "".join(f"n{i}\t{f'n{i - 1}' if i % 5 else ''}\n" for i in range(MOST_NODES + 1))
    assert f"up to {MOST_NODES} are allowed" in problems_of(f"name\tparent\n{many}")[0]
    chain = "".join(f"n{i}\t{f'n{i - 1}' if i else ''}\n" for i in range(DEEPEST + 2))
    assert problems_of(f"name\tparent\n{chain}tabby\tn{DEEPEST + 1}") == [
        f"line {DEEPEST + 3}: n{DEEPEST + 1} has more than {DEEPEST} nodes above it"
    ]
    deepest = "".join(f"n{i}\t{f'n{i - 1}' if i else ''}\n" for i in range(DEEPEST + 1))
    taxonomy = parse_taxonomy(f"name\tparent\n{deepest}tabby\tn{DEEPEST}", LABELS)
    assert len(taxonomy.line(taxonomy.class_nodes[0])) == DEEPEST + 1


@given(
    st.lists(
        st.tuples(*[st.sampled_from(["a", "b", "c", "tabby", "beagle", "", "no", "\x00"])] * 5),
        max_size=8,
    ),
    st.text(alphabet=list('ab,\t"\n#\r'), max_size=20),
)
def test_any_text_is_read_as_a_sound_tree_or_refused_in_few_words(
    rows: list[tuple[str, ...]], rest: str
) -> None:
    text = HEAD + "\n".join("\t".join(row) for row in rows) + rest
    try:
        taxonomy = parse_taxonomy(text, LABELS)
    except TaxonomyFormatError:
        assert 0 < len(problems_of(text)) <= 20
        return
    assert all(node.parent is None or node.parent < at for at, node in enumerate(taxonomy.nodes))
    assert len(taxonomy.class_nodes) == len(taxonomy.ids) == len(LABELS)
    assert parse_taxonomy(taxonomy_text(taxonomy, LABELS), LABELS) == taxonomy


@pytest.mark.parametrize(
    "text",
    [
        "name,parent\n" + "x," * 100_000,
        "name,parent," + "y" * 100_000,
        "name,parent\n" + "z" * 100_000 + ",b\nb,\n",
        "name,parent\n" + "".join(f"n{i},n{i + 1}\n" for i in range(10_000)),
    ],
)
def test_message_about_a_large_text_is_short(text: str) -> None:
    assert len("; ".join(problems_of(text))) < 20_000


def test_no_taxonomy_is_empty() -> None:
    assert (NO_TAXONOMY.nodes, NO_TAXONOMY.class_nodes, NO_TAXONOMY.ids) == ((), (), ())
    assert NO_TAXONOMY.line(None) == ()
