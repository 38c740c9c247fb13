"""How often each page asks the database: never more with more records, and by an index."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import QuerySet, Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from edge_classifier.web.accounts.roles import visible_to
from edge_classifier.web.models import DayTally, HourTally, LabelDayTally, Record, User
from edge_classifier.web.records import history_chart, keyset, picture_storage
from edge_classifier.web.records.filters import Filter
from edge_classifier.web.review import verdicts
from edge_classifier.web.tally.counts import SEEN
from tests.web import making

# Each with the most queries that it may take, of which session and user are two.
PAGES = {
    "/": 5,
    "/classify": 5,
    "/live": 5,
    "/history": 13,
    "/history?label=label+0": 14,
    "/history?device=pi&camera=front&review=no&score_min=0.1": 13,
    "/history?before=9999999999999999.1": 13,
    "/history?after=1.1": 13,
    "/history?order=score&kind=all": 13,
    "/history?kind=glimpsed": 13,
    "/history?new=yes": 13,
    "/labels/{label}": 9,
    "/history/days": 6,
    "/review": 13,
    "/review?view=piles": 13,
    "/review?view=grid": 12,
    "/review?view=dataset": 8,
    "/review/compare": 8,
    "/models": 8,
    "/notify": 5,
    f"/notify?day={timezone.localdate()}&name=a&kind=all&rare_days=3&least_score=0"
    "&at_most_every_minutes=0": 8,
    "/admin/web/record/": 9,
    "/api/v1/records": 9,
}


def make(count: int) -> None:
    """Different records, each with labels, people and a picture of its own."""
    now = timezone.now()
    for number in range(count):
        owner = User.objects.create_user(f"owner {count} {number}")
        label, truth = making.label(f"label {number}"), making.label(f"truth {number}")
        facts: dict[str, Any] = {"at": now - timedelta(hours=number), "score": 0.5}
        if number % 3 == 0:
            making.upload(label.name, owner=owner, **facts)
            continue
        reviewed = {"verdict": "corrected", "truth": truth, "reviewer": owner, "reviewed_at": now}
        making.event(
            label.name,
            camera=making.camera("front", f"pi {number}" if number % 2 else "pi"),
            picture=making.jpeg((number * 4, 0, 0)),
            **facts,
            **(reviewed if number % 3 == 1 else {}),
        )


def asked(client: Client, path: str) -> list[str]:
    """What ``path`` asks the database."""
    cache.clear()
    with CaptureQueriesContext(connection) as queries:
        answer: Any = client.get(path)
        answer.getvalue()
    assert answer.status_code == 200
    return [query["sql"] for query in queries.captured_queries]


@pytest.mark.parametrize("path", PAGES)
def test_page_asks_no_more_with_more_records(administrator: Client, path: str) -> None:
    make(3)
    address = path.format(label=making.label("label 0").pk)
    asked(administrator, address)  # What is read once a process is read now.
    few = asked(administrator, address)
    make(60)
    many = asked(administrator, address)
    assert len(many) <= PAGES[path], "\n".join(many)
    assert len(many) <= len(few), "\n".join(many)


@pytest.mark.parametrize("path", ["/records/{}", "/thumbnails/{}.jpg", "/pictures/{}.jpg"])
def test_page_of_one_record_asks_little(viewer: Client, path: str) -> None:
    make(3)
    record = Record.objects.exclude(picture=None).filter(source="event").first()
    asked(viewer, "/history")
    picture_storage.put_file(picture_storage.thumbnail_name(record.picture.sha256), making.jpeg())
    assert len(asked(viewer, path.format(record.key))) <= 6


def test_export_asks_twice_a_step(viewer: Client) -> None:
    make(30)
    asked(viewer, "/history/export.csv")
    few = asked(viewer, "/history/export.csv")
    make(60)
    assert len(asked(viewer, "/history/export.csv")) == len(few)


def plan(records: QuerySet[Any]) -> str:
    """What SQLite would do."""
    sql, params = records.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        return "; ".join(row[3] for row in cursor.fetchall())


EVERYTHING: dict[str, str] = {}
PLACE = keyset.Position(timezone.now(), 5)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (EVERYTHING, "record_time"),
        ({"label": "label 0", "source": "event"}, "record_label"),
        ({"device": "pi", "camera": "front"}, "record_camera"),
        ({"device": "pi"}, "record_camera"),
        ({"label": "label 0", "device": "pi", "review": "no"}, "record_label"),
        ({"kind": "glimpsed"}, "record_upload"),
        ({"new": "yes"}, "record_new"),
        ({"score_min": "0.1", "score_max": "0.9"}, "record_time"),
        ({"device": "pi", "camera": "front", "score_min": "0.1"}, "record_camera"),
        ({"label": "label 0", "device": "pi", "score_min": "0.1"}, "record_label"),
        ({"label": "label 0", "review": "corrected"}, "record_truth"),
        ({"review": "corrected"}, "record_verdict"),
    ],
)
@pytest.mark.parametrize("place", [None, PLACE])
@pytest.mark.skipif(connection.vendor != "sqlite", reason="plans are SQLite's")
def test_list_is_read_in_the_order_of_an_index(
    db: None, filters: dict[str, str], index: str, place: keyset.Position | None
) -> None:
    make(3)
    for part in Filter.parse(filters).parts(Record.objects.all()):
        found = keyset.older(part, place) if place else part
        how = plan(found.order_by(*keyset.NEWEST).values_list("at", "id")[:49])
        assert index in how or "record_truth" in how
        assert "TEMP B-TREE" not in how


@pytest.mark.parametrize(
    "filters",
    [
        EVERYTHING,
        {"device": "pi", "camera": "front"},
        {"label": "label 0"},
        {"source": "upload"},
        {"since": "2026-11-01", "until": "2026-11-14"},
        {"review": "corrected"},
    ],
)
@pytest.mark.parametrize("place", [None, keyset.Position(0.5, 5)])
@pytest.mark.skipif(connection.vendor != "sqlite", reason="plans are SQLite's")
def test_list_by_score_is_read_in_the_order_of_an_index(
    db: None, filters: dict[str, str], place: keyset.Position | None
) -> None:
    make(3)
    for part in Filter.parse(filters).parts(Record.objects.all(), "score"):
        found = keyset.older(part, place, "score") if place else part
        how = plan(found.order_by("-score", "-id").values_list("id")[:49])
        assert "record_score" in how
        assert "TEMP B-TREE" not in how


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "record_uncertain"),
        ({"camera": "1"}, "record_camera_uncertain"),
        ({"label": "label 0"}, "record_label_uncertain"),
    ],
)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="plans are SQLite's")
def test_queue_is_read_in_the_order_of_an_index(
    db: None, filters: dict[str, Any], index: str
) -> None:
    make(3)
    how = plan(verdicts.queue(Record.objects.all(), **filters)[:49])
    assert f"INDEX {index}" in how
    assert "TEMP B-TREE" not in how


@pytest.mark.parametrize("filters", [{}, {"camera": "1"}, {"label": "label 0"}])
@pytest.mark.skipif(connection.vendor != "sqlite", reason="plans are SQLite's")
def test_records_of_the_queue_that_are_known_are_found_by_their_ids(
    db: None, filters: dict[str, Any]
) -> None:
    make(3)
    wait = verdicts.queue(Record.objects.all(), is_by_id=True, **filters).order_by()
    assert "web_record USING INTEGER PRIMARY KEY" in plan(wait.filter(pk__in=range(12)))


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"label": "label 0", "device": "pi", "camera": "front"}, "record_label"),
        ({"review": "corrected", "device": "pi", "camera": "front"}, "record_verdict"),
        ({"new": "yes", "device": "pi", "camera": "front"}, "record_new"),
        ({"new": "yes", "label": "label 0"}, "record_new"),
        ({"kind": "glimpsed", "device": "pi", "camera": "front"}, "COVERING INDEX record_upload"),
    ],
)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="plans are SQLite's")
def test_what_is_few_is_counted_by_the_index_that_has_the_fewest(
    db: None, filters: dict[str, str], index: str
) -> None:
    make(3)
    chosen = Filter.parse(filters)
    with CaptureQueriesContext(connection) as queries:
        chosen.find(Record.objects.all())
    with connection.cursor() as cursor:
        for query in queries.captured_queries[:-1] or queries.captured_queries:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            how = "; ".join(row[3] for row in cursor.fetchall())
            assert index in how or ("new" not in filters and "record_truth" in how), how


@pytest.mark.parametrize(("score", "index"), [("0.1", "record_score"), ("", "record_camera")])
@pytest.mark.skipif(connection.vendor != "sqlite", reason="plans are SQLite's")
def test_high_scores_of_a_camera_with_many_records_are_counted_by_their_score(
    db: None, monkeypatch: pytest.MonkeyPatch, score: str, index: str
) -> None:
    monkeypatch.setattr("edge_classifier.web.records.filters._MOST_READ", 2)
    make(12)
    chosen = Filter.parse({"device": "pi", "camera": "front", "score_min": score})
    with CaptureQueriesContext(connection) as queries:
        chosen.find(Record.objects.all())
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {queries.captured_queries[-1]['sql']}")
        assert index in "; ".join(row[3] for row in cursor.fetchall())


@pytest.mark.parametrize("role", ["viewer", "reviewer"])
def test_chart_reads_an_index_and_no_rows(db: None, role: str) -> None:
    user = User.objects.create_user("somebody", role=role)
    records = Filter(source="event", score_min=0.1, review="no").apply(visible_to(user))
    day = date(2026, 11, 22)
    with CaptureQueriesContext(connection) as queries:
        history_chart.counts(records, day - timedelta(days=29), day)
    sql = queries.captured_queries[0]["sql"]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        how = "; ".join(row[3] for row in cursor.fetchall())
    assert "USING COVERING INDEX record_day" in how
    assert "TEMP B-TREE" not in how


@pytest.mark.parametrize(
    ("rows", "index"),
    [
        (DayTally.objects.filter(day__gte="2026-11-22").values_list("day", "label"), "day_tally"),
        (LabelDayTally.objects.filter(day__gte="2026-11-22").values_list("day"), "label_day_tally"),
        (LabelDayTally.objects.filter(label=1).values_list("day"), "label_day_tally_label"),
        (HourTally.objects.filter(label=1).values_list("hour"), "hour_tally"),
    ],
)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="plans are SQLite's")
def test_sums_are_read_from_an_index_and_no_rows(db: None, rows: QuerySet[Any], index: str) -> None:
    how = plan(rows.filter(SEEN).annotate(total=Sum("count")))
    assert f"USING COVERING INDEX {index} " in how
    assert "TEMP B-TREE" not in how
