"""Filters: what they find, and what they refuse."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_classifier.errors import UsageError
from edge_classifier.web.models import Label, Record, User
from edge_classifier.web.records.filters import Filter, FilterForm
from tests.web import making

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def found(**params: str) -> set[str]:
    """Which of the records, by their models, fit."""
    records = Filter.parse(params).apply(Record.objects.all())
    return set(records.values_list("model", flat=True))


@pytest.fixture
def records(db: None) -> None:
    making.event("cat", model="a", at=NOON, score=0.9, camera=making.camera("front", "pi"))
    making.event(
        "dog",
        model="b",
        at=NOON + timedelta(days=1),
        score=0.5,
        camera=making.camera("back", "pi"),
        verdict="corrected",
        truth=making.label("cat"),
    )
    making.event(
        "fox",
        model="c",
        at=NOON + timedelta(days=2),
        score=0.3,
        camera=making.camera("front", "shop"),
        verdict="confirmed",
        truth=making.label("fox"),
    )
    making.event("cat", model="e", at=NOON, verdict="rejected")
    making.upload("unknown", model="d", at=NOON - timedelta(days=1), score=0.1)
    Label.objects.filter(name="cat").update(chinese="猫")


@pytest.mark.parametrize(
    ("params", "models"),
    [
        ({}, "abcd"),
        ({"device": "pi"}, "ab"),
        ({"camera": "front"}, "ac"),
        ({"device": "shop", "camera": "front"}, "c"),
        ({"device": "shop", "camera": "back"}, ""),
        ({"label": "cat"}, "ab"),
        ({"label": "猫"}, "ab"),
        ({"label": "CAT"}, "ab"),
        ({"label": "dog"}, ""),
        ({"label": "fox"}, "c"),
        ({"source": "upload"}, "d"),
        ({"source": "event"}, "abc"),
        ({"review": "no"}, "ad"),
        ({"review": "yes"}, "bc"),
        ({"review": "corrected"}, "b"),
        ({"review": "rejected"}, "e"),
        ({"review": "any"}, "abcde"),
        ({"review": "any", "label": "cat"}, "abe"),
        ({"score_min": "0.5"}, "ab"),
        ({"score_max": "0.3"}, "cd"),
        ({"score_min": "0.3", "score_max": "0.5"}, "bc"),
        ({"since": "2026-11-22T12:00:00Z"}, "abc"),
        ({"since": "2026-11-22T12:00:01Z"}, "bc"),
        ({"until": "2026-11-22T12:00:00Z"}, "d"),
        ({"until": "2026-11-22T12:00:01Z"}, "ad"),
        ({"since": "2026-11-23T13:00:00+01:00", "until": "2026-11-24T00:00:00Z"}, "b"),
        ({"label": "cat", "review": "no"}, "a"),
        ({"colour": "green", "label": ""}, "abcd"),
    ],
)
def test_filter_finds_what_fits_all_its_conditions(
    records: None, params: dict[str, str], models: str
) -> None:
    assert found(**params) == set(models)


@pytest.mark.parametrize(
    ("params", "models"),
    [
        ({"device": "shop", "camera": "front", "label": "fox"}, "c"),
        ({"camera": "front", "label": "cat", "review": "any"}, "ae"),
        ({"camera": "back", "label": "cat"}, "b"),
        ({"camera": "back", "label": "fox"}, ""),
        ({"camera": "back", "label": "dog"}, ""),
    ],
)
def test_label_that_a_camera_hardly_saw_is_looked_for_on_the_days_of_the_tally_only(
    records: None, params: dict[str, str], models: str
) -> None:
    wanted, reviewer = Filter.parse(params), User.objects.create_user("ann", role="reviewer")
    with CaptureQueriesContext(connection) as asked:
        parts, count = wanted.find(Record.objects.all(), "at", wanted.sums(reviewer))
        found = {one.model for part in parts for one in part}
    assert (found, count) == (set(models), len(models))
    of_records = [one["sql"] for one in asked if 'FROM "web_record"' in one["sql"]]
    # By the days, or of the few that were found.
    assert all('"day" IN (' in sql or '"id" IN (' in sql for sql in of_records)
    assert bool(of_records) == bool(models)


def test_day_at_the_end_is_meant_as_a_whole(db: None) -> None:
    day = Filter.parse({"since": "2026-11-22", "until": "2026-11-22"})
    assert day.since is not None
    assert day.until is not None
    assert day.until - day.since == timedelta(days=1)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"score_min": "high"}, ["score_min"]),
        ({"score_min": "nan"}, ["score_min"]),
        ({"score_max": "1.5"}, ["score_max"]),
        ({"score_min": "0.6", "score_max": "0.5"}, ["above the highest"]),
        ({"since": "2026-02-30"}, ["since"]),
        ({"since": "yesterday"}, ["2026-11-22T14:30"]),
        ({"until": "0001-01-01"}, ["until"]),
        ({"until": "9999-12-31"}, ["until"]),
        ({"since": "2026-11-23", "until": "2026-11-21"}, ["after the end"]),
        ({"source": "dream"}, ["source"]),
        ({"review": "maybe"}, ["review"]),
        ({"device": "nowhere"}, ["device"]),
        ({"label": "no such thing"}, ["no such thing"]),
        ({"label": "a\0b"}, ["label"]),
        ({"source": "x", "review": "y"}, ["source", "review"]),
    ],
)
def test_filter_refuses_what_is_wrong_and_names_it(
    records: None, params: dict[str, str], names: list[str]
) -> None:
    with pytest.raises(UsageError) as refused:
        Filter.parse(params)
    assert all(name in refused.value.problem for name in names)


def test_form_keeps_a_day_so_that_the_browser_can_show_it(db: None) -> None:
    form = FilterForm({"since": "2026-11-22", "until": "2026-11-22", "score_min": ""})
    assert 'value="2026-11-22T00:00"' in str(form["since"])
    assert 'value="2026-11-23T00:00"' in str(form["until"])
    assert form.query() == "since=2026-11-22&until=2026-11-22"


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    params=st.dictionaries(
        st.sampled_from([*FilterForm.base_fields, "before", "after", "x"]),
        st.one_of(
            st.text(max_size=30),
            st.floats().map(str),
            st.datetimes().map(lambda moment: moment.isoformat()),
            st.dates().map(str),
            st.integers().map(lambda number: f"{number}.{number}"),
            st.sampled_from(["cat", "front", "pi", "event", "yes", "no", "9999999999999999.1"]),
        ),
        max_size=4,
    )
)  # fmt: skip
def test_history_answers_any_query_with_a_page(
    records: None, viewer: Client, params: dict[str, str]
) -> None:
    assert viewer.get("/history", params).status_code in (200, 400)
