"""Sentences are strings in English that keep what they were made of."""

import copy
import json
from typing import Any

import pytest

from edge_classifier.core.sentence import (
    LabelText,
    Sentence,
    from_json,
    joined,
    to_json,
    with_replaced,
)

MADE = Sentence(
    "{count} picture of {label} {why}",
    "{count} pictures of {label} {why}",
    count=2,
    label=LabelText("{cat}"),
    why=Sentence("is {size}", size=3),
)


def test_sentence_is_its_english_text_with_its_values() -> None:
    assert MADE == "2 pictures of {cat} is 3"
    assert json.dumps({"text": MADE}) == '{"text": "2 pictures of {cat} is 3"}'


@pytest.mark.parametrize(("count", "said"), [(0, "0 files"), (1, "1 file"), (2, "2 files")])
def test_sentence_of_another_number_than_one_is_in_the_plural(count: int, said: str) -> None:
    assert Sentence("{count} file", "{count} files", count=count) == said


def travelled(value: object) -> Any:
    """What another program makes of it."""
    return from_json(json.loads(json.dumps(to_json(value))))


@pytest.mark.parametrize("again", [copy.copy(MADE), copy.deepcopy(MADE), travelled(MADE)])
def test_copy_of_a_sentence_keeps_what_it_was_made_of(again: Sentence) -> None:
    assert again == MADE
    assert (again.template, again.plural, again.values) == (
        MADE.template,
        MADE.plural,
        MADE.values,
    )
    assert isinstance(again.values["label"], LabelText)
    assert isinstance(again.values["why"], Sentence)


@pytest.mark.parametrize("value", ["{plain}", 3, 2.5, None, True])
def test_value_that_is_not_a_sentence_travels_as_it_is(value: object) -> None:
    assert travelled(value) == value


@pytest.mark.parametrize(
    "told",
    [
        [],
        {},
        {"label": 3},
        {"sentence": ["a", ""]},
        {"sentence": ["a"], "values": {}},
        {"sentence": ["{missing}", ""], "values": {}},
        {"sentence": ["{a", ""], "values": {"a": 1}},
        # What would take memory, or look into objects.
        {"sentence": ["{a:>99999999}", ""], "values": {"a": 1}},
        {"sentence": ["{a.real}", ""], "values": {"a": 1}},
        {"sentence": ["{a!r}", ""], "values": {"a": 1}},
        {"sentence": ["{}", ""], "values": {"a": 1}},
        {"sentence": ["one", "{a:>99999999}"], "values": {"a": 1, "count": 2}},
        {"sentence": ["one", "many"], "values": {}},
        {"sentence": ["{a}", ""], "values": {"a": {"sentence": 3}}},
    ],
)
def test_what_no_sentence_was_made_of_is_refused(told: Any) -> None:
    with pytest.raises(ValueError, match="not a sentence"):
        from_json(told)


def test_sentences_that_are_joined_keep_what_each_was_made_of() -> None:
    found = joined("; ", (Sentence("line {at}", at=3), "{as it is}"))
    assert found == "line 3; {as it is}"
    assert isinstance(found.values["part0"], Sentence)
    assert joined("; ", ()) == ""


def test_what_is_replaced_in_a_sentence_is_replaced_in_its_values() -> None:
    path = "/proc/self/fd/5"
    said = Sentence("{why} at {number}", why=Sentence("cannot read {path}", path=path), number=5)
    found = with_replaced(said, path, "cat.tflite")
    assert found == "cannot read cat.tflite at 5"
    assert isinstance(found, Sentence)
    assert with_replaced(f"no {path}", path, "it") == "no it"
