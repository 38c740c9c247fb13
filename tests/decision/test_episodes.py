"""What stays, from a label's coming to its going, and what was too short to be published."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.events import Moment, OpenEpisode, Peak
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.decision import episodes
from edge_classifier.decision.episodes import (
    BURST,
    GAP_S,
    REFILL_S,
    EndedEpisode,
    EpisodeState,
    SeenFrame,
    Sighting,
)
from edge_classifier.decision.frame_scores import frame_scores
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.rules import Rules, rules_for
from edge_classifier.decision.step import DecidedChange, initial_state, resume, step
from tests.decision.made_scores import CRISP, LABELS, At, scores_of
from tests.decision.test_properties import CHECKED, DECISIONS, videos

# When the monotonic clock of these tests was 0.
UTC_S = 1_700_000_000.0
NOTHING = (0.1, 0.1, 0.1)
CAT, DOG = (0.95, 0.02, 0.02), (0.02, 0.95, 0.02)
USUAL = DecisionSettings()


class Told(NamedTuple):
    """What became clear with one frame, and the change that it brought."""

    at_s: float
    glimpse: Sighting | None
    ended: EndedEpisode | None
    change: DecidedChange | None
    episode: OpenEpisode | None
    left_out: int


def moment(at_s: float) -> Moment:
    return Moment(UTC_S + at_s, at_s)


def told(
    frames: Iterable[At],
    decision: DecisionSettings = CRISP,
    state: EpisodeState = EpisodeState(),
    label: str = UNKNOWN,
    gaps: Sequence[float] = (),
) -> list[Told]:
    """What is told on each frame; nobody has looked just before those at ``gaps``."""
    rules = rules_for(LABELS, decision)
    decided, found = initial_state(label), []
    for number, (at_s, *scores) in enumerate(frames):
        if at_s in gaps:
            decided = resume(decided, at_s)
        given_scores = scores_of(*scores)
        decided, verdict = step(rules, decided, given_scores, at_s)
        of_frame = frame_scores(rules, given_scores)
        seen = SeenFrame(moment(at_s), of_frame, decided.told, is_after_gap=at_s in gaps)
        state, outcome = episodes.follow(rules, state, seen, verdict, f"episode {number}")
        found.append(Told(at_s, *outcome, verdict.change, state.episode, state.left_out))
    return found


def shown(
    scores: tuple[float, float, float], first_s: float, last_s: float, fps: float = 5
) -> list[At]:
    """Frames of one thing, from ``first_s`` until before ``last_s``."""
    count = round((last_s - first_s) * fps)
    return [(first_s + number / fps, *scores) for number in range(count)]


def glimpses(found: Iterable[Told]) -> list[Sighting]:
    return [one.glimpse for one in found if one.glimpse]


def ends(found: Iterable[Told]) -> list[EndedEpisode]:
    return [one.ended for one in found if one.ended]


# --- episodes -------------------------------------------------------------------------------------


def test_episode_lasts_from_the_change_that_brings_a_label_to_the_one_that_takes_it_away() -> None:
    found = told(shown(CAT, 0, 10) + shown(DOG, 10, 20))
    (change, other) = [one for one in found if one.change]
    (ended,) = ends(found)
    assert other.ended is ended
    assert change.episode
    assert ended.episode.id == change.episode.id
    assert ended.episode.started == UTC_S + change.at_s
    assert ended.at == moment(other.at_s)
    assert ended.duration_s == pytest.approx(other.at_s - change.at_s)
    assert other.episode
    assert other.episode.peak.label == "dog"


def test_episode_has_the_score_of_its_best_frame_where_the_smoothed_one_lags_behind() -> None:
    """A picture that scores 0.95 is published at 0.7: the peak is what review and people need."""
    found = told(shown(NOTHING, 0, 1) + shown(CAT, 1, 9) + shown(NOTHING, 9, 20), USUAL)
    (change, *_) = [one.change for one in found if one.change]
    assert change.score < 0.85
    (ended,) = ends(found)
    assert ended.episode.peak.score == pytest.approx(0.95)
    assert ended.episode.peak.top[0].label == "cat"
    assert ended.episode.peak.top[0].score == pytest.approx(0.95)


def test_episode_counts_the_frames_in_which_its_label_was_on_its_way() -> None:
    found = told([(0, 0.97, 0, 0), *shown((0.7, 0, 0), 0.2, 5), *shown(NOTHING, 5, 9)])
    (ended,) = ends(found)
    assert ended.episode.peak.score == pytest.approx(0.97)
    assert ended.episode.peak.at == UTC_S
    assert ended.episode.started > UTC_S


def test_episode_of_votes_has_a_score_and_not_a_share_of_frames() -> None:
    found = told(
        shown((0.7, 0.1, 0.1), 0, 5) + shown(NOTHING, 5, 12), replace(USUAL, smoothing="vote")
    )
    (ended,) = ends(found)
    assert ended.episode.peak.score == pytest.approx(0.7)


def test_episode_whose_label_is_not_seen_after_a_gap_ended_when_somebody_last_looked() -> None:
    found = told([*shown(CAT, 0, 5), *shown(NOTHING, 3600, 3605)], gaps=[3600])
    (ended,) = ends(found)
    assert ended.at == moment(4.8)
    assert ended.duration_s < 5


def test_episode_whose_label_is_there_after_a_gap_goes_on() -> None:
    frames = [*shown(CAT, 0, 5), *shown(CAT, 3600, 3605), *shown(NOTHING, 3605, 3610)]
    (ended,) = ends(told(frames, gaps=[3600]))
    assert ended.at.monotonic > 3605
    assert ended.duration_s > 3600


def test_episode_from_before_a_restart_goes_on_and_ends_with_its_id_and_its_peak() -> None:
    peak = Peak("cat", ("cat",), 0.99, UTC_S - 500)
    open_episode = OpenEpisode("of before", UTC_S - 600, peak)
    state = episodes.restored(open_episode, UTC_S - 10)
    found = told([*shown(CAT, 1, 5), *shown(NOTHING, 5, 9)], CRISP, state, "cat", gaps=[1])
    (ended,) = ends(found)
    assert ended.episode == open_episode
    assert ended.duration_s == pytest.approx(600 + ended.at.monotonic)


def test_episode_from_before_a_restart_whose_label_is_gone_ended_when_it_was_last_seen() -> None:
    open_episode = OpenEpisode("of before", UTC_S - 600, Peak("cat", ("cat",), 0.9, UTC_S - 600))
    state = episodes.restored(open_episode, UTC_S - 10)
    (ended,) = ends(told(shown(NOTHING, 1, 5), CRISP, state, "cat", gaps=[1]))
    assert ended.at.utc == UTC_S - 10
    assert ended.duration_s == pytest.approx(590)


def test_episode_that_is_ended_without_a_frame_ended_with_the_last_one() -> None:
    rules = rules_for(LABELS, CRISP)
    state = EpisodeState(
        OpenEpisode("one", UTC_S, Peak("cat", ("cat",), 0.9, UTC_S)), 0.0, last=moment(7)
    )
    state, outcome = episodes.end(rules, state)
    assert outcome.ended
    assert (outcome.ended.at, outcome.ended.duration_s) == (moment(7), 7)
    assert episodes.end(rules, state)[1] == (None, None)


@CHECKED
@given(videos(), DECISIONS, st.sets(st.integers(0, 39)))
def test_episodes_begin_and_end_with_changes_and_pair_up(
    frames: list[At], decision: DecisionSettings, after_gaps: set[int]
) -> None:
    gaps = [frame[0] for number, frame in enumerate(frames) if number in after_gaps]
    found = told(frames, decision, gaps=gaps)
    open_id = None
    for one in found:
        assert (one.ended.episode.id if one.ended else None) == (open_id if one.change else None)
        if one.change:
            open_id = one.episode.id if one.episode else None
            assert (open_id is None) == (one.change.after == UNKNOWN)
        assert (one.episode.id if one.episode else None) == open_id


@CHECKED
@given(videos(), DECISIONS)
def test_episodes_without_gaps_last_as_long_as_all_labels_together(
    frames: list[At], decision: DecisionSettings
) -> None:
    found = told(frames, decision)
    changes = [(one.at_s, one.change) for one in found if one.change]
    labelled_s = sum(
        after_s - before_s
        for (before_s, change), (after_s, _) in pairwise(changes)
        if change.after != UNKNOWN
    )
    assert sum(ended.duration_s for ended in ends(found)) == pytest.approx(labelled_s)


@CHECKED
@given(videos(), DECISIONS)
def test_episodes_peak_is_no_lower_than_its_label_in_any_of_its_frames(
    frames: list[At], decision: DecisionSettings
) -> None:
    rules = rules_for(LABELS, decision)
    for (_, *scores), one in zip(frames, told(frames, decision), strict=True):
        if one.episode:
            of_frame = frame_scores(rules, scores_of(*scores)).of(one.episode.peak.label)
            assert one.episode.peak.score >= of_frame


# --- glimpses -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fps", [3, 5, 15, 30])
@pytest.mark.parametrize("score", [0.65, 0.8])
def test_glimpse_is_told_of_a_cat_that_passes_in_1_4_s(fps: float, score: float) -> None:
    """With the default settings it is never published."""
    cat = shown((score, 0.1, 0.1), 3, 4.4, fps)
    found = told(shown(NOTHING, 0, 3, fps) + cat + shown(NOTHING, 4.4, 10, fps), USUAL)
    assert not any(one.change for one in found)
    (glimpse,) = glimpses(found)
    assert glimpse.peak.label == "cat"
    assert glimpse.peak.score == pytest.approx(score)
    assert 3 <= glimpse.first.monotonic < glimpse.last.monotonic < 4.4
    assert glimpse.frames == len(cat)


@pytest.mark.parametrize("visit_s", [0.4, 0.8, 1.2, 1.4, 1.6, 2.0, 3.0])
def test_visit_of_any_length_is_told_once(visit_s: float) -> None:
    found = told(
        shown(NOTHING, 0, 3) + shown(CAT, 3, 3 + visit_s) + shown(NOTHING, 3 + visit_s, 15), USUAL
    )
    assert len(glimpses(found)) + len(ends(found)) == 1


def test_glimpse_says_how_near_it_came() -> None:
    low = shown(NOTHING, 0, 3) + shown((0.7, 0, 0), 3, 4) + shown(NOTHING, 4, 9)
    (below,) = glimpses(told(low, USUAL))
    assert below.reason is Reason.BELOW_THRESHOLD
    high = shown(NOTHING, 0, 3) + shown(CAT, 3, 4.2) + shown(NOTHING, 4.2, 9)
    (dwell,) = glimpses(told(high, USUAL))
    assert dwell.reason is Reason.DWELL
    close = shown((0.65, 0.6, 0), 3, 4) + shown(NOTHING, 4, 9)
    (margin,) = glimpses(told(close))
    assert margin.reason is Reason.MARGIN


def test_glimpse_needs_two_frames_that_are_near_each_other() -> None:
    once = [*shown(NOTHING, 0, 1), (1.0, *CAT), *shown(NOTHING, 1.2, 9)]
    assert glimpses(told(once, USUAL)) == []
    apart = [(1.0, *CAT), (1.2 + GAP_S, *CAT), *shown(NOTHING, 2 + GAP_S, 9)]
    assert glimpses(told(apart, USUAL)) == []
    near = [(1.0, *CAT), (1.2, *NOTHING), (1.4, *CAT), *shown(NOTHING, 2, 9)]
    (glimpse,) = glimpses(told(near, USUAL))
    assert glimpse.frames == 2


def test_glimpse_is_none_of_a_label_that_is_published_after_all() -> None:
    found = told(shown(CAT, 0, 10) + shown(NOTHING, 10, 20), USUAL)
    assert glimpses(found) == []
    assert len(ends(found)) == 1


def test_glimpse_of_another_label_is_told_while_one_is_shown() -> None:
    frames = shown(CAT, 0, 5) + shown(DOG, 5, 5.8) + shown(CAT, 5.8, 12)
    found = told(frames, USUAL)
    (glimpse,) = glimpses(found)
    assert glimpse.peak.label == "dog"
    assert len([one for one in found if one.change]) == 1


def test_glimpse_is_told_before_the_change_to_another_label() -> None:
    found = told(shown(CAT, 0, 0.4) + shown(DOG, 0.4, 5))
    (change,) = [one for one in found if one.change]
    assert change.glimpse
    assert change.glimpse.peak.label == "cat"


def test_glimpse_is_told_when_nobody_looks_any_more() -> None:
    rules = rules_for(LABELS, USUAL)
    state, decided = EpisodeState(), initial_state()
    for at_s, *scores in shown(NOTHING, -1, 0) + shown(CAT, 0, 1):
        decided, verdict = step(rules, decided, scores_of(*scores), at_s)
        seen = SeenFrame(moment(at_s), frame_scores(rules, scores_of(*scores)), UNKNOWN)
        state, _ = episodes.follow(rules, state, seen, verdict, "")
    assert episodes.look_away(rules, state, 0.8 + GAP_S)[1].glimpse is None
    state, outcome = episodes.look_away(rules, state, 0.9 + GAP_S)
    assert outcome.glimpse
    assert episodes.look_away(rules, state, 60)[1].glimpse is None


def test_glimpses_are_told_unless_they_are_switched_off() -> None:
    frames = shown(NOTHING, 0, 3) + shown(CAT, 3, 4.4) + shown(NOTHING, 4.4, 10)
    assert glimpses(told(frames, replace(USUAL, glimpses=False))) == []


def test_glimpses_of_a_cluttered_scene_do_not_flood() -> None:
    """Something flickers every five seconds, for an hour."""
    frames: list[At] = []
    for second in range(0, 3600, 5):
        frames += [(second, *CAT), (second + 0.2, *CAT), *shown(NOTHING, second + 0.4, second + 5)]
    all_told = told(frames, USUAL)
    found = glimpses(all_told)
    assert len(found) <= BURST + 3600 / REFILL_S
    assert len(found) > 3600 / REFILL_S - BURST
    assert len(found) + all_told[-1].left_out == 3600 / 5 - 1


@CHECKED
@given(videos(), DECISIONS)
def test_glimpses_have_frames_enough_and_a_peak_that_reaches_enter(
    frames: list[At], decision: DecisionSettings
) -> None:
    for glimpse in glimpses(told(frames, decision)):
        assert glimpse.frames >= 2
        assert glimpse.peak.score >= decision.enter - 1e-6
        assert glimpse.first.monotonic <= glimpse.last.monotonic
        assert 0 <= glimpse.peak.at - glimpse.first.utc <= glimpse.duration_s + 1e-6


def test_rules_are_those_of_the_frame() -> None:
    rules: Rules = rules_for(LABELS, CRISP)
    scores = frame_scores(rules, scores_of(0.7, 0.2, float("nan")))
    assert (scores.of("cow"), scores.of("no such label")) == (0.0, 0.0)
