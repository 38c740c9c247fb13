"""Rules that name labels, and a model that they were not written for."""

from collections.abc import Sequence
from dataclasses import replace

from edge_classifier.config.settings import DecisionSettings
from edge_classifier.core.labels.taxonomy import NO_TAXONOMY, Taxonomy
from edge_classifier.decision.label_map import require_labels
from edge_classifier.decision.name_lines import NamedClasses, UnknownLabelsError, positions_of


def fit_to_model(
    labels: Sequence[str], decision: DecisionSettings, taxonomy: Taxonomy = NO_TAXONOMY
) -> tuple[DecisionSettings, tuple[str, ...]]:
    """The part of ``decision`` that means something to a model, and what rests, a line each.

    A group goes on with the members that the model has. Where what is left contradicts itself for
    this model, such as when it ignores all of its labels, all rules that name labels rest.
    """
    known = (*labels, *(node.name for node in taxonomy.nodes))
    resting: list[str] = []

    def is_known(rule: str, name: str, names: Sequence[str] = known) -> bool:
        found = bool(positions_of(name, names))
        if not found:
            resting.append(f"{rule}: this model has no label {name!r}")
        return found

    groups = {
        group: tuple(name for name in members if is_known(f"groups.{group}", name))
        for group, members in decision.groups.items()
    }
    fitted = replace(
        decision,
        ignore=tuple(name for name in decision.ignore if is_known("ignore", name)),
        aliases={
            name: other for name, other in decision.aliases.items() if is_known("aliases", name)
        },
        groups={group: members for group, members in groups.items() if members},
        only=(),
        labels={},
    )
    # Thresholds and ``only`` may also mean what the rules above have made of labels.
    said = [name for line in NamedClasses(labels, taxonomy, fitted).lines() for name in line]
    fitted = replace(
        fitted,
        only=tuple(name for name in decision.only if is_known("only", name, said)),
        labels={
            name: own for name, own in decision.labels.items() if is_known("labels", name, said)
        },
    )
    try:
        require_labels(labels, fitted, taxonomy)
    except UnknownLabelsError as error:
        bare = replace(decision, ignore=(), aliases={}, groups={}, only=(), labels={})
        return bare, (*resting, *error.problems, "so all rules that name labels rest")
    return fitted, tuple(resting)
