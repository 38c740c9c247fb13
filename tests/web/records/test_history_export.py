"""What history gives to take away."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.records import exports
from tests.web import making


def body(client: Client, address: str) -> bytes:
    answer: Any = client.get(address)
    assert answer.status_code == 200
    assert "attachment" in answer["Content-Disposition"]
    content: bytes = answer.getvalue()
    return content


def test_json_has_the_documented_fields(viewer: Client, reviewer: Client) -> None:
    at = datetime(2026, 11, 22, 11, 39, 0, 238_000, tzinfo=UTC)
    mei = User.objects.get(username="reviewer")
    made = making.event(
        "cat",
        at=at,
        picture=making.jpeg(),
        before="dog",
        delay_ms=7.4,
        verdict="corrected",
        truth=making.label("dog"),
        reviewer=mei,
        reviewed_at=at,
    )
    Label.objects.filter(name="cat").update(chinese="猫")
    (row,) = json.loads(body(viewer, "/history/export.json"))
    assert tuple(row) == exports.FIELDS
    assert row == {
        "key": str(made.key), "source": "event", "device": "pi", "camera": "front",
        "at": "2026-11-22T11:39:00.238Z", "label": "cat", "label_zh": "猫", "before": "dog",
        "score": 0.9, "margin": 0.5, "top": [], "model": "test@00000000", "delay_ms": 7.4,
        "verdict": "corrected", "truth": "dog", "reviewer": "reviewer",
        "reviewed_at": "2026-11-22T11:39:00.238Z", "picture": made.picture.sha256,
        "address": f"http://testserver/pictures/{made.key}.jpg",
        "recorded_at": "2026-11-22T11:39:00.238Z", "device_at": None, "kind": "seen",
        "entry_score": None, "duration_s": None, "peak_at": None, "path": [], "box": None,
        "reason": "", "needs_s": None, "new_here": False,
    }  # fmt: skip


def test_export_tells_how_long_a_label_stayed_and_why_another_did_not(viewer: Client) -> None:
    at = datetime(2026, 11, 22, 11, 39, tzinfo=UTC)
    span: dict[str, Any] = {"at": at, "duration_s": 0.8, "peak_after_s": 0.5}
    why = {"reason": "=dwell()", "needs_s": 1.5}
    making.event("cat", entry_score=0.7, detail={"path": ["animal", "cat"]}, **span)
    making.event("dog", source="glimpse", detail={"box": [0, 0, 0.5, 1], **why}, **span)
    (seen,) = json.loads(body(viewer, "/history/export.json"))
    (glimpsed,) = json.loads(body(viewer, "/history/export.json?kind=glimpsed"))
    assert len(json.loads(body(viewer, "/history/export.json?kind=all&source=event"))) == 2
    assert (seen["kind"], seen["entry_score"], seen["duration_s"]) == ("seen", 0.7, 0.8)
    assert (seen["peak_at"], seen["path"]) == ("2026-11-22T11:39:00.500Z", ["animal", "cat"])
    assert (glimpsed["kind"], glimpsed["source"]) == ("glimpsed", "event")
    assert (glimpsed["box"], glimpsed["needs_s"]) == ([0, 0, 0.5, 1], 1.5)
    text = body(viewer, "/history/export.csv?kind=glimpsed").decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["reason"], row["box"], row["path"]) == ("'=dwell()", "[0, 0, 0.5, 1]", "")


def test_csv_has_the_same_in_a_spreadsheets_encoding(reviewer: Client) -> None:
    making.upload("猫", top=[["猫", 0.9]])
    making.event("dog")
    content = body(reviewer, "/history/export.csv")
    assert content.startswith(b"\xef\xbb\xbf")
    dog, cat = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    assert (cat["label"], json.loads(cat["top"]), cat["device"]) == ("猫", [["猫", 0.9]], "")
    assert (dog["label"], dog["top"], dog["picture"], dog["score"]) == ("dog", "", "", "0.9")


@pytest.mark.parametrize(
    ("name", "harmless"),
    [
        *((name, f"'{name}") for name in ("=1+1", "+1", "-1", "@SUM(A1)", " =1", "\u200b=1")),
        ('x;=HYPERLINK("http://a")', 'x;\'=HYPERLINK("http://a")'),
        ("a|\ufeff =1;-2", "a|'\ufeff =1;'-2"),
    ],
)
def test_csv_has_no_text_that_a_spreadsheet_would_run(
    viewer: Client, name: str, harmless: str
) -> None:
    camera = making.camera(name, name)
    making.event(name, before=name, model=name, camera=camera, margin=-0.25, top=[[name, 0.5]])
    (row,) = csv.DictReader(io.StringIO(body(viewer, "/history/export.csv").decode("utf-8-sig")))
    texts = {row[field] for field in ("label", "before", "model", "camera", "device")}
    assert texts == {harmless}
    assert row["margin"] == "-0.25"
    ((top, _),) = json.loads(row["top"])
    assert ";=" not in top


def test_export_has_exactly_what_is_filtered(viewer: Client, reviewer: Client) -> None:
    for number in range(1203):
        making.event("cat" if number % 3 else "dog", score=(number % 10) / 10)
    making.upload("cat", owner=User.objects.get(username="reviewer"))
    rows = json.loads(body(viewer, "/history/export.json?label=cat&score_min=0.5"))
    expected = sum(1 for number in range(1203) if number % 3 and number % 10 >= 5)
    assert len({row["key"] for row in rows}) == len(rows) == expected
    assert [row["at"] for row in rows] == sorted((row["at"] for row in rows), reverse=True)
    assert len(json.loads(body(reviewer, "/history/export.json?label=cat&source=upload"))) == 1


def test_export_of_nothing_is_an_empty_list(viewer: Client) -> None:
    assert json.loads(body(viewer, "/history/export.json")) == []
    assert body(viewer, "/history/export.csv").decode("utf-8-sig").count("\n") == 1


def test_export_with_a_wrong_filter_says_so(viewer: Client) -> None:
    answer = viewer.get("/history/export.csv?score_min=7")
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert "score_min" in answer.content.decode()


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5) | st.none()), max_size=5))
def test_json_of_any_rows_is_one_array_with_a_line_each(rows: list[dict[str, Any]]) -> None:
    text = "".join(exports.as_json(rows))
    assert json.loads(text) == rows
    assert len(text.splitlines()) >= len(rows)


def test_walk_reads_some_records_at_a_time(db: None, django_assert_num_queries: Any) -> None:
    now = timezone.now()
    for _ in range(501):
        making.event(at=now)
    with django_assert_num_queries(5):  # Two for 500 records, two for one, one for none.
        keys = [record.key for record in exports.walk([Record.objects.all()])]
    assert len(set(keys)) == 501
