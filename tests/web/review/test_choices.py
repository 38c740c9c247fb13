"""Which other labels a reviewer is offered for a record."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.review import verdicts
from edge_classifier.web.review.choices import MOST_CHOICES, choices
from tests.web import making


@pytest.fixture
def ann(db: None) -> User:
    return User.objects.create_user("ann", role="reviewer")


def offered(record: Record, reviewer: User) -> list[str]:
    return [one.name for one in choices([record], reviewer)[0]]


def test_label_that_the_record_has_already_is_not_offered(ann: User) -> None:
    verdicts.judge(making.upload("cat"), "confirmed", None, ann)
    top = [["cat", 0.8], ["lynx", 0.1], ["dog", 0.05]]
    assert offered(making.event("cat", top=top), ann) == ["lynx", "dog"]
    assert offered(making.event("espresso", top=[["espresso", 1.0]]), ann) == ["cat"]


def test_unknown_is_not_offered_for_unknown_but_what_the_model_thought_of(ann: User) -> None:
    verdicts.judge(making.upload("cat"), "corrected", "unknown", ann)
    top = [["cat", 0.3], ["unknown", 0.2], ["dog", 0.0]]
    assert offered(making.event("unknown", top=top), ann) == ["cat"]
    assert offered(making.event("dog", top=top), ann) == ["cat"]


@pytest.mark.parametrize(
    ("path", "margin", "expected"),
    [
        pytest.param(["animal", "cat", "tabby"], 0.05, ["lynx", "cat"], id="unsure which"),
        pytest.param(["animal", "cat", "tabby"], 0.6, ["lynx"], id="sure which"),
        pytest.param(["drink", "tabby"], 0.05, ["lynx"], id="the top of the tree says nothing"),
        pytest.param([], 0.05, ["lynx"], id="no tree"),
    ],
)
def test_node_above_is_offered_where_the_model_was_unsure_which_it_is(
    ann: User, path: list[str], margin: float, expected: list[str]
) -> None:
    told: dict[str, Any] = {"path": path} if path else {}
    top = [["tabby", 0.4], ["lynx", 0.35]]
    record = making.event("tabby", top=top, margin=margin, detail=told)
    assert offered(record, ann) == expected


def test_nodes_above_the_own_label_do_not_come_from_what_was_said_of_others(ann: User) -> None:
    for name in ("animal", "cat", "cow"):
        verdicts.judge(making.upload("dog"), "corrected", name, ann)
    record = making.event("tabby", margin=0.9, detail={"path": ["animal", "cat", "tabby"]})
    assert offered(record, ann) == ["cow"]


def test_what_was_said_of_the_same_camera_comes_before_what_was_said_of_others(ann: User) -> None:
    gate, front = making.camera("gate"), making.camera("front")
    for name, camera in (("cow", gate), ("cow", gate), ("horse", front)):
        verdicts.judge(making.event("cat", camera=camera), "corrected", name, ann)
    Label.objects.create(name="dog", chinese="狗")
    record = making.event("cat", camera=front, top=[["cat", 0.5], ["dog", 0.3]])
    (found,) = choices([record], ann)
    assert [(one.name, one.chinese, one.score) for one in found] == [
        ("dog", "狗", 0.3),
        ("horse", "", None),
        ("cow", "", None),
    ]


def test_there_are_as_many_as_there_are_keys(ann: User) -> None:
    for number in range(20):
        verdicts.judge(making.upload("cat"), "corrected", f"label {number}", ann)
    assert len(offered(making.event("cat"), ann)) == MOST_CHOICES


def test_choices_cost_two_queries_for_any_number_of_records(ann: User) -> None:
    verdicts.judge(making.upload("cat"), "corrected", "cow", ann)
    for number in range(12):
        making.upload("cat", top=[[f"label {number}", 0.2]])
    records = list(Record.objects.select_related("label"))
    with CaptureQueriesContext(connection) as asked:
        choices(records, ann)
    assert len(asked) == 2
