"""TOML written is TOML read; keys are found on their lines."""

import math
import string
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.config.toml import Key, document, dotted, inline, key_lines, leaves, parse_key

CHECKED = settings(deadline=None, max_examples=200)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), TEXTS
)
TREES = st.recursive(
    st.dictionaries(TEXTS, st.one_of(VALUES, st.lists(VALUES, max_size=3)), max_size=4),
    lambda below: st.dictionaries(TEXTS, st.one_of(VALUES, below), max_size=4),
    max_leaves=12,
)


@CHECKED
@given(TREES)
def test_document_of_any_tree_is_read_back_as_it_was(tree: dict[str, Any]) -> None:
    assert tomllib.loads(document(tree)) == tree


@CHECKED
@given(TREES)
def test_inline_of_any_tree_is_one_line_that_is_read_back_as_it_was(tree: dict[str, Any]) -> None:
    text = inline(tree)
    assert "\n" not in text
    assert tomllib.loads(f"value = {text}")["value"] == tree


@CHECKED
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_dotted_of_any_key_is_parsed_back_as_it_was(parts: list[str]) -> None:
    assert parse_key(dotted(tuple(parts))) == tuple(parts)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Path("/a b"), '"/a b"'),
        (("a", 'b"'), r'["a", "b\""]'),
        ({}, "{}"),
        (math.inf, "inf"),
        (1e22, "1e+22"),
        (date(2024, 2, 29), "2024-02-29"),
        ("\x7f\x00\n", r'"\u007f\u0000\n"'),
    ],
)
def test_inline_value_is_written_as_toml_has_it(value: object, text: str) -> None:
    assert inline(value) == text
    tomllib.loads(f"value = {text}")


def test_document_note_stands_behind_its_value() -> None:
    text = document({"a": {"b": 1, "c": 2}}, lambda key: "here" if key == ("a", "b") else "")
    assert text == "[a]\nb = 1  # here\nc = 2\n"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("mqtt.host", ("mqtt", "host")),
        (' cameras . "front door".source', ("cameras", "front door", "source")),
        ("a.'b.c'.\"d\\u0041\"", ("a", "b.c", "dA")),
    ],
)
def test_parse_key_in_any_writing_gives_its_parts(text: str, key: Key) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize("text", ["", "a b", "a.", ".a", "a = 1\nb", "a\nb", "[a]", 'a."b', "ä"])
def test_parse_key_of_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_key(text)


def test_dotted_item_of_a_list_has_its_number() -> None:
    assert dotted(("decision", "ignore", 2)) == "decision.ignore[2]"


def test_key_lines_tables_keys_and_dotted_keys_are_found() -> None:
    text = """\
decision.enter = 0.5
# mqtt.port = 3
[cameras."front door"]  # a = 1
  source = "x = 1"
region.left = 0
[ mqtt . tls ]
enabled=true
"""
    assert key_lines(text) == {
        ("decision", "enter"): 1,
        ("cameras", "front door"): 3,
        ("cameras", "front door", "source"): 4,
        ("cameras", "front door", "region", "left"): 5,
        ("mqtt", "tls"): 6,
        ("mqtt", "tls", "enabled"): 7,
    }


def test_key_lines_text_that_looks_like_a_key_does_no_harm() -> None:
    text = "a = 1\n# \x85 no line\nb = '''\n\"\\q\" = 1\n[\"\\q\"]\n'''\nc = 2\n"
    assert set(tomllib.loads(text)) == {"a", "b", "c"}
    assert key_lines(text) == {("a",): 1, ("b",): 3, ("c",): 7}


def test_leaves_are_values_and_empty_tables() -> None:
    tree = {"a": 1, "b": {"c": {}, "d": [{}]}, "e": {}}
    assert list(leaves(tree)) == [(("a",), 1), (("b", "c"), {}), (("b", "d"), [{}]), (("e",), {})]


def test_bare_keys_need_no_quotes() -> None:
    assert dotted((string.ascii_letters + string.digits + "-_",)).isascii()
    assert dotted(("", "ä")) == '""."ä"'
