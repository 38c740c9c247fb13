"""A roll-out as pages show it: where each device is, and what was found of it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from edge_classifier.web.live.live_client import LiveClient
from edge_classifier.web.models import Rollout, RolloutDevice
from edge_classifier.web.rollouts.observed import Observed
from edge_classifier.web.rollouts.verdict import FINE, UNCLEAR, WORSE
from edge_classifier.web.rollouts.wording import finding_text

State = RolloutDevice.State
# From left to right: what a place is called, and whether it is shown while nobody is there.
PLACES: Mapping[str, tuple[str, bool]] = {
    "waiting": (gettext_noop("Waiting"), True),
    "away": (gettext_noop("Away"), False),
    "fetching": (gettext_noop("Fetching and trying"), True),
    "running": (gettext_noop("Runs it, is watched"), True),
    "kept": (gettext_noop("Judged: it stays"), True),
    "failed": (gettext_noop("Did not take it"), False),
    "back": (gettext_noop("Going or gone back"), False),
    "missed": (gettext_noop("Did not get it"), False),
}
_PLACE_OF = {
    State.WAITING: "waiting",
    State.ASKED: "fetching",
    State.WATCHED: "running",
    State.KEPT: "kept",
    State.FAILED: "failed",
    State.MISSED: "missed",
    State.GOING_BACK: "back",
    State.BACK: "back",
    State.STUCK: "back",
}
_STAGES = {
    "waiting": gettext_noop("waits for another model"),
    "fetching": gettext_noop("is being fetched"),
    "trying": gettext_noop("is being tried"),
    "loading": gettext_noop("is being loaded"),
}
# From left to right on a strip that fills up.
_STRIP = ("kept", "running", "fetching", "back", "failed", "missed", "away", "waiting")
# Names in one place; the rest is a number.
_MOST_SHOWN = 60
# Of one camera.
_MOST_TITLES = 3


@dataclass(frozen=True, slots=True)
class DisplayedDevice:
    """One device."""

    row: RolloutDevice
    place: str
    # How far it is within its place.
    note: str
    # What was judged, each with its verdict; and the verdict on all: the worst of them.
    findings: Sequence[tuple[str, str]]
    verdict: str


@dataclass(frozen=True, slots=True)
class ProgressPlace:
    """A place on the way, and who is there."""

    key: str
    title: str
    devices: Sequence[DisplayedDevice]
    count: int
    # How many are before it on a strip that fills up.
    start: int
    # Beyond those that are shown.
    more: int


def displayed_devices(rollout: Rollout, live: LiveClient | None) -> list[DisplayedDevice]:
    """All of them, in their order."""
    title = live.title if live else None
    found = []
    for row in rollout.devices.all():
        place, note = _PLACE_OF[State(row.state)], ""
        if row.state in RolloutDevice.UNSETTLED and rollout.is_open and row.away_since:
            place = "away"
        elif row.state == State.ASKED:
            seen = Observed.of(live.device(row.device) if live else None, rollout.camera)
            change = seen.change_to(rollout.sha256)
            if (stage := str(change.get("state", ""))) in _STAGES:
                share = change.get("share")
                note = _(_STAGES[stage]) + (f": {100 * share:.0f} %" if share is not None else "")
        elif row.state == State.WATCHED and rollout.is_open:
            over_s = (timezone.now() - row.runs_at).total_seconds() if row.runs_at else 0.0
            if over_s >= rollout.watch_s:
                note = _("waits for more events")
            else:
                minutes = math.ceil((rollout.watch_s - over_s) / 60)
                note = _("judged in %(minutes)s min") % {"minutes": minutes}
        elif row.state == State.FAILED:
            note = row.message
        texts = [(finding_text(one, row.device, title), one["verdict"]) for one in row.findings]
        found.append(DisplayedDevice(row, place, note, texts, _overall(row.findings)))
    return found


def places(devices: Sequence[DisplayedDevice]) -> list[ProgressPlace]:
    """The way of the model, with the devices at their places."""
    found: list[ProgressPlace] = []
    for key, (title, is_always_shown) in PLACES.items():
        here = [one for one in devices if one.place == key]
        if here or is_always_shown:
            shown = here[:_MOST_SHOWN]
            before = _STRIP[: _STRIP.index(key)]
            start = sum(1 for one in devices if one.place in before)
            more = len(here) - len(shown)
            found.append(ProgressPlace(key, _(title), shown, len(here), start, more))
    return found


def camera_called(live: LiveClient | None, camera: str, devices: Iterable[str]) -> str:
    """What people call the camera that each of ``devices`` has by this name: ``Gate / Barn door``.

    Its name, where nobody has said, or where they call it by too many names.
    """
    titles = dict.fromkeys(live.title(device, camera) for device in devices) if live else ()
    return " / ".join(titles) if 0 < len(titles) <= _MOST_TITLES else camera


def on_strip(devices: Sequence[DisplayedDevice]) -> list[ProgressPlace]:
    """Places where somebody is, in the order of a strip that fills up."""
    found = [one for one in places(devices) if one.count]
    return sorted(found, key=lambda one: one.start)


def _overall(findings: Sequence[Mapping[str, Any]]) -> str:
    """The verdict on all: nothing is called fine whose labels could not be judged."""
    verdicts = [one["verdict"] for one in findings]
    of_labels = [one["verdict"] for one in findings if one["what"] == "unknown"]
    if not verdicts or WORSE in verdicts:
        return WORSE if verdicts else ""
    return FINE if FINE in of_labels else UNCLEAR
