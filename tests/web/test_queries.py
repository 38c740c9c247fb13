"""How often each page asks the database: never more with more records, and by an index."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from edge_classifier.web.accounts.roles import visible_to
from edge_classifier.web.models import Record, User
from edge_classifier.web.records import history_chart, keyset, picture_storage
from edge_classifier.web.records.filters import Filter
from tests.web import making

# Each with the most queries that it may take, of which session and user are two.
PAGES = {
    "/": 5,
    "/live": 5,
    "/history": 13,
    "/history?label=label+0": 14,
    "/history?device=pi&camera=front&review=no&score_min=0.1": 13,
    "/history?before=9999999999999999.1": 13,
    "/history?after=1.1": 13,
    "/review": 13,
    "/review?view=grid": 12,
    "/review?view=dataset": 8,
    "/review/compare": 8,
    "/models": 8,
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
    asked(administrator, path)  # What is read once a process is read now.
    few = asked(administrator, path)
    make(60)
    many = asked(administrator, path)
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


def plan(records: QuerySet[Record]) -> str:
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
    ],
)
@pytest.mark.parametrize("place", [None, PLACE])
@pytest.mark.skipif(connection.vendor != "sqlite", reason="plans are SQLite's")
def test_list_is_read_in_the_order_of_an_index(
    db: None, filters: dict[str, str], index: str, place: keyset.Position | None
) -> None:
    make(3)
    found = Filter.parse(filters).apply(Record.objects.all())
    found = keyset.older(found, place) if place else found
    how = plan(found.order_by(*keyset.NEWEST).values_list("id")[:49])
    assert index in how
    if index != "record_label":  # Either label: two searches, whose numbers alone are sorted.
        assert "TEMP B-TREE" not in how


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
