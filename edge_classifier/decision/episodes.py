"""What stays from a label's coming to its going, and what was too short to be published.

An *episode* begins with the change that brings a label and ends with the next change. Its peak is
the highest score that its label had in one frame alone: a smoothed score lags behind the picture,
and with votes is not a score of a picture at all. The frames in which the label was about to enter
count, too: what passes a camera is often seen best before it is published. A label that is named
more or less specifically without an event is in the same episode, which has the most specific of
its names.

Time in which nobody looked (the camera was away, switched off, in its quiet hours, or the daemon
was) belongs to an episode whose label is seen again afterwards. If it is not, the episode ended
when somebody last looked. Nothing else ends one: a model that was swapped and settings that were
reloaded keep the label, and so its episode.

A *sighting* is a label that frames by themselves show: it reaches its ``enter`` in each, and they
are at most GAP_S apart. What they have in common counts: frames of tabbies and of tiger cats are a
sighting of a cat, and none where a cat has been told of. One label is sighted at a time: another
takes its place when it had but one frame, and else waits until the gap has passed. A sighting of
FRAMES frames or more that ends without its label's becoming current is a *glimpse*, once the label
is no longer on its way. At most BURST are told at once, and one more every REFILL_S: a cluttered
scene must not flood.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from edge_classifier.core.events import Moment, OpenEpisode, Peak
from edge_classifier.core.geometry import RelativeBox
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.decision.frame_scores import FrameScores
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import Rules
from edge_classifier.decision.step import FrameVerdict

# Seconds between two frames of one sighting: a second at one frame a second, and one to spare.
GAP_S = 2.0
# One frame alone is often noise.
FRAMES = 2
BURST, REFILL_S = 5, 30.0
# Labels that an event lists.
TOP = 3

# How near a sighted label came to being current, the nearest last.
_NEARER = Reason.BELOW_THRESHOLD, Reason.MARGIN, Reason.DWELL


class SeenFrame(NamedTuple):
    """One frame that was looked at."""

    at: Moment
    scores: FrameScores
    # What the last event of the camera told to be there: not sighted, but known.
    told: str
    # What the network saw of it; None: all of it.
    box: RelativeBox | None = None
    # Whether nobody had looked for a while before.
    is_after_gap: bool = False


@dataclass(frozen=True, slots=True)
class Sighting:
    """A label that frames show, and that is not current."""

    peak: Peak
    first: Moment
    last: Moment
    frames: int
    # Why it is not current.
    reason: Reason

    @property
    def duration_s(self) -> float:
        """From the first to the last frame that showed it."""
        return max(0.0, self.last.monotonic - self.first.monotonic)


class EndedEpisode(NamedTuple):
    """An episode that is over, since ``at``."""

    episode: OpenEpisode
    at: Moment
    duration_s: float


class Outcome(NamedTuple):
    """What has become clear with a frame, in the order in which it is to be told."""

    glimpse: Sighting | None = None
    ended: EndedEpisode | None = None


class EpisodeState(NamedTuple):
    """All that is remembered of a camera's episode and sighting."""

    episode: OpenEpisode | None = None
    # When it began, by the monotonic clock; None: before the daemon was started.
    began_s: float | None = None
    sighting: Sighting | None = None
    # The last frame that was looked at.
    last: Moment | None = None
    # The last one before a gap after which the episode's label has not been seen yet.
    last_before_gap: Moment | None = None
    # How many glimpses may be told, as of ``allowed_at_s``.
    allowed: float = float(BURST)
    allowed_at_s: float = 0.0
    # How many were not told, as they were too many.
    left_out: int = 0


def restored(episode: OpenEpisode | None, last_at_utc_s: float) -> EpisodeState:
    """The state after a restart, of a camera that was last looked at ``last_at_utc_s``."""
    # Of another boot, perhaps: the monotonic clock says nothing.
    return EpisodeState(episode, last=Moment(last_at_utc_s, 0.0))


def follow(
    rules: Rules, state: EpisodeState, seen: SeenFrame, verdict: FrameVerdict, episode_id: str
) -> tuple[EpisodeState, Outcome]:
    """Take in one frame; ``episode_id`` is that of the episode which begins if the label changed.

    ``rules`` are those by which ``verdict`` was reached.
    """
    if seen.is_after_gap and state.episode:
        state = state._replace(last_before_gap=state.last)
    if verdict.change and verdict.change.is_event:
        state, outcome = _change(rules, state, seen, verdict, episode_id)
    else:
        if episode := state.episode:
            peak, path = episode.peak, seen.scores.path(verdict.label)
            # Another level, or another branch below one that is still the label of the last event.
            if verdict.label not in {UNKNOWN, peak.label} and len(path) >= len(peak.path):
                peak = Peak(verdict.label, path, 0.0, seen.at.utc)
            peak = _raised(peak, seen)
            if peak is not episode.peak:
                state = state._replace(episode=replace(episode, peak=peak))
        if state.last_before_gap:
            position = rules.label_map.position.get(verdict.label)
            # The current label has not been lost.
            if position is not None and verdict.score >= rules.leave[position]:
                state = state._replace(last_before_gap=None)
        state, glimpse = _sight(rules, state, seen, verdict)
        outcome = Outcome(glimpse)
    return state._replace(last=seen.at), outcome


def end(rules: Rules, state: EpisodeState) -> tuple[EpisodeState, Outcome]:
    """The label is taken away without a frame: forgotten, as asked, or with its camera."""
    ended = _ended(state, state.last_before_gap or state.last)
    nothing = state._replace(episode=None, began_s=None, last_before_gap=None, sighting=None)
    nothing, glimpse = _told(rules, nothing, state.sighting)
    return nothing, Outcome(glimpse, ended)


def look_away(rules: Rules, state: EpisodeState, now_s: float) -> tuple[EpisodeState, Outcome]:
    """No frame since the last one, until ``now_s``: what was sighted may be over."""
    if state.last is None or now_s - state.last.monotonic <= GAP_S:
        return state, Outcome()
    state, glimpse = _told(rules, state._replace(sighting=None), state.sighting)
    return state, Outcome(glimpse)


def _change(
    rules: Rules, state: EpisodeState, seen: SeenFrame, verdict: FrameVerdict, episode_id: str
) -> tuple[EpisodeState, Outcome]:
    label, sighting = verdict.label, state.sighting
    ended = _ended(state, state.last_before_gap or seen.at)
    state = state._replace(episode=None, began_s=None, last_before_gap=None, sighting=None)
    if label != UNKNOWN:
        is_same = sighting is not None and sighting.peak.label == label
        fresh = Peak(label, seen.scores.path(label), 0.0, seen.at.utc)
        peak = sighting.peak if sighting and is_same else fresh
        episode = OpenEpisode(episode_id, seen.at.utc, _raised(peak, seen))
        state = state._replace(episode=episode, began_s=seen.at.monotonic)
        if has_led_to(seen.scores, sighting, episode):
            sighting = None
    state, glimpse = _told(rules, state, sighting)
    return state, Outcome(glimpse, ended)


def _sight(
    rules: Rules, state: EpisodeState, seen: SeenFrame, verdict: FrameVerdict
) -> tuple[EpisodeState, Sighting | None]:
    """Go on with the sighting, end it, or begin one; the glimpse that it was, if it was one."""
    sighting, label = state.sighting, seen.scores.sighted
    is_sighted = label != UNKNOWN and not seen.scores.are_in_line(label, seen.told)
    over = None
    if sighting is not None:
        passed_s = seen.at.monotonic - sighting.last.monotonic
        reason = _reason(verdict, sighting.peak.label, seen)
        common = seen.scores.common(label, sighting.peak.label)
        if is_sighted and passed_s <= GAP_S and common is not None:
            peak = sighting.peak
            if common != peak.label:
                peak = replace(peak, label=common, path=seen.scores.path(common))
            sighting = Sighting(
                _raised(peak, seen),
                sighting.first,
                seen.at,
                sighting.frames + 1,
                _nearer(sighting.reason, reason),
            )
            is_sighted = False
        elif is_sighted and sighting.frames < FRAMES:
            sighting = None
        elif passed_s > GAP_S and reason is not Reason.DWELL:
            over, sighting = sighting, None
        else:
            sighting = replace(sighting, reason=_nearer(sighting.reason, reason))
    if is_sighted and sighting is None:
        peak = Peak(label, seen.scores.path(label), 0.0, seen.at.utc)
        reason = _reason(verdict, label, seen)
        sighting = Sighting(_raised(peak, seen), seen.at, seen.at, 1, reason)
    return _told(rules, state._replace(sighting=sighting), over)


def _raised(peak: Peak, seen: SeenFrame) -> Peak:
    """The peak after ``seen``."""
    score = seen.scores.of(peak.label)
    if score <= peak.score:
        return peak
    return replace(peak, score=score, at=seen.at.utc, top=seen.scores.top(TOP), box=seen.box)


def _ended(state: EpisodeState, at: Moment | None) -> EndedEpisode | None:
    """The open episode, over since ``at``; None if there is none."""
    if state.episode is None or at is None:
        return None
    begun_s, end_s = state.began_s, at.monotonic
    if begun_s is None:
        begun_s, end_s = state.episode.started, at.utc
    return EndedEpisode(state.episode, at, max(0.0, end_s - begun_s))


def _told(
    rules: Rules, state: EpisodeState, sighting: Sighting | None
) -> tuple[EpisodeState, Sighting | None]:
    """``sighting`` if it is a glimpse that may be told."""
    if sighting is None or sighting.frames < FRAMES or not rules.decision.glimpses:
        return state, None
    now_s = sighting.last.monotonic
    refilled = max(0.0, now_s - state.allowed_at_s) / REFILL_S
    allowed = min(float(BURST), state.allowed + refilled)
    state = state._replace(allowed=allowed, allowed_at_s=now_s)
    if allowed < 1:
        return state._replace(left_out=state.left_out + 1), None
    return state._replace(allowed=allowed - 1), sighting


def _reason(verdict: FrameVerdict, label: str, seen: SeenFrame) -> Reason:
    """Why ``label`` is not current, by the smoothed scores."""
    if verdict.pending and seen.scores.are_in_line(verdict.pending.label, label):
        return Reason.DWELL
    if verdict.reason is Reason.MARGIN and seen.scores.are_in_line(verdict.best.label, label):
        return Reason.MARGIN
    return Reason.BELOW_THRESHOLD


def _nearer(one: Reason, other: Reason) -> Reason:
    return max(one, other, key=_NEARER.index)


def has_led_to(scores: FrameScores, sighting: Sighting | None, episode: OpenEpisode) -> bool:
    """Whether what was sighted is what ``episode`` has begun with."""
    return sighting is not None and scores.are_in_line(sighting.peak.label, episode.peak.label)
