"""The page of notifications: rules tried on what is on record, tests, and what is shown of all."""

import tomllib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains

from edge_classifier.web.config.load_settings import load
from edge_classifier.web.config.settings import WebSettings
from edge_classifier.web.live.fragments import LiveHtml
from edge_classifier.web.notify.tables import Notification
from tests.web import making
from tests.web.conftest import SETTINGS
from tests.web.notify.telling import Clock, Receivers, addresses, notifier, rule, run

pytestmark = pytest.mark.usefixtures("noon")

TOKEN = "tk-not-to-be-shown"  # noqa: S105 (of no receiver)
FORM = {
    "name": "birds",
    "kind": "seen",
    "rare_days": "3",
    "least_score": "0",
    "at_most_every_minutes": "0",
}


def yesterday(hour: int) -> datetime:
    return timezone.localtime().replace(hour=hour, minute=0) - timedelta(days=1)


@pytest.fixture
def filled(noon: None, db: None) -> None:
    """A day with 30 sparrows, a goldfinch that was rejected, and one that was not."""
    for minute in range(30):
        at = yesterday(8) + timedelta(minutes=minute)
        making.event("sparrow", at=at, picture=making.jpeg((minute, 0, 0)))
    making.event("goldfinch", at=yesterday(9), verdict="rejected")
    making.event("goldfinch", at=yesterday(10), picture=making.jpeg((0, 200, 0)))
    # Too late to be told, and too early to be of that day.
    making.event("robin", at=yesterday(11), recorded_at=yesterday(15))
    making.event("sparrow", at=yesterday(8) - timedelta(days=1))


def asked(**facts: Any) -> dict[str, Any]:
    return {**FORM, "day": f"{yesterday(0):%Y-%m-%d}", "when": ["first_of_day"], **facts}


def messages(answer: Any) -> list[list[str]]:
    """Labels of each message of a trial."""
    trial = answer.context["trial"]
    return [[record.label.name for record, _ in message] for message in trial.messages]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, [["sparrow"], ["goldfinch"]]),
        ({"when": ["rare"], "rare_days": "1"}, [["goldfinch"]]),
        ({"when": ["first_ever"]}, [["goldfinch"]]),
        ({"labels": "Goldfinch\uff0ccat"}, [["goldfinch"]]),
        ({"hours": "09:30-11:00"}, [["goldfinch"]]),
        ({"cameras": "back"}, []),
        ({"least_score": "0.95"}, []),
        ({"when": [], "digest_at": "09:00"}, [["sparrow"] * 12]),
        ({"when": [], "at_most_every_minutes": "60"}, [["sparrow"], ["sparrow"] * 12]),
    ],
)
@pytest.mark.usefixtures("filled")
def test_rule_that_is_tried_shows_what_it_would_have_sent(
    administrator: Client, facts: dict[str, Any], expected: list[list[str]]
) -> None:
    answer = administrator.get("/notify", asked(**facts))
    found = messages(answer)
    if "at_most_every_minutes" in facts:
        # The second message waits for all that comes in the hour: 29 sparrows, 12 of them shown.
        assert answer.context["trial"].count == 3
        found = found[:2]
    assert found == expected


@pytest.mark.usefixtures("filled")
def test_trial_is_what_the_notifier_would_have_done(administrator: Client, tmp_path: Path) -> None:
    """The same day, live and tried."""
    count = messages(administrator.get("/notify", asked(when=["rare", "first_of_day"])))
    now, phone = Clock(timezone.now()), Receivers()
    made = notifier(rule(tmp_path, when=("rare", "first_of_day")), now=now, send=phone)
    for minute in range(30):
        making.event("sparrow", at=now.forward(minutes=minute / 60))
        run(made)
    making.event("goldfinch", at=now.forward(minutes=1))
    run(made)
    assert len(phone.got) == len(count) == 2


@pytest.mark.usefixtures("filled")
def test_rule_that_was_tried_is_given_as_it_stands_in_the_file(
    administrator: Client, tmp_path: Path
) -> None:
    facts = {"labels": 'cat, "dog", 鸟', "hours": "06:00-22:00", "when": ["rare", "first_ever"]}
    answer = administrator.get("/notify", asked(**facts, at_most_every_minutes="5"))
    text = answer.context["trial"].toml
    assert tomllib.loads(text)["notify"][0]["labels"] == ["cat", '"dog"', "鸟"]
    (file := tmp_path / "web.toml").write_text(text)
    (found,) = load(file, environment={}).notify
    assert (found.hours, found.when) == (("06:00-22:00",), ("rare", "first_ever"))
    assert found.at_most_every_minutes == 5


@pytest.mark.parametrize(
    "facts",
    [
        {"hours": "25:00-26:00"},
        {"digest_at": "9"},
        {"day": "x"},
        {"day": "0001-01-01", "digest_at": "00:00"},
        {"day": "9999-12-31"},
        {"least_score": "2"},
        {"name": ""},
    ],
)
def test_form_that_is_wrong_says_so_and_tries_nothing(
    administrator: Client, facts: dict[str, str]
) -> None:
    answer = administrator.get("/notify", asked(**facts))
    assert "trial" not in answer.context
    assertContains(answer, "errorlist")


@pytest.mark.usefixtures("filled")
def test_cameras_of_a_rule_are_chosen_and_other_names_in_it_stay(
    administrator: Client, change: Callable[..., Any], tmp_path: Path
) -> None:
    one = rule(tmp_path, cameras=("pi/front", "shed"))
    change(settings=WebSettings(state_folder=SETTINGS.state_folder, notify=(one,)))
    query = administrator.get("/notify").context["rules"][0].query
    answer = administrator.get(f"/notify?{query}")
    assertContains(answer, 'value="pi/front" checked')
    assertContains(answer, 'value="shed" checked')
    assert 'cameras = ["pi/front", "shed"]' in answer.context["trial"].toml
    assert messages(answer) == [["sparrow"], ["goldfinch"]]


def test_rules_are_shown_without_their_addresses(
    administrator: Client, change: Callable[..., Any], tmp_path: Path
) -> None:
    file = addresses(tmp_path, f"ntfy://{TOKEN}/garden", f"https://{TOKEN}/x", TOKEN)
    rules = rule(tmp_path, addresses_file=file), rule(tmp_path, "other", addresses_file=tmp_path)
    change(settings=WebSettings(state_folder=SETTINGS.state_folder, notify=rules))
    answer = administrator.get("/notify")
    assertContains(answer, "ntfy, https, not an address")
    assertContains(answer, "The secret cannot be read (Is a directory).")
    chinese = administrator.get("/notify", headers={"Accept-Language": "zh-hans"})
    assertContains(chinese, "\uff09。它应是服务的用户能够读取的文本文件。")
    assertNotContains(answer, TOKEN)
    # The link that tries one has the whole rule.
    assert messages(administrator.get(f"/notify?{answer.context['rules'][0].query}")) == []


def test_test_message_is_sent_once_and_shown(
    administrator: Client, change: Callable[..., Any], tmp_path: Path
) -> None:
    now, phone = Clock(timezone.now()), Receivers()
    one = rule(tmp_path)
    made = notifier(one, now=now, send=phone)
    settings = WebSettings(state_folder=SETTINGS.state_folder, notify=(one,))
    change(settings=settings, notifier=made)
    for _ in range(3):
        administrator.post("/notify/test", {"rule": "birds"})
    now.forward(seconds=5)
    run(made)
    assert phone.titles == ["A test of “birds” · edge-classifier"]
    phone.answers["phone"] = ["unreachable"]
    administrator.post("/notify/test", {"rule": "birds"})
    now.forward(seconds=5)
    run(made)
    assert Notification.objects.first().state == "failed"
    assertContains(administrator.get("/notify"), "cannot be reached")
    administrator.post("/notify/test", {"rule": "none"})
    assert Notification.objects.count() == 2


@pytest.mark.django_db
def test_live_says_that_telling_fails_and_not_where(tmp_path: Path) -> None:
    now, phone = Clock(), Receivers()
    phone.answers[f"ntfy://{TOKEN}"] = ["answered"]
    file = addresses(tmp_path, f"ntfy://{TOKEN}")
    made = notifier(rule(tmp_path, addresses_file=file), now=now, send=phone)

    class Broker:
        broker = {"connected": True, "where": "here", "since": None, "reason": ""}  # noqa: RUF012

    live: Any = Broker()
    html = LiveHtml(live, None, made)
    assert "not told" not in html.connections()["top"]
    making.event(at=now())
    run(made)
    assert "“birds”" in html.connections()["top"]
    assert "answered with an error (500)" in html.connections()["top"]
    assert TOKEN not in html.connections()["top"]


def test_missing_apprise_is_said_in_a_sentence(
    administrator: Client,
    change: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = WebSettings(state_folder=SETTINGS.state_folder, notify=(rule(tmp_path),))
    change(settings=settings)
    monkeypatch.setattr("edge_classifier.web.notify.views.find_spec", lambda _: None)
    assertContains(administrator.get("/notify"), "Apprise is not installed")
