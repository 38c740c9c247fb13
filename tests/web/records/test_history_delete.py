"""Deleting from history: who may, what goes, and that nobody is surprised."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from edge_classifier.web.models import Record, User
from tests.web import making


def hidden(page: str) -> dict[str, list[str]]:
    """What the form of the confirmation sends."""
    found: dict[str, list[str]] = {}
    form = page[page.index('action="/history/delete"') :]
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form):
        found.setdefault(name, []).append(value)
    return found


def confirm(client: Client, said: dict[str, Any]) -> str:
    """Answer yes to what is asked."""
    asked = client.post("/history/delete", said)
    assert asked.status_code == 200, asked
    said = {**hidden(asked.content.decode()), "confirmed": "1"}
    return client.post("/history/delete", said, follow=True).content.decode()


def left() -> set[str]:
    return set(Record.objects.values_list("model", flat=True))


def test_reviewer_deletes_what_is_selected(reviewer: Client) -> None:
    records = [making.event(model=name) for name in "abc"]
    page = confirm(reviewer, {"what": "selected", "key": [str(r.key) for r in records[:2]]})
    assert "2 records were deleted" in page
    assert left() == {"c"}


def test_nothing_goes_before_it_is_confirmed(reviewer: Client) -> None:
    record = making.event(verdict="confirmed")
    asked = reviewer.post("/history/delete", {"what": "selected", "key": [str(record.key)]})
    assert "Delete 1 record?" in asked.content.decode()
    assert "has been reviewed" in asked.content.decode()
    assert Record.objects.count() == 1


def test_reviewer_deletes_what_the_filter_finds(reviewer: Client) -> None:
    for name in ("cat", "dog", "cat"):
        making.event(name, model=name)
    page = confirm(reviewer, {"what": "all", "label": "cat"})
    assert "2 records were deleted" in page
    assert left() == {"dog"}


def test_what_comes_after_the_question_stays(reviewer: Client) -> None:
    making.event(model="old")
    asked = reviewer.post("/history/delete", {"what": "all"}).content.decode()
    making.event(model="new")
    reviewer.post("/history/delete", {**hidden(asked), "confirmed": "1"})
    assert left() == {"new"}


def test_viewer_deletes_own_uploads_only(viewer: Client) -> None:
    own = making.upload(model="own", owner=User.objects.get(username="viewer"))
    event = making.event(model="event")
    other = making.upload(model="other", owner=User.objects.create_user("else"))
    keys = [str(record.key) for record in (own, event, other)]
    page = viewer.get("/history").content.decode()
    assert re.findall(r'name="key" value="([^"]+)"', page) == [str(own.key)]
    assert "1 record was deleted" in confirm(viewer, {"what": "selected", "key": keys})
    assert left() == {"event", "other"}


def test_viewer_cannot_delete_all_of_others(viewer: Client) -> None:
    making.event(model="event")
    answer = viewer.post("/history/delete", {"what": "all", "confirmed": "1"}, follow=True)
    assert "0 records were deleted" in answer.content.decode()
    assert left() == {"event"}


def test_visitor_is_sent_to_log_in(visitor: Client) -> None:
    record = making.event()
    said = {"what": "selected", "key": str(record.key), "confirmed": "1"}
    assert visitor.post("/history/delete", said)["Location"].startswith("/login")
    assert Record.objects.count() == 1


def test_delete_needs_the_secret_of_the_form(reviewer: Client) -> None:
    making.event()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = reviewer.cookies
    assert strict.post("/history/delete", {"what": "all", "confirmed": "1"}).status_code == 403
    assert reviewer.get("/history/delete").status_code == 405
    assert Record.objects.count() == 1


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"what": "everything"},
        {"what": "selected"},
        {"what": "selected", "key": "no-key"},
        {"what": "selected", "key": "aa4710dcd6294f54aba51fda428da768"},
        {"what": "all", "score_min": "9"},
        {"what": "all", "label": "no such label"},
        {"what": "all", "source": "api"},
    ],
)
def test_delete_of_what_is_not_clear_deletes_nothing_and_says_why(
    reviewer: Client, said: dict[str, str]
) -> None:
    making.event()
    answer = reviewer.post("/history/delete", said, follow=True)
    assert 'class="message error"' in answer.content.decode()
    if said.get("score_min") or not said.get("what"):
        reviewer.post("/history/delete", {**said, "confirmed": "1"})
    assert Record.objects.count() == 1


def test_delete_comes_back_to_the_filter(reviewer: Client) -> None:
    making.event("cat", at=timezone.now())
    asked = reviewer.post("/history/delete", {"what": "all", "label": "cat", "source": "event"})
    said = {**hidden(asked.content.decode()), "confirmed": "1"}
    answer = reviewer.post("/history/delete", said)
    assert answer["Location"] == "/history?label=cat&source=event"
