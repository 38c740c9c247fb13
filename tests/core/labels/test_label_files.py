"""Label files as found in the wild: read at the right outputs, or refused with the line."""

import json
import random

import pytest

from edge_classifier.core.labels.label_files import LabelFormatError, read_label_file

THREE = ("cat", "dog", "bird")


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\nbird\n",
        "  cat \n\tdog\n bird",
        "cat\r\ndog\r\nbird\r\n\r\n",
        "cat\rdog\rbird",
        "0 cat\n1 dog\n2 bird\n",
        "1 dog\n0 cat\n2 bird\n",
        "0: cat\n1: dog\n2: bird\n",
        "0:cat\n1:dog\n2:bird",
        "2,bird\n0,cat\n1,dog\n",
        "0;cat\n1;dog\n2;bird",
        "0\tcat\n1\tdog\n2\tbird\n",
        "00 cat\n01 dog\n02 bird\n",
        "0. cat\n1. dog\n2. bird\n",
        "0) cat\n1) dog\n2) bird\n",
        "0 - cat\n1 - dog\n2 - bird\n",
        "0=cat\n1=dog\n2=bird\n",
        "0\uff1acat\n1\uff1adog\n2\uff1abird\n",
        "\n0 cat\n\n2 bird\n1 dog\n",
        "bird,2\ncat,0\ndog,1\n",
        '0,"cat"\n1,dog\n2,bird',
        '["cat", "dog", "bird"]',
        '{"2": "bird", "0": "cat", "1": "dog"}',
        '{"cat": 0, "bird": 2, "dog": 1}',
        '{"0": ["n1", "cat"], "1": ["n2", "dog"], "2": ["n3", "bird"]}',
        '{"id2label": {"1": "dog", "0": "cat", "2": "bird"}, "hidden_size": 7}',
        '{"modelName": "m", "labels": ["cat", "dog", "bird"]}',
        "item {\n id: 1\n name: 'dog'\n}\nitem { id: 0 name: \"cat\" }\nitem {id: 2, name: 'bird'}",
        """# made by hand
        item { name: '/m/1' id: 0 display_name: 'cat' }
        item { id: 1 display_name: 'dog' }
        item { id: 2 name: 'bird' }""",
    ],
)
def test_labels_are_read_at_their_outputs_in_every_form(text: str) -> None:
    found = read_label_file(text.encode())

    assert found.labels == THREE
    assert found.first == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encoding_with_a_byte_order_mark_is_understood(encoding: str) -> None:
    assert read_label_file("Käse\r\n猫\r\n".encode(encoding)).labels == ("Käse", "猫")


@pytest.mark.parametrize("sign", ["\x85", "\x0b", "\x0c", "\x1c", "\u2028", "\u2029"])
def test_only_line_ends_end_a_line(sign: str) -> None:
    """Python's own splitting would make one label more of it, and shift those after it."""
    assert read_label_file(f"great{sign}shark\ndog\n".encode()).labels == ("great shark", "dog")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("0\n1\n2\n", ("0", "1", "2")),
        ("0 0\n1 1\n2 2\n", ("0", "1", "2")),
        ("7 up\ncola\nmilk\n", ("7 up", "cola", "milk")),
        ("20 km/h\n30 km/h\n50 km/h\n", ("20 km/h", "30 km/h", "50 km/h")),
        ("1 euro\n2 euro\n", ("1 euro", "2 euro")),
        ("door:1\ndoor:0\n", ("door:1", "door:0")),
        ('cat, tabby\n"dog"\nünï 🐱\n', ("cat, tabby", '"dog"', "ünï 🐱")),
        ("{{ states.light }}\n{% raw %}\n[1]x\n", ("{{ states.light }}", "{% raw %}", "[1]x")),
        ("0.5 mm\n0.7 mm\n", ("0.5 mm", "0.7 mm")),
        ("red\x1b[31m\ngre\x00en\n", ("red[31m", "green")),
        ("", ()),
        ("\n \n", ()),
    ],
)
def test_labels_that_only_look_like_something_else_are_kept(
    text: str, labels: tuple[str, ...]
) -> None:
    assert read_label_file(text.encode()).labels == labels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 cat\n2 bird\n", "no number 1: line 2"),
        ("0 cat\n1 dog\n1 puppy\n", "line 3 has the number 1 again, as line 2"),
        ("0 cat\n1 dog\n2\n", "line 3 has the number 2 and no label"),
        ("0 cat\ndog\n2 bird\n", "line 2 has no number"),
        ("index,label\n0,cat\n1,dog\n", "line 1 has no number"),
        ("2 cats\n3 dogs\n1 bird\n", "not in order"),
        ("1 cent\n2 dimes\n5 cents\n", "no number 3"),
        ("0: cat\n1:\n2: bird\n", "line 2 has the number 1 and no label"),
        ("cat\n" + "x" * 201, "201 characters"),
        ("x" * 100_000, "line 1 is longer"),
        (" " * 3 + "," * 100_000, "line 1 is longer"),
        ('{"0": "cat", "0": "dog"}', "number 0 again"),
        ('{"0": "cat", "2": "dog"}', "no number 1"),
        ('{"0": 1, "1": 0}', "numbers on both sides"),
        ('{"a": "cat"}', "is not a number with a label"),
        ('{"cat": true}', "is not a number with a label"),
        ('["cat", 7]', "element 2"),
        ('["cat", ""]', "element 2"),
        ("{}", "not a JSON list"),
        ("item { id: 1 }", "line 1 has no id, or no name"),
        ("item { id: 0 name: 'a' }\nitem { id: 2 name: 'b' }", "no number 1"),
        ("item { id: 0 name: 'a' }\nrubbish", "is not an item"),
    ],
)
def test_labels_that_cannot_be_right_are_refused_with_the_place(text: str, said: str) -> None:
    with pytest.raises(LabelFormatError, match=said):
        read_label_file(text.encode())


def test_file_that_is_named_json_and_is_none_is_refused_with_the_line() -> None:
    with pytest.raises(LabelFormatError, match="line 2"):
        read_label_file(b'["cat",\n dog]', "labels.json")


def test_bytes_of_another_encoding_are_refused_with_the_line_and_a_remedy() -> None:
    with pytest.raises(LabelFormatError, match=r"line 2 is not UTF-8.*iconv"):
        read_label_file("Hund\nKüche\n".encode("latin-1"))


def test_numbers_from_one_are_told() -> None:
    assert read_label_file(b"1 cat\n2 dog\n").first == 1
    assert read_label_file(b"1 cat\n2 dog\n").labels == ("cat", "dog")


def test_label_map_from_one_keeps_output_0_for_the_background() -> None:
    assert read_label_file(b"item { id: 1 name: 'cat' }").background_is_implied
    assert not read_label_file(b"item { id: 0 name: 'cat' }").background_is_implied


@pytest.mark.parametrize(("text", "said"), [("a\n\nb\n", "line 2"), ("# x\na\n", "line 1 begins")])
def test_lines_that_may_be_no_labels_are_told(text: str, said: str) -> None:
    (doubt,) = read_label_file(text.encode()).doubts
    assert said in doubt


def test_any_bytes_give_labels_or_are_refused() -> None:
    chance = random.Random(5)  # noqa: S311 (a seed)
    given = [b"0 cat\n1 dog\n", b'{"0":"cat"}', b'["a"]', b"item{id:1 name:'a'}", b"a,1\nb,0\n"]
    for _ in range(500):
        data = bytearray(chance.choice(given) * chance.randint(1, 3))
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.choice(b"01\n\r,:{}[]\"' ia\x00\xff#")
        for name in ("labels.txt", "labels.json", "labels.pbtxt"):
            try:
                labels = read_label_file(bytes(data), name).labels
            except LabelFormatError:
                continue
            assert all(labels)
            json.dumps(labels)
