"""What people are told of, and of what not: each condition of a rule, by what must be sent."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from edge_classifier.web.models import Label, Record
from edge_classifier.web.notify import replay
from edge_classifier.web.notify.tables import Notification
from tests.web import making
from tests.web.notify.telling import NOON, PUBLIC, Clock, Receivers, notifier, rule, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def phone() -> Receivers:
    return Receivers()


def told(now: Clock, phone: Receivers, folder: Path, *events: dict[str, Any], **facts: Any) -> int:
    """How many messages these events make."""
    made = notifier(rule(folder, **facts), now=now, send=phone)
    for one in events:
        making.event(one.pop("label", "sparrow"), at=now(), **one)
        run(made)
        now.forward(seconds=10)
    return len(phone.got)


def test_200_sparrows_and_a_goldfinch_make_two_messages(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    when = ("first_of_day", "rare")
    made = notifier(rule(tmp_path, when=when), now=now, send=phone)
    for number in range(200):
        making.event("sparrow", at=now.forward(seconds=1), picture=making.jpeg((number, 0, 0)))
        if number % 50 == 0:
            run(made)
    goldfinch = making.event("goldfinch", at=now.forward(seconds=1), picture=making.jpeg())
    run(made)
    assert phone.titles == ["sparrow · rare here", "goldfinch · rare here"]
    assert phone.got[1][1].picture == making.jpeg()
    assert f"{PUBLIC}/records/{goldfinch.key}" in phone.got[1][1].body


def test_rule_for_the_first_and_one_for_the_rare_tell_an_address_once(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    rules = rule(tmp_path, "rare", when=("rare",)), rule(tmp_path, "daily")
    made = notifier(*rules, now=now, send=phone)
    for label in ("sparrow", "sparrow", "goldfinch", "sparrow"):
        making.event(label, at=now.forward(seconds=1))
    run(made)
    assert len(phone.got) == 2


def test_two_files_of_addresses_are_both_told(now: Clock, phone: Receivers, tmp_path: Path) -> None:
    (other := tmp_path / "other").write_text("mail\n")
    rules = rule(tmp_path, "one"), rule(tmp_path, "two", addresses_file=other)
    made = notifier(*rules, now=now, send=phone)
    making.event(at=now())
    run(made)
    assert [name for name, _ in phone.got] == ["phone", "mail"]


def test_first_of_the_day_is_told_again_on_the_next_day(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    assert told(now, phone, tmp_path, {}, {}) == 1
    now.forward(days=1)
    assert told(now, phone, tmp_path, {}, {}) == 2


@pytest.mark.parametrize("verdict", ["rejected", "corrected"])
def test_what_was_found_wrong_is_no_first_one(
    now: Clock, phone: Receivers, tmp_path: Path, verdict: str
) -> None:
    truth = making.label("cat") if verdict == "corrected" else None
    made = notifier(rule(tmp_path, when=("first_ever", "first_of_day")), now=now, send=phone)
    making.event("goldfinch", at=now() - timedelta(hours=1), verdict=verdict, truth=truth)
    making.event("goldfinch", at=now())
    run(made)
    assert phone.titles == ["goldfinch · first ever"]


def test_what_was_confirmed_counts(now: Clock, phone: Receivers, tmp_path: Path) -> None:
    label = making.label("goldfinch")
    made = notifier(rule(tmp_path), now=now, send=phone)
    making.event("goldfinch", at=now(), verdict="confirmed", truth=label)
    making.event("goldfinch", at=now())
    run(made)
    assert len(phone.got) == 1


@pytest.mark.parametrize(("days", "messages"), [(2, 1), (3, 0)])
def test_rare_is_what_was_there_on_fewer_days_than_said(
    now: Clock, phone: Receivers, tmp_path: Path, days: int, messages: int
) -> None:
    for number in range(1, days + 1):
        for minute in range(5):
            making.event("sparrow", at=now() - timedelta(days=number, minutes=minute))
    making.event("sparrow", at=now() - timedelta(days=29))
    making.event("sparrow", at=now() - timedelta(days=7), verdict="rejected")
    making.event("sparrow", at=now() - timedelta(days=8), camera=making.camera("other"))
    facts = {"when": ("rare",), "rare_days": 3, "cameras": ("front",)}
    assert told(now, phone, tmp_path, {}, {}, **facts) == messages


def test_first_ever_is_told_once_whatever_the_day(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    assert told(now, phone, tmp_path, {}, {}, when=("first_ever",)) == 1
    now.forward(days=40)
    assert told(now, phone, tmp_path, {}, when=("first_ever",)) == 1
    assert phone.titles == ["sparrow · first ever"]


@pytest.mark.parametrize(
    ("first", "messages"),
    [({"first_seen": 120}, 0), ({"first_glimpsed": 120}, 1), ({"first_seen": 3}, 1), ({}, 1)],
)
def test_what_was_there_before_its_records_were_deleted_for_their_age_is_no_first_one(
    now: Clock, phone: Receivers, tmp_path: Path, first: dict[str, int], messages: int
) -> None:
    """A swallow that comes back in spring is not the first one ever."""
    making.label("swallow")
    times = {field: now() - timedelta(days=days) for field, days in first.items()}
    Label.objects.update(**times)
    # Somebody has uploaded a picture, which no camera has seen.
    making.upload("swallow", at=now() - timedelta(days=3))
    assert told(now, phone, tmp_path, {"label": "swallow"}, when=("first_ever",)) == messages


def test_without_a_condition_each_one_is_told(now: Clock, phone: Receivers, tmp_path: Path) -> None:
    assert told(now, phone, tmp_path, {}, {}, {}, when=()) == 3


@pytest.mark.parametrize(
    ("facts", "fits"),
    [
        ({"labels": ("Sparrow",)}, True),
        ({"labels": ("麻雀",)}, True),
        ({"labels": ("bird",)}, True),
        ({"labels": ("cat",)}, False),
        ({"cameras": ("front",)}, True),
        ({"cameras": ("pi/front",)}, True),
        ({"cameras": ("other/front", "back")}, False),
        ({"least_score": 0.8}, True),
        ({"least_score": 0.95}, False),
        ({"hours": ("11:00-13:00",)}, True),
        ({"hours": ("13:00-11:00",)}, False),
        ({"kind": "glimpsed"}, False),
        ({"kind": "all"}, True),
    ],
)
def test_rule_is_about_what_it_names(
    now: Clock, phone: Receivers, tmp_path: Path, facts: dict[str, Any], fits: bool
) -> None:
    making.label("sparrow")
    Label.objects.update(chinese="麻雀")
    one = {"detail": {"path": ["animal", "bird", "sparrow"]}, "score": 0.9}
    assert bool(told(now, phone, tmp_path, one, **facts)) is fits


def test_score_is_that_with_which_the_label_came(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    ended = {"score": 0.99, "entry_score": 0.6}
    assert told(now, phone, tmp_path, ended, least_score=0.8) == 0
    # The first that fits is the first of the day.
    assert told(now, phone, tmp_path, {"score": 0.85}, {"score": 0.9}, least_score=0.8) == 1


def test_first_of_the_day_is_the_first_one_within_the_hours(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    making.event("sparrow", at=now() - timedelta(hours=5))
    assert told(now, phone, tmp_path, {}, {}, hours=("10:00-20:00",)) == 1


def test_unknown_is_told_only_where_it_is_named(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    rules = rule(tmp_path, "all", when=()), rule(tmp_path, "named", labels=("unknown",))
    made = notifier(*rules, now=now, send=phone)
    making.event("unknown", at=now())
    run(made)
    assert [row.rule for row in Notification.objects.all()] == ["named"]


def test_glimpse_is_told_and_said_to_be_one(now: Clock, phone: Receivers, tmp_path: Path) -> None:
    told(now, phone, tmp_path, {"source": "glimpse"}, kind="glimpsed")
    assert "glimpsed" in phone.got[0][1].body


def test_upload_is_no_sighting(now: Clock, phone: Receivers, tmp_path: Path) -> None:
    made = notifier(rule(tmp_path, when=()), now=now, send=phone)
    making.upload(at=now())
    run(made)
    assert phone.got == []


def test_what_was_there_before_the_first_rule_is_not_told(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    making.event(at=now())
    run(notifier(rule(tmp_path), now=now, send=phone))
    assert phone.got == []


@pytest.mark.parametrize(
    "facts",
    [
        {"at": NOON},
        # Of a device with a wrong clock: its time is that of its arrival, but it tells its wait.
        {"at": NOON + timedelta(hours=3), "device_at": NOON, "delay_ms": 3 * 3600e3},
    ],
)
def test_outage_of_three_hours_makes_no_message(
    now: Clock, phone: Receivers, tmp_path: Path, facts: dict[str, Any]
) -> None:
    made = notifier(rule(tmp_path, when=()), now=now, send=phone)
    now.forward(hours=3)
    for _ in range(50):
        making.event("sparrow", recorded_at=now(), **facts)
    run(made)
    assert phone.got == []
    assert Record.objects.count() == 50
    making.event("sparrow", at=now())
    run(made)
    assert len(phone.got) == 1


def test_page_that_was_away_for_three_hours_tells_nothing_late(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    one = rule(tmp_path, when=())
    notifier(one, now=now, send=phone)
    # A recorder of its own has gone on.
    for number in range(1500):
        making.event("sparrow", at=now() + timedelta(seconds=number))
    now.forward(hours=3)
    last = making.event("goldfinch", at=now())
    run(notifier(one, now=now, send=phone))
    assert [str(last.key) in content.body for _, content in phone.got] == [True]


def test_at_most_one_message_in_so_many_minutes_has_what_came_between(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    made = notifier(rule(tmp_path, when=(), at_most_every_minutes=30), now=now, send=phone)
    for _ in range(40):
        making.event("sparrow", at=now.forward(minutes=1))
        run(made)
    assert len(phone.got) == 2
    assert phone.titles[1] == "birds · 29 sightings: sparrow"
    now.forward(minutes=30)
    run(made)
    assert phone.titles[2] == "birds · 10 sightings: sparrow"


def test_digest_comes_once_a_day_with_what_fits(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    one = rule(tmp_path, digest_at="20:00", when=())
    made = notifier(one, now=now, send=phone)
    for label in ("sparrow", "sparrow", "goldfinch"):
        making.event(label, at=now.forward(hours=1))
        run(made)
    # It came late, and a digest is no news.
    making.event("robin", at=now() - timedelta(hours=4), recorded_at=now())
    making.event("robin", at=now(), verdict="rejected")
    run(made)
    assert phone.got == []
    now.now = NOON.replace(hour=20, minute=1)
    run(made)
    run(notifier(one, now=now, send=phone))
    assert phone.titles == ["birds · 4 sightings: robin, sparrow, goldfinch"]
    now.forward(days=1)
    run(made)
    assert len(phone.got) == 1, "there was nothing to tell"


@pytest.mark.parametrize(
    ("day", "digest_at", "amounts"),
    [
        # The clock leaves out the hour from 2:00, or has it twice.
        ("2026-03-29T00:00+01:00", "02:30", [24, 23]),
        ("2026-03-29T00:00+01:00", "20:00", [23, 24]),
        ("2026-10-25T00:00+02:00", "02:30", [24, 25]),
        ("2026-10-25T00:00+02:00", "00:00", [24, 25]),
    ],
)
def test_digests_have_each_sighting_once_when_clocks_change(
    now: Clock, phone: Receivers, tmp_path: Path, day: str, digest_at: str, amounts: list[int]
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    now.now = datetime.fromisoformat(day).astimezone(UTC) - timedelta(hours=26)
    with timezone.override(berlin):
        made = notifier(rule(tmp_path, digest_at=digest_at, when=()), now=now, send=phone)
        for _ in range(76):
            making.event("sparrow", at=now() + timedelta(minutes=10))
            now.forward(hours=1)
            run(made)
    found = [int(title.split(" · ")[1].split()[0]) for title in phone.titles]
    assert found[1:3] == amounts


def test_digest_of_a_day_with_thousands_has_what_came_last(
    now: Clock, phone: Receivers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MOST", 10)
    one = rule(tmp_path, digest_at="20:00", labels=("robin",), when=())
    made = notifier(one, now=now, send=phone)
    for number in range(25):
        making.event("sparrow", at=now() + timedelta(seconds=number // 5))
    making.event("robin", at=now() + timedelta(hours=1))
    now.forward(hours=8, minutes=1)
    run(made)
    assert phone.titles == ["robin"]


def test_message_is_in_the_language_of_its_rule(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    making.label("sparrow")
    Label.objects.update(chinese="麻雀")
    told(now, phone, tmp_path, {}, language="zh-hans")
    assert phone.titles == ["麻雀 · 今天第一次"]
