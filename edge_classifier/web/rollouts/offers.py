"""Tells devices which model is the latest for them: that of their last roll-out that was done.

Home Assistant shows it as an update, and installs it: on a device that missed the roll-out, or that
somebody has sent back. Why it is the page that knows: docs/adr/0025-offers.md.
"""

import time
from collections.abc import Callable

from edge_classifier.web.installed_models.store import ModelStore
from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Rollout, RolloutDevice

# Between two looks, and until a device is told again that does not tell it on.
_PERIOD_S, _AGAIN_S = 10.0, 300.0


class ModelOffers:
    """For one thread."""

    def __init__(
        self, live: LiveClient, models: ModelStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._live, self._models, self._clock = live, models, clock
        self._due_s = 0.0
        # What each device was told, and when.
        self._told: dict[str, tuple[str, float]] = {}

    def are_due(self) -> bool:
        """Whether it is time to look again."""
        return self._clock() >= self._due_s

    def tell(self) -> None:
        """Tell those devices that do not tell it on."""
        self._due_s = self._clock() + _PERIOD_S
        here = {one.sha256: one.name for one in self._models.installed()}
        # Of each device the last one that was done; a camera's own is none for its device.
        done = RolloutDevice.objects.filter(rollout__state=Rollout.State.DONE, rollout__camera="")
        rows = done.order_by("rollout_id").values_list("device", "rollout__sha256")
        for name, sha256 in dict(rows).items():
            device = self._live.device(name)
            offered = device.get("model_offered") if device else None
            # What the page does not have any more cannot be fetched from it.
            wanted = sha256 if sha256 in here else ""
            # None: it is too old to be told.
            if device is None or not device["online"] or offered in (None, wanted):
                continue
            told, at_s = self._told.get(name, ("", 0.0))
            if told == wanted and name in self._told and self._clock() - at_s < _AGAIN_S:
                continue
            body = {"model": here[wanted], "sha256": wanted} if wanted else {"model": ""}
            if self._live.tell(name, "offer", body):
                self._told[name] = wanted, self._clock()
