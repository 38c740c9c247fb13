"""What rules ask the database: bounded, whatever the number of records, and by an index."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from edge_classifier.web.config.settings import NotificationRule
from edge_classifier.web.models import Record
from edge_classifier.web.notify.decide import Decider
from edge_classifier.web.notify.past import RecordedPast, sightings
from edge_classifier.web.notify.rules import RecordedSighting
from tests.web import making
from tests.web.notify.telling import NOON, Clock, Receivers, notifier, rule, run

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="plans are SQLite's"),
]
Question = Callable[[RecordedPast, NotificationRule, RecordedSighting], object]


def plans(ask: Callable[[], object]) -> list[str]:
    """What SQLite does for each table of records that ``ask`` reads."""
    with CaptureQueriesContext(
        connection,
    ) as asked:
        ask()
    found = []
    with connection.cursor() as cursor:
        for one in asked.captured_queries:
            cursor.execute(f"EXPLAIN QUERY PLAN {one['sql']}")
            steps = [row[3] for row in cursor.fetchall()]
            # Records may have another name in a part of a query; a scan of them has any.
            found += [
                one
                for one in steps
                if re.search("web_record|web_daytally|U0|SCAN(?! web_camera| subquery| .*ROW)", one)
            ]
    return found


OF_ONE_CAMERA = {"cameras": ("front",), "kind": "all"}
DAY = [
    "web_record USING COVERING INDEX record_day (day=? AND label_id=? AND truth_id=?",
    "web_record USING INDEX record_truth (truth_id=? AND at>? AND at<?)",
]
TALLY = "web_daytally USING INDEX day_tally_label (label_id=?"


@pytest.mark.parametrize(
    ("question", "facts", "expected"),
    [
        (RecordedPast.was_on_that_day, {}, DAY),
        (RecordedPast.was_on_that_day, OF_ONE_CAMERA, DAY),
        (RecordedPast.days_before, {}, [f"{TALLY})"]),
        (
            RecordedPast.days_before,
            OF_ONE_CAMERA,
            [f"{TALLY} AND camera_id=? AND day>? AND day<?)"],
        ),
    ],
)
def test_question_about_the_past_is_answered_by_an_index(
    tmp_path: Path, question: Question, facts: dict[str, Any], expected: list[str]
) -> None:
    for number in range(50):
        making.event(f"label {number % 5}", at=NOON - timedelta(days=1, hours=number))
    (last,) = sightings(Record.objects.filter(id=making.event("label 1", at=NOON).id))
    one = rule(tmp_path, **facts)
    found = plans(lambda: question(RecordedPast(), one, last))
    assert len(found) == len(expected), found
    for step, plan in zip(found, expected, strict=True):
        assert step.startswith(f"SEARCH {plan}")


def test_first_ever_is_looked_for_among_the_oldest_of_the_label(tmp_path: Path) -> None:
    (last,) = sightings(Record.objects.filter(id=making.event("label 1", at=NOON).id))
    found = plans(lambda: RecordedPast().is_first_ever(rule(tmp_path), last))
    by_id = "SEARCH web_record USING INTEGER PRIMARY KEY (rowid=?)"
    assert found == [
        "SEARCH U0 USING INDEX record_label (label_id=?)",
        by_id,
        "SEARCH U0 USING COVERING INDEX record_truth (truth_id=?)",
        by_id,
    ]


def test_hours_of_a_day_are_all_that_is_read_of_its_label(tmp_path: Path) -> None:
    (last,) = sightings(Record.objects.filter(id=making.event("label 1", at=NOON).id))
    one = rule(tmp_path, least_score=0.5, hours=("06:00-22:00",))
    found = plans(lambda: RecordedPast().was_on_that_day(one, last))
    assert found == [
        f"SEARCH web_record USING INDEX {index}=? AND at>? AND at<?)"
        for index in ("record_label (label_id", "record_truth (truth_id")
    ]


def test_turn_without_anything_new_asks_three_times(tmp_path: Path) -> None:
    now, phone = Clock(), Receivers()
    made = notifier(rule(tmp_path), now=now, send=phone)
    for number in range(30):
        making.event(f"label {number}", at=now())
    run(made)
    with CaptureQueriesContext(connection) as asked:
        made.turn()
    assert len(asked) <= 3
    assert not [one for one in asked.captured_queries if "UPDATE" in one["sql"]]


def test_questions_about_a_sighting_do_not_grow_with_the_records(tmp_path: Path) -> None:
    now = Clock()
    one = rule(tmp_path, when=("first_ever", "rare", "first_of_day"))
    decider = Decider([one])
    decider.run(now())
    counts = []
    for count in (1, 100):
        for number in range(count):
            making.event("sparrow", at=now() - timedelta(days=3, minutes=number))
        decider.run(now())
        now.forward(days=1)
        making.event("sparrow", at=now())
        with CaptureQueriesContext(connection) as asked:
            decider.run(now())
        counts.append(len(asked))
    assert counts[0] == counts[1] <= 20
