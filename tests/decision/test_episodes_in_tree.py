"""Episodes and glimpses over a tree of labels: levels of one branch belong together.

Frames are (seconds, tabby, Siamese, beagle, pug, car); scores count as they are.
"""

from dataclasses import replace

import numpy as np
from hypothesis import given

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.events import Moment
from edge_classifier.decision import episodes
from edge_classifier.decision.episodes import EpisodeState, Outcome, SeenFrame
from edge_classifier.decision.frame_scores import frame_scores
from tests.decision.made_scores import CRISP, PetsAt, pet_rules, pet_steps
from tests.decision.test_tree_properties import CHECKED, TREE_DECISIONS, videos

UTC_S = 1_700_000_000.0
AT_ONCE = replace(CRISP, dwell_s=0.0)
SLOW = replace(CRISP, dwell_s=3.0)
CAT, TABBY, SIAMESE = (0.45, 0.45, 0, 0, 0), (0.9, 0, 0, 0, 0), (0.05, 0.7, 0, 0, 0)
DOG, NOTHING = (0, 0, 0.45, 0.45, 0), (0.1, 0, 0, 0, 0.1)


def told(
    frames: list[PetsAt], decision: DecisionSettings = AT_ONCE
) -> list[tuple[EpisodeState, Outcome]]:
    rules, state = pet_rules(decision), EpisodeState()
    found: list[tuple[EpisodeState, Outcome]] = []
    for (at_s, *scores), (decided, verdict) in zip(frames, pet_steps(frames, rules), strict=True):
        of_frame = frame_scores(rules, np.array(scores, np.float32))
        seen = SeenFrame(Moment(UTC_S + at_s, at_s), of_frame, decided.told)
        state, outcome = episodes.follow(rules, state, seen, verdict, f"episode {len(found)}")
        found.append((state, outcome))
    return found


def every_second(*shown: tuple[float, float, float, float, float]) -> list[PetsAt]:
    return [(float(at_s), *scores) for at_s, scores in enumerate(shown)]


def test_episode_over_several_levels_is_one_and_has_the_most_specific_name_that_held() -> None:
    found = told(every_second(CAT, CAT, TABBY, TABBY, CAT, *[NOTHING] * 5))
    (ended,) = [outcome.ended for _, outcome in found if outcome.ended]
    assert ended.episode.id == "episode 0"
    assert ended.episode.peak.label == "tabby"
    assert ended.episode.peak.path == ("animal", "cat", "tabby")
    assert ended.episode.peak.at == UTC_S + 2


def test_episode_whose_levels_are_events_ends_with_each() -> None:
    found = told(every_second(CAT, TABBY, *[NOTHING] * 5), replace(AT_ONCE, specific=True))
    ended = [outcome.ended for _, outcome in found if outcome.ended]
    assert [one.episode.peak.label for one in ended] == ["cat", "tabby"]


def test_glimpse_of_several_kinds_is_one_of_what_they_have_in_common() -> None:
    found = told(every_second(NOTHING, TABBY, SIAMESE, *[NOTHING] * 5), SLOW)
    (glimpse,) = [outcome.glimpse for _, outcome in found if outcome.glimpse]
    assert (glimpse.peak.label, glimpse.peak.path) == ("cat", ("animal", "cat"))
    assert glimpse.frames == 2


def test_glimpse_is_none_of_another_kind_of_what_is_shown() -> None:
    found = told(every_second(*[CAT] * 5, TABBY, SIAMESE, SIAMESE, *[CAT] * 5), SLOW)
    assert not any(outcome.glimpse for _, outcome in found)
    beside = told(every_second(*[CAT] * 5, DOG, DOG, *[CAT] * 5), SLOW)
    assert [outcome.glimpse.peak.label for _, outcome in beside if outcome.glimpse] == ["dog"]


@CHECKED
@given(videos(), TREE_DECISIONS)
def test_episodes_over_a_tree_begin_and_end_with_events_and_pair_up(
    frames: list[PetsAt], decision: DecisionSettings
) -> None:
    verdicts = [verdict for _, verdict in pet_steps(frames, decision)]
    open_id = None
    for verdict, (state, outcome) in zip(verdicts, told(frames, decision), strict=True):
        is_event = verdict.change is not None and verdict.change.is_event
        ended = outcome.ended.episode.id if outcome.ended else None
        assert ended == (open_id if is_event else None)
        open_id = state.episode.id if state.episode else None
        assert (open_id is None) == (verdict.label == "unknown")
