"""The tally is what the records are, whoever changes them and however that ends."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from edge_classifier.web.models import (
    DayTally,
    HourTally,
    Label,
    LabelDayTally,
    Preference,
    Record,
    User,
)
from edge_classifier.web.recorder import received
from edge_classifier.web.recorder.write_records import write_batch
from edge_classifier.web.records import deletion
from edge_classifier.web.review import verdicts
from edge_classifier.web.tally import counts, triggers, upkeep
from tests.web import making
from tests.web.recording import EVENT, end_payload, event_payload, glimpse_payload

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 22, 12, 10, tzinfo=UTC)


def in_tally() -> dict[tuple[Any, ...], int]:
    """The sums by day, label, source, owner, verdict and camera; those without are the same."""
    key = ("day", "label__name", "source", "owner", "verdict")
    cameras, days, hours = (Counter[tuple[Any, ...]]() for _ in range(3))
    for *place, camera, count in DayTally.objects.values_list(*key, "camera__name", "count"):
        cameras[*place, camera] += count
    for table, found in ((LabelDayTally, days), (HourTally, hours)):
        for *place, count in table.objects.values_list(*key, "count"):
            found[tuple(place)] += count
    wherever = Counter[tuple[Any, ...]]()
    for place, count in cameras.items():
        wherever[place[:-1]] += count
    assert wherever == days == hours
    return dict(cameras)


def counted() -> dict[tuple[Any, ...], int]:
    """The same, of the records themselves."""
    found = Counter[tuple[Any, ...]]()
    for one in Record.objects.select_related("label", "truth", "camera"):
        label = one.truth or one.label
        camera = one.camera.name if one.camera else None
        found[one.day, label.name, one.source, one.owner_id, one.verdict, camera] += 1
    return dict(found)


@pytest.fixture
def reviewer_user() -> User:
    return User.objects.create_user("judge", role="reviewer")


def test_each_way_of_changing_records_changes_the_tally(reviewer_user: User) -> None:
    owner = User.objects.create_user("owner")
    cats = [making.event("cat", at=NOON + timedelta(hours=n)) for n in range(4)]
    making.event("dog", camera=making.camera("garden"), at=NOON)
    making.event("cat", source="glimpse", at=NOON)
    making.upload("cat", owner=owner, at=NOON)
    making.upload("cat", at=NOON)
    assert in_tally() == counted()
    for verdict, truth in (
        ("confirmed", None),
        ("corrected", "fox"),
        ("rejected", None),
        ("", None),
        ("nothing", None),
    ):
        verdicts.judge_all(cats[:2], verdict, truth, reviewer_user)
        assert in_tally() == counted()
    # What ends more exactly than it began, and what was another day.
    cats[2].label, cats[3].day = making.label("tabby"), date(2026, 11, 21)
    Record.objects.bulk_update(cats[2:], ["label", "day"])
    Record.objects.filter(pk=cats[3].pk).update(at=NOON - timedelta(days=1))
    assert in_tally() == counted()
    owner.delete()
    assert in_tally() == counted()
    deletion.delete(Record.objects.filter(source="upload"), rest=lambda _: None)
    deletion.delete(Record.objects.filter(pk=cats[0].pk), rest=lambda _: None)
    assert in_tally() == counted()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM web_record")
    assert in_tally() == {}


def test_what_is_not_committed_or_there_already_is_not_counted() -> None:
    cat = making.event("cat")
    Record.objects.bulk_create([Record(**facts(cat))], ignore_conflicts=True)
    with transaction.atomic():
        making.event("cat")
        transaction.set_rollback(True)
    assert sum(in_tally().values()) == Record.objects.count() == 1


def test_event_that_comes_again_is_counted_once(reviewer_user: User) -> None:
    spoken = {"path": ["animal", "cat"], "top": [{"label": "cat", "score": 0.75}]}
    messages = [
        *(event_payload(number, **spoken) for number in range(3)),
        *(end_payload(number, to="tabby", label="tabby") for number in range(2)),
        glimpse_payload(9),
    ]
    read_all = [
        received.read(EVENT, one, "edge-classifier", 1, timedelta(days=9), lambda: NOON)
        for one in messages
    ]
    for batch in (read_all[:2], read_all, read_all[::-1]):
        write_batch([one for one in batch if one])
        assert in_tally() == counted()
    verdicts.judge(Record.objects.filter(source="event")[0], "rejected", None, reviewer_user)
    first = dict(Label.objects.values_list("name", "first_seen"))
    write_batch([one for one in read_all if one])
    assert in_tally() == counted()
    assert sum(in_tally().values()) == Record.objects.count() == 4
    # Nor is what was rejected seen for the first time once more.
    assert dict(Label.objects.values_list("name", "first_seen")) == first


def facts(record: Record) -> dict[str, Any]:
    return {
        field.attname: getattr(record, field.attname)
        for field in Record._meta.concrete_fields
        if not field.primary_key
    }


def test_a_tally_that_is_wrong_is_found_and_mended() -> None:
    for day in range(3):
        making.event("cat", at=NOON + timedelta(days=day))
    assert upkeep.wrong_days() == []
    DayTally.objects.filter(day=NOON.date()).update(count=7)
    HourTally.objects.filter(day=NOON.date() + timedelta(days=2)).delete()
    assert upkeep.wrong_days() == [NOON.date(), NOON.date() + timedelta(days=2)]
    upkeep.install(anew=True)
    assert upkeep.wrong_days() == []
    assert in_tally() == counted()


def test_triggers_that_are_gone_come_back_and_all_is_counted_anew() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER web_tally_insert")
    making.event("cat")
    assert in_tally() == {}
    assert upkeep.install() == 1
    making.event("cat")
    assert in_tally() == counted() != {}
    assert upkeep.install() == 0


def test_counting_that_was_killed_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(3):
        making.event("cat", at=NOON + timedelta(days=day))
    DayTally.objects.all().delete()
    HourTally.objects.all().delete()
    Preference.objects.filter(name="tally").delete()
    real = upkeep.count_day

    def killed(day: date) -> None:
        if day > NOON.date():
            raise KeyboardInterrupt
        real(day)

    monkeypatch.setattr(upkeep, "count_day", killed)
    with pytest.raises(KeyboardInterrupt):
        upkeep.install()
    # Meanwhile another process records, or deletes, what was counted or is still to be counted.
    making.event("cat", at=NOON)
    making.event("cat", at=NOON + timedelta(days=1))
    deletion.delete(Record.objects.filter(day=NOON.date() + timedelta(days=2)))
    monkeypatch.undo()
    upkeep.install()
    assert in_tally() == counted()


@pytest.mark.parametrize(
    ("zone", "shift"),
    [("UTC", 0), ("Europe/Berlin", 0), ("Asia/Kolkata", 1800), ("Asia/Kathmandu", 2700)],
)
def test_hours_begin_with_those_of_the_clock_on_the_wall(zone: str, shift: int) -> None:
    assert triggers.shift_s(zone) == shift


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Australia/Lord_Howe"]
)
def test_hours_of_a_year_are_those_that_the_clock_on_the_wall_showed(
    zone: str, settings: Any
) -> None:
    settings.TIME_ZONE = zone
    shift, now = triggers.shift_s(zone), timezone.now()
    cat, expected = making.label("cat"), Counter[int]()
    rows = []
    # Each fifth hour: within a week or so all hours of the clock.
    for hour in range(0, 366 * 24, 5):
        at = now - timedelta(hours=hour)
        number = int(at.timestamp() + shift) // 3600
        kind = {"label": cat, "source": "event", "verdict": "", "day": at.date()}
        rows.append(HourTally(hour=number, count=hour + 1, **kind))
        if number >= int((now - timedelta(days=365)).timestamp()) // 3600:
            begin = datetime.fromtimestamp(number * 3600 - shift, ZoneInfo(zone))
            expected[begin.hour] += hour + 1
    HourTally.objects.bulk_create(rows)
    found = counts.by_hour_of_day(HourTally.objects.all(), now - timedelta(days=365))
    assert found == [expected[hour] for hour in range(24)]


def test_pages_are_told_how_many_and_when(reviewer_user: User) -> None:
    front, garden = making.camera(), making.camera("garden")
    first = making.event("cat", at=NOON, score=0.5)
    making.event("cat", at=NOON + timedelta(minutes=5), score=0.9)
    wrong = making.event("cat", at=NOON + timedelta(minutes=9), score=0.99)
    fox = making.event("dog", camera=garden, at=NOON + timedelta(days=1), score=0.7)
    making.event("cat", source="glimpse", at=NOON - timedelta(days=5))
    early = making.event("cat", at=NOON - timedelta(days=5), verdict="rejected")
    verdicts.judge(wrong, "rejected", None, reviewer_user)
    verdicts.judge(fox, "corrected", "fox", reviewer_user)
    cat, fox_label = making.label("cat"), making.label("fox")
    rows = DayTally.objects.filter(counts.SEEN).order_by("-day")
    assert list(rows.values_list("day", "camera", "label").annotate(n=Sum("count"))) == [
        (timezone.localdate(fox.at), garden.pk, fox_label.pk, 1),
        (timezone.localdate(NOON), front.pk, cat.pk, 2),
    ]
    assert counts.first_of(cat.pk) == first
    assert counts.first_of(cat.pk, garden.pk) is None
    assert counts.last_of(fox_label.pk) == counts.first_of(fox_label.pk, garden.pk) == fox
    assert counts.last_of(making.label("dog").pk) is None
    hours = HourTally.objects.filter(counts.SEEN, label=cat)
    by_clock = counts.by_hour_of_day(hours, NOON - timedelta(days=9))
    assert by_clock[timezone.localtime(NOON).hour] == sum(by_clock) == 2
    verdicts.judge(early, "", None, reviewer_user)
    assert counts.first_of(cat.pk) == early


def test_a_viewer_is_told_of_cameras_and_of_their_own(reviewer_user: User) -> None:
    viewer = User.objects.create_user("viewer")
    making.event("cat")
    making.upload("cat", owner=viewer)
    making.upload("cat", owner=reviewer_user)
    for user, count in ((viewer, 2), (reviewer_user, 3)):
        found = counts.visible_to(user, DayTally.objects.all())
        assert found.aggregate(total=Sum("count"))["total"] == count
