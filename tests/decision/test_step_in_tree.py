"""Over a tree of labels: the most specific name that is sure, step by step.

Frames are (seconds, tabby, Siamese, beagle, pug, car); scores count as they are.
"""

from dataclasses import replace

import pytest

from edge_classifier.config.settings import DecisionSettings, Thresholds
from edge_classifier.core.events import Ranked
from edge_classifier.decision.explain import explain
from edge_classifier.decision.reasons import Reason
from edge_classifier.decision.step import FrameVerdict, initial_state
from tests.decision.made_scores import CRISP, PetsAt, changes, pet_rules, pet_steps

CHANGED, UNCHANGED, DWELL = Reason.CHANGED, Reason.UNCHANGED, Reason.DWELL
BELOW, MARGIN = Reason.BELOW_THRESHOLD, Reason.MARGIN

NO_DWELL = replace(CRISP, dwell_s=0.0)
SPECIFIC = replace(CRISP, specific=True)


def verdicts(
    frames: list[PetsAt], decision: DecisionSettings = CRISP, label: str = "unknown"
) -> list[FrameVerdict]:
    return [one for _, one in pet_steps(frames, decision, initial_state(label))]


@pytest.mark.parametrize(
    ("frame", "reason", "label", "path"),
    [
        ((0, 0.9, 0.05, 0, 0, 0), CHANGED, "tabby", ("animal", "cat", "tabby")),
        ((0, 0.4, 0.4, 0, 0, 0.1), CHANGED, "cat", ("animal", "cat")),
        ((0, 0.25, 0.25, 0.125, 0.125, 0.125), CHANGED, "animal", ("animal",)),
        ((0, 0.25, 0.25, 0, 0, 0.25), BELOW, "unknown", ()),
        ((0, 0, 0, 0.2, 0.2, 0.6), CHANGED, "car", ("car",)),
    ],
)
def test_step_says_the_most_specific_name_that_is_sure(
    frame: PetsAt, reason: Reason, label: str, path: tuple[str, ...]
) -> None:
    (verdict,) = verdicts([frame], NO_DWELL)
    assert (verdict.reason, verdict.label, verdict.path) == (reason, label, path)


def test_step_the_margin_is_over_what_is_neither_below_nor_above() -> None:
    loose = replace(NO_DWELL, enter=0.3, leave=0.2)
    # The dogs together are as good as the best cat, but not as the cats.
    (verdict,) = verdicts([(0, 0.375, 0.125, 0.1875, 0.1875, 0)], loose)
    assert (verdict.label, verdict.score, verdict.margin) == ("cat", 0.5, 0.125)
    assert (verdict.best, verdict.runner_up) == (Ranked("cat", 0.5), Ranked("dog", 0.375))
    line = "[animal 0.87 > cat 0.50 > tabby 0.37]"
    assert explain(verdict, pet_rules(loose)) == f"changed: unknown -> cat 0.50 {line}"


def test_step_thresholds_of_a_node_are_its_own() -> None:
    own = replace(NO_DWELL, labels={"cat": Thresholds(enter=0.9), "Animal": Thresholds(enter=0.8)})
    labels = [
        verdicts([(0, cat, cat, dog, 0, 0)], own)[0].label
        for cat, dog in ((0.44, 0), (0.46, 0), (0.3, 0.1))
    ]
    assert labels == ["animal", "cat", "unknown"]


def test_step_a_more_specific_name_comes_only_when_it_holds() -> None:
    sure, unsure = (0.7, 0.2, 0, 0, 0), (0.5, 0.4, 0, 0, 0)
    flicker: list[PetsAt] = [(n / 5, *(sure if n % 2 else unsure)) for n in range(20)]
    assert [one.label for one in verdicts(flicker, label="cat")] == ["cat"] * 20
    held: list[PetsAt] = [(n / 4, *sure) for n in range(3)]
    found = verdicts(held, label="cat")
    assert [one.label for one in found] == ["cat", "cat", "tabby"]
    assert [one.reason for one in found] == [DWELL, DWELL, CHANGED]


def test_step_a_name_comes_in_its_time_though_what_is_below_it_flickers() -> None:
    sure, unsure = (0.7, 0.2, 0, 0, 0), (0.5, 0.4, 0, 0, 0)
    flicker: list[PetsAt] = [(n / 5, *(sure if n % 2 else unsure)) for n in range(20)]
    found = verdicts(flicker)
    assert changes(found) == [("unknown", "cat")]
    # Held for 0.6 s, it waits for tabby, which is gone with the next frame.
    assert [one.label for one in found].index("cat") == 4


def test_step_a_name_waits_for_a_more_specific_one_that_is_on_its_way() -> None:
    rising: list[PetsAt] = [
        (0.0, 0.4, 0.3, 0.3, 0, 0),
        (0.25, 0.7, 0.2, 0, 0, 0),
        (0.5, 0.7, 0.2, 0, 0, 0),
        (0.75, 0.7, 0.2, 0, 0, 0),
    ]
    found = verdicts(rising)
    assert changes(found) == [("unknown", "tabby")]
    assert found[-1].change


def test_step_a_specific_name_that_is_lost_gives_way_to_the_one_above_that_holds() -> None:
    frames: list[PetsAt] = [(at_s, 0.3, 0.2, 0.1, 0, 0) for at_s in range(3)]
    found = verdicts(frames, label="tabby")
    assert [one.label for one in found] == ["tabby", "tabby", "cat"]
    assert found[0].pending == ("cat", 0.0, 2.0)
    # Neither cats nor dogs are left at their leave.
    frames = [(at_s, 0.2, 0.1, 0.2, 0.1, 0.3) for at_s in range(3)]
    assert verdicts(frames, label="tabby")[-1].label == "animal"
    frames = [(at_s, 0.1, 0, 0.2, 0, 0.5) for at_s in range(3)]
    assert verdicts(frames, label="tabby")[-1].label == "unknown"


def test_step_another_branch_comes_as_soon_as_it_has_held() -> None:
    frames: list[PetsAt] = [(at_s / 4, 0, 0.1, 0.4, 0.4, 0.1) for at_s in range(3)]
    found = verdicts(frames, label="tabby")
    assert changes(found) == [("tabby", "dog")]
    assert [found[-1].score, found[-1].margin] == pytest.approx([0.8, 0.7])


def test_step_a_change_of_level_within_one_branch_is_an_event_only_if_asked_for() -> None:
    cat, tabby, dog = (0.35, 0.35, 0, 0, 0), (0.9, 0, 0, 0, 0), (0, 0, 0.4, 0.4, 0)
    scenes = [cat, cat, tabby, tabby, cat, cat, cat, cat, cat, dog, dog]
    frames: list[PetsAt] = [(float(at_s), *scene) for at_s, scene in enumerate(scenes)]
    quiet, loud = verdicts(frames), verdicts(frames, SPECIFIC)
    assert [one.label for one in quiet] == [one.label for one in loud]
    moves = [("unknown", "cat"), ("cat", "tabby"), ("tabby", "cat"), ("cat", "dog")]
    assert changes(quiet) == changes(loud) == moves
    assert [one.change.is_event for one in loud if one.change] == [True] * 4
    assert [one.change.is_event for one in quiet if one.change] == [True, False, False, True]


def test_step_an_event_begins_where_the_last_one_ended_whatever_was_silent_between() -> None:
    cat, animal, beagle = (0.4, 0.4, 0, 0, 0), (0.16, 0.16, 0.16, 0.16, 0), (0, 0, 1, 0, 0)
    scenes = [cat, cat, animal, animal, animal, beagle, beagle]
    frames: list[PetsAt] = [(float(at_s), *scene) for at_s, scene in enumerate(scenes)]
    found = [one.change for one in verdicts(frames) if one.change]
    assert [(one.before, one.after, one.is_event) for one in found] == [
        ("unknown", "cat", True),
        ("cat", "animal", False),
        ("cat", "beagle", True),
    ]


def test_step_what_only_leaves_out_competes_and_is_never_said() -> None:
    only = replace(NO_DWELL, only=("cat", "dog"), enter=0.3, leave=0.2)
    frames: list[PetsAt] = [(0, 0.2, 0.2, 0.1, 0, 0.5), (1, 0.3, 0.3, 0, 0, 0.4)]
    rules = pet_rules(only)
    first, second = (one for _, one in pet_steps(frames, rules))
    assert (first.reason, first.label, first.best.label) == (MARGIN, "unknown", "cat")
    assert first.runner_up.label == "anything else"
    assert explain(first, rules) == ("margin: cat 0.40 is -0.10 ahead of anything else, needs 0.10")
    assert (second.reason, second.label) == (CHANGED, "cat")
    ((state, _),) = pet_steps(frames[:1], rules)
    assert [ranked.label for ranked in state.top(5)] == ["cat", "dog"]


def test_top_lists_the_labels_that_classes_count_as() -> None:
    ((state, _),) = pet_steps([(0, 0.25, 0.125, 0, 0, 0.5)])
    assert state.top(5) == (Ranked("car", 0.5), Ranked("tabby", 0.25), Ranked("Siamese", 0.125))


def test_step_votes_for_a_label_count_for_those_above_it() -> None:
    voting = replace(NO_DWELL, smoothing="vote", window_s=10.0)
    frames: list[PetsAt] = [
        (0, 0.7, 0.1, 0, 0, 0.1),
        (1, 0.1, 0.7, 0, 0, 0.1),
        (2, 0.3, 0.3, 0, 0, 0.1),
        (3, 0.1, 0.1, 0.1, 0.1, 0.5),
    ]
    found = verdicts(frames, voting)
    assert [one.label for one in found] == ["tabby", "tabby", "tabby", "tabby"]
    found = verdicts([frames[0], frames[2], frames[3]], voting, "cat")
    assert [ranked.label for ranked in found[-1].line] == ["animal", "cat", "tabby"]
    shares = [ranked.score for ranked in found[-1].line]
    assert shares == pytest.approx([2 / 3, 2 / 3, 1 / 3])


def test_step_votes_go_to_what_only_leaves_out_where_it_is_better() -> None:
    voting = replace(NO_DWELL, smoothing="vote", window_s=10.0, only=("cat",), enter=0.3, leave=0.1)
    frames: list[PetsAt] = [(0, 0.2, 0.2, 0, 0, 0.6), (1, 0.3, 0.3, 0, 0, 0.4)]
    found = verdicts(frames, voting)
    assert [(one.label, one.runner_up.score) for one in found] == [
        ("unknown", 1.0),
        ("unknown", 0.5),
    ]


def test_step_a_label_restored_with_what_was_told_goes_on() -> None:
    state = initial_state("tabby", "cat")
    frames: list[PetsAt] = [(at_s, 0, 0, 0, 0, 0.9) for at_s in (0.0, 1.0)]
    *_, (_, verdict) = pet_steps(frames, CRISP, state)
    assert verdict.change
    assert verdict.change[:2] == ("cat", "car")
