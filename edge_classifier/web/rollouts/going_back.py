"""One turn of a roll-out that goes back: each device runs the model again that it ran before."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import translation

from edge_classifier.web.models import Rollout, RolloutDevice
from edge_classifier.web.rollouts.observed import Observed
from edge_classifier.web.rollouts.progress import Surroundings, finish, note
from edge_classifier.web.rollouts.wording import HALTS, entry_text

State = RolloutDevice.State
# Seconds until it is asked in another way: with the file, by the name, for the configured one.
_ASK_AGAIN_S = 20.0
_MOST_TRIES = 4
# As daemons take it.
_LONGEST_REASON = 500


def send_back(rollout: Rollout, around: Surroundings, now: datetime) -> None:
    """Do what is to be done now; finishes ``rollout`` when all are back, or cannot be."""
    rows = list(rollout.devices.filter(state=State.GOING_BACK))
    for row in rows:
        seen = around.observe(row.device, rollout.camera)
        if seen.is_online:
            _follow(rollout, row, seen, around, now)
        else:
            # It keeps the new model until it returns, and nobody can help that.
            row.away_since = row.away_since or now
            patience = timedelta(seconds=rollout.away_s)
            if now >= max(rollout.until, row.away_since + patience):
                _settle(rollout, row, State.STUCK, "stuck away", now)
        row.save()
    if not any(row.state == State.GOING_BACK for row in rows):
        finish(rollout, Rollout.State.HALTED, now)


def _follow(
    rollout: Rollout, row: RolloutDevice, seen: Observed, around: Surroundings, now: datetime
) -> None:
    row.away_since = None
    # What is under way would come into use after all.
    is_coming = seen.is_changing_to(rollout.sha256)
    if row.tries and seen.model and not seen.runs(rollout.sha256) and not is_coming:
        _settle(rollout, row, State.BACK, "back", now, model=seen.model)
        return
    if row.asked_at and now - row.asked_at < timedelta(seconds=_ASK_AGAIN_S):
        return
    if row.tries >= _MOST_TRIES:
        _settle(rollout, row, State.STUCK, "stuck", now)
        return
    name, sha256 = row.before.partition("@")[0], around.sha256_of(row.before)
    # Empty: the one of its settings; of a camera without one, the common one.
    is_as_set = row.tries >= 2 or bool(seen.camera and row.followed_common)
    body = {"model": "" if is_as_set else name}
    body |= {"camera": seen.camera} if seen.camera else {}
    if not row.tries:
        # An older daemon refuses a reason, and then gets none.
        body["reason"] = _reason(rollout)
        body |= {"sha256": sha256} if sha256 and not is_as_set else {}
    row.asked_at = now
    row.tries += 1
    around.ask(row.device, body)


def _reason(rollout: Rollout) -> str:
    """Why it goes back, for the device's own words."""
    entry = rollout.entries.filter(kind__in=HALTS).last()
    if entry is None:
        return f"roll-out {rollout.pk}"
    # What devices tell is in one language.
    with translation.override("en"):
        said = ": ".join(filter(None, (entry.device, entry_text(entry))))
    return f"roll-out {rollout.pk}: {said}"[:_LONGEST_REASON]


def _settle(
    rollout: Rollout, row: RolloutDevice, state: Any, kind: str, now: datetime, model: str = ""
) -> None:
    row.state, row.settled_at = state, now
    note(rollout, now, kind, row.device, model=model)
