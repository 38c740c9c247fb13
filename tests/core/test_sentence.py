"""Sentences are strings in English that keep what they were made of."""

import copy
import json

import pytest

from edge_classifier.core.sentence import LabelText, Sentence

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


@pytest.mark.parametrize("again", [copy.copy(MADE), copy.deepcopy(MADE)])
def test_copy_of_a_sentence_keeps_what_it_was_made_of(again: Sentence) -> None:
    assert again == MADE
    assert (again.template, again.plural, again.values) == (
        MADE.template,
        MADE.plural,
        MADE.values,
    )
    assert isinstance(again.values["label"], LabelText)
    assert isinstance(again.values["why"], Sentence)
