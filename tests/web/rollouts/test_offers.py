"""Which model a device is told to be the latest."""

from types import SimpleNamespace
from typing import Any

import pytest

from edge_classifier.web.rollouts.begin import Plan
from edge_classifier.web.rollouts.offers import ModelOffers
from edge_classifier.web.rollouts.verdict import Limits
from tests.web.rollouts.fleet import NEW, OLD, Fleet, Rolling

pytestmark = pytest.mark.django_db
QUICK: dict[str, Any] = {"watch": 0, "patience": 0, "away": 1, "hours": 0.1}


class Offers:
    """A page that has some models, and a clock."""

    def __init__(self, fleet: Fleet, *hashes: str) -> None:
        self.models: Any = SimpleNamespace(
            installed=lambda: [SimpleNamespace(sha256=one, name="garden") for one in hashes]
        )
        self.now, live = 0.0, fleet
        self.of_page = ModelOffers(live, self.models, clock=lambda: self.now)  # type: ignore[arg-type]

    def tell(self) -> None:
        self.now += 400
        assert self.of_page.are_due()
        self.of_page.tell()
        assert not self.of_page.are_due()


def test_latest_model_is_that_of_the_last_roll_out_that_was_done_also_for_who_missed_it() -> None:
    fleet = Fleet("a", "b", "c", "old")
    fleet["b"].online = False
    fleet["old"].offered = None
    Rolling(fleet, Plan(**QUICK), "a", "b", "old").turns(8)
    fleet["b"].online = True
    offers = Offers(fleet, NEW)
    offers.tell()
    told = {name: device.offered for name, device in fleet.all.items()}
    assert told == {"a": NEW, "b": NEW, "c": "", "old": None}
    # A daemon that was started again is told again.
    fleet["b"].offered = ""
    offers.tell()
    assert fleet["b"].offered == NEW


def test_model_that_went_back_or_is_not_here_any_more_is_no_recommendation() -> None:
    fleet = Fleet("a", "b")
    fleet["a"].refusal = "no room"
    Rolling(fleet, Plan(limits=Limits(lost=0), **QUICK)).turns(2)
    Offers(fleet, NEW).tell()
    assert {device.offered for device in fleet.all.values()} == {""}
    fleet["a"].refusal = ""
    Rolling(fleet, Plan(**QUICK)).turns(2)
    Offers(fleet, NEW).tell()
    assert {device.offered for device in fleet.all.values()} == {NEW}
    Offers(fleet, OLD).tell()
    assert {device.offered for device in fleet.all.values()} == {""}
