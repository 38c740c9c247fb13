"""One turn of a roll-out that runs: who is asked, who is watched, who is judged, and when it halts.

All that is known between two turns is in the database, so that a page that is started again goes on
where it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from edge_classifier.web.models import Rollout, RolloutDevice, RolloutEntry
from edge_classifier.web.rollouts import verdict
from edge_classifier.web.rollouts.observed import Observed
from edge_classifier.web.rollouts.verdict import UNCLEAR, Limits, RolloutFinding

State = RolloutDevice.State
# Seconds without a word of the change, after which a device is asked again; and how often.
_ASK_AGAIN_S, _MOST_TRIES = 60.0, 3
# A failure that was told before may be told again in the same words.
_SAME_FAILURE_S = 15.0
# Statistics are on their way for a moment; and a daemon's clock is not ours.
_UPTIME_SLACK_S = 5.0
# Between two judgements of one that is waited for.
_JUDGE_AGAIN_S, _SOONEST_S = 30.0, 2.0
_LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a turn has of the world."""

    # A device, or the one of its cameras that is meant.
    observe: Callable[[str, str], Observed]
    # Asks a device for a model, when all is on record. What gets lost is asked for again.
    ask: Callable[[str, dict[str, str]], None]
    # What is found of a device that runs the new model.
    judge: Callable[[Rollout, RolloutDevice, Observed], list[RolloutFinding]]
    # The SHA-256 of a model by ``name@21331c65``, if the page has it; else empty.
    sha256_of: Callable[[str], str]


def note(
    rollout: Rollout, at: datetime, kind: str, device: str = "", **detail: Any
) -> RolloutEntry:
    """Write a line into the record of ``rollout``."""
    return RolloutEntry.objects.create(
        rollout=rollout, at=at, kind=kind, device=device, detail=detail
    )


def finish(rollout: Rollout, state: Any, now: datetime) -> None:
    """It is over: its devices are free for another one."""
    rollout.state, rollout.ended_at = state, now
    rollout.save()
    rollout.devices.update(is_open=False)
    note(rollout, now, state)


def go_back(rollout: Rollout, now: datetime, kind: str, device: str = "", **detail: Any) -> None:
    """Send back all that have the new model, or may have; ``kind`` says why."""
    note(rollout, now, kind, device, **detail)
    changed = rollout.devices.filter(state__in=RolloutDevice.CHANGED)
    changed.update(state=State.GOING_BACK, asked_at=None, tries=0, settled_at=None)
    rollout.devices.filter(state=State.WAITING).update(state=State.MISSED, settled_at=now)
    rollout.state = Rollout.State.GOING_BACK
    rollout.save()


class RolloutTurn:
    """A turn of one roll-out that is to run on."""

    def __init__(self, rollout: Rollout, around: Surroundings, now: datetime) -> None:
        self._rollout, self._around, self._now = rollout, around, now
        self._limits = Limits.of_json(rollout.limits)
        self._rows = list(rollout.devices.all())
        self._seen = {row.device: around.observe(row.device, rollout.camera) for row in self._rows}

    def run(self) -> None:
        """Do what is to be done now."""
        before = {row.pk: _values(row) for row in self._rows}
        for row in self._rows:
            if row.state in RolloutDevice.UNSETTLED:
                self._follow(row, self._seen[row.device])
        halted = self._reason_to_halt()
        if not halted:
            self._ask_next()
        for row in self._rows:
            if _values(row) != before[row.pk]:
                row.save()
        if halted:
            kind, device, detail = halted
            go_back(self._rollout, self._now, kind, device, **detail)
        elif not any(row.state in RolloutDevice.UNSETTLED for row in self._rows):
            finish(self._rollout, Rollout.State.DONE, self._now)

    def _follow(self, row: RolloutDevice, seen: Observed) -> None:
        if not seen.is_online:
            row.away_since = row.away_since or self._now
            away_s = (self._now - row.away_since).total_seconds()
            if away_s >= self._rollout.away_s and not row.is_lost:
                row.is_lost = True
                self._note("away", row)
        elif row.away_since:
            if row.is_lost:
                self._note("returned", row)
            row.away_since, row.is_lost = None, False
        if row.state == State.ASKED:
            self._follow_change(row, seen)
        if row.state == State.WATCHED:
            self._watch(row, seen)
        is_over = self._now >= self._rollout.until
        if is_over and row.state in RolloutDevice.UNSETTLED:
            self._settle(row, State.MISSED, "missed")

    def _follow_change(self, row: RolloutDevice, seen: Observed) -> None:
        sha256 = self._rollout.sha256
        since_s = (self._now - row.asked_at).total_seconds() if row.asked_at else 0.0
        former = row.former_change if since_s < _SAME_FAILURE_S else None
        change = seen.change_to(sha256, former)
        if seen.is_online and seen.runs(sha256):
            row.state, row.runs_at, row.message = State.WATCHED, self._now, ""
            row.told_at, row.uptime_s = seen.told_at, seen.uptime_s
            self._note("runs", row)
        elif seen.is_online and change.get("state") == "failed":
            self._fail(row, str(change.get("error", "")))
        elif seen.is_online and not seen.is_changing_to(sha256) and since_s >= _ASK_AGAIN_S:
            if row.tries >= _MOST_TRIES:
                self._fail(row, "", kind="no answer")
            else:
                self._ask(row, seen)

    def _watch(self, row: RolloutDevice, seen: Observed) -> None:
        if not seen.is_online:
            return
        row.restarts += _has_restarted(row, seen)
        row.told_at, row.uptime_s = seen.told_at, seen.uptime_s
        row.after_ms = seen.time_of(self._rollout.sha256)
        if seen.model and not seen.runs(self._rollout.sha256):
            change = seen.change_to(self._rollout.sha256)
            self._fail(row, str(change.get("error", "")), kind="left", model=seen.model)
        elif row.restarts > self._limits.restarts:
            row.findings = [verdict.judge_restarts(row.restarts, self._limits).as_json()]
        else:
            self._judge(row, seen)

    def _judge(self, row: RolloutDevice, seen: Observed) -> None:
        """At the end of its time, and again while too little was seen."""
        watched_s = (self._now - (row.runs_at or self._now)).total_seconds()
        is_last = self._now >= self._rollout.until
        if watched_s < self._rollout.watch_s and not is_last:
            return
        again_s = min(_JUDGE_AGAIN_S, max(_SOONEST_S, self._rollout.patience_s / 10))
        again = timedelta(seconds=again_s)
        if row.settled_at and self._now - row.settled_at < again:
            return
        row.settled_at = self._now
        found = self._around.judge(self._rollout, row, seen)
        row.findings = [one.as_json() for one in found]
        if verdict.worst(found):
            # The reason to halt.
            return
        few = _is_unclear(row)
        waited_s = watched_s - self._rollout.watch_s
        if few and waited_s < self._rollout.patience_s and not is_last:
            return
        self._settle(row, State.KEPT, "few" if few else "kept", minutes=round(watched_s / 60))

    def _reason_to_halt(self) -> tuple[str, str, dict[str, Any]] | None:
        """Why all are to go back: a key of the record, a device, and what belongs to it."""
        for row in self._rows:
            found = verdict.worst(RolloutFinding(**one) for one in row.findings)
            if row.state == State.WATCHED and found:
                return "worse", row.device, found.as_json()
        failed = [row for row in self._rows if row.state == State.FAILED]
        lost = [row for row in self._rows if row.is_lost and row.state in RolloutDevice.UNSETTLED]
        for row in (*failed, *lost):
            if row.step == 0 and row.asked_at:
                return "first failed", row.device, {"message": row.message}
        if len(failed) + len(lost) > self._limits.lost:
            return (
                "lost",
                "",
                {"failed": len(failed), "away": len(lost), "limit": self._limits.lost},
            )
        if self._limits.needs_evidence:
            for row in self._rows:
                if row.state == State.KEPT and _is_unclear(row):
                    return "no evidence", row.device, {}
        return None

    def _ask_next(self) -> None:
        """Ask the devices whose turn it is; a step begins when the one before is settled."""
        for step in sorted({row.step for row in self._rows}):
            rows = [row for row in self._rows if row.step == step]
            if step == 0 and not any(row.state == State.KEPT or row.asked_at for row in rows):
                # Where all of them are away for too long, another device is the first one.
                others = (
                    one for one in self._rows if one.step and self._seen[one.device].is_online
                )
                if all(row.is_lost for row in rows) and (other := next(others, None)):
                    other.step = 0
                    self._note("takes its place", other)
                    rows = [row for row in self._rows if row.step == step]
            for row in rows:
                seen = self._seen[row.device]
                if row.state == State.WAITING and seen.is_online:
                    self._begin(row, seen)
            if any(row.state in RolloutDevice.UNSETTLED and not row.is_lost for row in rows):
                return

    def _begin(self, row: RolloutDevice, seen: Observed) -> None:
        if seen.runs(self._rollout.sha256):
            self._settle(row, State.KEPT, "runs already")
            return
        row.before = seen.model
        row.followed_common = seen.model == seen.common
        row.before_ms = next(
            (ms for model, ms in seen.inference_ms.items() if model == seen.model), None
        )
        row.state = State.ASKED
        self._ask(row, seen)
        self._note("asked", row)

    def _ask(self, row: RolloutDevice, seen: Observed) -> None:
        body = {"model": self._rollout.model, "sha256": self._rollout.sha256}
        body |= {"camera": seen.camera} if seen.camera else {}
        row.former_change = dict(seen.change) if seen.change else None
        row.asked_at = self._now
        row.tries += 1
        self._around.ask(row.device, body)

    def _fail(
        self, row: RolloutDevice, message: str, *, kind: str = "failed", **detail: Any
    ) -> None:
        row.message = message[:_LONGEST_MESSAGE]
        self._settle(row, State.FAILED, kind, message=row.message, **detail)

    def _settle(self, row: RolloutDevice, state: Any, kind: str, **detail: Any) -> None:
        row.state, row.settled_at = state, self._now
        self._note(kind, row, **detail)

    def _note(self, kind: str, row: RolloutDevice, **detail: Any) -> None:
        note(self._rollout, self._now, kind, row.device, **detail)


def _has_restarted(row: RolloutDevice, seen: Observed) -> bool:
    """Whether its daemon was started between two of its statistics.

    Two starts between them are one.
    """
    then, up_then_s, now, up_now_s = row.told_at, row.uptime_s, seen.told_at, seen.uptime_s
    if then is None or up_then_s is None or now is None or up_now_s is None or then == now:
        return False
    between_s = (now - then).total_seconds()
    is_younger = up_now_s + _UPTIME_SLACK_S < up_then_s + between_s
    # Else a clock was set.
    return is_younger and up_now_s < between_s + _UPTIME_SLACK_S


def _is_unclear(row: RolloutDevice) -> bool:
    """Whether none of its cameras has shown enough to be judged."""
    of_cameras = [one["verdict"] for one in row.findings if one["what"] == "unknown"]
    return all(one == UNCLEAR for one in of_cameras)


def _values(row: RolloutDevice) -> tuple[Any, ...]:
    return tuple(getattr(row, field.attname) for field in row._meta.concrete_fields)
