"""Retention, and what is left lying."""

import logging
import os
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessLog
from django.contrib.sessions.models import Session
from django.core.files.storage import default_storage
from django.db import connection
from django.db.models import Sum
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.web.config.folders import Folders
from edge_classifier.web.config.settings import RetentionSettings
from edge_classifier.web.maintenance import cleanup, retention
from edge_classifier.web.maintenance.clock import ClockReading, read_clock
from edge_classifier.web.maintenance.housekeeping import Housekeeping
from edge_classifier.web.models import EventPicture, Picture, Record, User
from edge_classifier.web.recorder import write_pictures
from edge_classifier.web.records import picture_storage
from edge_classifier.web.services import Services
from tests.waiting import eventually
from tests.web import making

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEVER = RetentionSettings(days=0, max_records=0, max_gb=0)


def confirmed() -> ClockReading:
    """A clock that the network sets."""
    return replace(read_clock(), synchronized=True)


AT_ONCE: dict[str, Any] = {"clock": confirmed, "wait_s": 0.0, "period_s": 0.05}


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def left() -> str:
    return "".join(Record.objects.order_by("at", "id").values_list("model", flat=True))


@pytest.fixture
def records(db: None) -> int:
    """Five records, the oldest first, of which the second is reviewed; the bytes of a picture."""
    size = 0
    for number, name in enumerate("abcde"):
        verdict = "confirmed" if name == "b" else ""
        made = making.event(
            name,
            model=name,
            at=days_ago(5 - number),
            verdict=verdict,
            picture=making.jpeg((40 * number, 0, 0)),
        )
        size = max(size, made.picture.size)
    return size


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (NEVER, "abcde"),
        (replace(NEVER, days=2.5), "bde"),
        (replace(NEVER, days=2.5, reviewed=True), "de"),
        (replace(NEVER, days=5), "abcde"),
        (replace(NEVER, max_records=4), "abcde"),
        (replace(NEVER, max_records=3), "bcde"),
        (replace(NEVER, max_records=2), "bde"),
        (replace(NEVER, max_records=3, reviewed=True), "cde"),
        (replace(NEVER, max_records=1), "be"),
        (replace(NEVER, days=3.5, max_records=1), "be"),
    ],
)
def test_retention_keeps_the_newest_and_the_reviewed(
    records: int, policy: RetentionSettings, expected: str
) -> None:
    assert retention.apply(policy, NOW) == 5 - len(expected)
    assert left() == expected
    assert Picture.objects.count() == len(expected)


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [(4, "abcde"), (3, "bcde"), (2.5, "bde"), (1.5, "be"), (0.5, "b")],
)
def test_retention_by_bytes_deletes_no_more_than_it_must(
    records: int, pictures: float, expected: str
) -> None:
    limit = replace(NEVER, max_gb=pictures * records / 1e9)
    retention.apply(limit, NOW)
    assert left() == expected


def test_retention_by_bytes_does_not_sum_up_all_pictures_for_each_step(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP", 2)
    for number in range(20):
        picture = making.jpeg((10 * number, 0, 0))
        newest = making.event(model="a", at=days_ago(20 - number), picture=picture)
    with CaptureQueriesContext(connection) as asked:
        retention.apply(replace(NEVER, max_gb=newest.picture.size / 1e9), NOW)
    assert left() == "a"
    assert sum("SUM(" in query["sql"] for query in asked) <= 3


def test_retention_by_bytes_takes_all_records_of_a_picture(db: None) -> None:
    for number in range(4):
        making.upload(model=str(number), at=days_ago(4 - number))
    new = making.upload(model="n", at=NOW, picture=making.jpeg((200, 0, 0)))
    retention.apply(replace(NEVER, max_gb=new.picture.size / 1e9), NOW)
    assert left() == "n"


def test_retention_by_bytes_leaves_records_without_a_picture(db: None) -> None:
    making.event(model="e", at=days_ago(9))
    making.upload(model="u", at=NOW)
    retention.apply(replace(NEVER, max_gb=1e-9), NOW)
    assert left() == "e"


@pytest.fixture
def many_reviewed(records: int) -> int:
    """Nine reviewed records, newer than those of ``records``; the bytes of a picture."""
    for number in range(9):
        picture = making.jpeg((0, 20 * number, 0))
        making.event(model="r", at=NOW, verdict="confirmed", picture=picture)
    return records


def test_retention_keeps_what_is_not_reviewed_though_the_reviewed_alone_are_too_much(
    many_reviewed: int,
) -> None:
    limits = replace(NEVER, max_records=4, max_gb=4 * many_reviewed / 1e9)
    assert retention.apply(limits, NOW) == 0
    making.event(model="n", at=NOW, picture=making.jpeg((0, 0, 200)))
    assert retention.apply(limits, NOW) == 1
    assert left() == "bcde" + 9 * "r" + "n"


def test_retention_does_not_count_snapshots_whose_event_never_came(records: int) -> None:
    for number in range(1, 10):
        picture = picture_storage.put(making.jpeg((0, 20 * number, 0)))
        EventPicture.objects.create(key=uuid.uuid4(), picture=picture)
    limit = replace(NEVER, max_gb=4 * records / 1e9)
    assert retention.apply(limit, NOW) == 0
    stay = Picture.objects.exclude(record__verdict="")
    used = stay.aggregate(all=Sum("size"))["all"]
    assert stay.count() == 10
    assert retention.surplus(limit) == retention.Surplus(0, used)


def test_retention_by_bytes_spares_records_whose_picture_would_stay(db: None) -> None:
    making.event(model="s", at=days_ago(3), picture=making.jpeg((1, 0, 0)))
    making.event(model="r", at=NOW, picture=making.jpeg((1, 0, 0)), verdict="confirmed")
    making.event(model="o", at=days_ago(2), picture=making.jpeg((90, 0, 0)))
    new = making.event(model="n", at=days_ago(1), picture=making.jpeg((200, 0, 0)))
    retention.apply(replace(NEVER, max_gb=new.picture.size / 1e9), NOW)
    assert left() == "snr"


def test_retention_says_what_stays_above_the_limits(many_reviewed: int) -> None:
    size = Picture.objects.filter(record__verdict="confirmed").aggregate(all=Sum("size"))["all"]
    policy = replace(NEVER, max_records=9, max_gb=size / 2e9)
    assert retention.surplus(policy) == retention.Surplus(10, size)
    assert retention.surplus(replace(policy, max_records=10, max_gb=size / 1e9)) is None
    assert retention.surplus(replace(policy, reviewed=True)) is None
    assert retention.surplus(NEVER) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=20), st.integers(1, 60))
def test_enough_frees_what_it_must_with_as_few_as_can_be(
    drawn: list[tuple[int, int]], excess: int
) -> None:
    sizes = dict(drawn)  # A picture has one size.
    pictures = [(picture, sizes[picture]) for picture, _ in drawn]

    def freed(count: int) -> int:
        kept = {picture for picture, _ in pictures[count:]}
        return sum(size for picture, size in sizes.items() if picture not in kept)

    count = retention.enough(pictures, excess)
    assert freed(count) >= excess or count == len(pictures)
    assert not count or freed(count - 1) < excess


@pytest.fixture
def unmatched(db: None) -> list[EventPicture]:
    """Snapshots whose events have not come; the last one is young."""
    made = []
    for number, age_days in enumerate((2, 1.1, 0.9)):
        picture = picture_storage.put(making.jpeg((0, 60 * number, 0)))
        made.append(EventPicture.objects.create(key=uuid.uuid4(), picture=picture))
        EventPicture.objects.filter(pk=made[-1].pk).update(created_at=days_ago(age_days))
    return made


def test_pictures_whose_events_never_came_go_after_a_day_however_many_they_are(
    unmatched: list[EventPicture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_pictures, "_MAX_DROPPED", 1)
    assert cleanup.delete_unmatched_pictures(NOW) == 2
    assert EventPicture.objects.get() == unmatched[-1]
    assert Picture.objects.get() == unmatched[-1].picture
    for gone in unmatched[:-1]:
        name = picture_storage.picture_name(gone.picture.sha256)
        assert not default_storage.exists(name)


def test_cleanup_delete_pictures_that_lost_their_record_yesterday(db: None) -> None:
    lost, fresh = (
        picture_storage.put(making.jpeg((1, 1, 1))),
        picture_storage.put(making.jpeg((2, 2, 2))),
    )
    used = making.upload(picture=making.jpeg((3, 3, 3))).picture
    Picture.objects.exclude(id=fresh.id).update(created_at=days_ago(1.1))
    Picture.objects.filter(id=fresh.id).update(created_at=days_ago(0.9))
    assert cleanup.delete_unused_pictures(NOW) == 1
    assert set(Picture.objects.all()) == {fresh, used}
    assert not default_storage.exists(picture_storage.picture_name(lost.sha256))


@pytest.fixture
def folders(page: Services, tmp_path: Path) -> Folders:
    """Folders of this test alone."""
    (tmp_path / "scratch").mkdir()
    return replace(page.folders, pictures=tmp_path / "pictures", state=tmp_path)


def put(file: Path, age_days: float) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")
    moment = days_ago(age_days).timestamp()
    os.utime(file, (moment, moment))
    return file


def test_cleanup_delete_old_halves_of_files_and_nothing_else(db: None, folders: Folders) -> None:
    known = making.upload().picture.sha256
    gone = [put(folders.scratch / "upload", 2), put(folders.pictures / "ab/.abc.jpg.1234", 2)]
    kept = [
        put(folders.scratch / "now", 0.5),
        put(folders.pictures / "ab/.def.jpg.1234", 0.5),
        put(folders.pictures / f"{known[:2]}/{known}.jpg", 9),
        put(folders.pictures / "README", 9),
    ]
    assert cleanup.delete_unfinished_files(folders, NOW) == 2
    assert not any(file.exists() for file in gone)
    assert all(file.exists() for file in kept)
    assert Picture.objects.count() == 1


def test_cleanup_note_pictures_that_are_in_no_table(db: None, folders: Folders) -> None:
    lost, fresh, small = "ab" * 32, "cd" * 32, "ef" * 32
    put(folders.pictures / f"ab/{lost}.jpg", 2)
    put(folders.pictures / f"cd/{fresh}.jpg", 0.5)
    put(folders.pictures / f"thumbnails/ef/{small}.jpg", 2)
    cleanup.delete_unfinished_files(folders, NOW)
    assert set(Picture.objects.values_list("sha256", flat=True)) == {lost, small}


def test_cleanup_forget_expired_sessions_and_old_logins(viewer: Client) -> None:
    Session.objects.create(session_key="old", expire_date=timezone.now() - timedelta(days=1))
    for table in (AccessAttempt, AccessLog):
        facts = {"failures_since_start": 1} if table is AccessAttempt else {}
        for age in (29, 31):
            made = table.objects.create(username=f"u{age}", **facts)
            table.objects.filter(pk=made.pk).update(attempt_time=days_ago(age))
    assert cleanup.delete_expired_sessions(timezone.now()) == 1
    assert cleanup.delete_old_logins(NOW) == 2
    assert viewer.get("/history").status_code == 200
    assert AccessAttempt.objects.get().username == "u29"


def test_housekeeping_works_after_the_start_and_again(
    transactional_db: None, page: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    making.event(at=days_ago(100))
    housekeeping = Housekeeping(RetentionSettings(), page.folders, now=lambda: NOW, **AT_ONCE)
    housekeeping.start()
    try:
        eventually(lambda: not Record.objects.exists())
        making.event(at=days_ago(100))
        eventually(lambda: not Record.objects.exists())
    finally:
        housekeeping.stop()
    assert "housekeeping cleared" in caplog.text


def test_housekeeping_whose_thread_fails_as_nobody_foresaw_goes_on(
    transactional_db: None, page: Services
) -> None:
    failures = iter([True])

    def now() -> datetime:
        if next(failures, False):
            raise KeyError("unforeseen")
        return NOW

    making.event(at=days_ago(100))
    housekeeping = Housekeeping(RetentionSettings(), page.folders, now=now, **AT_ONCE)
    housekeeping.start()
    try:
        eventually(lambda: "unforeseen" in housekeeping.problem)
        eventually(lambda: not Record.objects.exists())
    finally:
        housekeeping.stop()


def test_history_tells_administrators_what_stays_above_the_limits(
    many_reviewed: int, page: Services, change: Callable[..., Services], administrator: Client
) -> None:
    limits = replace(NEVER, max_records=9, max_gb=many_reviewed / 1e9)
    housekeeping = Housekeeping(limits, page.folders, now=lambda: NOW, clock=confirmed)
    change(housekeeping=housekeeping, settings=replace(page.settings, retention=limits))

    def shown(client: Client, language: str = "en") -> str:
        answer = client.get("/history", headers={"Accept-Language": language})
        return str(answer.content.decode())

    assert "retention.max" not in shown(administrator)
    housekeeping.run_once()
    text = shown(administrator)
    assert "There are 10 reviewed records" in text
    assert "pictures that wait for their event, take" in text
    assert "已审核的记录有 10 条" in shown(administrator, "zh-CN")
    administrator.logout()
    user = User.objects.create_user("anna", role="reviewer")
    administrator.force_login(user)
    assert "retention.max" not in shown(administrator)


def test_housekeeping_goes_on_after_a_failure(
    db: None, page: Services, caplog: pytest.LogCaptureFixture
) -> None:
    now = timezone.now()
    Session.objects.create(session_key="old", expire_date=now - timedelta(days=1))
    broken = replace(RetentionSettings(), days=1e12)  # More than a date can go back.
    done = Housekeeping(broken, page.folders, now=lambda: now, clock=confirmed).run_once()
    assert "could not clear records" in caplog.text
    assert done["sessions"] == 1


def test_housekeeping_reads_the_folders_once_a_day(
    db: None, folders: Folders, page: Services
) -> None:
    hours = iter([0, 1, 25])
    housekeeping = Housekeeping(
        NEVER, folders, now=lambda: NOW + timedelta(hours=next(hours)), clock=confirmed
    )
    deleted = []
    for _ in range(3):
        put(folders.scratch / "half", 9)
        deleted.append(housekeeping.run_once()["files"])
    assert deleted == [1, 0, 1]
