"""A camera that sees cats, dogs and cows, or pets in a tree: scores by hand, step by step."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.labels.taxonomy import Taxonomy, TaxonomyNode
from edge_classifier.decision.rules import Rules, rules_for
from edge_classifier.decision.step import DecisionState, FrameVerdict, initial_state, step

LABELS = ("background", "cat", "dog", "cow")

# animal > cat > tabby, Siamese; animal > dog > beagle, pug; and a car.
PETS = ("tabby", "Siamese", "beagle", "pug", "car")
PET_TREE = Taxonomy(
    (TaxonomyNode("animal"), TaxonomyNode("cat", 0), TaxonomyNode("dog", 0)), (1, 1, 2, 2, None)
)

# Seconds, and the scores of cat, dog and cow.
At = tuple[float, float, float, float]
# Seconds, and the scores of the five classes of PETS.
PetsAt = tuple[float, float, float, float, float, float]

# Each frame for itself; enter 0.6, at each level of a tree, leave 0.4, margin 0.1.
CRISP = DecisionSettings(smoothing="none", dwell_s=0.5, unknown_dwell_s=2.0, specific_share=0.0)


def scores_of(*scores: float) -> NDArray[np.float32]:
    """Scores of the classes; the background's is what would win if it counted."""
    return np.array([1.0, *scores], np.float32)


def play(
    frames: Iterable[At],
    decision: DecisionSettings | Rules = CRISP,
    state: DecisionState | None = None,
) -> list[FrameVerdict]:
    """The verdict on each frame, from ``state`` on."""
    return [verdict for _, verdict in steps(frames, decision, state)]


def steps(
    frames: Iterable[At],
    decision: DecisionSettings | Rules = CRISP,
    state: DecisionState | None = None,
) -> list[tuple[DecisionState, FrameVerdict]]:
    """State and verdict after each frame."""
    rules = rules_for(LABELS, decision) if isinstance(decision, DecisionSettings) else decision
    state = state or initial_state()
    done = []
    for at_s, *scores in frames:
        state, verdict = step(rules, state, scores_of(*scores), at_s)
        done.append((state, verdict))
    return done


def pet_rules(decision: DecisionSettings = CRISP, taxonomy: Taxonomy = PET_TREE) -> Rules:
    """Rules over the tree."""
    return rules_for(PETS, decision, taxonomy)


def pet_steps(
    frames: Iterable[PetsAt],
    rules: Rules | DecisionSettings = CRISP,
    state: DecisionState | None = None,
) -> list[tuple[DecisionState, FrameVerdict]]:
    """State and verdict after each frame of pets."""
    rules = pet_rules(rules) if isinstance(rules, DecisionSettings) else rules
    state = state or initial_state()
    done = []
    for at_s, *scores in frames:
        state, verdict = step(rules, state, np.array(scores, np.float32), at_s)
        done.append((state, verdict))
    return done


def changes(verdicts: Sequence[FrameVerdict]) -> list[tuple[str, str]]:
    """What was published: from which label to which."""
    return [(one.change.before, one.change.after) for one in verdicts if one.change]
