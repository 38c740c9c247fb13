"""How far the machine's clock is believed, and what is deleted while it is not."""

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.test import Client

from edge_classifier.web.config.folders import Folders
from edge_classifier.web.config.settings import RetentionSettings
from edge_classifier.web.maintenance import retention
from edge_classifier.web.maintenance.clock import (
    ClockGuard,
    ClockReading,
    KnownClock,
    Trust,
    judge,
    read_clock,
)
from edge_classifier.web.maintenance.housekeeping import Housekeeping
from edge_classifier.web.models import EventPicture, Record
from edge_classifier.web.recorder.correct_times import correct_times
from edge_classifier.web.records import picture_storage
from edge_classifier.web.services import Services
from tests.waiting import eventually
from tests.web import making

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()
HOUR, DAY = 3600.0, 86_400.0
KEPT = timedelta(days=8)
WEEKS = RetentionSettings(days=90, max_records=0, max_gb=0)


def reading(
    wall_s: float, uptime_s: float, *, boot: str = "a", synchronized: bool | None = None
) -> ClockReading:
    return ClockReading(NOW_S + wall_s, boot, uptime_s, synchronized)


def judged(*readings: ClockReading) -> Trust:
    """What is thought of the last one."""
    known: KnownClock | None = None
    for one in readings:
        trust, known = judge(one, known)
    return trust


STEADY = [reading(0, 100), reading(HOUR, 100 + HOUR)]


@pytest.mark.parametrize(
    ("readings", "expected"),
    [
        ([reading(0, 100)], Trust.STEADY),
        ([reading(0, 100, synchronized=True)], Trust.CONFIRMED),
        (STEADY, Trust.STEADY),
        # Set forward, and back, while it runs.
        ([*STEADY, reading(200 * DAY, 100 + 2 * HOUR)], Trust.DOUBTFUL),
        ([*STEADY, reading(-200 * DAY, 100 + 2 * HOUR)], Trust.DOUBTFUL),
        # A little, as summer time never is.
        ([*STEADY, reading(2.5 * HOUR, 100 + 2 * HOUR)], Trust.STEADY),
        # Started again, without a clock of its own, or after an evening.
        ([*STEADY, reading(HOUR, 20, boot="b")], Trust.STEADY),
        ([*STEADY, reading(9 * HOUR, 20, boot="b")], Trust.STEADY),
        # In 1970, or after half a year: this clock alone says so.
        ([*STEADY, reading(-NOW_S, 20, boot="b")], Trust.DOUBTFUL),
        ([*STEADY, reading(180 * DAY, 20, boot="b")], Trust.DOUBTFUL),
        ([*STEADY, reading(180 * DAY, 20, boot="b", synchronized=True)], Trust.CONFIRMED),
        # A container that starts again has the same boot, and less time behind it.
        ([*STEADY, reading(2 * HOUR, 5)], Trust.STEADY),
        # A day later it is not news any more.
        (
            [*STEADY, *(reading(200 * DAY + n * HOUR, 100 + (n + 2) * HOUR) for n in range(24))],
            Trust.DOUBTFUL,
        ),
        (
            [*STEADY, *(reading(200 * DAY + n * HOUR, 100 + (n + 2) * HOUR) for n in range(26))],
            Trust.STEADY,
        ),
    ],
)
def test_clock_is_believed_as_far_as_something_else_agrees_with_it(
    readings: Sequence[ClockReading], expected: Trust
) -> None:
    assert judged(*readings) is expected


def test_what_is_known_of_the_clock_outlives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    assert ClockGuard(file, lambda: reading(0, 100)).trust() is Trust.STEADY
    assert ClockGuard(file, lambda: reading(200 * DAY, 200)).trust() is Trust.DOUBTFUL
    assert ClockGuard(file, lambda: reading(200 * DAY + HOUR, 200 + HOUR)).trust() is Trust.DOUBTFUL


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"wall_s": 1}', b'{"a": 1}'])
def test_file_that_is_damaged_is_as_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "clock.json"
    file.write_bytes(content)
    assert ClockGuard(file, lambda: reading(0, 100)).trust() is Trust.STEADY


def test_clock_that_cannot_be_remembered_is_judged_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "none" / "clock.json"
    assert ClockGuard(file, lambda: reading(0, 1, synchronized=True)).trust() is Trust.CONFIRMED


def test_this_machines_clock_can_be_read() -> None:
    first, second = read_clock(), read_clock()
    assert first.boot == second.boot
    assert second.uptime_s >= first.uptime_s
    assert first.synchronized in (True, False, None)


@pytest.fixture
def folders(page: Services, tmp_path: Path) -> Folders:
    (tmp_path / "scratch").mkdir()
    return replace(page.folders, pictures=tmp_path / "pictures", state=tmp_path)


@pytest.fixture
def round_at(folders: Folders) -> Callable[..., Housekeeping]:
    """One round of housekeeping at a moment, in seconds from NOW, after one a minute before."""

    def run(wall_s: float, *, synchronized: bool | None = None) -> Housekeeping:
        moments = iter([reading(0, 100), reading(wall_s, 160, synchronized=synchronized)])
        nows = iter([NOW, NOW + timedelta(seconds=wall_s)])
        housekeeping = Housekeeping(
            WEEKS, folders, kept=KEPT, now=lambda: next(nows), clock=lambda: next(moments)
        )
        housekeeping.run_once()
        housekeeping.run_once()
        return housekeeping

    return run


def test_clock_that_leaps_half_a_year_ahead_deletes_nothing(
    db: None, round_at: Callable[..., Housekeeping], caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(10):
        making.event(at=NOW - timedelta(days=number))
    picture = picture_storage.put(making.jpeg())
    EventPicture.objects.create(key=uuid.uuid4(), picture=picture)
    Session.objects.create(session_key="a", expire_date=NOW + timedelta(days=14))
    assert round_at(200 * DAY).spared == 10
    assert Record.objects.count() == 10
    assert EventPicture.objects.exists()
    assert Session.objects.exists()
    assert "clock is in doubt" in caplog.text


def test_clock_that_nothing_confirms_deletes_no_more_than_the_stated_share(
    db: None, folders: Folders
) -> None:
    for number in range(300):
        making.event(model=str(number), at=NOW - timedelta(days=300 - number))
    housekeeping = Housekeeping(WEEKS, folders, now=lambda: NOW, clock=lambda: reading(0, 100))
    assert housekeeping.run_once()["records"] == 3
    assert housekeeping.spared == 210 - 3
    assert not Record.objects.filter(model__in=["0", "1", "2"]).exists()


def test_clock_that_is_confirmed_deletes_all_that_is_too_old_after_half_a_year_off(
    db: None, round_at: Callable[..., Housekeeping]
) -> None:
    for number in range(10):
        making.event(at=NOW - timedelta(days=number))
    assert round_at(200 * DAY, synchronized=True).spared == 0
    assert not Record.objects.exists()


def test_limits_by_number_and_bytes_hold_whatever_the_clock_says(
    db: None, folders: Folders
) -> None:
    for number in range(10):
        making.event(model=str(number), at=NOW + timedelta(days=number))
    limits = replace(WEEKS, max_records=4)
    assert retention.apply(limits, NOW - timedelta(days=9000), share=0.0) == 6
    assert set(Record.objects.values_list("model", flat=True)) == set("6789")


@pytest.mark.parametrize("stamp", [datetime(1970, 1, 1, tzinfo=UTC), NOW - timedelta(days=200)])
def test_record_is_as_old_as_its_recording_and_not_as_its_stamp(db: None, stamp: datetime) -> None:
    making.event(at=stamp, recorded_at=NOW - timedelta(days=1))
    assert retention.apply(WEEKS, NOW) == 0
    assert retention.apply(WEEKS, NOW + timedelta(days=90)) == 1


def test_record_made_while_our_own_clock_was_ahead_gets_times_that_can_be(
    db: None, round_at: Callable[..., Housekeeping]
) -> None:
    ahead = NOW + timedelta(days=3000)
    right = making.event(model="r", at=ahead, device_at=NOW - timedelta(hours=2), recorded_at=ahead)
    both = making.event(model="b", at=ahead, recorded_at=ahead)
    upload = making.upload(at=ahead, recorded_at=ahead)
    known = making.event(model="k", at=NOW)
    round_at(60, synchronized=True)
    now = NOW + timedelta(seconds=60)
    found = {record.pk: record for record in Record.objects.all()}
    assert (found[right.pk].at, found[right.pk].device_at) == (NOW - timedelta(hours=2), None)
    assert (found[both.pk].at, found[both.pk].device_at) == (now, ahead)
    assert (found[upload.pk].at, found[upload.pk].recorded_at) == (now, now)
    assert found[upload.pk].day == now.date()
    assert (found[known.pk].at, found[known.pk].recorded_at) == (NOW, NOW)


def test_clock_that_is_not_confirmed_corrects_no_record(
    db: None, round_at: Callable[..., Housekeeping]
) -> None:
    making.event(at=NOW)
    round_at(-400 * DAY)
    assert Record.objects.get().recorded_at == NOW


def test_records_of_a_start_without_a_clock_follow_it_when_it_is_set(db: None) -> None:
    stale = NOW - timedelta(days=200)
    making.event(at=stale, recorded_at=stale)
    leap = timedelta(days=200)
    assert correct_times(Record.objects.all(), lambda received: received + leap, KEPT) == 1
    record = Record.objects.get()
    assert (record.recorded_at, record.at, record.device_at) == (NOW, NOW, stale)


def test_login_that_failed_while_the_clock_was_ahead_locks_nobody_out_until_then(
    db: None, round_at: Callable[..., Housekeeping]
) -> None:
    made = AccessAttempt.objects.create(username="anna", failures_since_start=5)
    AccessAttempt.objects.filter(pk=made.pk).update(attempt_time=NOW + timedelta(days=200))
    round_at(60, synchronized=True)
    assert not AccessAttempt.objects.exists()


def test_history_shows_both_times_and_does_not_begin_with_the_future(
    db: None, viewer: Client
) -> None:
    stamp = datetime(2035, 2, 8, 10, 11, 12, tzinfo=UTC)
    odd = making.event("odd", at=NOW - timedelta(hours=1), device_at=stamp)
    making.event("newest", at=NOW)
    text = viewer.get("/history").content.decode()
    assert text.index(">newest</a>") < text.index(">odd</a>")
    assert "clock: 2035-02-08" in text
    text = viewer.get(f"/records/{odd.key}").content.decode()
    assert "Time by the device" in text
    assert "2035-02-08" in text
    chinese = viewer.get("/history", headers={"Accept-Language": "zh-CN"}).content.decode()
    assert "设备时钟" in chinese
    rows = viewer.get("/history/export.json")
    exported = b"".join(rows)
    assert b'"device_at": "2035-02-08T10:11:12.000Z"' in exported


def test_administrators_are_told_what_stays_for_the_clock(
    db: None,
    page: Services,
    folders: Folders,
    change: Callable[..., Services],
    administrator: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    making.event(at=NOW - timedelta(days=100))
    housekeeping = Housekeeping(WEEKS, folders, now=lambda: NOW, clock=lambda: reading(0, 100))
    change(housekeeping=housekeeping, settings=replace(page.settings, retention=WEEKS))
    housekeeping.run_once()
    text = administrator.get("/history").content.decode()
    assert "nothing confirms that the clock of this machine is right" in text
    administrator.logout()


def test_clock_that_was_set_while_the_page_was_away_is_in_doubt_from_its_start_on(
    transactional_db: None, folders: Folders
) -> None:
    making.event(at=NOW)
    ClockGuard(folders.clock, lambda: reading(0, 100)).trust()
    readings = iter([reading(200 * DAY, 200), reading(200 * DAY + 600, 800)])
    housekeeping = Housekeeping(
        WEEKS,
        folders,
        now=lambda: NOW + timedelta(days=200),
        clock=lambda: next(readings),
        wait_s=0.0,
    )
    housekeeping.start()
    try:
        eventually(lambda: housekeeping.spared)
    finally:
        housekeeping.stop()
    assert Record.objects.count() == 1
