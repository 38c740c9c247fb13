"""What the API says of records, and what one may do with them."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from edge_classifier.web.api.records import Filters
from edge_classifier.web.models import Label, Record
from edge_classifier.web.records import picture_storage
from edge_classifier.web.records.filters import FilterForm
from tests.web import making
from tests.web.api.client import Program, problem, program


@pytest.fixture
def ann(db: None) -> Program:
    """A program of a viewer."""
    return program("viewer", "ann")


@pytest.fixture
def rob(db: None) -> Program:
    """A program of a reviewer."""
    return program("reviewer", "rob")


def test_event_is_told_with_all_that_is_known(rob: Program) -> None:
    made = making.event("cat", before="dog", score=0.75, margin=0.5, picture=making.jpeg())
    address = f"http://testserver/api/v1/records/{made.key}"
    assert rob.get(f"/records/{made.key}") == {
        "key": str(made.key),
        "source": "event",
        "kind": "seen",
        "at": made.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "recorded_at": made.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "device_at": None,
        "camera": {"device": "pi", "name": "front"},
        "label": "cat",
        "chinese": "",
        "before": "dog",
        "score": 0.75,
        "entry_score": None,
        "duration_s": None,
        "peak_at": None,
        "margin": 0.5,
        "top": [],
        "path": [],
        "crop": None,
        "not_held": None,
        "new_here": False,
        "model": "test@00000000",
        "review": None,
        "links": {
            "record": address,
            "picture": f"{address}/picture",
            "page": f"http://testserver/records/{made.key}",
        },
    }


def test_upload_is_told_with_its_best_labels(ann: Program) -> None:
    made = making.upload(
        owner=ann.user,
        top=[["cat", 0.75], ["dog", 0.25]],
        detail={"crop": [0.1, 0, 0.8, 1], "chinese": {"cat": "猫"}},
    )
    told = ann.get(f"/records/{made.key}")
    assert told["top"] == [
        {"label": "cat", "chinese": "猫", "score": 0.75},
        {"label": "dog", "chinese": "", "score": 0.25},
    ]
    assert told["crop"] == {"left": 0.1, "top": 0, "width": 0.8, "height": 1}
    assert told["camera"] is None


def test_history_has_what_the_user_may_see(ann: Program, rob: Program) -> None:
    event, own, other = making.event(), making.upload(owner=ann.user), making.upload()
    assert keys(ann.get("/records")) == {str(event.key), str(own.key)}
    assert keys(rob.get("/records")) == {str(event.key), str(own.key), str(other.key)}


def keys(page: Any) -> set[str]:
    return {record["key"] for record in page["records"]}


def test_history_can_be_followed_to_its_end(ann: Program) -> None:
    noon = timezone.now()
    # Some at the same moment, on both sides of a page's end.
    made = [making.event(at=noon - timedelta(seconds=number // 3)) for number in range(11)]
    seen, pages, path = [], 0, "/records?limit=4&source=event"
    while path:
        page = ann.get(path)
        seen += [record["key"] for record in page["records"]]
        making.event(at=noon + timedelta(seconds=1))  # What is new does not disturb.
        path, pages = (page["next"] or "").removeprefix("http://testserver/api/v1"), pages + 1
    newest_first = sorted(made, key=lambda record: (record.at, record.pk), reverse=True)
    assert seen == [str(record.key) for record in newest_first]
    assert pages == 3


@pytest.mark.parametrize(
    ("params", "labels"),
    [
        # What is rejected is listed where it is asked for only.
        ({}, {"cat", "owl"}),
        ({"review": "any"}, {"cat", "dog", "owl"}),
        ({"camera": "front"}, {"cat"}),
        ({"device": "pi", "camera": "back"}, set()),
        ({"device": "pi", "camera": "back", "review": "any"}, {"dog"}),
        ({"label": "CAT"}, {"cat"}),
        ({"label": "DOG"}, set()),
        ({"label": "DOG", "review": "any"}, {"dog"}),
        ({"source": "upload"}, {"owl"}),
        ({"review": "no"}, {"cat", "owl"}),
        ({"review": "rejected"}, {"dog"}),
        ({"score_min": 0.5, "score_max": 0.7}, {"cat"}),
        ({"since": "2026-03-02", "until": "2026-03-02"}, set()),
        ({"since": "2026-03-02", "until": "2026-03-02", "review": "any"}, {"dog"}),
        ({"since": "2026-03-03", "until": "2026-03-03"}, {"owl"}),
    ],
)
def test_history_has_what_was_asked_for(
    rob: Program, params: dict[str, str], labels: set[str]
) -> None:
    zone = timezone.get_current_timezone()
    first, second, third = (timezone.datetime(2026, 3, day, 12, tzinfo=zone) for day in (1, 2, 3))
    making.event("cat", at=first, score=0.6)
    making.event("dog", at=second, score=0.9, verdict="rejected", camera=making.camera("back"))
    making.upload("owl", at=third, score=0.2)
    assert {one["label"] for one in rob.get("/records", **params)["records"]} == labels


def test_filters_are_those_of_the_page(db: None) -> None:
    assert set(Filters.model_fields) == set(FilterForm({}).fields)


def test_history_asks_the_database_as_often_for_many_records(rob: Program) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            rob.get("/records", limit=200)
        return len(asked)

    few = [making.event(picture=making.jpeg()) for _ in range(2)]
    rob.get("/records")  # Notes the use of the token, once a minute.
    baseline = queries()
    for number in range(30):
        facts = {"verdict": "confirmed", "truth": few[0].label, "reviewer": rob.user}
        making.event(f"label {number}", camera=making.camera(f"camera {number}"), **facts)
    assert queries() == baseline <= 5


def test_picture_is_the_jpeg(ann: Program) -> None:
    picture = making.jpeg((200, 30, 30))
    made = making.event(picture=picture)
    answer = ann.ask("get", f"/records/{made.key}/picture")
    assert answer.content == picture
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["Cache-Control"].startswith("private")
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_record_without_a_picture_says_so(ann: Program) -> None:
    made = making.event()
    assert ann.get(f"/records/{made.key}")["links"]["picture"] is None
    assert problem(ann.ask("get", f"/records/{made.key}/picture"))["status"] == 404


def test_picture_that_storage_has_lost_is_not_found(ann: Program) -> None:
    made = making.event(picture=making.jpeg((1, 2, 3)))
    picture_storage.remove(made.picture.sha256)
    assert problem(ann.ask("get", f"/records/{made.key}/picture"))["status"] == 404


def test_own_upload_can_be_deleted_with_its_file(ann: Program) -> None:
    made = making.upload(owner=ann.user, picture=making.jpeg((9, 9, 99)))
    name = picture_storage.picture_name(made.picture.sha256)
    assert default_storage.exists(name)
    answer = ann.ask("delete", f"/records/{made.key}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not Record.objects.exists()
    assert not default_storage.exists(name)


@pytest.mark.parametrize(
    ("verdict", "truth", "expected"),
    [
        ("confirmed", None, ("confirmed", "cat")),
        ("corrected", "dog", ("corrected", "dog")),
        ("corrected", "cat", ("confirmed", "cat")),
        ("rejected", None, ("rejected", None)),
    ],
)
def test_review_is_written_down(
    rob: Program, verdict: str, truth: str | None, expected: tuple[str, str | None]
) -> None:
    made = making.event("cat")
    judgement = {"verdict": verdict, "truth": truth}
    answer = rob.ask(
        "put", f"/records/{made.key}/review", data=judgement, content_type="application/json"
    )
    review = answer.json()["review"]
    assert (review["verdict"], review["truth"]) == expected
    assert review["reviewer"] == "rob"
    assert rob.get(f"/records/{made.key}") == answer.json()


def test_review_can_be_taken_back(rob: Program) -> None:
    made = making.event("cat", verdict="rejected", reviewer=rob.user)
    answer = rob.ask(
        "put",
        f"/records/{made.key}/review",
        data='{"verdict": ""}',
        content_type="application/json",
    )
    assert answer.json()["review"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 422),
        ("{", 400),
        ("[]", 422),
        ("{}", 422),
        ('{"verdict": "perhaps"}', 422),
        ('{"verdict": "corrected"}', 422),
        ('{"verdict": "corrected", "truth": "  "}', 422),
        ('{"verdict": "corrected", "truth": "a\\u0000b"}', 422),
        ('{"verdict": "corrected", "truth": "\\ud800"}', 422),
        ('{"verdict": "corrected", "truth": "%s"}' % ("a" * 201), 422),
        ('{"verdict": "corrected", "truth": "%s"}' % ("a" * 3_000_000), 413),
    ],
)
def test_review_that_is_none_changes_nothing(rob: Program, body: str, status: int) -> None:
    made = making.event("cat")
    answer = rob.ask(
        "put", f"/records/{made.key}/review", data=body, content_type="application/json"
    )
    assert problem(answer)["status"] == status
    assert Record.objects.get().verdict == ""
    assert Label.objects.count() == 1


def test_page_of_the_record_is_where_the_link_leads(ann: Program, viewer: Client) -> None:
    made = making.event()
    link = ann.get(f"/records/{made.key}")["links"]["page"]
    assert viewer.get(link).status_code == 200
