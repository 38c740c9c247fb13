"""Who gets the model when, and what sends all of them back."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from edge_classifier.errors import UsageError
from edge_classifier.web.models import Rollout, RolloutDevice
from edge_classifier.web.rollouts.begin import Plan, begin, chosen_devices
from edge_classifier.web.rollouts.verdict import Limits
from tests.web import making
from tests.web.rollouts.fleet import NEW, NEW_VERSION, OLD_VERSION, Fleet, Rolling

pytestmark = pytest.mark.django_db
# Two minutes are watched, and no event is waited for.
QUICK: dict[str, Any] = {"watch": 2, "patience": 0, "away": 5, "hours": 2}


def changes(device: str, fleet: Fleet, since_min: float, until_min: float, *labels: str) -> None:
    """A camera whose label changes by turns every four seconds, in a time around now."""
    front = making.camera("front", device)
    for at in range(round((until_min - since_min) * 15)):
        when = fleet.now + timedelta(minutes=since_min, seconds=4 * at)
        making.event(labels[at % len(labels)], at=when, camera=front, model=OLD_VERSION)


def test_one_device_is_first_and_the_rest_follow_in_batches() -> None:
    fleet = Fleet(*"abcdef")
    rolling = Rolling(fleet, Plan(first=1, batch=2, **QUICK)).turns(1)
    runs = [name for name in "abcdef" if fleet[name].model == NEW_VERSION]
    assert runs == ["a"]
    assert rolling.turns(1.5).states["a"] == "kept"
    runs = [name for name in "abcdef" if fleet[name].model == NEW_VERSION]
    assert runs == ["a", "b", "c"]
    rolling.turns(8)
    assert rolling.rollout.state == Rollout.State.DONE
    assert set(rolling.states.values()) == {"kept"}
    assert rolling.record[0] == ("begun", "")
    assert rolling.record[-1] == ("done", "")
    assert not RolloutDevice.objects.filter(is_open=True).exists()
    # Nobody is asked twice.
    assert {len(device.asked) for device in fleet.all.values()} == {1}


def test_first_device_that_refuses_halts_and_nobody_else_is_asked() -> None:
    fleet = Fleet("a", "b")
    fleet["a"].refusal = "there is no room for it"
    rolling = Rolling(fleet, Plan(**QUICK)).turns(1)
    assert rolling.rollout.state == Rollout.State.HALTED
    assert rolling.states == {"a": "failed", "b": "missed"}
    assert ("first failed", "a") in rolling.record
    assert rolling.row("a").message == "there is no room for it"
    assert not fleet["b"].asked


def test_as_many_may_be_lost_as_the_limit_says_and_one_more_sends_all_back() -> None:
    fleet = Fleet(*"abcd")
    fleet["c"].refusal = "no room"
    rolling = Rolling(fleet, Plan(batch=3, limits=Limits(lost=1), **QUICK)).turns(6)
    assert rolling.rollout.state == Rollout.State.DONE
    assert rolling.states == {"a": "kept", "b": "kept", "c": "failed", "d": "kept"}

    fleet = Fleet(*"efgh")
    fleet["g"].refusal = fleet["h"].refusal = "no room"
    rolling = Rolling(fleet, Plan(batch=3, limits=Limits(lost=1), **QUICK)).turns(6)
    assert rolling.rollout.state == Rollout.State.HALTED
    assert rolling.states == {"e": "back", "f": "back", "g": "failed", "h": "failed"}
    assert {device.model for device in fleet.all.values()} == {OLD_VERSION}
    assert fleet["e"].asked[-1]["model"] == "birds"
    assert fleet["e"].asked[-1]["reason"].endswith("2 devices failed and 0 are away; 1 may.")


def test_device_that_is_away_blocks_nobody_and_gets_the_model_when_it_returns() -> None:
    fleet = Fleet(*"abc")
    fleet["b"].online = False
    rolling = Rolling(fleet, Plan(batch=1, **QUICK)).turns(12)
    assert rolling.states == {"a": "kept", "b": "waiting", "c": "kept"}
    assert rolling.rollout.state == Rollout.State.RUNNING
    assert ("away", "b") in rolling.record
    fleet["b"].online = True
    rolling.turns(4)
    assert rolling.states["b"] == "kept"
    assert ("returned", "b") in rolling.record
    assert rolling.rollout.state == Rollout.State.DONE


def test_device_that_never_returns_misses_it_when_the_time_is_over() -> None:
    fleet = Fleet("a", "b")
    fleet["b"].online = False
    rolling = Rolling(fleet, Plan(**QUICK)).turns(121, 30)
    assert rolling.rollout.state == Rollout.State.DONE
    assert rolling.states == {"a": "kept", "b": "missed"}
    fleet["b"].online = True
    assert not rolling.turns(1).fleet["b"].asked


def test_first_device_that_is_away_gives_its_place_to_another() -> None:
    fleet = Fleet("a", "b", "c")
    fleet["a"].online = False
    rolling = Rolling(fleet, Plan(batch=1, **QUICK)).turns(5.5)
    assert ("takes its place", "b") in rolling.record
    assert [fleet[name].model for name in "abc"] == [OLD_VERSION, NEW_VERSION, OLD_VERSION]


def test_first_device_that_dies_with_the_model_halts_it_and_goes_back_on_its_return() -> None:
    fleet = Fleet("a", "b")
    rolling = Rolling(fleet, Plan(**QUICK)).turns(1)
    fleet["a"].online = False
    assert rolling.turns(6).rollout.state == Rollout.State.GOING_BACK
    assert not fleet["b"].asked
    fleet["a"].online = True
    assert rolling.turns(1).states == {"a": "back", "b": "missed"}
    assert fleet["a"].model == OLD_VERSION


def test_device_that_goes_back_by_itself_is_a_failure() -> None:
    fleet = Fleet("a", "b")
    rolling = Rolling(fleet, Plan(**QUICK)).turns(1)
    change: Any = fleet["a"].change
    fleet["a"].change = {**change, "state": "failed", "error": "it ended the daemon"}
    fleet["a"].model = OLD_VERSION
    rolling.turns(1)
    assert rolling.row("a").message == "it ended the daemon"
    assert rolling.rollout.state == Rollout.State.HALTED


def test_daemon_that_is_started_again_and_again_halts_it() -> None:
    fleet = Fleet("a", "b")
    rolling = Rolling(fleet, Plan(limits=Limits(restarts=1), **QUICK)).turns(0.7)
    fleet["a"].booted = fleet.now
    rolling.turns(0.7)
    assert rolling.row("a").restarts == 1
    fleet["a"].booted = fleet.now
    rolling.turns(1)
    assert rolling.rollout.state == Rollout.State.HALTED
    (why,) = rolling.rollout.entries.filter(kind="worse")
    assert (why.device, why.detail["what"], why.detail["after"]) == ("a", "restarts", 2)


def test_network_that_takes_much_longer_halts_it() -> None:
    fleet = Fleet("a", "b")
    fleet["a"].ms = {OLD_VERSION: 10.0, NEW_VERSION: 16.0}
    rolling = Rolling(fleet, Plan(**QUICK)).turns(3)
    assert rolling.states == {"a": "back", "b": "missed"}
    (why,) = rolling.rollout.entries.filter(kind="worse")
    assert (why.detail["what"], why.detail["before"], why.detail["after"]) == ("times", 10.0, 16.0)


def test_later_device_that_does_worse_sends_back_those_that_kept_it() -> None:
    fleet = Fleet("a", "b", "c")
    fleet["b"].ms = {OLD_VERSION: 10.0, NEW_VERSION: 16.0}
    rolling = Rolling(fleet, Plan(batch=1, **QUICK)).turns(2.5)
    assert rolling.states["a"] == "kept"
    rolling.turns(3)
    assert rolling.rollout.state == Rollout.State.HALTED
    assert rolling.states == {"a": "back", "b": "back", "c": "missed"}
    assert {device.model for device in fleet.all.values()} == {OLD_VERSION}


def test_rising_share_of_unknown_halts_it_and_a_steady_one_does_not() -> None:
    fleet = Fleet("a", "b")
    changes("a", fleet, -4, 4, "cat", "dog")
    rolling = Rolling(fleet, Plan(**QUICK)).turns(2.5)
    assert rolling.states["a"] == "kept"
    assert ("kept", "a") in rolling.record

    other = Fleet("c", "d")
    changes("c", other, -4, 0, "cat", "dog")
    changes("c", other, 0, 4, "cat", "unknown", "unknown")
    rolling = Rolling(other, Plan(**QUICK)).turns(3)
    (why,) = rolling.rollout.entries.filter(kind="worse")
    assert (why.device, why.detail["what"], why.detail["camera"]) == ("c", "unknown", "front")
    assert rolling.states == {"c": "back", "d": "missed"}


def test_model_that_says_nothing_at_a_busy_camera_is_judged_by_its_silence() -> None:
    fleet = Fleet("a", "b")
    changes("a", fleet, -4, 0, "cat", "dog")
    making.event("unknown", camera=making.camera("front", "a"), at=fleet.now, model=NEW_VERSION)
    rolling = Rolling(fleet, Plan(**QUICK)).turns(3)
    assert rolling.rollout.state == Rollout.State.HALTED
    assert rolling.rollout.entries.get(kind="worse").detail["after"] > 0.9


def test_events_that_are_not_recorded_yet_are_waited_for_and_count_for_the_new_model() -> None:
    fleet = Fleet("a", "b")
    changes("a", fleet, -4, 0, "cat", "dog")
    # What it says of all from the swap on was heard, and the database is behind.
    key = uuid4()
    fleet.heard["a", "front"] = str(key)
    rolling = Rolling(fleet, Plan(**{**QUICK, "patience": 30})).turns(10)
    assert rolling.states == {"a": "watched", "b": "waiting"}
    when = rolling.row("a").runs_at
    camera = making.camera("front", "a")
    making.event("unknown", key=key, camera=camera, at=when, model=NEW_VERSION)
    rolling.turns(1)
    assert rolling.rollout.state == Rollout.State.HALTED
    assert rolling.rollout.entries.get(kind="worse").detail["after"] > 0.9


def test_too_few_events_are_waited_for_and_said_then() -> None:
    fleet = Fleet("a", "b")
    changes("a", fleet, -1, -0.5, "cat", "dog")
    rolling = Rolling(fleet, Plan(watch=2, patience=10, away=5)).turns(11)
    assert rolling.states == {"a": "watched", "b": "waiting"}
    rolling.turns(2)
    entry = rolling.rollout.entries.get(kind="few")
    assert (entry.device, entry.detail["minutes"]) == ("a", 12)
    assert rolling.states == {"a": "kept", "b": "watched"}

    careful = Fleet("c", "d")
    plan = Plan(watch=2, patience=1, away=5, limits=Limits(needs_evidence=True))
    rolling = Rolling(careful, plan).turns(5)
    assert rolling.rollout.state == Rollout.State.HALTED
    assert ("no evidence", "c") in rolling.record


def test_page_that_is_started_again_in_the_middle_goes_on_where_it_was() -> None:
    fleet = Fleet(*"abc")
    rolling = Rolling(fleet, Plan(batch=1, **QUICK))
    for _ in range(60):
        rolling.started_again()
        rolling.turns(10 / 60)
    assert rolling.rollout.state == Rollout.State.DONE
    assert set(rolling.states.values()) == {"kept"}
    assert {len(device.asked) for device in fleet.all.values()} == {1}


def test_nothing_is_held_against_devices_while_the_broker_is_away() -> None:
    fleet = Fleet("a", "b")
    rolling = Rolling(fleet, Plan(**QUICK)).turns(1)
    before = rolling.record
    fleet.broker["connected"] = False
    fleet["a"].online = fleet["b"].online = False
    rolling.turns(30, 60)
    assert rolling.row("a").away_since is None
    assert rolling.record == before
    fleet.broker["connected"] = True
    fleet["a"].online = fleet["b"].online = True
    rolling.turns(8)
    assert rolling.rollout.state == Rollout.State.DONE
    assert set(rolling.states.values()) == {"kept"}


def test_device_is_in_one_roll_out_at_a_time_and_the_second_one_is_told_so() -> None:
    fleet = Fleet("a", "b", "c")
    rolling = Rolling(fleet, Plan(**QUICK), "a", "b")
    live: Any = fleet
    model: Any = SimpleNamespace(name="garden", sha256=NEW)
    other: Any = SimpleNamespace(name="other", sha256="1" * 64)
    with pytest.raises(UsageError, match="b is in another roll-out that is not over: garden@"):
        chosen_devices(live, other, ["b", "c"])
    # Also where both were asked for in the same moment.
    with pytest.raises(UsageError, match="begun by ann"):
        begin(model, ["c", "b"], Plan(), rolling.rollout.starter, fleet.now)
    assert Rollout.objects.count() == 1
    rolling.driver.leave(rolling.rollout, "ann")
    assert chosen_devices(live, other, ["b", "c"]) == ["b", "c"]


def test_somebody_may_halt_it_or_leave_it_as_it_is() -> None:
    fleet = Fleet("a", "b")
    rolling = Rolling(fleet, Plan(**QUICK)).turns(1)
    assert rolling.driver.halt(rolling.rollout, "bob")
    assert not rolling.driver.halt(rolling.rollout, "bob")
    rolling.turns(1)
    assert rolling.states == {"a": "back", "b": "missed"}
    assert rolling.rollout.entries.get(kind="halted by").detail == {"who": "bob"}

    fleet = Fleet("c", "d")
    rolling = Rolling(fleet, Plan(**QUICK)).turns(1)
    assert rolling.driver.leave(rolling.rollout, "bob")
    assert not rolling.driver.halt(rolling.rollout, "bob")
    rolling.turns(5)
    assert (fleet["c"].model, fleet["d"].model) == (NEW_VERSION, OLD_VERSION)
    assert rolling.states == {"c": "watched", "d": "missed"}


def test_request_that_got_lost_is_sent_again_and_given_up_in_the_end() -> None:
    said: list[str] = []

    class Deaf(Fleet):
        def tell(self, device: str, command: str, body: Any) -> bool:
            said.append(f"{command} {device} {body['model']}")
            return True

    fleet = Deaf("a", "b")
    rolling = Rolling(fleet, Plan(**QUICK)).turns(4)
    assert said == ["model a garden"] * 3
    assert ("no answer", "a") in rolling.record
    assert rolling.rollout.state == Rollout.State.HALTED


def test_failure_of_an_earlier_time_is_not_taken_for_this_one() -> None:
    fleet = Fleet("a", "b")
    fleet["a"].change = {"sha256": NEW, "state": "failed", "error": "an old one"}
    fleet["a"].is_slow = True
    rolling = Rolling(fleet, Plan(**QUICK)).turns(10 / 60)
    assert rolling.states["a"] == "asked"
    fleet["a"].is_slow = False
    fleet["a"].take({"sha256": NEW})
    assert rolling.turns(10 / 60).states["a"] == "watched"
