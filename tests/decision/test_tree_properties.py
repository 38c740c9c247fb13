"""What holds for every sequence of frames over a tree of labels."""

from dataclasses import replace
from itertools import accumulate

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_classifier.config.settings import DecisionSettings, Thresholds
from edge_classifier.core.labels.labels import UNKNOWN
from edge_classifier.core.labels.taxonomy import Taxonomy
from edge_classifier.core.scores import reaches
from edge_classifier.decision.rules import Rules, rules_for
from edge_classifier.decision.step import DecisionState, initial_state
from tests.decision.made_scores import PETS, PetsAt, changes, pet_rules, pet_steps
from tests.decision.test_properties import DECISIONS, PAUSES_S, SCORES

CHECKED = settings(deadline=None)
NAMES = ("animal", "cat", "dog", *PETS)
THRESHOLDS = st.dictionaries(
    st.sampled_from(NAMES), st.builds(Thresholds, enter=st.sampled_from([0.3, 0.8])), max_size=2
)
TREE_DECISIONS = st.builds(
    lambda decision, own, specific: replace(decision, labels=own, specific=specific),
    DECISIONS,
    THRESHOLDS,
    st.booleans(),
)


@st.composite
def videos(draw: st.DrawFn) -> list[PetsAt]:
    """Frames at times that never go backwards; scores may be a softmax or not."""
    one = st.tuples(PAUSES_S, *[SCORES] * len(PETS))
    drawn = draw(st.lists(one, min_size=1, max_size=40))
    times = list(accumulate(pause_s for pause_s, *_ in drawn))
    frames = []
    for at_s, (_, *scores) in zip(times, drawn, strict=True):
        whole = max(1.0, sum(scores)) if draw(st.booleans()) else 1.0
        frames.append((at_s, *(score / whole for score in scores)))
    return frames


def totals_of(rules: Rules, state: DecisionState) -> dict[str, float]:
    assert state.scores is not None
    totals = rules.label_map.tree.totals(state.scores).tolist()
    return dict(zip(rules.label_map.labels, totals, strict=True))


@CHECKED
@given(videos(), TREE_DECISIONS, st.sampled_from([UNKNOWN, *NAMES]))
def test_no_name_is_claimed_for_longer_than_the_unknown_dwell_after_it_was_last_seen(
    frames: list[PetsAt], decision: DecisionSettings, label: str
) -> None:
    rules = pet_rules(decision)
    claimed, lost_since = label, None
    for state, _ in pet_steps(frames, rules, initial_state(label)):
        position = rules.label_map.position.get(state.label)
        if state.label != claimed:
            claimed, lost_since = state.label, None
        assert state.scores is not None
        totals = rules.label_map.tree.totals(state.scores)
        if position is None or rules.holds(position, totals):
            lost_since = None
            continue
        lost_since = state.at_s if lost_since is None else lost_since
        assert state.at_s - lost_since < decision.unknown_dwell_s


@CHECKED
@given(videos(), TREE_DECISIONS, st.sampled_from([UNKNOWN, *NAMES]))
def test_names_that_enter_are_sure_or_were_said_with_what_is_below_them(
    frames: list[PetsAt], decision: DecisionSettings, label: str
) -> None:
    rules = pet_rules(decision)
    label_map = rules.label_map
    before = label
    for state, verdict in pet_steps(frames, rules, initial_state(label)):
        if verdict.change and verdict.label != UNKNOWN:
            at, totals = label_map.position[verdict.label], totals_of(rules, state)
            beside = [
                totals[other]
                for place, other in enumerate(label_map.labels)
                if not label_map.tree.are_in_line(at, place)
            ]
            if verdict.label in label_map.path(before):
                assert reaches(totals[verdict.label], rules.leave[at])
                scores = np.array(list(totals.values()))
                assert not rules.holds(label_map.position[before], scores)
            else:
                assert reaches(totals[verdict.label], rules.enter[at])
                assert reaches(totals[verdict.label] - max(beside), decision.margin)
        before = verdict.label


@CHECKED
@given(videos(), TREE_DECISIONS)
def test_events_each_begins_where_the_last_one_ended_and_leaves_its_line(
    frames: list[PetsAt], decision: DecisionSettings
) -> None:
    rules = pet_rules(decision)
    told = before = UNKNOWN
    for state, verdict in pet_steps(frames, rules):
        assert bool(verdict.change) == (verdict.label != before)
        if verdict.change:
            paths = rules.label_map.path(told), rules.label_map.path(verdict.label)
            are_in_line = told in paths[1] or verdict.label in paths[0]
            assert verdict.change.is_event == (decision.specific or not are_in_line)
            if verdict.change.is_event:
                assert verdict.change[:2] == (told, verdict.label)
                told = verdict.label
        before = verdict.label
        assert (state.label, state.told) == (before, told)


@CHECKED
@given(videos(), TREE_DECISIONS, st.tuples(*[SCORES] * len(PETS)))
def test_a_scene_that_stays_the_same_settles_on_its_most_specific_sure_name(
    frames: list[PetsAt], decision: DecisionSettings, scene: tuple[float, ...]
) -> None:
    rules = pet_rules(decision)
    state, _ = pet_steps(frames, rules)[-1]
    # By then the averages are the scene's own, to within every tolerance.
    long_ago = state.at_s + 1000
    ((state, _),) = pet_steps([(long_ago, *scene)], rules, state)  # type: ignore[list-item]
    still = [(long_ago + 0.25 * number, *scene) for number in range(1, 80)]
    settled = pet_steps(still, rules, state)  # type: ignore[arg-type]
    verdicts = [verdict for _, verdict in settled]
    assert changes(verdicts[25:]) == []
    # Nothing below the name that is sure too, but what is held back by hysteresis.
    state, verdict = settled[-1]
    below = [rung for rung in state.since if rules.label_map.labels[rung] not in verdict.path]
    assert not below


@CHECKED
@given(st.lists(st.floats(0.41, 0.99), min_size=1, max_size=60), st.floats(0, 2))
def test_a_name_whose_score_stays_above_leave_never_gives_way_to_one_above(
    heights: list[float], pause_s: float
) -> None:
    frames = [(n * pause_s, height, 0.0, 0.0, 0.0, 0.0) for n, height in enumerate(heights)]
    found = pet_steps(frames, pet_rules(), initial_state("tabby"))
    assert changes([verdict for _, verdict in found]) == []


@CHECKED
@given(
    st.sampled_from(["exponential", "vote", "none"]),
    st.integers(1, 4),
    st.integers(1, 4),
    st.floats(0.5, 1, width=32),
    st.sampled_from([UNKNOWN, "cat", "tabby"]),
)
def test_levels_that_take_turns_faster_than_the_dwell_do_not_flap(
    smoothing: str, sure: int, unsure: int, height: float, label: str
) -> None:
    """Tabby now and then, a cat always: frames of up to 0.4 s each."""
    decision = DecisionSettings(smoothing=smoothing)  # type: ignore[arg-type]
    tabby, cat = (height, 0.99 - height, 0, 0, 0), (0.3, 0.4, 0, 0, 0)
    pattern = [tabby] * sure + [cat] * unsure
    frames = [(n / 10, *pattern[n % len(pattern)]) for n in range(300)]
    verdicts = [one for _, one in pet_steps(frames, pet_rules(decision), initial_state(label))]
    assert len(changes(verdicts)) <= 3
    assert changes(verdicts[100:]) == []


@CHECKED
@given(videos(), TREE_DECISIONS, st.sampled_from([UNKNOWN, *PETS]))
def test_without_nodes_it_is_as_without_a_tree(
    frames: list[PetsAt], decision: DecisionSettings, label: str
) -> None:
    decision = replace(decision, labels={})
    without = rules_for(PETS, decision)
    flat = rules_for(PETS, decision, Taxonomy((), (None,) * len(PETS)))
    assert [verdict for _, verdict in pet_steps(frames, flat, initial_state(label))] == [
        verdict for _, verdict in pet_steps(frames, without, initial_state(label))
    ]
    assert np.array_equal(flat.label_map.class_positions, without.label_map.class_positions)
