"""Each message once to each address: with failures, restarts and a page that is killed."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError

from edge_classifier.web.models import Record
from edge_classifier.web.notify import outbox
from edge_classifier.web.notify.addresses import Address
from edge_classifier.web.notify.message_text import MessageContent
from edge_classifier.web.notify.tables import Notification
from tests.web import making
from tests.web.notify.telling import Clock, Receivers, addresses, notifier, rule, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def phone() -> Receivers:
    return Receivers()


class Killed(BaseException):
    """The process is gone."""


def test_restart_makes_no_message_twice(now: Clock, phone: Receivers, tmp_path: Path) -> None:
    one = rule(tmp_path, when=())
    notifier(one, now=now, send=phone)
    for _ in range(5):
        making.event(at=now.forward(seconds=1))
        run(notifier(one, now=now, send=phone))
    assert len(phone.got) == 5


def test_what_comes_between_the_start_and_the_first_turn_is_told(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    making.event("sparrow", at=now())
    made = notifier(rule(tmp_path, when=()), now=now, send=phone)
    making.event("robin", at=now())
    run(made)
    assert [title.split()[0] for title in phone.titles] == ["robin"]


def test_killed_while_it_sends_does_not_send_it_again(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    file = addresses(tmp_path, "first", "second", "third")
    one = rule(tmp_path, when=(), addresses_file=file)

    def die_in_the_second(
        address: Address, content: MessageContent, scratch: Path
    ) -> tuple[str, int]:
        found = phone(address, content, scratch)
        if address.line == 2:
            raise Killed
        return found

    made = notifier(one, now=now, send=die_in_the_second)
    making.event(at=now())
    with pytest.raises(Killed):
        made.turn()
    run(notifier(one, now=now, send=phone))
    assert [name for name, _ in phone.got] == ["first", "second", "third"]
    assert Notification.objects.get().problem == "interrupted"


def test_killed_between_the_message_and_the_cursor_tells_once(
    now: Clock, phone: Receivers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = rule(tmp_path, when=())
    made = notifier(one, now=now, send=phone)
    for _ in range(3):
        making.event(at=now())
    add, count = outbox.add, iter(range(10))

    def die_at_the_second(*given: Any) -> bool:
        if next(count) == 1:
            raise Killed
        return add(*given)

    monkeypatch.setattr(outbox, "add", die_at_the_second)
    with pytest.raises(Killed):
        made.turn()
    monkeypatch.setattr(outbox, "add", add)
    run(notifier(one, now=now, send=phone))
    assert len(phone.got) == 3


@pytest.mark.django_db(transaction=True)
def test_database_that_fails_after_a_message_was_sent_does_not_send_it_twice(
    now: Clock, phone: Receivers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = notifier(rule(tmp_path), now=now, send=phone)
    making.event(at=now())

    def fail(*_: object) -> None:
        raise OperationalError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(outbox, "finish", fail)
        made.turn()
        assert made.problem == "the database cannot be used"
    run(made)
    now.forward(minutes=5)
    run(made)
    assert len(phone.got) == 1
    assert made.problem == "the thread notify does not run"


@pytest.mark.parametrize("problem", ["unreachable", "answered", "refused", "failed"])
def test_address_that_fails_is_tried_again_with_pauses_and_the_other_one_gets_it_once(
    now: Clock, phone: Receivers, tmp_path: Path, problem: str
) -> None:
    phone.answers["bad"] = [problem] * 3
    file = addresses(tmp_path, "good", "bad")
    made = notifier(rule(tmp_path, addresses_file=file), now=now, send=phone)
    making.event(at=now())
    run(made)
    assert [name for name, _ in phone.got] == ["good"]
    assert [(one.line, one.problem) for one in made.failures] == [(2, problem)]
    for _ in range(60):
        now.forward(seconds=10)
        run(made)
    assert [name for name, _ in phone.got] == ["good", "bad"]
    assert phone.tried == ["good", "bad", "bad", "bad", "bad"]
    assert made.failures == []


def test_what_may_have_come_is_not_sent_again(now: Clock, phone: Receivers, tmp_path: Path) -> None:
    phone.answers["phone"] = ["no_answer"]
    made = notifier(rule(tmp_path), now=now, send=phone)
    making.event(at=now())
    run(made)
    now.forward(minutes=10)
    run(made)
    assert phone.tried == ["phone"]
    assert Notification.objects.get().problem == "no_answer"


def test_message_that_finds_no_way_for_an_hour_is_given_up(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    phone.answers["phone"] = ["unreachable"] * 1000
    made = notifier(rule(tmp_path), now=now, send=phone)
    making.event(at=now())
    for _ in range(3 * 60):
        run(made)
        now.forward(minutes=1)
    found = Notification.objects.get()
    assert (found.state, found.problem) == ("failed", "too_old")
    assert len(phone.tried) <= 20
    phone.answers.clear()
    making.event("robin", at=now())
    run(made)
    assert len(phone.got) == 1


@pytest.mark.parametrize("minutes", [55, 180])
def test_network_that_comes_back_brings_one_message_of_a_rule_that_sends_few(
    now: Clock, phone: Receivers, tmp_path: Path, minutes: int
) -> None:
    """And nothing in it that is older than an hour and the minutes between two messages."""
    phone.answers["phone"] = ["unreachable"] * 1000
    made = notifier(rule(tmp_path, when=(), at_most_every_minutes=5), now=now, send=phone)
    for _ in range(0, minutes, 5):
        making.event("sparrow", at=now())
        run(made)
        now.forward(minutes=5)
    phone.answers.clear()
    now.forward(minutes=5)
    run(made)
    assert phone.titles == ["birds · 11 sightings: sparrow"]
    making.event("sparrow", at=now())
    run(made)
    now.forward(minutes=5)
    run(made)
    assert len(phone.got) == 2


def test_clock_that_is_set_back_delays_nothing_for_a_day(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    phone.answers["phone"] = ["unreachable"]
    made = notifier(rule(tmp_path, when=()), now=now, send=phone)
    making.event("sparrow", at=now())
    run(made)
    now.forward(days=-1)
    making.event("robin", at=now())
    run(made)
    assert phone.titles == ["robin"]


def test_no_more_than_so_many_messages_wait(now: Clock, phone: Receivers, tmp_path: Path) -> None:
    phone.answers["phone"] = ["unreachable"] * 10_000
    made = notifier(rule(tmp_path, when=()), now=now, send=phone)
    for number in range(250):
        making.event(at=now() + timedelta(milliseconds=number))
    for _ in range(10):
        run(made)
        now.forward(seconds=1)
    waiting = Notification.objects.filter(state="waiting")
    assert waiting.count() == outbox.MOST_WAITING
    # One address that is down is asked once, and not for each that waits.
    assert len(phone.tried) == 1


def test_message_waits_for_a_better_picture_and_no_longer(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    made = notifier(rule(tmp_path, picture_wait_s=8), now=now, send=phone)
    record = making.event(at=now(), picture=making.jpeg((1, 1, 1)))
    run(made)
    now.forward(seconds=7)
    run(made)
    assert phone.got == []
    better = making.event("other", at=now() - timedelta(days=3), picture=making.jpeg((2, 2, 2)))
    Record.objects.filter(id=record.id).update(picture=better.picture)
    now.forward(seconds=2)
    run(made)
    assert [content.picture for _, content in phone.got] == [making.jpeg((2, 2, 2))]


def test_what_is_rejected_before_it_is_sent_is_not_told(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    made = notifier(rule(tmp_path, picture_wait_s=8), now=now, send=phone)
    record = making.event(at=now())
    run(made)
    Record.objects.filter(id=record.id).update(verdict="rejected")
    now.forward(seconds=9)
    run(made)
    assert phone.got == []
    assert Notification.objects.get().problem == "no_records"


def test_file_of_addresses_that_comes_later_is_read(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    file = tmp_path / "later"
    made = notifier(rule(tmp_path, addresses_file=file), now=now, send=phone)
    making.event(at=now())
    run(made)
    assert [one.problem for one in made.failures] == ["no_addresses"]
    file.write_text("# mine\n\nphone\n")
    now.forward(minutes=1)
    run(made)
    assert len(phone.got) == 1
    assert made.failures == []


def test_names_of_labels_break_no_line_of_a_message(
    now: Clock, phone: Receivers, tmp_path: Path
) -> None:
    made = notifier(rule(tmp_path), now=now, send=phone)
    making.event("cat\r\nBcc: all@example.org", at=now())
    run(made)
    assert "\n" not in phone.titles[0]
    assert "\r" not in phone.titles[0]
