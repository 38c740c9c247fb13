"""A model for one camera of each device: the others go on with theirs."""

from typing import Any

import pytest
from django.test import Client

from edge_classifier.errors import UsageError
from edge_classifier.web.models import Rollout
from edge_classifier.web.rollouts.begin import Plan, chosen_devices
from edge_classifier.web.rollouts.offers import ModelOffers
from tests.web.rollouts.fleet import NEW, NEW_VERSION, OLD_VERSION, Fleet, Rolling
from tests.web.rollouts.test_rollout_pages import FORM, Around, around  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db
QUICK: dict[str, Any] = {"watch": 2, "patience": 0, "away": 5, "hours": 2}


def test_one_camera_gets_the_model_and_the_others_keep_theirs() -> None:
    fleet = Fleet("a", "b")
    rolling = Rolling(fleet, Plan(camera="yard", **QUICK)).turns(8)
    assert rolling.rollout.state == Rollout.State.DONE
    assert {(device.model, device.own["yard"]) for device in fleet.all.values()} == {
        (OLD_VERSION, NEW_VERSION)
    }
    assert fleet["a"].asked == [{"model": "garden", "sha256": NEW, "camera": "yard"}]


def test_camera_goes_back_to_the_common_model_if_it_ran_that_and_else_to_its_own() -> None:
    fleet = Fleet("a", "b")
    fleet["b"].own["yard"] = OLD_VERSION
    fleet["b"].model = "street@00000000"
    fleet["b"].ms = {**fleet["b"].ms, "street@00000000": 1.0}
    rolling = Rolling(fleet, Plan(first=2, camera="yard", **QUICK)).turns(1)
    rolling.driver.halt(rolling.rollout, "bob")
    assert rolling.turns(1).states == {"a": "back", "b": "back"}
    reason = f"roll-out {rolling.rollout.pk}: bob halted it; it goes back."
    back = {"camera": "yard", "reason": reason}
    assert fleet["a"].asked[-1] == {"model": "", **back}
    assert fleet["b"].asked[-1] == {"model": "birds", **back}
    assert (fleet["a"].own, fleet["b"].own) == ({}, {"yard": OLD_VERSION})


def test_camera_that_runs_it_already_does_not_count_for_its_device() -> None:
    fleet = Fleet("a")
    fleet["a"].own["yard"] = NEW_VERSION
    live: Any = fleet
    model: Any = type("Model", (), {"sha256": NEW})()
    assert chosen_devices(live, model, ["a"]) == ["a"]
    with pytest.raises(UsageError, match="All of these devices run it already"):
        chosen_devices(live, model, ["a"], "yard")
    with pytest.raises(UsageError, match="No camera is called street on a"):
        chosen_devices(live, model, ["a"], "street")


def test_model_of_one_camera_is_no_offer_for_its_device() -> None:
    fleet = Fleet("a")
    Rolling(fleet, Plan(camera="yard", **QUICK)).turns(4)
    live: Any = fleet
    models: Any = type("Models", (), {"installed": list})()
    ModelOffers(live, models).tell()
    assert fleet["a"].offered == ""


def test_camera_is_chosen_on_the_page_and_told_there(
    administrator: Client,
    around: Around,  # noqa: F811
) -> None:
    new = administrator.get("/rollouts/new").content.decode()
    assert '<option value="yard">yard</option>' in new
    form = {**FORM, "device": ["gate"], "camera": "yard"}
    page = administrator.post("/rollouts/new", form, follow=True).content.decode()
    assert "camera yard" in page
    around.turn()
    assert around.fleet["gate"].asked[0]["camera"] == "yard"
    wrong = administrator.post("/rollouts/new", {**form, "device": ["barn-1"], "camera": "x"})
    assert "No camera is called x on barn-1." in wrong.content.decode()
