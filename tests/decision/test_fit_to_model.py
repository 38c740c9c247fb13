"""Rules written for one model, and another one that takes its place for a while."""

from edge_classifier.config.settings import DecisionSettings, Thresholds
from edge_classifier.core.labels.taxonomy import Taxonomy, TaxonomyNode
from edge_classifier.decision.fit_to_model import fit_to_model
from edge_classifier.decision.label_map import require_labels

LABELS = ("cat", "dog", "lorry")


def test_fit_to_model_leaves_rules_alone_that_the_model_knows() -> None:
    decision = DecisionSettings(
        enter=0.7,
        groups={"pet": ("cat", "DOG")},
        aliases={"lorry": "truck"},
        only=("pet", "truck"),
        labels={"pet": Thresholds(enter=0.8)},
    )
    assert fit_to_model(LABELS, decision) == (decision, ())


def test_fit_to_model_leaves_out_what_the_model_does_not_know_and_names_it() -> None:
    decision = DecisionSettings(
        enter=0.7,
        ignore=("emu", "lorry"),
        aliases={"yak": "cow"},
        groups={"pet": ("cat", "hamster"), "bird": ("crane",)},
        only=("pet", "bird"),
        labels={"bird": Thresholds(enter=0.8), "cow": Thresholds()},
    )
    fitted, resting = fit_to_model(LABELS, decision)
    require_labels(LABELS, fitted)
    assert fitted.enter == 0.7
    assert (fitted.ignore, fitted.aliases) == (("lorry",), {})
    assert fitted.groups == {"pet": ("cat",)}
    assert fitted.only == ("pet",)
    assert [one.partition(": ")[::2] for one in resting][:4] == [
        ("groups.pet", "this model has no label 'hamster'"),
        ("groups.bird", "this model has no label 'crane'"),
        ("ignore", "this model has no label 'emu'"),
        ("aliases", "this model has no label 'yak'"),
    ]


def test_fit_to_model_lets_all_rest_where_what_is_left_contradicts_itself() -> None:
    everything = DecisionSettings(enter=0.7, ignore=("cat", "dog", "lorry"), only=("fish",))
    fitted, resting = fit_to_model(LABELS, everything)
    require_labels(LABELS, fitted)
    assert fitted == DecisionSettings(enter=0.7)
    assert resting[-1] == "so all rules that name labels rest"


def test_fit_to_model_knows_the_nodes_of_a_tree() -> None:
    tree = Taxonomy((TaxonomyNode("animal"), TaxonomyNode("thing")), (0, 0, 1))
    decision = DecisionSettings(only=("animal", "plant"), labels={"animal": Thresholds(enter=0.9)})
    fitted, resting = fit_to_model(LABELS, decision, tree)
    require_labels(LABELS, fitted, tree)
    assert (fitted.only, fitted.labels) == (("animal",), decision.labels)
    assert resting == ("only: this model has no label 'plant'",)
