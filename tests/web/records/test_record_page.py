"""The page of one record: large, with the next ones of the same list at hand."""

import re
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from edge_classifier.web.models import User
from tests.web import making
from tests.web.records.test_history import get, link


def test_next_and_previous_are_those_of_the_list_that_one_came_from(viewer: Client) -> None:
    now = timezone.now()
    names = ("cat", "dog", "cat", "cat")
    made = [making.event(name, at=now - timedelta(hours=n)) for n, name in enumerate(names)]
    page = get(viewer, f"/records/{made[2].key}?label=cat")
    assert link(page, "prev") == f"/records/{made[0].key}?label=cat"
    assert link(page, "next") == f"/records/{made[3].key}?label=cat"
    assert 'href="/history?label=cat"' in page
    everything = get(viewer, f"/records/{made[2].key}")
    assert link(everything, "prev") == f"/records/{made[1].key}"
    assert not link(get(viewer, f"/records/{made[0].key}"), "prev")


def test_next_by_score_is_the_one_that_is_less_sure(viewer: Client) -> None:
    made = [making.event(score=score) for score in (0.5, 0.9, 0.7)]
    page = get(viewer, f"/records/{made[2].key}?order=score")
    assert link(page, "prev") == f"/records/{made[1].key}?order=score"
    assert link(page, "next") == f"/records/{made[0].key}?order=score"


def test_next_one_has_a_picture_if_any_near_has(viewer: Client) -> None:
    now = timezone.now()
    first, _, pictured = (
        making.event(at=now - timedelta(hours=n), picture=making.jpeg() if n != 1 else None)
        for n in range(3)
    )
    assert link(get(viewer, f"/records/{first.key}"), "next") == f"/records/{pictured.key}"


def test_next_ones_are_among_what_one_may_see(viewer: Client) -> None:
    now = timezone.now()
    own = making.upload(owner=User.objects.get(username="viewer"), at=now)
    making.upload(owner=User.objects.create_user("other"), at=now - timedelta(hours=1))
    making.upload(at=now + timedelta(hours=1))
    page = get(viewer, f"/records/{own.key}")
    assert not link(page, "next")
    assert not link(page, "prev")


def test_wrong_filter_in_the_address_of_a_record_is_ignored(viewer: Client) -> None:
    made = making.event()
    assert viewer.get(f"/records/{made.key}?score_min=9&before=x").status_code == 200


def test_record_offers_download_and_address_and_deletes_where_one_may(
    viewer: Client, reviewer: Client
) -> None:
    made = making.event("Egyptian cat", picture=making.jpeg())
    page = get(viewer, f"/records/{made.key}?label=Egyptian+cat")
    assert f'href="/pictures/{made.key}.jpg" download>' in page
    answer: Any = viewer.get(f"/pictures/{made.key}.jpg")
    answer.getvalue()
    kept = answer["Content-Disposition"]
    assert re.fullmatch(r'inline; filename="egyptian-cat-[\d-]+\.jpg"', kept)
    assert f'value="http://testserver/records/{made.key}"' in page
    assert 'action="/history/delete"' not in page
    page = get(reviewer, f"/records/{made.key}?label=Egyptian+cat")
    form = page[page.index('action="/history/delete"') :]
    assert f'name="key" value="{made.key}"' in form
    assert 'name="label" value="Egyptian cat"' in form


def test_visitor_sees_own_upload_without_a_button_that_is_not_for_them(visitor: Client) -> None:
    made = making.upload()
    session = visitor.session
    session["own_records"] = [str(made.key)]
    session.save()
    page = get(visitor, f"/records/{made.key}")
    assert "Download" in page
    assert 'action="/history/delete"' not in page
